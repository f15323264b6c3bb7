//! Count, sum, mean, variance and standard deviation.

use super::sum::{Sum, finite};
use serde::{Deserialize, Serialize};

/// Welford's running moments (B. P. Welford, Technometrics 4, 1962), merged after Chan, Golub and LeVeque (1979), and a
/// compensated sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    sum: Sum,
    mean: f64,
    /// Sum of squared deviations from the mean.
    squares: f64,
}

impl Moments {
    pub(super) fn fold(&mut self, value: f64) {
        self.count += 1;
        self.sum.add(value);
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
        self.count = self.count.saturating_add(other.count);
        self.sum.merge(&other.sum);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> Option<f64> {
        self.sum.get().filter(|_| self.count > 0)
    }

    pub(super) fn mean(&self) -> Option<f64> {
        // From the compensated sum while it holds: its last digits are better than the running mean's.
        match self.sum() {
            Some(sum) => Some(sum / self.n()),
            None => finite(self.mean).filter(|_| self.count > 0),
        }
    }

    /// The sample variance (divided by n - 1).
    pub(super) fn variance(&self) -> Option<f64> {
        finite(self.squares / (self.n() - 1.0)).filter(|_| self.count > 1)
    }

    pub(super) fn stddev(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    #[expect(clippy::cast_precision_loss, reason = "a window holds fewer than 2^53 readings")]
    fn n(&self) -> f64 {
        self.count as f64
    }
}
