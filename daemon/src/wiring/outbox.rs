//! Between store and forwarder, which do not know each other: the queue of one output.

use crate::forward::budget::Spent;
use crate::forward::outbox::{Ask, Of, Outbox, Outcome, Position, Queued, Settled};
use crate::ingest::mailbox::Mailbox;
use crate::ingest::standing::Standing;
use crate::store::{Backwards, Fate, Part, Settlement, Shared, StoreError, Waiting, Wanted};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use tidegate_pipeline::mutant::{self, Mutant};

/// The outbox of one output: read from the store, settled through the writer's mailbox.
#[derive(Debug)]
pub struct StoreOutbox {
    name: String,
    store: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    standing: Arc<Standing>,
}

impl StoreOutbox {
    /// The outbox of the output `name`.
    pub fn new(name: &str, store: Arc<Shared>, mailbox: Arc<Mailbox>) -> StoreOutbox {
        let standing = mailbox.standing(name);
        StoreOutbox { name: name.to_owned(), store, mailbox, standing }
    }
}

impl StoreOutbox {
    /// From the newest on. What may not be sent yet is asked for.
    fn newest(&self, wanted: &Wanted<'_>, first: &BTreeSet<Position>) -> Result<Vec<Waiting>, StoreError> {
        let summaries = first.iter().filter(|position| position.priority != Position::ALERT);
        let before: Vec<u64> = summaries.map(|position| position.sequence).collect();
        let Backwards { found, locked } = self.store.newest(&self.name, wanted, &before)?;
        if !locked.is_empty() {
            self.mailbox.want_these(&self.name, locked);
        }
        Ok(found)
    }

    /// Asks for more to be allowed: ahead, so that the transaction that allows it passes while this batch is sent.
    fn reach(&self, ask: &Ask<'_>, found: &[Waiting]) {
        let ahead = |last: &Waiting| self.store.reach_after(&self.name, last.priority, last.sequence);
        let wants = match ask.of {
            _ if ask.newest_after.is_some() => false,
            // What must wait for its budget is not about to be sent. Alerts are within reach as soon as they are there.
            Of::Alerts => false,
            Of::Everything => {
                found.len() < ask.events || found.last().is_some_and(|last| ahead(last) < ask.events as u64)
            }
            // A lane without series would find nothing, however much there is.
            Of::Lane(lane) => self.store.within_reach(&self.name) < (2 * lane.of * ask.events) as u64,
        };
        if wants && self.store.has_unreached(&self.name) {
            self.mailbox.want_more(&self.name, ask.events);
        }
    }
}

impl Outbox for StoreOutbox {
    type Error = StoreError;

    fn next(&self, ask: &Ask<'_>) -> Result<Vec<Queued>, StoreError> {
        let settled = self.standing.settled();
        let skip = |priority, sequence| {
            ask.except.contains(&Position { priority, sequence }) || settled.contains(&(priority, sequence))
        };
        let part = match ask.of {
            Of::Everything => Part::All,
            Of::Alerts => Part::Alerts,
            Of::Lane(lane) => Part::Share { number: lane.number, of: lane.of },
        };
        let wanted = Wanted { part, skip: &skip, events: ask.events, bytes: ask.bytes };
        // What is damaged the writer mends.
        let waiting = match ask.newest_after {
            None => self.store.waiting(&self.name, &wanted),
            Some(first) => self.newest(&wanted, first),
        };
        let waiting = waiting.inspect_err(|error| {
            if error.is_damage() {
                self.mailbox.wake()
            }
        })?;
        self.reach(ask, &waiting);
        // Whoever finds nothing will send the next event as soon as it is there.
        let idle = ask.of == Of::Everything && waiting.is_empty() && ask.except.is_empty();
        self.standing.looked(idle, ask.newest_after.is_some());
        let queued = waiting.into_iter().map(|row| Queued {
            position: Position { priority: row.priority, sequence: row.sequence },
            id: row.id,
            event: row.event,
        });
        let queued: Vec<_> = queued.collect();
        if mutant::active(Mutant::ConfirmBeforeAnswer) {
            let delivered = |event: &Queued| (event.position, event.id.clone(), Outcome::Delivered);
            self.settle(queued.iter().map(delivered).collect(), Instant::now());
        }
        Ok(queued)
    }

    fn settle(&self, outcomes: Vec<Settled>, now: Instant) {
        let settlement = |(position, id, outcome): Settled| Settlement {
            output: self.name.clone(),
            priority: position.priority,
            sequence: position.sequence,
            id,
            fate: match outcome {
                Outcome::Delivered => Fate::Delivered,
                Outcome::Refused(why) => Fate::Refused(why),
            },
        };
        self.mailbox.settle(outcomes.into_iter().map(settlement).collect(), now);
    }

    fn spent(&self) -> Spent {
        let (day, bytes) = self.store.spent().get(&self.name).copied().unwrap_or_default();
        Spent { day, bytes }
    }

    fn spend(&self, spent: Spent) {
        self.mailbox.spend(&self.name, spent.day, spent.bytes);
    }

    fn backlog(&self) -> u64 {
        self.store.queued(&self.name)
    }

    fn thin(&self) {
        self.mailbox.thin();
    }

    async fn changed(&self) {
        self.standing.changed().await;
    }
}

impl Drop for StoreOutbox {
    fn drop(&mut self) {
        self.standing.left();
    }
}
