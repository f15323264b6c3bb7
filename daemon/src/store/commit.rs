//! The transaction: everything that one batch changes, at once or not at all.

use super::closed::{FROM_THE_START, Queues};
use super::heartbeat::Heartbeat;
use super::row::{CHUNK, pack, pack_value};
use super::schema::{
    Expenses, JOURNAL, LETTERS, Letter, META, META_CLOSED_BYTES, META_LETTERS, META_SPENT,
    META_SUBSCRIPTIONS, OUTBOX, OUTPUTS, OutputRow, Reference,
};
use super::{Doing, Store, StoreError};
use redb::{ReadableTable, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::time::Time;
use tidegate_pipeline::{Changes, journal};

/// What one transaction does.
#[derive(Debug, Default)]
pub struct Commit {
    /// What the pipeline changed.
    pub changes: Changes,
    /// The outputs that the indices in `changes` mean.
    pub outputs: Vec<String>,
    /// What is told of the gateway itself.
    pub heartbeat: Option<Heartbeat>,
    /// What became of events.
    pub settled: Vec<Settlement>,
    /// What an operator wants done with dead letters. Retried messages are in `changes` already.
    pub letters: Vec<LetterRequest>,
    /// Outputs that may be sent their next events: names, and how many more.
    pub reach: BTreeMap<String, u64>,
    /// By output: what may be sent though others before it may not: priorities and sequences.
    pub allow: BTreeMap<String, Vec<(u8, u64)>>,
    /// Outputs that wait for something to send: what this transaction queues for them may be sent at once.
    pub waiting: BTreeSet<String>,
    /// Outputs whose queue is given up.
    pub drop_outputs: Vec<String>,
    /// What outputs have spent of their budgets since.
    pub spent: Expenses,
    /// The filters that each session at a broker may hold from now on, where that changed.
    pub subscriptions: Option<BTreeMap<String, Vec<String>>>,
    /// Now.
    pub at: Time,
}

/// What became of one event at one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Name of the output.
    pub output: String,
    /// Its place in the outbox.
    pub priority: u8,
    /// Its place in the outbox.
    pub sequence: u64,
    /// The id under which it was sent.
    pub id: String,
    /// What became of it.
    pub fate: Fate,
}

/// Delivered, or refused with the function's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The function has it.
    Delivered,
    /// The function will not have it.
    Refused(String),
}

/// What an operator wants done with a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterRequest {
    /// A message was given to the pipeline again in this transaction: the letter goes.
    Retried(u64),
    /// An event goes back into the outbox.
    Requeue(u64),
    /// The letter goes for good.
    Drop(u64),
}

impl Commit {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.heartbeat.is_none()
            && self.settled.is_empty()
            && self.letters.is_empty()
            && self.reach.is_empty()
            && self.allow.is_empty()
            && self.drop_outputs.is_empty()
            && self.spent.is_empty()
            && self.subscriptions.is_none()
    }
}

