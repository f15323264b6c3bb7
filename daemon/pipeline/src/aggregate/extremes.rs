//! Least and greatest, and the range between them.

use super::sum::finite;
use serde::{Deserialize, Serialize};

/// Both at once; `None` before the first reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extremes(Option<(f64, f64)>);

impl Extremes {
    pub(super) fn fold(&mut self, value: f64) {
        self.merge(&Extremes(Some((value, value))));
    }

    pub(super) fn merge(&mut self, other: &Extremes) {
        self.0 = match (self.0, other.0) {
            (Some((least, greatest)), Some((min, max))) => Some((least.min(min), greatest.max(max))),
            (one, other) => one.or(other),
        };
    }

    pub(super) fn min(&self) -> Option<f64> {
        self.0.map(|(min, _)| min)
    }

    pub(super) fn max(&self) -> Option<f64> {
        self.0.map(|(_, max)| max)
    }

    pub(super) fn range(&self) -> Option<f64> {
        self.0.and_then(|(min, max)| finite(max - min))
    }
}
