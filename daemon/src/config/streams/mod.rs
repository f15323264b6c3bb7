//! `[streams.NAME]`: what to listen to and how to read it.

mod availability;
mod clean;
mod fields;
mod format;
mod identity;
mod rename;
mod uptime;

use super::buffer::span;
use super::context::Context;
use super::field::Field;
use super::model::{Source, SourceKind};
use super::reader::{Named, Section};
use super::schema;
use std::time::Duration;
use tidegate_pipeline::clean::Step;
use tidegate_pipeline::plan::{
    CleanStep, Fields, Format, METRIC, Retained, StreamPlan, TagPlan, TicksPlan, Unique,
};
use tidegate_pipeline::topic::TopicPattern;

/// The longest topic filter that MQTT can carry (MQTT 5, 1.5.4), in bytes.
const FILTER_BYTES_MAX: usize = 65_535;

/// All streams in the order of the file. There has to be one.
/// `timezone` is that of local times.
pub(super) fn read(root: &Section<'_>, sources: &[Source], timezone: &str) -> Vec<StreamPlan> {
    let entries = root.named("streams");
    let given =
        root.get("streams").is_some_and(|field| field.value.as_table().is_none_or(|table| !table.is_empty()));
    if !given && !root.misspelt("streams") {
        root.cx
            .file_error("there is no stream, so nothing to listen to")
            .help("add [streams.climate] with topic = \"sensors/{device}/{metric}\"")
            .absence()
            .report();
    }
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    entries.iter().map(|entry| one(entry, &names, sources, timezone)).collect()
}

fn one(entry: &Named<'_>, names: &[&str], sources: &[Source], timezone: &str) -> StreamPlan {
    // A stream that could not be read keeps its name, so that what refers to it is not reported too.
    let mut stream = StreamPlan { name: entry.name.to_owned(), ..StreamPlan::default() };
    let Some(section) = entry.field.section(&schema::STREAM, "[streams.NAME]") else { return stream };
    stream.sources = references(section.get("sources"), names, "source");
    if !fields::holds(&section, "topic") {
        section.require("topic", "topic = \"sensors/{device}/{metric}\"");
    }
    stream.topics = section.get("topic").map(|field| patterns(&field)).unwrap_or_default();
    stream.exclude = section.get("exclude").map(|field| patterns(&field)).unwrap_or_default();
    format::read(&section, &mut stream);
    stream.fields = fields::read(&section, &stream.topics, &stream.format);
    stream.tags = section.get("tags").map(|field| tags(&section, &field, &stream)).unwrap_or_default();
    if let Some(field) = section.get("time").filter(|_| !stream.format.has_time()) {
        match uptime::is_uptime(&field) {
            true => stream.ticks = uptime::read(&field, &stream.tag_names()),
            false => stream.time = identity::time(&field, timezone),
        }
    }
    let rename = section.get("rename");
    stream.rename = rename.map(|field| rename::read(&field, &stream.tag_names())).unwrap_or_default();
    if stream.format == Format::Tidegate {
        let per = uptime::sender(&section, &stream.tag_names());
        stream.ticks = Some(TicksPlan { places: None, per: per.clone() });
        stream.unique = Unique::Numbered { per };
    } else {
        stream.unique = identity::unique(&section, &stream.tag_names(), stream.format.has_time());
    }
    let retained = [("latest", Retained::Latest), ("ignore", Retained::Ignore), ("count", Retained::Count)];
    stream.retained = section.choice("retained", &retained).unwrap_or_default();
    let every =
        section.duration("expected_every", Duration::from_millis(1)..=Duration::from_secs(366 * 86_400));
    stream.expected_every = every.map(span);
    stream.availability = availability::read(section.get("availability"), &stream.tag_names());
    stream.clean = cleaning(&section, &stream, sources);
    section.finish();
    stream
}

fn cleaning(section: &Section<'_>, stream: &StreamPlan, sources: &[Source]) -> Vec<CleanStep> {
    let used = stream.sources.iter().filter_map(|&at| sources.get(usize::from(at)));
    let mut shared = used.filter(|source| match &source.kind {
        SourceKind::Mqtt(mqtt) => mqtt.shared_group.is_some(),
        SourceKind::Listen(_) => false,
    });
    let (metrics, tags) = (metrics(stream), stream.tag_names());
    let shared = shared.next().map(|source| source.name.as_str());
    clean::read(section.get("clean"), &clean::Stream { metrics: metrics.as_deref(), tags: &tags, shared })
}

/// The metrics that a stream can have, when the configuration lists them all; `None` when any can come.
pub(super) fn metrics(stream: &StreamPlan) -> Option<Vec<&str>> {
    let derived = stream.clean.iter().filter_map(|clean| match &clean.step {
        Step::Derive(derive) => Some(derive.metric.as_str()),
        _ => None,
    });
    Some(read_metrics(stream)?.into_iter().chain(derived).collect())
}

/// Those that messages carry.
fn read_metrics(stream: &StreamPlan) -> Option<Vec<&str>> {
    let names_metric = stream.topics.iter().any(|topic| topic.names().any(|name| name == METRIC));
    match &stream.fields {
        Fields::Value { metric, .. } if !names_metric => Some(vec![metric]),
        Fields::Value { rest: true, .. } | Fields::Leaves { rest: true, .. } => None,
        Fields::Value { listed, .. } | Fields::Leaves { listed, .. } => {
            Some(listed.iter().map(|metric| metric.name.as_str()).collect())
        }
    }
}

