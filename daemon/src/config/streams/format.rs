//! `format` and what goes with it: how a payload is read.

use crate::config::field::Field;
use crate::config::reader::Section;
use crate::config::schema;
use tidegate_pipeline::limits::CSV_COLUMNS_MAX;
use tidegate_pipeline::plan::{Csv, Format, METRIC, StreamPlan, TimeFormat};

const FORMATS: &[(&str, Word)] = &[
    ("auto", Word::Auto),
    ("json", Word::Json),
    ("text", Word::Text),
    ("csv", Word::Csv),
    ("influx", Word::Influx),
    ("senml", Word::Senml),
    ("cbor", Word::Cbor),
    ("msgpack", Word::Msgpack),
    ("sparkplug", Word::Sparkplug),
    ("tidegate", Word::Tidegate),
];

#[derive(Clone, Copy, Default)]
enum Word {
    #[default]
    Auto,
    Json,
    Text,
    Csv,
    Influx,
    Senml,
    Cbor,
    Msgpack,
    Sparkplug,
    Tidegate,
}

/// What the time stamps of line protocol can count.
const UNITS: &[(&str, TimeFormat)] = &[
    ("s", TimeFormat::Seconds),
    ("ms", TimeFormat::Millis),
    ("us", TimeFormat::Micros),
    ("ns", TimeFormat::Nanos),
];

pub(super) fn read(section: &Section<'_>, stream: &mut StreamPlan) {
    let field = section.get("csv");
    let word = section.choice("format", FORMATS);
    if let Some(field) = &field
        && !matches!(word, Some(Word::Csv))
    {
        field.bad("is for rows of cells", "write format = \"csv\" too");
    }
    stream.format = match word.unwrap_or_default() {
        Word::Auto => Format::Auto,
        Word::Json => Format::Json,
        Word::Text => Format::Text,
        Word::Csv => Format::Csv(field.map_or_else(default_csv, |field| csv(&field))),
        Word::Influx => Format::Influx {
            unit: section.get("time").and_then(|field| unit(&field)).unwrap_or(TimeFormat::Nanos),
        },
        Word::Senml => Format::Senml,
        Word::Cbor => Format::Cbor,
        Word::Msgpack => Format::Msgpack,
        Word::Sparkplug => Format::Sparkplug,
        Word::Tidegate => Format::Tidegate,
    };
    stream.each = section.get("each").and_then(|field| field.pointer());
    stream.numbers_as_text =
        section.get("numbers_as_text").and_then(|field| field.flag()).unwrap_or_default();
    refuse(section, stream);
}

fn default_csv() -> Csv {
    Csv { delimiter: b',', decimal: '.', columns: Vec::new(), header: true }
}

fn csv(field: &Field<'_>) -> Csv {
    let mut csv = default_csv();
    let example = "csv = { delimiter = \";\", decimal = \",\", columns = [\"ts\", \"temperature\"] }";
    let Some(section) = field.section(&schema::CSV, example) else { return csv };
    if let Some(field) = section.get("delimiter") {
        let plain =
            |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\r\n.-+".contains(byte);
        match field.text().map(str::as_bytes) {
            Some([byte]) if plain(byte) => csv.delimiter = *byte,
            Some(_) => {
                field.bad("has to be one character that no number has", "write \",\", \";\" or \"\\t\"")
            }
            None => {}
        }
    }
    if let Some(decimal) = section.choice("decimal", &[(".", '.'), (",", ',')]) {
        csv.decimal = decimal;
    }
    if let Some(field) = section.get("columns") {
        csv.columns = field.elements().iter().filter_map(|name| name.text().map(str::to_owned)).collect();
        check_columns(&field, &csv.columns);
    }
    csv.header = match section.get("header").map(|field| (field.flag(), field)) {
        Some((Some(false), field)) if csv.columns.is_empty() => {
            field.bad("leaves the columns without names", "list them: columns = [\"ts\", \"temperature\"]");
            false
        }
        Some((header, _)) => header.unwrap_or(true),
        None => csv.columns.is_empty(),
    };
    if csv.decimal == ',' && csv.delimiter == b',' {
        field.bad(
            "has the same character between cells and before decimals",
            "write delimiter = \";\" if that is it",
        );
    }
    section.finish();
    csv
}

