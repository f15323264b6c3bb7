//! Outboxes: superseding, the attempted cursor, settling, refusing, requeueing, dropping; and what is forgotten when.

use crate::rig::{Rig, at, idle, plain};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate::forward::outbox::{Ask, Lane, Of, Outbox};
use tidegate::ingest::intake::Intake;
use tidegate::ingest::mailbox::Mailbox;
use tidegate::store::{
    Backwards, Commit, Fate, Letter, LetterRequest, OutputCounts, Part, Settlement, Waiting, Wanted,
};
use tidegate::wiring::outbox::StoreOutbox;
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::plan::Plan;

fn settled(output: &str, event: &Waiting, fate: Fate) -> Settlement {
    let Waiting { priority, sequence, id, .. } = event.clone();
    Settlement { output: output.into(), priority, sequence, id, fate }
}

fn counts(rig: &Rig, output: &str) -> OutputCounts {
    rig.store.shared().outputs()[output].counts.clone()
}

/// One window for each device, closed and queued.
fn closed(devices: &[&str], more: impl FnOnce(&mut Commit)) -> Rig {
    let mut rig = Rig::new(plain());
    devices.iter().for_each(|device| rig.send(0, device, 1, 0));
    rig.with(60, more);
    rig
}

fn reach(commit: &mut Commit) {
    commit.reach.insert("out".into(), 512);
}

#[test]
fn nothing_is_sent_that_is_not_marked_as_attempted() {
    let mut rig = closed(&["d1", "d2"], |_| {});
    assert!(rig.waiting("out").is_empty() && rig.store.shared().has_unreached("out"));
    rig.with(60, |commit| assert_eq!(commit.reach.insert("out".into(), 1), None));
    assert_eq!(rig.ids("out"), ["d1/10:00:00Z/60s/r0"]);
    rig.with(60, reach);
    assert_eq!(rig.ids("out"), ["d1/10:00:00Z/60s/r0", "d2/10:00:00Z/60s/r0"]);
    assert!(!rig.store.shared().has_unreached("out"));
    let mut rig = closed(&["d1"], |commit| commit.waiting = idle(&["out"]));
    assert_eq!(rig.ids("out"), ["d1/10:00:00Z/60s/r0"], "whoever waits is given it at once");
}

#[test]
fn limits_of_a_batch() {
    let mut rig = closed(&["d1", "d2", "d3"], |commit| commit.waiting = idle(&["out"]));
    let all = rig.waiting("out");
    let take = |events, bytes| {
        let wanted = Wanted::first(events, bytes);
        rig.store.shared().waiting("out", &wanted).unwrap().len()
    };
    assert_eq!((take(2, usize::MAX), take(9, 1), take(9, 2 * all[0].event.len())), (2, 1, 2));
    let skip = |_: u8, sequence: u64| sequence == all[0].sequence;
    assert_eq!(
        rig.store
            .shared()
            .waiting("out", &Wanted { part: Part::All, skip: &skip, events: 9, bytes: usize::MAX })
            .unwrap()[0]
            .id,
        all[1].id
    );
}

#[test]
fn all_windows_of_a_series_are_in_one_lane() {
    let devices = ["d1", "d2", "d3", "d4", "d5", "d6"];
    let mut rig = closed(&devices, reach);
    devices.iter().for_each(|device| rig.send(61, device, 1, 60));
    rig.with(120, reach);
    let lanes: Vec<BTreeSet<String>> = (0..3)
        .map(|number| {
            let part = Part::Share { number, of: 3 };
            let waiting = rig.store.shared().waiting("out", &Wanted { part, ..Wanted::first(100, 1 << 20) });
            waiting.unwrap().into_iter().map(|event| event.id).collect()
        })
        .collect();
    assert_eq!(lanes.iter().map(BTreeSet::len).sum::<usize>(), 12);
    for device in devices {
        let has = |lane: &&BTreeSet<String>| lane.iter().any(|id| id.contains(&format!("/{device}/")));
        let own: Vec<_> = lanes.iter().filter(has).collect();
        assert_eq!(own.len(), 1, "{device} in {lanes:?}");
    }
    assert!(lanes.iter().filter(|lane| !lane.is_empty()).count() > 1, "{lanes:?}");
}

