//! Sensors that know no time of day: what their uptimes become, and frames of firmware.

use super::world::{World, at, message, name, plan, pointer};
use proptest::prelude::*;
use tidegate_pipeline::clock::ClockNow;
use tidegate_pipeline::limits::CLOCKS_MAX;
use tidegate_pipeline::message::{Message, Trace};
use tidegate_pipeline::plan::{
    Fields, Format, Plan, StreamPlan, TagPlan, TickPlaces, TicksPlan, TimeFormat, TimePlan, Unique,
};
use tidegate_pipeline::ticks::TickUnit;
use tidegate_pipeline::time::Span;
use tidegate_pipeline::topic::TopicPattern;
use tidegate_pipeline::{Pipeline, journal};
use tidegate_wire::{Channel, Encoder, Head, Status};

fn with(stream: impl FnOnce(&mut StreamPlan)) -> Plan {
    let mut plan = plan();
    stream(&mut plan.streams[0]);
    plan
}

/// `s/{device}/{metric}` with `{"v": value, "up": milliseconds, "boot": number}`.
fn documents() -> Plan {
    with(|stream| {
        let places = TickPlaces { at: pointer("/up"), boot: pointer("/boot"), unit: TickUnit::Millis };
        stream.time = None;
        stream.ticks = Some(TicksPlan { places: Some(places), per: Some(vec!["device".into()]) });
    })
}

/// `f/{device}` with frames.
pub fn frames() -> Plan {
    with(|stream| {
        stream.topics = vec![TopicPattern::parse("f/{device}").unwrap()];
        stream.format = Format::Tidegate;
        stream.fields = Fields::default();
        stream.time = None;
        stream.ticks = Some(TicksPlan::default());
        stream.unique = Unique::Numbered { per: None };
    })
}

/// Readings of channel 0 with the numbers `from..to`, each at ten times its number in seconds, sent at `sent`.
fn frame(boot: u32, from: u64, to: u64, sent: f64) -> Vec<u8> {
    let mut buffer = [0; 4_096];
    let mut frame = Encoder::new(&mut buffer, Head { boot, sequence: from, hz: 1_000 }).unwrap();
    for number in from..to {
        frame.push(Channel { id: 0, decimals: 0 }, number * 10_000, number as i64).unwrap();
    }
    let status = Status { battery_mv: Some(3_700), ..Status::default() };
    frame.finish((sent * 1_000.0) as u64, (from % 2 == 1).then_some(&status)).unwrap().to_vec()
}

pub fn send(world: &mut World, secs: f64, topic: &str, payload: &[u8]) -> Vec<Trace> {
    world.step(secs, |step| step.message(&Message { payload, ..message(secs, topic, "") }))
}

pub fn verdicts(traces: &[Trace]) -> Vec<String> {
    traces.iter().map(|trace| name(trace.verdict)).collect()
}

/// Seconds since ten of each reading's time.
fn times(traces: &[Trace]) -> Vec<f64> {
    traces.iter().map(|trace| (trace.time.unwrap().0 - at(0.0).0) as f64 / 1e6).collect()
}

pub fn replays(world: &World) {
    let mut replayed = Pipeline::new(world.pipeline.plan().clone());
    for entry in &world.entries {
        let row = journal::encode(entry);
        let back = journal::decode(&row).unwrap();
        replayed.replay(&back);
    }
    assert_eq!(replayed.state(), world.pipeline.state());
}

