//! Raw readings: when those that wait become an event.

use super::Step;
use crate::entry::{Event, Reading};
use crate::mutant::{self, Mutant};
use crate::pipeline::{Pipeline, number};
use crate::plan::RawPlan;
use crate::raw::{Buffer, Telling};
use crate::time::Time;

impl Step<'_> {
    /// Makes events of what is full, or has waited for long enough.
    pub(super) fn cut_raw(&mut self, now: Time) {
        for at in 0..self.core.state.raw.buffers.len() {
            let every = self.core.plan.raw[at].every;
            while let Some(count) = self.core.state.raw.buffers[at].ripe(every, now) {
                self.send_raw(at, count);
            }
        }
    }

    /// Makes events of all that waits: what comes next is read under another plan, or stamped by another clock.
    pub(super) fn cut_all_raw(&mut self) {
        for at in 0..self.core.state.raw.buffers.len() {
            // As large as they would have been: nothing is full here.
            let count = self.core.state.raw.buffers[at].len();
            self.send_raw(at, count);
        }
    }

    fn send_raw(&mut self, at: usize, count: usize) {
        let readings = self.core.state.raw.buffers[at].first(count);
        let mut rest = readings.as_slice();
        while !rest.is_empty() {
            let Pipeline { plan, state, .. } = &*self.core;
            let telling = Telling {
                plan,
                raw: &plan.raw[at],
                series: &state.series,
                ordinal: state.raw.made + 1,
                synchronised: state.clock.group_epoch().is_none(),
                readings: rest,
            };
            let fitting = telling.fitting();
            let event = Telling { readings: &rest[..fitting], ..telling }.render();
            self.changes.raw.push(event);
            let cut = Event::Raw { raw: u16::try_from(at).unwrap_or(u16::MAX), readings: number(fitting) };
            if mutant::active(Mutant::RawNotInJournal) {
                self.core.note_event(&cut);
            } else {
                self.event(cut);
            }
            rest = &rest[fitting..];
        }
    }
}

impl Pipeline {
    /// A reading waits for its event where it is to be sent as it came.
    pub(crate) fn wait_raw(&mut self, reading: &Reading, arrival: Time) {
        if !self.plan.raw.is_empty() {
            let series = &self.state.series[reading.series as usize];
            self.state.raw.note(&self.plan.raw, (series.stream, &series.metric), reading, arrival);
        }
    }

    /// When the next raw readings become an event, at the latest.
    pub fn next_raw(&self) -> Option<Time> {
        let due = |(buffer, plan): (&Buffer, &RawPlan)| buffer.due(plan.every);
        self.state.raw.buffers.iter().zip(&self.plan.raw).filter_map(due).min()
    }
}
