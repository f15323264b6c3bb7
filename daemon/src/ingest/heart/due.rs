//! When the next turn is due, and why.

use super::Heart;
use std::time::{Duration, Instant};
use tidegate_pipeline::time::Time;

impl Heart {
    /// When to look again if nothing comes.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        // Of what is due only one thing can be done: try again.
        if let Some(trouble) = &self.trouble {
            return Some(trouble.until);
        }
        if self.is_shedding() {
            return Some(now);
        }
        // What is held closes when its sources have drained, or at the limit.
        let holds = self.backlog.iter().filter_map(|backlog| backlog.until).filter(|until| *until > now);
        self.deadlines(now).chain(holds).min()
    }

    /// When there is something to write, by all who know.
    fn deadlines(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let deadlines = [
            self.pace.deadline(),
            self.parts.mailbox.deadline(now),
            self.window_deadline(now),
            self.alert_deadline(now),
            self.raw_deadline(now),
            self.beats.deadline(),
        ];
        deadlines.into_iter().flatten()
    }

    /// When the next window closes that is not held.
    fn window_deadline(&self, now: Instant) -> Option<Instant> {
        let due = self.parts.pipeline.next_closing(&self.held(now))?;
        Some(now + self.until(due))
    }

    /// When the time may raise an alert.
    fn alert_deadline(&self, now: Instant) -> Option<Instant> {
        Some(now + self.until(self.parts.pipeline.next_alert()?))
    }

    /// When raw readings have waited for long enough.
    fn raw_deadline(&self, now: Instant) -> Option<Instant> {
        Some(now + self.until(self.parts.pipeline.next_raw()?))
    }

    fn until(&self, due: Time) -> Duration {
        Duration::from_micros(due.since(self.sight.now.now()).0.max(0).unsigned_abs())
    }

    /// Whether windows of a source stay open: it still delivers what waited for us, or there is no room for summaries.
    pub(super) fn held(&self, now: Instant) -> impl Fn(u16) -> bool + use<> {
        let (backlog, full) = (self.backlog.clone(), self.is_full());
        move |source| {
            let until = backlog.get(usize::from(source)).and_then(|backlog| backlog.until);
            full || until.is_some_and(|until| until > now)
        }
    }

    /// Whether there is something to write, or to decide, at `now`.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.deadlines(now).any(|deadline| deadline <= now)
            || self.press.is_some()
            || self.memory.keep.is_some()
            || self.parts.pipeline.clock_is_due(&self.sight.now)
            || self.parts.store.trust().is_err()
    }
}
