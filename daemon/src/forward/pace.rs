//! How many events one attempt may hold. Pure.
//!
//! Grows and shrinks as TCP does (slow start and congestion avoidance, RFC 5681 §3.1): doubling up to `steady`, then by
//! small steps, because a size that was once too large is likely to be so again.

use crate::limits;

/// The size of the next batch, and what is known about batches.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    max: usize,
    size: usize,
    steady: usize,
    /// So many events at the head of the queue hold one that was refused.
    doubtful: usize,
    /// Batches that the function failed on, with none taken in between.
    batch_failures: u32,
    /// Single events still to be taken before a batch is tried again.
    singles: u32,
    /// How many that will be the next time.
    singles_next: u32,
}

impl Pace {
    pub(super) fn new(max: usize) -> Pace {
        let max = max.max(1);
        Pace {
            max,
            size: max,
            steady: max,
            doubtful: 0,
            batch_failures: 0,
            singles: 0,
            singles_next: limits::SINGLES_MIN,
        }
    }

    pub(super) fn events_max(&self) -> usize {
        match self.doubtful {
            _ if self.single() || self.batch_failures >= limits::FAILURES_MAX => 1,
            0 => self.size,
            doubtful => (doubtful / 2).clamp(1, self.size),
        }
    }

    /// Whether the function is known to fail on batches and to take single events.
    pub(super) fn single(&self) -> bool {
        self.singles > 0
    }

    /// Whether one among so many at the head of the queue is looked for.
    pub(super) fn doubts(&self) -> bool {
        self.doubtful > 0
    }

    /// Whether nothing is known against sending as much as this.
    pub(super) fn is_calm(&self) -> bool {
        !self.doubts() && !self.single() && self.batch_failures == 0
    }

    /// So many were taken.
    pub(super) fn accepted(&mut self, events: usize) {
        self.doubtful = self.doubtful.saturating_sub(events);
        if events == self.size {
            let step = if self.size < self.steady { self.size } else { self.max.div_ceil(64) };
            let bound = if self.size < self.steady { self.steady } else { self.max };
            self.size = (self.size + step).min(bound);
        }
        match events {
            1 if self.single() => self.singles -= 1,
            1 if self.batch_failures >= limits::FAILURES_MAX => {
                self.singles = self.singles_next;
                self.singles_next = (self.singles_next * 2).min(limits::SINGLES_MAX);
                // The next batch that fails leads straight back here.
                self.batch_failures = limits::FAILURES_MAX - 1;
            }
            1 => {}
            _ => {
                self.batch_failures = 0;
                self.singles_next = limits::SINGLES_MIN;
            }
        }
    }

    /// The function failed on so many, without saying that any of them is bad.
    pub(super) fn failed(&mut self, events: usize) {
        if events > 1 {
            self.batch_failures = self.batch_failures.saturating_add(1);
        }
    }

    /// So many were too much at once. More than one.
    pub(super) fn too_large(&mut self, events: usize) {
        self.steady = (events / 2).max(1);
        self.size = self.steady;
    }

    /// Something among so many was refused.
    pub(super) fn refused(&mut self, events: usize) {
        if events > 1 {
            self.doubtful = events;
        } else {
            self.doubtful = 0;
            // Where one is bad, so may be the next, up to all of them: go on by one and grow with each success.
            self.size = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_was_too_large_is_approached_slowly() {
        let mut pace = Pace::new(512);
        pace.too_large(512);
        assert_eq!(pace.events_max(), 256);
        pace.accepted(256);
        assert_eq!(pace.events_max(), 264);
        pace.accepted(100);
        assert_eq!(pace.events_max(), 264, "a batch that was not full proves nothing");
        for _ in 0..100 {
            pace.accepted(pace.events_max());
        }
        assert_eq!(pace.events_max(), 512);
        for _ in 0..12 {
            pace.too_large(pace.events_max().max(2));
        }
        assert_eq!(pace.events_max(), 1);
    }

    #[test]
    fn a_refused_event_is_found_by_halving() {
        for bad in [1, 2, 250, 251, 499, 500] {
            let mut pace = Pace::new(500);
            let (mut done, mut requests) = (0, 0);
            loop {
                let sent = pace.events_max().min(500 - done);
                requests += 1;
                if done < bad && bad <= done + sent {
                    pace.refused(sent);
                    if sent == 1 {
                        break;
                    }
                } else {
                    done += sent;
                    pace.accepted(sent);
                }
            }
            assert_eq!(done + 1, bad);
            assert!(requests <= 18, "{requests} requests to find event {bad}");
            assert_eq!(pace.events_max(), 1);
            pace.accepted(1);
            pace.accepted(2);
            assert_eq!(pace.events_max(), 4);
        }
    }

    #[test]
    fn a_function_that_fails_on_batches_gets_single_events_for_a_while() {
        let mut pace = Pace::new(100);
        let rounds = [10, 20, 40];
        for (round, singles) in rounds.into_iter().enumerate() {
            for _ in 0..if round == 0 { 3 } else { 1 } {
                assert_eq!(pace.events_max(), 100);
                pace.failed(100);
            }
            assert_eq!((pace.events_max(), pace.single()), (1, false));
            pace.failed(1);
            assert_eq!(pace.events_max(), 1, "a probe that fails says nothing");
            pace.accepted(1);
            for _ in 0..singles {
                assert_eq!((pace.events_max(), pace.single()), (1, true));
                pace.accepted(1);
            }
        }
        pace.accepted(100);
        pace.failed(100);
        pace.failed(100);
        assert_eq!(
            (pace.events_max(), pace.single()),
            (100, false),
            "a batch that is taken clears the record"
        );
    }
}
