//! Quantiles of any stream of values in bounded memory, with a stated relative error.
//!
//! Up to [`QUANTILE_EXACT_MAX`] readings are kept as they are, and quantiles are exact. Beyond, this is a DDSketch (C. Masson, J. Rim, H. Lee, VLDB 2019): values are counted in buckets whose bounds grow geometrically, so that
//! the middle of a bucket is near every value in it. Two things differ from the paper:
//!
//! - A bucket's number comes from the bits of the value and a parabola instead of a logarithm (the paper's section 2.2 allows any
//!   such mapping), so that it is the same to the last digit on every processor and in every language.
//! - When there are too many buckets, all are joined in pairs (I. Epicoco and others, "UDDSketch", IEEE Access 2020) and the
//!   error doubles for all, instead of the lowest ones losing theirs without bound. So the state depends on the values only,
//!   not on their order or on how they were divided: merging is exact.
//!
//! # Error
//!
//! Each octave has 64 buckets; within it g(s) = s (4 - s) / 3 for a mantissa 1 + s. As d ln(1 + s) / dg = 3 / ((1 + s)(4 - 2s)) <= 3/4, a
//! bucket spans a ratio of at most exp(3/4 / 64), and its middle is at most tanh(3/8 / 64) = 0.586 % from any of its values.
//! Each joining doubles that, nearly: 1.17 %, 2.34 %, …

use crate::limits::{QUANTILE_EXACT_MAX, SKETCH_BUCKETS_MAX};
use serde::{Deserialize, Serialize};

/// Few values, or many counted by bucket with the exact least and greatest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub enum Sketch {
    /// Rising.
    Few(Vec<f64>),
    /// Counted.
    Many(Buckets),
}

/// Counts by bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    /// How often buckets were joined in pairs.
    level: u8,
    min: f64,
    max: f64,
    /// Rising by bucket; counts stay at 2^32 - 1 when they reach it. Buckets of negative values are negative, that of 0 is 0.
    buckets: Vec<(i32, u32)>,
}

const PER_OCTAVE: i32 = 64;
/// Keeps every bucket of a positive value above 0 at all levels.
const OFFSET: i32 = 1 << 17;
/// Here two signs of all octaves fit into [`SKETCH_BUCKETS_MAX`].
const LEVEL_MAX: u8 = 10;
const MANTISSA: u64 = (1 << 52) - 1;
const ONE: u64 = 1_f64.to_bits();

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch::Few(Vec::new())
    }
}

impl Sketch {
    /// The greatest relative error of each of the two values that a quantile lies between.
    pub fn relative_error(&self) -> f64 {
        match self {
            Sketch::Few(_) => 0.0,
            Sketch::Many(buckets) => {
                (0.375 / f64::from(PER_OCTAVE) * 2_f64.powi(buckets.level.into())).tanh()
            }
        }
    }

    pub(super) fn fold(&mut self, value: f64) {
        match self {
            Sketch::Few(values) => {
                values.insert(values.partition_point(|known| *known <= value), value);
                if values.len() > QUANTILE_EXACT_MAX {
                    *self = Sketch::Many(Buckets::of(values));
                }
            }
            Sketch::Many(buckets) => buckets.fold(value),
        }
    }

    pub(super) fn merge(&mut self, other: &Sketch) {
        match (&mut *self, other) {
            (_, Sketch::Few(values)) => values.iter().for_each(|value| self.fold(*value)),
            (Sketch::Many(into), Sketch::Many(from)) => into.merge(from),
            (Sketch::Few(values), Sketch::Many(from)) => {
                let mut whole = from.clone();
                values.iter().for_each(|value| whole.fold(*value));
                *self = Sketch::Many(whole);
            }
        }
    }

    /// The quantile `q` (0 to 1), interpolated between the two readings beside it as R, NumPy and Excel do (R. Hyndman and Y. Fan,
    /// The American Statistician 50, 1996, definition 7).
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let count = match self {
            Sketch::Few(values) => values.len() as u64,
            Sketch::Many(buckets) => buckets.count(),
        };
        let last = count.checked_sub(1)?;
        #[expect(clippy::cast_precision_loss, reason = "a window holds fewer than 2^53 readings")]
        let place = q * last as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `last`")]
        let rank = place as u64;
        let (low, high) = (self.at(rank, last), self.at((rank + 1).min(last), last));
        // Not `high - low`: that can overflow.
        let share = place.fract();
        Some(low * (1.0 - share) + high * share)
    }

    /// Whether buckets were joined, and the error is greater than 0.586 %.
    pub(super) fn is_approximate(&self) -> bool {
        matches!(self, Sketch::Many(Buckets { level: 1.., .. }))
    }

    /// The value of the reading at `rank`, the least at 0 and the greatest at `last`.
    fn at(&self, rank: u64, last: u64) -> f64 {
        match self {
            Sketch::Few(values) => usize::try_from(rank).map_or(0.0, |rank| values[rank]),
            Sketch::Many(buckets) => buckets.at(rank, last),
        }
    }
}

