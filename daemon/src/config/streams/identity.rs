//! `time`, `sequence` and `unique`: when a reading was taken, and how one that comes again is recognised.

use crate::config::field::Field;
use crate::config::reader::Section;
use crate::config::schema;
use tidegate_pipeline::decode::{Scalar, Stamp};
use tidegate_pipeline::plan::{TimeFormat, TimePlan, Unique};

const PLACE: &str = "streams.NAME.time.format";
const FORMATS: &[(&str, TimeFormat)] = &[
    ("s", TimeFormat::Seconds),
    ("ms", TimeFormat::Millis),
    ("us", TimeFormat::Micros),
    ("ns", TimeFormat::Nanos),
    ("rfc3339", TimeFormat::Rfc3339),
    // Its zone is filled in where it is read.
    ("local", TimeFormat::Local { zone: String::new() }),
];

/// `zone` is the gateway's.
pub(super) fn time(field: &Field<'_>, zone: &str) -> Option<TimePlan> {
    let example = "time = { at = \"/ts\", format = \"ms\" }";
    let section = field.section(&schema::TIME, example)?;
    section.require("at", example);
    section.require("format", &format!("{example}; s, ms, us and ns count from 1970"));
    let at = section.get("at").and_then(|field| field.pointer());
    let format = section.get("format");
    let own_zone = section.get("zone");
    let zone = own_zone.as_ref().and_then(|field| field.zone()).unwrap_or_else(|| zone.to_owned());
    let format = format.and_then(|field| time_format(&field, zone));
    for field in ["uptime", "unit", "boot", "per"].into_iter().filter_map(|key| section.get(key)) {
        field.bad(
            "goes with `uptime`",
            "remove it, or write time = { uptime = \"/uptime\", unit = \"ms\", boot = \"/boot\" }",
        );
    }
    if let (Some(own), Some(format)) = (own_zone, &format)
        && !matches!(format, TimeFormat::Local { .. } | TimeFormat::Pattern { .. })
    {
        own.bad("is for local times", "remove it: this format says itself which moment it means");
    }
    section.finish();
    Some(TimePlan { at: at?, format: format? })
}

fn time_format(field: &Field<'_>, zone: String) -> Option<TimeFormat> {
    match field.value.as_str() {
        Some("local") => Some(TimeFormat::Local { zone }),
        Some(text) if FORMATS.iter().any(|(word, _)| *word == text) => field.choice(PLACE, FORMATS),
        Some("%s" | "%s%3f") | None => unknown_format(field),
        Some(text) if text.contains('%') => pattern(field, text, zone),
        Some(_) => unknown_format(field),
    }
}

fn unknown_format(field: &Field<'_>) -> Option<TimeFormat> {
    let words = FORMATS.iter().map(|(word, _)| *word);
    let known = words.clone().collect::<Vec<_>>().join("`, `");
    let help = format!("it can be `{known}`, or a pattern such as \"%Y-%m-%d %H:%M:%S\"");
    field.unknown_word(PLACE, field.text()?, words, help);
    None
}

/// A pattern of strftime that a moment written by it can be read back with.
fn pattern(field: &Field<'_>, text: &str, zone: String) -> Option<TimeFormat> {
    let moment = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    let pattern = TimeFormat::Pattern { pattern: text.to_owned(), zone };
    let written = jiff::fmt::strtime::format(text, &moment).map_err(|error| error.to_string());
    let read = written.and_then(|written| {
        let read = Stamp::of(&pattern).read(&Scalar::Text(written.into()));
        read.ok_or_else(|| "gives no day that can be read back".to_owned())
    });
    let how = "write it as for strftime, with year, month and day: \"%Y-%m-%d %H:%M:%S\"";
    field.parsed(text, read, "a pattern for time stamps", how)?;
    Some(pattern)
}

/// `sequence` or `unique`; `tags` are the names that `per` may list. `has_time`: each reading has one without being asked.
pub(super) fn unique(section: &Section<'_>, tags: &[&str], has_time: bool) -> Unique {
    let sequence = section.get("sequence");
    let unique = section.get("unique");
    if let (Some(sequence), Some(unique)) = (&sequence, &unique) {
        section
            .cx
            .error(unique.span.clone(), "`sequence` and `unique` exclude each other")
            .label("one way to recognise a reading that comes again")
            .also(sequence.span.clone(), "another")
            .help("keep `sequence` where the sensor counts its messages; it is the stronger one")
            .report();
    }
    let by_time = unique.as_ref().and_then(|field| field.choice("streams.NAME.unique", &[("time", ())]));
    if let (Some(unique), Some(())) = (&unique, by_time)
        && !section.has("time")
        && !has_time
    {
        unique.bad("needs `time`", "say where the time stamp is: time = { at = \"/ts\", format = \"ms\" }");
    }
    match (sequence, by_time) {
        (Some(field), _) => read_sequence(&field, tags).unwrap_or_default(),
        (None, Some(())) => Unique::Time,
        (None, None) => Unique::Content,
    }
}

/// The tags that make one sender.
pub(super) fn per(field: &Field<'_>, tags: &[&str]) -> Vec<String> {
    let words = field.words();
    let known = |(word, span)| field.cx.resolve(word, span, tags, "tag").map(|_| word.to_owned());
    words.into_iter().filter_map(known).collect()
}

fn read_sequence(field: &Field<'_>, tags: &[&str]) -> Option<Unique> {
    if field.value.as_table().is_none() {
        return Some(Unique::Sequence { at: field.pointer()?, boot: None, per: None });
    }
    let example = "sequence = { at = \"/seq\", boot = \"/boot\" }";
    let section = field.section(&schema::SEQUENCE, example)?;
    section.require("at", example);
    let at = section.get("at").and_then(|field| field.pointer());
    let boot = section.get("boot").and_then(|field| field.pointer());
    let per = section.get("per").map(|field| per(&field, tags));
    section.finish();
    Some(Unique::Sequence { at: at?, boot, per })
}
