//! Time stamps in payloads.

use super::Scalar;
use crate::plan::TimeFormat;
use crate::time::Time;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// How a stream writes time stamps, ready to be used.
#[derive(Clone, Debug)]
pub struct Stamp {
    written: Written,
}

#[derive(Clone, Debug)]
enum Written {
    /// A count since 1970: units in one second.
    Count {
        per_second: i128,
    },
    Rfc3339,
    Local {
        zone: TimeZone,
    },
    Pattern {
        pattern: String,
        zone: TimeZone,
    },
}

impl Stamp {
    /// A zone that the bundled database does not know is taken for UTC; the configuration does not let one through.
    pub fn of(format: &TimeFormat) -> Stamp {
        let zone = |name: &str| TimeZone::get(name).unwrap_or(TimeZone::UTC);
        let count = |per_second| Written::Count { per_second };
        let written = match format {
            TimeFormat::Seconds => count(1),
            TimeFormat::Millis => count(1_000),
            TimeFormat::Micros => count(1_000_000),
            TimeFormat::Nanos => count(1_000_000_000),
            TimeFormat::Rfc3339 => Written::Rfc3339,
            TimeFormat::Local { zone: name } => Written::Local { zone: zone(name) },
            TimeFormat::Pattern { pattern, zone: name } => {
                Written::Pattern { pattern: pattern.clone(), zone: zone(name) }
            }
        };
        Stamp { written }
    }

    /// The moment that `scalar` means, `None` when it means none or one outside the years -9999 to 9999. Finer than a
    /// microsecond is rounded down.
    ///
    /// A local time that a clock change skips is taken as if the clock had been changed later, and one that it repeats
    /// is taken for the first of the two (RFC 5545, 3.3.5; the "compatible" way of RFC 9557 implementations).
    pub fn read(&self, scalar: &Scalar<'_>) -> Option<Time> {
        match (&self.written, scalar) {
            (Written::Count { per_second }, _) => count(scalar, *per_second),
            (Written::Rfc3339, Scalar::Text(text)) => time(text.trim().parse().ok()?),
            (Written::Local { zone }, Scalar::Text(text)) => local(text.trim().parse().ok()?, zone),
            (Written::Pattern { pattern, zone }, Scalar::Text(text)) => {
                let parts = BrokenDownTime::parse(pattern, text.trim()).ok()?;
                match parts.offset() {
                    Some(_) => time(parts.to_timestamp().ok()?),
                    None => local(civil(&parts)?, zone),
                }
            }
            // `%Y%m%d` and the like can stand there as a number.
            (Written::Pattern { .. }, Scalar::Int(whole)) => {
                self.read(&Scalar::Text(whole.to_string().into()))
            }
            _ => None,
        }
    }
}

/// A pattern without a time of day means midnight.
fn civil(parts: &BrokenDownTime) -> Option<DateTime> {
    parts.to_datetime().or_else(|_| parts.to_date().map(DateTime::from)).ok()
}

fn local(moment: DateTime, zone: &TimeZone) -> Option<Time> {
    time(zone.to_timestamp(moment).ok()?)
}

fn time(moment: jiff::Timestamp) -> Option<Time> {
    Some(Time(moment.as_microsecond()))
}