impl Store {
    /// Writes everything in one transaction and waits until it is on disk.
    ///
    /// # Errors
    /// Then nothing is known: the store must be [`Store::reopen`]ed, and [`Store::has_entry`] says whether it was written.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.transact(commit).inspect_err(|error| self.shared.met(error))
    }

    fn transact(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let database = self.shared.database()?;
        let mut write = database.begin_write().doing("begin a transaction")?;
        // Closing a window frees pages that only a later transaction could use; two roots are enough for us.
        write.set_two_phase_commit(false);
        let entry = self.write_entry(&write, commit)?;
        let mut letters = self.letters;
        let mut queues = self.queues();
        if let Some(forgotten) = commit.changes.forgotten {
            queues.forgotten = queues.forgotten.max(forgotten);
        }
        // What an output has taken is settled before a later revision could supersede it.
        queues.settle(&write, &commit.settled, &mut letters, commit.at)?;
        for alert in &commit.changes.alerts {
            queues.send(&write, alert, super::closed::ALERT, &commit.outputs, &commit.waiting)?;
        }
        for closed in &commit.changes.closed {
            queues.close(&write, closed, &commit.outputs, &commit.waiting)?;
        }
        for event in commit.changes.captures.iter().chain(&commit.changes.raw) {
            queues.send(&write, event, super::closed::SUMMARY, &commit.outputs, &commit.waiting)?;
        }
        let mut heartbeat = self.heartbeat;
        if let Some(beat) = &commit.heartbeat {
            heartbeat = queues.beat(&write, beat, heartbeat, &commit.waiting)?;
        }
        super::letters::write(&write, &commit.changes.dead_letters, &mut letters, &mut queues)?;
        for request in &commit.letters {
            super::letters::request(&write, *request, &mut letters, &mut queues)?;
        }
        for (name, more) in &commit.reach {
            queues.reach(name, *more);
        }
        for (name, places) in &commit.allow {
            queues.allow(&write, name, places)?;
        }
        for name in &commit.drop_outputs {
            drop_output(&write, name, &mut queues)?;
        }
        // What waited for a dropped output goes now: nobody will confirm it.
        let from = if commit.drop_outputs.is_empty() { self.collected } else { FROM_THE_START };
        let (collected, freed) = super::closed::collect(&write, from, queues.forgotten)?;
        queues.closed_bytes = queues.closed_bytes.saturating_sub(freed);
        if let Some(subscriptions) = &commit.subscriptions {
            let mut meta = write.open_table(META).doing("remember the subscriptions")?;
            let row = pack_value(subscriptions);
            meta.insert(META_SUBSCRIPTIONS, row.as_slice()).doing("remember the subscriptions")?;
        }
        let spent = self.write_expenses(&write, commit)?;
        self.write_accounts(&write, &queues, letters)?;
        let checkpoint = self.advance_checkpoint(&write, &mut queues.definitions)?;
        write.commit().doing("commit")?;

        // On disk: only now does the memory follow.
        if let Some(bytes) = entry {
            self.next += 1;
            self.journal_bytes += bytes;
        }
        self.follow(queues);
        self.letters = letters;
        self.spent = spent;
        self.heartbeat = heartbeat;
        self.collected = collected;
        if let Some(row) = checkpoint {
            self.in_force(row);
        }
        self.publish();
        Ok(())
    }

    /// The outputs as a transaction finds them. Until [`Store::follow`] they are the transaction's alone: where it fails,
    /// everything is read from the disk again.
    pub(super) fn queues(&mut self) -> Queues {
        Queues {
            outputs: self.outputs.clone(),
            forgotten: self.forgotten,
            closed_bytes: self.closed_bytes,
            changed: BTreeSet::new(),
            definitions: std::mem::take(&mut self.definitions),
            swapped: self.swapped.clone(),
            letters_bytes_max: self.room.letters,
        }
    }

    /// A transaction is on disk: memory follows.
    pub(super) fn follow(&mut self, queues: Queues) {
        self.outputs = queues.outputs;
        self.closed_bytes = queues.closed_bytes;
        self.forgotten = queues.forgotten;
        self.definitions = queues.definitions;
        self.swapped = queues.swapped;
    }

    /// Writes the accounts that this transaction changes.
    pub(super) fn write_accounts(
        &self,
        write: &WriteTransaction,
        queues: &Queues,
        letters: super::LetterCounts,
    ) -> Result<(), StoreError> {
        if !queues.changed.is_empty() {
            let mut table = write.open_table(OUTPUTS).doing("write the outputs")?;
            for name in &queues.changed {
                if let Some(row) = queues.outputs.get(name) {
                    table.insert(name.as_str(), pack_value(row).as_slice()).doing("write the outputs")?;
                }
            }
        }
        let mut meta = write.open_table(META).doing("write the accounts")?;
        if letters != self.letters {
            meta.insert(META_LETTERS, pack_value(&letters).as_slice()).doing("write the accounts")?;
        }
        if queues.closed_bytes != self.closed_bytes {
            let row = pack_value(&queues.closed_bytes);
            meta.insert(META_CLOSED_BYTES, row.as_slice()).doing("write the accounts")?;
        }
        Ok(())
    }

    /// Writes what was spent, where that is new: all that was.
    fn write_expenses(&self, write: &WriteTransaction, commit: &Commit) -> Result<Expenses, StoreError> {
        let mut spent = self.spent.clone();
        spent.extend(commit.spent.clone());
        spent.retain(|name, _| !commit.drop_outputs.contains(name));
        if spent != self.spent {
            let mut meta = write.open_table(META).doing("write what was spent")?;
            meta.insert(META_SPENT, pack_value(&spent).as_slice()).doing("write what was spent")?;
        }
        Ok(spent)
    }

    /// Writes the journal entry, if there is one: its bytes.
    fn write_entry(&self, write: &WriteTransaction, commit: &Commit) -> Result<Option<u64>, StoreError> {
        if commit.changes.entry.is_empty() {
            return Ok(None);
        }
        let row = pack(&journal::encode(&commit.changes.entry));
        let mut table = write.open_table(JOURNAL).doing("write the journal")?;
        for (at, chunk) in (0u16..).zip(row.chunks(CHUNK)) {
            table.insert((self.next, at), chunk).doing("write the journal")?;
        }
        Ok(Some(row.len() as u64))
    }
}

fn drop_output(write: &WriteTransaction, name: &str, queues: &mut Queues) -> Result<(), StoreError> {
    let Some(OutputRow { number, .. }) = queues.outputs.get(name) else { return Ok(()) };
    let (number, mut letters, mut events) = (*number, Vec::new(), Vec::new());
    {
        let mut outbox = write.open_table(OUTBOX).doing("drop the output's queue")?;
        outbox
            .retain_in((number, 0, 0)..=(number, u8::MAX, u64::MAX), |_, reference| {
                match Reference::of(reference) {
                    Reference::Letter(letter) => letters.push(letter),
                    Reference::Event(event) => events.push(event),
                    Reference::Closed(_) => {}
                }
                false
            })
            .doing("drop the output's queue")?;
    }
    for event in events {
        queues.release(write, event)?;
    }
    let mut table = write.open_table(LETTERS).doing("drop the output's queue")?;
    for letter in letters {
        let row = table.get(letter).doing("drop the output's queue")?.map(|row| row.value().to_vec());
        if let Some(Letter::Event { output, id, event, why, at, .. }) =
            row.map(|row| super::row::unpack_value(&row, "dead letter")).transpose()?
        {
            let row = pack_value(&Letter::Event { output, id, event, why, at, queued: false });
            table.insert(letter, row.as_slice()).doing("drop the output's queue")?;
        }
    }
    queues.changed.insert(name.to_owned());
    if let Some(row) = queues.outputs.get_mut(name) {
        let queued = row.counts.queued();
        *row.counts.dropped.entry("output_removed".to_owned()).or_default() += queued;
    }
    Ok(())
}
