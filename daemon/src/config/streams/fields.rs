//! `value` and `[streams.NAME.metrics]`: which values a message carries.

use crate::config::context::Context;
use crate::config::field::Field;
use crate::config::reader::{Named, Section};
use crate::config::schema::{self, Schema};
use crate::config::synonyms;
use std::ops::Range;
use tidegate_pipeline::plan::{Fields, Format, Kind, METRIC, MetricPlan, Pointer};
use tidegate_pipeline::topic::TopicPattern;

/// What `[streams.NAME.metrics]` lists.
#[derive(Default)]
struct Listed {
    metrics: Vec<MetricPlan>,
    /// Where each metric's name stands.
    places: Vec<Range<usize>>,
    /// `"*" = {}`: what is not listed is kept too.
    star: bool,
}

pub(super) fn read(section: &Section<'_>, topics: &[TopicPattern], format: &Format) -> Fields {
    let value = section.get("value");
    let at = value.as_ref().and_then(|field| field.pointer());
    let listed = section.get("metrics").map(|field| listed(&field, topics)).unwrap_or_default();
    let rest = listed.star || listed.metrics.is_empty();
    let by_topic = topics.iter().any(|topic| topic.names().any(|name| name == METRIC));
    if !by_topic && value.is_none() && *format != Format::Text {
        return Fields::Leaves { listed: listed.metrics, rest };
    }
    let reason = match by_topic {
        true => "the topic names the metric",
        false if value.is_some() => "`value` says where the value is",
        false => "a text payload is one value",
    };
    refuse_places(section, &listed, reason);
    if !by_topic && listed.metrics.len() > 1 {
        let at = listed.places.get(1).cloned().unwrap_or_else(|| section.span.clone());
        section
            .cx
            .error(at, "one value cannot be several metrics")
            .label(reason)
            .help("list one metric, or name it in the topic with {metric}, or give each an `at` and remove `value`")
            .report();
    }
    let metric = match listed.metrics.as_slice() {
        [only] if !by_topic => only.name.clone(),
        _ => default_name(at.as_ref()),
    };
    Fields::Value { at, metric, listed: listed.metrics, rest }
}

/// How the value is called in the document; `value` for a bare one or an element of a list.
fn default_name(at: Option<&Pointer>) -> String {
    let last = at.and_then(Pointer::last).filter(|name| !name.is_empty());
    last.filter(|name| name.parse::<u64>().is_err()).unwrap_or("value").to_owned()
}

fn refuse_places(section: &Section<'_>, listed: &Listed, reason: &str) {
    for (metric, place) in listed.metrics.iter().zip(&listed.places) {
        if metric.at.is_some() {
            section
                .cx
                .error(place.clone(), format!("the metric `{}` cannot have an `at` of its own", metric.name))
                .label(reason)
                .help("remove `at` here; `unit` and `kind` may stay")
                .report();
        }
    }
}

fn listed(field: &Field<'_>, topics: &[TopicPattern]) -> Listed {
    let mut listed = Listed::default();
    let names: Vec<&str> = field.elements().iter().filter_map(|element| element.value.as_str()).collect();
    let names = if names.is_empty() { vec!["temperature"] } else { names };
    let empty: Vec<String> = names.iter().map(|name| format!("{} = {{}}", key(name))).collect();
    let example = format!(
        "metrics = {{ {} }}; between the braces may stand where it is and its unit: {{ at = \"/t\", unit = \"°C\" }}",
        empty.join(", ")
    );
    for entry in field.entries(&example).unwrap_or_default() {
        if is_setting(&entry) {
            misplaced(&entry, field);
        } else if entry.name == "*" {
            listed.star = true;
            rest(&entry);
        } else if let Some(metric) = metric(&entry) {
            check_captures(&entry, &metric, &listed.metrics, topics);
            listed.metrics.push(metric);
            listed.places.push(entry.at);
        }
    }
    listed
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    if super::is_plain(name) { name.to_owned() } else { format!("{name:?}") }
}

