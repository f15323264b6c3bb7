//! Calendar windows: hours, days, weeks and months of a place (`calendar = "day"`).

use super::aligned::Bounds;
use crate::plan::CalendarUnit;
use crate::time::{Span, Time};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::cell::Cell;

/// One calendar. Finding bounds costs a look into the zone's rules; the last answer is kept.
#[derive(Debug)]
pub(crate) struct Calendar {
    unit: CalendarUnit,
    zone: TimeZone,
    last: Cell<Bounds>,
}

impl Calendar {
    /// A calendar of the named zone; of UTC where the name is not known, which the configuration has checked.
    pub(crate) fn new(unit: CalendarUnit, zone: &str) -> Calendar {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        Calendar { unit, zone, last: Cell::new((Time::MAX, Time::MIN)) }
    }

    /// The bounds around `time`. Outside the years -9998 to 9998 they are the moment itself.
    pub(crate) fn around(&self, time: Time) -> Bounds {
        let (start, end) = self.last.get();
        if (start..end).contains(&time) {
            return (start, end);
        }
        let found = self.find(time).unwrap_or((time, time.plus(Span(1))));
        self.last.set(found);
        found
    }

    fn find(&self, time: Time) -> Option<Bounds> {
        let moment = Timestamp::from_microsecond(time.0).ok()?;
        let date = self.zone.to_datetime(moment).date();
        let (first, next) = match self.unit {
            CalendarUnit::Hour => return self.hour(moment),
            CalendarUnit::Day => (date, date.tomorrow().ok()?),
            CalendarUnit::Week => {
                let days = date.weekday().since(Weekday::Monday);
                let monday = date.checked_sub(days.days()).ok()?;
                (monday, monday.checked_add(7.days()).ok()?)
            }
            CalendarUnit::Month => {
                let first = date.first_of_month();
                (first, first.checked_add(1.month()).ok()?)
            }
        };
        Some((self.midnight(first)?, self.midnight(next)?))
    }

    /// The first moment of a day: midnight, or where clocks skip it the moment that they skip to.
    fn midnight(&self, date: Date) -> Option<Time> {
        let zoned = date.to_zoned(self.zone.clone()).ok()?.start_of_day().ok()?;
        Some(Time(zoned.timestamp().as_microsecond()))
    }

    /// From full hour to full hour; where clocks change within an hour, to that moment or from it.
    fn hour(&self, moment: Timestamp) -> Option<Bounds> {
        const HOUR: i64 = 3_600_000_000;
        let offset = i64::from(self.zone.to_offset(moment).seconds()) * 1_000_000;
        let local = moment.as_microsecond() + offset;
        let start = Time(local - local.rem_euclid(HOUR) - offset);
        let end = start.plus(Span(HOUR));
        // `preceding` is strictly before: a change at this very moment is asked for from the next one.
        let after = moment.checked_add(1.microsecond()).ok()?;
        let changed =
            self.zone.preceding(after).next().map(|change| Time(change.timestamp().as_microsecond()));
        let changes =
            self.zone.following(moment).next().map(|change| Time(change.timestamp().as_microsecond()));
        Some((changed.map_or(start, |at| at.max(start)), changes.map_or(end, |at| at.min(end))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn check(unit: CalendarUnit, zone: &str, at: &str, start: &str, end: &str) {
        let calendar = Calendar::new(unit, zone);
        for _ in 0..2 {
            let (from, to) = calendar.around(time(at));
            assert_eq!(
                (from.rfc3339().as_str(), to.rfc3339().as_str()),
                (start, end),
                "{unit:?} {zone} {at}"
            );
        }
        assert!(calendar.around(time(end)).0 == time(end), "the next begins where this ends");
        assert!(
            calendar.around(time(start).minus(Span(1))).1 == time(start),
            "and the one before ends at its start"
        );
    }

    #[test]
    fn days_of_twenty_three_and_twenty_five_hours() {
        use CalendarUnit::{Day, Hour};
        let ams = "Europe/Amsterdam";
        check(Day, ams, "2026-11-22T12:00:00Z", "2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z");
        check(Day, ams, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check(Day, ams, "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check(Hour, ams, "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z");
        check(Hour, ams, "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
        check(Hour, "Asia/Kolkata", "2026-11-22T10:00:00Z", "2026-11-22T09:30:00Z", "2026-11-22T10:30:00Z");
    }

    /// Lord Howe Island changes by half an hour, Cuba at midnight.
    #[test]
    fn odd_places() {
        use CalendarUnit::{Day, Hour};
        check(
            Hour,
            "Australia/Lord_Howe",
            "2026-10-03T15:30:00Z",
            "2026-10-03T15:30:00Z",
            "2026-10-03T16:00:00Z",
        );
        check(
            Hour,
            "Australia/Lord_Howe",
            "2026-10-03T15:29:59Z",
            "2026-10-03T14:30:00Z",
            "2026-10-03T15:30:00Z",
        );
        check(
            Hour,
            "Australia/Lord_Howe",
            "2026-04-04T15:10:00Z",
            "2026-04-04T15:00:00Z",
            "2026-04-04T15:30:00Z",
        );
        check(Day, "America/Havana", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
    }

    #[test]
    fn weeks_and_months() {
        use CalendarUnit::{Month, Week};
        check(Week, "UTC", "2026-11-22T12:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
        check(Week, "UTC", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        check(Month, "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check(
            Month,
            "Europe/Amsterdam",
            "2026-03-31T22:00:00Z",
            "2026-03-31T22:00:00Z",
            "2026-04-30T22:00:00Z",
        );
    }

    /// Whatever the moment: it lies within its bounds, and all moments between them have the same.
    #[test]
    fn windows_do_not_overlap() {
        for zone in
            ["Europe/Amsterdam", "Australia/Lord_Howe", "America/Havana", "Asia/Kolkata", "Pacific/Apia"]
        {
            for unit in [CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month] {
                let calendar = Calendar::new(unit, zone);
                let mut at = time("2011-12-01T00:17:00Z");
                while at < time("2012-05-01T00:00:00Z") {
                    let (start, end) = calendar.find(at).unwrap();
                    assert!(start <= at && at < end, "{zone} {unit:?} {at:?}");
                    assert_eq!(
                        calendar.find(end.minus(Span(1))),
                        Some((start, end)),
                        "{zone} {unit:?} {at:?}"
                    );
                    assert_eq!(calendar.find(end).map(|next| next.0), Some(end), "{zone} {unit:?} {at:?}");
                    at = end.plus(Span::from_secs(600));
                }
            }
        }
    }
}
