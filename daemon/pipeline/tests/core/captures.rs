//! Captures: which readings around a raise are sent, when, in how many events, and what of it survives what.

use super::alerts::alert;
use super::readings::{Read, json_of, read, refusing, rows, seconds, span};
use super::world::{World, at, message, payload, plan};
use serde_json::{Value, json};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::limits::{CAPTURE_GRACE, CAPTURE_PART_MAX, CAPTURE_READINGS_MAX};
use tidegate_pipeline::plan::{AlertPlan, Plan};
use tidegate_pipeline::time::Span;

/// Ten seconds on each side.
fn hot() -> AlertPlan {
    AlertPlan { capture: Some(Span::from_secs(10)), ..alert("value > 60") }
}

/// Values above 100 are refused.
fn with(alert: AlertPlan) -> Plan {
    Plan { alerts: vec![alert], ..refusing() }
}

/// Events as `from..until part/parts: time value verdict, …`.
fn sent(world: &World) -> Vec<String> {
    let line = |data: &Value| {
        let incomplete = if data["incomplete"] == true { " incomplete" } else { "" };
        format!("{} {}/{}{incomplete}: {}", span(data), data["part"], data["parts"], rows(data))
    };
    world.captures.iter().map(|event| line(&json_of(event)["data"])).collect()
}

fn check(alert: AlertPlan, reads: &[Read], expected: &[&str]) {
    let mut world = World::new(with(alert));
    read(&mut world, reads);
    world.step(1_000.0, |_| {});
    assert_eq!(sent(&world), expected);
    assert!(world.pipeline.state().watches.iter().all(|watch| watch.capture.is_none()));
}

#[test]
fn what_arrived_around_the_raise_is_sent() {
    check(hot(), &[(20.0, 0.0, 50.0)], &[]);
    check(AlertPlan { capture: None, ..hot() }, &[(20.0, 0.0, 61.0)], &[]);
    check(hot(), &[(20.0, 0.0, 61.0)], &["10..30 1/1: 20 61.0 counted"]);
    // Both ends belong to it, and what lies beyond does not.
    check(
        hot(),
        &[
            (9.999, 0.0, 1.0),
            (10.0, 0.0, 2.0),
            (20.0, 0.0, 61.0),
            (25.0, 0.0, 5.0),
            (30.0, 0.0, 3.0),
            (30.001, 0.0, 4.0),
        ],
        &["10..30 1/1: 10 2.0 counted, 20 61.0 counted, 25 5.0 counted, 30 3.0 counted"],
    );
    // It goes by arrival: what a sensor kept and sends at once is all there, under its own times.
    check(
        hot(),
        &[(20.0, 40.0, 1.0), (20.0, 30.0, 2.0), (20.0, 0.0, 61.0)],
        &["10..30 1/1: -20 1.0 counted, -10 2.0 counted, 20 61.0 counted"],
    );
    // As decoded, with what became of it: also what was refused or came twice.
    check(
        hot(),
        &[(18.0, 0.0, 101.0), (19.0, 2_000_000.0, 3.0), (20.0, 0.0, 61.0)],
        &["10..30 1/1: 18 101.0 range, -1999981 3.0 too_late, 20 61.0 counted"],
    );
}

#[test]
fn later_raises_make_it_longer() {
    // Cleared and raised again while the first capture waits.
    check(
        hot(),
        &[(20.0, 0.0, 61.0), (22.0, 0.0, 5.0), (28.0, 0.0, 62.0), (37.0, 0.0, 63.0), (39.0, 0.0, 1.0)],
        &["10..38 1/1: 20 61.0 counted, 22 5.0 counted, 28 62.0 counted, 37 63.0 counted"],
    );
    // It never gets longer than 40 s. No reading is in two of them.
    check(
        hot(),
        &[
            (20.0, 0.0, 61.0),
            (21.0, 0.0, 5.0),
            (29.0, 0.0, 62.0),
            (30.0, 0.0, 5.0),
            (37.0, 0.0, 63.0),
            (38.0, 0.0, 5.0),
            (45.0, 0.0, 64.0),
        ],
        &[
            "10..44.999 1/1: 20 61.0 counted, 21 5.0 counted, 29 62.0 counted, 30 5.0 counted, 37 63.0 counted, 38 5.0 counted",
            "45..55 1/1: 45 64.0 counted",
        ],
    );
}

