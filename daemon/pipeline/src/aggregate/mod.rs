//! Aggregates: what is computed of the readings in a window.
//!
//! An aggregate reads its value from a [`State`]; several can share one. States merge: folding two parts and merging them
//! gives what folding the whole would have given (floating-point sums within rounding).
//!
//! To add one: a variant of [`Aggregate`] with its name, its state (perhaps a new file), an arm in [`Aggregate::value`],
//! a row in the reference.

mod ends;
mod extremes;
mod moments;

pub use ends::Ends;
pub use extremes::Extremes;
pub use moments::Moments;

use crate::time::Time;
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

/// Which state an aggregate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Moments,
    Extremes,
    Ends,
}

impl Aggregate {
    fn needs(self) -> Needs {
        match self {
            Aggregate::Count | Aggregate::Sum | Aggregate::Mean | Aggregate::Stddev => Needs::Moments,
            Aggregate::Min | Aggregate::Max => Needs::Extremes,
            Aggregate::First | Aggregate::Last => Needs::Ends,
        }
    }

    /// The aggregate's value, `None` where it has none (no reading, or too few).
    pub fn value(self, states: &[State]) -> Option<f64> {
        states.iter().find_map(|state| match (self, state) {
            (Aggregate::Count, State::Moments(moments)) => Some(moments.count()),
            (Aggregate::Sum, State::Moments(moments)) => moments.sum(),
            (Aggregate::Mean, State::Moments(moments)) => moments.mean(),
            (Aggregate::Stddev, State::Moments(moments)) => moments.stddev(),
            (Aggregate::Min, State::Extremes(extremes)) => extremes.min(),
            (Aggregate::Max, State::Extremes(extremes)) => extremes.max(),
            (Aggregate::First, State::Ends(ends)) => ends.first(),
            (Aggregate::Last, State::Ends(ends)) => ends.last(),
            _ => None,
        })
    }
}

/// What is kept of the readings in a window for some aggregates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Count, sum, mean, spread.
    Moments(Moments),
    /// Least and greatest.
    Extremes(Extremes),
    /// Earliest and latest.
    Ends(Ends),
}

impl State {
    /// The empty states that `aggregates` need, each once.
    pub fn empty_for(aggregates: &[Aggregate]) -> Box<[State]> {
        let needs = |wanted| aggregates.iter().any(|aggregate| aggregate.needs() == wanted);
        let mut states = Vec::new();
        if needs(Needs::Moments) {
            states.push(State::Moments(Moments::default()));
        }
        if needs(Needs::Extremes) {
            states.push(State::Extremes(Extremes::default()));
        }
        if needs(Needs::Ends) {
            states.push(State::Ends(Ends::default()));
        }
        states.into()
    }

    /// Whether the two can merge.
    pub fn is_like(&self, other: &State) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Folds one reading in. `value` is finite.
    pub fn fold(&mut self, time: Time, value: f64) {
        match self {
            State::Moments(moments) => moments.fold(value),
            State::Extremes(extremes) => extremes.fold(value),
            State::Ends(ends) => ends.fold(time, value),
        }
    }

    /// Folds in what `later` holds. Of another kind than this, it is left alone: that is a programmer's error, and
    /// asserted in tests.
    pub fn merge(&mut self, later: &State) {
        match (self, later) {
            (State::Moments(into), State::Moments(from)) => into.merge(from),
            (State::Extremes(into), State::Extremes(from)) => into.merge(from),
            (State::Ends(into), State::Ends(from)) => into.merge(from),
            (into, from) => debug_assert!(false, "cannot merge {from:?} into {into:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Aggregate; 8] = [
        Aggregate::Count,
        Aggregate::Sum,
        Aggregate::Mean,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::First,
        Aggregate::Last,
        Aggregate::Stddev,
    ];

    fn folded(readings: &[(i64, f64)]) -> Box<[State]> {
        let mut states = State::empty_for(&ALL);
        for &(time, value) in readings {
            states.iter_mut().for_each(|state| state.fold(Time(time), value));
        }
        states
    }

    fn check(readings: &[(i64, f64)], expected: [Option<f64>; 8]) {
        let states = folded(readings);
        assert_eq!(ALL.map(|aggregate| aggregate.value(&states)), expected, "{readings:?}");
    }

    #[test]
    fn values() {
        check(&[], [Some(0.0), None, None, None, None, None, None, None]);
        check(
            &[(5, 2.0)],
            [Some(1.0), Some(2.0), Some(2.0), Some(2.0), Some(2.0), Some(2.0), Some(2.0), None],
        );
        check(
            &[(5, 2.0), (1, 4.0), (9, 9.0)],
            [
                Some(3.0),
                Some(15.0),
                Some(5.0),
                Some(2.0),
                Some(9.0),
                Some(4.0),
                Some(9.0),
                Some(13f64.sqrt()),
            ],
        );
    }

    #[test]
    fn sums_do_not_drift() {
        let readings: Vec<_> = (0..1_000_000).map(|n| (n, 0.1)).collect();
        let states = folded(&readings);
        assert_eq!(Aggregate::Sum.value(&states), Some(100_000.0));
        assert_eq!(Aggregate::Mean.value(&states), Some(0.1));
    }

    #[test]
    fn spread_survives_a_great_offset() {
        let readings: Vec<_> = [4.0, 7.0, 13.0, 16.0].iter().map(|v| (0, v + 1e9)).collect();
        assert_eq!(Aggregate::Stddev.value(&folded(&readings)), Some(30f64.sqrt()));
    }

    proptest::proptest! {
        #[test]
        fn merging_parts_is_folding_the_whole(
            readings in proptest::collection::vec((-1000i64..1000, -1e6f64..1e6), 0..60),
            cut in 0usize..60,
        ) {
            let cut = cut.min(readings.len());
            let mut merged = folded(&readings[..cut]);
            for (state, later) in merged.iter_mut().zip(&folded(&readings[cut..])) {
                state.merge(later);
            }
            let whole = folded(&readings);
            for aggregate in ALL {
                match (aggregate.value(&merged), aggregate.value(&whole)) {
                    (Some(a), Some(b)) => proptest::prop_assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{aggregate:?} {a} {b}"),
                    (a, b) => proptest::prop_assert_eq!(a, b),
                }
            }
        }
    }
}
