//! The crash matrix: the power goes after every single call of a script to the medium, and of what was not synced any sectors
//! may be there. Few of them are tried in every combination, many in seeded samples. A cut is never taken for damage.

use crate::cuts::{self, READINGS, STEPS, step};
use crate::rig::{Rig, plan};
use redb::StorageBackend;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Mutex};
use tidegate_medium::Disk;

const SECTOR: usize = 512;
/// Up to so many unsynced sectors every combination is tried.
const EXHAUSTIVE: usize = 9;
/// So many samples of more.
const SAMPLES: u64 = 24;
/// Of so many images one goes through the whole script again.
const WHOLE: u64 = 50;

#[derive(Clone, Debug)]
enum Call {
    Write(usize, Vec<u8>),
    Len(usize),
    Sync,
}

/// A medium that remembers every call.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<(Vec<u8>, Vec<Call>)>>);

impl Recorder {
    fn calls(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    fn note(&self, call: Call) {
        let mut log = self.0.lock().unwrap();
        apply(&mut log.0, &call);
        log.1.push(call);
    }
}

fn apply(bytes: &mut Vec<u8>, call: &Call) {
    match call {
        Call::Len(len) => bytes.resize(*len, 0),
        Call::Write(at, data) => {
            bytes.resize(bytes.len().max(at + data.len()), 0);
            bytes[*at..at + data.len()].copy_from_slice(data);
        }
        Call::Sync => {}
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().0.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let log = self.0.lock().unwrap();
        let found = log.0.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Call::Len(place(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(Call::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Call::Write(place(offset), data.to_vec()));
        Ok(())
    }
}

type Seen = BTreeMap<String, Vec<u8>>;

/// The script, once, without trouble: its calls, and after how many of them each step was done and what had been seen.
fn record() -> (Vec<Call>, Vec<(usize, Seen)>) {
    let recorder = Recorder::default();
    let medium = {
        let recorder = recorder.clone();
        move || Ok(Box::new(recorder.clone()) as Box<dyn StorageBackend>)
    };
    let mut rig = Rig::on(Disk::default(), medium, "x", plan()).unwrap();
    rig.store.checkpoint_from(1);
    let mut done = Vec::new();
    for number in 0..STEPS {
        step(&mut rig, number).unwrap();
        done.push((recorder.calls(), rig.seen.clone()));
    }
    drop(rig);
    let log = recorder.0.lock().unwrap();
    (log.1.clone(), done)
}

/// What can be there or not: each sector that was written, each change of length.
fn units(unsynced: &[Call]) -> Vec<Call> {
    let sectors = |call: &Call| match call {
        Call::Write(at, data) => {
            let parts = data.chunks(SECTOR).enumerate();
            parts.map(|(n, part)| Call::Write(at + n * SECTOR, part.to_vec())).collect()
        }
        other => vec![other.clone()],
    };
    unsynced.iter().flat_map(sectors).collect()
}

/// Which units are kept, in every combination or in samples.
fn combinations(units: usize, seed: u64) -> Vec<Vec<bool>> {
    if units <= EXHAUSTIVE {
        return (0..1u32 << units).map(|mask| (0..units).map(|n| mask >> n & 1 == 1).collect()).collect();
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all = vec![vec![false; units], vec![true; units]];
    for sample in 0..SAMPLES {
        let odds = [0.1, 0.5, 0.9, 0.99][place(sample % 4)];
        all.push((0..units).map(|_| random.f64() < odds).collect());
    }
    all
}

#[test]
fn every_cut_and_what_it_leaves() {
    let (calls, done) = record();
    let (mut durable, mut synced) = (Vec::new(), 0);
    let (mut known, mut exhaustive, mut opened, mut whole) = (BTreeSet::new(), 0, 0, 0);
    for cut in 0..=calls.len() {
        if cut > 0 && matches!(calls[cut - 1], Call::Sync) {
            calls[synced..cut].iter().for_each(|call| apply(&mut durable, call));
            synced = cut;
        }
        let units = units(&calls[synced..cut]);
        exhaustive += u32::from(units.len() <= EXHAUSTIVE);
        let steps = done.iter().take_while(|(calls, _)| *calls <= cut).count();
        for kept in combinations(units.len(), cut as u64) {
            let mut bytes = durable.clone();
            units.iter().zip(kept).filter(|(_, kept)| *kept).for_each(|(unit, _)| apply(&mut bytes, unit));
            let mut hash = DefaultHasher::new();
            (&bytes, steps).hash(&mut hash);
            if !known.insert(hash.finish()) {
                continue;
            }
            opened += 1;
            let seen = steps.checked_sub(1).map_or_else(Seen::new, |last| done[last].1.clone());
            if opened % WHOLE == 0 {
                whole += 1;
                cuts::check(Disk::holding(bytes), steps as u64, seen);
            } else {
                check(bytes, steps as u64, cut);
            }
        }
    }
    let cuts = calls.len() + 1;
    println!(
        "{cuts} cuts, {exhaustive} of them in every combination: {opened} images opened, {whole} of them through the \
         whole script again"
    );
    assert!(cuts > 150 && opened > 2_000 && whole > 40, "{cuts} {opened} {whole}");
}

/// What was committed is there.
fn check(bytes: Vec<u8>, done: u64, cut: usize) {
    let rig = Rig::open(Disk::holding(bytes), plan()).unwrap_or_else(|error| panic!("cut {cut}: {error}"));
    rig.check_accounts();
    let counted = rig.pipeline.ledger().counted;
    assert!(
        counted == done * READINGS || counted == (done + 1) * READINGS,
        "cut {cut}: {counted} readings on disk of {done} committed steps"
    );
}