#[test]
fn a_lane_without_series_does_not_ask_for_more_and_more() {
    let mut rig = Rig::new(plain());
    for minute in 0..3_000 {
        rig.send(60 * minute, "d1", 1, 60 * minute);
        rig.with(60 * (minute + 1), |_| {});
    }
    let mailbox = Mailbox::new(Intake::new(1_000, 1 << 20));
    let outbox = StoreOutbox::new("out", Arc::clone(rig.store.shared()), Arc::clone(&mailbox));
    let except = BTreeSet::new();
    for _ in 0..20 {
        for number in 0..2 {
            let of = Of::Lane(Lane { number, of: 2 });
            outbox
                .next(&Ask { of, except: &except, events: 100, bytes: 1 << 20, newest_after: None })
                .unwrap();
        }
        let (mail, _) = mailbox.take();
        rig.with(200_000, |commit| commit.reach = mail.reach);
    }
    let attempted = rig.store.shared().outputs()["out"].attempted[1];
    assert!((400..1_300).contains(&attempted), "{attempted} of 3,000 may be sent");
}

/// What an output that begins with the newest is given, by device and revision, and what it asks to be allowed.
fn newest(rig: &Rig, events: usize, before: &[u64]) -> (Vec<String>, Vec<(u8, u64)>) {
    let (found, locked) = backwards(rig, events, before);
    let name = |event: Waiting| format!("{}/{}", &event.id[9..11], event.id.rsplit('/').next().unwrap());
    (found.into_iter().map(name).collect(), locked)
}

fn backwards(rig: &Rig, events: usize, before: &[u64]) -> (Vec<Waiting>, Vec<(u8, u64)>) {
    let wanted = Wanted::first(events, usize::MAX);
    let Backwards { found, locked } = rig.store.shared().newest("out", &wanted, before).unwrap();
    (found, locked)
}

#[test]
fn the_newest_are_allowed_without_the_older_ones() {
    let mut rig = closed(&["d1", "d2", "d3"], |_| {});
    let (found, locked) = newest(&rig, 2, &[]);
    assert_eq!((found.len(), &locked[..]), (0, &[(1, 2), (1, 1), (1, 0)][..]), "nothing is allowed yet");
    let allow = |rig: &mut Rig, places: Vec<(u8, u64)>| {
        rig.with(60, |commit| assert_eq!(commit.allow.insert("out".into(), places), None));
    };
    allow(&mut rig, vec![(1, 2)]);
    let (found, locked) = newest(&rig, 2, &[]);
    assert_eq!((found, locked), (vec!["d3/r0".into()], vec![(1, 1), (1, 0)]));
    assert!(rig.waiting("out").is_empty(), "the cursor has not moved");
    allow(&mut rig, vec![(1, 0)]);
    assert_eq!(newest(&rig, 2, &[]).0, ["d3/r0"], "nothing older than what is not allowed yet");
    assert_eq!(newest(&rig, 2, &[0]).0, ["d1/r0", "d3/r0"], "but for what comes first");
    rig = rig.restart();
    allow(&mut rig, vec![(1, 1), (1, 9)]);
    assert_eq!(newest(&rig, 9, &[]).0, ["d3/r0", "d2/r0", "d1/r0"]);
    // What may have been sent is not superseded in place.
    rig.send(61, "d1", 2, 30);
    rig.with(61, |_| {});
    let (_, locked) = newest(&rig, 9, &[]);
    assert_eq!(locked, [(1, 3)], "its next revision stands behind the others");
    // And whoever has nothing to send is given the next at once, though the cursor is far behind.
    allow(&mut rig, vec![(1, 3)]);
    let (all, _) = backwards(&rig, 9, &[]);
    assert_eq!(all.len(), 3);
    rig.with(61, |commit| commit.settled.extend(all.iter().map(|one| settled("out", one, Fate::Delivered))));
    rig.send(62, "d2", 3, 62);
    rig.with(120, |commit| commit.waiting = idle(&["out"]));
    assert_eq!(newest(&rig, 9, &[]).0, ["d2/r0"]);
}

#[test]
fn a_revision_that_was_not_sent_is_superseded_in_place() {
    let mut rig = closed(&["d1", "d2"], |_| {});
    rig.send(61, "d1", 2, 30);
    rig.with(61, reach);
    assert_eq!(rig.ids("out"), ["d1/10:00:00Z/60s/r1", "d2/10:00:00Z/60s/r0"]);
    let OutputCounts { made, superseded, .. } = counts(&rig, "out");
    assert_eq!((made, superseded), (3, 1));
    rig.check_accounts();
}

#[test]
fn a_revision_that_may_have_been_sent_is_superseded_behind() {
    let mut rig = closed(&["d1", "d2"], reach);
    let first = rig.waiting("out").remove(0);
    rig.send(61, "d1", 2, 30);
    rig.with(61, reach);
    assert_eq!(rig.ids("out"), ["d2/10:00:00Z/60s/r0", "d1/10:00:00Z/60s/r1"]);
    // The answer to the first comes late: it is settled as superseded already.
    rig.with(62, |commit| commit.settled.push(settled("out", &first, Fate::Delivered)));
    let OutputCounts { made, superseded, delivered, .. } = counts(&rig, "out");
    assert_eq!((made, superseded, delivered), (3, 1, 0));
    let mut rig = rig.restart();
    assert_eq!(rig.ids("out").len(), 2);
}

