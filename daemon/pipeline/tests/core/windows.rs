//! Closing and amending: when, in which order, with which revision.

use super::world::{World, at, message, payload, plan, stream, summary};
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::plan::{Fields, Window};
use tidegate_pipeline::time::Span;

/// Messages for one device as (arrival, time, value), then silence: the events.
fn check(readings: &[(f64, f64, f64)], expected: &[&str]) -> World {
    let mut world = World::new(plan());
    for &(arrival, time, value) in readings {
        world.step(arrival, |_| {});
        world.send(arrival, "s/d1/t", &payload(value, time));
    }
    world.settle();
    assert_eq!(world.lines(), expected);
    world
}

#[test]
fn a_window_closes_when_its_lateness_is_over() {
    check(&[(0.0, 0.0, 1.0), (65.0, 59.999, 2.0)], &["minute/t/d1/10:00:00Z/60s/r0 2 3"]);
    check(
        &[(0.0, 0.0, 1.0), (69.9, 60.0, 2.0), (70.1, 61.0, 4.0)],
        &["minute/t/d1/10:00:00Z/60s/r0 1 1", "minute/t/d1/10:01:00Z/60s/r0 2 6"],
    );
    let mut world = World::new(plan());
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    assert_eq!(world.pipeline.next_deadline(), Some(at(70.0)));
    world.step(69.999, |_| {});
    assert!(world.closed.is_empty());
    world.step(70.0, |_| {});
    assert_eq!((world.closed.len(), world.pipeline.next_deadline()), (1, None));
}

#[test]
fn what_comes_late_amends_the_whole_window() {
    let world = check(
        &[(0.0, 0.0, 1.0), (100.0, 30.0, 2.0), (105.0, 31.0, 4.0), (200.0, 32.0, 8.0)],
        &[
            "minute/t/d1/10:00:00Z/60s/r0 1 1",
            "minute/t/d1/10:00:00Z/60s/r1 3 7",
            "minute/t/d1/10:00:00Z/60s/r2 4 15",
        ],
    );
    assert_eq!(world.json(2)["data"]["completeness"]["late"], 3);
    assert_eq!(world.json(2)["data"]["values"]["min"], 1.0);
}

/// A reading that is accepted at the last moment opens its window for `lateness` more. Meanwhile the store may not
/// forget what is to be amended, or revision 0 would be made a second time.
#[test]
fn a_window_that_is_being_amended_is_not_forgotten() {
    let mut plan = plan();
    plan.summaries[0].lateness = Span::from_secs(100);
    let mut world = World::new(plan);
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    world.step(200.0, |_| {});
    world.send(3_759.0, "s/d1/t", &payload(2.0, 1.0));
    world.send(3_850.0, "s/d2/t", &payload(2.0, 3_850.0));
    assert_eq!(world.kept.len(), 1, "still there");
    world.settle();
    assert_eq!(world.last()["minute/t/d1/2026-11-22T10:00:00Z/60s"], [2.0, 3.0, 1.0, 2.0]);
    world.send(1e6, "s/d2/t", &payload(2.0, 1e6));
    world.send(1e6 + 200.0, "s/d2/t", &payload(2.0, 1e6 + 200.0));
    assert!(world.kept.keys().all(|key| key.end > at(9e5)), "forgotten in the end");
}

/// What is kept only to be amended goes where there is no room for it, though nothing else happens: what fills the store may be
/// all that there is.
#[test]
fn what_there_is_no_room_for_is_forgotten_at_once() {
    let mut world = World::new(plan());
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    world.step(200.0, |_| {});
    assert_eq!(world.kept.len(), 1);
    world.step(201.0, |step| step.press(at(60.0)));
    assert!(world.kept.is_empty());
    assert_eq!(world.send(202.0, "s/d1/t", &payload(2.0, 1.0)), ["rejected too_late"]);
}

/// A gap in the delivery of less than the lateness changes nothing, also when the window was opened after its end.
#[test]
fn windows_close_in_order() {
    let mut plan = plan();
    plan.summaries[0].lateness = Span::from_secs(100);
    let mut world = World::new(plan);
    for (arrival, time) in [(200.0, 195.0), (241.0, 150.0), (242.0, 241.0)] {
        world.send(arrival, "s/d1/t", &payload(1.0, time));
    }
    assert_eq!(world.pipeline.next_deadline(), Some(at(280.0)));
    world.settle();
    let starts: Vec<_> = world.lines().iter().map(|line| line[12..20].to_owned()).collect();
    assert_eq!(starts, ["10:02:00", "10:03:00", "10:04:00"]);
}

