//! What a function receives, whole.

use super::world::{World, at, plan, pointer};
use tidegate_pipeline::aggregate::{Aggregate, Permille};
use tidegate_pipeline::partial::Partial;
use tidegate_pipeline::plan::{Kind, MetricPlan, Unique};
use tidegate_pipeline::time::Span;
use tidegate_pipeline::topic::TopicPattern;

#[test]
fn the_event_of_the_design() {
    let mut plan = plan();
    plan.source = "/gateways/greenhouse-7/k3v9q2".into();
    let stream = &mut plan.streams[0];
    stream.topics = vec![TopicPattern::parse("sensors/{device}/{metric}").unwrap()];
    stream.expected_every = Some(Span::from_secs(10));
    stream.unique = Unique::Sequence { at: pointer("/seq"), boot: None, per: None };
    if let tidegate_pipeline::plan::Fields::Value { listed, .. } = &mut stream.fields {
        listed.push(MetricPlan {
            name: "temperature".into(),
            at: None,
            unit: Some("°C".into()),
            ..MetricPlan::default()
        });
    }
    plan.summaries[0].aggregates = vec![Aggregate::Count, Aggregate::Mean, Aggregate::Min, Aggregate::Max];
    let mut world = World::new(plan);
    for (seq, value) in [21.5, 21.1, 22.0, 21.4, 21.5, 21.5].into_iter().enumerate() {
        let secs = 10.0 * seq as f64;
        let text = format!(r#"{{"v":{value},"ts":{},"seq":{seq}}}"#, at(secs).as_millis());
        world.send(secs, "sensors/dev3/temperature", &text);
    }
    world.settle();
    let expected = serde_json::json!({
        "specversion": "1.0", "type": "tidegate.summary.v1", "source": "/gateways/greenhouse-7/k3v9q2",
        "id": "minute/temperature/dev3/2026-11-22T10:00:00Z/60s/r0", "subject": "minute/temperature/dev3",
        "time": "2026-11-22T10:01:00Z", "datacontenttype": "application/json",
        "data": {
            "key": "minute/temperature/dev3/2026-11-22T10:00:00Z/60s", "revision": 0, "replaces": [],
            "summary": "minute", "stream": "climate", "metric": "temperature", "unit": "°C",
            "tags": {"device": "dev3"},
            "window": {"start": "2026-11-22T10:00:00Z", "end": "2026-11-22T10:01:00Z"},
            "values": {"count": 6, "mean": 21.5, "min": 21.1, "max": 22.0},
            "completeness":
                {"received": 6, "expected": 6, "rejected": 0, "duplicates": 0, "late": 0, "gaps": 0},
            "clock": "synchronised"
        }
    });
    assert_eq!(world.json(0), expected);
    assert_eq!(world.closed[0].to, [0]);
}

/// Keys hold only unreserved characters between their slashes, and no two names make the same key.
#[test]
fn keys_are_escaped() {
    let mut plan = plan();
    plan.streams[0].topics = vec![TopicPattern::parse("s/{device#}/{metric}").unwrap()];
    for (topic, subject) in [
        ("s/d1/t", "minute/t/d1"),
        ("s/a/b/t", "minute/t/a%2Fb"),
        ("s/ä b/t", "minute/t/%C3%A4%20b"),
        ("s/100%25/t", "minute/t/100%2525"),
        ("s/-/t", "minute/t/%2D"),
        ("s//t", "minute/t/"),
        ("s/d.1_~-/t?", "minute/t%3F/d.1_~-"),
    ] {
        let mut world = World::new(plan.clone());
        world.send(0.0, topic, &super::world::payload(1.0, 0.0));
        world.settle();
        assert_eq!(world.json(0)["subject"], subject, "{topic}");
        assert_eq!(world.json(0)["data"]["key"], format!("{subject}/2026-11-22T10:00:00Z/60s"));
    }
}

#[test]
fn every_aggregate_has_its_name() {
    let mut plan = plan();
    let mut all: Vec<Aggregate> = Aggregate::ALL.iter().map(|(aggregate, _)| aggregate.clone()).collect();
    all.push(Aggregate::Quantile(Permille::parse("95").unwrap()));
    all.push(Aggregate::Quantile(Permille::parse("99.9").unwrap()));
    all.push(Aggregate::Histogram([2.0, 5.0].into()));
    plan.summaries[0].aggregates = all;
    let mut world = World::new(plan);
    for (secs, value) in [(2.0, 4.0), (1.0, 2.0), (3.0, 9.0)] {
        world.send(secs, "s/d1/t", &super::world::payload(value, secs));
    }
    world.send(70.0, "s/d2/t", &super::world::payload(7.0, 70.0));
    world.settle();
    let near = |value: f64| (value * 1e6).round() / 1e6;
    let mut values = world.json(0)["data"]["values"].clone();
    for (_, value) in values.as_object_mut().unwrap() {
        if let Some(number) = value.as_f64().filter(|_| value.is_f64()) {
            *value = near(number).into();
        }
    }
    // 2 holds for a second, 4 for a second, 9 for the 57 that are left.
    let area = 2.0 + 4.0 + 57.0 * 9.0;
    let expected = serde_json::json!({
        "count": 3, "sum": 15.0, "mean": 5.0, "min": 2.0, "max": 9.0, "first": 2.0, "last": 9.0, "range": 7.0,
        "stddev": near(13f64.sqrt()), "variance": 13.0, "median": 4.0, "distinct": 3, "mode": 2.0,
        "time_weighted_mean": near(area / 59.0), "integral": area, "increase": 7.0, "rate": 3.5, "derivative": 3.5,
        "slope": 3.5, "time_of_min": "2026-11-22T10:00:01Z", "time_of_max": "2026-11-22T10:00:03Z",
        "p95": 8.5, "p99.9": 8.99, "histogram": {"bounds": [2.0, 5.0], "counts": [1, 1, 1]}
    });
    assert_eq!(values, expected);
    assert_eq!(world.json(0)["data"].get("approximate"), None);
    assert!(world.json(1)["data"]["values"].get("stddev").is_none(), "of one reading there is none");
}

/// A list of its own, that of all others, and what the kind of the metric chooses.
#[test]
fn aggregates_by_metric_and_kind() {
    let check = |kind: Kind, by_metric: &[(&str, Aggregate)], expected: &[&str]| {
        let mut plan = plan();
        if let tidegate_pipeline::plan::Fields::Value { listed, .. } = &mut plan.streams[0].fields {
            listed.push(MetricPlan { name: "t".into(), kind, ..MetricPlan::default() });
        }
        let named = by_metric.iter().map(|(metric, aggregate)| (metric.to_string(), vec![aggregate.clone()]));
        plan.summaries[0].by_metric = named.collect();
        plan.summaries[0].aggregates.clear();
        let mut world = World::new(plan);
        world.send(0.0, "s/d1/t", &super::world::payload(1.0, 0.0));
        // What is derived from the plan is there after a restart, too.
        let state = world.pipeline.state().clone();
        world.pipeline = tidegate_pipeline::Pipeline::restore(world.pipeline.plan().clone(), state);
        world.send(1.0, "s/d1/t", &super::world::payload(3.0, 1.0));
        world.settle();
        let values = world.json(0)["data"]["values"].clone();
        let mut names: Vec<_> = values.as_object().unwrap().keys().cloned().collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{kind:?} {by_metric:?}");
    };
    check(Kind::Gauge, &[], &["count", "max", "mean", "min"]);
    check(Kind::Counter, &[], &["count", "increase", "last"]);
    check(Kind::State, &[], &["count", "last", "mode", "time_weighted_mean"]);
    check(Kind::Counter, &[("t", Aggregate::Sum)], &["sum"]);
    check(Kind::Counter, &[("other", Aggregate::Sum)], &["count", "increase", "last"]);
}

/// What a function gets is enough to compute the aggregates again.
#[test]
fn the_state_rides_along_when_asked_for() {
    let mut plan = plan();
    plan.summaries[0].state = true;
    let mut world = World::new(plan);
    for (secs, value) in [(0.0, 1.0), (1.0, 3.0), (70.0, 8.0)] {
        world.send(secs, "s/d1/t", &super::world::payload(value, secs));
    }
    world.settle();
    let state = |at: usize| Partial::decode(world.json(at)["data"]["state"].as_str().unwrap()).unwrap();
    let mut both = state(0);
    assert_eq!((both.start, both.end), (at(0.0), at(60.0)));
    both.merge(&state(1));
    assert_eq!((both.start, both.end), (at(0.0), at(120.0)));
    let lane = both.lane("t").unwrap();
    let sum = Aggregate::Sum.value(&lane.states, &lane.context(both.start, both.end));
    assert_eq!(sum, Some(tidegate_pipeline::aggregate::Value::Number(12.0)));
    assert_eq!(both.completeness.received, 3);
}

#[test]
fn what_is_approximate_is_named() {
    let mut plan = plan();
    plan.summaries[0].samples_max = Some(2);
    plan.summaries[0].aggregates = vec![Aggregate::Count, Aggregate::Increase];
    let mut world = World::new(plan);
    for secs in [1.0, 2.0, 4.0, 5.0, 6.0, 3.0] {
        world.send(secs, "s/d1/t", &super::world::payload(secs, secs));
    }
    world.settle();
    assert_eq!(world.json(0)["data"]["approximate"], serde_json::json!(["increase"]));
    assert_eq!(world.json(0)["data"]["values"], serde_json::json!({"count": 6, "increase": 5.0}));
}
