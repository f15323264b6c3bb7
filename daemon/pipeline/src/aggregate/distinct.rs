//! How many different values there were.

use crate::limits::DISTINCT_EXACT_MAX;
use serde::{Deserialize, Serialize};

/// Exact up to [`DISTINCT_EXACT_MAX`] values; beyond, a HyperLogLog of 1,024 registers, whose standard error is
/// 1.04 / √1024 = 3.3 % (P. Flajolet and others, AOFA 2007). Merging is exact: the parts give the state of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub enum Distinct {
    /// The values' bits, rising.
    Few(Vec<u64>),
    /// The registers.
    Many(Box<[u8]>),
}

/// Two to the power of this are the registers.
const INDEX_BITS: u32 = 10;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The bits of a hash that are left when the register is chosen.
const REST_BITS: u32 = 64 - INDEX_BITS;

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct::Few(Vec::new())
    }
}

impl Distinct {
    pub(super) fn fold(&mut self, value: f64) {
        // -0 and 0 are one value.
        self.insert((value + 0.0).to_bits());
    }

    pub(super) fn merge(&mut self, other: &Distinct) {
        match other {
            Distinct::Few(bits) => bits.iter().for_each(|bits| self.insert(*bits)),
            Distinct::Many(from) => {
                self.widen();
                if let Distinct::Many(into) = self {
                    into.iter_mut().zip(from).for_each(|(into, from)| *into = (*into).max(*from));
                }
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        match self {
            Distinct::Few(bits) => bits.len() as u64,
            Distinct::Many(registers) => estimate(registers),
        }
    }

    pub(super) fn is_approximate(&self) -> bool {
        matches!(self, Distinct::Many(_))
    }

    fn insert(&mut self, bits: u64) {
        match self {
            Distinct::Few(known) => {
                let Err(place) = known.binary_search(&bits) else { return };
                known.insert(place, bits);
                if known.len() > DISTINCT_EXACT_MAX {
                    self.widen();
                }
            }
            Distinct::Many(registers) => note(registers, bits),
        }
    }

    fn widen(&mut self) {
        if let Distinct::Few(known) = self {
            let mut registers = vec![0; REGISTERS];
            known.iter().for_each(|bits| note(&mut registers, *bits));
            *self = Distinct::Many(registers.into());
        }
    }
}

/// The register of a value keeps the longest run of zeros that a hash in it began with, plus one.
fn note(registers: &mut [u8], bits: u64) {
    let hash = xxhash_rust::xxh3::xxh3_64(&bits.to_le_bytes());
    let index = (hash >> REST_BITS) as usize;
    let rank = (hash << INDEX_BITS).leading_zeros().min(REST_BITS) + 1;
    registers[index] = registers[index].max(u8::try_from(rank).unwrap_or(u8::MAX));
}

/// The improved estimator of O. Ertl (arXiv:1702.01284, algorithm 6): without bias at both ends, and without tables.
fn estimate(registers: &[u8]) -> u64 {
    const M: f64 = REGISTERS as f64;
    let mut counts = [0.0; REST_BITS as usize + 2];
    registers.iter().for_each(|rank| counts[usize::from(*rank)] += 1.0);
    let last = REST_BITS as usize + 1;
    let mut z = M * tau(1.0 - counts[last] / M);
    for count in counts[1..last].iter().rev() {
        z = 0.5 * (z + count);
    }
    z += M * sigma(counts[0] / M);
    let estimate = M * M / (2.0 * std::f64::consts::LN_2 * z);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and far below 2^64"
    )]
    let whole = estimate.round() as u64;
    whole
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// As it is read, before it is trusted.
#[derive(Deserialize)]
enum Written {
    Few(Vec<u64>),
    Many(Vec<u8>),
}

impl TryFrom<Written> for Distinct {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Distinct, &'static str> {
        match written {
            Written::Few(bits) if bits.len() <= DISTINCT_EXACT_MAX && bits.is_sorted_by(|a, b| a < b) => {
                Ok(Distinct::Few(bits))
            }
            Written::Many(registers)
                if registers.len() == REGISTERS
                    && registers.iter().all(|r| u32::from(*r) <= REST_BITS + 1) =>
            {
                Ok(Distinct::Many(registers.into()))
            }
            _ => Err("different values are rising and few, or 1,024 registers of at most 55"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = f64>) -> Distinct {
        let mut distinct = Distinct::default();
        values.for_each(|value| distinct.fold(value));
        distinct
    }

    #[test]
    fn few_are_counted_exactly() {
        for (values, expected) in
            [(&[][..], 0), (&[1.0], 1), (&[1.0, 2.0, 1.0], 2), (&[0.0, -0.0], 1), (&[f64::MAX, f64::MIN], 2)]
        {
            assert_eq!(of(values.iter().copied()).count(), expected, "{values:?}");
        }
        let all = of((0..10_000).map(|n| f64::from(n % 128)));
        assert_eq!((all.count(), all.is_approximate()), (128, false));
    }

    /// Four standard errors: an estimator that is wrong anywhere on the scale shows.
    #[test]
    fn many_are_estimated_within_the_stated_error() {
        for count in [129, 200, 500, 1_000, 2_000, 3_000, 10_000, 100_000, 1_000_000] {
            let found = of((0..count).map(|n| f64::from(n) * 0.1));
            let error = (found.count() as f64 / f64::from(count) - 1.0).abs();
            assert!(
                found.is_approximate() && error < 4.0 * 0.0325,
                "{count}: {} is off by {error}",
                found.count()
            );
        }
    }

    #[test]
    fn what_others_wrote_is_checked() {
        assert!(Distinct::try_from(Written::Few(vec![1, 2])).is_ok());
        assert!(Distinct::try_from(Written::Few(vec![2, 2])).is_err());
        assert!(Distinct::try_from(Written::Many(vec![0; 1_024])).is_ok());
        assert!(Distinct::try_from(Written::Many(vec![0; 1_023])).is_err());
        assert!(Distinct::try_from(Written::Many(vec![56; 1_024])).is_err());
    }
}