fn check_columns(field: &Field<'_>, columns: &[String]) {
    let named = || columns.iter().filter(|name| !name.is_empty());
    if named().next().is_none() {
        field.bad("names no column", "list the columns in their order; \"\" for one that is not wanted");
    } else if columns.len() > CSV_COLUMNS_MAX {
        field.bad(&format!("has more than {CSV_COLUMNS_MAX} columns"), "a row can have so many cells");
    } else if let Some(twice) = named().find(|name| named().filter(|other| other == name).count() > 1) {
        field.bad(&format!("names `{twice}` twice"), "give each column a name of its own, or \"\" for none");
    }
}

/// `time = { format = "ms" }` of line protocol.
fn unit(field: &Field<'_>) -> Option<TimeFormat> {
    let section = field.section(&schema::TIME, "time = { format = \"ms\" }")?;
    for field in
        ["at", "zone", "uptime", "unit", "boot", "per"].into_iter().filter_map(|key| section.get(key))
    {
        field.bad(
            "has no meaning with line protocol, which has its time stamps at the end of each line",
            "remove it",
        );
    }
    let unit = section.get("format").and_then(|field| field.choice("streams.NAME.time.format", UNITS));
    section.finish();
    unit
}

/// Keys that mean nothing with a format, and why.
fn refuse(section: &Section<'_>, stream: &StreamPlan) {
    let own = "is not needed: the format says itself what a value is called and when it was taken";
    let (keys, what, help): (&[&'static str], _, _) = match &stream.format {
        Format::Auto | Format::Json | Format::Cbor | Format::Msgpack => (&[], "", ""),
        Format::Text => (
            &["each", "value", "time", "sequence", "numbers_as_text"],
            "points into a document, but format = \"text\" has none",
            "remove it, or write format = \"json\" if the payload is JSON",
        ),
        Format::Csv(_) => (
            &["each", "numbers_as_text"],
            "is not needed: every row is a record, and every cell a text",
            "remove it",
        ),
        Format::Influx { .. } => {
            (&["each", "value", "numbers_as_text"], own, "remove it; [streams.NAME.metrics] selects")
        }
        Format::Senml => {
            (&["each", "value", "time", "numbers_as_text"], own, "remove it; [streams.NAME.metrics] selects")
        }
        Format::Tidegate => (
            &["each", "value", "time", "unique", "numbers_as_text"],
            "is not needed: a frame says itself what its readings are, when they were taken and which they are",
            "remove it; [streams.NAME.metrics] names channels: temperature = { at = \"/channel/0\" }",
        ),
        Format::Sparkplug => (
            &["each", "value", "time", "sequence", "numbers_as_text"],
            own,
            "remove it; [streams.NAME.metrics] selects",
        ),
    };
    for field in keys.iter().filter_map(|key| section.get(key)) {
        field.bad(what, help);
    }
    if stream.format == Format::Text {
        let tables = |key| section.get(key).and_then(|field| field.entries_quietly()).unwrap_or_default();
        let nested = tables("tags").into_iter().chain(tables("metrics")).map(|entry| entry.field);
        nested.filter(|field| field.value.get("at").is_some()).for_each(|field| field.bad(what, help));
    }
    refuse_names(section, stream);
}

/// Names in the topic that the format gives too.
fn refuse_names(section: &Section<'_>, stream: &StreamPlan) {
    let Some(field) = section.get("topic") else { return };
    let mut names = stream.topics.iter().flat_map(|topic| topic.names());
    let taken = names.find(|name| {
        stream.format.tags().contains(name) || (*name == METRIC && stream.format.names_metrics())
    });
    if let Some(name) = taken {
        field.bad(
            &format!("names `{{{name}}}`, which the format gives by itself"),
            "write `+` for that level, or another name",
        );
    }
}
