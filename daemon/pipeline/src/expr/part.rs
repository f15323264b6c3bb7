//! Parts of a reading's time.

use super::Env;
use jiff::Timestamp;

/// A part of the time, as a clock on the wall of the zone shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Second,
    Minute,
    Hour,
    Day,
    Weekday,
    Month,
    Year,
}

/// All of them by name. docs/expressions.md has a row for each.
pub(super) const PARTS: &[(&str, Part)] = &[
    ("second", Part::Second),
    ("minute", Part::Minute),
    ("hour", Part::Hour),
    ("day", Part::Day),
    ("weekday", Part::Weekday),
    ("month", Part::Month),
    ("year", Part::Year),
];

impl Part {
    pub(super) fn of(self, env: &Env<'_>) -> f64 {
        let nearest = if env.time.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let moment = Timestamp::from_microsecond(env.time.0).unwrap_or(nearest);
        let shown = env.zone.to_datetime(moment);
        match self {
            Part::Second => f64::from(shown.second()),
            Part::Minute => f64::from(shown.minute()),
            Part::Hour => f64::from(shown.hour()),
            Part::Day => f64::from(shown.day()),
            // ISO 8601: Monday is 1.
            Part::Weekday => f64::from(shown.weekday().to_monday_one_offset()),
            Part::Month => f64::from(shown.month()),
            Part::Year => f64::from(shown.year()),
        }
    }
}
