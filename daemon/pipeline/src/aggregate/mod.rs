//! Aggregates: what is computed of the readings in a window.
//!
//! An [`Aggregate`] reads its [`Value`] from a [`State`]; several can share one. States merge: folding two parts and merging
//! them gives what folding the whole would have given, exactly or within the error that the state's file says.
//! Floating-point sums are the same within rounding.
//!
//! To add one: a variant of [`Aggregate`] with its name, its state (perhaps a new file and a variant at the end of [`State`], whose
//! numbers are in `docs/state.md`), an arm in [`Aggregate::value`], a row in `docs/configuration.md`.

mod list;
mod value;
mod sum;
mod moments;
mod extremes;
mod ends;
mod peaks;
mod sketch;
mod distinct;
mod mode;
mod histogram;
mod slope;
mod samples;
mod deltas;
mod held;

pub use distinct::Distinct;
pub use ends::Ends;
pub use extremes::Extremes;
pub use held::Held;
pub use histogram::Histogram;
pub use list::{Aggregate, Context, Permille, are_bounds};
pub use mode::Mode;
pub use moments::Moments;
pub use peaks::Peaks;
pub use samples::Samples;
pub use sketch::{Buckets, Sketch};
pub use slope::Slope;
pub use value::{Shown, Value};

use crate::time::Time;
use samples::Mark;
use serde::{Deserialize, Serialize};

/// What is kept of the readings in a window for some aggregates. The greater ones are boxed, so that a small window stays
/// small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Count, sum, mean, spread.
    Moments(Moments),
    /// Least and greatest.
    Extremes(Extremes),
    /// Earliest and latest.
    Ends(Ends),
    /// When it was least and greatest.
    Peaks(Peaks),
    /// Quantiles.
    Sketch(Box<Sketch>),
    /// How many different values.
    Distinct(Box<Distinct>),
    /// Which value came most often.
    Mode(Box<Mode>),
    /// How many between bounds.
    Histogram(Box<Histogram>),
    /// The line of least squares.
    Slope(Box<Slope>),
    /// The readings in the order of their times.
    Samples(Box<Samples>),
    /// For how long a condition held.
    Held(Box<Held>),
}

impl State {
    /// The empty states that `aggregates` need, each once. `samples_max`: how many readings are kept for what depends on
    /// their order.
    pub fn empty_for(aggregates: &[Aggregate], samples_max: u32) -> Box<[State]> {
        let mut states: Vec<State> = Vec::new();
        for aggregate in aggregates {
            let state = aggregate.state(samples_max);
            if !states.iter().any(|known| known.is_like(&state)) {
                states.push(state);
            }
        }
        states.into()
    }

    /// Whether the two can merge.
    pub fn is_like(&self, other: &State) -> bool {
        match (self, other) {
            (State::Histogram(one), State::Histogram(other)) => one.bounds() == other.bounds(),
            (State::Held(one), State::Held(other)) => one.condition() == other.condition(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Folds one reading in. `value` is finite.
    pub fn fold(&mut self, time: Time, value: f64) {
        match self {
            State::Moments(moments) => moments.fold(value),
            State::Extremes(extremes) => extremes.fold(value),
            State::Ends(ends) => ends.fold(time, value),
            State::Peaks(peaks) => peaks.fold(time, value),
            State::Sketch(sketch) => sketch.fold(value),
            State::Distinct(distinct) => distinct.fold(value),
            State::Mode(mode) => mode.fold(value),
            State::Histogram(histogram) => histogram.fold(value),
            State::Slope(slope) => slope.fold(time, value),
            State::Samples(samples) => samples.fold(Mark::reading(time, value)),
            State::Held(held) => held.fold(time, value),
        }
    }

    /// Notes that the value is unknown from `time` until the next reading.
    pub fn break_at(&mut self, time: Time) {
        match self {
            State::Samples(samples) => samples.fold(Mark::gone(time)),
            State::Held(held) => held.break_at(time),
            _ => {}
        }
    }

    /// Folds in what `later` holds. Of another kind than this, it is left alone: that is a programmer's error, and
    /// asserted in tests.
    pub fn merge(&mut self, later: &State) {
        match (self, later) {
            (State::Moments(into), State::Moments(from)) => into.merge(from),
            (State::Extremes(into), State::Extremes(from)) => into.merge(from),
            (State::Ends(into), State::Ends(from)) => into.merge(from),
            (State::Peaks(into), State::Peaks(from)) => into.merge(from),
            (State::Sketch(into), State::Sketch(from)) => into.merge(from),
            (State::Distinct(into), State::Distinct(from)) => into.merge(from),
            (State::Mode(into), State::Mode(from)) => into.merge(from),
            (State::Histogram(into), State::Histogram(from)) => into.merge(from),
            (State::Slope(into), State::Slope(from)) => into.merge(from),
            (State::Samples(into), State::Samples(from)) => into.merge(from),
            (State::Held(into), State::Held(from)) => into.merge(from),
            (into, from) => debug_assert!(false, "cannot merge {from:?} into {into:?}"),
        }
    }

    /// Whether it depends on the order of readings, and so on what came before the window.
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self, State::Samples(_) | State::Held(_))
    }

    /// The latest reading, where it is kept.
    pub fn last_sample(&self) -> Option<(Time, f64)> {
        match self {
            State::Ends(ends) => ends.last_sample(),
            State::Samples(samples) => samples.last_sample(),
            State::Held(held) => held.last_sample(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
