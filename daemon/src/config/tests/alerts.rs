//! `[alerts.NAME]`: what it means, what is refused, and what `check` says of it.

use super::{BASE, read, valid};
use crate::config::{Severity, alert_promises};
use tidegate_pipeline::plan::AlertPlan;
use tidegate_pipeline::time::Span;

fn one(text: &str) -> AlertPlan {
    valid(&format!("{BASE}[alerts.hot]\n{text}")).plan.alerts.remove(0)
}

/// Findings about an alert, its first line counted as 1: `line: message: label`, and whether it is only a warning.
fn check(text: &str, expected: &[&str]) {
    let whole = format!("[alerts.hot]\n{text}\n{BASE}");
    let found = match read(&whole) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report.diagnostics,
    };
    let line = |found: &crate::config::Diagnostic| {
        let kind = if found.severity == Severity::Error { "" } else { "warning " };
        format!("{kind}{}", found.one_line().replacen("tidegate.toml:", "", 1))
    };
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn everything_of_an_alert() {
    let alert = one(
        "metric = \"temperature\"\nby = []\nwhen = \"value > 60\"\nfor = \"30s\"\nclear = \"value < 55\"\ncooldown = \"10m\"\n\
         silent_for = \"5m\"\ncapture = \"60s\"\nto = \"ingest\"\n",
    );
    let text =
        |expression: &Option<tidegate_pipeline::expr::Expr>| expression.as_ref().unwrap().text().to_owned();
    assert_eq!((text(&alert.when), text(&alert.clear)), ("value > 60".into(), "value < 55".into()));
    assert_eq!((alert.hold, alert.cooldown), (Span::from_secs(30), Span::from_secs(600)));
    assert_eq!(alert.capture, Some(Span::from_secs(60)));
    assert_eq!((alert.silent_for, alert.by), (Some(Span::from_secs(300)), Some(vec![])));
    assert_eq!(
        (alert.streams, alert.to, alert.metrics),
        (vec![0], vec![0], Some(vec!["temperature".into()]))
    );
}

#[test]
fn defaults() {
    let alert = one("silent_for = \"5m\"");
    let expected = AlertPlan {
        name: "hot".into(),
        streams: vec![0],
        silent_for: Some(Span::from_secs(300)),
        to: vec![0],
        ..AlertPlan::default()
    };
    assert_eq!(alert, expected);
}

#[test]
fn what_is_refused() {
    check("", &["1: `hot` is never raised: needs `when` or `silent_for`"]);
    check("wen = \"value > 1\"", &["2: unknown key `wen`: did you mean `when`?"]);
    check(
        "silent_for = \"5m\"\nfor = \"3s\"\nclear = \"value < 1\"",
        &[
            "3: `for` is about a condition, and there is no `when`",
            "4: `clear` is about a condition, and there is no `when`",
        ],
    );
    check(
        "metric = \"t\"\nwhen = \"value\"",
        &[
            "3: `value` is not a condition: a condition is true or false: compare with something, as in `value > 60`",
        ],
    );
    check("metric = \"t\"\nwhen = 60", &["3: `when` has to be text: this is a whole number"]);
    check(
        "silent_for = \"5m\"\nto = \"ingets\"",
        &["3: there is no output `ingets`: did you mean `ingest`?"],
    );
    check("silent_for = \"5m\"\nby = \"devise\"", &["3: there is no tag `devise`: did you mean `device`?"]);
    check("silent_for = \"1ms\"", &["2: `silent_for` has to be between 1s and 366d"]);
    check("silent_for = \"5m\"\ncapture = \"11m\"", &["3: `capture` has to be between 1s and 10m"]);
    check("silent_for = \"5m\"\ncapture = \"0s\"", &["3: `capture` has to be between 1s and 10m"]);
    check("when = \"value > 60\"", &["warning 2: this is asked of every metric: of which metric?"]);
    check(
        "silent_for = \"5m\"\n[sources.b]\nshared_group = \"g\"",
        &[
            "2: `silent_for` cannot be told from one gateway of a shared_group: a sensor may be heard by another",
        ],
    );
}

#[test]
fn what_is_only_watched_goes_somewhere() {
    let text = "[streams.a]\ntopic = \"a\"\n[streams.b]\ntopic = \"b\"\n[outputs.o]\npath = \"-\"\n[outputs.p]\npath = \"/p\"\n\
                [summaries.s]\nstreams = \"a\"\nto = \"o\"\n[alerts.x]\nstreams = \"b\"\nsilent_for = \"5m\"\nto = \"p\"\n";
    assert_eq!(read(text).unwrap().warnings.len(), 0);
}

#[test]
fn in_plain_words() {
    let check = |text: &str, expected: &str| {
        let config = valid(&format!("{BASE}[alerts.hot]\n{text}"));
        assert_eq!(alert_promises(&config)[0].text, expected, "{text}");
    };
    check(
        "metric = \"t\"\nwhen = \"value > 60\"\nfor = \"30s\"\nclear = \"value < 55\"",
        "hot: raised when value > 60 for 30s, until value < 55; watches t of climate, per device; tells ingest",
    );
    check(
        "silent_for = \"5m\"\nby = []",
        "hot: raised after 5m of silence while its sources are connected; watches any metric of climate, all together; \
         tells ingest",
    );
}

#[test]
fn availability() {
    let stream = |text: &str| {
        format!("[streams.s]\ntopic = \"z/{{device}}\"\navailability = {text}\n[outputs.o]\npath = \"-\"\n")
    };
    let config = valid(&stream("{ topic = \"z/{device}/availability\", at = \"/state\" }"));
    let found = config.plan.streams[0].availability.clone().unwrap();
    assert_eq!((found.online.as_str(), found.offline.as_str()), ("online", "offline"));
    assert_eq!(found.at.unwrap().0, ["state"]);
    let crate::config::model::SourceKind::Mqtt(mqtt) = &config.sources[0].kind else { panic!("a broker") };
    assert_eq!(mqtt.filters, ["z/+", "z/+/availability"]);
    for (text, expected) in [
        ("{}", "3: `topic` is missing: needs `topic`"),
        ("{ topic = \"z/{devise}\" }", "3: there is no tag `devise`: did you mean `device`?"),
        ("{ topic = \"z/{metric}\" }", "3: `topic` names a metric, and availability has none"),
        ("{ topic = \"z/{device}/a\", offline = \"online\" }", "3: `offline` is the word for online too"),
    ] {
        let report = read(&stream(text)).expect_err(text);
        let lines: Vec<_> = report.diagnostics.iter().map(|found| found.one_line()).collect();
        assert_eq!(lines, [format!("tidegate.toml:{expected}")], "{text}");
    }
}
