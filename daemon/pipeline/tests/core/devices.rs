//! Devices that send frames: what is lost on the sensor, in the air and at the gateway, against a count of their own.

use super::uptime::{frames, replays, send, verdicts};
use super::world::{World, message, name};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::checkpoint;
use tidegate_pipeline::clean::{Range, Step as Cleaning};
use tidegate_pipeline::devices::{Device, Lost};
use tidegate_pipeline::limits::CLOCKS_MAX;
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{CleanStep, Plan};
use tidegate_pipeline::{Pipeline, state::State};
use tidegate_wire::{Channel, Encoder, Head, Status};

/// Values below 0 are refused.
fn plan() -> Plan {
    let mut plan = frames();
    let range = Range { min: Some(0.0), max: None };
    plan.streams[0].clean = vec![CleanStep { step: Cleaning::Range(range), metrics: None }];
    plan.series_max = 1_000;
    plan
}

/// Numbers and values; a number that is left out begins another frame. Taken in the second of their number.
fn frame(boot: u32, readings: &[(u64, i64)], status: Option<Status>) -> Vec<u8> {
    let (first, last) = (readings[0].0, readings[readings.len() - 1].0);
    let mut buffer = [0; 4_096];
    let mut frame = Encoder::new(&mut buffer, Head { boot, sequence: first, hz: 1_000 }).unwrap();
    for (number, value) in readings {
        frame.push(Channel { id: 0, decimals: 0 }, number * 1_000, *value).unwrap();
    }
    frame.finish(last * 1_000 + 500, status.as_ref()).unwrap().to_vec()
}

fn some(boot: u32, numbers: std::ops::Range<u64>, status: Option<Status>) -> Vec<u8> {
    frame(boot, &numbers.map(|number| (number, 1)).collect::<Vec<_>>(), status)
}

fn says(dropped: u32, queued: u32) -> Option<Status> {
    Some(Status { dropped: Some(dropped), queued: Some(queued), ..Status::default() })
}

fn device(world: &World, sender: &str) -> Device {
    let pipeline = &world.pipeline;
    let all = pipeline.devices(&pipeline.devices_of_note(usize::MAX));
    all.into_iter().find(|device| device.sender == sender).unwrap()
}

fn lost(world: &World, sender: &str) -> (u64, u64) {
    let Lost { sensor, air } = device(world, sender).lost;
    (sensor, air)
}

fn refused(device: &Device) -> Vec<(&'static str, u32)> {
    device.refused.iter().map(|(reason, count)| (reason.name(), *count)).collect()
}

#[test]
fn three_places() {
    let mut world = World::new(plan());
    let mut check = |payload: &[u8], expected: (u64, u64)| {
        send(&mut world, 9_000.0, "f/d", payload);
        assert_eq!(lost(&world, "f/d"), expected);
    };
    check(&some(7, 0..10, says(0, 0)), (0, 0));
    check(&some(7, 20..30, None), (0, 10));
    // Late, and once only.
    check(&some(7, 12..15, None), (0, 7));
    check(&some(7, 12..15, None), (0, 7));
    // The device had given up five of them.
    check(&some(7, 30..31, says(5, 0)), (5, 2));
    // A restart ends nothing that can still come.
    check(&some(8, 3..4, None), (5, 5));
    check(&some(7, 15..17, None), (5, 3));
    let mut broken = some(8, 4..6, None);
    broken[10] ^= 1;
    send(&mut world, 9_001.0, "f/d", &broken);
    send(&mut world, 9_001.0, "f/d", &frame(8, &[(4, 7), (5, -7)], None));
    // Two broken ones that are nobody's: from somewhere else, and what a broker kept.
    send(&mut world, 9_001.0, "f/other", &broken);
    let kept = Message { retained: true, payload: &broken, ..message(9_001.0, "f/d", "") };
    world.step(9_001.0, |step| step.message(&kept));
    let device = device(&world, "f/d");
    assert_eq!(refused(&device), [("malformed", 1), ("range", 1)]);
    assert_eq!((device.estimate.boot, device.estimate.uptime), (8, 5_500_000));
    assert_eq!(device.numbers, 10 + 10 + 3 + 1 + 1 + 2 + 2);
    assert_eq!(device.duplicate, 3);
    assert_eq!(device.health.unwrap().dropped, Some(5), "the new boot has said nothing yet");
    let devices = &world.pipeline.state().devices;
    assert_eq!((devices.known(), devices.evicted()), (1, 0));
    let totals = devices.totals();
    assert_eq!((totals.sensor, totals.air, totals.gateway), (5, 3, 2));
    replays(&world);
}

