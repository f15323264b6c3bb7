//! `convert = "°F -> °C"`: from the unit that the sensor sends to the one that summaries carry.

use super::units::{QUANTITIES, Quantity, Unit, find};
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// A conversion: `(value - zero) × numerator / denominator + offset`. With whole numbers where there are some, so that 212 °F
/// are 100 °C to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convert {
    zero: f64,
    numerator: f64,
    denominator: f64,
    offset: f64,
    /// The unit of the result, as summaries carry it.
    pub unit: String,
}

/// Why two units do not convert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A name that stands for no unit.
    #[error("`{0}` is no unit that is known here")]
    Unknown(String),
    /// Two units of different quantities.
    #[error("`{from}` is {of_from}, and `{to}` is {of_to}")]
    Apart {
        /// The unit of the value.
        from: String,
        /// What it measures, with the article.
        of_from: &'static str,
        /// The unit that is wanted.
        to: String,
        /// What that measures.
        of_to: &'static str,
    },
}

impl Convert {
    /// The conversion between two units by name.
    ///
    /// # Errors
    /// When a name is not known, or the units do not measure the same.
    pub fn new(from: &str, to: &str) -> Result<Convert, ConvertError> {
        let known = |name: &str| find(name).ok_or_else(|| ConvertError::Unknown(name.to_owned()));
        let ((source, a), (target, b)): ((&Quantity, &Unit), (&Quantity, &Unit)) = (known(from)?, known(to)?);
        if source != target {
            let (from, to) = (from.to_owned(), to.to_owned());
            return Err(ConvertError::Apart { from, of_from: source.name, to, of_to: target.name });
        }
        Ok(Convert {
            zero: a.zero,
            numerator: a.numerator * b.denominator,
            denominator: a.denominator * b.numerator,
            offset: b.zero,
            unit: to.to_owned(),
        })
    }

    /// Every name of every unit.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        QUANTITIES.iter().flat_map(|quantity| quantity.units).flat_map(|unit| unit.names.iter().copied())
    }

    pub(super) fn apply(&self, value: f64) -> Result<f64, Reason> {
        let converted = (value - self.zero) * self.numerator / self.denominator + self.offset;
        if converted.is_finite() { Ok(converted) } else { Err(Reason::NotFinite) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, from: &str, expected: f64, to: &str) {
        let there = Convert::new(from, to).unwrap();
        let found = there.apply(value).unwrap();
        assert!(
            (found - expected).abs() <= 1e-9 * expected.abs(),
            "{value} {from} = {found} {to}, not {expected}"
        );
        let back = Convert::new(to, from).unwrap().apply(found).unwrap();
        assert!(
            (back - value).abs() <= 1e-9 * (1.0 + value.abs()),
            "{found} {to} = {back} {from}, not {value}"
        );
    }

    /// Values of NIST SP 811, or by the units' definitions.
    #[test]
    fn known_values() {
        check(98.6, "°F", 37.0, "°C");
        check(-40.0, "fahrenheit", -40.0, "celsius");
        check(25.0, "°C", 298.15, "K");
        check(0.0, "K", -459.67, "°F");
        check(1.0, "psi", 6.894_757_293_168_361, "kPa");
        check(1_013.25, "hPa", 1.0, "atm");
        check(760.0, "Torr", 101_325.0, "Pa");
        check(29.92, "inHg", 1_013.207_588_8, "mbar");
        check(1.0, "mi", 63_360.0, "in");
        check(1.0, "nmi", 1.852, "km");
        check(1.0, "acre", 0.404_687_260_987_425_2, "ha");
        check(1.0, "ft³", 7.480_519_480_519_481, "gal");
        check(3.6, "m³/h", 1.0, "l/s");
        check(16.0, "oz", 1.0, "lb");
        check(36.0, "km/h", 10.0, "m/s");
        check(1.0, "kn", 1.150_779_448_023_543, "mph");
        check(1.0, "kgf", 2.204_622_621_848_776, "lbf");
        check(1.0, "kWh", 3_412.141_633_127_942, "BTU");
        check(1.0, "PS", 0.986_320_070_619_514_3, "hp");
        check(1.5, "d", 36.0, "h");
        check(3_000.0, "rpm", 50.0, "Hz");
        check(180.0, "deg", std::f64::consts::PI, "rad");
        check(1_500.0, "mV", 1.5, "V");
        check(20.0, "mA", 0.02, "A");
        check(4_700.0, "ohm", 4.7, "kΩ");
        check(0.5, "1", 50.0, "%");
        check(420.0, "ppm", 0.042, "%");
        check(1.0, "GiB", 1_073.741_824, "MB");
        check(1.0, "fc", 10.763_910_416_709_722, "lx");
    }

    #[test]
    fn round_values_stay_round() {
        for (value, from, to, expected) in [
            (32.0, "°F", "°C", 0.0),
            (212.0, "°F", "°C", 100.0),
            (21.5, "°C", "°C", 21.5),
            (1_013.0, "hPa", "mbar", 1_013.0),
            (21.0, "mm", "m", 0.021),
            (12.0, "in", "ft", 1.0),
            (50.0, "%", "1", 0.5),
        ] {
            assert_eq!(Convert::new(from, to).unwrap().apply(value), Ok(expected), "{value} {from}");
        }
        assert_eq!(Convert::new("kPa", "Pa").unwrap().apply(1e308), Err(Reason::NotFinite));
    }

    #[test]
    fn what_does_not_convert() {
        let error = |from, to| Convert::new(from, to).unwrap_err().to_string();
        assert_eq!(error("°F", "kPa"), "`°F` is a temperature, and `kPa` is a pressure");
        assert_eq!(error("furlong", "m"), "`furlong` is no unit that is known here");
    }

    #[test]
    fn every_name_stands_for_one_unit() {
        let mut names: Vec<_> = Convert::names().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let document = include_str!("../../../../docs/configuration.md");
        for unit in QUANTITIES.iter().flat_map(|quantity| quantity.units) {
            assert!(document.contains(&format!("`{}`", unit.names[0])), "{} is in no row", unit.names[0]);
        }
    }
}
