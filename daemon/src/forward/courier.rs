//! Decides what to send next and what an answer changes. Pure: no I/O, no clock, no randomness; time and chance are
//! arguments, and a call without need is harmless. The driver does what it says.
//!
//! Terms:
//!
//! - **set aside**: an event that was refused when it was sent alone. It stays queued, and the rest goes on without it.
//! - **retest**: events set aside, once the destination has accepted another. They come back at once, alone and in
//!   order: accepted, they are delivered; refused again, they go to the dead letters. So an event is given up only by
//!   a destination that works, and one that was merely broken for a while costs nothing but one event's place in the order.
//! - **sweep**: while a destination refuses everything, one event after the other is set aside and, when a sweep is
//!   full or nothing else is queued, all are put back, so that the oldest gets its chance. Each sweep reaches further.
//! - **doubtful**: so many events at the head of the queue hold one that was refused as part of a batch. They are
//!   halved until it is alone.
//! - **probe**: after failures one event goes alone, so that finding out costs little.

use super::answer::{Answer, Failed};
use super::outbox::{self, Outcome, Position, Queued, Settled};
use super::pace::Pace;
use super::receiver::Receiver;
use super::retry::{Moment, Retry};
use crate::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How an output likes its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// At most so many in one attempt; at least 1.
    pub events: usize,
    /// At most so many bytes in one attempt, but for a single event.
    pub bytes: usize,
    /// How long to wait for a batch to fill.
    pub linger: Duration,
    /// The bounds of back-off.
    pub retry: Retry,
    /// Who gets them.
    pub receiver: Receiver,
    /// So many attempts may be under way at a time, each with series of its own; at least 1. See [`super::dispatch`].
    pub lanes: usize,
    /// Whether summaries are sent from the newest on.
    pub newest: bool,
}

/// What to do before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Nothing until then.
    At(Instant),
    /// Ask the outbox for so much, except [`Courier::set_aside`], and show it to [`Courier::offer`].
    Take {
        /// At most so many events …
        events: usize,
        /// … and bytes, but for the first.
        bytes: usize,
    },
}

/// What to do with the events that the outbox gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Send them, and tell [`Courier::answered`].
    Send,
    /// Ask [`Courier::ready`] again, at once.
    Again,
    /// Ask again when the outbox has changed, or at that time.
    Wait(Option<Instant>),
}

/// What an answer changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// What to tell the outbox.
    pub settled: Vec<Settled>,
    /// What to tell [`crate::health::Health`].
    pub problem: Change,
    /// What went wrong, for `last_error`; `None` when nothing did.
    pub error: Option<String>,
}

/// What becomes of the problem that is shown for the output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// As it was.
    #[default]
    Keep,
    /// The destination takes events.
    Clear,
    /// It does not.
    Raise(String),
}

/// The state of one output between attempts. One is under way at a time, or several while nothing is wrong.
#[derive(Clone, Debug)]
pub struct Courier {
    policy: Policy,
    pace: Pace,
    aside: BTreeSet<Position>,
    retest: BTreeSet<Position>,
    /// The last batch that was refused.
    doubtful: BTreeSet<Position>,
    sweep: usize,
    /// Single events refused in a row, with none accepted in between.
    refusals: u32,
    /// Attempts in a row that failed for other reasons.
    failures: u32,
    /// Whether the next attempt is a probe.
    probing: bool,
    not_before: Option<Instant>,
    /// When the events set aside are tried again if nothing else is queued.
    sweep_at: Option<Instant>,
    lingering_since: Option<Instant>,
}

impl Courier {
    /// A courier that has sent nothing yet.
    pub fn new(policy: Policy) -> Courier {
        Courier {
            policy,
            pace: Pace::new(policy.events),
            aside: BTreeSet::new(),
            retest: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            sweep: limits::SUSPECTS_MIN,
            refusals: 0,
            failures: 0,
            probing: false,
            not_before: None,
            sweep_at: None,
            lingering_since: None,
        }
    }

    /// Whether to send now, and how much at most.
    pub fn ready(&self, now: Instant) -> Ready {
        match self.not_before {
            Some(at) if now < at => Ready::At(at),
            _ => Ready::Take { events: self.events_max(), bytes: self.policy.bytes },
        }
    }

    /// The events to leave out when asking the outbox: at most [`limits::SUSPECTS_MAX`].
    pub fn set_aside(&self) -> &BTreeSet<Position> {
        &self.aside
    }

    /// Where summaries are sent from the newest on: what goes before them, because it waits for its retest or is doubtful. Newer
    /// ones would come in between for ever.
    pub fn newest_after(&self) -> Option<&BTreeSet<Position>> {
        let first = if self.pace.doubts() { &self.doubtful } else { &self.retest };
        self.policy.newest.then_some(first)
    }

