//! The lower envelope of one boot's arrivals: a few points that were hardly late, and the line below them.
//!
//! A point says: at its uptime, the offset was at most this. Since no clock drifts by more than [`DRIFT_MAX`], it says that
//! of the uptimes around it too, less sharply. A point that says nothing which another does not say better is *covered*
//! and forgotten; that leaves the quick ones, and of an hour in a queue nothing.

use super::fit::{DRIFT_MAX, Drift, Point, drift, seconds};
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};

/// Points of one boot.
const POINTS_MAX: usize = 16;
/// One point is kept per so much uptime, at first …
const SPACING_MIN: i64 = 8_000_000;
/// … and at most, in microseconds: the points then span four to five hours that had messages in them, in which a quartz
/// keeps its temperature well enough.
const SPACING_MAX: i64 = SPACING_MIN << 7;
/// How late a usual message is taken to be before that is known, in microseconds.
const SPREAD_START: f64 = 1e6;
/// It is never taken to be less late, in microseconds.
const SPREAD_MIN: f64 = 500.0;
/// What is usual is a mean over so many messages; that start counts as this many of them.
const SPREAD_MESSAGES: u8 = 16;
const SPREAD_START_COUNTS: u8 = 4;
/// No message is later than this times the usual, as far as uncertainty is concerned: the quickest of some are less.
const LATEST: f64 = 3.0;
/// A message that is later than this times the usual was not just late: it waited, or a clock was set.
const UNUSUAL: f64 = 8.0;
/// After so long, in microseconds of both clocks, in which all messages were too late by something that drift explains, it was.
const SETTLED_AFTER: i64 = 30_000_000;
/// After so long, in microseconds of both clocks, in which all messages were equally much too late, the device's clock
/// has stood still or ours was set: as the step-out of NTP (RFC 5905, section 11.3).
const STEP_AFTER: i64 = 900_000_000;
/// A drift is off by no more than so many standard deviations, as far as uncertainty is concerned.
const SIGMAS: f64 = 3.0;

/// What is known of a boot's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// In the order of their uptimes; none covers another.
    points: Vec<Point>,
    spacing: i64,
    /// How much later than the line a usual message is, in microseconds.
    spread: f64,
    /// Over how many.
    judged: u8,
    /// What was known of the drift without the points.
    before: Drift,
    drift: Drift,
    /// The point at which the line touches.
    touch: Point,
    /// The first of those that are all much too late, by the same.
    doubt: Option<Point>,
}

impl Envelope {
    /// The gateway's clock was set by `step`: all offsets are others by that much.
    pub(super) fn shift(&mut self, step: Span) {
        let points = self.points.iter_mut().chain([&mut self.touch]).chain(self.doubt.as_mut());
        points.for_each(|point| point.offset = point.offset.saturating_add(step.0));
    }
}

impl Point {
    /// Whether this says at least as much as `other` about every uptime.
    fn covers(&self, other: &Point) -> bool {
        let apart = seconds((self.uptime - other.uptime).saturating_abs());
        seconds(other.offset.saturating_sub(self.offset)) >= DRIFT_MAX * apart
    }

    /// Its offset as it would have been at uptime 0, up to a constant.
    fn level(&self, origin: i64, slope: f64) -> f64 {
        seconds(self.offset) - slope * seconds(self.uptime - origin)
    }
}

impl Envelope {
    pub(super) fn new(before: Drift) -> Envelope {
        Envelope {
            points: Vec::new(),
            spacing: SPACING_MIN,
            spread: SPREAD_START,
            judged: SPREAD_START_COUNTS,
            before,
            drift: before,
            touch: Point { uptime: 0, offset: 0 },
            doubt: None,
        }
    }

    pub(super) fn drift(&self) -> Drift {
        self.drift
    }

    /// The moment of an uptime, in microseconds.
    pub(super) fn time(&self, uptime: i64) -> Time {
        Time(uptime.saturating_add(self.offset(uptime)))
    }

    /// How far it can be off: as late as a message can be, and more the further away the line touches.
    pub(super) fn uncertainty(&self, uptime: i64) -> Span {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and is positive")]
        Span((LATEST * self.spread + self.drifted(uptime)).ceil() as i64)
    }

    /// How far the line can have gone astray since it touched a point, in microseconds.
    fn drifted(&self, uptime: i64) -> f64 {
        let apart = seconds(uptime.saturating_sub(self.touch.uptime).saturating_abs());
        (SIGMAS * self.drift.error).min(2.0 * DRIFT_MAX) * apart
    }

    fn offset(&self, uptime: i64) -> i64 {
        let change = self.drift.slope * seconds(uptime.saturating_sub(self.touch.uptime));
        #[expect(clippy::cast_possible_truncation, reason = "saturates")]
        self.touch.offset.saturating_add(change.floor() as i64)
    }

    pub(super) fn note(&mut self, uptime: i64, arrival: Time) {
        let point = Point { uptime, offset: arrival.0.saturating_sub(uptime) };
        if !self.points.is_empty() && !self.is_usual(&point)
            || self.points.iter().any(|known| known.covers(&point))
        {
            return;
        }
        self.points.retain(|known| !point.covers(known));
        let at = self.points.partition_point(|known| known.uptime < uptime);
        self.points.insert(at, point);
        self.thin();
        self.fit();
    }

