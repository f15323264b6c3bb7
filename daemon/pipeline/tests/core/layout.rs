//! One event for all metrics of a device, and what windows begin with.

use super::script::{acts, feed, play, unique};
use super::world::{World, message, payload, plan, stream};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{Availability, Fields, Kind, Layout, MetricPlan, Plan, Retained, Window};
use tidegate_pipeline::time::Span;
use tidegate_pipeline::topic::TopicPattern;
use tidegate_pipeline::verdict::Reason;
use tidegate_pipeline::{Pipeline, journal};

fn wide() -> Plan {
    let mut plan = plan();
    plan.summaries[0].layout = Layout::Wide;
    plan.summaries[0].aggregates = vec![Aggregate::Count, Aggregate::Mean];
    plan
}

#[test]
fn all_metrics_of_a_device_in_one_event() {
    let mut plan = wide();
    plan.summaries[0].by_metric = vec![("h".into(), vec![Aggregate::Max])];
    if let Fields::Value { listed, .. } = &mut plan.streams[0].fields {
        listed.push(MetricPlan { name: "t".into(), unit: Some("°C".into()), ..MetricPlan::default() });
    }
    let mut world = World::new(plan);
    for (time, topic, value) in
        [(0.0, "s/d1/t", 20.0), (1.0, "s/d1/h", 60.0), (2.0, "s/d1/t", 22.0), (3.0, "s/d2/t", 5.0)]
    {
        world.send(time, topic, &payload(value, time));
    }
    world.step(70.0, |_| {});
    world.send(80.0, "s/d1/h", &payload(70.0, 30.0));
    world.settle();
    let ids: Vec<_> = world.closed.iter().map(|closed| closed.id.replace("2026-11-22T", "")).collect();
    assert_eq!(
        ids,
        ["minute/*/d1/10:00:00Z/60s/r0", "minute/*/d2/10:00:00Z/60s/r0", "minute/*/d1/10:00:00Z/60s/r1"]
    );
    let data = world.json(0)["data"].clone();
    assert_eq!(data["values"], serde_json::json!({"t": {"count": 2, "mean": 21.0}, "h": {"max": 60.0}}));
    assert_eq!(
        (&data["units"], data.get("unit"), data.get("metric")),
        (&serde_json::json!({"t": "°C"}), None, None)
    );
    assert_eq!(data["completeness"]["received"], 3);
    assert_eq!(world.json(2)["data"]["values"]["h"]["max"], 70.0);
    assert_eq!(world.json(2)["data"]["values"]["t"]["count"], 2);
}

#[test]
fn a_device_has_so_many_metrics_at_most() {
    let mut plan = wide();
    plan.series_max = 1_000;
    let mut world = World::new(plan);
    for n in 0..300 {
        let verdict = world.send(0.0, &format!("s/d/m{n}"), &payload(1.0, 0.0));
        assert_eq!(verdict, [if n < 256 { "counted" } else { "rejected series_limit" }], "{n}");
    }
}

/// A meter read every so often: what consecutive windows say adds up to what the meter shows.
fn meter(layout: Layout) -> Plan {
    let mut plan = plan();
    let listed = vec![MetricPlan { name: "kwh".into(), kind: Kind::Counter, ..MetricPlan::default() }];
    plan.streams[0] = stream("meters");
    plan.streams[0].fields =
        Fields::Value { at: Some(super::world::pointer("/v")), metric: "v".into(), listed, rest: true };
    plan.summaries[0].layout = layout;
    plan.summaries[0].aggregates = vec![Aggregate::Increase];
    plan
}

fn increases(world: &World) -> f64 {
    let last: BTreeMap<String, f64> = world
        .closed
        .iter()
        .map(|closed| {
            let increase = closed.record.values.first().map_or(0.0, |(_, value)| value.number().unwrap());
            (closed.id.rsplit_once('/').unwrap().0.to_owned(), increase)
        })
        .collect();
    last.values().sum()
}

#[test]
fn a_late_last_reading_corrects_the_next_window() {
    for layout in [Layout::Narrow, Layout::Wide] {
        let mut world = World::new(meter(layout));
        for (time, kwh) in [(10.0, 100.0), (40.0, 101.0), (70.0, 104.0), (110.0, 105.0)] {
            world.step(time, |step| step.message(&message(time, "s/d/kwh", &payload(kwh, time))));
        }
        world.step(200.0, |_| {});
        let told: Vec<_> = world.closed.iter().map(|c| c.record.values[0].1.number().unwrap()).collect();
        assert_eq!(told, [1.0, 4.0], "from 100 to 101, and from there to 105");
        world.send(210.0, "s/d/kwh", &payload(103.0, 55.0));
        world.settle();
        let told: Vec<_> = world
            .closed
            .iter()
            .map(|c| (c.id.replace("2026-11-22T", ""), c.record.values[0].1.number().unwrap()))
            .skip(2)
            .map(|(id, value)| format!("{} {value}", &id[id.len() - 16..]))
            .collect();
        assert_eq!(told, ["10:00:00Z/60s/r1 3", "10:01:00Z/60s/r1 2"]);
        assert_eq!(world.json(3)["data"]["completeness"]["late"], 0, "nothing came late for this one");
    }
}