    /// What to do with `batch`, the answer of the outbox to [`Ready::Take`].
    pub fn offer(&mut self, batch: &[Queued], now: Instant) -> Offer {
        self.forget_gone(batch.first());
        let Some(first) = batch.first() else {
            self.lingering_since = None;
            return self.offer_nothing(now);
        };
        let probing = self.events_max() == 1;
        if probing
            || self.policy.linger.is_zero()
            || first.position.priority == Position::ALERT
            || self.full(batch)
        {
            return Offer::Send;
        }
        let until = *self.lingering_since.get_or_insert(now) + self.policy.linger;
        if now < until { Offer::Wait(Some(until)) } else { Offer::Send }
    }

    /// Takes in the answer to an attempt with `sent`, which is empty when the outbox could not even be read.
    pub fn answered(&mut self, sent: &[Queued], answer: Answer, at: Moment) -> Effects {
        self.lingering_since = None;
        self.not_before = None;
        match answer {
            Answer::Confirmed { failed } => self.confirmed(sent, &failed, at),
            Answer::RetryLater { after, why, overload } => {
                if overload {
                    self.pace.failed(sent.len());
                }
                self.fail(at, after);
                self.probing |= self.failures >= limits::FAILURES_MAX;
                let problem = match self.probing {
                    true => Change::Raise(why.clone()),
                    false => Change::Keep,
                };
                Effects { problem, error: Some(why), ..Effects::default() }
            }
            Answer::TooLarge { words } if sent.len() > 1 => {
                self.pace.too_large(sent.len());
                Effects { error: Some(words), ..Effects::default() }
            }
            Answer::TooLarge { words } | Answer::RefusedEvent { words } => self.refused(sent, words, at),
            Answer::DestinationProblem { why } => {
                self.fail(at, None);
                self.probing = true;
                Effects { problem: Change::Raise(why.clone()), error: Some(why), ..Effects::default() }
            }
        }
    }

    /// Takes in the answer to an attempt that was under way when another one failed: what it delivered is delivered.
    /// Everything else it may say is found out again, by one attempt at a time.
    pub fn answered_beside(&mut self, sent: &[Queued], answer: Answer) -> Effects {
        let mut effects = Effects::default();
        match answer {
            Answer::Confirmed { failed } => effects.settled = settle(sent, &named(&failed)),
            Answer::RetryLater { why, .. } | Answer::DestinationProblem { why } => effects.error = Some(why),
            Answer::TooLarge { words } | Answer::RefusedEvent { words } => effects.error = Some(words),
        }
        effects
    }

    /// Whether nothing is wrong, so that several attempts may be under way.
    pub fn is_calm(&self) -> bool {
        let last = (self.failures, self.refusals, self.probing, self.not_before);
        last == (0, 0, false, None) && self.suspects() == 0 && self.pace.is_calm()
    }

    /// Whether one is looked for that was refused as part of a batch.
    pub fn doubts(&self) -> bool {
        self.pace.doubts()
    }

    /// How many events one attempt may hold at the moment.
    pub fn events_max(&self) -> usize {
        if self.probing || !self.retest.is_empty() { 1 } else { self.pace.events_max() }
    }

    /// How many refused events wait for the destination to accept another.
    pub fn suspects(&self) -> usize {
        self.aside.len() + self.retest.len()
    }

    /// When the next attempt is due, if one is put off.
    pub fn retry_at(&self) -> Option<Instant> {
        self.not_before
    }

