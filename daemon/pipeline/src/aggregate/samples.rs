//! The readings of a window in the order of their times, for what depends on that order.
//!
//! A value holds until the next reading (the step function of TimescaleDB's `time_weight('LOCF')`), until the signal is
//! known to be gone (a *break*: the sensor is offline), or until the window ends. So what consecutive windows say of a meter
//! or of seconds adds up exactly, wherever time is cut.
//!
//! A window keeps as many readings as the summary's `samples_max`. Beyond, the older half is *settled*: joined to one [`Run`],
//! from which everything that is asked can still be told. That costs nothing as long as readings come in order of time, or
//! out of it by fewer than half of `samples_max`. One that belongs into the midst of what is settled is *misplaced*: it is left
//! out here, and the aggregates that miss it are marked as approximate.

use super::sum::{Sum, finite, seconds};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A reading, or a break.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) time: Time,
    /// NaN: unknown from here on.
    pub(super) value: f64,
}

impl Mark {
    pub(super) fn reading(time: Time, value: f64) -> Mark {
        Mark { time, value }
    }

    pub(super) fn gone(time: Time) -> Mark {
        Mark { time, value: f64::NAN }
    }

    fn is_break(self) -> bool {
        self.value.is_nan()
    }

    /// In order of time. Of several at one time breaks are first, then the lesser: the order of arrival does not matter.
    pub(super) fn order(&self, other: &Mark) -> Ordering {
        let by_kind = other.is_break().cmp(&self.is_break());
        self.time.cmp(&other.time).then(by_kind).then_with(|| self.value.total_cmp(&other.value))
    }
}

impl PartialEq for Mark {
    fn eq(&self, other: &Mark) -> bool {
        self.time == other.time && (self.value == other.value || self.is_break() && other.is_break())
    }
}

/// What a stretch of marks amounts to. Two that follow each other join exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The time of the first mark.
    from: Time,
    /// The time of the last mark.
    to: Time,
    /// How many readings.
    readings: u64,
    /// The first and the last reading.
    ends: Option<((Time, f64), (Time, f64))>,
    /// Whether the value is unknown after `to`.
    broken: bool,
    /// Microseconds in which the value was known.
    known: i64,
    /// Value times seconds.
    area: Sum,
    /// By how much a meter went up.
    increase: Sum,
}

impl Run {
    fn of(mark: Mark) -> Run {
        let end = (mark.time, mark.value);
        Run {
            from: mark.time,
            to: mark.time,
            readings: u64::from(!mark.is_break()),
            ends: (!mark.is_break()).then_some((end, end)),
            broken: mark.is_break(),
            known: 0,
            area: Sum::default(),
            increase: Sum::default(),
        }
    }

    /// Joins what follows.
    fn join(&mut self, next: &Run) {
        if let Some((_, (_, value))) = self.ends
            && !self.broken
        {
            let micros = next.from.since(self.to).0.max(0);
            self.known = self.known.saturating_add(micros);
            self.area.add(value * seconds(micros));
        }
        if let (Some((_, (_, last))), Some(((_, first), _))) = (self.ends, next.ends) {
            // A meter that shows less than before began again at 0, as Prometheus has it (its function `increase`).
            self.increase.add(if first < last { first } else { first - last });
        }
        self.to = self.to.max(next.to);
        self.readings = self.readings.saturating_add(next.readings);
        self.ends = match (self.ends, next.ends) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (one, other) => one.or(other),
        };
        self.broken = next.broken;
        self.known = self.known.saturating_add(next.known);
        self.area.merge(&next.area);
        self.increase.merge(&next.increase);
    }

    /// Value times seconds: of watts the watt-seconds.
    pub(super) fn integral(&self) -> Option<f64> {
        self.area.get().filter(|_| self.known > 0)
    }

    /// The mean over the time in which the value was known.
    pub(super) fn mean(&self) -> Option<f64> {
        Some(self.integral()? / seconds(self.known))
    }

    /// By how much a meter went up from the first to the last reading.
    pub(super) fn increase(&self) -> Option<f64> {
        self.increase.get().filter(|_| self.readings > 1)
    }

    /// The increase per second between the first and the last reading. Unlike Prometheus' `rate` it does not extrapolate to
    /// the ends of the window.
    pub(super) fn rate(&self) -> Option<f64> {
        finite(self.increase()? / self.lasted()?)
    }

    /// The change of the value per second between the first and the last reading.
    pub(super) fn derivative(&self) -> Option<f64> {
        let ((_, first), (_, last)) = self.ends?;
        finite((last - first) / self.lasted()?)
    }

    /// Seconds between the first and the last reading, if any.
    fn lasted(&self) -> Option<f64> {
        let ((first, _), (last, _)) = self.ends?;
        Some(seconds(last.since(first).0)).filter(|seconds| *seconds > 0.0)
    }
}

