//! Raw readings in the store: each that was acknowledged is in one event, wherever the power goes, and however often the
//! sender repeats itself; the events wait, are counted and given up like others that are no windows.

use crate::files::altered;
use crate::heart::{Body, now_payload, run_of};
use crate::rig::{Rig, at, idle, message, payload, plain, plan};
use crate::shelf::Shelf;
use redb::TableDefinition;
use std::collections::BTreeMap;
use tidegate::ingest::change::put_in_force;
use tidegate::ingest::intake::Input;
use tidegate::store::{Commit, Fate, Settlement, StoreError};
use tidegate_medium::{Disk, Trouble};
use tidegate_pipeline::plan::{Plan, RawPlan};
use tidegate_pipeline::time::Span;

/// Every step sends so many readings; the values are their numbers.
const READINGS: u64 = 4;
const STEPS: u64 = 12;

/// No summaries, so that everything that is told is raw.
fn sending(raw: &[(&str, i64)], before: Plan) -> Plan {
    let one = |(name, every): &(&str, i64)| RawPlan {
        name: (*name).into(),
        streams: vec![0],
        every: Span::from_secs(*every),
        to: vec![0],
        ..RawPlan::default()
    };
    Plan { summaries: vec![], raw: raw.iter().map(one).collect(), ..before }
}

/// One step of the script: the configuration changes twice, and what waits is delivered and refused in turns.
fn step(rig: &mut Rig, number: u64) -> Result<(), StoreError> {
    let secs = 4 * i64::try_from(number).unwrap();
    let change = |rig: &mut Rig, raw| {
        put_in_force(&mut rig.store, &mut rig.pipeline, sending(raw, plan()), at(secs), None)
    };
    match number {
        5 => change(rig, &[("b", 5)])?,
        8 => change(rig, &[("a", 7)])?,
        _ => {}
    }
    let settled = rig.look("out")?;
    let send = |step: &mut tidegate_pipeline::Step<'_>| {
        for n in number * READINGS..(number + 1) * READINGS {
            let topic = format!("s/d{}/t", n % 3);
            let payload = payload(i64::try_from(n).unwrap(), secs, n);
            step.message(&message(secs, &topic, &payload));
        }
    };
    rig.commit(secs, send, |commit: &mut Commit| {
        commit.waiting = idle(&["out"]);
        commit.reach.insert("out".into(), 4);
        commit.settled.extend(settled.into_iter().map(|event| Settlement {
            output: "out".into(),
            priority: event.priority,
            sequence: event.sequence,
            fate: if number.is_multiple_of(3) { Fate::Refused("no".into()) } else { Fate::Delivered },
            id: event.id,
        }));
    })?;
    rig.look("out").map(drop)
}

fn open(disk: Disk) -> Result<Rig, StoreError> {
    let mut rig = Rig::open(disk, sending(&[("a", 6)], plan()))?;
    rig.store.checkpoint_from(1);
    Ok(rig)
}

/// Runs the script until the power goes: what was seen.
fn run(disk: &Disk) -> (u64, BTreeMap<String, Vec<u8>>) {
    let Ok(mut rig) = open(disk.clone()) else { return (0, BTreeMap::new()) };
    let done = (0..STEPS).take_while(|number| step(&mut rig, *number).is_ok()).count();
    (done as u64, rig.seen)
}

/// How often each reading is in an event, by its number.
fn sent(events: &BTreeMap<String, Vec<u8>>) -> BTreeMap<u64, u32> {
    let mut sent = BTreeMap::new();
    for event in events.values() {
        let event: serde_json::Value = serde_json::from_slice(event).unwrap();
        assert_eq!(event["type"], "tidegate.raw.v1");
        for row in event["data"]["readings"].as_array().unwrap() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
            let number = row[2].as_f64().unwrap() as u64;
            *sent.entry(number).or_default() += 1;
        }
    }
    sent
}

/// After the cut the sender repeats everything: what was counted before is a duplicate, and in no second event.
fn check(disk: Disk, seen: BTreeMap<String, Vec<u8>>, what: &str) {
    let mut rig = open(disk).unwrap();
    rig.seen = seen;
    rig.check_accounts();
    for number in 0..STEPS {
        step(&mut rig, number).unwrap();
        rig.check_accounts();
    }
    rig.tick(10_000);
    rig.reached(10_000, "out");
    assert_eq!(rig.pipeline.state().raw.waiting(), 0);
    assert_eq!(rig.pipeline.ledger().counted, STEPS * READINGS, "{what}");
    let all: BTreeMap<u64, u32> = (0..STEPS * READINGS).map(|number| (number, 1)).collect();
    assert_eq!(sent(&rig.seen), all, "{what}");
    let counts = &rig.store.shared().outputs()["out"].counts;
    assert_eq!(counts.made, rig.seen.len() as u64, "{what}");
}

