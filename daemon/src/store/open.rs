//! Opening: the file, its format, the last checkpoint, and the journal after it.

use super::checkpoint::{self, Snapshot};
use super::closed::{self, Place};
use super::definitions::Definitions;
use super::medium::{Medium, Wear};
use super::reserve::Reserve;
use super::rollup::Hand;
use super::room::Room;
use super::row::{unpack, unpack_value};
use super::schema::{
    CheckpointRow, Expenses, HeartbeatRow, JOURNAL, LetterCounts, META, META_CHECKPOINT, META_CLOSED_BYTES,
    META_HEARTBEAT, META_LETTERS, META_SPENT, OUTPUTS, OutputRow,
};
use super::shared::Shared;
use super::{Doing, Fresh, StoreError};
use redb::{ReadableDatabase, ReadableTable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_pipeline::mutant::{self, Mutant};
use tidegate_pipeline::plan::Plan;
use tidegate_pipeline::time::Time;
use tidegate_pipeline::{Pipeline, journal};

/// What a row of an outbox takes, with its share of the pages above it.
const OUTBOX_ROW_BYTES: u64 = 48;

/// The writer's side of the store. There is one.
#[derive(Debug)]
pub struct Store {
    pub(super) path: String,
    pub(super) medium: Beneath,
    /// Room for when there is none.
    pub(super) reserve: Option<Reserve>,
    /// The plan that is on disk.
    pub(super) plan: Plan,
    pub(super) shared: Arc<Shared>,
    /// The number of the next journal entry.
    pub(super) next: u64,
    pub(super) outputs: BTreeMap<String, OutputRow>,
    pub(super) letters: LetterCounts,
    /// What outputs have spent of their budgets.
    pub(super) spent: Expenses,
    /// The last heartbeat.
    pub(super) heartbeat: HeartbeatRow,
    /// Bytes of all closed windows, and of the events that are none.
    pub(super) closed_bytes: u64,
    pub(super) checkpoint: CheckpointRow,
    /// Bytes of journal since the checkpoint in force.
    pub(super) journal_bytes: u64,
    /// See [`Store::checkpoint_from`].
    pub(super) journal_bytes_min: u64,
    /// A snapshot that is being written.
    pub(super) snapshot: Option<Snapshot>,
    /// Windows that end at or before this can go when nothing waits for them …
    pub(super) forgotten: Time,
    /// … and up to here those that nothing waited for have gone.
    pub(super) collected: (i64, u32),
    /// What the groups' windows have in common.
    pub(super) definitions: Definitions,
    /// Places where another event may stand now than the one that is under way.
    pub(super) swapped: BTreeSet<Place>,
    /// Where the merging of what waits goes on.
    pub(super) hand: Hand,
    /// See [`Store::set_out_of_turn`].
    pub(super) out_of_turn: BTreeSet<String>,
    /// See [`Store::fit`].
    pub(super) room: Room,
}

pub(super) struct Beneath(pub(super) Box<dyn Medium>);

impl std::fmt::Debug for Beneath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Medium")
    }
}

/// An open store and what it remembers.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The pipeline as it was after the last transaction, under the plan of that time.
    pub pipeline: Pipeline,
}

impl Store {
    /// Opens the store, or makes it: then its random part of the events' `source` is `fresh_name`, and `plan` is its first.
    /// A damaged one is salvaged first.
    ///
    /// # Errors
    /// When the file cannot be opened, is another's or of another format; when a damaged one cannot be replaced.
    pub fn open(
        path: &str,
        medium: impl Medium + 'static,
        fresh_name: &str,
        plan: impl FnOnce(&str) -> Plan,
    ) -> Result<Opened, StoreError> {
        let fresh = Fresh { name: fresh_name.to_owned(), plan: plan(fresh_name) };
        let mut store = Store {
            path: path.to_owned(),
            medium: Beneath(Box::new(medium)),
            reserve: None,
            plan: Plan::default(),
            shared: Arc::new(Shared::new(Arc::new(Wear::default()))),
            next: 1,
            outputs: BTreeMap::new(),
            letters: LetterCounts::default(),
            spent: Expenses::new(),
            heartbeat: HeartbeatRow::default(),
            closed_bytes: 0,
            checkpoint: CheckpointRow::default(),
            journal_bytes: 0,
            journal_bytes_min: checkpoint::JOURNAL_BYTES_MIN,
            snapshot: None,
            forgotten: Time::MIN,
            collected: closed::FROM_THE_START,
            definitions: Definitions::default(),
            swapped: BTreeSet::new(),
            hand: Hand::default(),
            out_of_turn: BTreeSet::new(),
            room: Room::default(),
        };
        if mutant::active(Mutant::ReplayUnderNewPlan) {
            store.plan.clone_from(&fresh.plan);
        }
        let pipeline = store.bring_up(&fresh)?;
        Ok(Opened { store, pipeline })
    }

