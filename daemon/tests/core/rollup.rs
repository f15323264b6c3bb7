//! A full store merges what waits, or drops it, and the account stays right: with outputs that have some of it, requests
//! under way, late readings and restarts in between.

use crate::rig::{Rig, at, idle, message, payload, plan};
use std::collections::{BTreeMap, BTreeSet};
use tidegate::store::{Commit, Fate, Settlement, Waiting, Wanted};
use tidegate_pipeline::plan::{Plan, Window};
use tidegate_pipeline::time::Span;

/// Keeps the highest revision per key, and retires what is replaced, as functions are told to.
#[derive(Clone, Default)]
struct Function {
    held: BTreeMap<String, (u64, f64)>,
    retired: BTreeSet<String>,
}

impl Function {
    fn take(&mut self, waiting: &Waiting) {
        let event: serde_json::Value = serde_json::from_slice(&waiting.event).unwrap();
        let data = &event["data"];
        let keys = data["replaces"].as_array().unwrap().iter();
        self.retired.extend(keys.map(|key| key.as_str().unwrap().to_owned()));
        let (key, revision) = (data["key"].as_str().unwrap(), data["revision"].as_u64().unwrap());
        let known = self.held.entry(key.into()).or_default();
        if revision >= known.0 {
            *known = (revision, data["values"]["count"].as_f64().unwrap());
        }
    }

    /// How many readings it knows of.
    fn readings(&self) -> f64 {
        self.held.iter().filter(|(key, _)| !self.retired.contains(*key)).map(|(_, (_, count))| count).sum()
    }
}

fn settled(waiting: &Waiting) -> Settlement {
    Settlement {
        output: "out".into(),
        priority: waiting.priority,
        sequence: waiting.sequence,
        id: waiting.id.clone(),
        fate: Fate::Delivered,
    }
}

impl Rig {
    /// Merges until something was merged or nothing can be: the events that wait no more.
    pub fn roll_up(&mut self, bytes: u64) -> u64 {
        loop {
            let shed = self.store.roll_up(bytes).unwrap();
            self.check_accounts();
            if shed.events > 0 || shed.spent {
                return shed.events;
            }
        }
    }

    fn all(&mut self) -> Vec<Waiting> {
        self.reached(10_000_000, "out")
    }
}

/// A reading of 1 that arrives at `secs`, with this time and number.
pub fn send(rig: &mut Rig, secs: i64, device: usize, time: i64, number: u64) {
    let (topic, payload) = (format!("s/d{device}/t"), payload(1, time, number));
    rig.commit(secs, |step| step.message(&message(secs, &topic, &payload)), |_| {}).unwrap();
}

/// So many minutes of `devices` devices, a reading each.
pub fn minutes(rig: &mut Rig, minutes: i64, devices: usize) {
    let mut number = 0;
    for minute in 0..minutes {
        for device in 0..devices {
            number += 1;
            send(rig, 60 * minute, device, 60 * minute, number);
        }
    }
    rig.tick(60 * minutes);
}

#[test]
fn the_oldest_merge_first_and_the_order_stays() {
    let mut rig = Rig::new(plan());
    minutes(&mut rig, 8, 2);
    assert_eq!(rig.roll_up(1), 2, "no more than is asked for");
    assert_eq!(rig.roll_up(u64::MAX), 14, "then all that merge at this width");
    rig = rig.restart();
    assert_eq!(rig.roll_up(u64::MAX), 8, "then at twice that");
    let ids: Vec<_> =
        rig.all().iter().map(|w| w.id.replace("minute/t/", "").replace("2026-11-22T", "")).collect();
    let expected =
        ["d0/10:00:00Z/240s/r0", "d1/10:00:00Z/240s/r0", "d0/10:04:00Z/240s/r0", "d1/10:04:00Z/240s/r0"];
    assert_eq!(ids, expected);
    let counts = rig.store.shared().outputs()["out"].counts.clone();
    assert_eq!((counts.made, counts.merged, counts.queued()), (16 + 8 + 4, 24, 4));
    assert_eq!(rig.roll_up(u64::MAX), 4);
    assert_eq!(rig.roll_up(u64::MAX), 0, "one window each is the end");
    assert!(rig.store.roll_up(1).unwrap().spent);
}

#[test]
fn across_a_gap_only_where_windows_go_in_turn() {
    let made = |out_of_turn: &[&str]| {
        let mut rig = Rig::new(plan());
        for (number, minute) in [0, 1, 4, 5].into_iter().enumerate() {
            send(&mut rig, 60 * minute, 0, 60 * minute, number as u64 + 1);
        }
        rig.tick(600);
        rig.store.set_out_of_turn(idle(out_of_turn));
        while rig.roll_up(u64::MAX) > 0 {}
        let ids = rig.all().into_iter().map(|event| event.id.replace("minute/t/d0/2026-11-22T", ""));
        ids.collect::<Vec<_>>()
    };
    assert_eq!(made(&["other"]), ["10:00:00Z/360s/r0"]);
    assert_eq!(made(&["out"]), ["10:00:00Z/120s/r0", "10:04:00Z/120s/r0"], "it may have been sent");
}

