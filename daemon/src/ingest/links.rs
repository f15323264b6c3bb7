//! What the heart knows of each connection.

use super::intake::{Link, Run};
use super::pace::{PAUSE, Window};
use std::sync::Arc;
use std::time::Instant;

/// All connections that are open, or whose last messages are not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<(Arc<Link>, LinkState)>);

#[derive(Debug, Default)]
pub(super) struct LinkState {
    /// Messages that wait for their acknowledgement.
    pub(super) waiting: u32,
    /// The last run.
    pub(super) highest: u64,
    /// The last run of which it is known how its acknowledgement went.
    pub(super) rested: u64,
    pub(super) latest: Option<Instant>,
    /// The connection has ended; what it brought is committed all the same.
    pub(super) closed: bool,
    pub(super) window: Window,
}

/// What a run means for the pace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    /// Messages of this sender that wait for their acknowledgement.
    pub(super) waiting: u32,
    /// The sender cannot go on without it, as far as one can tell.
    pub(super) urgent: bool,
}

impl Links {
    /// A run came.
    pub(super) fn arrived(&mut self, run: &Run, now: Instant) -> Arrived {
        let count = run.messages.iter().filter(|message| message.acknowledged).count();
        let state = self.of(&run.link);
        state.waiting = state.waiting.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        state.highest = run.number;
        state.latest = Some(now);
        let waiting = state.waiting;
        let full = waiting > 0 && waiting >= u32::from(run.link.ahead_max) / 4 * 3;
        Arrived { waiting, urgent: state.window.arrived(waiting, now) || full }
    }

    /// A connection opened.
    pub(super) fn opened(&mut self, link: &Arc<Link>) {
        self.of(link);
    }

    /// A connection ended; what it brought is committed all the same.
    pub(super) fn closed(&mut self, link: &Arc<Link>) {
        self.of(link).closed = true;
    }

    /// All runs are on disk: each connection may acknowledge what it brought.
    pub(super) fn committed(&mut self) {
        for (link, state) in &self.0 {
            if state.highest > link.committed() {
                link.commit(state.highest);
            }
        }
    }

    /// What was committed is acknowledged by `now`: learns which senders had been waiting for it, and forgets
    /// connections that have ended.
    pub(super) fn rest(&mut self, now: Instant) {
        for (_, state) in &mut self.0 {
            if state.highest > state.rested {
                state.rested = state.highest;
                let paused =
                    state.latest.is_some_and(|latest| now.saturating_duration_since(latest) >= PAUSE);
                state.window.acknowledged(state.waiting, paused, now);
                state.waiting = 0;
            }
        }
        self.0.retain(|(_, state)| !state.closed);
    }

    fn of(&mut self, link: &Arc<Link>) -> &mut LinkState {
        let at = match self.0.iter().position(|(known, _)| Arc::ptr_eq(known, link)) {
            Some(at) => at,
            None => {
                self.0.push((Arc::clone(link), LinkState::default()));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }
}