#[test]
fn what_is_settled_with_its_next_revision_was_delivered() {
    let mut rig = closed(&["d1"], reach);
    let first = rig.waiting("out").remove(0);
    let payload = crate::rig::payload(2, 30, 0);
    let message = crate::rig::message(61, "s/d1/t", &payload);
    let settle = |commit: &mut Commit| commit.settled.push(settled("out", &first, Fate::Delivered));
    rig.commit(61, |step| step.message(&message), settle).unwrap();
    let OutputCounts { made, superseded, delivered, .. } = counts(&rig, "out");
    assert_eq!((made, superseded, delivered), (2, 0, 1));
    assert_eq!(rig.reached(61, "out").len(), 1);
}

#[test]
fn settling_twice_counts_once() {
    let mut rig = closed(&["d1", "d2"], reach);
    let events = rig.waiting("out");
    for _ in 0..2 {
        rig.with(62, |commit| commit.settled.push(settled("out", &events[0], Fate::Delivered)));
    }
    rig.with(62, |commit| {
        commit.settled.push(settled("out", &events[1], Fate::Delivered));
        commit.settled.push(settled("out", &events[1], Fate::Refused("no".into())));
        commit.settled.push(settled("nobody", &events[1], Fate::Delivered));
    });
    let OutputCounts { delivered, refused, .. } = counts(&rig, "out");
    assert_eq!((delivered, refused, rig.store.shared().counts().unwrap()), (2, 0, (0, 0)));
}

#[test]
fn a_refused_event_becomes_a_letter_and_can_be_sent_again() {
    let mut rig = closed(&["d1"], reach);
    let event = rig.waiting("out").remove(0);
    rig.with(62, |commit| commit.settled.push(settled("out", &event, Fate::Refused("bad".into()))));
    let (number, letter) = rig.store.shared().letters(0, 10).unwrap().remove(0);
    let expected = Letter::Event {
        output: "out".into(),
        id: event.id.clone(),
        event: event.event.clone(),
        why: "bad".into(),
        at: at(62),
        queued: false,
    };
    assert_eq!((letter, counts(&rig, "out").refused), (expected, 1));
    for _ in 0..2 {
        rig.with(63, |commit| commit.letters.push(LetterRequest::Requeue(number)));
    }
    rig.with(63, |commit| commit.letters.push(LetterRequest::Drop(number)));
    let again = rig.reached(63, "out");
    assert_eq!((again.len(), &again[0].event, counts(&rig, "out").refused), (1, &event.event, 0));
    rig.with(64, |commit| commit.settled.push(settled("out", &again[0], Fate::Refused("still".into()))));
    rig.with(65, |commit| commit.letters.push(LetterRequest::Requeue(number)));
    let mut rig = rig.restart();
    let again = rig.reached(66, "out");
    rig.with(66, |commit| commit.settled.push(settled("out", &again[0], Fate::Delivered)));
    let OutputCounts { made, delivered, refused, .. } = counts(&rig, "out");
    assert_eq!((made, delivered, refused, rig.store.shared().counts().unwrap()), (1, 1, 0, (0, 0)));
}

/// What one output refuses is a dead letter with all its bytes, though the other took it in the same transaction and nothing
/// keeps it any more.
#[test]
fn two_outputs_settle_at_once() {
    for refused_first in [true, false] {
        let mut plan = Plan { outputs: vec!["out".into(), "other".into()], ..plain() };
        plan.summaries[0].to = vec![0, 1];
        let mut rig = Rig::new(plan);
        rig.send(0, "d1", 1, 0);
        rig.with(60, |commit| commit.waiting = idle(&["out", "other"]));
        later(&mut rig, 4_000);
        let event = rig.waiting("out").remove(0);
        assert_eq!(rig.waiting("other")[0].id, event.id);
        let mut both = vec![
            settled("out", &event, Fate::Refused("no".into())),
            settled("other", &event, Fate::Delivered),
        ];
        if !refused_first {
            both.reverse();
        }
        rig.with(4_100, |commit| commit.settled = both);
        assert!(!is_kept(&rig, 60));
        let (_, letter) = rig.store.shared().letters(0, 10).unwrap().remove(0);
        assert!(
            matches!(&letter, Letter::Event { event: bytes, .. } if *bytes == event.event),
            "{refused_first}: {letter:?}"
        );
    }
}

