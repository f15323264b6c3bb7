//! Decides which attempts are under way at a time. Pure, like the [`Courier`] whose decisions about what to send it keeps.
//!
//! Terms:
//!
//! - **lane**: a share of the series ([`super::outbox::Lane`]). At most one attempt of each lane is under way, and a lane's next
//!   begins when the last is answered, so each series keeps its order.
//! - **alone**: an attempt with what comes first of the whole queue, while nothing else is under way. As long as all that waits
//!   fits into one attempt it goes so, because every request costs.
//! - **width**: how many attempts may be under way. Halved when something goes wrong, and one more with each round that
//!   went well (RFC 5681 §3.1, as `pace.rs`).
//! - **beside**: an attempt that was under way when another one failed. Nothing is begun until all of these are answered, and
//!   then one goes at a time, until the courier is calm again: it finds out what is wrong as if there were no lanes.

use super::answer::Answer;
use super::courier::{Courier, Effects, Offer, Policy, Ready};
use super::outbox::{Lane, Of, Position, Queued};
use super::retry::Moment;
use std::collections::BTreeSet;
use std::time::Instant;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until then.
    At(Instant),
    /// Nothing until an attempt is answered.
    Answer,
    /// The same, or until the outbox has changed: tell [`Dispatch::changed`].
    AnswerOrChange,
    /// Ask the outbox for so much, except [`Dispatch::set_aside`], and show it to [`Dispatch::offer`].
    Take {
        /// Of which part of the queue.
        of: Of,
        /// At most so many events …
        events: usize,
        /// … and bytes, but for the first.
        bytes: usize,
    },
}

/// What is under way at one output, and what is decided about it.
#[derive(Clone, Debug)]
pub struct Dispatch {
    courier: Courier,
    lanes: Vec<State>,
    /// An attempt with the whole queue is under way.
    alone: bool,
    /// Something went wrong, and others were under way.
    beside: bool,
    /// More waits than one attempt holds.
    deep: bool,
    /// The lane that holds what the courier looks for.
    doubted: Option<usize>,
    width: usize,
    /// Attempts that went well since the width grew.
    well: usize,
    /// The lane that is looked at next.
    turn: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    /// It held too little for an attempt of its own.
    Short,
    UnderWay,
}

impl Dispatch {
    /// Nothing was sent yet.
    pub fn new(policy: Policy) -> Dispatch {
        let lanes = policy.lanes.max(1);
        Dispatch {
            courier: Courier::new(policy),
            lanes: vec![State::Free; lanes],
            alone: false,
            beside: false,
            deep: false,
            doubted: None,
            width: lanes,
            well: 0,
            turn: 0,
        }
    }

    /// What to do now; `alerts`: where nothing else may be sent.
    pub fn next(&self, alerts: bool, now: Instant) -> Next {
        let (events, bytes) = match self.courier.ready(now) {
            Ready::Take { events, bytes } => (events, bytes),
            Ready::At(at) if self.under_way() == 0 => return Next::At(at),
            Ready::At(_) => return Next::Answer,
        };
        let lane = |number| Of::Lane(Lane { number, of: self.lanes.len() });
        let of = match self.under_way() {
            0 if alerts => Some(Of::Alerts),
            _ if alerts => return Next::Answer,
            0 if self.doubted.is_some() && self.courier.doubts() => self.doubted.map(lane),
            0 if !self.spreads() => Some(Of::Everything),
            _ if self.alone || self.beside || !self.spreads() => return Next::Answer,
            n if n >= self.width => return Next::Answer,
            n => match self.free() {
                Some(number) => Some(lane(number)),
                None if n == 0 => Some(Of::Everything),
                None => return Next::AnswerOrChange,
            },
        };
        Next::Take { of: of.unwrap_or(Of::Everything), events, bytes }
    }

    /// The events to leave out when asking the outbox.
    pub fn set_aside(&self) -> &BTreeSet<Position> {
        self.courier.set_aside()
    }

