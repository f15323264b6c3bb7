//! `stuck = { for, action }`: a value that has not changed for so long comes from a sensor that has stopped measuring.

use super::{Last, Sample};
use crate::time::{Span, Time};
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// How long a value may stay the same, to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stuck {
    /// Between the times of the first reading with the value and of the present one.
    pub after: Span,
    /// What to do with what stays longer.
    pub action: Action,
}

/// What becomes of a value that does not change any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// It is rejected.
    #[default]
    Reject,
    /// It is counted, and counted as flagged in the completeness of its windows.
    Flag,
}

impl Stuck {
    /// `since` is when the present value was first seen.
    pub(super) fn apply(self, sample: &Sample<'_>, since: &mut Last) -> Result<f64, Reason> {
        match since {
            Some((value, first)) if *value == sample.value => {
                // One that was under way for long says when the value was there already.
                *first = sample.time.min(*first);
                match self.action {
                    Action::Reject if self.is_stuck(sample.time, *first) => Err(Reason::Stuck),
                    _ => Ok(sample.value),
                }
            }
            _ => {
                *since = Some((sample.value, sample.time));
                Ok(sample.value)
            }
        }
    }

    fn is_stuck(self, time: Time, first: Time) -> bool {
        time.since(first) >= self.after
    }

    /// Whether the reading of `time`, which it has just let through, is to be flagged.
    pub(super) fn flags(self, time: Time, since: Last) -> bool {
        self.action == Action::Flag && since.is_some_and(|(_, first)| self.is_stuck(time, first))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Step, testing::check};
    use super::*;

    #[test]
    fn what_stays_is_rejected_until_it_changes() {
        let stuck = || Step::Stuck(Stuck { after: Span::from_secs(60), action: Action::Reject });
        check(stuck(), &[(0, 1.0), (30, 1.0), (59, 1.0), (60, 1.0), (90, 1.0)], ". . . stuck stuck");
        check(stuck(), &[(0, 1.0), (60, 1.0), (61, 1.1), (90, 1.1), (121, 1.1)], ". stuck . . stuck");
        check(stuck(), &[(0, 1.0), (50, 2.0), (100, 1.0), (150, 2.0)], ". . . .");
        check(stuck(), &[(50, 1.0), (0, 1.0), (59, 1.0), (60, 1.0)], ". . . stuck");
    }
}
