//! Windows that end by what was read: a number of readings (`count = 100`), or a condition that holds no more
//! (`state = "value > 0"`).
//!
//! Their readings are put in the order of time first: each waits until `lateness` has passed, and what comes after a later
//! one was let through is too late. So such windows need no amendments, and have none.

use super::{Content, Template};
use crate::expr::{Env, Expr};
use crate::fold::{Fate, Frame, Sample};
use crate::limits::SORTED_MAX;
use crate::series::{Extra, Group};
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What ends a window.
#[derive(Debug)]
pub(crate) enum Rule {
    /// So many readings.
    Count(u32),
    /// A reading of which this does not hold; one of which it does begins the next window.
    State(Arc<Expr>),
}

/// A group's readings on their way through the order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sorted {
    /// Not let through yet, by time and then value.
    waiting: Vec<Waits>,
    /// The time of the last that was let through.
    passed: Option<Time>,
    /// When the next is let through.
    due: Option<Time>,
    /// The window that is being filled.
    open: Option<Filling>,
    /// Duplicates and rejections since the last window.
    aside: Content,
    /// The last reading that was let through: what the next window begins with.
    last: Option<(Time, f64)>,
    /// How many windows have ended.
    ordinal: u64,
    /// Where the last window ended: ends name windows in the store, and must differ.
    last_end: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Waits {
    time: Time,
    value: f64,
    gap: u32,
    backlog: bool,
    flagged: bool,
}

impl Waits {
    fn of(sample: &Sample) -> Waits {
        let Sample { time, value, gap, backlog, flagged, .. } = *sample;
        Waits { time, value, gap, backlog, flagged }
    }

    fn sample(self) -> Sample {
        let Waits { time, value, gap, backlog, flagged } = self;
        Sample { time, value, gap, backlog, flagged, fate: Fate::Counted }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filling {
    start: Time,
    last: Time,
    content: Content,
}

/// A window that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) start: Time,
    pub(crate) end: Time,
    pub(crate) ordinal: u64,
    pub(crate) content: Content,
}

impl Sorted {
    /// Whether a reading of `time` can still take its place.
    pub(crate) fn takes(&self, time: Time) -> bool {
        self.passed.is_none_or(|passed| time >= passed)
    }

    /// Whether nothing waits and no window is being filled.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.open.is_none()
    }

    /// Readings that wait, or are in the window that is being filled.
    pub(crate) fn readings(&self) -> u64 {
        let filled = self.open.as_ref().map_or(0, |open| open.content.completeness.received);
        self.waiting.len() as u64 + u64::from(filled)
    }

    /// The time of the first that waits.
    pub(crate) fn first(&self) -> Option<Time> {
        self.waiting.first().map(|first| first.time)
    }

    /// When the next is let through.
    pub(crate) fn due(&self) -> Option<Time> {
        self.due
    }

    /// Up to which time readings are let through at `now`: those that have waited, and the oldest half of too many.
    pub(crate) fn ripe(&self, now: Time, lateness: Span) -> Time {
        let crowded = (self.waiting.len() >= SORTED_MAX).then(|| self.waiting[SORTED_MAX / 2].time);
        crowded.unwrap_or(Time::MIN).max(now.minus(lateness))
    }
}

impl Rule {
    pub(crate) fn fold(&self, frame: &mut Frame<'_>, group: &mut Group, sample: &Sample) {
        let Extra::Sorted(sorted) = &mut group.extra else { return };
        if sample.fate != Fate::Counted {
            sorted.aside.note(sample, frame.template);
            return;
        }
        let place = sorted.waiting.partition_point(|waits| {
            waits.time.cmp(&sample.time).then(waits.value.total_cmp(&sample.value)).is_le()
        });
        sorted.waiting.insert(place, Waits::of(sample));
        sorted.reschedule(frame);
    }

    /// Lets through what is not later than `upto`; everything, and ends the window, where that is the end of time. Calls
    /// `ended` for each window that ended.
    pub(crate) fn release(
        &self,
        frame: &mut Frame<'_>,
        sorted: &mut Sorted,
        upto: Time,
        mut ended: impl FnMut(Ended),
    ) {
        let count = sorted.waiting.partition_point(|waits| waits.time <= upto);
        let released: Vec<_> = sorted.waiting.drain(..count).collect();
        for waits in released {
            sorted.passed = Some(waits.time);
            // A condition without an answer changes nothing.
            let holds = match self {
                Rule::Count(_) => true,
                Rule::State(condition) => {
                    condition.test(&Env::new(waits.value, waits.time, &[])).unwrap_or(sorted.open.is_some())
                }
            };
            if holds {
                sorted.fill(&waits, frame.template);
            } else if sorted.open.is_some() {
                ended(sorted.end(waits.time));
            }
            let received = sorted.open.as_ref().map_or(0, |open| open.content.completeness.received);
            if matches!(self, Rule::Count(full) if received >= *full) {
                ended(sorted.end(waits.time.plus(Span(1))));
            }
            sorted.last = Some((waits.time, waits.value));
        }
        if let (Time::MAX, Some(last)) = (upto, sorted.open.as_ref().map(|open| open.last)) {
            ended(sorted.end(last.plus(Span(1))));
        }
        sorted.reschedule(frame);
    }
}

impl Sorted {
    /// Folds a reading into the open window; opens it if it is not.
    fn fill(&mut self, waits: &Waits, template: Template<'_>) {
        let open = self.open.get_or_insert_with(|| Filling {
            start: waits.time,
            last: waits.time,
            content: Content::default(),
        });
        let first = open.content.lanes.is_empty();
        open.content.note(&waits.sample(), template);
        open.last = waits.time;
        if let (true, [lane]) = (first, open.content.lanes.as_mut_slice()) {
            lane.opening = self.last;
        }
    }

    /// Ends the open window, which there is, at `end` or, where another has ended there, just after it.
    fn end(&mut self, end: Time) -> Ended {
        let Filling { start, mut content, .. } = self.open.take().unwrap_or_default();
        content.completeness.merge(&std::mem::take(&mut self.aside).completeness);
        let end = end.max(self.last_end.map_or(Time::MIN, |end| end.plus(Span(1))));
        self.last_end = Some(end);
        self.ordinal += 1;
        Ended { start, end, ordinal: self.ordinal, content }
    }

    fn reschedule(&mut self, frame: &mut Frame<'_>) {
        if let Some(due) = self.due.take() {
            frame.forget_due(due, Time::MIN, false);
        }
        self.due = self.first().map(|first| match self.waiting.len() {
            SORTED_MAX.. => Time::MIN,
            _ => first.plus(frame.summary.lateness),
        });
        if let Some(due) = self.due {
            frame.note_due(due, Time::MIN, false);
        }
    }
}
