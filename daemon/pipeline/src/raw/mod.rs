//! Raw forwarding: readings that are sent as they came, many in one event.
//!
//! Each `[raw.NAME]` has a *buffer* in the state: the readings that are in no event yet, in the order of arrival. A reading
//! goes into it when it is noted, live and in a replay. At the end of a step what is full or old enough is *cut*: it becomes
//! an event, and `Event::Raw` says to a replay how many readings went. So a reading is in the buffer or in one event, never
//! in both, and what an event holds depends on the readings alone and not on how they were cut into steps.

mod event;

pub(crate) use event::Telling;

use crate::alert::Recorded;
use crate::entry::Reading;
use crate::limits::RAW_EVENT_READINGS_MAX;
use crate::plan::RawPlan;
use crate::time::{Span, Time};
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What arrived by a clock that is further ahead than this was stamped by another clock: nobody waits for its time.
const AHEAD_MAX: Span = Span::from_secs(1);

/// What is remembered of all raw forwarding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    /// How many events were made. Never falls: it names them, whatever the configuration was.
    pub made: u64,
    /// What is in no event yet, by index in the plan.
    pub buffers: Vec<Buffer>,
}

/// Readings that are in no event yet, in the order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Buffer(VecDeque<Recorded>);

impl Raw {
    /// Notes a reading where `plans` send it.
    pub(crate) fn note(&mut self, plans: &[RawPlan], (stream, metric): (u16, &str), new: &Reading, at: Time) {
        for (plan, buffer) in plans.iter().zip(&mut self.buffers) {
            let wanted = match new.verdict {
                Verdict::Counted => true,
                // It is in an event already, or will be: that is the one that counts.
                Verdict::Duplicate => false,
                Verdict::Rejected(_) | Verdict::DeadLettered(_) => plan.refused,
            };
            if wanted && plan.sends(stream, metric) {
                buffer.0.push_back(Recorded::of(new, at));
            }
        }
    }

    /// So many readings of a buffer went into an event.
    pub(crate) fn cut(&mut self, buffer: u16, readings: u32) {
        let Some(Buffer(waiting)) = self.buffers.get_mut(usize::from(buffer)) else { return };
        waiting.drain(..waiting.len().min(readings as usize));
        self.made += 1;
    }

    /// Whether readings of a series wait: its number is still needed.
    pub(crate) fn holds(&self, series: u32) -> bool {
        self.buffers.iter().any(|buffer| buffer.0.iter().any(|reading| reading.series == series))
    }

    /// How many readings wait.
    pub fn waiting(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.0.len() as u64).sum()
    }
}

impl Buffer {
    /// How many readings, from the first on, are to go now: as many as go into one event, or those of the first `every`.
    pub(crate) fn ripe(&self, every: Span, now: Time) -> Option<usize> {
        let first = self.0.front()?.arrival;
        let end = first.plus(every);
        let run =
            self.0.iter().take(RAW_EVENT_READINGS_MAX).take_while(|reading| reading.arrival < end).count();
        let over = now >= end || first > now.plus(AHEAD_MAX);
        (over || run == RAW_EVENT_READINGS_MAX || run < self.0.len()).then_some(run.max(1))
    }

    /// When the first is to go, at the latest.
    pub(crate) fn due(&self, every: Span) -> Option<Time> {
        Some(self.0.front()?.arrival.plus(every))
    }

    /// The first `count` readings.
    pub(crate) fn first(&self, count: usize) -> Vec<Recorded> {
        self.0.iter().take(count).copied().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer of readings that arrived at these times, in µs, and how many are to go at `now`; `every` is 100 µs.
    fn check(arrivals: &[i64], now: i64, expected: Option<usize>) {
        let reading = Reading { series: 0, time: Time(0), value: 1.0, verdict: Verdict::Counted };
        let buffer = Buffer(arrivals.iter().map(|&at| Recorded::of(&reading, Time(at))).collect());
        assert_eq!(buffer.ripe(Span(100), Time(now)), expected, "{arrivals:?} at {now}");
    }

    #[test]
    fn what_is_old_or_full_is_to_go() {
        check(&[], 1_000, None);
        check(&[0], 0, None);
        check(&[0, 50], 99, None);
        check(&[0, 50], 100, Some(2));
        // What came after the time of the first is for the next event, also where nobody looked in time.
        check(&[0, 50, 99, 100], 100, Some(3));
        check(&[0, 150], 150, Some(1));
        check(&[0, 150], 9_000, Some(1));
        // What comes out of order waits with the others.
        check(&[50, 0, 60], 149, None);
        check(&[50, 0, 60], 150, Some(3));
        // By a clock that was ahead.
        check(&[AHEAD_MAX.0], 0, None);
        check(&[AHEAD_MAX.0 + 1], 0, Some(1));
    }

    #[test]
    fn an_event_holds_so_many() {
        check(&vec![0; RAW_EVENT_READINGS_MAX - 1], 0, None);
        check(&vec![0; RAW_EVENT_READINGS_MAX], 0, Some(RAW_EVENT_READINGS_MAX));
        check(&vec![0; RAW_EVENT_READINGS_MAX + 7], 0, Some(RAW_EVENT_READINGS_MAX));
    }
}