#[test]
fn a_dropped_output_is_accounted_for() {
    let mut rig = closed(&["d1", "d2", "d3"], reach);
    let events = rig.waiting("out");
    rig.with(62, |commit| {
        commit.settled.push(settled("out", &events[0], Fate::Delivered));
        commit.settled.push(settled("out", &events[1], Fate::Refused("no".into())));
    });
    let number = rig.store.shared().letters(0, 10).unwrap()[0].0;
    rig.with(63, |commit| commit.letters.push(LetterRequest::Requeue(number)));
    rig.with(64, |commit| commit.drop_outputs = vec!["out".into(), "nobody".into()]);
    let OutputCounts { made, delivered, dropped, .. } = counts(&rig, "out");
    assert_eq!((made, delivered, dropped["output_removed"]), (3, 1, 2));
    assert!(matches!(rig.store.shared().letter(number).unwrap(), Some(Letter::Event { queued: false, .. })));
    rig.restart().check_accounts();
}

fn is_kept(rig: &Rig, end: i64) -> bool {
    let key = ClosedKey { end: at(end), group: 0 };
    !rig.store.shared().load(&[key]).unwrap().is_empty()
}

/// What forgets windows is a step with something in it.
fn later(rig: &mut Rig, secs: i64) {
    rig.send(secs, "other", 1, secs);
}

#[test]
fn a_window_is_forgotten_when_nobody_can_want_it() {
    let mut rig = closed(&["d1"], reach);
    let event = rig.waiting("out").remove(0);
    later(&mut rig, 3_599);
    assert!(is_kept(&rig, 60), "it can be amended");
    later(&mut rig, 4_000);
    assert!(is_kept(&rig, 60), "it waits to be delivered");
    let mut rig = rig.restart();
    later(&mut rig, 4_100);
    assert_eq!(rig.waiting("out")[0].event, event.event);
    rig.with(4_200, |commit| commit.settled.push(settled("out", &event, Fate::Delivered)));
    assert!(!is_kept(&rig, 60));
    assert_eq!(rig.waiting("out").len(), 0, "what came later is not reached");
    let mut rig = closed(&["d1"], reach);
    rig.with(61, |commit| commit.settled.push(settled("out", &event, Fate::Delivered)));
    assert!(is_kept(&rig, 60));
    later(&mut rig, 4_000);
    assert!(!is_kept(&rig, 60));
}

#[test]
fn a_window_of_a_dropped_output_is_forgotten() {
    let mut rig = closed(&["d1"], reach);
    later(&mut rig, 4_000);
    rig.with(4_001, |commit| commit.drop_outputs = vec!["out".into()]);
    assert!(!is_kept(&rig, 60));
}

/// An output that a summary is not sent to any more keeps what it was sent before.
#[test]
fn what_waits_for_a_former_output_is_not_forgotten() {
    let mut rig = closed(&["d1"], reach);
    let mut plan = plain();
    plan.outputs = vec!["new".into()];
    tidegate::ingest::change::put_in_force(
        &mut rig.store,
        &mut rig.pipeline,
        plan,
        tidegate::clock::Clock.now(),
        None,
    )
    .unwrap();
    rig.send(62, "d1", 2, 30);
    later(&mut rig, 4_000);
    let new = rig.reached(4_000, "new");
    rig.with(4_001, |commit| commit.settled.push(settled("new", &new[0], Fate::Delivered)));
    assert!(is_kept(&rig, 60));
    assert_eq!(rig.waiting("out").len(), 1, "it can still be delivered");
}

/// More windows that end together than are looked at in one transaction, none of which may go, hold up no others.
#[test]
fn collecting_goes_on() {
    let mut rig = Rig::new(plain());
    let fill = |rig: &mut Rig, from: i64| {
        let payload = crate::rig::payload(1, from, 0);
        let topics: Vec<_> = (0..5_100).map(|n| format!("s/d{n}/t")).collect();
        let send = |step: &mut tidegate_pipeline::Step<'_>| {
            topics.iter().for_each(|topic| step.message(&crate::rig::message(from, topic, &payload)));
        };
        rig.commit(from, send, |_| {}).unwrap();
        rig.with(from + 60, |_| {});
    };
    fill(&mut rig, 0);
    rig.send(60, "d0", 1, 60);
    rig.tick(120);
    // Only the one window of the second minute is delivered.
    for _ in 0..12 {
        rig.with(121, |commit| assert_eq!(commit.reach.insert("out".into(), 512), None));
    }
    let last = rig.waiting("out").pop().unwrap();
    assert!(last.id.contains("10:01:00Z"), "{}", last.id);
    rig.with(122, |commit| commit.settled.push(settled("out", &last, Fate::Delivered)));
    for secs in [4_000, 4_001, 4_002] {
        rig.send(secs, "d0", 1, secs);
    }
    assert!(is_kept(&rig, 60) && !is_kept(&rig, 120));
}
