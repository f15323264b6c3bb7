//! Every verdict and reason, one message each.

use super::world::{World, at, message, name, payload, plan, pointer, stream, summary};
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::clean::{Range, Scale, Step as Clean};
use tidegate_pipeline::limits::{DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_PER_STEP_MAX};
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{CleanStep, Fields, Format, Plan, Retained, TagPlan, Unique};
use tidegate_pipeline::time::Span;
use tidegate_pipeline::topic::TopicPattern;
use tidegate_pipeline::verdict::{Reason, Verdict};

/// What becomes of one message at ten o'clock, reading by reading; the ledger must say the same.
fn check(plan: &Plan, topic: &str, payload: &str, expected: &[&str]) {
    let mut world = World::new(plan.clone());
    let verdicts = world.send(0.0, topic, payload);
    assert_eq!(verdicts, expected, "{topic} {:.80}", payload);
    assert_eq!(world.pipeline.ledger().total(), expected.len() as u64, "{topic} {:.80}", payload);
    let dead = expected.iter().filter(|verdict| verdict.starts_with("dead")).count();
    assert_eq!(world.letters.iter().map(|letter| letter.readings as usize).sum::<usize>(), dead);
}

#[test]
fn one_value_of_a_topic() {
    let plan = plan();
    let value = |value: &str| format!(r#"{{"v":{value},"ts":{}}}"#, at(0.0).as_millis());
    check(&plan, "s/d1/t", &value("21.5"), &["counted"]);
    check(&plan, "s/d1/t", &value("true"), &["counted"]);
    check(&plan, "s/d1/t", &value("null"), &["rejected no_value"]);
    check(&plan, "s/d1/t", &value("\"unavailable\""), &["rejected no_value"]);
    check(&plan, "s/d1/t", &value("\"warm\""), &["rejected not_a_number"]);
    check(&plan, "s/d1/t", &value("{\"deep\":1}"), &["rejected not_a_number"]);
    check(&plan, "s/d1/t", r#"{"other":1}"#, &[]);
    check(&plan, "s/d1/t", r#"{"v":1}"#, &["rejected bad_time"]);
    check(&plan, "s/d1/t", r#"{"v":1,"ts":"yesterday"}"#, &["rejected bad_time"]);
    check(&plan, "s/d1/t", r#"{"v":1,"ts":-9223372036854775000}"#, &["rejected bad_time"]);
    check(&plan, "s/d1/t", &payload(1.0, 300.0), &["counted"]);
    check(&plan, "s/d1/t", &payload(1.0, 300.001), &["rejected future"]);
    check(&plan, "s/d1/t", &payload(1.0, -3_600.0), &["counted"]);
    check(&plan, "s/d1/t", &payload(1.0, -3_730.0), &["rejected too_late"]);
    check(&plan, "s/d1/t", r#"{"v":1,"ts":0}"#, &["rejected too_late"]);
    check(&plan, "s/d1/t", r#"{"v":1e999}"#, &["dead malformed"]);
    check(&plan, "s/d1/t", r#"{"v":"#, &["dead malformed"]);
    check(&plan, "s/d1/t", "\u{0}", &["dead malformed"]);
    check(&plan, "s/d1/t", &"[".repeat(100_000), &["rejected malformed"]);
    check(&plan, "other", "1", &["rejected unmatched"]);
    check(&plan, "s/+/t", "1", &["dead bad_topic"]);
    check(&plan, "", "1", &["dead bad_topic"]);
    check(&plan, &format!("s/{}/t", "x".repeat(257)), &payload(1.0, 0.0), &["rejected name_too_long"]);
}

#[test]
fn text_and_leaves() {
    let mut plan = plan();
    plan.streams[0].time = None;
    plan.streams[0].format = Format::Text;
    check(&plan, "s/d1/t", "nan", &["rejected not_finite"]);
    check(&plan, "s/d1/t", "21,5", &["rejected not_a_number"]);
    check(&plan, "s/d1/t", " ON\n", &["counted"]);
    plan.streams[0].format = Format::Auto;
    plan.streams[0].fields = Fields::Leaves { listed: vec![], rest: true };
    check(&plan, "s/d1/t", r#"{"a":1,"b":{"c":true,"d":"x"},"e":null}"#, &["counted", "counted"]);
    check(&plan, "s/d1/t", "21.5", &["counted"]);
    check(&plan, "s/d1/t", "{}", &[]);
    let many: String = (0..1_001).map(|n| format!("\"k{n}\":1,")).collect();
    check(&plan, "s/d1/t", &format!("{{{many}\"z\":1}}"), &["dead too_many_readings"]);
    check(&plan, "s/d1/t", &format!("{{\"{}\":1}}", "k".repeat(257)), &["rejected name_too_long"]);
}

#[test]
fn cleaning() {
    let mut plan = plan();
    plan.streams[0].clean = vec![
        CleanStep { step: Clean::Scale(Scale { factor: 0.1, offset: 0.0 }), metrics: Some(vec!["t".into()]) },
        CleanStep { step: Clean::Range(Range { min: Some(0.0), max: Some(50.0) }), metrics: None },
    ];
    check(&plan, "s/d1/t", &payload(500.0, 0.0), &["counted"]);
    check(&plan, "s/d1/t", &payload(501.0, 0.0), &["rejected range"]);
    check(&plan, "s/d1/h", &payload(500.0, 0.0), &["rejected range"]);
    let mut world = World::new(plan);
    world.send(0.0, "s/d1/t", &payload(215.0, 0.0));
    world.settle();
    assert_eq!(world.lines(), ["minute/t/d1/10:00:00Z/60s/r0 1 21.5"]);
}

#[test]
fn a_message_goes_to_every_stream_that_matches() {
    let mut plan = plan();
    let mut second = stream("all");
    second.topics = vec![TopicPattern::parse("other/#").unwrap(), TopicPattern::parse("s/#").unwrap()];
    second.exclude = vec![TopicPattern::parse("s/secret/+").unwrap()];
    second.fields =
        Fields::Value { at: Some(pointer("/v")), metric: "raw".into(), listed: vec![], rest: true };
    second.tags = vec![
        ("site".into(), TagPlan::Constant("north".into())),
        ("room".into(), TagPlan::At(pointer("/meta/room"))),
    ];
    plan.streams.push(second);
    plan.summaries[0].streams = vec![0, 1];
    check(&plan, "s/d1/t", &payload(1.0, 0.0), &["counted", "counted"]);
    check(&plan, "s/secret/t", &payload(1.0, 0.0), &["counted"]);
    check(&plan, "s/d1/t", "junk", &["dead malformed", "dead malformed"]);
    let mut world = World::new(plan);
    let room = format!(r#"{{"v":2,"ts":{},"meta":{{"room":"a/b"}}}}"#, at(0.0).as_millis());
    world.send(0.0, "s/d1/t", &room);
    world.settle();
    assert_eq!(
        world.lines(),
        ["minute/t/d1/-/-/10:00:00Z/60s/r0 1 2", "minute/raw/-/a%2Fb/north/10:00:00Z/60s/r0 1 2"],
        "tags that a stream does not have are absent, and sorted by name"
    );
}

#[test]
fn retained_messages() {
    for (retained, expected) in [
        (Retained::Latest, "rejected retained"),
        (Retained::Ignore, "rejected retained"),
        (Retained::Count, "counted"),
    ] {
        let mut plan = plan();
        plan.streams[0].retained = retained;
        let mut world = World::new(plan);
        let payload = payload(1.0, 0.0);
        let message = Message { retained: true, ..message(0.0, "s/d1/t", &payload) };
        let traces = world.step(0.0, |step| step.message(&message));
        assert_eq!(name(traces[0].verdict), expected, "{retained:?}");
    }
}

#[test]
fn bad_utf8_topics_are_kept() {
    let mut world = World::new(plan());
    let message = Message { topic: b"s/\xff/t", ..message(0.0, "", "1") };
    let traces = world.step(0.0, |step| step.message(&message));
    assert_eq!(name(traces[0].verdict), "dead bad_topic");
    assert_eq!(world.letters[0].topic, b"s/\xff/t");
}

#[test]
fn series_and_counters_have_a_limit_and_junk_makes_none() {
    let mut plan = plan();
    plan.series_max = 2;
    plan.streams[0].unique = Unique::Sequence { at: pointer("/n"), boot: None, per: None };
    let mut world = World::new(plan);
    let numbered = |secs: f64, n: u32| format!(r#"{{"v":1,"ts":{},"n":{n}}}"#, at(secs).as_millis());
    for (topic, payload, expected) in [
        ("s/d1/t", r#"{"v":"warm","ts":0,"n":1}"#.to_owned(), "rejected not_a_number"),
        ("s/d1/t", r#"{"v":1,"n":2}"#.to_owned(), "rejected bad_time"),
        ("s/d1/t", numbered(1e6, 3), "rejected future"),
        ("s/d1/t", numbered(0.0, 4), "counted"),
        ("s/d2/t", numbered(0.0, 1), "counted"),
        ("s/d3/t", numbered(0.0, 1), "rejected series_limit"),
        ("s/d4/t", numbered(0.0, 1), "rejected series_limit"),
        ("s/d2/t", numbered(0.0, 2), "counted"),
    ] {
        assert_eq!(world.send(0.0, topic, &payload), [expected], "{topic} {payload}");
    }
    assert_eq!((world.pipeline.state().series.len(), world.pipeline.state().counters.len()), (2, 2));
}

#[test]
fn dead_letters_are_capped_in_size_and_number() {
    let mut world = World::new(plan());
    let big = "x".repeat(DEAD_LETTER_BYTES_MAX);
    assert_eq!(world.send(0.0, "s/d1/t", &big), ["rejected malformed"]);
    let traces = world.step(0.0, |step| {
        (0..=DEAD_LETTERS_PER_STEP_MAX).for_each(|_| step.message(&message(0.0, "s/d1/t", "junk")));
    });
    let kept = traces.iter().filter(|trace| name(trace.verdict) == "dead malformed").count();
    assert_eq!((kept, world.letters.len()), (DEAD_LETTERS_PER_STEP_MAX, DEAD_LETTERS_PER_STEP_MAX));
    assert_eq!(name(traces[DEAD_LETTERS_PER_STEP_MAX].verdict), "rejected malformed");
    assert_eq!(world.pipeline.ledger().total(), 102);
}

#[test]
fn a_dead_letter_is_retried_under_the_plan_of_then() {
    let mut world = World::new(plan());
    assert_eq!(world.send(0.0, "s/d1/t", "junk"), ["dead malformed"]);
    assert_eq!(world.send(0.0, "s/d1/t", r#"{"value":21.5}x"#), ["dead malformed"]);
    let mut fixed = plan();
    fixed.streams[0].format = Format::Text;
    fixed.streams[0].time = None;
    fixed.summaries[0].aggregates = vec![Aggregate::Count];
    world.change(5.0, fixed);
    let letters = world.letters.clone();
    let mut retry = |secs: f64, at: usize| {
        let traces = world.step(secs, |step| step.retry(&letters[at]));
        traces.iter().map(|trace| name(trace.verdict)).collect::<Vec<_>>()
    };
    assert_eq!(retry(6.0, 0), ["rejected not_a_number"], "text now, but not a number");
    let mut number = letters[0].clone();
    number.payload = b"7".to_vec();
    let traces = world.step(60.0, |step| step.retry(&number));
    assert_eq!(name(traces[0].verdict), "counted", "at the time at which it had arrived");
    world.settle();
    assert_eq!(world.lines(), ["minute/t/d1/10:00:00Z/60s/r0 1"]);
    number.stream = Some("gone".into());
    let traces = world.step(60.0, |step| step.retry(&number));
    assert_eq!(name(traces[0].verdict), "dead unmatched", "asked for, so not thrown away");
}

#[test]
fn what_no_summary_wants_is_counted_all_the_same() {
    let mut plan = plan();
    plan.summaries = vec![];
    check(&plan, "s/d1/t", &payload(1.0, -1e6), &["counted"]);
    let mut picky = summary("minute");
    picky.metrics = Some(vec!["h".into()]);
    plan.summaries = vec![picky];
    check(&plan, "s/d1/t", &payload(1.0, 0.0), &["counted"]);
}

#[test]
fn refusals_at_the_door_are_in_the_ledger() {
    let mut world = World::new(plan());
    world.step(0.0, |step| {
        step.account(Verdict::Rejected(Reason::TooLarge), 3);
        step.account(Verdict::Duplicate, 4);
    });
    let ledger = world.pipeline.ledger();
    assert_eq!((ledger.under(Reason::TooLarge), ledger.duplicate, ledger.total()), (3, 4, 7));
}

/// Late for one summary and in time for another is counted.
#[test]
fn each_summary_has_its_own_lateness() {
    let mut plan = plan();
    let mut hour = summary("hour");
    hour.window = tidegate_pipeline::plan::Window::Tumbling { length: Span::from_secs(3_600) };
    plan.summaries[0].amend = Span::ZERO;
    plan.summaries.push(hour);
    let mut world = World::new(plan);
    assert_eq!(world.send(1_000.0, "s/d1/t", &payload(1.0, 0.0)), ["counted"]);
    world.settle();
    assert_eq!(world.lines(), ["hour/t/d1/10:00:00Z/3600s/r0 1 1"]);
}
