//! Which aggregates there are: how they are called, what they keep, and what they come to.

use super::held::Held;
use super::histogram::{self, Histogram};
use super::samples::{Run, Samples};
use super::{Ends, State, Value};
use crate::expr::Expr;
use crate::plan::Kind;
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// A value that a summary carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The greatest less the least.
    Range,
    /// The sample standard deviation (divided by n - 1); absent for fewer than two readings.
    Stddev,
    /// Its square.
    Variance,
    /// The value that half of the readings are not above.
    Median,
    /// `p95`, `p99.9`: the value that so many per cent of the readings are not above.
    Quantile(Permille),
    /// How many different values.
    Distinct,
    /// The most frequent value; of several the least.
    Mode,
    /// How many readings between these bounds.
    Histogram(Arc<[f64]>),
    /// The mean where each value counts for as long as it held.
    TimeWeightedMean,
    /// Value times time, in this unit of time.
    Integral(Span),
    /// By how much a meter went up, resets allowed for.
    Increase,
    /// The same, per this unit of time.
    Rate(Span),
    /// The change from the first to the last reading per this unit of time.
    Derivative(Span),
    /// The slope of the line of least squares per this unit of time.
    Slope(Span),
    /// For how many seconds this condition held.
    DurationIn(Arc<Expr>),
    /// When the value was least; of several times the earliest.
    TimeOfMin,
    /// When it was greatest; of several times the earliest.
    TimeOfMax,
}

/// A share in thousandths, 1 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permille(u16);

impl Permille {
    /// Parses the digits of `p95` and `p99.9`.
    ///
    /// # Errors
    /// A sentence where they are no number above 0 and below 100 with at most one decimal.
    pub fn parse(digits: &str) -> Result<Permille, &'static str> {
        let (whole, tenths) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(tenths) || tenths.len() != 1 {
            return Err("a percentile has at most two digits before the point and one behind it");
        }
        let number = |text: &str| text.parse::<u16>().unwrap_or(0);
        let permille = number(whole) * 10 + number(tenths);
        if permille == 0 {
            return Err("that is the least value, `min`");
        }
        Ok(Permille(permille))
    }

    /// As a share of 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }

    fn name(self) -> String {
        match self.0 % 10 {
            0 => format!("p{}", self.0 / 10),
            tenth => format!("p{}.{tenth}", self.0 / 10),
        }
    }
}

/// The window that an aggregate is asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context {
    /// Where it begins.
    pub start: Time,
    /// Where it ends.
    pub end: Time,
    /// The last reading before it, if it is known.
    pub opening: Option<(Time, f64)>,
}

/// What things are per where nothing else is said.
const SECOND: Span = Span::from_secs(1);

impl Aggregate {
    /// Those that a single word names, with their names in the configuration and in events. Beside them there are percentiles and
    /// histograms, and other units of time.
    pub const ALL: &[(Aggregate, &str)] = &[
        (Aggregate::Count, "count"),
        (Aggregate::Sum, "sum"),
        (Aggregate::Mean, "mean"),
        (Aggregate::Min, "min"),
        (Aggregate::Max, "max"),
        (Aggregate::First, "first"),
        (Aggregate::Last, "last"),
        (Aggregate::Range, "range"),
        (Aggregate::Stddev, "stddev"),
        (Aggregate::Variance, "variance"),
        (Aggregate::Median, "median"),
        (Aggregate::Distinct, "distinct"),
        (Aggregate::Mode, "mode"),
        (Aggregate::TimeWeightedMean, "time_weighted_mean"),
        (Aggregate::Integral(SECOND), "integral"),
        (Aggregate::Increase, "increase"),
        (Aggregate::Rate(SECOND), "rate"),
        (Aggregate::Derivative(SECOND), "derivative"),
        (Aggregate::Slope(SECOND), "slope"),
        (Aggregate::TimeOfMin, "time_of_min"),
        (Aggregate::TimeOfMax, "time_of_max"),
    ];

