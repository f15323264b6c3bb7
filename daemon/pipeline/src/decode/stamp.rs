//! Time stamps in payloads.

use super::Scalar;
use crate::plan::TimeFormat;
use crate::time::Time;

/// The moment that `scalar` means, `None` when it means none or one outside the years -9999 to 9999. Finer than a
/// microsecond is rounded down.
pub fn parse(scalar: &Scalar<'_>, format: TimeFormat) -> Option<Time> {
    let micros_per_unit: f64 = match format {
        TimeFormat::Seconds => 1e6,
        TimeFormat::Millis => 1e3,
        TimeFormat::Micros => 1.0,
        TimeFormat::Nanos => 1e-3,
        TimeFormat::Rfc3339 => {
            let Scalar::Text(text) = scalar else { return None };
            return Some(Time(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()));
        }
    };
    let micros = match scalar {
        Scalar::Int(whole) => match format {
            TimeFormat::Seconds => whole.checked_mul(1_000_000)?,
            TimeFormat::Millis => whole.checked_mul(1_000)?,
            TimeFormat::Nanos => whole.div_euclid(1_000),
            _ => *whole,
        },
        Scalar::Float(number) => {
            let micros = (number * micros_per_unit).round();
            // Beyond 2^63 the conversion would saturate and look like a time.
            if !(-9.0e18..=9.0e18).contains(&micros) {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "in range, and whole")]
            let whole = micros as i64;
            i128::from(whole)
        }
        Scalar::Text(text) => return parse_text(text, format),
        _ => return None,
    };
    let micros = i64::try_from(micros).ok()?;
    jiff::Timestamp::from_microsecond(micros).ok().map(|_| Time(micros))
}

fn parse_text(text: &str, format: TimeFormat) -> Option<Time> {
    if let Ok(whole) = text.trim().parse::<i128>() {
        return parse(&Scalar::Int(whole), format);
    }
    parse(&Scalar::Float(text.trim().parse().ok()?), format)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn formats() {
        let text = |t: &'static str| Scalar::Text(Cow::Borrowed(t));
        let check = |scalar: Scalar<'_>, format, micros: Option<i64>| {
            assert_eq!(parse(&scalar, format).map(|t| t.0), micros, "{scalar:?} {format:?}");
        };
        check(Scalar::Int(1_795_341_600), TimeFormat::Seconds, Some(1_795_341_600_000_000));
        check(Scalar::Float(1_795_341_600.25), TimeFormat::Seconds, Some(1_795_341_600_250_000));
        check(Scalar::Int(1_795_341_600_123), TimeFormat::Millis, Some(1_795_341_600_123_000));
        check(Scalar::Int(7), TimeFormat::Micros, Some(7));
        check(Scalar::Int(-1), TimeFormat::Nanos, Some(-1));
        check(text("1795341600"), TimeFormat::Seconds, Some(1_795_341_600_000_000));
        check(text("2026-11-22T11:00:00.5+01:00"), TimeFormat::Rfc3339, Some(1_795_341_600_500_000));
        check(text("yesterday"), TimeFormat::Rfc3339, None);
        check(Scalar::Float(1e300), TimeFormat::Seconds, None);
        check(Scalar::Int(i128::MAX), TimeFormat::Seconds, None);
        check(Scalar::Int(i64::MAX.into()), TimeFormat::Micros, None);
        check(Scalar::Int(i64::MIN.into()), TimeFormat::Micros, None);
        check(Scalar::Float(f64::NAN), TimeFormat::Millis, None);
        check(Scalar::Absent, TimeFormat::Millis, None);
        check(Scalar::Bool(true), TimeFormat::Millis, None);
    }
}
