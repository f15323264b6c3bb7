//! `[alerts.NAME]`: what to be told of at once.

use super::buffer::span;
use super::field::Field;
use super::model::{Output, Source, SourceKind};
use super::reader::{Named, Section};
use super::schema;
use super::streams::{known_metrics, metrics, references};
use super::summaries::by;
use std::time::Duration;
use tidegate_pipeline::expr::{Expr, Names};
use tidegate_pipeline::plan::{AlertPlan, StreamPlan};

const DAY: Duration = Duration::from_secs(86_400);
const EXAMPLE: &str = "when = \"value > 60\", or silent_for = \"5m\"";

/// All alerts in the order of the file.
pub(super) fn read(
    root: &Section<'_>,
    sources: &[Source],
    streams: &[StreamPlan],
    outputs: &[Output],
) -> Vec<AlertPlan> {
    root.named("alerts").iter().map(|entry| one(entry, sources, streams, outputs)).collect()
}

fn one(entry: &Named<'_>, sources: &[Source], streams: &[StreamPlan], outputs: &[Output]) -> AlertPlan {
    let mut alert = AlertPlan { name: entry.name.to_owned(), ..AlertPlan::default() };
    let Some(section) = entry.field.section(&schema::ALERT, "[alerts.NAME]") else { return alert };
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    alert.streams = references(section.get("streams"), &names, "stream");
    let used: Vec<&StreamPlan> =
        alert.streams.iter().filter_map(|&index| streams.get(usize::from(index))).collect();
    alert.metrics = section.get("metric").map(|field| selected(&field, &used));
    alert.by = section.get("by").map(|field| by(&field, &used));
    let mut tags: Vec<&str> = used.iter().flat_map(|stream| stream.tag_names()).collect();
    tags.sort_unstable();
    tags.dedup();
    alert.when = section.get("when").and_then(|field| condition(&field, &tags));
    alert.clear = section.get("clear").and_then(|field| condition(&field, &tags));
    alert.hold = section.duration("for", Duration::ZERO..=31 * DAY).map(span).unwrap_or_default();
    alert.cooldown = section.duration("cooldown", Duration::ZERO..=31 * DAY).map(span).unwrap_or_default();
    alert.silent_for = section.duration("silent_for", Duration::from_secs(1)..=366 * DAY).map(span);
    let capture = Duration::from_secs(1)..=Duration::from_secs(600);
    alert.capture = section.duration("capture", capture).map(span);
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    alert.to = references(section.get("to"), &names, "output");
    check(&section, &alert, sources, &used);
    section.finish();
    alert
}

fn check(section: &Section<'_>, alert: &AlertPlan, sources: &[Source], used: &[&StreamPlan]) {
    if !["when", "silent_for"].iter().any(|key| section.has(key)) && !section.misspelt("when") {
        let error = section.cx.error(section.span.clone(), format!("`{}` is never raised", alert.name));
        error.label("needs `when` or `silent_for`").help(format!("add {EXAMPLE}")).absence().report();
    }
    for key in ["for", "clear"] {
        if let Some(field) = section.get(key).filter(|_| !section.has("when")) {
            field.bad(
                "is about a condition, and there is no `when`",
                "add when = \"value > 60\", or remove it",
            );
        }
    }
    if let (Some(field), true) = (section.get("when"), alert.metrics.is_none())
        && used.iter().any(|stream| metrics(stream).is_none_or(|known| known.len() > 1))
    {
        let warning = field.cx.warning(field.span.clone(), "this is asked of every metric");
        warning.label("of which metric?").help("add metric = \"temperature\", for example").report();
    }
    let shared = |index: &u16| match sources.get(usize::from(*index)).map(|source| &source.kind) {
        Some(SourceKind::Mqtt(mqtt)) => mqtt.shared_group.is_some(),
        _ => false,
    };
    if let Some(field) = section.get("silent_for")
        && used.iter().any(|stream| stream.sources.iter().any(shared))
    {
        field.bad(
            "cannot be told from one gateway of a shared_group: a sensor may be heard by another",
            "watch for silence behind the function, or without shared_group",
        );
    }
}

fn condition(field: &Field<'_>, tags: &[&str]) -> Option<Expr> {
    let text = field.filled()?;
    let parsed = Expr::condition(text, &Names::reading(tags));
    let report = |error: tidegate_pipeline::expr::ExprError| {
        field
            .cx
            .error(field.inner(error.at), format!("`{text}` is not a condition"))
            .label(error.message)
            .help(format!(
                "compare the value: {} = \"value > 60\"; docs/expressions.md has all of it",
                field.key
            ))
            .report();
    };
    parsed.map_err(report).ok()
}

fn selected(field: &Field<'_>, used: &[&StreamPlan]) -> Vec<String> {
    let words = field.words();
    let known: Option<Vec<Vec<&str>>> = used.iter().map(|stream| metrics(stream)).collect();
    known_metrics(field.cx, &words, known.map(|lists| lists.concat()).as_deref());
    words.into_iter().map(|(word, _)| word.to_owned()).collect()
}
