//! Aggregates: what is computed of the readings in a window.

use serde::{Deserialize, Serialize};

/// A value that a summary carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Aggregate {
    /// How many readings.
    Count,
    /// Their sum.
    Sum,
    /// Their arithmetic mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The one with the earliest time.
    First,
    /// The one with the latest time.
    Last,
    /// The sample standard deviation (divided by n - 1); absent for fewer than two readings.
    Stddev,
}

impl Aggregate {
    /// All of them, with their names in the configuration and in events.
    pub const ALL: &[(Aggregate, &str)] = &[
        (Aggregate::Count, "count"),
        (Aggregate::Sum, "sum"),
        (Aggregate::Mean, "mean"),
        (Aggregate::Min, "min"),
        (Aggregate::Max, "max"),
        (Aggregate::First, "first"),
        (Aggregate::Last, "last"),
        (Aggregate::Stddev, "stddev"),
    ];

    /// What a summary computes when it does not say.
    pub const DEFAULT: &[Aggregate] = &[Aggregate::Count, Aggregate::Mean, Aggregate::Min, Aggregate::Max];

    /// The name in the configuration and in events.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}
