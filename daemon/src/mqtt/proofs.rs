//! What the other end of a connection is known to have read of our acknowledgements: what it has read, and has had time to save,
//! does not come again.

use crate::limits::SETTLED_AFTER;
use std::collections::VecDeque;
use tokio::time::Instant;

/// Acknowledgements of one connection, counted in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    written: u64,
    /// By question without an answer: how many had been written before it.
    asked: VecDeque<u64>,
    /// By answer: how many it has read, and when those are settled.
    read: VecDeque<(Instant, u64)>,
    settled: Option<u64>,
}

impl Proofs {
    /// So many more were written.
    pub(super) fn wrote(&mut self, count: u64) {
        self.written += count;
    }

    /// A question was written, behind them.
    pub(super) fn ask(&mut self) {
        self.asked.push_back(self.written);
    }

    /// Whether there are some that were not asked about.
    pub(super) fn may_ask(&self) -> bool {
        self.asked.back().copied().or(self.last_read()).unwrap_or(0) < self.written
    }

    /// The first question that waited for it has its answer. Read is not yet saved: see [`SETTLED_AFTER`]. An answer that says
    /// nothing new is none, so that a connection on which nothing happens has nothing to tell.
    pub(super) fn answered(&mut self, now: Instant) {
        if let Some(read) = self.asked.pop_front()
            && Some(read) > self.last_read()
        {
            self.read.push_back((now + SETTLED_AFTER, read));
        }
    }

    /// When something more is settled.
    pub(super) fn due(&self) -> Option<Instant> {
        self.read.front().map(|(at, _)| *at)
    }

    /// All but the last so many are settled, where that is more than before.
    pub(super) fn settle(&mut self, now: Instant) -> Option<u64> {
        let over = self.read.iter().take_while(|(at, _)| *at <= now).count();
        let (_, read) = self.read.drain(..over).next_back()?;
        self.settled = Some(read);
        Some(self.written - read)
    }

    fn last_read(&self) -> Option<u64> {
        self.read.back().map(|(_, read)| *read).or(self.settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_asked_about_is_settled_a_while_after_the_answer() {
        let (now, mut proofs) = (Instant::now(), Proofs::default());
        proofs.wrote(2);
        assert!(proofs.may_ask());
        proofs.ask();
        assert!(!proofs.may_ask());
        proofs.wrote(1);
        assert!(proofs.may_ask());
        proofs.answered(now);
        assert_eq!(proofs.settle(now + SETTLED_AFTER - Duration::from_millis(1)), None);
        assert_eq!(proofs.due(), Some(now + SETTLED_AFTER));
        assert_eq!(proofs.settle(now + SETTLED_AFTER), Some(1));
        assert!(proofs.may_ask(), "of the third nobody has asked");
    }

    /// The pings of a keep-alive are questions, too. Where nothing came that is told once: what comes again would have come.
    #[test]
    fn nothing_new_is_told_once() {
        let (mut now, mut proofs) = (Instant::now(), Proofs::default());
        let mut told = Vec::new();
        for _ in 0..5 {
            proofs.ask();
            proofs.answered(now);
            now += 2 * SETTLED_AFTER;
            told.extend(proofs.settle(now));
        }
        assert_eq!(told, [0]);
    }
}