impl Buckets {
    fn of(values: &[f64]) -> Buckets {
        let first = values.first().copied().unwrap_or_default();
        let mut buckets = Buckets { level: 0, min: first, max: first, buckets: Vec::new() };
        values.iter().for_each(|value| buckets.fold(*value));
        buckets
    }

    fn fold(&mut self, value: f64) {
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        self.add(joined(bucket(value), self.level), 1);
    }

    fn merge(&mut self, other: &Buckets) {
        (self.min, self.max) = (self.min.min(other.min), self.max.max(other.max));
        while self.level < other.level {
            self.join();
        }
        for &(bucket, count) in &other.buckets {
            // Adding can join, so the level is asked each time.
            self.add(joined(bucket, self.level - other.level), count);
        }
    }

    fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    fn at(&self, rank: u64, last: u64) -> f64 {
        if rank == 0 {
            return self.min;
        }
        if rank == last {
            return self.max;
        }
        let mut seen = 0;
        let holds = |(_, count): &&(i32, u32)| {
            seen += u64::from(*count);
            seen > rank
        };
        let found = self.buckets.iter().find(holds);
        found.map_or(self.max, |(bucket, _)| middle(*bucket, self.level).clamp(self.min, self.max))
    }

    fn add(&mut self, bucket: i32, count: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(place) => self.buckets[place].1 = self.buckets[place].1.saturating_add(count),
            Err(place) => {
                if self.buckets.len() == self.buckets.capacity() {
                    // By half instead of doubling, and up to the bound: there are many of these, and most stay small.
                    let room = (SKETCH_BUCKETS_MAX + 1).saturating_sub(self.buckets.len());
                    self.buckets.reserve_exact((self.buckets.len() / 2).max(8).min(room));
                }
                self.buckets.insert(place, (bucket, count));
                while self.buckets.len() > SKETCH_BUCKETS_MAX {
                    self.join();
                }
            }
        }
    }

    /// Joins all buckets in pairs.
    fn join(&mut self) {
        self.level += 1;
        self.buckets.iter_mut().for_each(|(bucket, _)| *bucket = joined(*bucket, 1));
        self.buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
    }
}

/// The bucket of a finite value, before any joining. Subnormal numbers count as 0.
fn bucket(value: f64) -> i32 {
    let bits = value.abs().to_bits();
    let octave = (bits >> 52) as i32;
    if octave == 0 {
        return 0;
    }
    let s = f64::from_bits(bits & MANTISSA | ONE) - 1.0;
    #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
    let within = (s * (4.0 - s) / 3.0 * f64::from(PER_OCTAVE)) as i32;
    let bucket = OFFSET + octave * PER_OCTAVE + within.min(PER_OCTAVE - 1);
    if value < 0.0 { -bucket } else { bucket }
}

/// The bucket that holds `bucket` after `levels` more joinings.
fn joined(bucket: i32, levels: u8) -> i32 {
    bucket.signum() * (bucket.abs() >> levels)
}

/// The value whose relative distance to both bounds of the bucket is the same.
fn middle(bucket: i32, level: u8) -> f64 {
    let place = bucket.abs();
    let (low, high) = (bound(place << level), bound((place + 1) << level));
    if bucket == 0 || low == 0.0 {
        return 0.0;
    }
    f64::from(bucket.signum()) * low * (2.0 / (1.0 + low / high))
}

/// The lower bound of a positive bucket: the inverse of [`bucket`].
fn bound(bucket: i32) -> f64 {
    let place = (bucket - OFFSET).clamp(0, 2_047 * PER_OCTAVE);
    let g = f64::from(place % PER_OCTAVE) / f64::from(PER_OCTAVE);
    let octave = u64::try_from(place / PER_OCTAVE).unwrap_or(0);
    // Of octave 2,047 the lower bound is infinite, which is what ends the last bucket.
    f64::from_bits(octave << 52) * (3.0 - (4.0 - 3.0 * g).sqrt())
}

/// As it is read, before it is trusted.
#[derive(Deserialize)]
enum Written {
    Few(Vec<f64>),
    Many(Buckets),
}

impl TryFrom<Written> for Sketch {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Sketch, &'static str> {
        match written {
            Written::Few(values)
                if values.len() <= QUANTILE_EXACT_MAX
                    && values.is_sorted()
                    && values.iter().all(|v| v.is_finite()) =>
            {
                Ok(Sketch::Few(values))
            }
            Written::Many(buckets) if buckets.is_possible() => Ok(Sketch::Many(buckets)),
            _ => Err("these are not the values or buckets of a sketch"),
        }
    }
}