    /// What a summary computes of a kind of metric when it does not say.
    pub fn defaults(kind: Kind) -> &'static [Aggregate] {
        use Aggregate::{Count, Increase, Last, Max, Mean, Min, Mode, TimeWeightedMean};
        match kind {
            Kind::Gauge => &[Count, Mean, Min, Max],
            Kind::Counter => &[Count, Increase, Last],
            // Of 0 and 1 the time-weighted mean is the share of the time that it was 1.
            Kind::State => &[Count, Last, Mode, TimeWeightedMean],
        }
    }

    /// The name in the configuration and in events.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Aggregate::Quantile(share) => Cow::Owned(share.name()),
            Aggregate::Histogram(_) => Cow::Borrowed("histogram"),
            Aggregate::DurationIn(_) => Cow::Borrowed("duration_in"),
            // Whatever the unit of time.
            known => {
                let like = |other: &Aggregate| std::mem::discriminant(other) == std::mem::discriminant(known);
                Cow::Borrowed(Self::ALL.iter().find(|(kind, _)| like(kind)).map_or("", |(_, name)| name))
            }
        }
    }

    /// Whether it needs the readings of a series in one place and in the order of their times.
    pub fn needs_order(&self) -> bool {
        matches!(self.state(0), State::Samples(_) | State::Held(_))
    }

    /// The state that it reads, empty. `samples_max`: how many readings are kept for what depends on their order.
    pub(super) fn state(&self, samples_max: u32) -> State {
        use Aggregate as A;
        match self {
            A::Count | A::Sum | A::Mean | A::Stddev | A::Variance => State::Moments(Default::default()),
            A::Min | A::Max | A::Range => State::Extremes(Default::default()),
            A::First | A::Last => State::Ends(Ends::default()),
            A::Median | A::Quantile(_) => State::Sketch(Default::default()),
            A::Distinct => State::Distinct(Default::default()),
            A::Mode => State::Mode(Default::default()),
            A::Histogram(bounds) => State::Histogram(Histogram::new(bounds).into()),
            A::TimeWeightedMean | A::Integral(_) | A::Increase | A::Rate(_) | A::Derivative(_) => {
                State::Samples(Samples::new(samples_max).into())
            }
            A::Slope(_) => State::Slope(Default::default()),
            A::DurationIn(condition) => State::Held(Held::new(condition, samples_max).into()),
            A::TimeOfMin | A::TimeOfMax => State::Peaks(Default::default()),
        }
    }

    /// What it comes to; `None` where it has no value: of no reading, of too few, or of too great numbers.
    pub fn value(&self, states: &[State], context: &Context) -> Option<Value> {
        use Aggregate as A;
        let finite = |number: Option<f64>| number.filter(|number| number.is_finite()).map(Value::Number);
        let value = |state: &State| match (self, state) {
            (A::Count, State::Moments(moments)) => Some(Value::Whole(moments.count())),
            (A::Sum, State::Moments(moments)) => finite(moments.sum()),
            (A::Mean, State::Moments(moments)) => finite(moments.mean()),
            (A::Stddev, State::Moments(moments)) => finite(moments.stddev()),
            (A::Variance, State::Moments(moments)) => finite(moments.variance()),
            (A::Min, State::Extremes(extremes)) => finite(extremes.min()),
            (A::Max, State::Extremes(extremes)) => finite(extremes.max()),
            (A::Range, State::Extremes(extremes)) => finite(extremes.range()),
            (A::First, State::Ends(ends)) => finite(ends.first()),
            (A::Last, State::Ends(ends)) => finite(ends.last()),
            (A::Median, State::Sketch(sketch)) => finite(sketch.quantile(0.5)),
            (A::Quantile(share), State::Sketch(sketch)) => finite(sketch.quantile(share.share())),
            (A::Distinct, State::Distinct(distinct)) => Some(Value::Whole(distinct.count())),
            (A::Mode, State::Mode(mode)) => finite(mode.value()),
            (A::Histogram(bounds), State::Histogram(histogram)) if histogram.bounds() == &bounds[..] => {
                let (bounds, counts) = (histogram.bounds().to_vec(), histogram.counts().to_vec());
                Some(Value::Histogram { bounds, counts })
            }
            (_, State::Samples(samples)) => {
                finite(self.of_run(&samples.whole(context.start, context.end, context.opening)?))
            }
            (A::DurationIn(condition), State::Held(held)) if **condition == *held.condition() => {
                finite(held.whole(context.start, context.end, context.opening)?.integral())
            }
            (A::Slope(per), State::Slope(slope)) => {
                finite(slope.per_second().map(|slope| slope * in_seconds(*per)))
            }
            (A::TimeOfMin, State::Peaks(peaks)) => peaks.time_of_min().map(Value::Moment),
            (A::TimeOfMax, State::Peaks(peaks)) => peaks.time_of_max().map(Value::Moment),
            _ => None,
        };
        states.iter().find_map(value)
    }

    fn of_run(&self, run: &Run) -> Option<f64> {
        match self {
            Aggregate::TimeWeightedMean => run.mean(),
            Aggregate::Integral(per) => run.integral().map(|area| area / in_seconds(*per)),
            Aggregate::Increase => run.increase(),
            Aggregate::Rate(per) => run.rate().map(|rate| rate * in_seconds(*per)),
            Aggregate::Derivative(per) => run.derivative().map(|change| change * in_seconds(*per)),
            _ => None,
        }
    }

    /// Whether its value is further from the truth than the reference says of ordinary windows.
    pub fn is_approximate(&self, states: &[State]) -> bool {
        states.iter().any(|state| match (self, state) {
            (Aggregate::Median | Aggregate::Quantile(_), State::Sketch(sketch)) => sketch.is_approximate(),
            (Aggregate::Distinct, State::Distinct(distinct)) => distinct.is_approximate(),
            (Aggregate::Mode, State::Mode(mode)) => mode.is_approximate(),
            (Aggregate::DurationIn(condition), State::Held(held)) => {
                **condition == *held.condition() && held.is_approximate()
            }
            (_, State::Samples(samples)) => {
                matches!(self.state(0), State::Samples(_)) && samples.is_approximate()
            }
            _ => false,
        })
    }
}

/// Whether these can be the bounds of a histogram: finite, and each greater than the one before.
pub fn are_bounds(bounds: &[f64]) -> bool {
    histogram::rising(bounds)
}

fn in_seconds(per: Span) -> f64 {
    super::sum::seconds(per.0)
}
