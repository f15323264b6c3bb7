//! What a metered link allows: so many bytes a day, and hours of the day for what can wait.
//!
//! Alerts go first, at any hour, and have a part of the bytes that nothing else touches. A request that was begun is finished, so
//! that a day may cost one request more than it should.

use crate::config::model::Budget;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use serde::Serialize;
use std::cmp::Ordering;
use std::time::Duration;

/// Of the bytes of a day one part in so many is for alerts alone.
const ALERTS_SHARE: u64 = 10;

/// What was spent on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Days since 1970, in the gateway's time zone.
    pub day: i32,
    /// Bytes, both ways.
    pub bytes: u64,
}

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that waits.
    Everything,
    /// Only alerts, until that time.
    Alerts(Timestamp),
    /// Nothing, until that time.
    Nothing(Timestamp),
}

const DAY: Duration = Duration::from_secs(86_400);

impl BudgetReport {
    /// In one line, for people.
    pub fn text(&self) -> String {
        let bytes = match self.bytes_per_day {
            Some(max) => format!("{} of {max} bytes spent today", self.spent_today),
            None => format!("{} bytes today", self.spent_today),
        };
        match (self.waits_for, &self.until) {
            (Some(what), Some(until)) => format!("{bytes}; summaries wait for {what}, until {until}"),
            _ => bytes,
        }
    }
}

impl Scope {
    /// Whether summaries wait.
    pub(super) fn is_for_alerts(self) -> bool {
        matches!(self, Scope::Alerts(_))
    }

    /// Until when something waits; `None` where nothing does.
    pub(super) fn until(self) -> Option<Timestamp> {
        match self {
            Scope::Everything => None,
            Scope::Alerts(until) | Scope::Nothing(until) => Some(until),
        }
    }
}

/// How it stands, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetReport {
    /// Bytes that may be sent and received in a day; `null`: as many as one likes.
    pub bytes_per_day: Option<u64>,
    /// Bytes of today, as far as HTTP shows them.
    pub spent_today: u64,
    /// Why summaries wait: `hours`, `bytes`, or `null` where they do not.
    pub waits_for: Option<&'static str>,
    /// Until then, RFC 3339.
    pub until: Option<String>,
}

/// The budget of one output, and what was spent of it.
#[derive(Clone, Debug)]
pub struct Purse {
    budget: Budget,
    zone: TimeZone,
    spent: Spent,
    /// Since when the clock has said a day before the one that was spent on last, by that clock: one that is set meanwhile, and
    /// is behind still, gives the day a purse too early, and no more.
    behind: Option<Timestamp>,
}

impl Purse {
    /// A purse from which so much was taken already.
    pub fn new(budget: Budget, spent: Spent) -> Purse {
        let zone = TimeZone::get(&budget.zone).unwrap_or(TimeZone::UTC);
        Purse { budget, zone, spent, behind: None }
    }

    /// Takes `bytes` that were sent or received at `now`: what was spent today.
    pub fn spend(&mut self, now: Timestamp, bytes: u64) -> Spent {
        self.turn(now);
        self.spent.bytes += bytes;
        self.spent
    }

    /// What may be sent now.
    pub fn scope(&mut self, now: Timestamp) -> Scope {
        self.turn(now);
        let here = self.local(now);
        let tomorrow = || start_of(&here, here.date().tomorrow().unwrap_or(here.date()));
        let spent =
            |part: u64| self.budget.bytes_per_day.is_some_and(|max| self.spent.bytes >= part.min(max));
        let max = self.budget.bytes_per_day.unwrap_or(u64::MAX);
        if spent(max) {
            return Scope::Nothing(tomorrow());
        }
        // Tomorrow they may still have to wait for their hours; then it is asked again.
        if spent(for_summaries(max)) {
            return Scope::Alerts(tomorrow());
        }
        match self.budget.hours {
            Some((from, until)) if !is_within(here.time(), from, until) => Scope::Alerts(next(&here, from)),
            _ => Scope::Everything,
        }
    }

