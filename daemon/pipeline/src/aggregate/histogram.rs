//! How many readings lie between given bounds.

use serde::{Deserialize, Serialize};

/// Counts between explicit bounds, each bucket with its upper bound and without its lower one, as an OpenTelemetry
/// histogram has them (OTLP metrics data model, "Histogram"). Merging is exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(Vec<f64>, Vec<u64>)")]
pub struct Histogram {
    /// Rising.
    bounds: Box<[f64]>,
    /// One more than there are bounds: the first up to the first bound, the last beyond the last.
    counts: Box<[u64]>,
}

impl Histogram {
    pub(super) fn new(bounds: &[f64]) -> Histogram {
        Histogram { bounds: bounds.into(), counts: vec![0; bounds.len() + 1].into() }
    }

    pub(super) fn fold(&mut self, value: f64) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)] += 1;
    }

    pub(super) fn merge(&mut self, other: &Histogram) {
        debug_assert_eq!(self.bounds, other.bounds);
        for (into, from) in self.counts.iter_mut().zip(&other.counts) {
            *into = into.saturating_add(*from);
        }
    }

    pub(super) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }
}

/// What was written elsewhere is not trusted.
impl TryFrom<(Vec<f64>, Vec<u64>)> for Histogram {
    type Error = &'static str;

    fn try_from((bounds, counts): (Vec<f64>, Vec<u64>)) -> Result<Histogram, &'static str> {
        if !rising(&bounds) || counts.len() != bounds.len() + 1 {
            return Err("a histogram has rising bounds, and one count more than bounds");
        }
        Ok(Histogram { bounds: bounds.into(), counts: counts.into() })
    }
}

/// Whether `bounds` are finite, and each greater than the one before.
pub(super) fn rising(bounds: &[f64]) -> bool {
    bounds.iter().all(|bound| bound.is_finite()) && bounds.windows(2).all(|pair| pair[0] < pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_its_upper_bound() {
        let check = |value: f64, expected: [u64; 4]| {
            let mut histogram = Histogram::new(&[0.0, 10.0, 20.0]);
            histogram.fold(value);
            assert_eq!(histogram.counts(), expected, "{value}");
        };
        check(-1e300, [1, 0, 0, 0]);
        check(0.0, [1, 0, 0, 0]);
        check(-0.0, [1, 0, 0, 0]);
        check(0.1, [0, 1, 0, 0]);
        check(10.0, [0, 1, 0, 0]);
        check(20.0, [0, 0, 1, 0]);
        check(20.000_001, [0, 0, 0, 1]);
    }

    #[test]
    fn what_others_wrote_is_checked() {
        let read = |bounds: &[f64], counts: &[u64]| Histogram::try_from((bounds.to_vec(), counts.to_vec()));
        assert!(read(&[1.0, 2.0], &[0, 0, 0]).is_ok());
        assert!(read(&[], &[7]).is_ok());
        assert!(read(&[2.0, 1.0], &[0, 0, 0]).is_err());
        assert!(read(&[f64::NAN], &[0, 0]).is_err());
        assert!(read(&[1.0], &[0]).is_err());
    }
}
