//! `format` and what goes with it: how a payload is read.

use crate::config::reader::Section;
use tidegate_pipeline::plan::{Format, StreamPlan};

const FORMATS: &[(&str, Format)] = &[("auto", Format::Auto), ("json", Format::Json), ("text", Format::Text)];

pub(super) fn read(section: &Section<'_>, stream: &mut StreamPlan) {
    stream.format = section.choice("format", FORMATS).unwrap_or_default();
    stream.each = section.get("each").and_then(|field| field.pointer());
    stream.numbers_as_text =
        section.get("numbers_as_text").and_then(|field| field.flag()).unwrap_or_default();
    refuse(section, &stream.format);
}

/// Keys that mean nothing with a format, and why.
fn refuse(section: &Section<'_>, format: &Format) {
    let (keys, what, help): (&[&'static str], _, _) = match format {
        Format::Auto | Format::Json => return,
        Format::Text => (
            &["each", "value", "time", "sequence", "numbers_as_text"],
            "points into a document, but format = \"text\" has none",
            "remove it, or write format = \"json\" if the payload is JSON",
        ),
    };
    for field in keys.iter().filter_map(|key| section.get(key)) {
        field.bad(what, help);
    }
    if *format == Format::Text {
        let tables = |key| section.get(key).and_then(|field| field.entries_quietly()).unwrap_or_default();
        let nested = tables("tags").into_iter().chain(tables("metrics")).map(|entry| entry.field);
        nested.filter(|field| field.value.get("at").is_some()).for_each(|field| field.bad(what, help));
    }
}