    /// How it stands.
    pub fn report(&mut self, now: Timestamp) -> BudgetReport {
        let scope = self.scope(now);
        let until = scope.until();
        let max = self.budget.bytes_per_day;
        let spent = self.for_summaries().is_some_and(|max| self.spent.bytes >= max);
        BudgetReport {
            bytes_per_day: max,
            spent_today: self.spent.bytes,
            waits_for: until.map(|_| if spent { "bytes" } else { "hours" }),
            until: until.map(|until| until.to_string()),
        }
    }

    /// The bytes that summaries may take in a day.
    pub fn for_summaries(&self) -> Option<u64> {
        self.budget.bytes_per_day.map(for_summaries)
    }

    /// How many bytes what is in this scope may still take.
    pub fn left(&self, scope: Scope) -> u64 {
        let Some(max) = self.budget.bytes_per_day else { return u64::MAX };
        let part = if scope == Scope::Everything { for_summaries(max) } else { max };
        part.saturating_sub(self.spent.bytes)
    }

    /// A new day begins with a full purse. A machine without a clock starts in an old one, which is none; where the clock stays there
    /// for a day, it was wrong before.
    fn turn(&mut self, now: Timestamp) {
        let day = day_of(self.local(now).date());
        let begins = match day.cmp(&self.spent.day) {
            Ordering::Greater => true,
            Ordering::Equal => {
                self.behind = None;
                false
            }
            Ordering::Less => {
                // Set back once more: it is counted from there.
                let since = self.behind.filter(|since| *since <= now).unwrap_or(now);
                self.behind = Some(since);
                now.duration_since(since).unsigned_abs() >= DAY
            }
        };
        if begins {
            (self.spent, self.behind) = (Spent { day, bytes: 0 }, None);
        }
    }

    fn local(&self, now: Timestamp) -> Zoned {
        now.to_zoned(self.zone.clone())
    }
}

fn for_summaries(bytes_per_day: u64) -> u64 {
    bytes_per_day - bytes_per_day / ALERTS_SHARE
}

fn day_of(date: Date) -> i32 {
    let since = date.duration_since(Date::constant(1970, 1, 1));
    i32::try_from(since.as_secs().div_euclid(SignedDuration::from_hours(24).as_secs())).unwrap_or(i32::MAX)
}

/// Whether a time of day lies in hours that may go over midnight.
fn is_within(time: Time, from: Time, until: Time) -> bool {
    if from < until { (from..until).contains(&time) } else { time >= from || time < until }
}

/// When it is next that time of day. Where a day has no such time (clocks are put forward), shortly after.
fn next(here: &Zoned, time: Time) -> Timestamp {
    let today = here.date().to_datetime(time).to_zoned(here.time_zone().clone());
    match today {
        Ok(today) if today > *here => today.timestamp(),
        _ => {
            let tomorrow = here.date().tomorrow().unwrap_or(here.date()).to_datetime(time);
            tomorrow
                .to_zoned(here.time_zone().clone())
                .map_or(here.timestamp() + 24.hours(), |at| at.timestamp())
        }
    }
}

