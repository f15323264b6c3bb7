//! What a function receives, whole.

use super::world::{World, at, plan, pointer};
use tidegate_pipeline::aggregate::{Aggregate, Permille};
use tidegate_pipeline::plan::{MetricPlan, Unique};
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
            "clock": "trusted"
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
