//! `window`: how a summary cuts time.

use super::aggregates::condition;
use super::buffer::span;
use super::field::Field;
use super::reader::Section;
use super::schema;
use std::time::Duration;
use tidegate_pipeline::plan::{CalendarUnit, Window};

const ALLOWED: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(366 * 86_400);
/// Panes that one hopping window may be made of, and windows that one reading may belong to.
const HOPS_MAX: i64 = 1_440;
const COUNT_MAX: i64 = 1_000_000;
const EXAMPLE: &str = "window = \"1m\" or window = { tumbling = \"1m\" }";
const KINDS: [&str; 6] = ["tumbling", "hopping", "calendar", "session", "count", "state"];

/// `zone` is where calendars are read that do not say.
pub(super) fn read(field: &Field<'_>, zone: &str) -> Option<Window> {
    if field.value.as_table().is_none() {
        let word = field.value.as_str().unwrap_or_default();
        if let Some(help) = spelt_out(word) {
            field
                .cx
                .error(field.span.clone(), format!("`{word}` is not a length of time"))
                .label("needs a table")
                .help(help)
                .report();
            return None;
        }
        return field.duration(ALLOWED).map(|length| Window::Tumbling { length: span(length) });
    }
    let section = field.section(&schema::WINDOW, EXAMPLE)?;
    let given: Vec<&str> = KINDS.into_iter().filter(|kind| section.has(kind)).collect();
    match given.as_slice() {
        [] if !section.has_unknown() => section.require("tumbling", EXAMPLE),
        [first, second, ..] => field.bad(
            &format!("is of two kinds at once: `{first}` and `{second}`"),
            "keep one; a second summary can have the other",
        ),
        _ => {}
    }
    let window = kind(&section, zone);
    for (key, kind) in [("every", "hopping"), ("zone", "calendar")] {
        if let Some(field) = section.get(key)
            && !section.has(kind)
        {
            field.bad(
                &format!("means something only beside `{kind}`"),
                &format!("remove it, or add `{kind}`"),
            );
        }
    }
    section.finish();
    window
}

/// What to write for a kind of window, or of calendar, that stands alone.
fn spelt_out(word: &str) -> Option<&'static str> {
    Some(match word {
        "hour" | "hourly" => "write window = { calendar = \"hour\" }, or window = \"1h\"",
        "day" | "daily" => "write window = { calendar = \"day\" }",
        "week" | "weekly" => "write window = { calendar = \"week\" }",
        "month" | "monthly" => "write window = { calendar = \"month\" }",
        "tumbling" | "calendar" => "write window = \"1m\", or window = { calendar = \"day\" }",
        "hopping" | "sliding" => "write window = { hopping = \"5m\", every = \"1m\" }",
        "session" => "write window = { session = \"30s\" }",
        "count" => "write window = { count = 100 }",
        "state" => "write window = { state = \"value > 0\" }",
        _ => return None,
    })
}

fn kind(section: &Section<'_>, zone: &str) -> Option<Window> {
    let tumbling =
        section.duration("tumbling", ALLOWED).map(|length| Window::Tumbling { length: span(length) });
    let hopping = hopping(section);
    let unit = section.choice(
        "calendar",
        &[
            ("hour", CalendarUnit::Hour),
            ("day", CalendarUnit::Day),
            ("week", CalendarUnit::Week),
            ("month", CalendarUnit::Month),
        ],
    );
    let zone = section.get("zone").and_then(|field| field.zone()).unwrap_or_else(|| zone.to_owned());
    let calendar = unit.map(|unit| Window::Calendar { unit, zone });
    let session = section.duration("session", ALLOWED).map(|gap| Window::Session { gap: span(gap) });
    let count = section.integer("count", 1..=COUNT_MAX).and_then(|count| u32::try_from(count).ok());
    let count = count.map(|readings| Window::Count { readings });
    let state =
        section.get("state").and_then(|field| condition(&field, "window = { state = \"value > 0\" }"));
    let state = state.map(|condition| Window::State { condition });
    tumbling.or(hopping).or(calendar).or(session).or(count).or(state)
}

fn hopping(section: &Section<'_>) -> Option<Window> {
    let length = section.duration("hopping", ALLOWED);
    let every = section.duration("every", ALLOWED);
    let length = span(length?);
    if !section.has("every") {
        section.require("every", "window = { hopping = \"5m\", every = \"1m\" }");
    }
    let field = section.get("every")?;
    let every = span(every?);
    if every > length {
        field.bad(
            "is longer than the window: readings between two windows would belong to none",
            "make it at most as long as `hopping`",
        );
        return None;
    }
    let window = Window::Hopping { length, every };
    if window.panes() > HOPS_MAX {
        field.bad(
            &format!("would make a window of more than {HOPS_MAX} pieces"),
            "take lengths of which one is a multiple of the other: hopping = \"5m\", every = \"1m\"",
        );
        return None;
    }
    Some(window)
}
