//! `scale = { factor, offset }`: value × factor + offset.

use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// A straight line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Multiplied first.
    pub factor: f64,
    /// Added then, in the unit of the result.
    pub offset: f64,
}

impl Scale {
    pub(super) fn apply(self, value: f64) -> Result<f64, Reason> {
        let scaled = value * self.factor + self.offset;
        if scaled.is_finite() { Ok(scaled) } else { Err(Reason::NotFinite) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line() {
        let celsius = Scale { factor: 0.1, offset: -40.0 };
        assert_eq!(celsius.apply(400.0), Ok(0.0));
        assert_eq!(Scale { factor: 1e300, offset: 0.0 }.apply(1e300), Err(Reason::NotFinite));
    }
}
