//! `range = { min, max }`: what a sensor cannot have measured is rejected.

use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// Inclusive bounds, in the unit of the value at this step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The least value that is kept.
    pub min: Option<f64>,
    /// The greatest value that is kept.
    pub max: Option<f64>,
}

impl Range {
    pub(super) fn apply(self, value: f64) -> Result<f64, Reason> {
        let inside = self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max);
        if inside { Ok(value) } else { Err(Reason::Range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let both = Range { min: Some(-40.0), max: Some(85.0) };
        for (value, kept) in [(-40.0, true), (-40.1, false), (85.0, true), (85.1, false), (0.0, true)] {
            assert_eq!(both.apply(value).is_ok(), kept, "{value}");
        }
        assert_eq!(Range { min: None, max: Some(1.0) }.apply(-1e300), Ok(-1e300));
    }
}