#[test]
fn readings_that_are_no_series_are_refused_by_somebody() {
    let mut plan = plan();
    plan.series_max = 1;
    let mut world = World::new(plan);
    send(&mut world, 0.0, "f/d", &some(7, 0..2, None));
    let traces = send(&mut world, 0.0, "f/d", &some(7, 2..3, says(0, 0)));
    assert_eq!(verdicts(&traces), ["counted", "rejected series_limit", "rejected series_limit"]);
    // The messages of others in the same step are not its own.
    world.step(1.0, |step| {
        step.message(&Message { payload: &some(7, 3..4, None), ..message(1.0, "f/d", "") });
        let too_large = tidegate_pipeline::verdict::Reason::TooLarge;
        step.account(tidegate_pipeline::verdict::Verdict::Rejected(too_large), 3);
    });
    assert_eq!(refused(&device(&world, "f/d")), [("series_limit", 2)]);
    replays(&world);
}

/// A counter that was idle for a day is forgotten: what is missing then stays so, what comes later is told apart.
#[test]
fn a_device_that_was_silent_for_long() {
    const DAY: f64 = 86_400.0;
    let mut world = World::new(plan());
    let mut now = 9_000.0;
    send(&mut world, now, "f/d", &some(7, 0..1, None));
    send(&mut world, now, "f/d", &some(7, 5..6, None));
    assert_eq!(lost(&world, "f/d"), (0, 4));
    while world.pipeline.state().counters[0].name.contains("f/d") {
        now += 60.0;
        assert!(now < 3.0 * DAY);
        send(&mut world, now, "f/busy", &some(1, (now as u64)..(now as u64 + 1), None));
    }
    send(&mut world, now, "f/d", &some(7, 2..8, None));
    assert_eq!(lost(&world, "f/d"), (0, 4));
    send(&mut world, now, "f/d", &some(7, 10..11, None));
    assert_eq!((lost(&world, "f/d"), device(&world, "f/d").estimate.boot), ((0, 6), 7));
    replays(&world);
}

#[test]
fn the_longest_unheard_makes_room_and_is_counted() {
    let mut world = World::new(plan());
    send(&mut world, 9_000.0, "f/first", &some(7, 0..1, None));
    send(&mut world, 9_000.0, "f/first", &some(7, 4..5, None));
    for number in 0..CLOCKS_MAX {
        let secs = 9_001.0 + number as f64;
        world.step(secs, |step| {
            let topic = format!("f/d{number}");
            step.message(&Message { payload: &some(7, 0..1, None), ..message(secs, &topic, "") });
        });
    }
    let devices = &world.pipeline.state().devices;
    assert_eq!((devices.accounts().len(), devices.evicted()), (CLOCKS_MAX, 1));
    assert_eq!(devices.totals().air, 3, "what was lost does not become less by that");
    let known = world.pipeline.devices(&world.pipeline.devices_of_note(usize::MAX));
    assert!(!known.iter().any(|device| device.sender == "f/first"));
}

