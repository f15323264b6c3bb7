//! Count, sum, mean and standard deviation.

use serde::{Deserialize, Serialize};

/// Welford's running moments (B. P. Welford, Technometrics 4, 1962), merged after Chan, Golub and LeVeque (1979), and a
/// sum compensated after Neumaier (ZAMM 54, 1974).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    sum: f64,
    /// What the additions to `sum` lost.
    lost: f64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    squares: f64,
}

impl Moments {
    pub(super) fn fold(&mut self, value: f64) {
        self.count += 1;
        self.add(value);
        let delta = value - self.mean;
        self.mean += delta / self.n();
        self.squares += delta * (value - self.mean);
    }

    pub(super) fn merge(&mut self, other: &Moments) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (n, m) = (self.n(), other.n());
        let delta = other.mean - self.mean;
        self.mean += delta * m / (n + m);
        self.squares += other.squares + delta * delta * n * m / (n + m);
        self.count += other.count;
        self.add(other.sum);
        self.lost += other.lost;
    }

    pub(super) fn count(&self) -> f64 {
        self.n()
    }

    pub(super) fn sum(&self) -> Option<f64> {
        finite(self.count > 0, self.sum + self.lost)
    }

    pub(super) fn mean(&self) -> Option<f64> {
        // From the compensated sum while it holds: its last digits are better than the running mean's.
        match self.sum() {
            Some(sum) => Some(sum / self.n()),
            None => finite(self.count > 0, self.mean),
        }
    }

    pub(super) fn stddev(&self) -> Option<f64> {
        finite(self.count > 1, (self.squares / (self.n() - 1.0)).sqrt())
    }

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let (great, small) =
            if self.sum.abs() >= value.abs() { (self.sum, value) } else { (value, self.sum) };
        self.lost += (great - sum) + small;
        self.sum = sum;
    }

    #[expect(clippy::cast_precision_loss, reason = "a window holds fewer than 2^53 readings")]
    fn n(&self) -> f64 {
        self.count as f64
    }
}

/// Values near the end of the scale can overflow a sum; such an aggregate is absent rather than infinite.
fn finite(exists: bool, value: f64) -> Option<f64> {
    (exists && value.is_finite()).then_some(value)
}