/// Whether `key` of the stream stands among its metrics. It is reported there.
pub(super) fn holds(section: &Section<'_>, key: &str) -> bool {
    let entries = section.get("metrics").and_then(|field| field.entries_quietly()).unwrap_or_default();
    entries.iter().any(|entry| entry.name == key && is_setting(entry))
}

/// Whether it is a line for the stream that stands below the header of its metrics: no metric is written like that.
fn is_setting(entry: &Named<'_>) -> bool {
    let Schema { place, keys, .. } = &schema::METRIC;
    let like_metric =
        |key: &str| keys.contains(&key) || synonyms::ours(place, key, keys.iter().copied()).is_some();
    let table = entry.field.value.as_table();
    let is_metric = table.is_some_and(|table| table.iter().all(|(key, _)| like_metric(key.get_ref())));
    schema::STREAM.keys.contains(&entry.name) && !is_metric
}

fn misplaced(entry: &Named<'_>, metrics: &Field<'_>) {
    let name = entry.name;
    let error = entry.field.cx.error(
        entry.at.clone(),
        format!("`{name}` stands among the metrics, but is a setting of the stream"),
    );
    let error = match metrics.raw().starts_with('[') {
        true => error.also(metrics.span.clone(), "lines below this header are metrics"),
        false => error,
    };
    error
        .label("is read as a metric here")
        .help(format!(
            "move this line up, below the header of the stream and above that of its metrics; a metric of this name is written \
             {name} = {{ at = \"/{name}\" }}"
        ))
        .report();
}

fn rest(entry: &Named<'_>) {
    if entry.field.value.as_table().is_none_or(|table| !table.is_empty()) {
        entry.field.bad("stands for all other metrics and takes no settings", "write \"*\" = {}");
    }
}

/// What a place captures becomes a tag of its own, and each value has one name.
fn check_captures(entry: &Named<'_>, metric: &MetricPlan, others: &[MetricPlan], topics: &[TopicPattern]) {
    let Some(at) = metric.at.as_ref().filter(|at| at.captures().next().is_some()) else { return };
    let from_topic = |name: &str| topics.iter().any(|topic| topic.names().any(|other| other == name));
    let taken = at.captures().find(|name| *name == METRIC || from_topic(name));
    if let Some(name) = taken {
        entry.field.bad(
            &format!("captures `{{{name}}}`, which is no tag of its own"),
            "choose another name in the braces: `metric` names the measurement, and each tag has one origin",
        );
    } else if let Some(other) = others.iter().find(|other| other.at.as_ref() == Some(at)) {
        entry.field.bad(&format!("stands where `{}` does", other.name), "list it once");
    }
}

fn metric(entry: &Named<'_>) -> Option<MetricPlan> {
    check_metric_name(entry.field.cx, entry.name, entry.at.clone());
    let name = key(entry.name);
    let example = match entry.field.value.as_str() {
        Some(at) if at.starts_with('/') => format!("{name} = {{ at = \"{at}\" }}"),
        Some(unit) => format!("{name} = {{ at = \"/{}\", unit = \"{unit}\" }}", entry.name),
        None => format!("{name} = {{ at = \"/t\", unit = \"°C\" }}"),
    };
    let section = entry.field.section(&schema::METRIC, &example)?;
    let at = section.get("at").and_then(|field| field.pattern());
    let unit = section.get("unit").and_then(|field| field.filled());
    let kinds = [("gauge", Kind::Gauge), ("counter", Kind::Counter), ("state", Kind::State)];
    let kind = section.choice("kind", &kinds).unwrap_or_default();
    section.finish();
    Some(MetricPlan { name: entry.name.to_owned(), at, unit: unit.map(str::to_owned), kind })
}

/// Reports a name that no metric can have.
pub(super) fn check_metric_name(cx: &Context<'_>, name: &str, at: Range<usize>) {
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        cx.error(at, "this cannot be the name of a metric")
            .label("empty, longer than 128 bytes, or with control characters")
            .help("write a name such as temperature")
            .report();
    }
}
