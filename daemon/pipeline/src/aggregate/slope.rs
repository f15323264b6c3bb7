//! How fast the value rises, by least squares.

use super::sum::{finite, seconds};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Running co-moments of time and value: the update of P. Pébay (Sandia report SAND2008-6212, 2008, equations 3.1 to 3.7),
/// merged as he says. Times are seconds after the first reading that was folded, so that their digits are not spent on the
/// years since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The moment that `time` counts from.
    origin: Time,
    count: u64,
    /// Mean of the times.
    time: f64,
    /// Mean of the values.
    value: f64,
    /// Sum of the squared deviations of the times.
    times: f64,
    /// Sum of the products of the deviations.
    products: f64,
}

impl Slope {
    pub(super) fn fold(&mut self, time: Time, value: f64) {
        self.merge(&Slope { origin: time, count: 1, time: 0.0, value, times: 0.0, products: 0.0 });
    }

    pub(super) fn merge(&mut self, other: &Slope) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let (n, m) = (count(self.count), count(other.count));
        let time = seconds(other.origin.since(self.origin).0) + other.time - self.time;
        let value = other.value - self.value;
        let (share, both) = (m / (n + m), n * m / (n + m));
        self.count = self.count.saturating_add(other.count);
        self.time += time * share;
        self.value += value * share;
        self.times += other.times + time * time * both;
        self.products += other.products + time * value * both;
    }

    /// Per second; `None` where all readings have one time.
    pub(super) fn per_second(&self) -> Option<f64> {
        (self.times > 0.0).then(|| self.products / self.times).and_then(finite)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a window holds fewer than 2^53 readings")]
fn count(count: u64) -> f64 {
    count as f64
}
