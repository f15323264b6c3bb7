//! Clocks: the one place that asks the system for the time.
//!
//! [`Clock`] is the time of day as the system has it, for people and queries. The writer goes by a [`Timekeeper`], which
//! also says whether anybody vouches for it. Sources stamp what arrives with [`uptime`], which never jumps.

mod evidence;
mod timekeeper;

pub use evidence::{System, kernel_vouches, uptime};
pub use timekeeper::{Sight, TimeSource, Timekeeper};

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
