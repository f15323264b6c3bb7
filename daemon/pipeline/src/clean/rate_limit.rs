//! `rate_limit = { per_second }`: what changed faster than anything real can is rejected.

use super::{Last, Sample};
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// The greatest change per second of the readings' own time, against the last reading that this step let pass.
///
/// The longer ago that was, the more may have changed: a real step is believed after a while.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateLimit {
    /// In the unit of the value at this step; greater than 0.
    pub per_second: f64,
}

impl RateLimit {
    pub(super) fn apply(self, sample: &Sample<'_>, last: &mut Last) -> Result<f64, Reason> {
        let Some((value, time)) = last else {
            *last = Some((sample.value, sample.time));
            return Ok(sample.value);
        };
        // A reading that was overtaken is as far away as one that is as much younger. Two of the same time have no rate.
        #[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
        let seconds = sample.time.since(*time).0.unsigned_abs() as f64 / 1e6;
        if seconds > 0.0 && (sample.value - *value).abs() > self.per_second * seconds {
            return Err(Reason::RateLimit);
        }
        if sample.time >= *time {
            (*value, *time) = (sample.value, sample.time);
        }
        Ok(sample.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Step, testing::check};
    use super::*;

    #[test]
    fn changes_are_measured_against_what_was_kept() {
        let limit = || Step::RateLimit(RateLimit { per_second: 2.0 });
        check(limit(), &[(0, 10.0), (1, 12.0), (2, 14.5), (3, 16.0)], ". . rate_limit .");
        check(limit(), &[(0, 10.0), (1, 5.0), (2, 5.0), (3, 5.0)], ". rate_limit rate_limit .");
        check(limit(), &[(0, 10.0), (0, 99.0), (1, 99.0)], ". . .");
        // An overtaken reading does not move the last one back.
        check(limit(), &[(10, 10.0), (8, 14.0), (7, 17.0), (11, 12.5)], ". . rate_limit rate_limit");
        check(limit(), &[(0, -1e308), (1, 1e308)], ". rate_limit");
    }
}