#[test]
fn documents_say_uptimes() {
    let mut world = World::new(documents());
    let mut check = |secs: f64, topic: &str, up: &str, expected: Result<f64, &str>| {
        let payload = format!(r#"{{"v":1,"up":{up}}}"#);
        let traces = send(&mut world, secs, topic, payload.as_bytes());
        match expected {
            Ok(time) => {
                assert_eq!((times(&traces), verdicts(&traces)), (vec![time], vec!["counted".to_owned()]))
            }
            Err(verdict) => assert_eq!(verdicts(&traces), [verdict], "{up}"),
        }
    };
    check(0.0, "s/d1/a", r#"5000,"boot":1"#, Ok(0.0));
    check(1.5, "s/d1/a", r#"6000,"boot":1"#, Ok(1.0));
    // Another metric of the same device goes by the same clock.
    check(4.0, "s/d1/b", r#""7000","boot":"1""#, Ok(2.0));
    // Another device does not, nor another boot.
    check(4.0, "s/d2/a", r#"7000,"boot":1"#, Ok(4.0));
    check(5.0, "s/d1/a", r#"100,"boot":2"#, Ok(5.0));
    // Half an hour in a queue.
    check(1_800.0, "s/d1/a", r#"8000,"boot":1"#, Ok(3.0));
    check(1_800.0, "s/d1/a", r#"8000"#, Err("rejected bad_time"));
    check(1_800.0, "s/d1/a", r#"-1,"boot":1"#, Err("rejected bad_time"));
    check(1_800.0, "s/d1/a", r#"1.5,"boot":1"#, Err("rejected bad_time"));
    check(1_800.0, "s/d1/a", r#"18446744073709551615,"boot":1"#, Err("rejected bad_time"));
    check(1_800.0, "s/d9/a", r#"null,"boot":1"#, Err("rejected bad_time"));
    assert_eq!(world.pipeline.state().clocks.len(), 2, "what says nothing makes no clock");
    replays(&world);
}

/// The latest record of a list says when the message was sent, wherever it stands.
#[test]
fn lists_of_records() {
    let mut plan = documents();
    plan.streams[0].each = Some(pointer("/r"));
    plan.streams[0].topics = vec![TopicPattern::parse("s/{device}").unwrap()];
    let mut world = World::new(plan.clone());
    let list = |readings: &str| format!(r#"{{"boot":1,"r":[{readings}]}}"#);
    let readings = r#"{"v":1,"up":10000},{"v":2,"up":30000},{"v":3,"up":20000}"#;
    assert_eq!(times(&send(&mut world, 0.0, "s/d", list(readings).as_bytes())), [-20.0, 0.0, -10.0]);
    // With the device in the record each has its own clock.
    plan.streams[0].tags = vec![("device".into(), TagPlan::At(pointer("/d")))];
    plan.streams[0].topics = vec![TopicPattern::parse("s/x").unwrap()];
    let mut world = World::new(plan);
    let readings = r#"{"v":1,"d":"a","up":10000},{"v":2,"d":"b","up":30000}"#;
    assert_eq!(times(&send(&mut world, 0.0, "s/x", list(readings).as_bytes())), [0.0, 0.0]);
    replays(&world);
}

#[test]
fn frames_have_times_and_numbers() {
    let mut world = World::new(frames());
    // Numbers 0 to 2, taken at 0, 10 and 20 s, sent at 21 s: two hours in a queue do not matter.
    let first = send(&mut world, 7_200.0, "f/d", &frame(7, 0, 3, 21.0));
    assert_eq!(times(&first), [7_179.0, 7_189.0, 7_199.0]);
    assert_eq!(verdicts(&first), ["counted"; 3]);
    // Sent again, and cut anew: each reading is counted once, the status with its last reading.
    let again = send(&mut world, 7_201.0, "f/d", &frame(7, 0, 3, 21.0));
    assert_eq!(verdicts(&again), ["duplicate"; 3]);
    let anew = send(&mut world, 7_210.0, "f/d", &frame(7, 1, 4, 31.0));
    assert_eq!(verdicts(&anew), ["duplicate", "duplicate", "counted", "counted"]);
    assert_eq!(anew[3].metric.as_deref(), Some("status/battery"));
    assert_eq!((anew[3].value, times(&anew)[3]), (Some(3_700.0), 7_209.0));
    // After a restart numbers and uptimes begin anew.
    let restarted = send(&mut world, 7_300.0, "f/d", &frame(8, 0, 1, 1.0));
    assert_eq!((verdicts(&restarted), times(&restarted)), (vec!["counted".to_owned()], vec![7_299.0]));
    // What lies too far below is not known any more.
    send(&mut world, 20_000.0, "f/d", &frame(8, 1_200, 1_201, 12_700.0));
    let old = send(&mut world, 20_001.0, "f/d", &frame(8, 100, 102, 1_020.0));
    assert_eq!(verdicts(&old), ["rejected sequence_too_old"; 2]);
    replays(&world);
}

#[test]
fn what_is_no_frame_is_kept() {
    let mut world = World::new(frames());
    let mut damaged = frame(7, 0, 3, 21.0);
    damaged[12] ^= 4;
    assert_eq!(verdicts(&send(&mut world, 0.0, "f/d", &damaged)), ["dead malformed"]);
    assert!(world.letters[0].detail.contains("checksum"), "{}", world.letters[0].detail);
    assert_eq!(world.pipeline.state().clocks, []);
    // What a broker kept says nothing about the time.
    let retained = Message { retained: true, payload: &frame(7, 0, 1, 1.0), ..message(0.0, "f/d", "") };
    let traces = world.step(0.0, |step| step.message(&retained));
    assert_eq!(verdicts(&traces), ["rejected retained"]);
    assert_eq!(world.pipeline.state().clocks, []);
}

#[test]
fn the_longest_unheard_clock_makes_room() {
    let mut plan = documents();
    plan.series_max = 1;
    let mut world = World::new(plan);
    let payload = r#"{"v":1,"up":1000,"boot":1}"#;
    for device in 0..CLOCKS_MAX + 2 {
        send(&mut world, device as f64, &format!("s/d{device}/a"), payload.as_bytes());
    }
    let clocks = &world.pipeline.state().clocks;
    assert_eq!(clocks.len(), CLOCKS_MAX);
    let known = |device: usize| clocks.iter().any(|known| known.name.ends_with(&format!("\u{1}d{device}")));
    assert!(!known(0) && !known(1) && known(2) && known(CLOCKS_MAX + 1));
    replays(&world);
}

/// A changed plan goes on with the clocks of the streams that stay.
#[test]
fn clocks_survive_a_change() {
    let mut world = World::new(frames());
    send(&mut world, 0.0, "f/d", &frame(7, 0, 1, 1.0));
    let mut plan = frames();
    let other = StreamPlan { name: "other".into(), time: None, ..plan.streams[0].clone() };
    plan.streams.insert(0, StreamPlan { topics: vec![TopicPattern::parse("o/{device}").unwrap()], ..other });
    world.change(1.0, plan);
    assert_eq!(times(&send(&mut world, 900.0, "f/d", &frame(7, 1, 2, 11.0))), [9.0; 2]);
    world.change(901.0, with(|stream| stream.name = "another".into()));
    assert_eq!(world.pipeline.state().clocks, []);
}

proptest! {
    /// However readings are cut into frames, sent again, delayed and mixed with those of other boots and devices: each is
    /// counted once, and a replay gives the same.
    #[test]
    fn each_reading_counts_once(
        cuts in proptest::collection::vec((0u64..40, 1u64..20, 0u8..2, 0u32..3, 0.0..500.0f64), 1..40),
        batch in 1usize..5,
    ) {
        let mut world = World::new(frames());
        let mut sent = std::collections::BTreeSet::new();
        let messages: Vec<_> = cuts.iter().map(|(from, count, device, boot, delay)| {
            sent.extend((*from..from + count).map(|number| (*device, *boot, number)));
            let last = (from + count - 1) as f64 * 10.0;
            (format!("f/d{device}"), frame(*boot, *from, from + count, last + 0.5), last + delay)
        }).collect();
        for (at, chunk) in messages.chunks(batch).enumerate() {
            let secs = 1_000.0 + at as f64;
            world.step(secs, |step| for (topic, payload, delay) in chunk {
                step.message(&Message { payload, ..message(secs + delay / 1e3, topic, "") });
            });
        }
        let channel = |series: &&tidegate_pipeline::series::Series| series.metric == "channel/0";
        let states = world.pipeline.state();
        let of_channel: Vec<_> = states.series.iter().map(|series| channel(&series)).collect();
        let readings = world.entries.iter().flat_map(|entry| &entry.readings);
        let counted = readings.filter(|reading| of_channel[reading.series as usize] && name(reading.verdict) == "counted");
        prop_assert_eq!(counted.count(), sent.len());
        replays(&world);
    }
}

/// A stream with a time of its own pays nothing for clocks.
#[test]
fn without_uptimes_there_are_no_clocks() {
    let mut world = World::new(with(|stream| {
        stream.time = Some(TimePlan { at: pointer("/ts"), format: TimeFormat::Millis });
    }));
    send(&mut world, 0.0, "s/d/a", super::world::payload(1.0, 0.0).as_bytes());
    assert_eq!(world.pipeline.state().clocks, []);
}

/// The gateway's clock is set ahead by a day: a sensor that counts on has its time in the new day at once.
#[test]
fn a_step_of_the_gateways_clock_moves_all_clocks() {
    for step in [86_400, -86_400] {
        let mut world = World::new(documents());
        let now = |up: f64, day: i64| {
            let offset = Span(at(0.0).0 + day * 1_000_000);
            ClockNow { up: Span((up * 1e6) as i64), offset, trusted: true, boot: 1 }
        };
        let mut times = Vec::new();
        for (up, day) in [(10.0, 0), (20.0, 0), (30.0, step), (40.0, step)] {
            let payload = format!(r#"{{"v":1,"up":{},"boot":1}}"#, up * 1_000.0 + 5_000.0);
            let clock = now(up, day);
            world.at(&clock, |inputs| {
                inputs.trace();
                let arrival = clock.now();
                inputs.message(&Message { arrival, ..message(0.0, "s/d/t", &payload) });
                times.extend(inputs.traces().into_iter().map(|trace| trace.time.unwrap()));
            });
        }
        let expected = [at(10.0), at(20.0), at(30.0 + step as f64), at(40.0 + step as f64)];
        assert_eq!(times, expected);
    }
}
