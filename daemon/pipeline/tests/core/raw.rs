//! Raw forwarding: which readings are sent, when, in how many events, and what of it survives what.

use super::readings::{Read, json_of, read, refusing, rows, span};
use super::world::{World, at, message, payload, plan};
use serde_json::{Value, json};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::checkpoint::{decode, encode};
use tidegate_pipeline::clean::Step as Cleaning;
use tidegate_pipeline::clock::ClockNow;
use tidegate_pipeline::limits::{RAW_EVENT_BYTES_MAX, RAW_EVENT_READINGS_MAX};
use tidegate_pipeline::plan::{CleanStep, Plan, RawPlan, Unique};
use tidegate_pipeline::time::Span;

/// All metrics of the first stream, ten seconds in one event.
pub fn raw(name: &str) -> RawPlan {
    RawPlan {
        name: name.into(),
        streams: vec![0],
        every: Span::from_secs(10),
        to: vec![0],
        ..RawPlan::default()
    }
}

/// Values above 100 are refused; a time stamp comes once.
fn with(raw: Vec<RawPlan>) -> Plan {
    let mut plan = Plan { raw, ..refusing() };
    plan.streams[0].unique = Unique::Time;
    plan
}

/// Events as `name/raw/ordinal from..until: time value verdict, …`.
fn sent(world: &World) -> Vec<String> {
    let line = |data: &Value| format!("{} {}: {}", data["key"].as_str().unwrap(), span(data), rows(data));
    world.raw.iter().map(|event| line(&json_of(event)["data"])).collect()
}

fn check(raw: RawPlan, reads: &[Read], expected: &[&str]) {
    let mut world = World::new(with(vec![raw]));
    read(&mut world, reads);
    world.step(1_000.0, |_| {});
    assert_eq!(sent(&world), expected);
    assert_eq!((world.pipeline.state().raw.waiting(), world.pipeline.next_raw()), (0, None));
}

#[test]
fn what_is_counted_is_sent_once() {
    check(raw("a"), &[], &[]);
    check(raw("a"), &[(1.0, 0.0, 5.0)], &["a/raw/1 1..1: 1 5.0 counted"]);
    // Ten seconds from the first on are one event; what arrives then is in the next.
    check(
        raw("a"),
        &[(1.0, 0.0, 5.0), (10.999, 0.0, 6.0), (11.0, 0.0, 7.0), (12.0, 0.0, 8.0)],
        &[
            "a/raw/1 1..10.999: 1 5.0 counted, 10.999 6.0 counted",
            "a/raw/2 11..12: 11 7.0 counted, 12 8.0 counted",
        ],
    );
    // It goes by arrival: what a sensor kept, and what amends a window, is there under its own time.
    check(
        raw("a"),
        &[(200.0, 150.0, 1.0), (201.0, 0.0, 2.0)],
        &["a/raw/1 200..201: 50 1.0 counted, 201 2.0 counted"],
    );
    // What came twice, was refused by a cleaning step or came too late is not counted.
    let mixed = [(1.0, 0.0, 5.0), (2.0, 1.0, 5.0), (3.0, 0.0, 101.0), (4.0, 2_000_000.0, 3.0)];
    check(raw("a"), &mixed, &["a/raw/1 1..1: 1 5.0 counted"]);
    // With all verdicts what was refused says why; what came twice is there already.
    let all = RawPlan { refused: true, ..raw("a") };
    check(all, &mixed, &["a/raw/1 1..4: 1 5.0 counted, 3 101.0 range, -1999996 3.0 too_late"]);
    // Nobody to send to: nothing is kept.
    check(RawPlan { to: vec![], ..raw("a") }, &[(1.0, 0.0, 5.0)], &[]);
    check(RawPlan { metrics: Some(vec!["u".into()]), ..raw("a") }, &[(1.0, 0.0, 5.0)], &[]);
    check(RawPlan { streams: vec![], ..raw("a") }, &[(1.0, 0.0, 5.0)], &[]);
}

