//! Cleaning from outside: all steps together, texts that stand for numbers, derived metrics, counts per series.

use super::world::{World, at, payload, plan, pointer, stream};
use proptest::prelude::*;
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::clean::{
    Action, Band, Convert, Deadband, Derive, Duplicate, Map, Range, RateLimit, Scale, Spike, Step, Stuck,
    Where,
};
use tidegate_pipeline::expr::{Expr, Metrics, Names};
use tidegate_pipeline::plan::{CleanStep, Fields, Format, MetricPlan, Plan};
use tidegate_pipeline::rejections::SeriesRejections;
use tidegate_pipeline::time::Span;

fn all(step: Step) -> CleanStep {
    CleanStep { step, metrics: None }
}

fn of(metric: &str, step: Step) -> CleanStep {
    CleanStep { step, metrics: Some(vec![metric.into()]) }
}

fn derive(metric: &str, from: &str) -> CleanStep {
    let from = Expr::formula(from, &Names::message(&["device"], Metrics::Any)).unwrap();
    all(Step::Derive(Derive { metric: metric.into(), from, unit: Some("K".into()) }))
}

fn map(texts: &[(&str, f64)]) -> Step {
    Step::Map(Map { texts: texts.iter().map(|(text, number)| ((*text).to_owned(), *number)).collect() })
}

fn only(condition: &str) -> Step {
    Step::Where(Where { condition: Expr::condition(condition, &Names::reading(&["device"])).unwrap() })
}

/// Every kind of step, with bounds that random scripts meet on both sides.
fn every() -> Vec<CleanStep> {
    vec![
        all(map(&[("OFF", 0.0), ("ON", 1.0)])),
        all(Step::Range(Range { min: Some(-30_000.0), max: Some(30_000.0) })),
        all(Step::Duplicate(Duplicate { within: Span::from_secs(5) })),
        all(Step::Stuck(Stuck { after: Span::from_secs(30), action: Action::Reject })),
        all(Step::Stuck(Stuck { after: Span::from_secs(40), action: Action::Flag })),
        of("m0", Step::Spike(Spike { window: 3, sigma: 1.0, min_deviation: 0.0 })),
        all(Step::Scale(Scale { factor: 0.1, offset: 3.0 })),
        of(
            "m1",
            Step::Deadband(Deadband {
                band: Band::Absolute(500.0),
                at_least_every: Some(Span::from_secs(60)),
            }),
        ),
        of("m1", Step::RateLimit(RateLimit { per_second: 500.0 })),
        derive("derived", "m0 * 2"),
        derive("derived/again", "derived + m1"),
        all(Step::Convert(Convert::new("°F", "°C").unwrap())),
        all(only("not (device == 'd1' and value < 0)")),
        of("derived", Step::Duplicate(Duplicate { within: Span::from_secs(60) })),
    ]
}

/// Some of these steps, in this order.
pub fn some() -> impl Strategy<Value = Vec<CleanStep>> {
    prop::collection::vec(any::<bool>(), every().len()).prop_map(|chosen| {
        every().into_iter().zip(chosen).filter_map(|(step, chosen)| chosen.then_some(step)).collect()
    })
}

fn with(steps: Vec<CleanStep>) -> Plan {
    let mut plan = plan();
    plan.streams[0].clean = steps;
    plan
}

/// What becomes of messages on `s/d1/t`, one a second.
fn check(plan: &Plan, payloads: &[&str], expected: &[&str]) {
    let mut world = World::new(plan.clone());
    let verdicts: Vec<_> = (0..)
        .zip(payloads)
        .flat_map(|(secs, payload)| world.send(f64::from(secs), "s/d1/t", payload))
        .collect();
    assert_eq!(verdicts, expected, "{payloads:?}");
}