proptest! {
    /// However late readings come and wherever steps end: increases of consecutive windows add up. Broken by: not
    /// reopening the next window; by taking the opening value that the window was first closed with.
    #[test]
    fn increases_add_up(
        steps in prop::collection::vec((1u32..40, 0u32..300, any::<bool>()), 2..60),
        wide in any::<bool>(),
        length in 20i64..100,
    ) {
        let mut plan = meter(if wide { Layout::Wide } else { Layout::Narrow });
        plan.summaries[0].window = Window::Tumbling { length: Span::from_secs(length) };
        let mut world = World::new(plan.clone());
        let (mut time, mut readings) = (0, Vec::new());
        for (n, (wait, delay, late)) in steps.iter().enumerate() {
            time += wait;
            readings.push((time + if *late { *delay } else { 0 }, time, n as f64));
        }
        let total = (readings.len() - 1) as f64;
        readings.sort_by_key(|(arrival, ..)| *arrival);
        for (arrival, time, kwh) in readings {
            world.step(f64::from(arrival), |step| {
                step.message(&message(arrival.into(), "s/d/kwh", &payload(kwh, time.into())));
            });
        }
        // What was corrected closes a step later.
        world.step(1e5, |_| {});
        world.step(1e5 + 1_000.0, |_| {});
        world.settle();
        prop_assert_eq!(increases(&world), total);
        let mut replayed = Pipeline::new(plan);
        for entry in &world.entries {
            replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
        }
        prop_assert_eq!(replayed.state(), world.pipeline.state());
    }

    /// The wide layout says the same as the narrow one.
    #[test]
    fn wide_is_narrow_put_together(acts in acts(80), kind in 1u8..3) {
        let (inputs, _) = play(&acts);
        let (narrow, mut wide) = (unique(kind), unique(kind));
        wide.summaries[0].layout = Layout::Wide;
        let run = |plan: Plan| {
            let mut world = World::new(plan);
            feed(&mut world, &inputs, |_| {});
            world.settle();
            world
        };
        let (narrow, wide) = (run(narrow), run(wide));
        let mut told = BTreeMap::new();
        for closed in &wide.closed {
            let event: serde_json::Value = serde_json::from_slice(&closed.event).unwrap();
            let key = event["data"]["key"].as_str().unwrap().to_owned();
            for (metric, values) in event["data"]["values"].as_object().unwrap() {
                told.insert(key.replace('*', metric), values.clone());
            }
        }
        let mut expected = BTreeMap::new();
        for closed in &narrow.closed {
            let event: serde_json::Value = serde_json::from_slice(&closed.event).unwrap();
            expected.insert(event["data"]["key"].as_str().unwrap().to_owned(), event["data"]["values"].clone());
        }
        prop_assert_eq!(told, expected);
    }
}

/// While its sensor is offline a value is not weighed: 60 s of 10, then nobody knows, then 20 s of 40.
#[test]
fn offline_stops_weighing() {
    for layout in [Layout::Narrow, Layout::Wide] {
        let mut plan = plan();
        plan.streams[0].availability = Some(Availability {
            topic: TopicPattern::parse("s/{device}/status").unwrap(),
            online: "online".into(),
            offline: "offline".into(),
            at: None,
        });
        plan.summaries[0].window = Window::Tumbling { length: Span::from_secs(120) };
        plan.summaries[0].layout = layout;
        plan.summaries[0].aggregates = vec![Aggregate::TimeWeightedMean];
        let mut world = World::new(plan);
        world.send(0.0, "s/d/t", &payload(10.0, 0.0));
        world.send(60.0, "s/d/status", "offline");
        world.send(89.0, "s/d/status", "online");
        world.send(90.0, "s/d/t", &payload(40.0, 90.0));
        world.send(110.0, "s/d/status", "offline");
        world.send(115.0, "s/d/status", "online");
        world.send(150.0, "s/d/t", &payload(7.0, 150.0));
        world.settle();
        let told: Vec<_> = world.closed.iter().map(|c| c.record.values[0].1.number().unwrap()).collect();
        // 60 s of 10 and 20 s of 40; then the reading alone: being online does not say what it was before.
        assert_eq!(told, [17.5, 7.0]);
    }
}

/// What the broker kept is of no window, but a meter's first window begins with it.
#[test]
fn a_retained_value_is_what_a_window_begins_with() {
    for (retained, increase) in [(Retained::Latest, 5.0), (Retained::Ignore, 2.0)] {
        let mut plan = meter(Layout::Narrow);
        plan.streams[0].retained = retained;
        let mut world = World::new(plan);
        let kept = payload(100.0, -30.0);
        world.step(0.0, |step| step.message(&Message { retained: true, ..message(0.0, "s/d/kwh", &kept) }));
        world.send(10.0, "s/d/kwh", &payload(103.0, 10.0));
        world.send(40.0, "s/d/kwh", &payload(105.0, 40.0));
        world.settle();
        let told: Vec<_> = world.closed.iter().map(|c| c.record.values[0].1.number().unwrap()).collect();
        assert_eq!(told, [increase]);
        let ledger = world.pipeline.ledger();
        assert_eq!((ledger.counted, ledger.under(Reason::Retained)), (2, 1));
        assert_eq!(world.json(0)["data"]["completeness"]["rejected"], 0);
        let mut replayed = Pipeline::new(world.pipeline.plan().clone());
        world.entries.iter().for_each(|entry| replayed.replay(entry));
        assert_eq!(replayed.state(), world.pipeline.state());
    }
}