/// As it was decoded, not as it was cleaned; a name that is no plain word is escaped.
#[test]
fn values_are_those_before_cleaning() {
    let mut plan = with(vec![raw("grüß dich")]);
    let scale = tidegate_pipeline::clean::Scale { factor: 10.0, offset: 0.0 };
    plan.streams[0].clean = vec![CleanStep { step: Cleaning::Scale(scale), metrics: None }];
    let mut world = World::new(plan);
    read(&mut world, &[(1.0, 0.0, 5.0)]);
    world.step(1_000.0, |_| {});
    assert_eq!(sent(&world), ["gr%C3%BC%C3%9F%20dich/raw/1 1..1: 1 5.0 counted"]);
}

#[test]
fn several_take_the_same_readings_and_share_the_numbers() {
    let fast = RawPlan { every: Span::from_secs(2), to: vec![0, 1], ..raw("fast") };
    let mut plan = with(vec![raw("slow"), fast]);
    plan.outputs.push("other".into());
    let mut world = World::new(plan);
    read(&mut world, &[(1.0, 0.0, 5.0), (4.0, 0.0, 6.0)]);
    world.step(20.0, |_| {});
    assert_eq!(
        sent(&world),
        [
            "fast/raw/1 1..1: 1 5.0 counted",
            "slow/raw/2 1..4: 1 5.0 counted, 4 6.0 counted",
            "fast/raw/3 4..4: 4 6.0 counted",
        ]
    );
    assert_eq!(world.raw.iter().map(|event| event.to.len()).collect::<Vec<_>>(), [2, 1, 2]);
}

/// Not before its time, and the daemon wakes for it.
#[test]
fn it_is_sent_when_it_is_old_enough() {
    let mut world = World::new(with(vec![raw("a")]));
    read(&mut world, &[(1.0, 0.0, 5.0)]);
    assert_eq!(world.pipeline.next_raw(), Some(at(11.0)));
    world.step(10.999, |_| {});
    assert_eq!((world.raw.len(), world.entries.len()), (0, 1), "and nothing is written");
    world.step(11.0, |_| {});
    assert_eq!((world.raw.len(), world.pipeline.next_raw()), (1, None));
}

#[test]
fn an_event_holds_so_many_readings_and_bytes() {
    let check = |device: &str, readings: usize, at_once: usize, expected: &[usize]| {
        let mut plan = with(vec![raw("a")]);
        plan.series_max = 10_000;
        let mut world = World::new(plan);
        let topics: Vec<_> = (0..readings).map(|n| format!("s/{n}{device}/t")).collect();
        let payload = payload(5.0, 1.0);
        world.step(1.0, |step| topics.iter().for_each(|topic| step.message(&message(1.0, topic, &payload))));
        let full = world.raw.len();
        world.step(1_000.0, |_| {});
        let held: Vec<_> = world
            .raw
            .iter()
            .map(|event| json_of(event)["data"]["readings"].as_array().unwrap().len())
            .collect();
        assert_eq!(held, expected, "{readings} readings");
        assert_eq!(full, at_once, "what is full does not wait");
        for event in &world.raw {
            assert!(event.event.len() <= RAW_EVENT_BYTES_MAX + 1_000, "{} B", event.event.len());
        }
    };
    const MAX: usize = RAW_EVENT_READINGS_MAX;
    check("d", MAX - 1, 0, &[MAX - 1]);
    check("d", MAX, 1, &[MAX]);
    check("d", MAX + 1, 1, &[MAX, 1]);
    check("d", 2 * MAX + 250, 2, &[MAX, MAX, 250]);
    // Long names: as many as there is room for. Each takes some 410 B with its reading.
    check(&"n".repeat(240), MAX, 2, &[319, 181]);
}