#[test]
fn texts_become_numbers() {
    let texts = map(&[("-", -1.0), ("0", 7.0), ("ON", 5.0), ("Shut", 0.0)]);
    let mut plan = with(vec![all(texts.clone())]);
    let value = |value: &str| format!(r#"{{"v":{value},"ts":{}}}"#, at(0.0).as_millis());
    for (json, expected) in [
        (value("\"Shut\""), "counted"),
        (value("\"shut\""), "rejected not_a_number"),
        (value("\"-\""), "counted"),
        (value("\"unavailable\""), "rejected no_value"),
        (value("3"), "counted"),
    ] {
        check(&plan, &[&json], &[expected]);
    }
    // A text payload: the map comes before what words and numbers mean otherwise.
    plan.streams[0].format = Format::Text;
    plan.streams[0].time = None;
    let mut world = World::new(plan.clone());
    let mut values = vec![];
    for text in ["ON", "on", "0", "0.0", "Shut", "-"] {
        let traces = world.step(0.0, |step| step.message(&super::world::message(0.0, "s/d1/t", text)));
        values.push(traces[0].value);
    }
    assert_eq!(values, [5.0, 1.0, 7.0, 0.0, 0.0, -1.0].map(Some));
    // Among leaves, only for its metric.
    plan.streams[0].format = Format::Json;
    plan.streams[0].fields = Fields::default();
    plan.streams[0].clean = vec![of("valve/state", texts)];
    check(&plan, &[r#"{"valve":{"state":"Shut","name":"ON"},"state":"Shut"}"#], &["counted"]);
}

#[test]
fn steps_see_what_the_steps_before_them_passed() {
    let plan = with(vec![
        all(Step::Range(Range { min: None, max: Some(50.0) })),
        all(Step::RateLimit(RateLimit { per_second: 1.0 })),
        all(Step::Scale(Scale { factor: 10.0, offset: 0.0 })),
        all(only("value != 210")),
    ]);
    let values = [20.0, 85.0, 21.0, 26.0, 22.0];
    let payloads: Vec<_> = (0..).zip(values).map(|(secs, value)| payload(value, f64::from(secs))).collect();
    let payloads: Vec<_> = payloads.iter().map(String::as_str).collect();
    let expected = ["counted", "rejected range", "rejected where", "rejected rate_limit", "counted"];
    check(&plan, &payloads, &expected);
}

/// It is eleven in Amsterdam.
#[test]
fn parts_of_the_time_are_those_of_the_gateway() {
    for (zone, expected) in [("Europe/Amsterdam", "counted"), ("UTC", "rejected where")] {
        let plan = Plan { timezone: zone.into(), ..with(vec![all(only("hour == 11"))]) };
        check(&plan, &[&payload(1.0, 0.0)], &[expected]);
    }
}

/// What the steps did not see they do not remember: a replay could not know of it.
#[test]
fn duplicates_and_late_ones_teach_the_steps_nothing() {
    let mut plan = with(vec![all(Step::RateLimit(RateLimit { per_second: 1.0 }))]);
    plan.streams[0].unique = tidegate_pipeline::plan::Unique::Time;
    let late = payload(500.0, -7_200.0);
    let (first, again, near) = (payload(10.0, 0.0), payload(99.0, 0.0), payload(11.0, 1.0));
    check(&plan, &[&late, &first, &again, &near], &["rejected too_late", "counted", "duplicate", "counted"]);
}

/// A message with several metrics, and one more that is made of them.
#[test]
fn a_metric_is_derived_from_cleaned_values() {
    let mut plan = with(vec![
        of("temperature", Step::Convert(Convert::new("°F", "°C").unwrap())),
        of("humidity", Step::Range(Range { min: Some(0.0), max: Some(100.0) })),
        derive("dew_point", "temperature - (100 - humidity) / 5"),
        derive("spread", "temperature - dew_point"),
        of("dew_point", Step::Range(Range { min: Some(-20.0), max: None })),
    ]);
    plan.streams[0].fields = Fields::default();
    plan.streams[0].time = None;
    let mut world = World::new(plan);
    let mut send = |payload: &str| {
        let traces = world.step(0.0, |step| step.message(&super::world::message(0.0, "s/d1/t", payload)));
        let shown = |trace: &tidegate_pipeline::message::Trace| {
            let metric = trace.metric.as_deref().unwrap_or("");
            format!("{metric} {} {}", trace.value.unwrap_or(f64::NAN), super::world::name(trace.verdict))
        };
        traces.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(
        send(r#"{"temperature":68,"humidity":50}"#),
        ["temperature 20 counted", "humidity 50 counted", "dew_point 10 counted", "spread 10 counted"]
    );
    assert_eq!(send(r#"{"temperature":77}"#), ["temperature 25 counted"]);
    assert_eq!(
        send(r#"{"temperature":77,"humidity":101}"#),
        ["temperature 25 counted", "humidity NaN rejected range"]
    );
    // A derived reading is judged like any other, and what is rejected is not derived from.
    assert_eq!(
        send(r#"{"temperature":14,"humidity":0}"#),
        ["temperature -10 counted", "humidity 0 counted", "dew_point NaN rejected range"]
    );
    world.settle();
    let units: Vec<_> = (0..world.closed.len())
        .map(|at| world.json(at)["data"]["metric"].to_string() + &world.json(at)["data"]["unit"].to_string())
        .collect();
    assert!(units.contains(&r#""dew_point""K""#.to_owned()), "{units:?}");
    assert!(units.contains(&r#""temperature""°C""#.to_owned()), "{units:?}");
}

/// A derived reading takes no fingerprint and no sequence number: its message has them.
#[test]
fn a_redelivery_derives_nothing_again() {
    let mut world = World::new(with(vec![derive("derived", "t * 2")]));
    let message = payload(1.0, 0.0);
    world.step(0.0, |step| step.opened(0, "broker", 8));
    assert_eq!(world.send(0.0, "s/d1/t", &message), ["counted", "counted"]);
    world.step(1.0, |step| step.opened(0, "broker", 8));
    assert_eq!(world.send(1.0, "s/d1/t", &message), ["duplicate"]);
    let prints =
        |world: &World| world.entries.iter().flat_map(|e| &e.parts).filter(|p| p.print.is_some()).count();
    assert_eq!(prints(&world), 2);
}

#[test]
fn rejections_are_counted_per_series() {
    let mut world = World::new(with(vec![all(Step::Range(Range { min: None, max: Some(50.0) }))]));
    for (secs, topic, value) in
        [(0.0, "s/d1/t", 1.0), (1.0, "s/d1/t", 85.0), (2.0, "s/d1/t", 85.0), (3.0, "s/d2/t", 2.0)]
    {
        world.send(secs, topic, &payload(value, secs));
    }
    world.send(4.0, "s/d1/t", r#"{"v":null,"ts":0}"#);
    let counts: Vec<Vec<_>> = world
        .pipeline
        .state()
        .series
        .iter()
        .map(|series| series.rejections.iter().map(|(reason, count)| (reason.name(), count)).collect())
        .collect();
    assert_eq!(counts, [vec![("no_value", 1), ("range", 2)], vec![]]);
    let worst = world.pipeline.most_rejected();
    let shown = |one: &SeriesRejections| (one.metric.clone(), one.tags[0].1.clone(), one.total());
    assert_eq!(worst.iter().map(shown).collect::<Vec<_>>(), [("t".to_owned(), "d1".to_owned(), 3)]);
    // A restart and another plan know it still.
    let state = world.pipeline.state().clone();
    world.pipeline = Pipeline::restore(world.pipeline.plan().clone(), state);
    assert_eq!(world.pipeline.most_rejected(), worst);
    world.change(5.0, plan());
    assert_eq!(world.pipeline.most_rejected(), worst);
}

/// A change of the steps of one stream makes its memories new and leaves those of others.
#[test]
fn other_steps_remember_nothing() {
    let duplicate = |secs| vec![all(Step::Duplicate(Duplicate { within: Span::from_secs(secs) }))];
    let mut both = with(duplicate(60));
    let mut other = stream("other");
    other.topics = vec![tidegate_pipeline::topic::TopicPattern::parse("o/{device}/{metric}").unwrap()];
    other.clean = duplicate(60);
    both.streams.push(other);
    let mut world = World::new(both.clone());
    let send = |world: &mut World, secs, topic| world.send(secs, topic, &payload(1.0, secs)).remove(0);
    assert_eq!(
        (send(&mut world, 0.0, "s/d/t"), send(&mut world, 0.0, "o/d/t")),
        ("counted".into(), "counted".into())
    );
    both.streams[0].clean = duplicate(50);
    world.change(1.0, both);
    assert_eq!(send(&mut world, 2.0, "s/d/t"), "counted");
    assert_eq!(send(&mut world, 2.0, "o/d/t"), "rejected repeated");
}

#[test]
fn the_unit_is_that_of_the_last_step() {
    let mut stream = stream("s");
    let listed =
        vec![MetricPlan { name: "t".into(), at: None, unit: Some("°F".into()), ..MetricPlan::default() }];
    stream.fields = Fields::Value { at: Some(pointer("/v")), metric: "v".into(), listed, rest: true };
    assert_eq!((stream.unit_of("t"), stream.unit_of("u")), (Some("°F"), None));
    stream.clean = vec![of("t", Step::Convert(Convert::new("°F", "°C").unwrap())), derive("u", "t + 1")];
    assert_eq!((stream.unit_of("t"), stream.unit_of("u")), (Some("°C"), Some("K")));
}

#[test]
fn what_stays_can_be_flagged() {
    let mut plan = super::world::plan();
    plan.streams[0].clean =
        vec![all(Step::Stuck(Stuck { after: Span::from_secs(20), action: Action::Flag }))];
    let mut world = World::new(plan);
    for (secs, value) in [(0.0, 1.0), (10.0, 1.0), (20.0, 1.0), (30.0, 1.0), (40.0, 2.0)] {
        assert_eq!(world.send(secs, "s/d/t", &payload(value, secs)), ["counted"]);
    }
    world.settle();
    let completeness = world.json(0)["data"]["completeness"].clone();
    assert_eq!((&completeness["received"], &completeness["flagged"]), (&5.into(), &2.into()));
}
