//! Cleaning steps: each takes a value and gives a value or a reason to reject it.
//!
//! To add one: a file here, a variant of [`Step`], an arm in [`Step::apply`], a row in docs/configuration.md.

mod range;
mod scale;

pub use range::Range;
pub use scale::Scale;

use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// A configured cleaning step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Rejects values outside bounds.
    Range(Range),
    /// Multiplies and adds.
    Scale(Scale),
}

impl Step {
    /// The cleaned value, or why it is rejected.
    ///
    /// # Errors
    /// The reason under which the ledger counts the rejection.
    pub fn apply(&self, value: f64) -> Result<f64, Reason> {
        match self {
            Step::Range(range) => range.apply(value),
            Step::Scale(scale) => scale.apply(value),
        }
    }
}
