//! `[raw.NAME]`: what it means, what is refused, and what `check` says of it.

use super::{BASE, read, valid};
use crate::config::{Diagnostic, raw_promises};
use tidegate_pipeline::plan::RawPlan;
use tidegate_pipeline::time::Span;

fn one(text: &str) -> RawPlan {
    valid(&format!("{BASE}[raw.lab]\n{text}")).plan.raw.remove(0)
}

/// Errors or warnings of a file that begins with the table.
fn check(text: &str, expected: &[&str]) {
    let found = match read(&format!("[raw.lab]\n{text}\n{BASE}")) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report.diagnostics,
    };
    let line = |found: &Diagnostic| found.one_line().replacen("tidegate.toml:", "", 1);
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn values() {
    let plain = RawPlan {
        name: "lab".into(),
        streams: vec![0],
        metrics: None,
        refused: false,
        every: Span::from_secs(10),
        to: vec![0],
    };
    assert_eq!(one(""), plain);
    assert_eq!(one("verdicts = \"counted\""), plain);
    let all = "streams = \"climate\"\nmetrics = [\"t\", \"u\"]\nverdicts = \"all\"\nevery = \"1m\"\nto = [\"ingest\"]";
    let metrics = Some(vec!["t".into(), "u".into()]);
    assert_eq!(one(all), RawPlan { metrics, refused: true, every: Span::from_secs(60), ..plain });
    assert!(valid(BASE).plan.raw.is_empty(), "nothing without the table");
}

#[test]
fn what_is_refused() {
    check("", &[]);
    check("vedicts = \"all\"", &["2: unknown key `vedicts`: did you mean `verdicts`?"]);
    check("verdicts = \"refused\"", &["2: unknown `verdicts`: `refused`: not known here"]);
    check("every = \"10ms\"", &["2: `every` has to be between 1s and 1h"]);
    check("every = \"2h\"", &["2: `every` has to be between 1s and 1h"]);
    check("streams = \"climat\"", &["2: there is no stream `climat`: did you mean `climate`?"]);
    check("to = \"ingets\"", &["2: there is no output `ingets`: did you mean `ingest`?"]);
    check(
        "metrics = \"tt\"\n[streams.climate.metrics]\nt = {}",
        &["2: there is no metric `tt`: no metric of this name"],
    );
}

#[test]
fn what_is_only_sent_raw_goes_somewhere() {
    let text = "[streams.a]\ntopic = \"a\"\n[streams.b]\ntopic = \"b\"\n[outputs.o]\npath = \"-\"\n[outputs.p]\npath = \"/p\"\n\
                [summaries.s]\nstreams = \"a\"\nto = \"o\"\n[raw.x]\nstreams = \"b\"\nto = \"p\"\n";
    assert_eq!(read(text).unwrap().warnings.len(), 0);
    let nobody = read("[raw.lab]\n[streams.a]\ntopic = \"a\"\n").unwrap();
    assert_eq!(nobody.warnings[0].one_line(), "tidegate.toml:1: no output gets these readings: goes nowhere");
}

#[test]
fn in_plain_words() {
    let check = |text: &str, expected: &str| {
        let config = valid(&format!("{BASE}[raw.lab]\n{text}"));
        let found = &raw_promises(&config)[0].text;
        let volume = " Some 50 bytes a reading before compression: one a second is 4 MB a day";
        assert_eq!(*found, format!("{expected}{volume}"), "{text}");
    };
    check(
        "",
        "lab: sends all metrics of climate as they come, each counted reading in exactly one event, to ingest; an event is \
         made after 10s or 500 readings.",
    );
    check(
        "metrics = [\"t\", \"u\"]\nverdicts = \"all\"\nevery = \"1m30s\"",
        "lab: sends t, u of climate as they come, each counted reading in exactly one event, and those that are refused \
         with their reason, to ingest; an event is made after 1m30s or 500 readings.",
    );
}
