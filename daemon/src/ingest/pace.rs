//! Pace: when to commit. Pure: time is an argument.
//!
//! A commit costs a fixed number of flash bytes, so fewer are cheaper; but senders wait for acknowledgements. So a commit
//! comes when the input pauses, when it has gone on for an interval, or at once when a sender cannot go on without it.
//! A budget of flash bytes a day stretches the spacing between commits that are not urgent.

use std::time::{Duration, Instant};

/// A pause in the input of this length is worth a commit.
pub const PAUSE: Duration = Duration::from_millis(15);
/// Whoever has sent many messages and then nothing for this long may be waiting for us, whatever the budget says.
const STALL: Duration = Duration::from_millis(500);
/// So many are many: what brokers with MQTT 3.1.1 have in flight.
pub const MANY: u32 = 16;
/// The flash budget never delays an acknowledgement by more.
pub const SPACING_MAX: Duration = Duration::from_secs(2);
/// How much unspent budget can be saved up.
const SAVINGS: Duration = Duration::from_secs(20);

/// What has been waiting since when, and what commits have cost.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    /// Bytes a second.
    budget: f64,
    /// Unspent bytes; negative when overspent.
    savings: f64,
    savings_at: Instant,
    /// Bytes written since the start, as of the last commit.
    written: u64,
    last_commit: Instant,
    first: Option<Instant>,
    latest: Instant,
    urgent: bool,
    many: bool,
}

impl Pace {
    /// Nothing waits; the savings are full.
    pub fn new(interval: Duration, flash_bytes_per_day: u64, now: Instant) -> Pace {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let budget = flash_bytes_per_day as f64 / 86_400.0;
        Pace {
            interval,
            budget,
            savings: budget * SAVINGS.as_secs_f64(),
            savings_at: now,
            written: 0,
            last_commit: now,
            first: None,
            latest: now,
            urgent: false,
            many: false,
        }
    }

    /// Something came that must be committed some time.
    pub fn arrived(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.latest = now;
    }

    /// Many messages of one sender wait.
    pub fn many(&mut self) {
        self.many = true;
    }

    /// Something came that must be committed at once.
    pub fn urge(&mut self, now: Instant) {
        self.arrived(now);
        self.urgent = true;
    }

    /// When to commit; `None` while nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        let first = self.first?;
        if self.urgent {
            return Some(first);
        }
        let wanted = (self.latest + PAUSE).min(first + self.interval);
        let spaced =
            wanted.max(self.last_commit + self.spacing()).min(first + SPACING_MAX.max(self.interval));
        Some(if self.many { spaced.min(self.latest + STALL) } else { spaced })
    }

    /// A commit is done; `written` is how many bytes were written since the start.
    pub fn committed(&mut self, now: Instant, written: u64) {
        let earned = self.budget * now.saturating_duration_since(self.savings_at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "an amount")]
        let spent = written.saturating_sub(self.written) as f64;
        self.written = written;
        let most = self.budget * SAVINGS.as_secs_f64();
        // A debt is bounded too, or one burst would slow commits for hours.
        self.savings = (self.savings + earned - spent).clamp(-most, most);
        self.savings_at = now;
        self.last_commit = now;
        self.first = None;
        (self.urgent, self.many) = (false, false);
    }

    /// Whether more flash is written than the budget allows, on the average of the last minutes.
    pub fn is_overspent(&self) -> bool {
        self.savings <= -self.budget * SAVINGS.as_secs_f64() / 2.0
    }

    /// The least time between commits that are not urgent: until the debt is paid.
    fn spacing(&self) -> Duration {
        if self.savings >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-self.savings / self.budget).unwrap_or(SPACING_MAX).min(SPACING_MAX)
    }
}

/// Learns how many messages a sender sends without an acknowledgement. Brokers with MQTT 3.1.1 do not say (mosquitto: 20),
/// and simple sensors wait after each one. Who stops at the same number again and again, and goes on as soon as he is
/// acknowledged, was waiting for us.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// At how many unacknowledged messages the sender stops.
    most: u32,
    /// How often that was seen in a row.
    seen: u8,
    /// It had stopped at so many when it was acknowledged, at this time.
    stopped: Option<(u32, Instant)>,
}

