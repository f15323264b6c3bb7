//! The simulation: many worlds, each made of a seed. See `tidegate_tests::sim`.
//!
//! `SEED=n` replays one and shows what happened in it; `SEEDS=n` says how many are run, from `FROM=n` on.

#[cfg(feature = "mutants")]
mod mutants;

use std::time::Instant;
use tidegate_tests::sim;

/// So many are run where nobody says otherwise.
const SEEDS: u64 = if cfg!(debug_assertions) { 20 } else { 3_000 };

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn seeds() {
    if let Some(seed) = number("SEED") {
        let run = sim::run(seed, true);
        println!("{}", run.history);
        assert_eq!(run.broken, None, "SEED={seed} replays this");
        return;
    }
    let (first, start) = (number("FROM").unwrap_or(0), Instant::now());
    let totals = sim::run_many(first, number("SEEDS").unwrap_or(SEEDS));
    println!("{}", totals.toll);
    println!("{} seeds in {:.0} s", totals.seeds, start.elapsed().as_secs_f64());
    assert_eq!(totals.failed, [], "SEED=n replays one");
    if totals.seeds >= 100 {
        for kind in ["events merged", "events dropped", "nothing taken"] {
            let kind = format!("buffer full: {kind}");
            assert!(totals.toll.faults.contains_key(kind.as_str()), "not once: {kind}");
        }
    }
    assert!(totals.toll.acknowledged > 100 * totals.seeds, "next to nothing happened");
}

/// Everything that happens follows from the seed: what the product made of it too, down to the bytes.
#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..8 {
        let (first, second) = (sim::run(seed, false), sim::run(seed, false));
        assert_eq!(first.digest, second.digest, "{seed}");
        assert_ne!(first.digest, sim::run(seed + 1, false).digest, "{seed}");
    }
}
