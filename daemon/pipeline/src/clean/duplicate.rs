//! `duplicate = { for }`: a value that comes again within a time is dropped, as by Telegraf's `dedup`.
//!
//! This is about sensors that say the same thing several times. Deliveries that come again are told before any
//! cleaning: see `dedupe`.

use super::{Last, Sample};
use crate::time::Span;
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// How long the same value counts as said already.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duplicate {
    /// Between the times of the last reading that was kept and of the present one. Zero: only one of the same time.
    pub within: Span,
}

impl Duplicate {
    pub(super) fn apply(self, sample: &Sample<'_>, last: &mut Last) -> Result<f64, Reason> {
        if let Some((value, time)) = *last
            && value == sample.value
            && sample.time.since(time).0.unsigned_abs() <= self.within.0.unsigned_abs()
        {
            return Err(Reason::Repeated);
        }
        *last = Some((sample.value, sample.time));
        Ok(sample.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Step, testing::check};
    use super::*;

    #[test]
    fn the_same_within_a_time_is_dropped() {
        let duplicate = |secs| Step::Duplicate(Duplicate { within: Span::from_secs(secs) });
        check(duplicate(60), &[(0, 1.0), (59, 1.0), (61, 1.0), (62, 2.0), (63, 1.0)], ". repeated . . .");
        check(duplicate(60), &[(60, 1.0), (0, 1.0)], ". repeated");
        check(duplicate(0), &[(0, 1.0), (0, 1.0), (1, 1.0), (1, 2.0), (1, 1.0)], ". repeated . . .");
        check(duplicate(60), &[(0, 0.0), (1, -0.0)], ". repeated");
    }
}