/// A sender that was waiting for an acknowledgement goes on within this time.
const PROMPT: Duration = Duration::from_millis(40);
/// So often makes it a habit.
const HABIT: u8 = 3;

impl Window {
    /// Messages came: `waiting` are unacknowledged now. True when the sender probably waits for us.
    pub fn arrived(&mut self, waiting: u32, now: Instant) -> bool {
        if let Some((stopped, at)) = self.stopped.take() {
            if now.saturating_duration_since(at) > PROMPT {
                self.seen = 0;
            } else if stopped == self.most {
                self.seen = self.seen.saturating_add(1);
            } else if stopped > self.most || self.seen < HABIT {
                (self.most, self.seen) = (stopped, 1);
            }
        }
        self.seen >= HABIT && waiting >= self.most
    }

    /// Acknowledged: `waiting` were unacknowledged. `paused`: nothing had come for a while before.
    pub fn acknowledged(&mut self, waiting: u32, paused: bool, now: Instant) {
        self.stopped = (paused && waiting > 0).then_some((waiting, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const GENEROUS: u64 = 1 << 40;

    fn pace(budget: u64) -> (Pace, Instant) {
        let start = Instant::now();
        (Pace::new(250 * MS, budget, start), start)
    }

    #[test]
    fn commits_at_a_pause_or_after_the_interval() {
        let (mut pace, start) = pace(GENEROUS);
        assert_eq!(pace.deadline(), None);
        pace.arrived(start);
        assert_eq!(pace.deadline(), Some(start + PAUSE));
        for n in 1..100 {
            pace.arrived(start + 10 * n * MS);
        }
        assert_eq!(pace.deadline(), Some(start + 250 * MS));
        pace.committed(start + 250 * MS, 30_000);
        assert_eq!(pace.deadline(), None);
    }

    #[test]
    fn urgent_is_at_once() {
        let (mut pace, start) = pace(1);
        pace.committed(start, 1 << 30);
        pace.arrived(start + MS);
        assert!(pace.deadline() > Some(start + 10 * MS));
        pace.urge(start + 2 * MS);
        assert!(pace.deadline() <= Some(start + 2 * MS));
    }

    /// Two readings a second for a day: what is written keeps to the budget, and no reading waits longer than promised.
    #[test]
    fn keeps_to_the_budget() {
        const COMMIT_BYTES: u64 = 32_000;
        let budget = 2_000_000_000;
        let (mut pace, start) = pace(budget);
        let (mut written, mut longest) = (0, Duration::ZERO);
        let mut waiting: Option<Instant> = None;
        for tick in 0..(86_400 * 100) {
            let now = start + 10 * tick * MS;
            if tick % 50 == 0 {
                pace.arrived(now);
                waiting.get_or_insert(now);
            }
            if pace.deadline().is_some_and(|deadline| deadline <= now) {
                longest = longest.max(now - waiting.take().unwrap());
                written += COMMIT_BYTES;
                pace.committed(now, written);
            }
        }
        assert!(written <= budget + budget / 50, "{written}");
        assert!(longest <= SPACING_MAX + 20 * MS, "{longest:?}");
    }

    #[test]
    fn learns_a_senders_window() {
        let start = Instant::now();
        let mut window = Window::default();
        let mut now = start;
        let mut urgent = 0;
        for _ in 0..10 {
            urgent += u32::from(window.arrived(20, now));
            now += 20 * MS;
            window.acknowledged(20, true, now);
            now += MS;
        }
        assert!(urgent >= 5, "a sender that waits for us is not kept waiting: {urgent}");
        // A slow sensor is not waiting for us: its next message comes when it comes.
        let mut window = Window::default();
        for _ in 0..10 {
            assert!(!window.arrived(1, now));
            now += 20 * MS;
            window.acknowledged(1, true, now);
            now += 500 * MS;
        }
    }
}