/// Not before its time, and never twice.
#[test]
fn it_is_sent_when_it_is_over() {
    let mut world = World::new(with(hot()));
    read(&mut world, &[(20.0, 0.0, 61.0)]);
    assert_eq!(world.alerts.len(), 1, "the alert does not wait");
    assert!(world.pipeline.next_alert().is_some());
    let due = at(30.0).plus(CAPTURE_GRACE);
    world.step(21.0, |_| {});
    assert_eq!(world.pipeline.next_alert(), Some(due), "the daemon wakes for it");
    let seconds = due.since(at(0.0)).0 as f64 / 1e6;
    world.step(seconds - 0.001, |_| {});
    assert!(world.captures.is_empty());
    world.step(seconds, |_| {});
    assert_eq!(world.captures.len(), 1);
    world.step(seconds + 1.0, |_| {});
    assert_eq!((world.captures.len(), world.pipeline.next_alert()), (1, None));
}

/// Silence has a capture as well: what came before it.
#[test]
fn silence_is_captured() {
    let quiet =
        AlertPlan { silent_for: Some(Span::from_secs(60)), capture: Some(Span::from_secs(70)), ..alert("") };
    let mut world = World::new(with(quiet));
    read(&mut world, &[(20.0, 0.0, 1.0)]);
    world.step(80.0, |_| {});
    read(&mut world, &[(149.0, 0.0, 2.0)]);
    world.step(152.0, |_| {});
    assert_eq!(sent(&world), ["10..150 1/1: 20 1.0 counted, 149 2.0 counted"]);
    // Where there was nothing, that is told.
    let quiet =
        AlertPlan { silent_for: Some(Span::from_secs(60)), capture: Some(Span::from_secs(10)), ..alert("") };
    let mut world = World::new(with(quiet));
    read(&mut world, &[(20.0, 0.0, 1.0)]);
    world.step(80.0, |_| {});
    world.step(92.0, |_| {});
    assert_eq!(sent(&world), ["70..90 1/1: "]);
}

/// A clock that is set back ends it: nobody knows how long is left.
#[test]
fn a_clock_that_is_set_back_ends_it() {
    let mut world = World::new(with(hot()));
    read(&mut world, &[(5_000.0, 0.0, 61.0)]);
    world.step(5_001.0, |_| {});
    world.step(10.0, |_| {});
    assert_eq!(sent(&world), ["4990..5010 1/1: 5000 61.0 counted"]);
}

#[test]
fn many_readings_are_split_and_too_many_are_incomplete() {
    let most = CAPTURE_READINGS_MAX as u32;
    let split = CAPTURE_READINGS_MAX.div_ceil(CAPTURE_PART_MAX);
    for (extra, lost) in [(0, false), (1, true)] {
        let mut world = World::new(with(hot()));
        world.step(20.0, |step| {
            for number in 0..most + extra {
                // The last raises it.
                let value = if number + 1 == most + extra { 61.0 } else { 1.0 };
                let payload = payload(value, f64::from(number) / 1_000.0 - 60.0);
                step.message(&message(20.0, "s/d1/t", &payload));
            }
        });
        world.step(1_000.0, |_| {});
        let events: Vec<Value> =
            world.captures.iter().map(|event| serde_json::from_slice(&event.event).unwrap()).collect();
        assert_eq!(events.len(), split);
        let rows = events.iter().flat_map(|event| event["data"]["readings"].as_array().unwrap());
        let times: Vec<f64> = rows.map(|row| (seconds(&row[1]) + 60.0) * 1_000.0).collect();
        let expected: Vec<f64> = (extra..most + extra).map(f64::from).collect();
        assert!(
            times.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.5) && times.len() == expected.len()
        );
        for (part, event) in (1..).zip(&events) {
            let data = &event["data"];
            assert_eq!((&data["part"], &data["parts"]), (&json!(part), &json!(split)));
            assert_eq!(data["incomplete"], lost);
            assert!(event["id"].as_str().unwrap().ends_with(&format!("/capture/{part}/r0")));
        }
    }
}

/// Readings of all its series, in the order of arrival; nobody else's.
#[test]
fn the_series_of_a_watch_share_a_capture() {
    let mut world =
        World::new(with(AlertPlan { by: Some(vec![]), metrics: Some(vec!["t".into()]), ..hot() }));
    for (secs, topic, value) in
        [(20.0, "s/d2/t", 1.0), (21.0, "s/d1/t", 2.0), (21.0, "s/d1/u", 3.0), (22.0, "s/d2/t", 61.0)]
    {
        world.send(secs, topic, &payload(value, secs));
    }
    world.step(100.0, |_| {});
    let event: Value = serde_json::from_slice(&world.captures[0].event).unwrap();
    assert_eq!(
        event["data"]["series"],
        json!([
            {"stream": "climate", "metric": "t", "tags": {"device": "d2"}},
            {"stream": "climate", "metric": "t", "tags": {"device": "d1"}},
        ])
    );
    let rows: Vec<_> =
        event["data"]["readings"].as_array().unwrap().iter().map(|row| (&row[0], &row[2])).collect();
    assert_eq!(rows, [(&json!(0), &json!(1.0)), (&json!(1), &json!(2.0)), (&json!(0), &json!(61.0))]);
}