/// The same where the newest is sent first, so that no cursor tells what may be under way.
#[test]
fn what_was_allowed_out_of_turn_and_merged_meanwhile() {
    let mut rig = Rig::new(plan());
    minutes(&mut rig, 4, 1);
    rig.store.set_out_of_turn(idle(&["out"]));
    let allow = |commit: &mut Commit| {
        commit.allow.insert("out".into(), vec![(1, 0), (1, 3)]);
    };
    rig.with(240, allow);
    let look = |rig: &Rig, before: &[u64]| {
        rig.store.shared().newest("out", &Wanted::first(9, usize::MAX), before).unwrap().found
    };
    let under_way = look(&rig, &[0]);
    assert_eq!(under_way.len(), 2);
    rig.roll_up(u64::MAX);
    // As after a commit that failed: the answers outlive what the store had in memory.
    rig.store.reopen().unwrap();
    let merged = look(&rig, &[0]);
    let replaces = |waiting: &Waiting| {
        let event: serde_json::Value = serde_json::from_slice(&waiting.event).unwrap();
        event["data"]["replaces"].as_array().unwrap().len()
    };
    // Of the second pair the later one may have been sent, but the merged one stands at the place of the earlier.
    assert_eq!(merged.iter().map(replaces).collect::<Vec<_>>(), [1]);
    rig.with(300, |commit| commit.settled.extend(under_way.iter().map(settled)));
    assert_eq!(look(&rig, &[0]), merged, "the merged one waits all the same");
    let all = rig.all();
    assert_eq!(all.iter().map(replaces).collect::<Vec<_>>(), [1, 1]);
    rig.with(300, |commit| commit.settled.extend(all.iter().map(settled)));
    assert!(rig.all().is_empty());
}

/// What was under way when it was merged: an answer to it settles it, and not the merged one that has its place.
#[test]
fn an_answer_to_what_was_merged_meanwhile() {
    let mut rig = Rig::new(plan());
    minutes(&mut rig, 4, 1);
    let under_way = rig.all();
    assert_eq!(under_way.len(), 4);
    rig.roll_up(u64::MAX);
    let merged = rig.all();
    let replaces = |waiting: &Waiting| {
        let event: serde_json::Value = serde_json::from_slice(&waiting.event).unwrap();
        event["data"]["replaces"].as_array().unwrap().len()
    };
    assert_eq!(merged.iter().map(replaces).collect::<Vec<_>>(), [2, 2], "the function may have them");
    // As after a commit that was written although it failed: the answers outlive what the store had in memory.
    rig = rig.restart();
    rig.with(300, |commit| commit.settled.extend(under_way.iter().map(settled)));
    assert_eq!(rig.all(), merged, "the merged ones wait all the same");
    rig.with(300, |commit| commit.settled.extend(merged.iter().map(settled)));
    assert_eq!(rig.all(), []);
    let counts = rig.store.shared().outputs()["out"].counts.clone();
    assert_eq!((counts.made, counts.merged, counts.delivered), (6, 4, 2));
}

#[test]
fn dropping_is_counted_and_late_readings_tell_nothing_of_it() {
    let mut rig = Rig::new(plan());
    minutes(&mut rig, 4, 1);
    send(&mut rig, 250, 0, 245, 100);
    let shed = rig.store.drop_oldest(1, true).unwrap();
    assert_eq!((shed.events, shed.spent), (1, false));
    assert!(shed.bytes > 100, "{shed:?}");
    rig.check_accounts();
    send(&mut rig, 260, 0, 5, 101);
    rig.tick(400);
    let waiting = rig.all();
    assert!(waiting.iter().all(|waiting| !waiting.id.contains("10:00:00")), "{waiting:?}");
    let shed = rig.store.drop_oldest(u64::MAX, true).unwrap();
    assert_eq!(shed.events, 4);
    assert!(rig.store.drop_oldest(1, true).unwrap().spent);
    let counts = rig.store.shared().outputs()["out"].counts.clone();
    assert_eq!((counts.made, counts.dropped["full"], counts.queued()), (5, 5, 0));
}

