//! Clocks that are wrong: held and re-based, given up on, stepped. Promise 7.

use super::world::{TEN, World, at, plan};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidegate_pipeline::clock::{ClockNow, Mode};
use tidegate_pipeline::limits::{CLOSINGS_PER_STEP_MAX, HELD_BYTES_MAX, HELD_RELEASE_MAX};
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{Plan, Window};
use tidegate_pipeline::time::{Span, Time};
use tidegate_pipeline::verdict::Reason;
use tidegate_pipeline::{Pipeline, Step, journal};

/// The machine started at ten o'clock.
const RIGHT: Span = Span::from_millis(TEN);
const HOUR: f64 = 3_600.0;
const WEEK: f64 = 7.0 * 24.0 * HOUR;

/// The clock of one boot.
#[derive(Clone, Copy)]
struct Machine {
    boot: u64,
    /// How far the system's clock is from right, in seconds.
    error: f64,
    trusted: bool,
}

const GOOD: Machine = Machine { boot: 1, error: 0.0, trusted: true };
/// Nobody vouches for it, and it lives in 1970.
const LOST: Machine = Machine { boot: 1, error: -(TEN as f64) / 1_000.0, trusted: false };

impl Machine {
    fn at(self, up: f64) -> ClockNow {
        let offset = Span(RIGHT.0 + span(self.error).0);
        ClockNow { up: span(up), offset, trusted: self.trusted, boot: self.boot }
    }
}

fn span(secs: f64) -> Span {
    #[expect(clippy::cast_possible_truncation, reason = "tests stay near")]
    Span::from_millis((secs * 1_000.0).round() as i64)
}

/// Readings without a time of their own.
fn by_arrival() -> Plan {
    let mut plan = plan();
    plan.streams[0].time = None;
    plan.summaries[0].lateness = Span::ZERO;
    plan
}

fn message<'m>(arrival: Time, topic: &'m str, payload: &'m str) -> Message<'m> {
    let (topic, payload) = (topic.as_bytes(), payload.as_bytes());
    Message {
        source: 0,
        session: "broker",
        topic,
        payload,
        retained: false,
        acknowledged: true,
        may_repeat: true,
        arrival,
    }
}