/// Indices of the named things; all of them when the key is absent.
pub(super) fn references(field: Option<Field<'_>>, names: &[&str], what: &str) -> Vec<u16> {
    let Some(field) = field else {
        return (0..names.len()).filter_map(|index| u16::try_from(index).ok()).collect();
    };
    let resolve = |(word, at)| field.cx.resolve(word, at, names, what);
    field.words().into_iter().filter_map(resolve).collect()
}

/// Checks the names of metrics against those that can come.
pub(super) fn known_metrics(
    cx: &Context<'_>,
    words: &[(&str, std::ops::Range<usize>)],
    known: Option<&[&str]>,
) {
    let Some(known) = known else { return };
    for (word, at) in words {
        cx.resolve(word, at.clone(), known, "metric");
    }
}

fn patterns(field: &Field<'_>) -> Vec<TopicPattern> {
    let elements = field.elements();
    if elements.is_empty() {
        field.bad("is an empty list", "list at least one topic");
    }
    elements.iter().filter_map(pattern).collect()
}

fn pattern(field: &Field<'_>) -> Option<TopicPattern> {
    let text = field.text()?;
    if text.starts_with("$share/") {
        field.bad(
            "cannot be a shared subscription",
            "write the topic alone, and shared_group = \"…\" at the source",
        );
        return None;
    }
    if text.len() > FILTER_BYTES_MAX {
        field.bad("is longer than a topic can be", "MQTT allows 65,535 bytes");
        return None;
    }
    match TopicPattern::parse(text) {
        Ok(pattern) => {
            warn_of_placeholders(field, text);
            Some(pattern)
        }
        Err(error) => {
            field
                .cx
                .error(field.inner(error.at), format!("`{text}` is not a topic pattern"))
                .label(error.message)
                .help("levels are words, `+`, `{name}`, `{name#}` for several, and `#` at the end: sensors/{device}/{metric}")
                .report();
            None
        }
    }
}

/// Whether a name can stand between braces, and for itself as a key of TOML.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.chars().all(plain)
}

/// Levels that others take for placeholders, and MQTT for words.
fn warn_of_placeholders(field: &Field<'_>, text: &str) {
    let inner = |level: &'_ str| -> Option<String> {
        let pairs = [("<", ">"), ("%", "%"), (":", ""), ("$", ""), ("*", "")];
        let name = pairs.iter().find_map(|(open, close)| level.strip_prefix(open)?.strip_suffix(close))?;
        let name = if name.is_empty() { "device" } else { name };
        is_plain(name).then(|| name.to_owned())
    };
    // A topic that begins with `$` is one of the broker itself: $SYS.
    let found = text.split('/').enumerate().find_map(|(at, level)| {
        let name = inner(level).filter(|_| at > 0 || !level.starts_with('$'))?;
        Some((level, name))
    });
    if let Some((level, name)) = found {
        let what = format!("`{level}` is read as the word itself, not as a placeholder");
        field
            .cx
            .warning(field.span.clone(), what)
            .label("few sensors are called so")
            .help(format!("write {{{name}}} for one level as a tag, `+` for one without"))
            .report();
    }
}

fn tags(section: &Section<'_>, field: &Field<'_>, stream: &StreamPlan) -> Vec<(String, TagPlan)> {
    let example = "tags = { site = \"north\", room = { at = \"/room\" } }; a {name} in the topic is a tag without being listed here";
    let entries = field.entries(example).unwrap_or_default();
    entries.iter().for_each(|entry| warn_of_setting(entry, section));
    entries.iter().filter_map(|entry| Some((tag_name(entry, stream)?, tag(&entry.field)?))).collect()
}

/// A line for the stream below `[streams.NAME.tags]` would make a tag of it without a word.
fn warn_of_setting(entry: &Named<'_>, section: &Section<'_>) {
    let name = entry.name;
    if schema::STREAM.keys.contains(&name) && !section.has(name) && entry.field.value.as_str().is_some() {
        let what = format!("the tag `{name}` is called like a setting of the stream");
        let help =
            "if it is one: a line belongs to the [header] above it, so move it above the header of the tags";
        section.cx.warning(entry.at.clone(), what).label("a tag with one value for all").help(help).report();
    }
}

fn tag_name(entry: &Named<'_>, stream: &StreamPlan) -> Option<String> {
    let (what, help) = if entry.name == METRIC {
        ("is not a tag", "`metric` names the measurement; choose another name")
    } else if entry.name.len() > 64 || !is_plain(entry.name) {
        ("cannot be the name of a tag", "use letters, digits, `_` and `-`, at most 64 of them")
    } else if stream.topics.iter().any(|topic| topic.names().any(|name| name == entry.name)) {
        ("is given by the topic already", "choose another name here or in the topic's braces")
    } else if stream.fields.captures().any(|name| name == entry.name) {
        ("is given by the place of a metric already", "choose another name here or in the braces there")
    } else if stream.format.tags().contains(&entry.name) {
        ("is given by the format already", "choose another name")
    } else {
        return Some(entry.name.to_owned());
    };
    let at = entry.at.clone();
    entry.field.cx.error(at, format!("`{}` {what}", entry.name)).help(help).report();
    None
}

fn tag(field: &Field<'_>) -> Option<TagPlan> {
    if field.value.as_table().is_none() {
        return field.filled().map(|text| TagPlan::Constant(text.to_owned()));
    }
    let section = field.section(&schema::TAG, "{ at = \"/room\" }")?;
    section.require("at", "room = { at = \"/room\" }");
    let at = section.get("at").and_then(|field| field.pointer());
    section.finish();
    at.map(TagPlan::At)
}