/// A changed plan goes on with the accounts of the streams that stay.
#[test]
fn accounts_survive_a_change() {
    let mut world = World::new(plan());
    send(&mut world, 0.0, "f/d", &some(7, 0..1, None));
    send(&mut world, 0.0, "f/d", &some(7, 5..6, None));
    let mut other = plan();
    other.streams[0].name = "other".into();
    other.streams.push(tidegate_pipeline::plan::StreamPlan {
        topics: vec![tidegate_pipeline::topic::TopicPattern::parse("f/{device}").unwrap()],
        ..plan().streams[0].clone()
    });
    other.streams[0].topics = vec![tidegate_pipeline::topic::TopicPattern::parse("o/{device}").unwrap()];
    world.change(1.0, other);
    send(&mut world, 2.0, "f/d", &some(7, 3..4, None));
    assert_eq!(lost(&world, "f/d"), (0, 3));
    let mut gone = plan();
    gone.streams[0].name = "another".into();
    world.change(3.0, gone);
    let devices = &world.pipeline.state().devices;
    assert_eq!((devices.known(), devices.totals().air, devices.accounts().len()), (0, 3, 0));
}

/// What a device does with one reading.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Sent,
    /// Sent, and refused by the gateway.
    Refused,
    /// Given up by the device.
    Dropped,
}

/// What becomes of one frame.
#[derive(Clone, Debug)]
struct Flight {
    readings: Vec<Fate>,
    lost: bool,
    twice: bool,
    /// Comes damaged first, if it is not the very first.
    broken: bool,
    /// By so many frames later than it was sent.
    late: usize,
}

fn flights() -> impl Strategy<Value = Flight> {
    let fate = prop_oneof![6 => Just(Fate::Sent), 1 => Just(Fate::Refused), 2 => Just(Fate::Dropped)];
    let odds = (proptest::bool::weighted(0.25), proptest::bool::weighted(0.2), proptest::bool::weighted(0.1));
    (proptest::collection::vec(fate, 1..12), odds, 0..6usize)
        .prop_map(|(readings, (lost, twice, broken), late)| Flight { readings, lost, twice, broken, late })
}

/// What an observer who sees everything counts.
#[derive(Debug, Default)]
struct Truth {
    /// By boot: all numbers that came, and those that the device gave up.
    came: BTreeMap<u32, BTreeSet<u64>>,
    dropped: BTreeMap<u32, BTreeSet<u64>>,
}

/// The frames of a device in the order of their arrival, boot after boot. The first of all and the last of each boot arrive.
fn arrivals(boots: &[Vec<Flight>], truth: &mut Truth) -> Vec<Vec<u8>> {
    let mut order = Vec::new();
    let mut at = 0;
    for (boot, flights) in (1..).zip(boots) {
        let (mut next, mut gone) = (0, 0_u32);
        let mut send = |readings: &[(u64, i64)], flight: &Flight, sure: bool, gone: u32, queued: u32| {
            at += 1;
            if flight.lost && !sure {
                return;
            }
            let frame = frame(boot, readings, says(gone, queued));
            let late = at + if sure { 0 } else { flight.late };
            // Nobody knows whose it is before the device is known.
            if flight.broken && !order.is_empty() {
                let mut broken = frame.clone();
                broken[9] ^= 0x40;
                order.push((late, broken));
            }
            truth.came.entry(boot).or_default().extend(readings.iter().map(|(number, _)| *number));
            order.extend(std::iter::repeat_n((late, frame), 1 + usize::from(flight.twice)));
        };
        for (n, flight) in flights.iter().enumerate() {
            // A gap inside cuts the frame.
            let mut readings: Vec<(u64, i64)> = Vec::new();
            for fate in &flight.readings {
                match fate {
                    Fate::Dropped if next > 0 => {
                        gone += 1;
                        truth.dropped.entry(boot).or_default().insert(next);
                        if !readings.is_empty() {
                            send(&std::mem::take(&mut readings), flight, false, gone, 5);
                        }
                    }
                    Fate::Refused => readings.push((next, -1)),
                    _ => readings.push((next, 1)),
                }
                next += 1;
                // So that there is a beginning.
                if n == 0 && next == 1 {
                    send(&std::mem::take(&mut readings), flight, boot == 1, gone, 9);
                }
            }
            if !readings.is_empty() {
                send(&readings, flight, false, gone, 3);
            }
        }
        send(&[(next, 1)], &flights[0], true, gone, 0);
    }
    order.sort_by_key(|(late, _)| *late);
    order.into_iter().map(|(_, frame)| frame).collect()
}