/// Readings of one message may go into two events: a replay must not mix them up.
#[test]
fn a_message_across_two_events_is_replayed() {
    let mut plan = with(vec![raw("a")]);
    plan.streams[0].fields = tidegate_pipeline::plan::Fields::default();
    plan.series_max = 10_000;
    let mut world = World::new(plan.clone());
    for secs in 1..4 {
        let fields: Vec<_> = (0..300).map(|n| format!("\"m{n}\":{secs}")).collect();
        let text = format!("{{\"ts\":{},{}}}", at(f64::from(secs)).as_millis(), fields.join(","));
        world.send(secs.into(), "s/d1/t", &text);
    }
    assert_eq!((world.raw.len(), world.pipeline.state().raw.waiting()), (1, 400));
    let mut replayed = Pipeline::new(plan);
    world.entries.iter().for_each(|entry| replayed.replay(entry));
    assert_eq!(replayed.state(), world.pipeline.state());
}

/// Wherever the daemon dies: the same events.
#[test]
fn a_restart_in_the_middle_changes_nothing() {
    let reads = [(1.0, 0.0, 1.0), (5.0, 0.0, 2.0), (10.0, 3.0, 3.0), (12.0, 0.0, 4.0), (45.0, 0.0, 7.0)];
    let run = |cut: usize| {
        let mut world = World::new(with(vec![raw("a")]));
        read(&mut world, &reads[..cut]);
        let (plan, state) = decode(&encode(world.pipeline.plan(), world.pipeline.state())).unwrap();
        world.pipeline = Pipeline::restore(plan, state);
        read(&mut world, &reads[cut..]);
        world.step(1_000.0, |_| {});
        world.raw
    };
    let expected = run(0);
    assert_eq!(expected.len(), 3);
    for cut in 1..=reads.len() {
        assert_eq!(run(cut), expected, "died before reading {cut}");
    }
}

/// A checkpoint of before there was any.
#[test]
fn an_older_checkpoint_is_read() {
    let mut world = World::new(plan());
    read(&mut world, &[(1.0, 0.0, 5.0)]);
    let older = postcard::to_stdvec(&(world.pipeline.plan(), world.pipeline.state())).unwrap();
    let (plan, state) = decode(&older).unwrap();
    assert_eq!((&plan, &state), (world.pipeline.plan(), world.pipeline.state()));
    assert!(decode(&older[..older.len() - 1]).is_none());
}

#[test]
fn another_plan_ends_what_waits() {
    let check = |new: Plan, expected: &[&str]| {
        let mut world = World::new(with(vec![raw("a")]));
        read(&mut world, &[(1.0, 0.0, 5.0)]);
        world.change(2.0, new);
        read(&mut world, &[(3.0, 0.0, 6.0)]);
        world.step(100.0, |_| {});
        assert_eq!(sent(&world), expected);
    };
    let before = "a/raw/1 1..1: 1 5.0 counted";
    check(with(vec![]), &[before]);
    check(with(vec![raw("b")]), &[before, "b/raw/2 3..3: 3 6.0 counted"]);
    // Also where its own table is the same: numbers of streams and outputs may not be.
    check(with(vec![raw("a")]), &[before, "a/raw/2 3..3: 3 6.0 counted"]);
    let mut renamed = with(vec![raw("a")]);
    renamed.streams[0].name = "other".into();
    check(renamed, &[before, "a/raw/2 3..3: 3 6.0 counted"]);
    // No number is given twice, though there was nothing to number meanwhile.
    let mut world = World::new(with(vec![raw("a")]));
    read(&mut world, &[(1.0, 0.0, 5.0)]);
    world.change(2.0, with(vec![]));
    world.change(3.0, with(vec![raw("a")]));
    read(&mut world, &[(4.0, 0.0, 6.0)]);
    world.step(100.0, |_| {});
    assert_eq!(sent(&world), [before, "a/raw/2 4..4: 4 6.0 counted"]);
}

