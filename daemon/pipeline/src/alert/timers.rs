//! When to look at which watch. A reading does not touch them: whoever is looked at too early gets a later time then.

use crate::time::{Span, Time};
use std::collections::BTreeSet;

/// A clock that goes back further than this was set: then every time is wrong.
const BACK_MAX: Span = Span::from_secs(1);

/// By watch: when it is looked at.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    order: BTreeSet<(Time, u32)>,
    by_watch: Vec<Option<Time>>,
    /// The latest time at which somebody looked.
    looked: Option<Time>,
}

impl Timers {
    /// Looks at `watch` at `time` and not before; `None`: not at all.
    pub(crate) fn set(&mut self, watch: u32, time: Option<Time>) {
        let at = watch as usize;
        if self.by_watch.len() <= at {
            self.by_watch.resize(at + 1, None);
        }
        if let Some(before) = std::mem::replace(&mut self.by_watch[at], time) {
            self.order.remove(&(before, watch));
        }
        if let Some(time) = time {
            self.order.insert((time, watch));
        }
    }

    /// Looks at `watch` the next time that anybody looks.
    pub(crate) fn soon(&mut self, watch: u32) {
        self.set(watch, Some(Time::MIN));
    }

    /// The watches to look at now. All of them where the clock was set back.
    pub(crate) fn due(&mut self, now: Time) -> Vec<u32> {
        let back = self.looked.is_some_and(|looked| now < looked.minus(BACK_MAX));
        self.looked = Some(if back { now } else { now.max(self.looked.unwrap_or(now)) });
        let due = self.order.iter().take_while(|(time, _)| back || *time <= now);
        // In the order of the watches: what the timers say of the past is another thing after a restart.
        let mut due: Vec<u32> = due.map(|(_, watch)| *watch).collect();
        due.sort_unstable();
        due
    }

    /// When there is something to look at.
    pub(crate) fn next(&self) -> Option<Time> {
        self.order.first().map(|(time, _)| *time)
    }
}