impl Buckets {
    /// Whether these can be buckets of finite values.
    fn is_possible(&self) -> bool {
        let known = |bucket: i32| {
            let place = bucket.unsigned_abs();
            let (first, last) =
                (OFFSET.unsigned_abs() >> self.level, (2 * OFFSET).unsigned_abs() >> self.level);
            place == 0 || (first..=last).contains(&place)
        };
        self.level <= LEVEL_MAX
            && (1..=SKETCH_BUCKETS_MAX).contains(&self.buckets.len())
            && self.buckets.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.buckets.iter().all(|(bucket, count)| known(*bucket) && *count > 0)
            && (self.min.is_finite() && self.max.is_finite() && self.min <= self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Sketch {
        let mut sketch = Sketch::default();
        values.into_iter().for_each(|value| sketch.fold(value));
        sketch
    }

    #[test]
    fn small_windows_are_as_one_expects() {
        let check = |values: &[f64], q: f64, expected: Option<f64>| {
            assert_eq!(of(values.iter().copied()).quantile(q), expected, "{q} of {values:?}");
        };
        check(&[], 0.5, None);
        check(&[21.5], 0.95, Some(21.5));
        check(&[21.5; 9], 0.5, Some(21.5));
        check(&[1.0, 2.0], 0.5, Some(1.5));
        check(&[-4.0, 7.0, 100.0], 0.0, Some(-4.0));
        check(&[-4.0, 0.0, 100.0], 0.5, Some(0.0));
        check(&[-4.0, 7.0, 100.0], 1.0, Some(100.0));
        check(&[f64::MIN, f64::MAX], 0.5, Some(0.0));
        check(&[2.0, 9.0, 4.0], 0.5, Some(4.0));
        check(&[21.5; 100], 0.95, Some(21.5));
    }

    /// Every bucket on the whole scale: its values are within the stated error of its middle, at every level.
    #[test]
    fn the_stated_error_holds() {
        for octave in [-1022, -300, -1, 0, 1, 7, 300, 1022] {
            for step in 0..10_000 {
                let value = 2_f64.powi(octave) * (1.0 + f64::from(step) / 10_000.0);
                for (level, error) in [(0, 0.005_86), (1, 0.011_72), (2, 0.023_44), (4, 0.0936)] {
                    for value in [value, -value] {
                        let found = middle(joined(bucket(value), level), level);
                        assert!((found / value - 1.0).abs() <= error, "{value} at {level}: {found}");
                    }
                }
            }
        }
    }

    #[test]
    fn buckets_rise_with_the_value() {
        let mut values: Vec<f64> =
            (0..200_000).map(|n| f64::from_bits(n * ((2047 << 52) / 200_000))).collect();
        values.extend(values.clone().iter().map(|value| -value));
        values.sort_by(f64::total_cmp);
        for level in 0..=LEVEL_MAX {
            let buckets: Vec<_> = values.iter().map(|value| joined(bucket(*value), level)).collect();
            assert!(buckets.is_sorted(), "at level {level}");
            assert!(buckets.iter().zip(&values).all(|(b, v)| *b == 0 || (*b > 0) == (*v > 0.0)));
        }
    }

    /// However wide values are spread, memory is bounded.
    #[test]
    fn the_whole_scale_fits() {
        let sketch = of((0..200_000).flat_map(|n: u64| {
            let value = f64::from_bits(n * ((2047 << 52) / 200_000));
            [value, -value]
        }));
        let Sketch::Many(buckets) = &sketch else { panic!("not few") };
        assert!(buckets.buckets.len() <= SKETCH_BUCKETS_MAX);
        assert_eq!(buckets.level, LEVEL_MAX);
        assert_eq!(sketch.quantile(0.5), Some(0.0));
        let bytes = postcard::to_allocvec(&sketch).unwrap();
        assert_eq!(postcard::from_bytes::<Sketch>(&bytes).unwrap(), sketch);
    }

    #[test]
    fn what_others_wrote_is_checked() {
        let read = |level, buckets: &[(i32, u32)]| {
            let buckets = Buckets { level, min: 0.0, max: 1.0, buckets: buckets.to_vec() };
            Sketch::try_from(Written::Many(buckets)).is_ok()
        };
        assert!(read(0, &[(-OFFSET - 64, 1), (0, 3), (OFFSET + 64, 1)]));
        assert!(!read(0, &[(1, 1)]), "a bucket that no value has");
        assert!(!read(0, &[(OFFSET + 64, 1), (0, 1)]), "not rising");
        assert!(!read(0, &[]), "none of so many");
        assert!(!read(99, &[(OFFSET + 64, 1)]), "a level that is never reached");
        assert!(!read(0, &[(i32::MIN, 1)]));
        assert!(Sketch::try_from(Written::Few(vec![1.0, 1.0])).is_ok());
        assert!(Sketch::try_from(Written::Few(vec![2.0, 1.0])).is_err());
        assert!(Sketch::try_from(Written::Few(vec![f64::NAN])).is_err());
    }
}
