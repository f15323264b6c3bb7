//! Clocks of sensors that know no time of day: what their uptime means, learnt from when messages arrive.
//!
//! A device counts ticks since its boot. A message that it sends at an uptime of `x` arrives at `y`, which is later than
//! it was sent by some delay, never earlier. So each `y - x` is the offset of the device's clock plus a delay, and the
//! least of them comes nearest to the offset: the minimum filter of NTP (RFC 5905, section 10) and of V. Paxson, "On
//! Calibrating Measurements of Packet Transit Times" (SIGMETRICS 1998), section 4. How fast the offset changes, the drift,
//! is the slope of the line that lies below all of them and nearest: S. Moon, P. Skelly, D. Towsley, "Estimation and
//! Removal of Clock Skew from Network Delay Measurements" (INFOCOM 1999).
//!
//! What cannot be seen from one side only: the least delay of the way is taken for a part of the offset, so all times are
//! later than the truth by it. And the first message of a boot is taken to have come without delay.
//!
//! A message that waited for hours moves nothing: earlier ones, and the most that a clock can drift since, say that it was
//! late. That is what brings queued readings to their places after an outage.

mod envelope;
mod fit;
mod known;
#[cfg(test)]
mod simulation;

use crate::limits::BOOTS_MAX;
use crate::time::{Span, Time};
pub use known::Sender;
pub(crate) use known::shown;

use envelope::Envelope;
use fit::Drift;
use serde::{Deserialize, Serialize};

/// The longest uptime, in microseconds: 285 years.
pub const UPTIME_MAX: i64 = 1 << 53;

/// How the uptime in a payload is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TickUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds. A counter of 32 bits, which begins anew after 49.7 days, is followed.
    Millis,
    /// Microseconds. A counter of 32 bits would begin anew every 72 minutes: it has to be of 64.
    Micros,
}

impl TickUnit {
    /// Its length.
    pub const fn span(self) -> Span {
        match self {
            TickUnit::Seconds => Span::from_secs(1),
            TickUnit::Millis => Span::from_millis(1),
            TickUnit::Micros => Span(1),
        }
    }
}

/// A message's place on the clock of its sender: what a [`Clock`] learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The boot that the uptime counts from.
    pub boot: u64,
    /// The uptime at sending, in microseconds.
    pub uptime: i64,
    /// When it arrived.
    pub arrival: Time,
}

/// What is known of one device's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// The last few boots, the latest begun last.
    boots: Vec<Boot>,
    /// How finely it counts.
    resolution: Span,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Boot {
    id: u64,
    /// The greatest uptime, and when that arrived.
    latest: (i64, Time),
    envelope: Envelope,
}

/// How a device's clock stands to ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Of its latest boot.
    pub boot: u64,
    /// When that was: the moment of uptime 0, by the present line.
    pub booted: Time,
    /// By how much our clock gains on its, in parts per million.
    pub drift_ppm: f64,
    /// How far the time of what it sends now can be off, beyond the least delay of the way.
    pub uncertainty: Span,
    /// When it was heard last.
    pub heard: Time,
    /// Its uptime then, in microseconds.
    pub uptime: i64,
}

impl Clock {
    /// A device that was not heard yet, whose clock counts in steps of `resolution`.
    pub fn new(resolution: Span) -> Clock {
        Clock { boots: Vec::new(), resolution }
    }

    /// Learns from a message. The same ticks in the same order give the same clock.
    pub fn note(&mut self, tick: &Tick) {
        let uptime = tick.uptime.clamp(0, UPTIME_MAX);
        let boot = match self.boots.iter().rposition(|boot| boot.id == tick.boot) {
            Some(at) => &mut self.boots[at],
            None => self.booted(tick.boot, (uptime, tick.arrival)),
        };
        boot.latest = boot.latest.max((uptime, tick.arrival));
        boot.envelope.note(uptime, tick.arrival);
    }

    /// The gateway's clock was set by `step`: what arrived did so at other times.
    pub(crate) fn shift(&mut self, step: Span) {
        for boot in &mut self.boots {
            boot.latest.1 = boot.latest.1.plus(step);
            boot.envelope.shift(step);
        }
    }

    /// The same quartz counts on: what is known of its drift stays.
    fn booted(&mut self, id: u64, latest: (i64, Time)) -> &mut Boot {
        let drift = self.boots.last().map_or(Drift::UNKNOWN, |boot| boot.envelope.drift().of_another_boot());
        if self.boots.len() == BOOTS_MAX {
            self.boots.remove(0);
        }
        let at = self.boots.len();
        self.boots.push(Boot { id, latest, envelope: Envelope::new(drift) });
        &mut self.boots[at]
    }

    /// The moment that an uptime of a boot means, as `arrival` shows it: nothing was taken after it arrived. `None` when
    /// nothing came of that boot.
    pub fn time(&self, boot: u64, uptime: i64, arrival: Time) -> Option<Time> {
        Some(self.find(boot)?.envelope.time(uptime).min(arrival))
    }

    /// How far [`Clock::time`] can be off, beyond the least delay of the way.
    pub fn uncertainty(&self, boot: u64, uptime: i64) -> Option<Span> {
        let uncertainty = self.find(boot)?.envelope.uncertainty(uptime);
        Some(Span(uncertainty.0.saturating_add(self.resolution.0)))
    }

    /// The uptime in milliseconds of a counter that may have 32 bits only: `count`, or what is nearest to where the
    /// counter has to be by now and has the same 32 bits. A message may be late by 24 days for that.
    pub fn unwrap_millis(&self, boot: u64, count: u64, arrival: Time) -> u64 {
        const WRAP: u64 = 1 << 32;
        let Some(boot) = self.find(boot).filter(|_| count < WRAP) else { return count };
        let (uptime, at) = boot.latest;
        let expected = uptime.saturating_add(arrival.since(at).0).max(0) as u64 / 1_000;
        let wraps = (expected.saturating_sub(count) + WRAP / 2) / WRAP;
        count + wraps * WRAP
    }

