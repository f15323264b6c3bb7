//! `deadband = { absolute | percent, at_least_every }`: what hardly changed is not passed on.

use super::{Last, Sample};
use crate::time::Span;
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// A reading passes when it differs by more than a band from the last one that passed, as the deadband of OPC UA
/// (part 4, 7.22.2); here per cent are of that last value, as no range of the sensor is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deadband {
    /// What is too little.
    pub band: Band,
    /// After so long a reading passes whatever its value.
    pub at_least_every: Option<Span>,
}

/// The greatest difference that is suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Band {
    /// In the unit of the value at this step.
    Absolute(f64),
    /// Of the last value that passed, without its sign.
    Percent(f64),
}

impl Deadband {
    pub(super) fn apply(self, sample: &Sample<'_>, last: &mut Last) -> Result<f64, Reason> {
        if let Some((value, time)) = *last {
            let band = match self.band {
                Band::Absolute(band) => band,
                Band::Percent(percent) => value.abs() / 100.0 * percent,
            };
            let due = self.at_least_every.is_some_and(|every| sample.time.since(time) >= every);
            if (sample.value - value).abs() <= band && !due {
                return Err(Reason::Deadband);
            }
        }
        let time = last.map_or(sample.time, |(_, time)| time.max(sample.time));
        *last = Some((sample.value, time));
        Ok(sample.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Step, testing::check};
    use super::*;

    fn band(band: Band, every: Option<i64>) -> Step {
        Step::Deadband(Deadband { band, at_least_every: every.map(Span::from_secs) })
    }

    #[test]
    fn small_changes_add_up_until_they_pass() {
        let absolute = || band(Band::Absolute(0.5), None);
        check(
            absolute(),
            &[(0, 1.0), (1, 1.25), (2, 1.5), (3, 1.75), (4, 1.5)],
            ". deadband deadband . deadband",
        );
        check(absolute(), &[(0, 0.0), (9_999_999, 0.0)], ". deadband");
        check(band(Band::Absolute(0.0), None), &[(0, 1.0), (1, 1.0), (2, 1.1)], ". deadband .");
        let percent = || band(Band::Percent(10.0), None);
        check(percent(), &[(0, 100.0), (1, 110.0), (2, 111.0), (3, 100.0)], ". deadband . deadband");
        check(percent(), &[(0, -100.0), (1, -95.0), (2, -111.0)], ". deadband .");
        check(percent(), &[(0, 0.0), (1, 0.0), (2, 0.001)], ". deadband .");
    }

    #[test]
    fn now_and_then_a_reading_passes_all_the_same() {
        let every = || band(Band::Absolute(1.0), Some(60));
        check(every(), &[(0, 1.0), (59, 1.0), (60, 1.0), (61, 1.0), (120, 1.0)], ". deadband . deadband .");
        // The time of one that was overtaken does not put the next one off.
        check(every(), &[(60, 1.0), (0, 9.0), (119, 9.0), (120, 9.0)], ". . deadband .");
    }
}
