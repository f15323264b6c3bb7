//! By the reading's own time (`unique = "time"`), for as long as a window can be amended.

use crate::limits::TIMES_REMEMBERED_MAX;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The time stamps of one series that can still come again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times(BTreeSet<Time>);

impl Times {
    /// Whether a reading of that time was counted.
    pub fn contains(&self, time: Time) -> bool {
        self.0.contains(&time)
    }

    /// Remembers a counted reading; forgets those before `horizon`, and the oldest beyond the cap.
    pub fn note(&mut self, time: Time, horizon: Time) {
        self.0.insert(time);
        while self.0.len() > TIMES_REMEMBERED_MAX || self.0.first().is_some_and(|&first| first < horizon) {
            self.0.pop_first();
        }
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Remembers the last `keep` at most.
    pub(super) fn shorten(&mut self, keep: usize) {
        while self.0.len() > keep {
            self.0.pop_first();
        }
    }
}
