//! Moments and spans, in microseconds. The core never asks what time it is: `now` is an argument.

use serde::{Deserialize, Serialize};

/// A moment: microseconds since 1970-01-01T00:00:00Z, leap seconds ignored (Unix time).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

/// A length of time in microseconds. Never negative in a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Time {
    /// The earliest moment that can be told apart.
    pub const MIN: Time = Time(i64::MIN);
    /// Later than everything.
    pub const MAX: Time = Time(i64::MAX);

    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Time {
        Time(millis.saturating_mul(1_000))
    }

    /// Whole milliseconds since 1970, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This moment plus `span`, at the ends of the scale the end.
    pub const fn plus(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }

    /// This moment less `span`, at the ends of the scale the end.
    pub const fn minus(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }

    /// How much later this is than `earlier`; negative when it is not.
    pub const fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with as many decimals as needed: `2026-11-22T10:00:00Z`.
    /// Moments outside the years -9999 to 9999 are shown as the nearest one inside.
    pub fn rfc3339(self) -> String {
        let nearest = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(nearest).to_string()
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Span {
        Span(millis.saturating_mul(1_000))
    }

    /// From seconds.
    pub const fn from_secs(secs: i64) -> Span {
        Span(secs.saturating_mul(1_000_000))
    }

    /// As written in a key: seconds where whole (`60s`), else milliseconds or microseconds.
    pub fn key(self) -> String {
        match self.0 {
            us if us % 1_000_000 == 0 => format!("{}s", us / 1_000_000),
            us if us % 1_000 == 0 => format!("{}ms", us / 1_000),
            us => format!("{us}us"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_rfc3339() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_341_600_000_000, "2026-11-22T10:00:00Z"),
            (1_795_341_600_500_000, "2026-11-22T10:00:00.5Z"),
            (i64::MAX, "9999-12-30T22:00:00.999999999Z"),
        ] {
            assert_eq!(Time(micros).rfc3339(), text);
        }
    }

    #[test]
    fn spans_in_keys() {
        assert_eq!(Span::from_secs(60).key(), "60s");
        assert_eq!(Span::from_millis(250).key(), "250ms");
        assert_eq!(Span(7).key(), "7us");
    }
}
