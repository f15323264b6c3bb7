//! Captures: when the readings around a raised alert are sent, and what begins to be recorded.

use super::Step;
use crate::alert::{Capture, Captured, longest};
use crate::entry::{Event, Reading};
use crate::pipeline::{Pipeline, number};
use crate::plan::Plan;
use crate::time::{Span, Time};

impl Step<'_> {
    /// Sends the capture of a watch if its time has come.
    pub(super) fn capture_if_due(&mut self, watch: u32, now: Time) {
        let capture = self.core.state.watches[watch as usize].capture.as_deref().copied();
        if let Some(capture) = capture.filter(|capture| capture.due(now) <= now) {
            self.send_capture(watch, capture);
        }
    }

    /// Sends the capture of a watch that a raise at `at` cannot make longer any more. What was recorded up to now is all of
    /// it: the reading that raises is behind it.
    pub(super) fn capture_before(&mut self, watch: u32, at: Time) {
        let known = &self.core.state.watches[watch as usize];
        let span = self.core.plan.alerts[usize::from(known.alert)].capture.unwrap_or_default();
        let capture = known.capture.as_deref().copied();
        if let Some(capture) = capture.filter(|capture| !capture.takes(at, span)) {
            self.render_capture(watch, capture.cut_before(at));
        }
    }

    /// Sends what there is of captures that do not go on under another plan.
    pub(super) fn retire_captures(&mut self, now: Time, new: &Plan) {
        for at in 0..self.core.state.watches.len() {
            let watch = &self.core.state.watches[at];
            let capture = watch.capture.as_deref().copied();
            if let Some(capture) = capture.filter(|_| !self.core.captures_on(watch, new)) {
                self.send_capture(number(at), capture.cut(now));
            }
        }
    }

    fn send_capture(&mut self, watch: u32, capture: Capture) {
        self.render_capture(watch, capture);
        self.event(Event::Captured { watch });
    }

    fn render_capture(&mut self, watch: u32, capture: Capture) {
        let state = &self.core.state;
        let between = state.recorder.between(capture.from, capture.until);
        let is_member =
            |series: u32| state.series.get(series as usize).is_some_and(|s| s.watches.contains(&watch));
        let captured = Captured {
            plan: &self.core.plan,
            watch: &state.watches[watch as usize],
            capture,
            series: &state.series,
            readings: between.filter(|reading| is_member(reading.series)).copied().collect(),
            whole: state.recorder.is_whole(capture.from),
        };
        self.changes.captures.extend(captured.render());
    }
}

impl Pipeline {
    /// How long readings are recorded under a plan: as long as a capture can be.
    pub(crate) fn recording(plan: &Plan) -> Span {
        let spans = plan.alerts.iter().filter_map(|alert| alert.capture);
        spans.max().map(longest).unwrap_or_default()
    }

    /// Records a reading where an alert with `capture` watches its series.
    pub(crate) fn record(&mut self, reading: &Reading, arrival: Time) {
        if self.recording == Span::ZERO {
            return;
        }
        let captures = |&at: &u32| {
            let alert = self.state.watches[at as usize].alert;
            self.plan.alerts[usize::from(alert)].capture.is_some()
        };
        if self.state.series[reading.series as usize].watches.iter().any(captures) {
            self.state.recorder.record(reading, arrival, self.recording);
        }
    }
}