proptest! {
    /// Whatever is lost, late, doubled, damaged or given up, over several starts of several devices, and however it is cut into
    /// steps: the account is what an observer counts, through a checkpoint in the middle, and a replay gives the same.
    #[test]
    fn the_account_is_what_happened(
        devices in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(flights(), 3..8), 1..7), 1..3),
        batch in 1usize..6,
        restarts in 0usize..40,
    ) {
        let mut world = World::new(plan());
        let mut truths: Vec<Truth> = devices.iter().map(|_| Truth::default()).collect();
        let mut messages = Vec::new();
        for (number, (boots, truth)) in devices.iter().zip(&mut truths).enumerate() {
            let frames = arrivals(boots, truth).into_iter();
            messages.extend(frames.enumerate().map(|(at, frame)| (at, format!("f/d{number}"), frame)));
        }
        messages.sort_by_key(|(at, ..)| *at);
        // By topic: counted, duplicate, and the others by name.
        let mut seen: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (at, chunk) in messages.chunks(batch).enumerate() {
            let secs = 10_000.0 + at as f64;
            let traces = world.step(secs, |step| for (_, topic, payload) in chunk {
                step.message(&Message { payload, ..message(secs, topic, "") });
            });
            for trace in traces {
                *seen.entry((trace.topic, name(trace.verdict))).or_default() += 1;
            }
            if at == restarts {
                let bytes = checkpoint::encode(world.pipeline.plan(), world.pipeline.state());
                let (plan, state): (Plan, State) = checkpoint::decode(&bytes).unwrap();
                prop_assert_eq!(&state, world.pipeline.state());
                world.pipeline = Pipeline::restore(plan, state);
            }
        }
        let mut totals = (0, 0, 0);
        for (number, truth) in truths.iter().enumerate() {
            let (mut sensor, mut air) = (0, 0);
            for (boot, came) in &truth.came {
                let dropped = truth.dropped.get(boot).map_or(0, BTreeSet::len) as u64;
                let all = came.last().unwrap() + 1;
                sensor += dropped;
                air += all - came.len() as u64 - dropped;
            }
            let topic = format!("f/d{number}");
            let device = device(&world, &topic);
            prop_assert_eq!(lost(&world, &topic), (sensor, air), "{:?}", truth);
            let numbers: usize = truth.came.values().map(BTreeSet::len).sum();
            prop_assert_eq!(device.numbers, numbers as u64);
            let of = |verdict: &str| seen.get(&(topic.clone(), verdict.to_owned())).copied().unwrap_or(0);
            prop_assert_eq!(device.counted, of("counted"));
            prop_assert_eq!(device.duplicate, of("duplicate"));
            let names = [("dead malformed", "malformed"), ("rejected range", "range")];
            let all: Vec<_> = names.iter().map(|(seen, reason)| (*reason, of(seen) as u32)).collect();
            let all: Vec<_> = all.into_iter().filter(|(_, count)| *count > 0).collect();
            totals = (totals.0 + sensor, totals.1 + air, totals.2 + all.iter().map(|(_, count)| u64::from(*count)).sum::<u64>());
            prop_assert_eq!(refused(&device), all);
        }
        let found = world.pipeline.state().devices.totals();
        prop_assert_eq!((found.sensor, found.air, found.gateway), (totals.0.into(), totals.1.into(), totals.2));
        replays(&world);
    }
}
