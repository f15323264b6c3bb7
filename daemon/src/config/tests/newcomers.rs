//! What newcomers write, and whether the answer tells them what to write instead.

use super::{BASE, read};

#[test]
fn the_answer_says_what_to_write() {
    let stream = "[streams.s]\ntopic = \"a\"\n";
    for (text, expected) in [
        (
            format!("{stream}value = \"$.a.b[0]\""),
            "this is JSONPath, and a JSON pointer starts with `/`: write `/a/b/0`",
        ),
        (format!("{stream}value = \"a.b\""), "write `/a/b`, or `/a.b` if the name itself"),
        ("[summaries.s]\nwindow = \"5 minutes\"".into(), "there is a space before the unit: write `5m`"),
        ("[summaries.s]\nwindow = \"5min\"".into(), "`min` is written `m`: `5m`"),
        ("[summaries.s]\nwindow = \"2 fortnights\"".into(), "there is a space before the unit\n"),
        ("[summaries.s]\nwindow = \"daily\"".into(), "write window = { calendar = \"day\" }"),
        ("[summaries.s]\nwindow = \"session\"".into(), "write window = { session = \"30s\" }"),
        ("[buffer]\nmax_size = \"1G\"".into(), "did you mean `1GiB`?"),
        ("[buffer]\nmax_size = \"512 MB\"".into(), "write `512MB`"),
    ] {
        let report = read(&format!("{text}\n{BASE}")).expect_err(&text).to_string();
        assert!(report.contains(expected) && report.ends_with(": 1 error\n"), "{report}");
    }
}

/// MQTT takes them for words, so they are no error, and nothing would arrive.
#[test]
fn placeholders_of_others() {
    for (topic, expected) in [
        ("t/$device", Some("{device}")),
        ("t/<room>/x", Some("{room}")),
        ("t/:id", Some("{id}")),
        ("%topic%/tele", Some("{topic}")),
        ("t/*/x", Some("{device}")),
        ("$SYS/broker/uptime", None),
        ("t/{device}/+/a-b", None),
        ("t/a$b", None),
    ] {
        let text = format!("[streams.s]\ntopic = \"{topic}\"\n[outputs.o]\nurl = \"https://f\"\n");
        let warnings = read(&text).unwrap().warnings;
        let help = warnings.first().and_then(|found| found.help.clone());
        match expected {
            Some(name) => assert!(help.is_some_and(|help| help.contains(name)), "{topic}: {warnings:?}"),
            None => assert_eq!(warnings, [], "{topic}"),
        }
    }
}
