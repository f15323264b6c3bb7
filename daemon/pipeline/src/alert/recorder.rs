//! The flight recorder: the last raw readings of all series that alerts with `capture` watch.

use crate::entry::Reading;
use crate::limits::CAPTURE_READINGS_MAX;
use crate::time::{Span, Time};
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// One queue for all series, in the order of arrival: so its size is bounded whatever comes, at 40 B a reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorder {
    readings: VecDeque<Recorded>,
    /// The latest arrival of one that had to go.
    lost: Time,
}

/// A reading as decoded, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Number of the series.
    pub series: u32,
    /// When it arrived.
    pub arrival: Time,
    /// Its own time; that of its arrival where it has none.
    pub time: Time,
    /// The value before cleaning; `None` where there is none.
    pub value: Option<f64>,
    /// What was decided.
    pub verdict: Verdict,
}

impl Recorded {
    pub(crate) fn of(reading: &Reading, arrival: Time) -> Recorded {
        let Reading { series, time, value, verdict } = *reading;
        let value = Some(value).filter(|value| value.is_finite());
        Recorded { series, arrival, time, value, verdict }
    }
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder { readings: VecDeque::new(), lost: Time::MIN }
    }
}

impl Recorder {
    /// Records a reading. Those that arrived longer than `keep` before it go, and the oldest where there are too many.
    pub(crate) fn record(&mut self, reading: &Reading, arrival: Time, keep: Span) {
        let from = arrival.minus(keep);
        while self
            .readings
            .front()
            .is_some_and(|old| old.arrival < from || self.readings.len() >= CAPTURE_READINGS_MAX)
        {
            let gone = self.readings.pop_front().map_or(Time::MIN, |old| old.arrival);
            self.lost = self.lost.max(gone);
        }
        self.readings.push_back(Recorded::of(reading, arrival));
    }

    /// What arrived between the two, both included.
    pub(crate) fn between(&self, from: Time, until: Time) -> impl Iterator<Item = &Recorded> {
        self.readings.iter().filter(move |reading| (from..=until).contains(&reading.arrival))
    }

    /// Whether all that arrived since `from` is still there.
    pub(crate) fn is_whole(&self, from: Time) -> bool {
        self.lost < from
    }

    /// The number of a series is free, and will be another's.
    pub(crate) fn forget(&mut self, series: u32) {
        self.readings.retain(|reading| reading.series != series);
    }

    /// The same under another plan: `number` says the number that a series has there. Nothing is kept where nothing is
    /// recorded any more.
    pub(crate) fn renumbered(&self, keep: Span, number: impl Fn(u32) -> Option<u32>) -> Recorder {
        if keep == Span::ZERO {
            return Recorder::default();
        }
        let moved = |old: &Recorded| Some(Recorded { series: number(old.series)?, ..*old });
        Recorder { readings: self.readings.iter().filter_map(moved).collect(), lost: self.lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(arrivals: impl Iterator<Item = i64>, keep: i64) -> Recorder {
        let mut recorder = Recorder::default();
        for at in arrivals {
            let reading = Reading { series: 0, time: Time(at), value: 1.0, verdict: Verdict::Counted };
            recorder.record(&reading, Time(at), Span(keep));
        }
        recorder
    }

    /// Arrivals that are there between two, and since when it is whole.
    fn check(recorder: &Recorder, (from, until): (i64, i64), expected: &[i64], whole_from: i64) {
        let found: Vec<_> = recorder.between(Time(from), Time(until)).map(|r| r.arrival.0).collect();
        assert_eq!(found, expected);
        assert!(recorder.is_whole(Time(whole_from)) && !recorder.is_whole(Time(whole_from - 1)));
    }

    #[test]
    fn age_makes_room() {
        let recorder = recorded([0, 10, 20, 30].into_iter(), 15);
        check(&recorder, (0, 100), &[20, 30], 11);
        check(&recorder, (20, 29), &[20], 11);
        check(&recorder, (21, 30), &[30], 11);
        // What comes late ages nothing.
        check(&recorded([20, 5, 21].into_iter(), 15), (0, 100), &[20, 5, 21], i64::MIN + 1);
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let most = i64::try_from(CAPTURE_READINGS_MAX).unwrap();
        let recorder = recorded(0..most + 2, i64::MAX);
        assert_eq!(recorder.readings.len(), CAPTURE_READINGS_MAX);
        check(&recorder, (0, 3), &[2, 3], 2);
    }

    /// The bound that docs/limits.md states.
    #[test]
    fn a_reading_is_small() {
        assert!(size_of::<Recorded>() <= 40, "{} B", size_of::<Recorded>());
    }
}
