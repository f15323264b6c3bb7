//! How long to wait before the next attempt: exponential back-off with jitter. No clock, no randomness of its own.

use crate::limits;
use std::time::{Duration, Instant};

/// The bounds between which waits grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The shortest wait.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Retry {
    /// The bounds of [`limits`].
    fn default() -> Retry {
        Retry { min: limits::RETRY_MIN, max: limits::RETRY_MAX }
    }
}

/// What the state machine may not find out for itself.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time, monotonic.
    pub now: Instant,
    /// A random number, at least 0 and below 1.
    pub chance: f64,
}

impl Retry {
    /// The wait after so many failures in a row (1 or more): evenly spread between `min` and a ceiling that doubles
    /// with each failure up to `max` ("full jitter", Brooker, "Exponential Backoff And Jitter", 2015; the floor is
    /// ours, so that a closed port is never hammered).
    pub fn wait(self, failures: u32, chance: f64) -> Duration {
        let doubled = self.min.saturating_mul(1 << failures.min(24));
        let ceiling = doubled.min(self.max).max(self.min);
        self.min + (ceiling - self.min).mul_f64(chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_maximum() {
        let retry = Retry { min: Duration::from_millis(200), max: Duration::from_secs(60) };
        let check = |failures, chance, millis| {
            assert_eq!(
                retry.wait(failures, chance),
                Duration::from_millis(millis),
                "failures {failures}, chance {chance}"
            );
        };
        check(0, 1.0, 200);
        check(1, 0.0, 200);
        check(1, 0.5, 300);
        check(1, 1.0, 400);
        check(3, 1.0, 1_600);
        check(8, 1.0, 51_200);
        check(9, 1.0, 60_000);
        check(u32::MAX, 1.0, 60_000);
        check(u32::MAX, 0.0, 200);
    }

    #[test]
    fn bounds_the_wrong_way_round_do_no_harm() {
        let retry = Retry { min: Duration::from_secs(9), max: Duration::from_secs(1) };
        assert_eq!(retry.wait(5, 0.7), Duration::from_secs(9));
    }
}
