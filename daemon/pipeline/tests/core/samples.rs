//! What happened in a window, and the plainest way to say what its aggregates are: everything is kept, sorted, and
//! looked up moment by moment. Nothing here knows how the code keeps its states.

use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::aggregate::{Aggregate, Value};
use tidegate_pipeline::time::Time;

/// A reading, or with `None` a break: its time in milliseconds and its value.
pub type Sample = (i64, Option<f64>);

/// A window in milliseconds with the last reading before it.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub start: i64,
    pub end: i64,
    pub opening: Option<(i64, f64)>,
}

pub fn time(ms: i64) -> Time {
    Time::from_millis(super::world::TEN + ms)
}

fn sorted(samples: &[Sample]) -> Vec<Sample> {
    let mut sorted = samples.to_vec();
    // A break at the moment of a reading is over with it.
    sorted.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.partial_cmp(&b.1).unwrap()));
    sorted
}

fn readings(samples: &[Sample]) -> Vec<(i64, f64)> {
    sorted(samples).into_iter().filter_map(|(at, value)| Some((at, value?))).collect()
}

/// What the value was at a moment, as far as anybody knew.
fn value_at(samples: &[Sample], span: Span, moment: i64) -> Option<f64> {
    let last = sorted(samples).into_iter().rfind(|(at, _)| *at <= moment);
    last.map_or(span.opening.map(|(_, value)| value), |(_, value)| value)
}

/// `measure` of the value, and the seconds in which it was known.
fn weighted(samples: &[Sample], span: Span, measure: impl Fn(f64) -> f64) -> Option<(f64, f64)> {
    let mut moments: Vec<i64> = samples.iter().map(|(at, _)| *at).chain([span.start, span.end]).collect();
    moments.sort_unstable();
    let (mut area, mut known) = (0.0, 0.0);
    for pair in moments.windows(2) {
        if let Some(value) = value_at(samples, span, pair[0]) {
            let seconds = (pair[1] - pair[0]) as f64 / 1e3;
            area += measure(value) * seconds;
            known += seconds;
        }
    }
    (known > 0.0).then_some((area, known))
}

/// All that a meter showed, the opening first.
fn shown(samples: &[Sample], span: Span) -> Vec<(i64, f64)> {
    span.opening.into_iter().chain(readings(samples)).collect()
}

/// The last less the first, and for every reset what it showed before.
pub fn increase(samples: &[Sample], span: Span) -> Option<f64> {
    let shown = shown(samples, span);
    let resets = shown.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[0].1);
    (shown.len() > 1).then(|| shown[shown.len() - 1].1 - shown[0].1 + resets.sum::<f64>())
}

fn per_second(samples: &[Sample], span: Span, what: f64) -> Option<f64> {
    let shown = shown(samples, span);
    let seconds = (shown.last()?.0 - shown.first()?.0) as f64 / 1e3;
    (seconds > 0.0).then(|| what / seconds)
}

