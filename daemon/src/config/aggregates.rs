//! `aggregates` of a summary: a list for all metrics, or lists by metric.

use super::buffer::span;
use super::field::Field;
use super::model::{Source, SourceKind};
use super::reader::Section;
use super::schema;
use super::streams::known_metrics;
use std::sync::Arc;
use std::time::Duration;
use tidegate_pipeline::aggregate::{Aggregate, Permille, are_bounds};
use tidegate_pipeline::expr::{Expr, Names};
use tidegate_pipeline::limits::HISTOGRAM_BOUNDS_MAX;
use tidegate_pipeline::plan::{Plan, StreamPlan, SummaryPlan};
use tidegate_pipeline::time::Span;

/// Reads them into `summary`. `known` are the metrics that can come, where the configuration lists them all.
pub(super) fn read(field: &Field<'_>, known: Option<&[&str]>, summary: &mut SummaryPlan) {
    if field.value.as_table().is_none() {
        summary.aggregates = list(field);
        return;
    }
    for entry in field.entries("aggregates = { temperature = [\"mean\"] }").unwrap_or_default() {
        let list = list(&entry.field);
        if entry.name == "*" {
            summary.aggregates = list;
        } else {
            known_metrics(field.cx, &[(entry.name, entry.at)], known);
            summary.by_metric.push((entry.name.to_owned(), list));
        }
    }
}

/// Gateways that share a subscription see each a part of every series, in which nothing that depends on the order of a
/// series' readings can be told.
pub(super) fn refuse_shared(root: &Section<'_>, sources: &[Source], plan: &Plan) {
    let shares =
        |source: &&Source| matches!(&source.kind, SourceKind::Mqtt(mqtt) if mqtt.shared_group.is_some());
    for summary in &plan.summaries {
        let streams: Vec<&StreamPlan> =
            summary.streams.iter().filter_map(|&at| plan.streams.get(usize::from(at))).collect();
        let mut used = streams.iter().flat_map(|stream| &stream.sources);
        let shared = used.find_map(|&at| sources.get(usize::from(at)).filter(shares));
        let listed = streams.iter().flat_map(|stream| stream.fields.listed());
        let own =
            listed.map(|metric| summary.aggregates_for(&metric.name, plan.kind_of(summary, &metric.name)));
        let lists = summary.by_metric.iter().map(|(_, list)| list.as_slice()).chain(own);
        let ordered = lists.chain([summary.aggregates.as_slice()]).flatten().find(|a| a.needs_order());
        if let (Some(source), Some(aggregate)) = (shared, ordered) {
            let at = root.place_of("summaries", &summary.name).unwrap_or_else(|| root.span.clone());
            let (name, source) = (aggregate.name(), &source.name);
            root.cx
                .error(at, format!("`{name}` needs every reading of a series in one gateway"))
                .label(format!("the source `{source}` has a shared_group: others get some of them"))
                .help("list other `aggregates` here, or remove `shared_group` there, or compute it in the function")
                .report();
        }
    }
}

fn list(field: &Field<'_>) -> Vec<Aggregate> {
    let elements = field.elements();
    if elements.is_empty() {
        field.bad(
            "is an empty list",
            "list at least one, or remove the key to get those of the metric's kind",
        );
    }
    let mut list: Vec<Aggregate> = Vec::new();
    for element in elements {
        let Some(aggregate) = one(&element) else { continue };
        if list.iter().any(|known| known.name() == aggregate.name()) {
            element.bad(&format!("has `{}` twice", aggregate.name()), "remove one of them");
        }
        list.push(aggregate);
    }
    list
}