/// Windows that never merge are dropped last, and only they.
#[test]
fn windows_of_readings_are_dropped_where_nothing_merges() {
    let mut plan = plan();
    let mut counting = plan.summaries[0].clone();
    counting.name = "ten".into();
    counting.window = Window::Count { readings: 1 };
    plan.summaries.push(counting);
    let mut rig = Rig::new(plan);
    minutes(&mut rig, 2, 1);
    rig.tick(300);
    assert_eq!(rig.all().len(), 4);
    assert_eq!(rig.roll_up(u64::MAX), 2);
    assert!(rig.store.roll_up(u64::MAX).unwrap().spent);
    assert_eq!(rig.store.drop_oldest(u64::MAX, false).unwrap().events, 2);
    assert!(rig.store.drop_oldest(u64::MAX, false).unwrap().spent);
    let ids: Vec<_> = rig.all().into_iter().map(|waiting| waiting.id).collect();
    assert_eq!(ids, ["minute/t/d0/2026-11-22T10:00:00Z/120s/r0"]);
}

/// A changed configuration and a forgotten series take nothing from what waits: it merges as it was defined.
#[test]
fn what_waits_merges_though_its_summary_is_gone() {
    let mut rig = Rig::new(plan());
    minutes(&mut rig, 2, 1);
    let mut other = plan();
    other.summaries[0].name = "other".into();
    tidegate::ingest::change::put_in_force(&mut rig.store, &mut rig.pipeline, other.clone(), at(120), None)
        .unwrap();
    assert_eq!(rig.roll_up(u64::MAX), 2);
    assert_eq!(rig.ids("out").len() + rig.all().len(), 1);
    let waiting = rig.all();
    assert_eq!(waiting[0].id, "minute/t/d0/2026-11-22T10:00:00Z/120s/r0");
    // Once it is delivered nothing is kept of its definition.
    rig.with(200, |commit| commit.settled.extend(waiting.iter().map(settled)));
    let before = rig.store.live_bytes();
    rig.tick(100_000);
    send(&mut rig, 100_000, 0, 100_000, 100);
    for secs in [200_000, 300_000] {
        rig.tick(secs);
        rig.store.checkpoint_now(&rig.pipeline).unwrap();
    }
    let waiting = rig.all();
    rig.with(300_000, |commit| commit.settled.extend(waiting.iter().map(settled)));
    assert!(rig.store.live_bytes() <= before + 400, "{} {before}", rig.store.live_bytes());
}

/// One random story: whatever happens, a function holds each reading once.
fn story(seed: u64, plan: &Plan) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::new(plan.clone());
    rig.store.checkpoint_from(1);
    let (mut function, mut under_way, mut sent) = (Function::default(), Vec::new(), 0);
    let mut secs = 0;
    for _ in 0..120 {
        secs += random.i64(0..40);
        match random.u8(0..12) {
            // A reading, now and then a late one.
            0..=5 => {
                let time = if random.u8(0..4) == 0 { secs - random.i64(0..900) } else { secs };
                sent += 1;
                let topic = format!("s/d{}/t", random.u8(0..2));
                let payload = payload(1, time, sent);
                rig.commit(
                    secs,
                    |step| step.message(&message(secs, &topic, &payload)),
                    |commit| {
                        if random.bool() {
                            commit.waiting = idle(&["out"]);
                        }
                    },
                )
                .unwrap();
            }
            // Something is sent, and perhaps arrives.
            6 | 7 => {
                rig.with(secs, |commit| {
                    commit.reach.insert("out".into(), 3);
                });
                under_way = rig.waiting("out");
                under_way.truncate(random.usize(0..4));
                if random.bool() {
                    under_way.iter().for_each(|waiting| function.take(waiting));
                } else {
                    under_way.clear();
                }
            }
            // The answer comes; a restart makes sure that it never does.
            8 => {
                let answers = std::mem::take(&mut under_way);
                rig.with(secs, |commit: &mut Commit| commit.settled.extend(answers.iter().map(settled)));
            }
            9 => {
                under_way.clear();
                rig = rig.restart();
                rig.store.checkpoint_from(1);
            }
            _ => {
                rig.roll_up(random.u64(1..4_000));
            }
        }
        rig.check_accounts();
    }
    rig.tick(secs + 100);
    rig.tick(secs + 200);
    rig.all().iter().for_each(|waiting| function.take(waiting));
    let ledger = rig.pipeline.ledger();
    assert_eq!(ledger.counted, sent, "seed {seed}");
    assert_eq!(function.readings(), sent as f64, "seed {seed}: {:?}", function.held);
}

#[test]
fn a_function_holds_each_reading_once() {
    (0..60).for_each(|seed| story(seed, &plan()));
}

/// The same for wide windows, of two outputs one of which is never served.
#[test]
fn two_outputs_that_have_different_parts() {
    let mut plan = plan();
    plan.outputs.push("other".into());
    plan.summaries[0].to = vec![0, 1];
    plan.summaries[0].window = Window::Tumbling { length: Span::from_secs(30) };
    (1_000..1_020).for_each(|seed| story(seed, &plan));
}