/// Wherever the daemon dies: the same events.
#[test]
fn a_restart_in_the_middle_changes_nothing() {
    let reads = [(15.0, 0.0, 1.0), (20.0, 0.0, 61.0), (25.0, 0.0, 5.0), (29.0, 0.0, 66.0), (45.0, 0.0, 7.0)];
    let expected = ["10..39 1/1: 15 1.0 counted, 20 61.0 counted, 25 5.0 counted, 29 66.0 counted"];
    for cut in 0..=reads.len() {
        let mut world = World::new(with(hot()));
        read(&mut world, &reads[..cut]);
        let stored = postcard::to_stdvec(world.pipeline.state()).unwrap();
        world.pipeline =
            Pipeline::restore(world.pipeline.plan().clone(), postcard::from_bytes(&stored).unwrap());
        read(&mut world, &reads[cut..]);
        world.step(1_000.0, |_| {});
        assert_eq!(sent(&world), expected, "died before reading {cut}");
    }
}

#[test]
fn another_plan_lets_it_go_on_or_ends_it() {
    let check = |new: Plan, expected: &[&str]| {
        let mut world = World::new(with(hot()));
        world.send(19.0, "s/d0/t", &payload(1.0, 19.0));
        read(&mut world, &[(20.0, 0.0, 61.0)]);
        world.change(22.0, new);
        world.send(23.0, "s/d0/t", &payload(2.0, 23.0));
        read(&mut world, &[(24.0, 0.0, 62.0)]);
        world.step(1_000.0, |_| {});
        assert_eq!(sent(&world), expected);
    };
    check(with(hot()), &["10..30 1/1: 20 61.0 counted, 24 62.0 counted"]);
    let ended = ["10..22 1/1: 20 61.0 counted"];
    check(with(AlertPlan { capture: None, ..hot() }), &ended);
    check(plan(), &ended);
    // Numbers of series move: those of the stream that is gone go first.
    let mut two = with(hot());
    two.streams.push(super::world::stream("other"));
    two.alerts[0].streams.push(1);
    let mut other = with(hot());
    other.streams[0].name = "other".into();
    let mut world = World::new(two);
    read(&mut world, &[(20.0, 0.0, 61.0)]);
    assert_eq!(world.pipeline.series(), 2, "both streams hear it");
    world.change(22.0, other);
    world.step(1_000.0, |_| {});
    assert_eq!(sent(&world), ["10..30 1/1: 20 61.0 counted"]);
}

/// The whole event, as docs/events.md has it.
#[test]
fn the_event_of_a_capture() {
    let mut plan = with(AlertPlan { name: "overheat".into(), ..hot() });
    plan.source = "/gateways/greenhouse-7/j4bzf3".into();
    plan.streams[0].topics =
        vec![tidegate_pipeline::topic::TopicPattern::parse("s/{device}/{metric}").unwrap()];
    if let tidegate_pipeline::plan::Fields::Value { listed, .. } = &mut plan.streams[0].fields {
        listed.push(tidegate_pipeline::plan::MetricPlan {
            name: "temperature".into(),
            unit: Some("°C".into()),
            ..Default::default()
        });
    }
    let mut world = World::new(plan);
    for (secs, value) in [(1.0, 59.5), (2.0, 61.5), (3.5, 900.0)] {
        world.send(secs, "s/dev3/temperature", &payload(value, secs - 0.25));
    }
    world.send(4.0, "s/dev3/temperature", r#"{"v":"oops","ts":1795341603750}"#);
    world.step(100.0, |_| {});
    let event: Value = serde_json::from_slice(&world.captures[0].event).unwrap();
    let document = include_str!("../../../../docs/events.md");
    let section = document.split("\n## A capture\n").nth(1).unwrap();
    let example = section.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(event, serde_json::from_str::<Value>(example).unwrap(), "{event:#}");
    assert_eq!(
        (world.captures[0].id.as_str(), &world.captures[0].to[..]),
        (event["id"].as_str().unwrap(), &[0][..])
    );
    for name in event["data"].as_object().unwrap().keys() {
        assert!(document.contains(&format!("`data.{name}`")), "{name} is not explained");
    }
}
