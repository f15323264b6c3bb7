//! How long to wait before the next attempt.

use crate::limits::{RETRY_MAX, RETRY_MIN};
use std::time::Duration;

/// Exponential back-off with full jitter, never below `RETRY_MIN`: a broker that comes back is not met by all its
/// clients at once, and one that fails at once is not spun on.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next attempt, after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let ceiling = RETRY_MAX.min(RETRY_MIN.saturating_mul(1 << self.failures.min(16)));
        self.failures = self.failures.saturating_add(1);
        RETRY_MIN + ceiling.saturating_sub(RETRY_MIN).mul_f64(fastrand::f64())
    }

    /// All is well: the next failure is the first.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_maximum_and_starts_over() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(), RETRY_MIN);
        let waits: Vec<Duration> = (0..1_000).map(|_| backoff.next()).collect();
        assert!(waits.iter().all(|wait| (RETRY_MIN..=RETRY_MAX).contains(wait)));
        assert!(waits.iter().any(|wait| *wait > RETRY_MAX / 2));
        backoff.reset();
        assert_eq!(backoff.next(), RETRY_MIN);
    }
}
