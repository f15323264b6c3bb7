//! The batch: what the heart has taken and what is not on disk yet. It stays in memory until it is, to be applied again.

use super::intake::Input;
use super::mailbox::{LetterOrder, Mail};
use super::sources::Sources;
use crate::store::{Commit, Letter, LetterRequest, Shared, StoreError};
use std::collections::BTreeSet;
use tidegate_pipeline::Step;
use tidegate_pipeline::clock::ClockNow;
use tidegate_pipeline::message::Message;
use tidegate_pipeline::time::Span;
use tidegate_pipeline::verdict::{Reason, Verdict};

/// What is taken and not on disk yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) inputs: Vec<Input>,
    /// Goes with the inputs: it may be given to one transaction only.
    pub(super) mail: Mail,
    /// Outputs that wait for something to send.
    pub(super) waiting: BTreeSet<String>,
    pub(super) messages: usize,
    /// What the intake counts as pending until this is in the ledger.
    pub(super) pending: u64,
    pub(super) bytes: usize,
    order: Order,
}

/// Messages that one read brought arrived at one time, but not in any order: each has a time of its own, a microsecond after the
/// one before it. What goes by the order of arrival (`last`, states, counts) would not know it otherwise.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// The next message arrives no earlier.
    next: Span,
}

/// A clock that is behind by more was set back, or is another.
const AHEAD_MAX: Span = Span::from_secs(1);

impl Default for Order {
    fn default() -> Order {
        Order { next: Span(i64::MIN) }
    }
}

impl Order {
    /// When the first of so many messages arrived that were read at `arrival`.
    fn take(&mut self, arrival: Span, messages: usize) -> Span {
        let behind = self.next.0.saturating_sub(arrival.0);
        let first = if behind > 0 && behind <= AHEAD_MAX.0 { self.next } else { arrival };
        self.next = Span(first.0.saturating_add(i64::try_from(messages).unwrap_or(i64::MAX)));
        first
    }
}

impl Batch {
    /// Gives the batch to the pipeline. What operators want done with dead letters goes into `letters` too.
    ///
    /// # Errors
    /// When a dead letter cannot be read.
    pub(super) fn apply(
        &self,
        step: &mut Step<'_>,
        sources: &Sources,
        now: &ClockNow,
        store: &Shared,
        letters: &mut Vec<LetterRequest>,
    ) -> Result<(), StoreError> {
        // The batch may be applied again.
        let mut order = self.order;
        for input in &self.inputs {
            match input {
                Input::Run(run) => {
                    let first = order.take(run.arrival, run.messages.len());
                    let Some(source) = sources.place(run.link.source) else {
                        // Whose source is gone has no stream any more.
                        let gone = run.messages.len() as u64;
                        step.account(Verdict::Rejected(Reason::Unmatched), gone);
                        continue;
                    };
                    for (message, after) in run.messages.iter().zip(0..) {
                        step.message(&Message {
                            source,
                            session: &run.link.session,
                            topic: &run.bytes[message.topic.start as usize..message.topic.end as usize],
                            payload: &run.bytes[message.payload.start as usize..message.payload.end as usize],
                            retained: message.retained,
                            acknowledged: message.acknowledged,
                            may_repeat: message.acknowledged && (message.dup || !run.link.marks),
                            arrival: now.at(Span(first.0 + after)),
                        });
                    }
                }
                Input::Opened(link) => {
                    if let Some(source) = sources.place(link.source) {
                        step.opened(source, &link.session, link.doubt_max);
                    }
                }
                Input::Settled { link, but } => {
                    if let Some(source) = sources.place(link.source) {
                        step.settled(source, &link.session, *but);
                    }
                }
                Input::Repeated { count } => step.account(Verdict::Duplicate, *count),
                Input::Refused { reason, count } => step.account(Verdict::Rejected(*reason), *count),
                Input::Backlog { source } => {
                    sources.place(*source).into_iter().for_each(|source| step.backlog(source, true));
                }
                Input::Drained { source } => {
                    sources.place(*source).into_iter().for_each(|source| step.backlog(source, false));
                }
                Input::Closed(_) => {}
            }
        }
        for order in self.mail.orders.iter().flat_map(|order| &order.letters) {
            match order {
                LetterOrder::Drop(number) => letters.push(LetterRequest::Drop(*number)),
                LetterOrder::Retry(number) => match store.letter(*number)? {
                    Some(Letter::Message(letter)) => {
                        step.retry(&letter);
                        letters.push(LetterRequest::Retried(*number));
                    }
                    Some(Letter::Event { .. }) => letters.push(LetterRequest::Requeue(*number)),
                    None => {}
                },
            }
        }
        Ok(())
    }

    /// Adds what forwarders and sources want.
    pub(super) fn add_mail(&self, commit: &mut Commit) {
        commit.settled.clone_from(&self.mail.settled);
        commit.reach.clone_from(&self.mail.reach);
        commit.allow.clone_from(&self.mail.allow);
        commit.spent.clone_from(&self.mail.spent);
        commit.subscriptions.clone_from(&self.mail.subscriptions);
        commit.waiting.clone_from(&self.waiting);
    }

    /// It is on disk. Gives the mail, and what the intake counted as pending.
    pub(super) fn written(&mut self) -> (Mail, u64) {
        for input in self.inputs.drain(..) {
            if let Input::Run(run) = input {
                self.order.take(run.arrival, run.messages.len());
            }
        }
        (self.messages, self.bytes) = (0, 0);
        (std::mem::take(&mut self.mail), std::mem::take(&mut self.pending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_arrives_after_the_one_before() {
        let mut order = Order::default();
        let second = AHEAD_MAX.0;
        for (arrival, messages, first) in [
            (100, 1, 100),
            (100, 500, 101),
            (300, 2, 601),
            (700, 1, 700),
            // Set back by a little more than may be.
            (701 - second - 1, 1, 701 - second - 1),
            (5 * second, 1, 5 * second),
        ] {
            assert_eq!(order.take(Span(arrival), messages), Span(first));
        }
    }
}
