//! A sum that does not drift.

use serde::{Deserialize, Serialize};

/// A sum compensated after Neumaier (ZAMM 54, 1974): its error does not grow with the number of terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sum {
    sum: f64,
    /// What the additions to `sum` lost.
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let (great, small) =
            if self.sum.abs() >= value.abs() { (self.sum, value) } else { (value, self.sum) };
        self.lost += (great - sum) + small;
        self.sum = sum;
    }

    pub(super) fn merge(&mut self, other: &Sum) {
        self.add(other.sum);
        self.lost += other.lost;
    }

    /// `None` where it overflowed.
    pub(super) fn get(&self) -> Option<f64> {
        finite(self.sum + self.lost)
    }
}

/// Values near the end of the scale can overflow; such an aggregate is absent rather than infinite.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact below 285 years")]
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}
