//! Damage at rest: whatever happens to the bytes of a filled store, it opens, balances, invents nothing and counts nothing
//! twice; what is legible goes on.

use crate::cuts::{READINGS, STEPS, readings, step};
use crate::disk::Disk;
use crate::files::grow;
use crate::rig::{Rig, at, message, payload, plan};
use redb::{Database, ReadableTable, StorageBackend, TableDefinition};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use tidegate::store::{Medium, Store, StoreError, file};
use tidegate_pipeline::verdict::Reason;

const PAGE: usize = 4_096;

/// A medium with room beside the store.
#[derive(Clone, Debug, Default)]
struct Shelf(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    store: Disk,
    beside: Disk,
    damaged: u32,
}

impl Shelf {
    fn holding(bytes: Vec<u8>) -> Shelf {
        let shelf = Shelf::default();
        shelf.0.lock().unwrap().store = Disk::holding(bytes);
        shelf
    }

    fn damaged(&self) -> u32 {
        self.0.lock().unwrap().damaged
    }

    fn store(&self) -> Disk {
        self.0.lock().unwrap().store.clone()
    }

    fn open(&self) -> Rig {
        Rig::on(self.store(), self.clone(), "fresh", plan()).unwrap()
    }
}

impl Medium for Shelf {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.store()))
    }

    fn beside(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut files = self.0.lock().unwrap();
        files.beside = Disk::default();
        Ok(Box::new(files.beside.clone()))
    }

    fn replace(&self) -> io::Result<String> {
        let mut files = self.0.lock().unwrap();
        files.store = std::mem::take(&mut files.beside);
        files.damaged += 1;
        Ok("aside".into())
    }
}

/// A filled store, as it is while it is open and after it was closed, and the events that were seen.
struct Filled {
    images: [Vec<u8>; 2],
    seen: BTreeMap<String, Vec<u8>>,
}

fn fill() -> Filled {
    let mut rig = Rig::new(plan());
    rig.store.checkpoint_from(2_000);
    for number in 0..STEPS {
        step(&mut rig, number).unwrap();
        let junk = |step: &mut tidegate_pipeline::Step<'_>| step.message(&message(0, "s/d1/t", "junk"));
        rig.commit(25 * i64::try_from(number).unwrap(), junk, |_| {}).unwrap();
    }
    let (disk, seen) = (rig.disk.clone(), std::mem::take(&mut rig.seen));
    let open = disk.bytes();
    drop(rig);
    Filled { images: [open, disk.bytes()], seen }
}

/// One damage, as `random` says.
fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) -> String {
    // Only where something is written: most of a small file is not.
    let used: Vec<usize> =
        (0..bytes.len() / PAGE).filter(|page| bytes[page * PAGE..][..PAGE].iter().any(|b| *b != 0)).collect();
    let page = used[random.usize(..used.len())] * PAGE;
    let written = (0..PAGE).rev().find(|at| bytes[page + at] != 0).unwrap() + 1;
    match random.u8(..10) {
        0..=3 => {
            let (at, bit) = (page + random.usize(..written), random.u8(..8));
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        }
        4 => {
            let (at, bit) = (random.usize(..320), random.u8(..8));
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} of the header")
        }
        5 => {
            let at = page + random.usize(..PAGE / 512) * 512;
            bytes[at..at + 512].fill(0);
            format!("sector at {at}")
        }
        6 => {
            bytes[page..page + PAGE].fill(0);
            format!("page at {page}")
        }
        7 | 8 => {
            random.fill(&mut bytes[page..page + PAGE]);
            format!("garbage at {page}")
        }
        _ => {
            let len = random.usize(..bytes.len());
            bytes.truncate(len);
            format!("truncated to {len}")
        }
    }
}

/// An event by what names it for a function: source and key; revision and count.
fn told(event: &[u8]) -> Option<((String, String), (u64, u64))> {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap();
    let key = event["data"]["key"].as_str()?.to_owned();
    let count = event["data"]["values"]["count"].as_f64().unwrap();
    let revision = event["data"]["revision"].as_u64().unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    Some(((event["source"].as_str().unwrap().to_owned(), key), (revision, count as u64)))
}

