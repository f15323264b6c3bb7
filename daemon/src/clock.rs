//! The wall clock, the one place that asks the system for the time of day.

use std::time::{SystemTime, UNIX_EPOCH};
use tidegate_pipeline::time::Time;

/// The system's wall clock, in whole milliseconds: finer costs journal bytes and says nothing of an arrival.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Now.
    pub fn now(self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Time::from_millis(since.map_or_else(|before| -ms(before.duration()), ms))
    }
}
