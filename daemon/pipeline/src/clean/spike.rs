//! `spike = { window, sigma }`: a value far from the median of the last ones is an outlier (Hampel identifier).
//!
//! F. R. Hampel, "The influence curve and its role in robust estimation", JASA 69 (1974); as a filter over a moving window:
//! R. K. Pearson, "Outliers in process modeling and identification", IEEE Trans. Control Syst. Technol. 10 (2002). That
//! filter looks at both sides of a value; here, in a stream, only at what came before it.

use super::Sample;
use crate::limits::SPIKE_WINDOW_MAX;
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// The standard deviation of a normal distribution is so many times its median absolute deviation: 1 / Φ⁻¹(3/4).
const NORMAL: f64 = 1.482_602_218_505_602;

/// When a value is an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spike {
    /// How many values are looked at, the present one included; 3 to [`SPIKE_WINDOW_MAX`].
    pub window: u8,
    /// How many standard deviations from the median are too many.
    pub sigma: f64,
    /// A smaller distance from the median is never too much, in the unit of the value at this step.
    pub min_deviation: f64,
}

/// The last values before the present one, in a ring. Outliers are among them, so that a real step is believed as
/// soon as the new level holds the median.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    values: Vec<f64>,
    oldest: u8,
}

impl Spike {
    pub(super) fn apply(self, sample: &Sample<'_>, memory: &mut Memory) -> Result<f64, Reason> {
        let before = usize::from(self.window).clamp(2, SPIKE_WINDOW_MAX) - 1;
        let spike = memory.values.len() == before && self.is_spike(sample.value, &memory.values);
        memory.push(sample.value, before);
        if spike { Err(Reason::Spike) } else { Ok(sample.value) }
    }

    fn is_spike(self, value: f64, before: &[f64]) -> bool {
        let mut room = [0.0; SPIKE_WINDOW_MAX];
        let values = &mut room[..=before.len()];
        values[1..].copy_from_slice(before);
        values[0] = value;
        let middle = median(values);
        values.iter_mut().for_each(|value| *value = (*value - middle).abs());
        let deviation = NORMAL * median(values);
        let distance = (value - middle).abs();
        distance > self.sigma * deviation && distance >= self.min_deviation
    }
}

impl Memory {
    fn push(&mut self, value: f64, most: usize) {
        if self.values.len() < most {
            self.values.reserve_exact(most - self.values.len());
            self.values.push(value);
            return;
        }
        if let Some(place) = self.values.get_mut(usize::from(self.oldest)) {
            *place = value;
        }
        self.oldest = if usize::from(self.oldest) + 1 < most { self.oldest + 1 } else { 0 };
    }
}

/// The median; of an even number of values the mean of the middle two. Leaves the values in another order.
fn median(values: &mut [f64]) -> f64 {
    let (middle, odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lower + (upper - lower) / 2.0
}

#[cfg(test)]
mod tests {
    use super::super::{
        Step,
        testing::{check, results},
    };
    use super::*;

    fn spike(window: u8, min_deviation: f64) -> Step {
        Step::Spike(Spike { window, sigma: 3.0, min_deviation })
    }

    fn at_seconds(values: &[f64]) -> Vec<(i64, f64)> {
        (0..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn outliers_go_and_steps_stay() {
        let noise = [20.0, 20.1, 19.9, 20.0, 20.2, 19.8];
        let then = |after: &[f64]| at_seconds(&[&noise[..], after].concat());
        check(spike(7, 0.0), &then(&[85.0, 20.1, -127.0, 20.0]), ". . . . . . spike . spike .");
        // Not enough is known yet.
        check(spike(7, 0.0), &at_seconds(&[20.0, 85.0, 20.0]), ". . .");
        // A real step is believed when it holds the median: four of seven.
        check(spike(7, 0.0), &then(&[30.0, 30.1, 30.2, 30.0]), ". . . . . . spike spike spike .");
    }

    #[test]
    fn a_flat_signal_needs_a_least_deviation() {
        let flat = at_seconds(&[20.0, 20.0, 20.0, 20.0, 20.1, 30.0]);
        check(spike(5, 0.0), &flat, ". . . . spike spike");
        check(spike(5, 0.5), &flat, ". . . . . spike");
    }

    #[test]
    fn extremes_do_no_harm() {
        let extreme = at_seconds(&[f64::MAX, f64::MIN, f64::MAX, f64::MIN, 0.0, f64::MAX]);
        assert_eq!(results(spike(3, 0.0), &extreme).len(), 6);
        check(spike(4, 0.0), &at_seconds(&[1.0, 2.0, 3.0, 2.0, 90.0]), ". . . . spike");
    }

    proptest::proptest! {
        /// The same as sorting all values anew, by the definition. Broken by: a ring that forgets the wrong value.
        #[test]
        fn as_the_definition_says(values in proptest::collection::vec(-50i32..50, 0..60), window in 3u8..12) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let found = results(spike(window, 0.0), &at_seconds(&values));
            for (end, found) in found.iter().enumerate() {
                let Some(start) = (end + 1).checked_sub(usize::from(window)) else {
                    proptest::prop_assert!(found.is_ok());
                    continue;
                };
                let sorted_median = |values: &[f64]| {
                    let mut sorted = values.to_vec();
                    sorted.sort_by(f64::total_cmp);
                    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
                };
                let seen = &values[start..=end];
                let middle = sorted_median(seen);
                let distances: Vec<f64> = seen.iter().map(|value| (value - middle).abs()).collect();
                let bound = 3.0 * NORMAL * sorted_median(&distances);
                proptest::prop_assert_eq!(found.is_err(), (values[end] - middle).abs() > bound, "{:?}", seen);
            }
        }
    }
}
