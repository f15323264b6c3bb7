//! What an aggregate comes to.

use crate::time::Time;
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The value of an aggregate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A finite number.
    Number(f64),
    /// How many.
    Whole(u64),
    /// When.
    Moment(Time),
    /// How many between bounds.
    Histogram {
        /// Rising.
        bounds: Vec<f64>,
        /// One more than bounds; each bucket holds its upper bound.
        counts: Vec<u64>,
    },
}

impl Value {
    /// As a number, where it is one.
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Whole(count) => Some(*count as f64),
            Value::Moment(_) | Value::Histogram { .. } => None,
        }
    }
}

/// A value as it stands in an event.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'v>(pub &'v Value);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Whole(count) => serializer.serialize_u64(*count),
            Value::Moment(time) => serializer.serialize_str(&time.rfc3339()),
            Value::Histogram { bounds, counts } => {
                let mut fields = serializer.serialize_struct("Histogram", 2)?;
                fields.serialize_field("bounds", bounds)?;
                fields.serialize_field("counts", counts)?;
                fields.end()
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Whole(count) => count.fmt(f),
            Value::Moment(time) => f.write_str(&time.rfc3339()),
            Value::Histogram { counts, .. } => write!(f, "{counts:?}"),
        }
    }
}