/// What a function holds that keeps the highest revision per source and key: readings by key.
fn held<'e>(events: impl Iterator<Item = &'e Vec<u8>>) -> BTreeMap<String, u64> {
    let mut last: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for (name, revised) in events.filter_map(|event| told(event)) {
        let known = last.entry(name).or_insert(revised);
        *known = revised.max(*known);
    }
    let mut keys: BTreeMap<String, u64> = BTreeMap::new();
    last.into_iter().for_each(|((_, key), (_, count))| *keys.entry(key).or_default() += count);
    keys
}

/// What was sent, by key; `more` steps of the script besides those of the filled store.
fn sent(more: u64) -> BTreeMap<String, u64> {
    let mut keys: BTreeMap<String, u64> = BTreeMap::new();
    for (topic, _, time, _) in (0..STEPS + more).flat_map(readings) {
        let minute = at(time.div_euclid(60) * 60).rfc3339();
        *keys.entry(format!("minute/t/{}/{minute}/60s", &topic[2..4])).or_default() += 1;
    }
    keys
}

/// Opens what is left, goes on with new readings, some of them late, and compares.
fn check(filled: &Filled, bytes: Vec<u8>, what: &str) -> Outcome {
    let shelf = Shelf::holding(bytes);
    let mut rig = shelf.open();
    rig.check_accounts();
    let found = rig.store.shared().salvage();
    assert_eq!(shelf.damaged(), u32::from(found.is_some()), "{what}");
    let ledger = rig.pipeline.ledger().clone();
    let whole = found.as_ref().is_none_or(|report| report.renamed.is_none());
    let all = STEPS * (READINGS + 1);
    assert!(ledger.total() <= all && ledger.counted <= STEPS * READINGS, "{what}: {ledger:?}");
    let mut events: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
    let mut see = |event: &[u8], id: &str| {
        let source = serde_json::from_slice::<serde_json::Value>(event).unwrap()["source"].to_string();
        let before = events.insert((source, id.to_owned()), event.to_vec());
        assert!(before.is_none_or(|before| before == event), "{what}: {id} has two contents");
    };
    filled.seen.iter().for_each(|(id, event)| see(event, id));
    for number in STEPS..STEPS + 4 {
        step(&mut rig, number).unwrap();
        rig.check_accounts();
    }
    rig.tick(10_000);
    rig.seen.iter().for_each(|(id, event)| see(event, id));
    for event in rig.reached(10_000, "out") {
        see(&event.event, &event.id);
    }
    let (held, sent) = (held(events.values()), sent(4));
    for (key, count) in &held {
        assert!(sent.get(key).is_some_and(|sent| count <= sent), "{what}: {count} readings of {key}");
    }
    let lost = sent.values().sum::<u64>() - held.values().sum::<u64>();
    let now = rig.pipeline.ledger();
    assert_eq!(now.counted - ledger.counted, 4 * READINGS, "{what}: it goes on");
    if found.is_none() {
        assert!(ledger.total() == all || ledger.total() >= all - 5, "{what}: {ledger:?}");
    }
    let damaged = ledger.under(Reason::Damaged);
    if whole && found.is_some() {
        assert_eq!((ledger.total(), damaged), (all, 0), "{what}");
    }
    drop(rig);
    let again = shelf.open();
    assert_eq!(shelf.damaged(), u32::from(found.is_some()), "{what}: salvaged once");
    again.check_accounts();
    Outcome { salvaged: found.is_some(), whole, lost }
}

#[derive(Debug)]
struct Outcome {
    salvaged: bool,
    whole: bool,
    lost: u64,
}

#[test]
fn any_damage() {
    let filled = fill();
    let seeds = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let (mut salvaged, mut whole, mut complete) = (0, 0, 0);
    for seed in seeds.map_or(0..600, |seed| seed..seed + 1) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = filled.images[random.usize(..2)].clone();
        let damages: Vec<_> = (0..random.u8(1..4))
            .filter_map(|_| (bytes.len() > PAGE).then(|| damage(&mut bytes, &mut random)))
            .collect();
        let outcome = check(&filled, bytes, &format!("SEED={seed}: {}", damages.join(", ")));
        salvaged += u32::from(outcome.salvaged);
        whole += u32::from(outcome.salvaged && outcome.whole);
        complete += u32::from(outcome.salvaged && outcome.lost == 0);
    }
    println!("{salvaged} salvaged, {whole} under the old name, {complete} without a lost reading");
}
