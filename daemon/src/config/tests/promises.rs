//! What `check` says of each stream.

use super::valid;
use crate::config::promise::{Promise, StreamPromise, promises};

fn all(text: &str) -> Vec<StreamPromise> {
    promises(&valid(text))
}

fn one(text: &str) -> StreamPromise {
    all(&format!("[streams.climate]\ntopic = \"s/{{device}}/{{metric}}\"\n{text}\n")).remove(0)
}

#[test]
fn in_plain_words() {
    let check = |text: &str, promise: Promise, expected: &str| {
        let found = one(text);
        assert_eq!((found.promise, found.text.as_str()), (promise, expected), "{text}");
    };
    let broker = "from `local` at QoS 1 (what is published at QoS 0: at most once on the way to us)";
    check(
        "",
        Promise::Doubtful,
        &format!(
            "climate: both doubtful: without a sequence number or time stamp only its content tells a message that comes \
             again from a new one, so that around a reconnect one may count twice or be taken for a duplicate; {broker}"
        ),
    );
    check(
        "sequence = { at = \"/seq\", boot = \"/boot\", per = [\"device\"] }",
        Promise::ExactlyOnce,
        &format!(
            "climate: exactly once, by boot and sequence per device (the last four boots stay live; below the remembered \
             window a reading is a dead letter, sequence_too_old); {broker}"
        ),
    );
    check(
        "sequence = \"/seq\"",
        Promise::ExactlyOnce,
        &format!(
            "climate: by sequence per topic: exactly once among the last 1,024; a restart that repeats sequence and payload \
             is taken for duplicates; {broker}"
        ),
    );
    check(
        "unique = \"time\"\ntime = { at = \"/t\", format = \"s\" }\n[summaries.a]\namend = \"1h30m\"\n[summaries.b]\namend = \"2h\"",
        Promise::ExactlyOnce,
        &format!(
            "climate: exactly once, by time stamp per series, for as long as a window can be amended (1h30m); {broker}"
        ),
    );
}

#[test]
fn the_way_to_us() {
    let sequence = "sequence = \"/seq\"\n";
    let zero = one(&format!("{sequence}[sources.b]\nqos = 0"));
    assert!(zero.text.ends_with("from `b` at QoS 0: at most once on the way to us"), "{}", zero.text);
    assert_eq!(zero.warnings, ["`b` has qos = 0: brokers keep nothing for us while tidegate is away"]);
    let clean = one(&format!("{sequence}[sources.b]\nsession = \"clean\"\nprotocol = \"3.1.1\""));
    assert_eq!(clean.warnings.len(), 2);
    assert!(clean.warnings[0].contains("what is published while tidegate is away is lost"));
    assert!(clean.warnings[1].contains("MQTT 3.1.1"));
    let group = one(&format!("{sequence}[sources.b]\nshared_group = \"g\""));
    assert_eq!(group.promise, Promise::AtLeastOnce);
    assert!(group.text.starts_with("climate: across the group `g` at least once"), "{}", group.text);
    let two = one(&format!("{sequence}[sources.b]\n[sources.l]\nlisten = \"127.0.0.1:0\""));
    assert!(two.text.contains("; from `b` at QoS 1") && two.text.contains("; on `l` at the sensor's QoS"));
    assert_eq!(one(&format!("{sequence}retained = \"count\"")).warnings.len(), 1);
}

#[test]
fn overlaps() {
    let check = |a: &str, b: &str, expected: Option<&str>| {
        let found = all(&format!(
            "[streams.a]\n{a}\n[streams.b]\n{b}\n[sources.x]\n[sources.y]\nurl = \"mqtt://y\"\n"
        ));
        let text = |name: &str| {
            let text = |topic| format!("`{name}` reads `{topic}` too: each of the two counts such a message");
            expected.map(text).into_iter().collect::<Vec<_>>()
        };
        assert_eq!((&found[0].overlaps, &found[1].overlaps), (&text("b"), &text("a")), "{a} {b}");
    };
    check("topic = \"s/{d}/t\"", "topic = \"s/{d}/h\"", None);
    check("topic = \"s/{d}/t\"", "topic = \"s/#\"", Some("s/+/t"));
    check("topic = \"s/{d#}/t\"", "topic = \"s/x/{m}\"", Some("s/x/t"));
    check("topic = \"{d#}/t\"", "topic = \"{d#}/t/{m}\"", Some("+/t/t"));
    check("topic = \"s\"", "topic = \"s/#\"", Some("s"));
    check("topic = \"s\"", "topic = \"s/{x#}\"", None);
    check("topic = \"#\"", "topic = \"$SYS/#\"", None);
    check("topic = \"s/{d}/{m}\"\nexclude = \"s/+/t\"", "topic = \"s/+/t\"", None);
    check("topic = \"s/{d}/{m}\"\nexclude = \"s/+/t\"", "topic = \"s/+/{m}\"", Some("s/+/+"));
    check("topic = \"a\"\nsources = \"x\"", "topic = \"a\"\nsources = \"y\"", None);
    check("topic = [\"a\", \"b\"]", "topic = [\"c\", \"b\"]", Some("b"));
}
