//! The simulation: the real heart, pipeline, store and courier in a world that goes wrong, on virtual time, in one thread.
//!
//! A seed decides everything. The same seed gives the same history, down to the bytes; [`Run::digest`] says so.
//!
//! Around the product stand, one file each: `sensors` that publish, a `broker` that keeps and loses, a `link` to it, a
//! `gateway` with its disk and process, a `clock` that is set, a `cloud` that takes or does not, `faults` that say when, an
//! `oracle` that knows every reading, and the `check` that compares.

mod broker;
mod check;
mod clock;
mod cloud;
mod faults;
mod gateway;
mod history;
mod link;
mod oracle;
mod sensors;
mod raw;
mod setup;
mod world;

use crate::toll::Toll;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
#[cfg(feature = "mutants")]
use tidegate_pipeline::mutant::{self, Mutant};
use world::World;

/// Worlds that run beside each other: each is a thread of its own and knows nothing of the others.
const THREADS: usize = 2;
/// After so many failures the rest would say the same.
const FAILURES_MAX: usize = 3;

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// What must not have happened, if anything did.
    pub broken: Option<String>,
    /// Of everything that happened.
    pub digest: u64,
    /// Faults, and what became of readings.
    pub toll: Toll,
    /// What happened, where it was asked for.
    pub history: String,
}

/// Runs one seed. `told`: with its history as text.
pub fn run(seed: u64, told: bool) -> Run {
    let mut world = World::new(seed, told);
    // A panic is a failure of the seed like any other.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run())) {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.broken = Some(format!("panicked: {}", text.unwrap_or_default()));
    }
    Run {
        broken: world.broken.take(),
        digest: world.history.digest(),
        toll: std::mem::take(&mut world.toll),
        history: world.history.into_text(),
    }
}

/// The same, with a deliberate bug.
#[cfg(feature = "mutants")]
pub fn run_mutant(seed: u64, mutant: Mutant) -> Run {
    mutant::choose(Some(mutant));
    let run = run(seed, false);
    mutant::choose(None);
    run
}

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// How many seeds.
    pub seeds: u64,
    /// Faults, and what became of readings.
    pub toll: Toll,
    /// Seeds that failed, and why.
    pub failed: Vec<(u64, String)>,
}

/// Runs seeds from `first` on, two at a time, until there are `count` of them, or some have failed.
pub fn run_many(first: u64, count: u64) -> Totals {
    run_while(first, &|seed| seed - first < count)
}

/// Runs seeds from `first` on until then, or until some have failed.
pub fn soak(first: u64, until: Instant) -> Totals {
    run_while(first, &|_| Instant::now() < until)
}

fn run_while(first: u64, more: &(dyn Fn(u64) -> bool + Sync)) -> Totals {
    let next = AtomicU64::new(first);
    let totals = Mutex::new(Totals::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !more(seed) || totals.lock().unwrap().failed.len() >= FAILURES_MAX {
                return;
            }
            let run = run(seed, false);
            totals.lock().unwrap().add(seed, run);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    totals.into_inner().unwrap()
}

impl Totals {
    fn add(&mut self, seed: u64, run: Run) {
        self.seeds += 1;
        self.toll.add(run.toll);
        if let Some(broken) = run.broken {
            eprintln!("SEED={seed} replays this: {broken}");
            self.failed.push((seed, broken));
        }
    }
}
