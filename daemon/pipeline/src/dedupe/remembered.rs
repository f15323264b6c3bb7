//! How much is remembered only to know it again, of all senders together, and how it is made less.
//!
//! A counter remembers a thousand deliveries, and a session all that its sender may have in flight: of many senders that is
//! more than a small buffer can keep. Numbers come again soon or never, so that each counter goes on with fewer; a session
//! needs all of its own, so that those unheard for longest lose theirs.

use super::Counter;
use crate::limits::REMEMBERED_PER_COUNTER_MIN;
use crate::pipeline::Pipeline;
use crate::state::{KnownCounter, KnownSession, State};

impl Pipeline {
    /// Deliveries that are remembered to be known again, one by one. What has a bound of its own per sender whatever it sends,
    /// as numbers with boots have, is not among them.
    pub fn remembered(&self) -> u64 {
        let State { counters, sessions, .. } = &self.state;
        of_counters(counters, usize::MAX) + sessions.iter().map(of_session).sum::<u64>()
    }

    /// Remembers `keep` deliveries at most, as far as that can be: a few per counter stay, and all of the session heard last.
    pub(crate) fn remember(&mut self, keep: u64) {
        let numbered = of_counters(&self.state.counters, usize::MAX);
        let by_content =
            shorten_sessions(&mut self.state.sessions, keep.saturating_sub(numbered).max(keep / 2));
        shorten_counters(&mut self.state.counters, keep.saturating_sub(by_content));
    }
}

/// Deliveries of all counters, if each kept `each` at most.
fn of_counters(counters: &[KnownCounter], each: usize) -> u64 {
    let count = |known: &KnownCounter| match &known.counter {
        Counter::Recent(recent) => recent.len().min(each) as u64,
        Counter::Boots(_) | Counter::Cycle(_) => 0,
    };
    counters.iter().map(count).sum()
}

fn of_session(known: &KnownSession) -> u64 {
    known.session.len() as u64
}

/// Says how many deliveries are left.
fn shorten_sessions(sessions: &mut [KnownSession], keep: u64) -> u64 {
    let mut left: u64 = sessions.iter().map(of_session).sum();
    let mut order: Vec<_> = (0..sessions.len()).filter(|&at| of_session(&sessions[at]) > 0).collect();
    order.sort_unstable_by_key(|&at| (sessions[at].heard, at));
    order.pop();
    for at in order {
        if left <= keep {
            break;
        }
        left -= of_session(&sessions[at]);
        sessions[at].session.forget();
    }
    left
}

fn shorten_counters(counters: &mut [KnownCounter], keep: u64) {
    if of_counters(counters, usize::MAX) <= keep {
        return;
    }
    // The most that each may keep.
    let (mut each, mut over) = (REMEMBERED_PER_COUNTER_MIN, crate::limits::SEQUENCES_REMEMBERED);
    while over - each > 1 {
        let middle = usize::midpoint(each, over);
        *(if of_counters(counters, middle) <= keep { &mut each } else { &mut over }) = middle;
    }
    for known in counters {
        if let Counter::Recent(recent) = &mut known.counter {
            recent.shorten(each);
        }
    }
}