/// What opened when its time was over does not wait for more while a newer one closes: here no watermark tells, since another
/// device of the group is silent. The same for windows, sessions and hopping windows.
#[test]
fn a_window_that_opens_late_closes_before_a_newer_one() {
    let secs = Span::from_secs;
    let kinds = [
        Window::Tumbling { length: secs(10) },
        Window::Session { gap: secs(10) },
        Window::Hopping { length: secs(10), every: secs(5) },
    ];
    for (window, order) in kinds.into_iter().flat_map(|window| [(window.clone(), [0, 1]), (window, [1, 0])]) {
        let mut plan = plan();
        plan.summaries[0].window = window.clone();
        plan.summaries[0].by = Some(vec![]);
        let mut world = World::new(plan);
        let readings = [("s/d1/t", 0.0), ("s/d2/t", 12.0)];
        for (topic, time) in order.map(|which| readings[which]) {
            world.send(24.0, topic, &payload(1.0, time));
        }
        for fifth in 0..100 {
            world.step(24.0 + f64::from(fifth) / 5.0, |_| {});
        }
        let starts: Vec<_> = world.closed.iter().map(|closed| closed.record.start).collect();
        assert!(starts.len() > 1 && starts.is_sorted(), "{window:?}, {order:?}: {starts:?}");
    }
}

/// The same, with everything due in one step.
#[test]
fn a_burst_closes_by_time_and_then_by_series() {
    let mut world = World::new(plan());
    world.step(500.0, |step| {
        for (device, time) in [("d2", 130.0), ("d1", 130.0), ("d1", 10.0), ("d2", 70.0)] {
            let (topic, payload) = (format!("s/{device}/t"), payload(1.0, time));
            step.message(&message(time + 1.0, &topic, &payload));
        }
    });
    let lines = world.lines();
    let order: Vec<_> = lines.iter().map(|line| (&line[9..11], &line[12..17])).collect();
    assert_eq!(order, [("d1", "10:00"), ("d2", "10:01"), ("d2", "10:02"), ("d1", "10:02")]);
}

#[test]
fn held_windows_stay_open() {
    let mut world = World::new(plan());
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    world.step_held(100.0, &|source| source == 0, |_| {});
    assert!(world.closed.is_empty());
    world.step_held(101.0, &|source| source == 0, |step| {
        step.message(&message(101.0, "s/d1/t", &payload(2.0, 30.0)));
    });
    world.step_held(102.0, &|source| source == 1, |_| {});
    assert_eq!(world.lines(), ["minute/t/d1/10:00:00Z/60s/r0 2 3"], "whole, and not amended");
}

#[test]
fn a_window_in_which_nothing_was_counted_is_no_summary() {
    let mut world = World::new(plan());
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    let nothing = format!(r#"{{"v":null,"ts":{}}}"#, at(90.0).as_millis());
    world.send(90.0, "s/d1/t", &nothing);
    world.settle();
    assert_eq!(world.lines(), ["minute/t/d1/10:00:00Z/60s/r0 1 1"]);
}

#[test]
fn completeness() {
    let mut plan = plan();
    plan.streams[0].expected_every = Some(Span::from_secs(10));
    plan.summaries[0].by = Some(vec![]);
    let mut world = World::new(plan);
    for (arrival, topic, value) in
        [(0.0, "s/d1/t", "1"), (1.0, "s/d2/t", "2"), (2.0, "s/d1/t", "null"), (3.0, "s/d2/t", "\"x\"")]
    {
        world.send(arrival, topic, &format!(r#"{{"v":{value},"ts":{}}}"#, at(arrival).as_millis()));
    }
    world.settle();
    let expected = serde_json::json!({
        "received": 2, "expected": 12, "rejected": 2, "duplicates": 0, "late": 0, "gaps": 0
    });
    assert_eq!(world.json(0)["data"]["completeness"], expected);
    assert_eq!(world.lines(), ["minute/t/10:00:00Z/60s/r0 2 3"], "two devices, one series without tags");
}

#[test]
fn time_may_go_back() {
    let mut world = World::new(plan());
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    world.step(200.0, |_| {});
    world.send(30.0, "s/d1/t", &payload(2.0, 30.0));
    world.send(65.0, "s/d1/t", &payload(4.0, 31.0));
    world.settle();
    assert_eq!(world.last()["minute/t/d1/2026-11-22T10:00:00Z/60s"][..2], [3.0, 7.0]);
}

#[test]
fn several_windows_and_summaries() {
    let mut plan = plan();
    plan.streams.push(stream("more"));
    let mut hour = summary("hour");
    (hour.window, hour.lateness) = (Window::Tumbling { length: Span::from_secs(3_600) }, Span::ZERO);
    (hour.by, hour.streams) = (Some(vec!["room".into()]), vec![1]);
    hour.aggregates = vec![Aggregate::Count];
    plan.streams[1].fields = Fields::Value {
        at: Some(super::world::pointer("/v")),
        metric: "v".into(),
        listed: vec![],
        rest: true,
    };
    plan.summaries.push(hour);
    let mut world = World::new(plan);
    for secs in [0.0, 61.0, 3_601.0] {
        assert_eq!(world.send(secs, "s/d1/t", &payload(1.0, secs)), ["counted", "counted"]);
    }
    world.settle();
    assert_eq!(
        world.lines(),
        [
            "minute/t/d1/10:00:00Z/60s/r0 1 1",
            "minute/t/d1/10:01:00Z/60s/r0 1 1",
            "hour/t/-/10:00:00Z/3600s/r0 2",
            "minute/t/d1/11:00:00Z/60s/r0 1 1",
            "hour/t/-/11:00:00Z/3600s/r0 1",
        ]
    );
}