    /// What a person should know about how events are sent, though nothing is wrong.
    pub fn note(&self) -> Option<&'static str> {
        self.pace.single().then(|| self.policy.receiver.takes_single_events())
    }

    fn confirmed(&mut self, sent: &[Queued], failed: &[Failed], at: Moment) -> Effects {
        let failed = named(failed);
        let again = failed.values().any(|failed| failed.retry);
        if !sent.is_empty() && sent.iter().all(|queued| failed.contains_key(queued.id.as_str())) {
            // Nothing was accepted, so nothing can be given up.
            let words = failed.values().next().map(|failed| failed.words.clone()).unwrap_or_default();
            return match again {
                true => self.answered(sent, self.asked_again(), at),
                false => self.refused(sent, words, at),
            };
        }
        self.accepted(sent);
        let settled = settle(sent, &failed);
        let mut effects = Effects { settled, problem: Change::Clear, ..Effects::default() };
        if again {
            // They are at the head of the queue now, and the order is kept: later events go with them or after them.
            self.fail(at, None);
            let words = failed.values().find(|failed| failed.retry).map_or("", |failed| &failed.words);
            effects.error = Some(format!("some events are sent again: {words}"));
        }
        effects
    }

    fn accepted(&mut self, sent: &[Queued]) {
        for queued in sent {
            self.aside.remove(&queued.position);
            self.retest.remove(&queued.position);
        }
        self.pace.accepted(sent.len());
        self.retest.append(&mut self.aside);
        self.sweep = limits::SUSPECTS_MIN;
        self.sweep_at = None;
        self.refusals = 0;
        self.failures = 0;
        self.probing = false;
    }

    fn refused(&mut self, sent: &[Queued], words: String, at: Moment) -> Effects {
        self.failures = 0;
        self.probing = false;
        // Whoever refuses an event is there.
        let mut effects =
            Effects { error: Some(words.clone()), problem: Change::Clear, ..Effects::default() };
        let [queued] = sent else {
            self.pace.refused(sent.len());
            self.doubtful = sent.iter().map(|queued| queued.position).collect();
            return effects;
        };
        self.refusals = self.refusals.saturating_add(1);
        let position = queued.position;
        let accepted_since = self.retest.remove(&position);
        if !accepted_since {
            self.pace.refused(1);
        }
        if self.refusals >= limits::REFUSALS_MAX {
            // The destination is what is wrong: whoever waits for a retest is innocent until it works again.
            self.retest.clear();
            self.put_off(at, self.refusals - limits::REFUSALS_MAX + 1, None);
            effects.problem = Change::Raise(self.policy.receiver.refuses_all(&words));
        } else if accepted_since {
            effects.settled.push((position, queued.id.clone(), Outcome::Refused(words)));
            return effects;
        }
        self.aside.insert(position);
        if self.aside.len() >= self.sweep {
            self.put_back();
        }
        self.sweep_at = Some(at.now + self.policy.retry.wait(self.refusals, at.chance));
        effects
    }

    fn offer_nothing(&mut self, now: Instant) -> Offer {
        match self.sweep_at {
            Some(at) if now < at && !self.aside.is_empty() => Offer::Wait(Some(at)),
            Some(_) if !self.aside.is_empty() => {
                self.put_back();
                Offer::Again
            }
            _ => Offer::Wait(None),
        }
    }

    /// Ends a sweep: the events set aside are ordinary again.
    fn put_back(&mut self) {
        self.aside.clear();
        self.sweep = (self.sweep * 2).min(limits::SUSPECTS_MAX);
    }

    /// The store may have dropped or merged an event that waits for its retest; it would be waited for in vain. They
    /// come before everything else of their priority, so what comes later tells.
    fn forget_gone(&mut self, first: Option<&Queued>) {
        match first {
            Some(Queued { position, .. })
                if self.policy.newest
                    && position.priority != Position::ALERT
                    && !self.retest.contains(position) =>
            {
                self.retest.clear();
            }
            Some(first) => self.retest.retain(|position| *position >= first.position),
            None => self.retest.clear(),
        }
    }

    /// Whether waiting would add nothing: another event of the mean size would not fit.
    pub(super) fn full(&self, batch: &[Queued]) -> bool {
        let bytes = outbox::size(batch);
        batch.len() >= self.events_max() || bytes + bytes / batch.len().max(1) > self.policy.bytes
    }

    fn fail(&mut self, at: Moment, after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.put_off(at, self.failures, after);
    }

    fn asked_again(&self) -> Answer {
        let why = self.policy.receiver.asks_for_all_again().into();
        Answer::RetryLater { after: None, why, overload: false }
    }

    fn put_off(&mut self, at: Moment, failures: u32, after: Option<Duration>) {
        let wait = self.policy.retry.wait(failures, at.chance).max(after.unwrap_or_default());
        self.not_before = Some(at.now + wait);
    }
}

/// By id.
fn named(failed: &[Failed]) -> BTreeMap<&str, &Failed> {
    failed.iter().map(|f| (f.id.as_str(), f)).collect()
}

/// What became of `sent` by an answer that confirms all but `failed`. Where it confirms nothing, nothing can be given up.
fn settle(sent: &[Queued], failed: &BTreeMap<&str, &Failed>) -> Vec<Settled> {
    if sent.iter().all(|queued| failed.contains_key(queued.id.as_str())) {
        return Vec::new();
    }
    let outcome = |queued: &Queued| match failed.get(queued.id.as_str()) {
        None => Some(Outcome::Delivered),
        Some(failed) if failed.retry => None,
        Some(failed) => Some(Outcome::Refused(failed.words.clone())),
    };
    let settled = |queued: &Queued| Some((queued.position, queued.id.clone(), outcome(queued)?));
    sent.iter().filter_map(settled).collect()
}

#[cfg(test)]
#[path = "courier_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "courier_properties.rs"]
mod properties;