#[test]
fn a_power_cut_at_every_write() {
    let disk = Disk::default();
    let (done, seen) = run(&disk);
    assert!(done == STEPS && seen.len() > 5, "{done} {}", seen.len());
    let calls = disk.calls();
    assert!(calls > 100, "{calls}");
    check(Disk::holding(disk.bytes()), seen, "no cut");
    for call in 1..=calls {
        let disk = Disk::default();
        disk.trouble(Trouble::CutAt(call));
        let (_, seen) = run(&disk);
        check(disk.after_cut(call), seen, &format!("call {call} of {calls}"));
    }
}

/// The file says what the memory said, whatever is open.
#[test]
fn what_waits_survives_restarts() {
    let mut rig = Rig::new(sending(&[("a", 10), ("b", 30)], plain()));
    rig.send(0, "d1", 1, 0);
    let mut rig = rig.restart();
    rig.send(3, "d2", 2, 3);
    rig.store.checkpoint_now(&rig.pipeline).unwrap();
    let mut rig = rig.restart();
    rig.send(12, "d1", 3, 12);
    let mut rig = rig.restart();
    assert_eq!(rig.pipeline.state().raw.waiting(), 1 + 3);
    rig.tick(40);
    let rig = &mut rig.restart();
    let waiting = rig.reached(41, "out");
    let ids: Vec<_> = waiting.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["a/raw/1/r0", "a/raw/2/r0", "b/raw/3/r0"]);
    assert_eq!(sent(&rig.seen), BTreeMap::from([(1, 2), (2, 2), (3, 2)]), "by each of the two");
}

/// Raw events wait among the windows, and go when nothing merges any more: the oldest first, alerts never.
#[test]
fn a_full_buffer_drops_them_last() {
    let mut raw = sending(&[("a", 10)], plain());
    raw.summaries = plan().summaries;
    let mut rig = Rig::new(raw);
    for minute in 0..2 {
        rig.send(60 * minute, "d1", 1, 60 * minute);
    }
    rig.tick(300);
    let ids = rig.reached(301, "out").into_iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(ids.iter().filter(|id| id.contains("/raw/")).count(), 2, "{ids:?}");
    assert_eq!(ids.len(), 4);
    assert_eq!(rig.roll_up(u64::MAX), 2, "windows merge");
    assert!(rig.store.roll_up(u64::MAX).unwrap().spent);
    assert_eq!(rig.store.drop_oldest(1, false).unwrap().events, 1);
    rig.check_accounts();
    let ids = rig.reached(302, "out").into_iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&"a/raw/2/r0".to_owned()), "the newer one waits: {ids:?}");
    let counts = rig.store.shared().outputs()["out"].counts.clone();
    assert_eq!((counts.made, counts.merged, counts.dropped["full"], counts.queued()), (5, 2, 1, 2));
}

/// Whether a lost entry made an event of what waits is not known: it is given up, and said.
#[test]
fn what_waits_at_damage_is_given_up() {
    const JOURNAL: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("journal");
    let mut rig = Rig::new(sending(&[("a", 1_000)], plain()));
    for secs in 0..5 {
        rig.send(secs, "d1", secs, secs);
    }
    let disk = rig.disk.clone();
    drop(rig);
    altered(&disk, JOURNAL, (4, 0));
    let mut rig = Shelf::holding(disk.bytes()).rig();
    let report = rig.store.shared().salvage().unwrap().to_string();
    assert!(report.contains("; 3 raw readings that waited for an event are given up"), "{report}");
    assert_eq!(rig.pipeline.state().raw.waiting(), 0);
    rig.tick(2_000);
    assert!(rig.reached(2_000, "out").is_empty());
}

/// Nothing comes any more, and the event is made all the same.
#[test]
fn the_heart_wakes_for_what_is_old_enough() {
    let body = Body::new(&Disk::default(), sending(&[("a", 1)], plain()));
    body.push(Input::Run(run_of(&body.link, 1, &[("s/d1/t", now_payload(7))])));
    body.wait_for_acknowledgement(1);
    let made = |body: &Body| body.store.outputs().get("out").map_or(0, |row| row.counts.made);
    body.wait_until(|body| made(body) == 1);
}
