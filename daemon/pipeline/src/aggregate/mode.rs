//! The value that came most often.

use crate::limits::MODE_VALUES_MAX;
use serde::{Deserialize, Serialize};

/// Counts by value: exact up to [`MODE_VALUES_MAX`] different values. Beyond, candidates after J. Misra and D. Gries (Science
/// of Computer Programming 2, 1982), merged after P. Agarwal and others ("Mergeable summaries", PODS 2012): each count is
/// too low by at most n / (`MODE_VALUES_MAX` + 1), so every value that came more often than that is among them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(Vec<(f64, u64)>, u64)")]
pub struct Mode {
    /// Rising by value.
    counts: Vec<(f64, u64)>,
    /// By how much a count may be too low, and how often a value that is not among them may have come.
    missed: u64,
}

impl Mode {
    pub(super) fn fold(&mut self, value: f64) {
        // -0 and 0 are one value.
        let value = value + 0.0;
        match self.counts.binary_search_by(|(known, _)| known.total_cmp(&value)) {
            Ok(place) => self.counts[place].1 += 1,
            Err(place) => {
                self.counts.insert(place, (value, 1));
                self.shrink();
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Mode) {
        for (value, count) in &other.counts {
            match self.counts.binary_search_by(|(known, _)| known.total_cmp(value)) {
                Ok(place) => self.counts[place].1 = self.counts[place].1.saturating_add(*count),
                Err(place) => self.counts.insert(place, (*value, *count)),
            }
        }
        self.missed = self.missed.saturating_add(other.missed);
        self.shrink();
    }

    /// The most frequent value, of several the least.
    pub(super) fn value(&self) -> Option<f64> {
        self.first().map(|(value, _)| value)
    }

    /// Whether another value may have come as often.
    pub(super) fn is_approximate(&self) -> bool {
        let Some((value, count)) = self.first() else { return self.missed > 0 };
        let others = self.counts.iter().filter(|(other, _)| *other != value);
        let next = others.map(|(_, count)| *count).max().unwrap_or(0);
        self.missed > 0 && count <= next.saturating_add(self.missed)
    }

    fn first(&self) -> Option<(f64, u64)> {
        self.counts.iter().copied().rev().max_by_key(|(_, count)| *count)
    }

    /// With too many values: takes the count of the first that has no place from all of them, which removes that one. So
    /// whatever is missed of one value was taken from every place as well, and cannot add up to more than its share.
    fn shrink(&mut self) {
        if self.counts.len() <= MODE_VALUES_MAX {
            return;
        }
        let taken = if self.counts.len() == MODE_VALUES_MAX + 1 {
            self.counts.iter().map(|(_, count)| *count).min().unwrap_or(0)
        } else {
            let mut counts: Vec<u64> = self.counts.iter().map(|(_, count)| *count).collect();
            *counts.select_nth_unstable_by(MODE_VALUES_MAX, |a, b| b.cmp(a)).1
        };
        self.missed = self.missed.saturating_add(taken);
        self.counts.retain_mut(|(_, count)| {
            *count = count.saturating_sub(taken);
            *count > 0
        });
    }
}

/// What was written elsewhere is not trusted.
impl TryFrom<(Vec<(f64, u64)>, u64)> for Mode {
    type Error = &'static str;

    fn try_from((counts, missed): (Vec<(f64, u64)>, u64)) -> Result<Mode, &'static str> {
        let rising = counts.is_sorted_by(|(a, _), (b, _)| a < b);
        if counts.len() > MODE_VALUES_MAX || !rising || counts.iter().any(|(value, _)| !value.is_finite()) {
            return Err("the values of a mode are finite, rising, and few");
        }
        Ok(Mode { counts, missed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let check = |values: &[f64], expected: Option<f64>| {
            let mut mode = Mode::default();
            values.iter().for_each(|value| mode.fold(*value));
            assert_eq!((mode.value(), mode.is_approximate()), (expected, false), "{values:?}");
        };
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[1.0, 3.0, 3.0, 1.0, 3.0], Some(3.0));
        check(&[2.0, 1.0, 2.0, 1.0], Some(1.0));
        check(&[0.0, 1.0, -0.0], Some(0.0));
    }

    /// A value that is there half of the time is found among any number of others, and is known to be the one.
    #[test]
    fn a_frequent_value_is_never_lost() {
        let mut mode = Mode::default();
        for n in 0..10_000 {
            mode.fold(f64::from(n));
            mode.fold(-7.0);
        }
        assert_eq!((mode.value(), mode.is_approximate()), (Some(-7.0), false));
        assert!(mode.counts.len() <= MODE_VALUES_MAX && mode.missed <= 20_000 / 65, "{}", mode.missed);
    }

    #[test]
    fn where_nothing_is_frequent_it_says_so() {
        let mut mode = Mode::default();
        (0..1_000).for_each(|n| mode.fold(f64::from(n)));
        assert!(mode.is_approximate());
    }

    #[test]
    fn what_others_wrote_is_checked() {
        assert!(Mode::try_from((vec![(1.0, 2), (2.0, 1)], 0)).is_ok());
        assert!(Mode::try_from((vec![(2.0, 2), (1.0, 1)], 0)).is_err());
        assert!(Mode::try_from((vec![(f64::NAN, 2)], 0)).is_err());
    }
}