/// Readings and breaks in order of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    max: u32,
    /// Readings that came when their place was settled.
    misplaced: u64,
    /// The oldest, where they were too many.
    settled: Option<Box<Run>>,
    /// The others, all later.
    #[serde(with = "super::deltas")]
    marks: Vec<Mark>,
}

impl Samples {
    pub(super) fn new(max: u32) -> Samples {
        Samples { max, misplaced: 0, settled: None, marks: Vec::new() }
    }

    pub(super) fn fold(&mut self, mark: Mark) {
        if let Some(run) = &mut self.settled
            && mark.time <= run.to
        {
            if mark.time < run.from {
                let mut longer = Run::of(mark);
                longer.join(run);
                **run = longer;
            } else {
                self.misplaced = self.misplaced.saturating_add(1);
            }
            return;
        }
        // Readings come mostly in order.
        let place = match self.marks.last() {
            Some(last) if mark.order(last).is_lt() => {
                self.marks.partition_point(|known| known.order(&mark).is_le())
            }
            _ => self.marks.len(),
        };
        self.marks.insert(place, mark);
        self.settle();
    }

    /// Joins what `other` holds. Where both have settled the same time, the run of fewer readings is misplaced.
    pub(super) fn merge(&mut self, other: &Samples) {
        self.max = self.max.max(other.max);
        self.misplaced = self.misplaced.saturating_add(other.misplaced);
        self.marks.extend_from_slice(&other.marks);
        self.marks.sort_by(Mark::order);
        let mut runs: Vec<Run> =
            self.settled.take().into_iter().chain(other.settled.clone()).map(|run| *run).collect();
        runs.sort_by_key(|run| run.from);
        if let [one, next] = runs.as_slice()
            && next.from <= one.to
        {
            let fewer = usize::from(next.readings <= one.readings);
            self.misplaced = self.misplaced.saturating_add(runs.remove(fewer).readings);
        }
        let Some(settled_to) = runs.last().map(|run| run.to) else { return self.settle() };
        let early = self.marks.partition_point(|mark| mark.time <= settled_to);
        let mut early = self.marks.drain(..early).peekable();
        let mut whole: Option<Run> = None;
        let mut join = |next: &Run| match &mut whole {
            Some(whole) => whole.join(next),
            None => whole = Some(next.clone()),
        };
        for run in &runs {
            while let Some(mark) = early.next_if(|mark| mark.time < run.from) {
                join(&Run::of(mark));
            }
            while early.next_if(|mark| mark.time <= run.to).is_some() {
                self.misplaced = self.misplaced.saturating_add(1);
            }
            join(run);
        }
        drop(early);
        self.settled = whole.map(Box::new);
        self.settle();
    }

    /// Everything from the window's start to its end. `opening` is the last reading before it.
    pub(super) fn whole(&self, start: Time, end: Time, opening: Option<(Time, f64)>) -> Option<Run> {
        let mut whole = opening.map(|(time, value)| {
            let mut run = Run::of(Mark::reading(start, value));
            run.ends = Some(((time, value), (time, value)));
            run
        });
        let settled = self.settled.iter().map(|run| (**run).clone());
        let marks = self.marks.iter().map(|mark| Run::of(*mark));
        for next in settled.chain(marks) {
            match &mut whole {
                Some(whole) => whole.join(&next),
                None => whole = Some(next),
            }
        }
        let whole = whole.as_mut()?;
        whole.join(&Run::of(Mark::gone(end)));
        Some(whole.clone())
    }

    pub(super) fn is_approximate(&self) -> bool {
        self.misplaced > 0
    }

    pub(super) fn last_sample(&self) -> Option<(Time, f64)> {
        let last = self.marks.iter().rev().find(|mark| !mark.is_break()).map(|mark| (mark.time, mark.value));
        last.or_else(|| self.settled.as_ref()?.ends.map(|(_, last)| last))
    }

    /// Settles the older half where there are too many, up to a change of time: what comes at the same time as the last
    /// settled reading has no place of its own any more.
    fn settle(&mut self) {
        while self.marks.len() > self.max as usize {
            let middle = self.marks[self.marks.len() / 2].time;
            let before = self.marks.partition_point(|mark| mark.time < middle);
            let upto =
                if before > 0 { before } else { self.marks.partition_point(|mark| mark.time <= middle) };
            let mut whole = self.settled.take();
            for mark in self.marks.drain(..upto) {
                match &mut whole {
                    Some(whole) => whole.join(&Run::of(mark)),
                    None => whole = Some(Box::new(Run::of(mark))),
                }
            }
            self.settled = whole;
        }
    }
}
