//! Counted once: by sequence, by boot and sequence, by time, by content.

use super::world::{World, at, message, name, payload, plan, pointer};
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{Fields, Plan, Unique, Window};
use tidegate_pipeline::time::Span;

fn unique(unique: Unique) -> Plan {
    let mut plan = plan();
    plan.streams[0].unique = unique;
    plan
}

fn sequence(boot: bool, per: Option<&str>) -> Unique {
    let boot = boot.then(|| pointer("/b"));
    Unique::Sequence { at: pointer("/n"), boot, per: per.map(|tag| vec![tag.to_owned()]) }
}

fn numbered(value: u32, boot: u32, number: u64) -> String {
    format!(r#"{{"v":{value},"ts":{},"b":{boot},"n":{number}}}"#, at(0.0).as_millis())
}

fn check(plan: Plan, messages: &[(&str, String, &str)]) -> World {
    let mut world = World::new(plan);
    for (topic, payload, expected) in messages {
        assert_eq!(world.send(0.0, topic, payload), [*expected], "{topic} {payload}");
    }
    world
}

#[test]
fn by_boot_and_sequence() {
    let world = check(
        unique(sequence(true, Some("device"))),
        &[
            ("s/d1/t", numbered(1, 1, 5_000), "counted"),
            ("s/d1/t", numbered(1, 1, 5_000), "duplicate"),
            ("s/d1/t", numbered(2, 1, 5_000), "duplicate"),
            ("s/d1/h", numbered(1, 1, 5_000), "duplicate"),
            ("s/d2/t", numbered(1, 1, 5_000), "counted"),
            ("s/d1/t", numbered(1, 1, 5_003), "counted"),
            ("s/d1/t", numbered(1, 1, 3_000), "dead sequence_too_old"),
            ("s/d1/t", numbered(1, 2, 1), "counted"),
            ("s/d1/t", numbered(1, 1, 5_001), "counted"),
            ("s/d1/t", r#"{"v":1,"n":7}"#.into(), "rejected bad_sequence"),
            ("s/d1/t", r#"{"v":1,"b":1,"n":-7}"#.into(), "rejected bad_sequence"),
        ],
    );
    let state = world.pipeline.state();
    assert_eq!(state.counters.len(), 2, "one per device");
    let mut world = world;
    world.settle();
    let event = world.json(0);
    assert_eq!(event["data"]["completeness"]["gaps"], 2);
    assert_eq!(event["data"]["completeness"]["duplicates"], 2, "those of its own series");
}

#[test]
fn by_sequence_alone() {
    check(
        unique(sequence(false, None)),
        &[
            ("s/d1/t", numbered(1, 0, 7), "counted"),
            ("s/d1/t", numbered(1, 0, 7), "duplicate"),
            ("s/d1/t", numbered(2, 0, 7), "counted"),
            ("s/d1/h", numbered(1, 0, 7), "counted"),
            ("s/d1/t", numbered(1, 0, u64::MAX), "counted"),
            ("s/d1/t", numbered(1, 0, 0), "counted"),
        ],
    );
}

#[test]
fn by_time() {
    let mut plan = unique(Unique::Time);
    check(
        plan.clone(),
        &[
            ("s/d1/t", payload(1.0, -1.0), "counted"),
            ("s/d1/t", payload(2.0, -1.0), "duplicate"),
            ("s/d1/h", payload(1.0, -1.0), "counted"),
            ("s/d1/t", payload(1.0, -1.001), "counted"),
        ],
    );
    plan.streams[0].fields = Fields::Leaves { listed: vec![], rest: true };
    plan.streams[0].time.as_mut().unwrap().at = pointer("/ts");
    let twice = format!(r#"{{"a":1,"a":2,"ts":{}}}"#, at(0.0).as_millis());
    let mut world = World::new(plan);
    assert_eq!(world.send(0.0, "s/d1/t", &twice), ["counted", "duplicate"], "also within one message");
}

/// A time stamp is known for as long as some window can take it: the first minutes of an hour until the hour is over.
#[test]
fn by_time_until_the_window_is_past() {
    let mut plan = unique(Unique::Time);
    plan.summaries[0].window = Window::Tumbling { length: Span::from_secs(3_600) };
    plan.summaries[0].amend = Span::from_secs(60);
    let mut world = World::new(plan);
    assert_eq!(world.send(0.0, "s/d1/t", &payload(1.0, 0.0)), ["counted"]);
    for secs in [600.0, 1_800.0, 3_599.0, 3_605.0, 3_669.0] {
        assert_eq!(world.send(secs, "s/d1/t", &payload(2.0, secs)), ["counted"], "{secs}");
        assert_eq!(world.send(secs, "s/d1/t", &payload(1.0, 0.0)), ["duplicate"], "{secs}");
    }
    let amended = world.send(3_700.0, "s/d1/t", &payload(1.0, 1.0));
    assert_eq!(amended, ["rejected too_late"]);
    assert_eq!(
        world.send(3_700.0, "s/d1/t", &payload(1.0, 0.0)),
        ["duplicate"],
        "an honest answer even then"
    );
    world.settle();
    assert_eq!(world.last()["minute/t/d1/2026-11-22T10:00:00Z/3600s"][0], 4.0);
}

#[test]
fn by_content_after_a_break() {
    let mut world = World::new(plan());
    let texts: Vec<_> = (0..6).map(|n| payload(f64::from(n / 2), 0.0)).collect();
    let mut deliver = |open: bool, which: &[usize]| -> Vec<String> {
        let traces = world.step(0.0, |step| {
            if open {
                step.opened(0, "broker", 3);
            }
            which.iter().for_each(|&at| step.message(&message(0.0, "s/d1/t", &texts[at])));
        });
        traces.iter().map(|trace| name(trace.verdict)).collect()
    };
    assert_eq!(
        deliver(true, &[0, 1, 2]),
        ["counted"; 3],
        "the same content without a break is another reading"
    );
    assert_eq!(deliver(true, &[1, 0, 2, 4]), ["duplicate", "duplicate", "duplicate", "counted"]);
    assert_eq!(deliver(false, &[4]), ["counted"], "no break, no doubt");
    assert_eq!(deliver(true, &[5, 5, 5]), ["duplicate", "duplicate", "counted"], "each entry cancels one");
}

/// What is never acknowledged never comes again, and another session's deliveries are its own.
#[test]
fn doubt_is_of_a_session_and_of_qos_1() {
    let text = payload(1.0, 0.0);
    for (session, acknowledged, expected) in
        [("broker", true, "duplicate"), ("broker", false, "counted"), ("other", true, "counted")]
    {
        let mut world = World::new(plan());
        let first = message(0.0, "s/d1/t", &text);
        let again = Message { session, acknowledged, ..first };
        let traces = world.step(0.0, |step| {
            ["broker", "other"].iter().for_each(|session| step.opened(0, session, 10));
            step.message(&first);
            ["broker", "other"].iter().for_each(|session| step.opened(0, session, 10));
            step.message(&again);
        });
        assert_eq!(name(traces[1].verdict), expected, "{session} {acknowledged}");
    }
}

/// What was read at the other end does not come again, whatever it looks like; what may not have been read does.
#[test]
fn only_what_is_not_settled_is_in_doubt() {
    let text = payload(1.0, 0.0);
    for (but, expected) in [
        (0, ["counted", "counted", "counted"]),
        (1, ["duplicate", "counted", "counted"]),
        (2, ["duplicate", "duplicate", "counted"]),
        (9, ["duplicate", "duplicate", "duplicate"]),
    ] {
        let mut world = World::new(plan());
        let mut deliver = |settled: Option<u32>| -> Vec<String> {
            let traces = world.step(0.0, |step| {
                step.opened(0, "broker", 10);
                (0..3).for_each(|_| step.message(&message(0.0, "s/d1/t", &text)));
                if let Some(but) = settled {
                    step.settled(0, "broker", but);
                    step.settled(0, "other", 0);
                }
            });
            traces.iter().map(|trace| name(trace.verdict)).collect()
        };
        assert_eq!(deliver(Some(but)), ["counted"; 3]);
        assert_eq!(deliver(None), expected, "{but}");
    }
}

/// Of a sender that marks what it sends again, what is not marked is new. It is remembered: it may come again, marked.
#[test]
fn what_cannot_be_a_repeat_is_none() {
    let text = payload(1.0, 0.0);
    let mut world = World::new(plan());
    let traces = world.step(0.0, |step| {
        for may_repeat in [false, false, true, true, false] {
            step.opened(0, "broker", 10);
            step.message(&Message { may_repeat, ..message(0.0, "s/d1/t", &text) });
        }
    });
    let verdicts: Vec<_> = traces.iter().map(|trace| name(trace.verdict)).collect();
    assert_eq!(verdicts, ["counted", "counted", "duplicate", "duplicate", "counted"]);
}

#[test]
fn redelivered_junk_is_a_duplicate_too() {
    let mut world = World::new(plan());
    for (topic, payload, first) in
        [("s/d1/t", "junk", "dead malformed"), ("x", "1", "rejected unmatched"), ("", "1", "dead bad_topic")]
    {
        let traces = world.step(0.0, |step| {
            step.opened(0, "broker", 10);
            step.message(&message(0.0, topic, payload));
            step.opened(0, "broker", 10);
            step.message(&message(0.0, topic, payload));
        });
        let verdicts: Vec<_> = traces.iter().map(|trace| name(trace.verdict)).collect();
        assert_eq!(verdicts, [first, "duplicate"], "{topic}");
    }
    assert_eq!(world.letters.len(), 2);
}

/// Three sensors that number two hundred messages each; by content half of those are in doubt, which count twice. And the same
/// again from one broker.
fn memory(unique: Unique) -> World {
    let topics = ["s/d1/t", "s/d2/t", "s/d3/t"];
    let mut world = World::new(self::unique(unique));
    for half in 0..2 {
        world.step(0.0, |step| topics.iter().for_each(|topic| step.opened(0, topic, 1_000)));
        world.step(0.0, |step| step.opened(0, "broker", 1_000));
        for number in 0..100 {
            let payload = numbered(7, 1, half * 100 + number);
            for topic in topics {
                world.step(0.0, |step| {
                    step.message(&Message { session: topic, ..message(0.0, topic, &payload) });
                    step.message(&message(0.0, topic, &payload));
                });
            }
        }
    }
    world
}

/// Less is remembered where there is no room for more: the latest of each counter.
#[test]
fn counters_go_on_with_fewer() {
    let mut world = memory(sequence(false, Some("device")));
    assert_eq!(world.pipeline.remembered(), 600);
    world.step(0.0, |step| step.remember(600));
    assert_eq!(world.pipeline.remembered(), 600);
    world.step(0.0, |step| step.remember(100));
    assert_eq!(world.pipeline.remembered(), 3 * 33);
    for (topic, number, expected) in [
        ("s/d2/t", 199, "duplicate"),
        ("s/d2/t", 167, "duplicate"),
        ("s/d2/t", 166, "counted"),
        ("s/d3/t", 168, "duplicate"),
    ] {
        assert_eq!(world.send(0.0, topic, &numbered(7, 1, number)), [expected], "{topic} {number}");
    }
    world.step(0.0, |step| step.remember(0));
    assert_eq!(world.pipeline.remembered(), 3 * 16, "some each, however little room there is");
    assert_eq!(super::laws::replayed(&world).state(), world.pipeline.state());
}

/// The same of time stamps: each series keeps the latest.
#[test]
fn series_go_on_with_fewer_time_stamps() {
    let mut world = World::new(unique(Unique::Time));
    for second in 0..50 {
        for topic in ["s/d1/t", "s/d2/t"] {
            world.send(f64::from(second), topic, &payload(1.0, f64::from(second)));
        }
    }
    assert_eq!(world.pipeline.remembered(), 100);
    world.step(50.0, |step| step.remember(60));
    assert_eq!(world.pipeline.remembered(), 2 * 30);
    for (second, expected) in [(49.0, "duplicate"), (20.0, "duplicate"), (19.0, "counted")] {
        assert_eq!(world.send(50.0, "s/d1/t", &payload(1.0, second)), [expected], "{second}");
    }
    assert_eq!(super::laws::replayed(&world).state(), world.pipeline.state());
}

/// What a session may have in flight it needs wholly: the one unheard for longest forgets its own.
#[test]
fn sessions_unheard_for_longest_forget() {
    let mut world = memory(Unique::Content);
    assert_eq!(world.pipeline.remembered(), 900 + 3 * 300);
    world.send(1.0, "s/d1/t", &numbered(7, 1, 1_000));
    let payload = numbered(7, 1, 1_001);
    world.step(2.0, |step| {
        step.message(&Message { session: "s/d3/t", ..message(2.0, "s/d3/t", &payload) });
    });
    world.step(2.0, |step| step.remember(1_300));
    assert_eq!(world.pipeline.remembered(), 901 + 301);
    assert_eq!(world.send(2.0, "s/d1/t", &numbered(7, 1, 0)), ["duplicate"], "the broker's are remembered");
    world.step(3.0, |step| {
        step.message(&Message { session: "s/d3/t", ..message(3.0, "s/d3/t", &payload) });
    });
    world.step(3.0, |step| step.remember(0));
    assert_eq!(world.pipeline.remembered(), 302, "who was heard last keeps all");
    assert_eq!(super::laws::replayed(&world).state(), world.pipeline.state());
}