/// A word, a percentile, or a table with a parameter.
fn one(field: &Field<'_>) -> Option<Aggregate> {
    if field.value.as_table().is_some() {
        return with_parameter(field);
    }
    let text = field.text()?;
    if let Some((aggregate, _)) = Aggregate::ALL.iter().find(|(_, name)| *name == text) {
        return Some(aggregate.clone());
    }
    if let Some(digits) =
        text.strip_prefix('p').filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
    {
        let permille = Permille::parse(digits).map_err(str::to_owned);
        let how = "write \"p95\" or \"p99.9\": above 0 and below 100";
        return field.parsed(text, permille, "a percentile", how).map(Aggregate::Quantile);
    }
    if text == "histogram" {
        field.bad("has a `histogram` without bounds", "write { histogram = [0, 10, 20] }");
        return None;
    }
    if text == "duration_in" {
        field.bad("has a `duration_in` without a condition", "write { duration_in = \"value > 60\" }");
        return None;
    }
    let words = Aggregate::ALL.iter().map(|(_, name)| *name);
    let help = format!(
        "it can be {}; a percentile: `p95`, `p99.9`; or, with what it needs, {{ histogram = [0, 10, 20] }}, \
         {{ duration_in = \"value > 60\" }}; {{ integral = \"1h\" }} and the like set the unit of time of `integral`, `rate`, \
         `derivative` and `slope`",
        words.clone().collect::<Vec<_>>().join(", ")
    );
    field.unknown_word(
        "summaries.NAME.aggregates",
        text,
        words.chain(["p95", "histogram", "duration_in"]),
        help,
    );
    None
}

fn with_parameter(field: &Field<'_>) -> Option<Aggregate> {
    let section = field.section(&schema::AGGREGATE, "{ integral = \"1h\" }")?;
    let per = |key: &'static str, make: fn(Span) -> Aggregate| {
        section
            .duration(key, Duration::from_millis(1)..=Duration::from_secs(366 * 86_400))
            .map(|per| make(span(per)))
    };
    let found = [
        section.get("histogram").and_then(|field| bounds(&field)).map(Aggregate::Histogram),
        per("integral", Aggregate::Integral),
        per("rate", Aggregate::Rate),
        per("derivative", Aggregate::Derivative),
        per("slope", Aggregate::Slope),
        section.get("duration_in").and_then(|field| duration_in(&field)),
    ];
    let keys = schema::AGGREGATE.keys.iter().filter(|key| section.has(key)).count();
    if keys != 1 && !section.has_unknown() {
        field.bad(
            "has a table that is not one aggregate",
            "write each in a table of its own: { integral = \"1h\" }",
        );
    }
    section.finish();
    found.into_iter().flatten().next()
}

fn duration_in(field: &Field<'_>) -> Option<Aggregate> {
    condition(field, "{ duration_in = \"value > 60\" }").map(Aggregate::DurationIn)
}

/// A condition over the value alone: readings of several series can meet in one window.
pub(super) fn condition(field: &Field<'_>, example: &str) -> Option<Arc<Expr>> {
    let text = field.text()?;
    let names = Names { value: true, ..Names::default() };
    match Expr::condition(text, &names) {
        Ok(condition) => Some(condition.into()),
        Err(error) => {
            field
                .cx
                .error(field.inner(error.at), format!("`{text}` is not a condition"))
                .label(error.message)
                .help(format!("write {example}"))
                .report();
            None
        }
    }
}

fn bounds(field: &Field<'_>) -> Option<std::sync::Arc<[f64]>> {
    let elements = field.elements();
    let bounds: Vec<f64> = elements.iter().filter_map(Field::number).collect();
    if bounds.len() < elements.len() {
        return None;
    }
    if bounds.is_empty() || bounds.len() > HISTOGRAM_BOUNDS_MAX {
        field.bad(
            &format!("has to have 1 to {HISTOGRAM_BOUNDS_MAX} bounds"),
            "write { histogram = [0, 10, 20] }",
        );
        return None;
    }
    if !are_bounds(&bounds) {
        field.bad("has bounds that do not rise", "each has to be greater than the one before: [0, 10, 20]");
        return None;
    }
    Some(bounds.into())
}
