//! Windows: which one a reading belongs to, and what an open one holds.

use crate::aggregate::{Context, State};
use crate::plan::{Kind, SummaryPlan, Window};
use crate::time::Time;
use serde::{Deserialize, Serialize};

impl Window {
    /// Start and end of the window that holds `time`. The start belongs to it, the end does not.
    pub fn around(&self, time: Time) -> (Time, Time) {
        match self {
            Window::Tumbling { length } => {
                let start = time.minus(crate::time::Span(time.0.rem_euclid(length.0)));
                (start, start.plus(*length))
            }
        }
    }
}

/// How complete a window is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Readings folded in.
    pub received: u32,
    /// Readings that cleaning or time checks refused.
    pub rejected: u32,
    /// Readings that came again while the window was open.
    pub duplicates: u32,
    /// Readings that came after the window had first closed.
    pub late: u32,
    /// Sequence numbers that were skipped just before a reading of this window.
    pub gaps: u32,
}

impl Completeness {
    /// Adds what `other` counts.
    pub fn merge(&mut self, other: &Completeness) {
        self.received = self.received.saturating_add(other.received);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.duplicates = self.duplicates.saturating_add(other.duplicates);
        self.late = self.late.saturating_add(other.late);
        self.gaps = self.gaps.saturating_add(other.gaps);
    }
}

/// The content of a window: mergeable, open or closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// How complete.
    pub completeness: Completeness,
    /// The last reading before the window, where it is known: what a meter showed and a value was when it began.
    pub opening: Option<(Time, f64)>,
    /// For the aggregates.
    pub states: Box<[State]>,
}

impl Content {
    /// An empty window of `summary` for a metric.
    pub fn empty(summary: &SummaryPlan, metric: &str, kind: Kind) -> Content {
        let states = State::empty_for(summary.aggregates_for(metric, kind), summary.samples_max());
        Content { completeness: Completeness::default(), opening: None, states }
    }

    /// Folds one counted reading in.
    pub fn fold(&mut self, time: Time, value: f64, gap: u32) {
        self.completeness.received = self.completeness.received.saturating_add(1);
        self.completeness.gaps = self.completeness.gaps.saturating_add(gap);
        for state in &mut self.states {
            state.fold(time, value);
        }
    }

    /// Notes that the value is unknown from `time` until the next reading: the sensor is offline. What weighs values by time
    /// leaves that time out. Where it was unknown already when the window began, `time` is the window's start.
    pub fn break_at(&mut self, time: Time) {
        self.states.iter_mut().for_each(|state| state.break_at(time));
    }

    /// The latest reading, where an aggregate keeps it: the opening value of the next window.
    pub fn last_sample(&self) -> Option<(Time, f64)> {
        self.states.iter().filter_map(State::last_sample).next()
    }

    /// What aggregates are asked with, for a window from `start` to `end`.
    pub fn context(&self, start: Time, end: Time) -> Context {
        Context { start, end, opening: self.opening }
    }

    /// Folds in what came later. Where the definition changed in between, only what both parts know is known of the
    /// whole: an aggregate of some of its readings would be wrong.
    pub fn merge(&mut self, later: &Content) {
        self.completeness.merge(&later.completeness);
        self.opening = match (self.opening, later.opening) {
            (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
            (one, other) => one.or(other),
        };
        let both = std::mem::take(&mut self.states).into_iter().filter_map(|mut state| {
            let from = later.states.iter().find(|from| from.is_like(&state))?;
            state.merge(from);
            Some(state)
        });
        self.states = both.collect();
    }
}

/// An open window of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Its start.
    pub start: Time,
    /// Its end.
    pub end: Time,
    /// When it closes, by the wall clock.
    pub due: Time,
    /// It may have been closed before: this is what came later, to be merged with what the store has.
    pub late: bool,
    /// What it holds.
    pub content: Content,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn tumbling_windows_are_aligned() {
        let minute = Window::Tumbling { length: Span::from_secs(60) };
        let at = |secs: i64| Time(secs * 1_000_000);
        for (secs, start) in
            [(0, 0), (59, 0), (60, 60), (-1, -60), (-60, -60), (1_795_341_659, 1_795_341_600)]
        {
            assert_eq!(minute.around(at(secs)), (at(start), at(start + 60)), "{secs}");
        }
    }
}