    /// When it was heard last.
    pub fn heard(&self) -> Time {
        self.boots.iter().map(|boot| boot.latest.1).max().unwrap_or(Time::MIN)
    }

    /// How the clock of the latest boot stands to ours.
    pub fn estimate(&self) -> Option<Estimate> {
        let boot = self.boots.last()?;
        let (uptime, heard) = boot.latest;
        Some(Estimate {
            boot: boot.id,
            booted: boot.envelope.time(0),
            drift_ppm: boot.envelope.drift().slope * 1e6,
            uncertainty: self.uncertainty(boot.id, uptime)?,
            heard,
            uptime,
        })
    }

    fn find(&self, boot: u64) -> Option<&Boot> {
        self.boots.iter().rev().find(|known| known.id == boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_341_600_000_000;

    fn clock(ticks: &[(u64, i64, i64)]) -> Clock {
        let mut clock = Clock::new(Span::from_millis(1));
        for (boot, uptime_ms, arrival_ms) in ticks {
            let arrival = Time(START + arrival_ms * 1_000);
            clock.note(&Tick { boot: *boot, uptime: uptime_ms * 1_000, arrival });
        }
        clock
    }

    /// What the uptime of a boot means, in ms since the start.
    fn check(ticks: &[(u64, i64, i64)], (boot, uptime_ms): (u64, i64), expected: Option<i64>) {
        let time = clock(ticks).time(boot, uptime_ms * 1_000, Time::MAX);
        assert_eq!(time.map(|time| (time.0 - START).div_euclid(1_000)), expected, "{ticks:?}");
    }

    #[test]
    fn a_table() {
        // The first message is taken to have come without delay.
        check(&[(1, 5_000, 0)], (1, 4_000), Some(-1_000));
        check(&[(1, 5_000, 0)], (2, 4_000), None);
        // One that came quicker says what the delay of the first was.
        check(&[(1, 5_000, 900), (1, 6_000, 1_000)], (1, 5_000), Some(0));
        // One that was slower says nothing.
        check(&[(1, 5_000, 0), (1, 6_000, 1_900)], (1, 6_000), Some(1_000));
        // It waited for an hour.
        check(&[(1, 5_000, 0), (1, 6_000, 3_600_000)], (1, 6_000), Some(1_000));
        // The first of another boot waited too, until there was a quick one.
        check(&[(1, 5_000, 0), (2, 1_000, 9_000)], (2, 0), Some(8_000));
        check(&[(2, 1_000, 9_000), (2, 2_000, 3_000)], (2, 0), Some(1_000));
        // Boots do not mix, and an earlier one is still known.
        check(&[(1, 5_000, 0), (2, 1_000, 9_000), (1, 6_000, 9_000)], (1, 6_000), Some(1_000));
        // Four are.
        check(&[(1, 0, 0), (2, 0, 10), (3, 0, 20), (4, 0, 30)], (1, 7), Some(7));
        check(&[(1, 0, 0), (2, 0, 10), (3, 0, 20), (4, 0, 30), (5, 0, 40)], (1, 7), None);
        // What cannot be.
        check(&[(1, -5, 0)], (1, 0), Some(0));
    }

    #[test]
    fn drift_is_learnt_and_kept_by_the_next_boot() {
        // Our clock gains 100 ppm on the device's: 6 ms a minute.
        let hour: Vec<_> = (0..60).map(|n| (1, n * 60_000, n * 60_006)).collect();
        let estimate = clock(&hour).estimate().unwrap();
        assert!((estimate.drift_ppm - 100.0).abs() < 3.0, "{estimate:?}");
        assert_eq!((estimate.boot, estimate.heard), (1, Time(START + 59 * 60_006_000)));
        let mut again = hour.clone();
        again.push((2, 0, 4_000_000));
        let next = clock(&again).estimate().unwrap();
        assert_eq!((next.boot, next.drift_ppm), (2, estimate.drift_ppm));
        // An hour later the one and only message of that boot still says the time to a few ms: 98.4 of the 100 ppm.
        check(&again, (2, 3_600_000), Some(4_000_000 + 3_600_354));
    }

    #[test]
    fn a_counter_of_32_bits_goes_on() {
        const WRAP: i64 = 1 << 32;
        let check = |known_ms: i64, count: u64, later_ms: i64, expected: u64| {
            let clock = clock(&[(1, known_ms, 0)]);
            let arrival = Time(START + later_ms * 1_000);
            assert_eq!(clock.unwrap_millis(1, count, arrival), expected, "{known_ms} {count} {later_ms}");
        };
        check(1_000, 2_000, 1_000, 2_000);
        check(WRAP - 1_000, 0, 1_000, 1 << 32);
        check(WRAP - 1_000, 500, 90_000_000, (1 << 32) + 500);
        // Queued before the counter began anew, come after it.
        check(WRAP + 1_000, (1 << 32) - 10, 0, (1 << 32) - 10);
        // Silent for two rounds.
        check(1_000, 1_000, 2 * WRAP + 100, (2 << 32) + 1_000);
        // A wider counter is left alone.
        check(1_000, (1 << 32) + 5, 0, (1 << 32) + 5);
        check(1_000, u64::MAX, i64::MAX / 2_000, u64::MAX);
        assert_eq!(clock(&[]).unwrap_millis(1, 7, Time(0)), 7);
    }
}
