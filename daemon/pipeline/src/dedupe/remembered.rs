//! How much is remembered only to know it again, of all senders together, and how it is made less.
//!
//! A counter remembers a thousand deliveries, a series sixteen thousand time stamps, and a session all that its sender may have
//! in flight: of many senders that is more than a small buffer can keep. Numbers and time stamps come again soon or never, so
//! that each counter and series goes on with fewer; a session needs all of its own, so that those unheard for longest lose theirs.

use super::Counter;
use crate::limits::{REMEMBERED_PER_COUNTER_MIN, SEQUENCES_REMEMBERED, TIMES_REMEMBERED_MAX};
use crate::pipeline::Pipeline;
use crate::state::{KnownSession, State};

impl Pipeline {
    /// Deliveries that are remembered to be known again, one by one. What has a small bound of its own per sender whatever it
    /// sends, as numbers with boots have, is not among them.
    pub fn remembered(&self) -> u64 {
        marks(&self.state, usize::MAX) + self.state.sessions.iter().map(of_session).sum::<u64>()
    }

    /// Remembers `keep` deliveries at most, as far as that can be: a few per counter and series stay, and all of the session
    /// heard last.
    pub(crate) fn remember(&mut self, keep: u64) {
        let marked = marks(&self.state, usize::MAX);
        let by_content =
            shorten_sessions(&mut self.state.sessions, keep.saturating_sub(marked).max(keep / 2));
        shorten_marks(&mut self.state, keep.saturating_sub(by_content));
    }
}

/// Numbers of all counters and time stamps of all series, if each kept `each` at most.
fn marks(state: &State, each: usize) -> u64 {
    let numbers = state.counters.iter().map(|known| match &known.counter {
        Counter::Recent(recent) => recent.len(),
        Counter::Boots(_) | Counter::Cycle(_) => 0,
    });
    let times = state.series.iter().filter_map(|series| Some(series.times.as_ref()?.len()));
    numbers.chain(times).map(|count| count.min(each) as u64).sum()
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

fn shorten_marks(state: &mut State, keep: u64) {
    if marks(state, usize::MAX) <= keep {
        return;
    }
    // The most that each may keep.
    let (mut each, mut over) = (REMEMBERED_PER_COUNTER_MIN, SEQUENCES_REMEMBERED.max(TIMES_REMEMBERED_MAX));
    while over - each > 1 {
        let middle = usize::midpoint(each, over);
        *(if marks(state, middle) <= keep { &mut each } else { &mut over }) = middle;
    }
    for known in &mut state.counters {
        if let Counter::Recent(recent) = &mut known.counter {
            recent.shorten(each);
        }
    }
    state.series.iter_mut().filter_map(|series| series.times.as_mut()).for_each(|times| times.shorten(each));
}