    /// What goes first where the newest is next: see [`Courier::newest_after`].
    pub fn newest_after(&self) -> Option<&BTreeSet<Position>> {
        self.courier.newest_after()
    }

    /// What to do with `batch`, the answer of the outbox to [`Next::Take`] with this `of`.
    pub fn offer(&mut self, of: Of, batch: &[Queued], now: Instant) -> Offer {
        let Of::Lane(lane) = of else { return self.offer_all(of, batch, now) };
        if self.doubted == Some(lane.number) && self.courier.doubts() {
            if batch.is_empty() {
                // The store has merged or dropped what was doubted.
                self.doubted = None;
                return Offer::Again;
            }
            return self.courier.offer(batch, now);
        }
        let alert = batch.first().is_some_and(|first| first.position.priority == Position::ALERT);
        if alert || (!batch.is_empty() && self.courier.full(batch)) {
            return Offer::Send;
        }
        self.lanes[lane.number] = State::Short;
        self.turn = lane.number + 1;
        Offer::Again
    }

    fn offer_all(&mut self, of: Of, batch: &[Queued], now: Instant) -> Offer {
        let offer = self.courier.offer(batch, now);
        let deep = of == Of::Everything && !batch.is_empty() && self.courier.full(batch);
        // Where no lane had enough of its own, the whole queue's turn has come.
        let spread_already = std::mem::replace(&mut self.deep, deep);
        if offer == Offer::Send && !spread_already && self.spreads() {
            self.changed();
            return Offer::Again;
        }
        self.deep &= offer == Offer::Send;
        offer
    }

    /// An attempt with events of this part of the queue begins. Tell [`Dispatch::answered`] of its end.
    pub fn begins(&mut self, of: Of) {
        match of {
            Of::Lane(lane) => {
                self.lanes[lane.number] = State::UnderWay;
                self.turn = lane.number + 1;
            }
            Of::Everything | Of::Alerts => self.alone = true,
        }
    }

    /// Takes in the answer to an attempt that has begun.
    pub fn answered(&mut self, of: Of, sent: &[Queued], answer: Answer, at: Moment) -> Effects {
        match of {
            Of::Lane(lane) => self.lanes[lane.number] = State::Free,
            Of::Everything | Of::Alerts => self.alone = false,
        }
        self.changed();
        if self.beside {
            self.beside = self.under_way() > 0;
            return self.courier.answered_beside(sent, answer);
        }
        let delivers = matches!(answer, Answer::Confirmed { .. });
        let effects = self.courier.answered(sent, answer, at);
        if self.courier.is_calm() {
            self.doubted = None;
            if delivers {
                self.went_well();
            }
        } else {
            self.doubted = match of {
                Of::Lane(lane) if self.courier.doubts() => Some(lane.number),
                _ => None,
            };
            self.beside = self.under_way() > 0;
            self.width = (self.width / 2).max(1);
            self.well = 0;
        }
        effects
    }

    /// The outbox may hold more than it did.
    pub fn changed(&mut self) {
        self.lanes.iter_mut().filter(|lane| **lane == State::Short).for_each(|lane| *lane = State::Free);
    }

    /// How many attempts are under way.
    pub fn under_way(&self) -> usize {
        let lanes = self.lanes.iter().filter(|lane| **lane == State::UnderWay).count();
        lanes + usize::from(self.alone)
    }

    /// The state of the courier, for whoever shows it.
    pub fn courier(&self) -> &Courier {
        &self.courier
    }

    fn spreads(&self) -> bool {
        self.deep && self.lanes.len() > 1 && self.courier.is_calm()
    }

    /// The next lane that may hold enough, in turn.
    fn free(&self) -> Option<usize> {
        let count = self.lanes.len();
        (0..count).map(|n| (self.turn + n) % count).find(|lane| self.lanes[*lane] == State::Free)
    }

    fn went_well(&mut self) {
        self.well += 1;
        if self.well >= self.width {
            self.width = (self.width + 1).min(self.lanes.len());
            self.well = 0;
        }
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