fn sample_variance(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (n > 1.0).then(|| values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

fn least_squares(readings: &[(i64, f64)]) -> Option<f64> {
    let n = readings.len() as f64;
    let seconds = |at: i64| at as f64 / 1e3;
    let t = readings.iter().map(|(at, _)| seconds(*at)).sum::<f64>() / n;
    let v = readings.iter().map(|(_, value)| value).sum::<f64>() / n;
    let down: f64 = readings.iter().map(|(at, _)| (seconds(*at) - t).powi(2)).sum();
    let up: f64 = readings.iter().map(|(at, value)| (seconds(*at) - t) * (value - v)).sum();
    (down > 0.0).then(|| up / down)
}

/// The two readings that a quantile lies between, and how far it is from the first to the second.
pub fn neighbours(values: &[f64], q: f64) -> Option<(f64, f64, f64)> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let place = q * (values.len().checked_sub(1)?) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    Some((values[low], values[high], place.fract()))
}

fn quantile(values: &[f64], q: f64) -> Option<f64> {
    neighbours(values, q).map(|(low, high, share)| low + (high - low) * share)
}

fn mode(values: &[f64]) -> Option<f64> {
    let mut counts: BTreeMap<i64, (usize, f64)> = BTreeMap::new();
    // Values of tests are multiples of 1/1000, and so in the order of these keys.
    values.iter().for_each(|v| counts.entry((v * 1e3).round() as i64).or_insert((0, *v)).0 += 1);
    let most = counts.values().map(|(count, _)| *count).max()?;
    counts.values().find(|(count, _)| *count == most).map(|(_, value)| *value)
}

/// The aggregate of that name, where everything per time is per second.
pub fn oracle(name: &str, samples: &[Sample], span: Span) -> Option<Value> {
    let readings = readings(samples);
    let values: Vec<f64> = readings.iter().map(|(_, value)| *value).collect();
    let least = values.iter().copied().reduce(f64::min);
    let greatest = values.iter().copied().reduce(f64::max);
    let when = |wanted: Option<f64>| {
        let found = readings.iter().find(|(_, value)| Some(*value) == wanted);
        found.map(|(at, _)| Value::Moment(time(*at)))
    };
    let number = match name {
        "count" => return Some(Value::Whole(values.len() as u64)),
        "distinct" => {
            let different: BTreeSet<u64> = values.iter().map(|v| (v + 0.0).to_bits()).collect();
            return Some(Value::Whole(different.len() as u64));
        }
        "histogram" => {
            let between =
                |low: f64, high: f64| values.iter().filter(|v| low < **v && **v <= high).count() as u64;
            let counts =
                vec![between(f64::NEG_INFINITY, -1.5), between(-1.5, 2.0), between(2.0, f64::INFINITY)];
            return Some(Value::Histogram { bounds: vec![-1.5, 2.0], counts });
        }
        "time_of_min" => return when(least),
        "time_of_max" => return when(greatest),
        "sum" => (!values.is_empty()).then(|| values.iter().sum()),
        "mean" => (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
        "min" => least,
        "max" => greatest,
        "range" => least.and_then(|least| Some(greatest? - least)),
        "first" => values.first().copied(),
        "last" => values.last().copied(),
        "variance" => sample_variance(&values),
        "stddev" => sample_variance(&values).map(f64::sqrt),
        "median" => quantile(&values, 0.5),
        "p90" => quantile(&values, 0.9),
        "mode" => mode(&values),
        "integral" => weighted(samples, span, |v| v).map(|(area, _)| area),
        "time_weighted_mean" => weighted(samples, span, |v| v).map(|(area, known)| area / known),
        "duration_in" => weighted(samples, span, |v| if v > 1.0 { 1.0 } else { 0.0 }).map(|(area, _)| area),
        "increase" => increase(samples, span),
        "rate" => increase(samples, span).and_then(|what| per_second(samples, span, what)),
        "derivative" => {
            let shown = shown(samples, span);
            shown.last().and_then(|last| per_second(samples, span, last.1 - shown[0].1))
        }
        "slope" => least_squares(&readings),
        other => panic!("no oracle for {other}"),
    };
    number.map(Value::Number)
}

/// All aggregates, so that one that is added without an oracle shows.
pub fn all() -> Vec<Aggregate> {
    use tidegate_pipeline::aggregate::Permille;
    use tidegate_pipeline::expr::{Expr, Names};
    let names = Names { value: true, ..Names::default() };
    let mut all: Vec<Aggregate> = Aggregate::ALL.iter().map(|(aggregate, _)| aggregate.clone()).collect();
    all.push(Aggregate::Quantile(Permille::parse("90").unwrap()));
    all.push(Aggregate::Histogram([-1.5, 2.0].into()));
    all.push(Aggregate::DurationIn(Expr::condition("value > 1", &names).unwrap().into()));
    all
}

/// Equal but for the last digits, of numbers up to about 10^7.
pub fn near(found: &Option<Value>, expected: &Option<Value>) -> bool {
    match (found, expected) {
        (Some(Value::Number(found)), Some(Value::Number(expected))) => {
            (found - expected).abs() <= 1e-9 * (1.0 + found.abs().max(expected.abs()))
        }
        (found, expected) => found == expected,
    }
}