/// Sends values at an uptime, which is known only to the machine.
fn send(world: &mut World, machine: Machine, up: f64, values: &[f64]) {
    let now = machine.at(up);
    let texts: Vec<_> = values.iter().map(|value| format!(r#"{{"v":{value},"n":{up}}}"#)).collect();
    world.at(&now, |step| {
        texts.iter().for_each(|text| step.message(&message(now.now(), "s/d/t", text)));
    });
}

fn tick(world: &mut World, machine: Machine, up: f64) {
    world.at(&machine.at(up), |_| {});
}

/// Counted, and pending because held.
fn account(world: &World) -> (u64, u64) {
    (world.pipeline.ledger().counted, world.pipeline.state().held.readings())
}

fn groups(world: &World) -> usize {
    world.pipeline.state().groups.iter().filter(|numbered| !numbered.group.is_vacant()).count()
}

/// What was sent, as key and count, without what all keys share.
fn keys(world: &World) -> Vec<String> {
    let short = |line: &String| line.replace("minute/t/d/", "").replace("/60s", "");
    world.lines().iter().map(short).collect()
}

#[test]
fn what_is_held_gets_its_right_time() {
    let mut world = World::new(by_arrival());
    send(&mut world, LOST, 5.0, &[1.0, 2.0]);
    send(&mut world, LOST, 65.0, &[4.0]);
    tick(&mut world, LOST, 200.0);
    assert_eq!(
        (account(&world), world.closed.len()),
        ((0, 3), 0),
        "held, counted as pending, nothing closes"
    );
    send(&mut world, GOOD, 210.0, &[8.0]);
    assert_eq!(account(&world), (4, 0));
    tick(&mut world, GOOD, 240.0);
    assert_eq!(keys(&world), ["10:00:00Z/r0 2 3", "10:01:00Z/r0 1 4", "10:03:00Z/r0 1 8"]);
    assert_eq!(world.json(0)["data"]["clock"], "synchronised");
}

/// What is known of repeated messages is known of held ones, too, and survives a restart before they are read.
#[test]
fn what_is_held_is_new_or_again_as_it_was_when_it_came() {
    let send = |world: &mut World, up: f64, settled: Option<u32>, may_repeat: bool| {
        let now = LOST.at(up);
        world.at(&now, |step| {
            step.opened(0, "broker", 10);
            step.message(&Message { may_repeat, ..message(now.now(), "s/d/t", r#"{"v":1}"#) });
            settled.into_iter().for_each(|but| step.settled(0, "broker", but));
        });
    };
    for (settled, may_repeat, counted) in
        [(None, true, 1), (None, false, 2), (Some(0), true, 2), (Some(1), true, 1)]
    {
        let mut world = World::new(by_arrival());
        send(&mut world, 1.0, settled, true);
        send(&mut world, 2.0, settled, may_repeat);
        assert_eq!(account(&world), (0, 2));
        tick(&mut world, GOOD, 10.0);
        assert_eq!(account(&world), (counted, 0), "{settled:?} {may_repeat}");
    }
}

#[test]
fn a_time_stamp_is_judged_by_the_right_time() {
    let mut world = World::new(plan());
    let now = LOST.at(1.0);
    let texts = [30.0, 250.0, 400.0].map(|secs| super::world::payload(1.0, secs));
    world.at(&now, |step| texts.iter().for_each(|text| step.message(&message(now.now(), "s/d/t", text))));
    tick(&mut world, GOOD, 20.0);
    let ledger = world.pipeline.ledger();
    assert_eq!((ledger.counted, ledger.under(Reason::Future)), (2, 1));
}

/// What a lost clock held before a restart is judged by the right one: readings with a time of their own are counted, apart. Broken
/// by: asking the clock of before what is in the future.
#[test]
fn what_a_lost_clock_held_is_judged_by_the_right_one() {
    let texts = [30.0, 50.0].map(|secs| super::world::payload(1.0, secs));
    let send = |world: &mut World, machine: Machine, up: f64| {
        let now = machine.at(up);
        world.at(&now, |step| texts.iter().for_each(|text| step.message(&message(now.now(), "s/d/t", text))));
    };
    let mut world = World::new(plan());
    send(&mut world, LOST, 1.0);
    tick(&mut world, Machine { boot: 2, ..GOOD }, 100.0);
    assert_eq!((account(&world), world.pipeline.ledger().rejected.len()), ((2, 0), 0));
    assert_eq!(keys(&world), ["u1/2026-11-22T10:00:00Z/r0 2 2".replace("2026-11-22T", "")]);
}

/// The clock was weeks ahead when the power went: what was stamped by it does not wait for those weeks. Broken by: taking
/// the start of a machine for time that has passed, always.
#[test]
fn weeks_ahead_before_a_restart() {
    for lost_first in [false, true] {
        let mut world = World::new(by_arrival());
        send(&mut world, Machine { error: WEEK, ..GOOD }, 5.0, &[1.0, 2.0]);
        let next = Machine { boot: 2, ..GOOD };
        if lost_first {
            tick(&mut world, Machine { boot: 2, ..LOST }, 1.0);
        }
        send(&mut world, next, 60.0, &[4.0]);
        tick(&mut world, next, 200.0);
        assert_eq!(world.pipeline.open_windows(), 0, "{lost_first}");
        assert_eq!(world.closed.len(), 2, "{lost_first}");
    }
}

#[test]
fn holding_ends_when_it_takes_too_long() {
    let mut world = World::new(by_arrival());
    send(&mut world, LOST, 5.0, &[1.0, 2.0]);
    tick(&mut world, LOST, 604.0);
    assert_eq!(account(&world), (0, 2));
    send(&mut world, LOST, 606.0, &[4.0]);
    assert_eq!(account(&world), (3, 0));
    tick(&mut world, LOST, 700.0);
    // The key says that the time is not known, and so does the event.
    assert_eq!(keys(&world), ["u1/1970-01-01T00:00:00Z/r0 2 3", "u1/1970-01-01T00:10:00Z/r0 1 4"]);
    assert_eq!(world.json(0)["data"]["clock"], "unsynchronised");
    assert_eq!(world.json(0)["subject"], "minute/t/d");
    // Then somebody vouches: what is open closes under its own key, and from here on keys are as usual.
    send(&mut world, LOST, 710.0, &[8.0]);
    send(&mut world, GOOD, 715.0, &[16.0]);
    tick(&mut world, GOOD, 720.0);
    assert_eq!(keys(&world)[2..], ["u1/1970-01-01T00:11:00Z/r0 1 8", "10:11:00Z/r0 1 16"]);
    assert_eq!(groups(&world), 1, "groups of the epoch are gone");
}

#[test]
fn holding_ends_when_it_takes_too_much() {
    let mut world = World::new(by_arrival());
    let now = LOST.at(1.0);
    let payload = format!(r#"{{"v":1,"x":"{}"}}"#, "x".repeat(1_000_000));
    for _ in 0..8 {
        world.at(&now, |step| step.message(&message(now.now(), "s/d/t", &payload)));
        assert_eq!(world.pipeline.state().clock.mode, Mode::Holding { since: span(1.0) });
    }
    world.at(&now, |step| step.message(&message(now.now(), "s/d/t", &payload)));
    assert!(world.pipeline.state().held.bytes() >= HELD_BYTES_MAX);
    tick(&mut world, LOST, 2.0);
    assert_eq!(world.pipeline.state().clock.mode, Mode::Unsynchronised);
    assert_eq!((account(&world), world.pipeline.state().held.bytes()), ((9, 0), 0));
}

#[test]
fn much_is_released_in_portions() {
    let mut world = World::new(by_arrival());
    let count = 2 * u64::from(HELD_RELEASE_MAX) + 1;
    let (before, texts) = (world.entries.len(), (0..count).map(|n| format!(r#"{{"v":1,"n":{n}}}"#)));
    for (n, text) in texts.enumerate() {
        let now = LOST.at(n as f64 / 100.0);
        world.at(&now, |step| step.message(&message(now.now(), "s/d/t", &text)));
    }
    tick(&mut world, GOOD, 100.0);
    assert_eq!(account(&world), (count, 0));
    let released: Vec<_> = world.entries[before..].iter().map(|e| e.released).filter(|n| *n > 0).collect();
    assert_eq!(released, [HELD_RELEASE_MAX, HELD_RELEASE_MAX, 1]);
    // Time went on with them: no window was closed before all that belongs to it was read.
    assert_eq!(keys(&world), ["10:00:00Z/r0 6000 6000"]);
}

#[test]
fn a_restart_in_the_same_boot_goes_on_holding() {
    let mut world = World::new(by_arrival());
    send(&mut world, LOST, 5.0, &[1.0]);
    restart(&mut world);
    send(&mut world, LOST, 65.0, &[2.0]);
    restart(&mut world);
    tick(&mut world, GOOD, 120.0);
    assert_eq!(keys(&world), ["10:00:00Z/r0 1 1", "10:01:00Z/r0 1 2"]);
    // Once it was known, it is known for this boot, whatever the kernel says now.
    restart(&mut world);
    send(&mut world, Machine { trusted: false, ..GOOD }, 130.0, &[4.0]);
    assert_eq!(world.pipeline.state().clock.mode, Mode::Synchronised);
}

#[test]
fn what_another_boot_held_keeps_the_best_time_known_then() {
    let mut world = World::new(by_arrival());
    send(&mut world, LOST, 5.0, &[1.0]);
    restart(&mut world);
    let next = |machine| Machine { boot: 2, ..machine };
    send(&mut world, next(LOST), 3.0, &[2.0]);
    assert_eq!(keys(&world), ["u1/1970-01-01T00:00:00Z/r0 1 1"]);
    assert_eq!(account(&world), (1, 1), "this boot's is held");
    tick(&mut world, next(GOOD), 60.0);
    assert_eq!(keys(&world)[1..], ["10:00:00Z/r0 1 2"]);
}

#[test]
fn a_boot_without_time_leaves_open_windows_alone() {
    let mut world = World::new(by_arrival());
    send(&mut world, GOOD, 5.0, &[1.0]);
    let next = |machine| Machine { boot: 2, ..machine };
    // The clock is ahead by a year, and the window is due by it; but who says so?
    let ahead = Machine { error: 52.0 * WEEK, trusted: false, ..next(GOOD) };
    send(&mut world, ahead, 10.0, &[2.0]);
    tick(&mut world, ahead, 300.0);
    assert!(world.closed.is_empty());
    tick(&mut world, next(GOOD), 301.0);
    assert_eq!(keys(&world), ["10:00:00Z/r0 2 3"]);
}

/// More windows than one step closes: the clock changes when all of them are closed. Broken by: noting it with the first.
#[test]
fn a_step_of_the_clock_that_closes_many() {
    const SERIES: usize = 2 * CLOSINGS_PER_STEP_MAX + 1;
    let mut world = World::new(Plan { series_max: 10_000, ..by_arrival() });
    let now = GOOD.at(5.0);
    world.at(&now, |step| {
        for device in 0..SERIES {
            step.message(&message(now.now(), &format!("s/d{device}/t"), r#"{"v":1}"#));
        }
    });
    let before = world.entries.len();
    tick(&mut world, Machine { error: HOUR, ..GOOD }, 6.0);
    let turns = &world.entries[before..];
    assert_eq!(turns.iter().map(|entry| entry.closings.len()).max(), Some(CLOSINGS_PER_STEP_MAX));
    assert_eq!(turns.iter().filter(|entry| entry.clock.is_some()).count(), 1);
    assert_eq!((world.closed.len(), world.pipeline.open_windows()), (SERIES, 0));
    assert!(world.closed.iter().all(|closed| closed.record.start < at(HOUR)), "by the clock of before");
}

/// A step below the lateness is only a better time; one beyond it closes what was stamped by arrival.
#[test]
fn steps_of_a_trusted_clock() {
    let check = |error: f64, timed: bool, expected: &[&str]| {
        let mut plan = by_arrival();
        plan.summaries[0].lateness = Span::from_secs(10);
        if timed {
            plan.streams[0].time = super::world::plan().streams[0].time.clone();
        }
        let mut world = World::new(plan);
        let text = super::world::payload(1.0, 5.0);
        let now = GOOD.at(5.0);
        world.at(&now, |step| step.message(&message(now.now(), "s/d/t", &text)));
        tick(&mut world, Machine { error, ..GOOD }, 6.0);
        assert_eq!(keys(&world), expected, "{error} {timed}");
    };
    check(0.5, false, &[]);
    check(9.0, false, &[]);
    check(-9.0, false, &[]);
    check(11.0, false, &["10:00:00Z/r0 1 1"]);
    check(-11.0, false, &["10:00:00Z/r0 1 1"]);
    check(WEEK, false, &["10:00:00Z/r0 1 1"]);
    check(-WEEK, false, &["10:00:00Z/r0 1 1"]);
    // Its own time says where it belongs: only when the clock says that it is over, it closes.
    check(11.0, true, &[]);
    check(-WEEK, true, &[]);
    check(WEEK, true, &["10:00:00Z/r0 1 1"]);
}

#[test]
fn weeks_ahead_and_back_within_the_hour_lose_nothing() {
    let mut world = World::new(by_arrival());
    send(&mut world, GOOD, 5.0, &[1.0]);
    let ahead = Machine { error: 3.0 * WEEK, ..GOOD };
    send(&mut world, ahead, 10.0, &[2.0]);
    tick(&mut world, ahead, 600.0);
    send(&mut world, GOOD, 605.0, &[4.0]);
    tick(&mut world, GOOD, 700.0);
    let expected = ["10:00:00Z/r0 1 1", "2026-12-13T10:00:00Z/r0 1 2", "10:10:00Z/r0 1 4"];
    assert_eq!(keys(&world), expected);
    assert_eq!(world.pipeline.state().clock.mode, Mode::Synchronised);
}

/// What comes late while the clock is ahead closes soon after it is set back, not when it gets there again.
#[test]
fn what_is_late_goes_along_when_the_clock_is_set_back() {
    let ahead = Machine { error: HOUR / 2.0, ..GOOD };
    let mut world = World::new(plan());
    let late = |world: &mut World, up: f64, secs: f64| {
        let (now, text) = (ahead.at(up), super::world::payload(1.0, secs));
        world.at(&now, |step| step.message(&message(now.now(), "s/d/t", &text)));
    };
    late(&mut world, 10.0, 5.0);
    tick(&mut world, ahead, 25.0);
    assert_eq!(keys(&world), ["10:00:00Z/r0 1 1"], "over, by that clock");
    late(&mut world, 50.0, 6.0);
    tick(&mut world, GOOD, 69.0);
    assert_eq!(world.closed.len(), 1, "its time is not over");
    tick(&mut world, GOOD, 70.0);
    assert_eq!(keys(&world), ["10:00:00Z/r0 1 1", "10:00:00Z/r1 2 2"]);
}

/// Where the clock goes back to a time whose summaries were made, delivered and forgotten, their keys are taken: what is made
/// there says that its time is in doubt.
#[test]
fn back_into_time_that_is_over() {
    let mut world = World::new(by_arrival());
    for minute in 0..180 {
        send(&mut world, GOOD, f64::from(minute) * 60.0, &[1.0]);
    }
    let back = Machine { error: -2.0 * HOUR, ..GOOD };
    send(&mut world, back, 3.0 * HOUR, &[2.0]);
    tick(&mut world, back, 3.0 * HOUR + 60.0);
    assert_eq!(keys(&world).last().map(String::as_str), Some("u1/11:00:00Z/r0 1 2"));
    // Until it is past that.
    send(&mut world, back, 4.1 * HOUR, &[4.0]);
    tick(&mut world, back, 4.2 * HOUR);
    assert_eq!(world.pipeline.state().clock.mode, Mode::Synchronised);
    let distinct: BTreeMap<_, _> = world.closed.iter().map(|closed| (&closed.id, ())).collect();
    assert_eq!(distinct.len(), world.closed.len(), "no id twice");
}

#[test]
fn a_clock_that_is_believed_is_never_held() {
    let mut world = World::new(Plan { hold_max: None, ..by_arrival() });
    send(&mut world, LOST, 5.0, &[1.0]);
    tick(&mut world, LOST, 61.0);
    assert_eq!(keys(&world), ["1970-01-01T00:00:00Z/r0 1 1"]);
    assert_eq!(world.json(0)["data"]["clock"], "synchronised");
}

/// Windows that are filled, not timed, close with their epoch too, and sessions with them.
#[test]
fn windows_of_every_kind_end_with_their_epoch() {
    for window in [
        Window::Count { readings: 100 },
        Window::Session { gap: Span::from_secs(3_600) },
        Window::Hopping { length: Span::from_secs(7_200), every: Span::from_secs(3_600) },
        Window::Tumbling { length: Span::from_secs(7_200) },
    ] {
        let mut plan = by_arrival();
        plan.summaries[0].window = window.clone();
        let mut world = World::new(plan);
        send(&mut world, LOST, 1.0, &[1.0]);
        tick(&mut world, LOST, 700.0);
        send(&mut world, LOST, 701.0, &[1.0]);
        tick(&mut world, GOOD, 702.0);
        assert!(!world.closed.is_empty(), "{window:?}");
        assert!(
            world.closed.iter().all(|closed| closed.id.contains("/u1/")),
            "{window:?}: {:?}",
            keys(&world)
        );
        assert_eq!(
            (world.pipeline.state().groups.len(), world.pipeline.open_windows()),
            (1, 0),
            "{window:?}"
        );
    }
}

#[test]
fn a_changed_plan_keeps_what_is_held() {
    let mut world = World::new(by_arrival());
    send(&mut world, LOST, 5.0, &[1.0, 2.0]);
    let mut other = by_arrival();
    other.sources = vec!["new".into(), "local".into()];
    other.streams[0].sources = vec![1];
    world.change(0.0, other);
    assert_eq!(account(&world), (0, 2));
    tick(&mut world, GOOD, 60.0);
    assert_eq!(keys(&world), ["10:00:00Z/r0 2 3"]);
    // A source that is gone takes what it brought with it, and the ledger says so.
    let mut world = World::new(by_arrival());
    send(&mut world, LOST, 5.0, &[1.0, 2.0]);
    world.change(0.0, Plan { sources: vec!["new".into()], ..by_arrival() });
    assert_eq!((account(&world), world.pipeline.ledger().under(Reason::Unmatched)), ((0, 0), 2));
}

#[test]
fn what_is_pending_is_what_it_comes_to() {
    let check = |topic: &str, payload: &str, expected: u64| {
        let mut plan = by_arrival();
        plan.streams[0].fields = tidegate_pipeline::plan::Fields::Leaves { listed: vec![], rest: true };
        let mut world = World::new(plan);
        let now = LOST.at(1.0);
        world.at(&now, |step| step.message(&message(now.now(), topic, payload)));
        assert_eq!(account(&world), (0, expected), "{topic} {payload}");
        tick(&mut world, GOOD, 2.0);
        assert_eq!(world.pipeline.ledger().total(), expected, "{topic} {payload}");
    };
    check("s/d/t", r#"{"a":1}"#, 1);
    check("s/d/t", r#"{"a":1,"b":2,"c":{"d":3}}"#, 3);
    check("s/d/t", "{", 1);
    check("nobody", "1", 1);
    check("s/+/t", "1", 1);
}

fn restart(world: &mut World) {
    let (plan, state) = (world.pipeline.plan().clone(), world.pipeline.state().clone());
    world.pipeline = Pipeline::restore(plan, state);
}

/// What a machine goes through: readings, redeliveries, clocks that are lost, found and stepped, boots.
#[derive(Clone, Debug)]
enum Act {
    Reading { device: u8, value: i8, age_ms: i32, wait_ms: u32 },
    Again { back: u8 },
    Reconnect,
    Trust(bool),
    Step(i8),
    Boot,
    Wait { ms: u32 },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let age = prop_oneof![6 => 0..9_000, 1 => 10_000..3_000_000, 1 => Just(-400_000)];
    let act = prop_oneof![
        8 => (0u8..3, any::<i8>(), age, 0u32..30_000)
            .prop_map(|(device, value, age_ms, wait_ms)| Act::Reading { device, value, age_ms, wait_ms }),
        2 => (1u8..4).prop_map(|back| Act::Again { back }),
        1 => Just(Act::Reconnect),
        2 => any::<bool>().prop_map(Act::Trust),
        1 => (-8i8..8).prop_map(Act::Step),
        1 => Just(Act::Boot),
        1 => (0u32..900_000).prop_map(|ms| Act::Wait { ms }),
    ];
    prop::collection::vec(act, 1..60)
}

/// Plays the acts; `after` looks at the world after each. Gives how many readings came.
fn play(world: &mut World, acts: &[Act], mut after: impl FnMut(&mut World, u64)) {
    let (mut machine, mut up, mut since_ten) = (LOST, 0.0, 0.0);
    let mut sent: Vec<(String, String)> = Vec::new();
    let mut came = 0;
    for (number, act) in acts.iter().enumerate() {
        let mut inputs: Vec<(String, String)> = Vec::new();
        let mut opened = false;
        match act {
            Act::Reading { device, value, age_ms, wait_ms } => {
                (up, since_ten) = (up + f64::from(*wait_ms) / 1e3, since_ten + f64::from(*wait_ms) / 1e3);
                let ts = TEN + (since_ten * 1e3) as i64 - i64::from(*age_ms);
                sent.push((format!("s/d{device}/t"), format!(r#"{{"v":{value},"ts":{ts},"n":{number}}}"#)));
                inputs.extend(sent.last().cloned());
            }
            Act::Again { back } => {
                opened = true;
                inputs.extend(sent.iter().rev().take(usize::from(*back)).rev().cloned());
            }
            Act::Reconnect => opened = true,
            Act::Trust(trusted) => machine.trusted = *trusted,
            Act::Step(days) => machine.error += f64::from(*days) * 24.0 * HOUR / 3.0,
            Act::Boot => (machine.boot, up, machine.trusted) = (machine.boot + 1, 1.0, false),
            Act::Wait { ms } => {
                (up, since_ten) = (up + f64::from(*ms) / 1e3, since_ten + f64::from(*ms) / 1e3)
            }
        }
        came += inputs.len() as u64;
        let now =
            ClockNow { offset: Span(machine.at(0.0).offset.0 + span(since_ten - up).0), ..machine.at(up) };
        world.at(&now, |step| {
            if opened {
                step.opened(0, "broker", 4);
            }
            inputs.iter().for_each(|(topic, text)| step.message(&message(now.now(), topic, text)));
        });
        after(world, came);
    }
}

proptest! {
    /// Whatever the clock does: each reading stands under one term, no id has two contents (which `last` checks by the
    /// revisions), and a replay of the journal, from whichever state, gives the live state. Broken by: not replaying
    /// what was released.
    #[test]
    fn clocks_lose_nothing_and_replay(acts in acts(), timed in any::<bool>()) {
        let plan = if timed { plan() } else { by_arrival() };
        let mut world = World::new(plan.clone());
        let mut states = vec![(0, world.pipeline.state().clone())];
        play(&mut world, &acts, |world, came| {
            let (ledger, held) = (world.pipeline.ledger().total(), world.pipeline.state().held.readings());
            assert_eq!(ledger + held, came);
            states.push((world.entries.len(), world.pipeline.state().clone()));
        });
        world.last();
        for (entries, state) in states {
            let mut replayed = Pipeline::restore(plan.clone(), state);
            for entry in &world.entries[entries..] {
                replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
            }
            prop_assert_eq!(replayed.state(), world.pipeline.state());
            prop_assert_eq!(replayed.next_deadline(), world.pipeline.next_deadline());
        }
    }

    /// A crash after any step changes nothing.
    #[test]
    fn a_restored_pipeline_goes_on_with_its_clock(acts in acts(), timed in any::<bool>()) {
        let plan = if timed { plan() } else { by_arrival() };
        let (mut steady, mut crashing) = (World::new(plan.clone()), World::new(plan));
        play(&mut steady, &acts, |_, _| {});
        play(&mut crashing, &acts, |world, _| restart(world));
        prop_assert_eq!(steady.closed, crashing.closed);
    }

    /// Holding and then knowing the time gives the same summaries as knowing it from the start. Broken by: re-basing by
    /// the wrong offset; by not holding that a connection opened.
    #[test]
    fn holding_changes_no_summary(
        readings in prop::collection::vec((0u8..3, any::<i8>(), 0i64..3_000_000, 0u32..10_000, any::<bool>()), 1..50),
        lost in 0usize..50,
        timed in any::<bool>(),
    ) {
        let run = |lost: usize| {
            let mut world = World::new(if timed { plan() } else { by_arrival() });
            let mut up = 0.0;
            for (number, (device, value, age, wait, again)) in readings.iter().enumerate() {
                up += f64::from(*wait) / 1e3;
                let now = if number < lost { LOST.at(up) } else { GOOD.at(up) };
                let ts = TEN + span(up).0 / 1_000 - if number % 4 == 0 { *age } else { age % 10_000 };
                let (topic, text) = (format!("s/d{device}/t"), format!(r#"{{"v":{value},"ts":{ts},"n":{number}}}"#));
                world.at(&now, |step: &mut Step<'_>| {
                    step.message(&message(now.now(), &topic, &text));
                    if *again {
                        step.opened(0, "broker", 1);
                        step.message(&message(now.now(), &topic, &text));
                    }
                });
            }
            tick(&mut world, GOOD, up + 10_000.0);
            prop_assert_eq!(world.pipeline.open_windows(), 0);
            Ok((world.last(), world.pipeline.ledger().clone()))
        };
        prop_assert_eq!(run(lost)?, run(0)?);
    }
}

/// Uptimes and times that nobody has.
#[test]
fn absurd_clocks_do_no_harm() {
    for (up, offset) in [(i64::MAX, i64::MAX), (i64::MIN, i64::MIN), (0, i64::MIN), (i64::MIN, i64::MAX)] {
        for trusted in [false, true] {
            let mut world = World::new(by_arrival());
            let now = ClockNow { up: Span(up), offset: Span(offset), trusted, boot: 1 };
            world.at(&now, |step| step.message(&message(now.now(), "s/d/t", r#"{"v":1}"#)));
            tick(&mut world, GOOD, 10.0);
            tick(&mut world, LOST, 10_000.0);
            assert_eq!(world.pipeline.ledger().total(), 1);
        }
    }
    assert_eq!(at(0.0).as_millis(), TEN);
}
