//! The plug is pulled at every write and every sync of a script that has it all: windows closing, amendments, deliveries,
//! refusals, a checkpoint in chunks, a changed plan. What was committed is there, once, and the sender who repeats
//! everything changes nothing.

use crate::rig::{Rig, at, idle, message, payload, plan};
use std::collections::BTreeMap;
use tidegate::clock::Clock;
use tidegate::ingest::change::put_in_force;
use tidegate::store::{Commit, Fate, Settlement, StoreError};
use tidegate_medium::{Disk, Trouble};
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::plan::Plan;

/// Every step sends so many readings.
pub const READINGS: u64 = 4;
pub const STEPS: u64 = 14;

fn changed() -> Plan {
    let mut plan = plan();
    plan.summaries[0].aggregates = vec![Aggregate::Count, Aggregate::Sum, Aggregate::Max];
    plan
}

/// The numbered readings of one step: new ones, and one that is late by two minutes.
pub fn readings(step: u64) -> Vec<(String, i64, i64, u64)> {
    let secs = 25 * i64::try_from(step).unwrap();
    (0..READINGS)
        .map(|n| {
            let time = if n == 3 { secs - 120 } else { secs };
            (format!("s/d{n}/t"), secs, time, step * READINGS + n)
        })
        .collect()
}

/// Does one step of the script again or for the first time.
pub fn step(rig: &mut Rig, number: u64) -> Result<(), StoreError> {
    let readings = readings(number);
    let secs = readings[0].1;
    if number == 9 {
        put_in_force(&mut rig.store, &mut rig.pipeline, changed(), Clock.now(), None)?;
    }
    let mut settled = rig.look("out")?;
    settled.truncate(3);
    rig.commit(
        secs,
        |step| {
            for (topic, secs, time, number) in &readings {
                step.message(&message(*secs, topic, &payload(1, *time, *number)));
            }
        },
        |commit: &mut Commit| {
            commit.waiting = idle(&["out"]);
            commit.reach.insert("out".into(), 4);
            let fate = |id: &str| match id.contains("d2") {
                true => Fate::Refused("no".into()),
                false => Fate::Delivered,
            };
            commit.settled.extend(settled.into_iter().map(|event| Settlement {
                output: "out".into(),
                priority: event.priority,
                sequence: event.sequence,
                fate: fate(&event.id),
                id: event.id,
            }));
        },
    )?;
    rig.look("out").map(drop)
}

fn tuned(rig: &mut Rig) {
    rig.store.checkpoint_from(1);
}

/// Runs the script from its beginning until the power goes: how many steps were committed, and what was seen.
fn run(disk: &Disk) -> (u64, BTreeMap<String, Vec<u8>>) {
    let Ok(mut rig) = Rig::open(disk.clone(), plan()) else { return (0, BTreeMap::new()) };
    tuned(&mut rig);
    let done = (0..STEPS).take_while(|number| step(&mut rig, *number).is_ok()).count();
    (done as u64, rig.seen)
}

