//! `[raw.NAME]`: readings that are sent as they came.

use super::buffer::span;
use super::reader::{Named, Section};
use super::streams::references;
use super::summaries::selected;
use super::{model::Output, schema};
use std::time::Duration;
use tidegate_pipeline::plan::{RawPlan, StreamPlan};

const EVERY: Duration = Duration::from_secs(10);

/// All raw forwarding in the order of the file. Nothing without the table: readings are many.
pub(super) fn read(root: &Section<'_>, streams: &[StreamPlan], outputs: &[Output]) -> Vec<RawPlan> {
    root.named("raw").iter().map(|entry| one(entry, streams, outputs)).collect()
}

fn one(entry: &Named<'_>, streams: &[StreamPlan], outputs: &[Output]) -> RawPlan {
    let mut raw = RawPlan { name: entry.name.to_owned(), every: span(EVERY), ..RawPlan::default() };
    let Some(section) = entry.field.section(&schema::RAW, "[raw.NAME]") else { return raw };
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    raw.streams = references(section.get("streams"), &names, "stream");
    let used: Vec<&StreamPlan> =
        raw.streams.iter().filter_map(|&index| streams.get(usize::from(index))).collect();
    raw.metrics = section.get("metrics").map(|field| selected(&field, &used));
    raw.refused = section.choice("verdicts", &[("counted", false), ("all", true)]).unwrap_or_default();
    let every = section.duration("every", Duration::from_secs(1)..=Duration::from_secs(3_600));
    raw.every = span(every.unwrap_or(EVERY));
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    raw.to = references(section.get("to"), &names, "output");
    if outputs.is_empty() {
        let warning = section.cx.warning(section.span.clone(), "no output gets these readings");
        warning.label("goes nowhere").help("add [outputs.NAME], or remove it").report();
    }
    section.finish();
    raw
}
