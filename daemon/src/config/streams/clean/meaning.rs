//! Steps with words in them: texts and expressions.

use super::Stream;
use crate::config::expression::{condition, formula};
use crate::config::field::Field;
use crate::config::schema;
use crate::config::streams::fields::check_metric_name;
use tidegate_pipeline::clean::{Derive, Map, Step, Where};
use tidegate_pipeline::expr::{Metrics, Names};

pub(super) fn map(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    if field.value.as_table().is_none_or(|table| table.is_empty()) {
        field.wrong_type("a table of texts with their numbers", "write map = { ON = 1, OFF = 0 }");
        return None;
    }
    let entries = field.entries("map = { on = 1, off = 0 }")?;
    let mut texts: Vec<(String, f64)> =
        entries.iter().filter_map(|entry| Some((entry.name.to_owned(), entry.field.number()?))).collect();
    texts.sort_by(|a, b| a.0.cmp(&b.0));
    Some(Step::Map(Map { texts }))
}

pub(super) fn only(field: &Field<'_>, stream: &Stream<'_>) -> Option<Step> {
    let condition = condition(field, &Names::reading(stream.tags))?;
    Some(Step::Where(Where { condition }))
}

pub(super) fn derive(field: &Field<'_>, stream: &Stream<'_>) -> Option<Step> {
    let example = "derive = { metric = \"dew_point\", from = \"temperature - (100 - humidity) / 5\" }";
    let section = field.section(&schema::DERIVE, example)?;
    section.require("metric", example);
    section.require("from", example);
    let metric = section.get("metric");
    let name = metric.as_ref().and_then(|field| field.filled());
    if let (Some(metric), Some(name)) = (&metric, name) {
        check_metric_name(metric.cx, name, metric.span.clone());
    }
    // From itself there would be nothing to derive.
    let others = stream
        .metrics
        .map(|metrics| metrics.iter().copied().filter(|metric| Some(*metric) != name).collect::<Vec<_>>());
    let metrics = others.as_deref().map_or(Metrics::Any, Metrics::These);
    let from = section.get("from").and_then(|field| formula(&field, &Names::message(stream.tags, metrics)));
    let unit = section.get("unit").and_then(|field| field.filled());
    section.finish();
    Some(Step::Derive(Derive { metric: name?.to_owned(), from: from?, unit: unit.map(str::to_owned) }))
}