fn start_of(here: &Zoned, date: Date) -> Timestamp {
    let start = date.to_zoned(here.time_zone().clone());
    start.map_or(here.timestamp() + 24.hours(), |at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purse(bytes_per_day: Option<u64>, hours: Option<(&str, &str)>) -> Purse {
        let time = |text: &str| text.parse::<Time>().unwrap();
        let hours = hours.map(|(from, until)| (time(from), time(until)));
        let budget = Budget { bytes_per_day, hours, newest: false, zone: "Europe/Amsterdam".into() };
        Purse::new(budget, Spent::default())
    }

    fn at(text: &str) -> Timestamp {
        format!("{text}[Europe/Amsterdam]").parse::<Zoned>().unwrap().timestamp()
    }

    #[test]
    fn bytes_of_a_day() {
        let mut purse = purse(Some(1_000), None);
        let noon = at("2026-11-22T12:00");
        let midnight = at("2026-11-23T00:00");
        assert_eq!(purse.scope(noon), Scope::Everything);
        assert_eq!(purse.spend(noon, 899).bytes, 899);
        assert_eq!(purse.scope(noon), Scope::Everything);
        purse.spend(noon, 1);
        assert_eq!(purse.scope(noon), Scope::Alerts(midnight), "a tenth is for alerts");
        purse.spend(noon, 200);
        assert_eq!(purse.scope(noon), Scope::Nothing(midnight));
        assert_eq!(purse.report(noon).waits_for, Some("bytes"));
        assert_eq!(purse.scope(midnight), Scope::Everything);
        assert_eq!(purse.spend(midnight, 5), Spent { day: 20_780, bytes: 5 });
        assert_eq!((purse.left(Scope::Everything), purse.left(Scope::Alerts(midnight))), (895, 995));
    }

    #[test]
    fn what_was_spent_before_a_restart_is_spent() {
        let before = Spent { day: 20_779, bytes: 900 };
        let again = |before, now| {
            let budget = purse(Some(1_000), None).budget;
            Purse::new(budget, before).scope(at(now))
        };
        assert!(matches!(again(before, "2026-11-22T12:00"), Scope::Alerts(_)));
        assert_eq!(again(before, "2026-11-23T12:00"), Scope::Everything);
        assert!(
            matches!(again(before, "1970-01-01T12:00"), Scope::Alerts(_)),
            "a clock that was not set yet"
        );
    }

    /// A purse that was spent on in a future that was none would stay empty until then.
    #[test]
    fn a_clock_that_stays_behind_was_wrong_before() {
        let budget = purse(Some(1_000), None).budget;
        let mut purse = Purse::new(budget, Spent { day: 30_000, bytes: 1_000 });
        let nothing = |scope| matches!(scope, Scope::Nothing(_));
        assert!(nothing(purse.scope(at("2026-11-22T12:00"))));
        assert!(nothing(purse.scope(at("2026-11-23T11:59"))));
        assert!(nothing(purse.scope(at("2026-11-20T12:00"))), "set back: counted from there");
        assert!(nothing(purse.scope(at("2026-11-21T11:59"))));
        assert_eq!(purse.scope(at("2026-11-21T12:00")), Scope::Everything);
        assert_eq!(purse.spend(at("2026-11-21T12:00"), 5), Spent { day: 20_778, bytes: 5 });
    }

    #[test]
    fn hours_of_a_day() {
        let check =
            |hours, now, expected| assert_eq!(purse(None, Some(hours)).scope(at(now)), expected, "{now}");
        let night = ("01:00", "05:00");
        check(night, "2026-11-22T00:59", Scope::Alerts(at("2026-11-22T01:00")));
        check(night, "2026-11-22T01:00", Scope::Everything);
        check(night, "2026-11-22T04:59:59", Scope::Everything);
        check(night, "2026-11-22T05:00", Scope::Alerts(at("2026-11-23T01:00")));
        let over_midnight = ("22:00", "06:00");
        check(over_midnight, "2026-11-22T23:00", Scope::Everything);
        check(over_midnight, "2026-11-22T05:00", Scope::Everything);
        check(over_midnight, "2026-11-22T12:00", Scope::Alerts(at("2026-11-22T22:00")));
        // 02:30 is not there when clocks are put forward: an hour later by the clock that is.
        check(("02:30", "05:00"), "2026-03-29T01:00", Scope::Alerts(at("2026-03-29T03:30")));
    }

    #[test]
    fn both() {
        let mut purse = purse(Some(1_000), Some(("01:00", "05:00")));
        let night = at("2026-11-22T02:00");
        purse.spend(night, 950);
        assert_eq!(purse.scope(night), Scope::Alerts(at("2026-11-23T00:00")));
        assert_eq!(purse.scope(at("2026-11-23T00:00")), Scope::Alerts(at("2026-11-23T01:00")));
        assert_eq!(purse.report(at("2026-11-23T00:00")).waits_for, Some("hours"));
    }
}