    /// Opens the file again after a failed write, and reads everything from it: the pipeline as it is on disk.
    ///
    /// # Errors
    /// As [`Store::open`]; the store can be reopened again later.
    pub fn reopen(&mut self) -> Result<Pipeline, StoreError> {
        self.shared.close();
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(6).collect();
        let name = name.to_lowercase();
        let source = super::salvage::renamed(&self.plan.source, &name);
        let fresh = Fresh { name, plan: Plan { source, ..self.plan.clone() } };
        self.bring_up(&fresh)
    }

    /// Whether the entry with this number is on disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has_entry(&self, number: u64) -> Result<bool, StoreError> {
        let database = self.shared.database()?;
        let journal = database.begin_read().doing("read")?.open_table(JOURNAL).doing("read the journal")?;
        // Truncated entries are in the checkpoint.
        Ok(number <= self.checkpoint.journal || journal.get((number, 0)).doing("read the journal")?.is_some())
    }

    /// The number that the next entry gets.
    pub fn next_entry(&self) -> u64 {
        self.next
    }

    /// The file that it is in.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What readers share with the writer.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Bytes that plan and state take: the checkpoint, and the next while it is written.
    pub fn state_bytes(&self) -> u64 {
        2 * self.checkpoint.bytes
    }

    /// How many events wait for outputs.
    pub fn queued(&self) -> u64 {
        self.outputs.values().map(|row| row.counts.queued()).sum()
    }

    /// Bytes of all that is kept: closed windows, dead letters, journal and checkpoint. The file is up to three times as large.
    pub fn live_bytes(&self) -> u64 {
        self.closed_bytes
            + self.queued() * OUTBOX_ROW_BYTES
            + self.definitions.bytes()
            + self.letters.bytes
            + self.journal_bytes
            + self.state_bytes()
    }

    /// Tells the readers what the last transaction left.
    pub(super) fn publish(&self) {
        self.shared.publish(&self.outputs, &self.spent, self.letters, self.forgotten, self.live_bytes());
    }

    /// Reads everything that is remembered from the file.
    pub(super) fn load(&mut self) -> Result<Pipeline, StoreError> {
        let database = self.shared.database()?;
        let read = database.begin_read().doing("read")?;
        let meta = read.open_table(META).doing("read")?;
        self.checkpoint = match meta.get(META_CHECKPOINT).doing("read the checkpoint")? {
            Some(row) => unpack_value(row.value(), "checkpoint header")?,
            None => return Err(StoreError::Damaged("checkpoint header")),
        };
        self.letters = match meta.get(META_LETTERS).doing("read")? {
            Some(row) => unpack_value(row.value(), "account of dead letters")?,
            None => LetterCounts::default(),
        };
        self.spent = match meta.get(META_SPENT).doing("read")? {
            Some(row) => unpack_value(row.value(), "what outputs have spent")?,
            None => Expenses::new(),
        };
        self.heartbeat = match meta.get(META_HEARTBEAT).doing("read")? {
            Some(row) => unpack_value(row.value(), "heartbeat")?,
            None => HeartbeatRow::default(),
        };
        self.closed_bytes = match meta.get(META_CLOSED_BYTES).doing("read")? {
            Some(row) => unpack_value(row.value(), "account of windows")?,
            None => 0,
        };
        let mut pipeline = checkpoint::read(&read, &self.checkpoint)?;
        if mutant::active(Mutant::ReplayUnderNewPlan) && self.plan != Plan::default() {
            pipeline = pipeline.migrate(self.plan.clone());
        }
        self.outputs.clear();
        for item in read.open_table(OUTPUTS).doing("read the outputs")?.iter().doing("read the outputs")? {
            let (name, row) = item.doing("read the outputs")?;
            self.outputs.insert(name.value().to_owned(), unpack_value(row.value(), "output")?);
        }
        self.swapped = closed::all_allowed(&read, &self.outputs, &self.out_of_turn)?;
        self.snapshot = None;
        self.next = self.checkpoint.journal + 1;
        self.journal_bytes = 0;
        let journal = read.open_table(JOURNAL).doing("read the journal")?;
        let mut row = Vec::new();
        let mut number = self.next;
        for item in journal.range((self.next, 0)..).doing("read the journal")? {
            let (key, chunk) = item.doing("read the journal")?;
            if key.value().0 != number {
                self.replay(&mut pipeline, number, &row)?;
                row.clear();
                number = key.value().0;
            }
            row.extend_from_slice(chunk.value());
        }
        if !row.is_empty() {
            self.replay(&mut pipeline, number, &row)?;
        }
        self.forgotten = pipeline.state().forgotten.unwrap_or(Time::MIN);
        self.collected = closed::FROM_THE_START;
        self.definitions = Definitions::load(&read)?;
        self.hand = Hand::default();
        self.plan = pipeline.plan().clone();
        drop((journal, meta));
        self.publish();
        Ok(pipeline)
    }

    fn replay(&mut self, pipeline: &mut Pipeline, number: u64, row: &[u8]) -> Result<(), StoreError> {
        let entry = journal::decode(&unpack(row, "journal entry")?)
            .map_err(|_| StoreError::Damaged("journal entry"))?;
        pipeline.replay(&entry);
        self.next = number + 1;
        self.journal_bytes += row.len() as u64;
        Ok(())
    }
}
