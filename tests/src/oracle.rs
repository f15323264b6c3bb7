//! What the summaries should say, computed in the plainest way from everything that was published.

use std::collections::BTreeMap;

/// One reading, as its sensor took it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Whose.
    pub device: String,
    /// Of what.
    pub metric: String,
    /// When, in milliseconds since 1970. No two readings of a series share one, so that `first` and `last` are certain.
    pub time_ms: i64,
    /// How much.
    pub value: f64,
}

/// Which window of which series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Whose.
    pub device: String,
    /// Of what.
    pub metric: String,
    /// Its start, in milliseconds since 1970.
    pub start_ms: i64,
}

/// The values of a window.
pub type Values = BTreeMap<&'static str, f64>;

/// Every window that has a reading, with its values. Windows are back to back and aligned to 1970.
pub fn windows(readings: &[Reading], length_ms: i64) -> BTreeMap<Window, Values> {
    let mut members: BTreeMap<Window, Vec<&Reading>> = BTreeMap::new();
    for reading in readings {
        let start_ms = reading.time_ms - reading.time_ms.rem_euclid(length_ms);
        let window = Window { device: reading.device.clone(), metric: reading.metric.clone(), start_ms };
        members.entry(window).or_default().push(reading);
    }
    members.into_iter().map(|(window, readings)| (window, values(readings))).collect()
}

fn values(mut readings: Vec<&Reading>) -> Values {
    readings.sort_by_key(|reading| reading.time_ms);
    let numbers: Vec<f64> = readings.iter().map(|reading| reading.value).collect();
    let count = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    let mean = sum / count;
    let mut values = Values::from([
        ("count", count),
        ("sum", sum),
        ("mean", mean),
        ("min", numbers.iter().copied().fold(f64::INFINITY, f64::min)),
        ("max", numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        ("first", numbers[0]),
        ("last", numbers[numbers.len() - 1]),
    ]);
    if numbers.len() > 1 {
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        values.insert("stddev", (squares / (count - 1.0)).sqrt());
    }
    values
}

/// Whether two sums of the same numbers agree: they may have been added in another order.
pub fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_windows() {
        let reading = |time_ms, value| Reading { device: "d".into(), metric: "m".into(), time_ms, value };
        let all = windows(
            &[reading(9_999, 3.0), reading(5_000, 1.0), reading(7_000, 5.0), reading(10_000, 7.0)],
            5_000,
        );
        let of = |start_ms| &all[&Window { device: "d".into(), metric: "m".into(), start_ms }];
        assert_eq!(all.len(), 2);
        for (name, expected) in [
            ("count", 3.0),
            ("sum", 9.0),
            ("mean", 3.0),
            ("min", 1.0),
            ("max", 5.0),
            ("first", 1.0),
            ("last", 3.0),
            ("stddev", 2.0),
        ] {
            assert_eq!(of(5_000)[name], expected, "{name}");
        }
        assert_eq!(of(10_000).get("stddev"), None);
    }
}
