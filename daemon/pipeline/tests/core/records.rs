//! Messages with several records, tags from places, and other names for tags.

use super::world::{World, at, name, plan, pointer};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::plan::{
    Fields, MetricPlan, Plan, PointerPattern, TagPlan, TimeFormat, TimePlan, Unique,
};
use tidegate_pipeline::topic::TopicPattern;

/// `b/{device}` with `{"readings": [{"ts": ms, "t": value}, …]}`.
fn bundles() -> Plan {
    let mut plan = plan();
    let stream = &mut plan.streams[0];
    stream.topics = vec![TopicPattern::parse("b/{device}").unwrap()];
    stream.each = Some(pointer("/readings"));
    stream.fields = Fields::Leaves {
        listed: vec![MetricPlan {
            name: "t".into(),
            at: Some(PointerPattern::parse("/t").unwrap()),
            unit: None,
            ..MetricPlan::default()
        }],
        rest: false,
    };
    stream.time = Some(TimePlan { at: pointer("/ts"), format: TimeFormat::Millis });
    plan
}

fn element(value: f64, secs: f64, more: &str) -> String {
    format!(r#"{{"t":{value},"ts":{}{more}}}"#, at(secs).as_millis())
}

fn bundle(elements: &[String], more: &str) -> String {
    format!(r#"{{"readings":[{}]{more}}}"#, elements.join(","))
}

#[test]
fn each_record_has_its_own_time_and_tags() {
    let mut plan = bundles();
    plan.streams[0].tags = vec![("room".into(), TagPlan::At(pointer("/room")))];
    let mut world = World::new(plan);
    let payload = bundle(
        &[element(1.0, -70.0, ""), element(2.0, -5.0, r#","room":"attic""#), element(3.0, 0.0, "")],
        r#","room":"cellar""#,
    );
    assert_eq!(world.send(0.0, "b/d1", &payload), ["counted", "counted", "counted"]);
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            "minute/t/d1/attic/09:59:00Z/60s/r0 1 2",
            "minute/t/d1/cellar/09:58:00Z/60s/r0 1 1",
            "minute/t/d1/cellar/10:00:00Z/60s/r0 1 3",
        ]
    );
}

/// A number around the list counts once for all records; a number in each record tells each of them.
#[test]
fn numbers_of_messages_and_of_records() {
    let mut plan = bundles();
    plan.streams[0].unique =
        Unique::Sequence { at: pointer("/seq"), boot: Some(pointer("/boot")), per: None };
    let mut world = World::new(plan);
    let both = [element(1.0, 0.0, ""), element(2.0, 1.0, "")];
    let outer = |seq: u32| bundle(&both, &format!(r#","seq":{seq},"boot":1"#));
    assert_eq!(world.send(0.0, "b/d1", &outer(2_000)), ["counted", "counted"]);
    assert_eq!(world.send(1.0, "b/d1", &outer(2_000)), ["duplicate", "duplicate"]);
    assert_eq!(world.send(2.0, "b/d1", &outer(1)), ["dead sequence_too_old", "dead sequence_too_old"]);
    let letters: Vec<_> = world.letters.iter().map(|letter| letter.readings).collect();
    assert_eq!(letters, [2], "the bytes are kept once, for both");

    let inner = |first: u32, second: u32| {
        let numbered = |value, seq| element(value, 0.0, &format!(r#","seq":{seq}"#));
        bundle(&[numbered(1.0, first), numbered(2.0, second)], r#","boot":1"#)
    };
    assert_eq!(world.send(3.0, "b/d1", &inner(2_001, 2_002)), ["counted", "counted"]);
    assert_eq!(world.send(4.0, "b/d1", &inner(2_002, 2_003)), ["duplicate", "counted"]);
    // A retry of the whole message would count what was counted: the bytes are not kept.
    assert_eq!(world.send(5.0, "b/d1", &inner(1, 2_004)), ["rejected sequence_too_old", "counted"]);
    assert_eq!(world.letters.len(), 1);
    assert_eq!(world.pipeline.ledger().total(), 12);
}

/// Records of a message that came again are told by the message's fingerprint, all of them.
#[test]
fn a_message_that_comes_again() {
    let mut world = World::new(bundles());
    let payload = bundle(&[element(1.0, 0.0, ""), element(2.0, 1.0, "")], "");
    world.step(0.0, |step| step.opened(0, "broker", 10));
    assert_eq!(world.send(0.0, "b/d1", &payload), ["counted", "counted"]);
    world.step(1.0, |step| step.opened(0, "broker", 10));
    assert_eq!(world.send(1.0, "b/d1", &payload), ["duplicate", "duplicate"]);
    assert_eq!(world.send(2.0, "b/d1", &payload), ["counted", "counted"]);
    assert_eq!(world.send(3.0, "b/d1", r#"{"readings":[]}"#), [] as [&str; 0]);
    let mut replayed = Pipeline::new(world.pipeline.plan().clone());
    world.entries.iter().for_each(|entry| replayed.replay(entry));
    assert_eq!(replayed.state(), world.pipeline.state());
}

#[test]
fn captures_become_tags_and_tags_get_other_names() {
    let mut plan = bundles();
    let stream = &mut plan.streams[0];
    (stream.each, stream.time) = (None, None);
    let at = |text: &str| Some(PointerPattern::parse(text).unwrap());
    stream.fields = Fields::Leaves {
        listed: vec![
            MetricPlan {
                name: "power".into(),
                at: at("/switch:{channel}/apower"),
                unit: None,
                ..MetricPlan::default()
            },
            MetricPlan { name: "rssi".into(), at: at("/rssi"), unit: None, ..MetricPlan::default() },
        ],
        rest: false,
    };
    let table = |from: &str, to: &str| vec![(from.to_owned(), to.to_owned())];
    stream.rename =
        vec![("channel".into(), table("0", "heater")), ("device".into(), table("0xa1", "kitchen"))];
    let mut world = World::new(plan);
    let payload = r#"{"rssi":-60,"switch:0":{"apower":5},"switch:1":{"apower":7}}"#;
    let traces = world.step(0.0, |step| step.message(&super::world::message(0.0, "b/0xa1", payload)));
    let shown: Vec<_> = traces
        .iter()
        .map(|trace| {
            let tags: Vec<_> = trace.tags.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!("{} {} {}", trace.metric.as_deref().unwrap(), tags.join(","), name(trace.verdict))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "rssi device=kitchen counted",
            "power channel=heater,device=kitchen counted",
            "power channel=1,device=kitchen counted",
        ]
    );
    world.send(1.0, "b/0xa1", payload);
    world.settle();
    let mut lines = world.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            "minute/power/1/kitchen/10:00:00Z/60s/r0 2 14",
            "minute/power/heater/kitchen/10:00:00Z/60s/r0 2 10",
            "minute/rssi/-/kitchen/10:00:00Z/60s/r0 2 -120",
        ]
    );
}

/// Names behind aliases are state: they are in the checkpoint and in the journal, and end with a death.
#[test]
fn sparkplug_births_survive() {
    const BIRTH: &[u8] = include_bytes!("../../../../tests/fuzz/corpus/sparkplug/birth");
    const DATA: &[u8] = include_bytes!("../../../../tests/fuzz/corpus/sparkplug/data");
    let mut plan = plan();
    let stream = &mut plan.streams[0];
    stream.topics = vec![TopicPattern::parse("spBv1.0/#").unwrap()];
    stream.format = tidegate_pipeline::plan::Format::Sparkplug;
    (stream.fields, stream.time) = (Fields::default(), None);
    let mut world = World::new(plan.clone());
    let send = |world: &mut World, secs: f64, topic: &str, payload: &[u8]| {
        let topic = format!("spBv1.0/plant/{topic}/press");
        let message = super::world::message(secs, &topic, "");
        let message = tidegate_pipeline::message::Message { payload, ..message };
        let traces = world.step(secs, |step| step.message(&message));
        let line = |trace: &tidegate_pipeline::message::Trace| {
            format!("{} {}", trace.metric.as_deref().unwrap_or("-"), name(trace.verdict))
        };
        traces.iter().map(line).collect::<Vec<_>>()
    };
    // The second metric of the data is null.
    let unknown = ["alias 1 rejected unknown_alias", "alias 9 rejected unknown_alias"];
    assert_eq!(send(&mut world, 0.0, "NDATA", DATA), unknown);
    let begin = world.pipeline.state().clone();
    let since = world.entries.len();
    assert_eq!(send(&mut world, 1.0, "NBIRTH", BIRTH), ["Supply/Volts counted", "Offset counted"]);
    let known = ["Supply/Volts counted", "alias 9 rejected unknown_alias"];
    assert_eq!(send(&mut world, 2.0, "NDATA", DATA), known);
    assert_eq!(send(&mut world, 3.0, "STATE", b"x"), ["- dead malformed"]);

    let mut replayed = Pipeline::restore(plan.clone(), begin);
    for entry in &world.entries[since..] {
        let entry = tidegate_pipeline::journal::decode(&tidegate_pipeline::journal::encode(entry)).unwrap();
        replayed.replay(&entry);
    }
    assert_eq!(replayed.state(), world.pipeline.state());
    world.pipeline = replayed;
    assert_eq!(send(&mut world, 4.0, "NDATA", DATA), known);
    // A birth that says the same again is no news, and a changed plan forgets none.
    let entries = world.entries.len();
    send(&mut world, 5.0, "NBIRTH", BIRTH);
    assert!(world.entries[entries..].iter().all(|entry| entry.events.is_empty()));
    plan.streams[0].name = "other".into();
    world.change(6.0, plan);
    assert_eq!(send(&mut world, 7.0, "NDATA", DATA), known);
    assert_eq!(send(&mut world, 8.0, "NDEATH", b""), [] as [&str; 0]);
    assert_eq!(send(&mut world, 9.0, "NDATA", DATA), unknown);
}