    /// Learns how late is usual, and notices when a clock was set. Says whether the line may bend to the point: to one that
    /// waited it must not, least of all where there are few others.
    fn is_usual(&mut self, point: &Point) -> bool {
        let late = seconds(point.offset.saturating_sub(self.offset(point.uptime)));
        let (usual, drifted) = (UNUSUAL * self.spread, self.drifted(point.uptime));
        if late < -usual - drifted {
            // Earlier than can be: nothing that was known still holds, except for the drift.
            self.restart(None);
            return true;
        }
        if late.abs() <= usual {
            self.judged = SPREAD_MESSAGES.min(self.judged + 1);
            let spread = self.spread + (late.abs() - self.spread) / f64::from(self.judged);
            self.spread = spread.max(SPREAD_MIN);
        }
        // After a queue even the usual is doubted: its last messages are a little late only.
        if self.doubt.is_none() && late <= LATEST * self.spread {
            return true;
        }
        let doubt = self.doubt_since(point);
        let arrived = |point: &Point| point.uptime.saturating_add(point.offset);
        let waited = (point.uptime - doubt.uptime).min(arrived(point).saturating_sub(arrived(&doubt)));
        let stepped = late > usual + drifted;
        if waited < if stepped { STEP_AFTER } else { SETTLED_AFTER } {
            return false;
        }
        self.doubt = None;
        if stepped {
            self.restart(Some(doubt));
        }
        true
    }

    /// The first point that was as late as this one. A queue that drains is less and less late, and an outage makes it later:
    /// only a clock keeps its distance.
    fn doubt_since(&mut self, point: &Point) -> Point {
        let same = |doubt: &Point| {
            let apart = DRIFT_MAX * seconds((point.uptime - doubt.uptime).saturating_abs());
            let change = seconds(point.offset.saturating_sub(doubt.offset)).abs();
            change <= UNUSUAL * self.spread + apart
        };
        let doubt = self.doubt.filter(same).unwrap_or(*point);
        self.doubt = Some(doubt);
        doubt
    }

    fn restart(&mut self, point: Option<Point>) {
        let before = self.drift.of_another_boot();
        *self = Envelope { points: point.into_iter().collect(), ..Envelope::new(before) };
        self.fit();
    }

    /// One point per spacing, the one that was least late; as many as there may be.
    fn thin(&mut self) {
        let slope = self.drift.slope;
        loop {
            let spacing = self.spacing;
            self.points.dedup_by(|next, kept| {
                let same = next.uptime / spacing == kept.uptime / spacing;
                if same && next.level(kept.uptime, slope) < kept.level(kept.uptime, slope) {
                    *kept = *next;
                }
                same
            });
            if self.points.len() <= POINTS_MAX {
                return;
            }
            if self.spacing < SPACING_MAX {
                self.spacing *= 2;
            } else {
                self.points.remove(0);
            }
        }
    }

    fn fit(&mut self) {
        let Some(last) = self.points.last().copied() else { return };
        self.drift = drift(&self.points, self.spread, self.before);
        let level = |point: &Point| point.level(last.uptime, self.drift.slope);
        let touch = self.points.iter().min_by(|a, b| level(a).total_cmp(&level(b)));
        self.touch = touch.copied().unwrap_or(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// A message a second, as late as said, in ms.
    fn after(late_ms: impl IntoIterator<Item = i64>) -> Envelope {
        let mut envelope = Envelope::new(Drift::UNKNOWN);
        for (at, late) in (0..).zip(late_ms) {
            envelope.note(at * SECOND, Time(at * SECOND + late * 1_000));
        }
        envelope
    }

    #[test]
    fn few_points_are_kept_over_hours() {
        let envelope = after((0..20_000).map(|n| n * 7 % 23));
        assert!((8..=POINTS_MAX).contains(&envelope.points.len()), "{:?}", envelope.points);
        assert_eq!(envelope.spacing, SPACING_MAX);
        assert!(envelope.spread < 15_000.0, "half of 23 ms: {}", envelope.spread);
        assert!(envelope.drift.slope.abs() < 1e-6 && envelope.drift.error <= 5e-6, "{:?}", envelope.drift);
    }

    #[test]
    fn a_queue_moves_nothing() {
        let usual = (0..1_000).map(|n| n * 7 % 23);
        let before = after(usual.clone());
        // An hour late, and the queue drains at ten times the speed.
        let queued = (0..3_600).map(|n| 3_600_000 - n * 900);
        let after = after(usual.chain(queued));
        assert_eq!(after.points, before.points);
        assert_eq!((after.spread, after.drift), (before.spread, before.drift));
    }

    #[test]
    fn a_step_is_taken_after_a_while() {
        let check = |late_ms: i64, messages: i64, expected_ms: i64| {
            let envelope = after((0..100).map(|_| 5).chain((0..messages).map(|_| late_ms)));
            let offset = envelope.offset((99 + messages) * SECOND);
            assert!((offset - expected_ms * 1_000).abs() < 1_000, "{late_ms} {messages}: {offset}");
        };
        check(3_600_000, 899, 5);
        check(3_600_000, 902, 3_600_000);
        check(-3_600_000, 1, -3_600_000);
    }
}
