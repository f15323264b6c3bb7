//! `[clock]`: what is believed of clocks and time stamps.

use super::buffer::span;
use super::reader::Section;
use super::schema;
use std::time::Duration;
use tidegate_pipeline::time::Span;

const DAY: Duration = Duration::from_secs(86_400);

/// `[clock]`, as the plan has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) max_future: Span,
    /// `None`: the system's clock is believed as it is.
    pub(super) hold_max: Option<Span>,
}

pub(super) fn read(root: &Section<'_>) -> Clock {
    let (max_future, hold_max) = (Span::from_secs(300), Span::from_secs(600));
    let section = root.get("clock").and_then(|field| field.section(&schema::CLOCK, "[clock]"));
    let Some(section) = section else { return Clock { max_future, hold_max: Some(hold_max) } };
    let max_future = section.duration("max_future", Duration::ZERO..=366 * DAY).map_or(max_future, span);
    let holds = section.choice("unsynchronised", &[("hold", true), ("trust", false)]).unwrap_or(true);
    // Zero: nothing is held, but what is made without a clock still says so.
    let hold = section.duration("hold_max", Duration::ZERO..=DAY).map_or(hold_max, span);
    if let Some(field) = section.get("hold_max").filter(|_| !holds) {
        field
            .cx
            .warning(field.span.clone(), "`hold_max` has no effect where `unsynchronised` is \"trust\"")
            .label("nothing is held")
            .help("remove it, or write unsynchronised = \"hold\"")
            .report();
    }
    section.finish();
    Clock { max_future, hold_max: holds.then_some(hold) }
}