/// What is held until the time is known is sent with the time that it gets; readings of two clocks are not in one event.
#[test]
fn an_event_has_one_clock() {
    let now = |up: f64, offset: f64, trusted: bool| ClockNow {
        up: Span::from_millis((up * 1e3) as i64),
        offset: Span(at(offset).0),
        boot: 1,
        trusted,
    };
    let send = |world: &mut World, clock: ClockNow| {
        let (text, stamp) = (clock.now(), clock.now().as_millis());
        let payload = format!(r#"{{"v":1,"ts":{stamp}}}"#);
        world.at(&clock, |step| {
            step.message(&tidegate_pipeline::message::Message {
                arrival: text,
                ..message(0.0, "s/d1/t", &payload)
            });
        });
    };
    let mut world = World::new(with(vec![raw("a")]));
    // Nobody vouches: held, and after ten minutes read all the same, by a clock that is not believed.
    send(&mut world, now(1.0, 0.0, false));
    assert_eq!(world.pipeline.state().raw.waiting(), 0);
    send(&mut world, now(601.5, 0.0, false));
    assert_eq!(
        (world.raw.len(), world.pipeline.state().raw.waiting()),
        (1, 1),
        "what came ten minutes ago is old"
    );
    // Somebody vouches: what waits was of the other clock.
    send(&mut world, now(602.0, 5_000.0, true));
    world.at(&now(700.0, 5_000.0, true), |_| {});
    let clocks: Vec<_> = world.raw.iter().map(|event| json_of(event)["data"]["clock"].clone()).collect();
    assert_eq!(clocks, ["unsynchronised", "unsynchronised", "synchronised"]);
    assert_eq!(sent(&world)[2], "a/raw/3 5602..5602: 5602 1 counted".replace(" 1 ", " 1.0 "));
}

/// A series keeps its number while a reading of it waits.
#[test]
fn what_waits_keeps_its_series() {
    let mut plan = with(vec![RawPlan {
        metrics: Some(vec!["t".into()]),
        every: Span::from_secs(2 * 86_400),
        ..raw("a")
    }]);
    plan.summaries.clear();
    let mut world = World::new(plan);
    read(&mut world, &[(1.0, 0.0, 5.0)]);
    // Another sensor goes on, and days pass.
    let mut others = (1..).map(|minute| f64::from(minute) * 60.0);
    let mut until = |world: &mut World, days: f64| {
        for secs in others.by_ref().take_while(|secs| *secs < days * 86_400.0) {
            world.send(secs, "s/d2/u", &payload(1.0, secs));
        }
    };
    until(&mut world, 1.9);
    assert_eq!((world.raw.len(), world.pipeline.series()), (0, 2));
    until(&mut world, 2.1);
    assert_eq!(json_of(&world.raw[0])["data"]["series"][0]["tags"]["device"], "d1");
    assert_eq!(world.pipeline.series(), 1, "its number is free now");
}

/// The whole event, as docs/events.md has it.
#[test]
fn the_event_of_raw_readings() {
    let mut plan = with(vec![RawPlan { refused: true, ..raw("lab") }]);
    plan.source = "/gateways/greenhouse-7/j4bzf3".into();
    if let tidegate_pipeline::plan::Fields::Value { listed, .. } = &mut plan.streams[0].fields {
        listed.push(tidegate_pipeline::plan::MetricPlan {
            name: "temperature".into(),
            unit: Some("°C".into()),
            ..Default::default()
        });
    }
    let mut world = World::new(plan);
    for (secs, topic, value) in [
        (1.0, "s/dev3/temperature", 21.5),
        (1.5, "s/dev4/humidity", 48.0),
        (3.5, "s/dev3/temperature", 900.0),
    ] {
        world.send(secs, topic, &payload(value, secs - 0.25));
    }
    world.step(100.0, |_| {});
    let event = json_of(&world.raw[0]);
    let document = include_str!("../../../../docs/events.md");
    let section = document.split("\n## Raw readings\n").nth(1).unwrap();
    let example = section.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(event, serde_json::from_str::<Value>(example).unwrap(), "{event:#}");
    assert_eq!((&json!(world.raw[0].id), world.raw[0].to.as_slice()), (&event["id"], &[0][..]));
    let section = section.split("\n## ").next().unwrap();
    for name in event["data"].as_object().unwrap().keys() {
        assert!(section.contains(&format!("`data.{name}`")), "{name} is not explained");
    }
}