/// After the cut: what was committed is there; then the sender repeats everything, and the account is right.
pub fn check(disk: Disk, done: u64, seen: BTreeMap<String, Vec<u8>>) {
    let mut rig = Rig::open(disk, plan()).unwrap();
    tuned(&mut rig);
    rig.seen = seen;
    rig.check_accounts();
    let counted = rig.pipeline.ledger().counted;
    assert!(
        counted == done * READINGS || counted == (done + 1) * READINGS,
        "{counted} readings on disk of {done} committed steps"
    );
    for number in 0..STEPS {
        step(&mut rig, number).unwrap();
        rig.check_accounts();
    }
    let ledger = rig.pipeline.ledger();
    assert_eq!((ledger.counted, ledger.duplicate), (STEPS * READINGS, counted));
    rig.tick(10_000);
    for event in rig.reached(10_000, "out") {
        assert!(rig.seen.contains_key(&event.id));
    }
    let made = rig.store.shared().outputs()["out"].counts.made;
    assert!(made >= rig.seen.len() as u64, "everything that was seen was made");
    // By series and minute: the last revision that was ever made is what an oracle counts.
    let mut last: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for event in rig.seen.values() {
        let event: serde_json::Value = serde_json::from_slice(event).unwrap();
        let revision = event["data"]["revision"].as_u64().unwrap();
        let count = event["data"]["values"]["count"].as_f64().unwrap();
        let key = event["data"]["key"].as_str().unwrap().to_owned();
        let known = last.entry(key).or_insert((revision, count));
        *known = if revision >= known.0 { (revision, count) } else { *known };
    }
    let mut oracle: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for (topic, _, time, _) in (0..STEPS).flat_map(readings) {
        let minute = at(time.div_euclid(60) * 60).rfc3339();
        let key = format!("minute/t/{}/{minute}/60s", &topic[2..4]);
        oracle.entry(key).or_default().1 += 1.0;
    }
    let counts = |map: &BTreeMap<String, (u64, f64)>| -> Vec<(String, f64)> {
        map.iter().map(|(key, (_, count))| (key.clone(), *count)).collect()
    };
    assert_eq!(counts(&last), counts(&oracle));
}

#[test]
fn a_power_cut_at_every_write() {
    let disk = Disk::default();
    let (done, seen) = run(&disk);
    let calls = disk.calls();
    assert_eq!(done, STEPS);
    assert!(calls > 100, "{calls}");
    check(Disk::holding(disk.bytes()), done, seen);
    for call in 1..=calls {
        let disk = Disk::default();
        disk.trouble(Trouble::CutAt(call));
        let (done, seen) = run(&disk);
        for seed in 0..2 {
            let left = disk.after_cut(call * 2 + seed);
            check(left, done, seen.clone());
        }
    }
}

/// The same while a checkpoint of many chunks is being written over several transactions.
#[test]
fn a_power_cut_while_a_checkpoint_is_written() {
    let mut rig = Rig::new(plan());
    grow(&mut rig);
    assert!(!rig.store.is_checkpointing());
    let base = rig.disk.bytes();
    drop(rig);
    let run = |disk: &Disk| {
        let Ok(mut rig) = Rig::open(disk.clone(), plan()) else { return 0 };
        rig.store.checkpoint_from(1);
        rig.store.checkpoint_if_due(&rig.pipeline);
        let send = |rig: &mut Rig, n: u64| {
            let text = payload(1, 0, 10_000 + n);
            rig.commit(0, |step| step.message(&message(0, "s/d1/t", &text)), |_| {})
        };
        (0..5).take_while(|n| send(&mut rig, *n).is_ok()).count() as u64
    };
    let disk = Disk::holding(base.clone());
    assert_eq!(run(&disk), 5);
    let calls = disk.calls();
    for call in 1..=calls {
        let disk = Disk::holding(base.clone());
        disk.trouble(Trouble::CutAt(call));
        let done = run(&disk);
        let rig = Rig::open(disk.after_cut(call), plan()).unwrap();
        let counted = rig.pipeline.ledger().counted - 1_200;
        assert!(counted == done || counted == done + 1, "call {call} of {calls}: {counted} of {done}");
    }
}

/// Some 300 kB of state that does not compress.
fn grow(rig: &mut Rig) {
    let mut random = fastrand::Rng::with_seed(3);
    let name = |random: &mut fastrand::Rng| -> String {
        std::iter::repeat_with(|| random.alphanumeric()).take(250).collect()
    };
    let messages: Vec<_> =
        (0..1_200).map(|n| (format!("s/{}/t", name(&mut random)), payload(1, 0, n))).collect();
    let send = |step: &mut tidegate_pipeline::Step<'_>| {
        messages.iter().for_each(|(topic, payload)| step.message(&message(0, topic, payload)));
    };
    rig.commit(0, send, |_| {}).unwrap();
}
