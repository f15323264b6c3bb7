//! `[summaries.NAME]`: what to make of the readings.

use super::aggregates;
use super::buffer::span;
use super::field::Field;
use super::reader::{Named, Section};
use super::streams::{known_metrics, metrics, references};
use super::{model::Output, schema, window};
use std::time::Duration;
use tidegate_pipeline::limits::SAMPLES_LIMIT;
use tidegate_pipeline::plan::{Layout, StreamPlan, SummaryPlan};
use tidegate_pipeline::time::Span;

const DAY: Duration = Duration::from_secs(86_400);

/// All summaries in the order of the file; one minute of everything to every output where there is none.
pub(super) fn read(
    root: &Section<'_>,
    streams: &[StreamPlan],
    outputs: &[Output],
    zone: &str,
) -> Vec<SummaryPlan> {
    let entries = root.named("summaries");
    if entries.is_empty() {
        return vec![default("minute", streams, outputs)];
    }
    entries.iter().map(|entry| one(entry, streams, outputs, zone)).collect()
}

fn default(name: &str, streams: &[StreamPlan], outputs: &[Output]) -> SummaryPlan {
    let all = |count: usize| (0..count).filter_map(|index| u16::try_from(index).ok()).collect::<Vec<_>>();
    let used = all(streams.len());
    SummaryPlan {
        name: name.to_owned(),
        lateness: default_lateness(&used, streams),
        streams: used,
        amend: Span::from_secs(3_600),
        to: all(outputs.len()),
        ..SummaryPlan::default()
    }
}

fn one(entry: &Named<'_>, streams: &[StreamPlan], outputs: &[Output], zone: &str) -> SummaryPlan {
    let mut summary = default(entry.name, streams, outputs);
    let Some(section) = entry.field.section(&schema::SUMMARY, "[summaries.NAME]") else { return summary };
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    summary.streams = references(section.get("streams"), &names, "stream");
    let used: Vec<&StreamPlan> =
        summary.streams.iter().filter_map(|&index| streams.get(usize::from(index))).collect();
    summary.metrics = section.get("metrics").map(|field| selected(&field, &used));
    if let Some(window) = section.get("window").and_then(|field| window::read(&field, zone)) {
        summary.window = window;
    }
    summary.by = section.get("by").map(|field| by(&field, &used));
    let lateness = section.duration("lateness", Duration::ZERO..=31 * DAY);
    summary.lateness = lateness.map_or_else(|| default_lateness(&summary.streams, streams), span);
    if let Some(amend) = section.duration("amend", Duration::ZERO..=366 * DAY) {
        summary.amend = span(amend);
    }
    if summary.window.is_sorted() {
        summary.amend = Span::ZERO;
        if let Some(field) = section.get("amend") {
            field.bad("has no meaning here: windows that end by what was read are not amended", "remove it");
        }
    }
    if let Some(field) = section.get("aggregates") {
        aggregates::read(&field, known(&used).as_deref(), &mut summary);
    }
    let samples_max = section.integer("samples_max", 2..=i64::from(SAMPLES_LIMIT));
    summary.samples_max = samples_max.and_then(|most| u32::try_from(most).ok());
    summary.state = section.get("state").and_then(|field| field.boolean()).unwrap_or_default();
    let layout = section.choice("layout", &[("narrow", Layout::Narrow), ("wide", Layout::Wide)]);
    summary.layout = layout.unwrap_or_default();
    if let (Some(field), Layout::Wide, true) =
        (section.get("layout"), summary.layout, summary.window.is_sorted())
    {
        field.bad(
            "cannot be \"wide\" here: windows that end by what was read end at other times for each metric",
            "write layout = \"narrow\", or another kind of window",
        );
    }
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    summary.to = references(section.get("to"), &names, "output");
    section.finish();
    summary
}

/// Readings that carry their own time arrive later than it; those stamped on arrival never do.
fn default_lateness(used: &[u16], streams: &[StreamPlan]) -> Span {
    let stamped = |index: &u16| streams.get(usize::from(*index)).is_some_and(StreamPlan::has_time);
    if used.iter().any(stamped) { Span::from_secs(10) } else { Span::ZERO }
}

pub(super) fn selected(field: &Field<'_>, used: &[&StreamPlan]) -> Vec<String> {
    let words = field.words();
    known_metrics(field.cx, &words, known(used).as_deref());
    words.into_iter().map(|(word, _)| word.to_owned()).collect()
}

/// The metrics that can come, where all streams list theirs.
fn known<'s>(used: &[&'s StreamPlan]) -> Option<Vec<&'s str>> {
    let lists: Option<Vec<Vec<&str>>> = used.iter().map(|stream| metrics(stream)).collect();
    let mut names = lists?.concat();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// An empty list is a summary over all devices.
pub(super) fn by(field: &Field<'_>, used: &[&StreamPlan]) -> Vec<String> {
    if field.value.as_array().is_some_and(|list| list.is_empty()) {
        return Vec::new();
    }
    let mut known: Vec<&str> = used.iter().flat_map(|stream| stream.tag_names()).collect();
    known.sort_unstable();
    known.dedup();
    let resolve = |(word, at)| field.cx.resolve(word, at, &known, "tag").map(|_| word.to_owned());
    field.words().into_iter().filter_map(resolve).collect()
}
