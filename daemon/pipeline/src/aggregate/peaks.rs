//! When the value was least and when it was greatest.

use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The least and the greatest value with their times; `None` before the first reading. Of equal values the earliest
/// counts, so that the order of arrival does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Peaks(Option<(Peak, Peak)>);

/// A value and when it was measured.
type Peak = (f64, Time);

impl Peaks {
    pub(super) fn fold(&mut self, time: Time, value: f64) {
        // Of 0 and -0 neither is less.
        let peak = (value + 0.0, time);
        self.merge(&Peaks(Some((peak, peak))));
    }

    pub(super) fn merge(&mut self, other: &Peaks) {
        self.0 = match (self.0, other.0) {
            (Some((least, greatest)), Some((low, high))) => {
                let lower = low.0 < least.0 || (low.0 == least.0 && low.1 < least.1);
                let higher = high.0 > greatest.0 || (high.0 == greatest.0 && high.1 < greatest.1);
                Some((if lower { low } else { least }, if higher { high } else { greatest }))
            }
            (one, other) => one.or(other),
        };
    }

    pub(super) fn time_of_min(&self) -> Option<Time> {
        self.0.map(|((_, time), _)| time)
    }

    pub(super) fn time_of_max(&self) -> Option<Time> {
        self.0.map(|(_, (_, time))| time)
    }
}