fn count(scalar: &Scalar<'_>, per_second: i128) -> Option<Time> {
    let micros = match scalar {
        Scalar::Int(whole) => whole.checked_mul(1_000_000)?.div_euclid(per_second),
        Scalar::Float(number) => {
            #[expect(clippy::cast_precision_loss, reason = "a power of ten below 2^53")]
            let micros = (number * (1e6 / per_second as f64)).round();
            // Beyond 2^63 the conversion would saturate and look like a time.
            if !(-9.0e18..=9.0e18).contains(&micros) {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "in range, and whole")]
            let whole = micros as i64;
            i128::from(whole)
        }
        Scalar::Text(text) => {
            let text = text.trim();
            let scalar = match text.parse() {
                Ok(whole) => Scalar::Int(whole),
                Err(_) => Scalar::Float(text.parse().ok()?),
            };
            return count(&scalar, per_second);
        }
        _ => return None,
    };
    let micros = i64::try_from(micros).ok()?;
    jiff::Timestamp::from_microsecond(micros).ok().map(|_| Time(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn text(text: &'static str) -> Scalar<'static> {
        Scalar::Text(Cow::Borrowed(text))
    }

    fn check(scalar: Scalar<'_>, format: &TimeFormat, micros: Option<i64>) {
        assert_eq!(Stamp::of(format).read(&scalar).map(|t| t.0), micros, "{scalar:?} {format:?}");
    }

    #[test]
    fn counts_and_rfc3339() {
        check(Scalar::Int(1_795_341_600), &TimeFormat::Seconds, Some(1_795_341_600_000_000));
        check(Scalar::Float(1_795_341_600.25), &TimeFormat::Seconds, Some(1_795_341_600_250_000));
        check(Scalar::Int(1_795_341_600_123), &TimeFormat::Millis, Some(1_795_341_600_123_000));
        check(Scalar::Int(7), &TimeFormat::Micros, Some(7));
        check(Scalar::Int(-1), &TimeFormat::Nanos, Some(-1));
        check(text("1795341600"), &TimeFormat::Seconds, Some(1_795_341_600_000_000));
        check(text("2026-11-22T11:00:00.5+01:00"), &TimeFormat::Rfc3339, Some(1_795_341_600_500_000));
        check(text("yesterday"), &TimeFormat::Rfc3339, None);
        check(text("2026-11-22T11:00:00"), &TimeFormat::Rfc3339, None);
        check(Scalar::Float(1e300), &TimeFormat::Seconds, None);
        check(Scalar::Int(i128::MAX), &TimeFormat::Seconds, None);
        check(Scalar::Int(i64::MAX.into()), &TimeFormat::Micros, None);
        check(Scalar::Int(i64::MIN.into()), &TimeFormat::Micros, None);
        check(Scalar::Float(f64::NAN), &TimeFormat::Millis, None);
        check(Scalar::Absent, &TimeFormat::Millis, None);
        check(Scalar::Bool(true), &TimeFormat::Millis, None);
    }

    /// The moment as RFC 3339, or `None`.
    fn check_zoned(written: &'static str, format: &TimeFormat, moment: Option<&str>) {
        let read = Stamp::of(format).read(&text(written)).map(Time::rfc3339);
        assert_eq!(read.as_deref(), moment, "{written} {format:?}");
    }

    #[test]
    fn local_times() {
        let local = TimeFormat::Local { zone: "Europe/Amsterdam".into() };
        check_zoned("2026-11-22T11:00:00", &local, Some("2026-11-22T10:00:00Z"));
        check_zoned("2026-07-22 12:00:00.25", &local, Some("2026-07-22T10:00:00.25Z"));
        // Clocks went from 02:00 to 03:00: what they skipped is an hour later.
        check_zoned("2026-03-29T02:30:00", &local, Some("2026-03-29T01:30:00Z"));
        check_zoned("2026-03-29T03:30:00", &local, Some("2026-03-29T01:30:00Z"));
        // Clocks went from 03:00 back to 02:00: what came twice is the first.
        check_zoned("2026-10-25T02:30:00", &local, Some("2026-10-25T00:30:00Z"));
        check_zoned("2026-13-22T11:00:00", &local, None);
        check_zoned("", &local, None);
    }

    #[test]
    fn patterns() {
        let pattern =
            |pattern: &str| TimeFormat::Pattern { pattern: pattern.into(), zone: "Europe/Amsterdam".into() };
        let day = pattern("%d.%m.%Y %H:%M:%S");
        check_zoned("22.11.2026 11:00:00", &day, Some("2026-11-22T10:00:00Z"));
        check_zoned("2026-11-22", &day, None);
        check_zoned("2026-11-22", &pattern("%Y-%m-%d"), Some("2026-11-21T23:00:00Z"));
        check_zoned("2026-11-22 11:00 +0300", &pattern("%Y-%m-%d %H:%M %z"), Some("2026-11-22T08:00:00Z"));
        check(Scalar::Int(20_261_122), &pattern("%Y%m%d"), Some(1_795_302_000_000_000));
    }
}
