//! The batch: what the heart has taken and what is not on disk yet. It stays in memory until it is, to be applied again.

use super::intake::Input;
use super::mailbox::{LetterOrder, Mail};
use super::sources::Sources;
use crate::store::{Commit, Letter, LetterRequest, Shared, StoreError};
use std::collections::BTreeSet;
use tidegate_pipeline::Step;
use tidegate_pipeline::clock::ClockNow;
use tidegate_pipeline::message::Message;
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
        for input in &self.inputs {
            match input {
                Input::Run(run) => {
                    let Some(source) = sources.place(run.link.source) else {
                        // Whose source is gone has no stream any more.
                        let gone = run.messages.len() as u64;
                        step.account(Verdict::Rejected(Reason::Unmatched), gone);
                        continue;
                    };
                    for message in &run.messages {
                        step.message(&Message {
                            source,
                            session: &run.link.session,
                            topic: &run.bytes[message.topic.start as usize..message.topic.end as usize],
                            payload: &run.bytes[message.payload.start as usize..message.payload.end as usize],
                            retained: message.retained,
                            acknowledged: message.acknowledged,
                            may_repeat: message.acknowledged && (message.dup || !run.link.marks),
                            arrival: now.at(run.arrival),
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

    /// Adds what forwarders want.
    pub(super) fn add_mail(&self, commit: &mut Commit) {
        commit.settled.clone_from(&self.mail.settled);
        commit.reach.clone_from(&self.mail.reach);
        commit.allow.clone_from(&self.mail.allow);
        commit.spent.clone_from(&self.mail.spent);
        commit.waiting.clone_from(&self.waiting);
    }

    /// It is on disk. Gives the mail, and what the intake counted as pending.
    pub(super) fn written(&mut self) -> (Mail, u64) {
        self.inputs.clear();
        (self.messages, self.bytes) = (0, 0);
        (std::mem::take(&mut self.mail), std::mem::take(&mut self.pending))
    }
}
