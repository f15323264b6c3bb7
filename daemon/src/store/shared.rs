//! The readers' side: closed windows, dead letters and accounts, while the writer writes. Outboxes: see [`super::waiting`].

use super::closed::window;
use super::medium::Wear;
use super::row::unpack_value;
use super::salvage::Report;
use super::schema::{
    CLOSED, Expenses, LETTERS, Letter, LetterCounts, META, META_SUBSCRIPTIONS, MOVED, OUTBOX, OutputRow,
};
use super::waiting::Shares;
use super::{Doing, StoreError};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::time::Time;
use tidegate_pipeline::{Loaded, Stored};

/// What readers share with the writer.
#[derive(Debug)]
pub struct Shared {
    wear: Arc<Wear>,
    /// Somebody met a value without its checksum.
    suspect: AtomicBool,
    database: Mutex<Option<Arc<Database>>>,
    pub(super) accounts: Mutex<Accounts>,
    /// See [`super::waiting`].
    pub(super) shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
pub(super) struct Accounts {
    name: String,
    salvaged: Option<Report>,
    pub(super) outputs: BTreeMap<String, OutputRow>,
    spent: Expenses,
    letters: LetterCounts,
    forgotten: Option<Time>,
    live_bytes: u64,
}

impl Shared {
    pub(super) fn new(wear: Arc<Wear>) -> Shared {
        Shared {
            wear,
            suspect: AtomicBool::new(false),
            database: Mutex::default(),
            accounts: Mutex::default(),
            shares: Mutex::default(),
        }
    }

    /// The random name that was made with the store. A salvage can change it.
    pub fn name(&self) -> String {
        lock(&self.accounts).name.clone()
    }

    /// What the last salvage found, if the file was damaged since the daemon started.
    pub fn salvage(&self) -> Option<Report> {
        lock(&self.accounts).salvaged.clone()
    }

    pub(super) fn salvaged(&self, report: Report) {
        lock(&self.accounts).salvaged = Some(report);
        self.suspect.store(false, Ordering::Relaxed);
    }

    /// Whether damage was met: the store must be reopened, and will be salvaged then.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Notes damage that whoever read or wrote has met.
    pub(super) fn met(&self, error: &StoreError) {
        if error.is_damage() {
            self.suspect.store(true, Ordering::Relaxed);
        }
    }

    /// What was done to the medium.
    pub fn wear(&self) -> &Arc<Wear> {
        &self.wear
    }

    /// The outputs and their accounts, as of the last transaction.
    pub fn outputs(&self) -> BTreeMap<String, OutputRow> {
        lock(&self.accounts).outputs.clone()
    }

    /// How many events wait for this output, as of the last transaction.
    pub fn queued(&self, output: &str) -> u64 {
        lock(&self.accounts).outputs.get(output).map_or(0, |row| row.counts.queued())
    }

    /// By output: the last day on which it was spent on, and the bytes of that day, as of the last transaction.
    pub fn spent(&self) -> Expenses {
        lock(&self.accounts).spent.clone()
    }

    /// Bytes of all that is kept, as of the last transaction. The file is up to three times as large.
    pub fn live_bytes(&self) -> u64 {
        lock(&self.accounts).live_bytes
    }

    /// Windows that ended at or before this cannot be amended, as of the last transaction.
    pub fn forgotten(&self) -> Option<Time> {
        lock(&self.accounts).forgotten
    }

    /// What became of dead letters, as of the last transaction.
    pub fn letter_counts(&self) -> LetterCounts {
        lock(&self.accounts).letters
    }

    /// Whether `output` has events that it may not be sent yet.
    pub fn has_unreached(&self, output: &str) -> bool {
        lock(&self.accounts).outputs.get(output).is_some_and(|row| row.attempted != row.next)
    }

    /// How many summaries that wait for `output` it may be sent, in places of the queue: about that many, since some are gone.
    pub fn within_reach(&self, output: &str) -> u64 {
        let accounts = lock(&self.accounts);
        let row = accounts.outputs.get(output);
        row.map_or(0, |row| {
            let unreached = row.next[1].saturating_sub(row.attempted[1]);
            row.counts.queued().saturating_sub(unreached)
        })
    }

    /// How many places behind this one `output` may be sent already.
    pub fn reach_after(&self, output: &str, priority: u8, sequence: u64) -> u64 {
        let accounts = lock(&self.accounts);
        let attempted = accounts.outputs.get(output).and_then(|row| row.attempted.get(usize::from(priority)));
        attempted.map_or(0, |attempted| attempted.saturating_sub(sequence + 1))
    }

    /// The closed windows with these keys, as far as the store has them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load(&self, keys: &[ClosedKey]) -> Result<Loaded, StoreError> {
        self.read_windows(keys).inspect_err(|error| self.met(error))
    }

    fn read_windows(&self, keys: &[ClosedKey]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::new();
        if keys.is_empty() {
            return Ok(loaded);
        }
        let read = self.read()?;
        let table = read.open_table(CLOSED).doing("read windows")?;
        let moved = read.open_table(MOVED).doing("read windows")?;
        for key in keys {
            if let Some(found) = find(&table, &moved, *key)? {
                loaded.insert(*key, found);
            }
        }
        Ok(loaded)
    }

    /// Dead letters with their numbers, from `after` on, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn letters(&self, after: u64, limit: usize) -> Result<Vec<(u64, Letter)>, StoreError> {
        let read = self.read()?;
        let table = read.open_table(LETTERS).doing("read the dead letters")?;
        let range = table.range(after.saturating_add(1)..).doing("read the dead letters")?;
        range
            .take(limit)
            .map(|item| {
                let (number, row) = item.doing("read the dead letters")?;
                Ok((
                    number.value(),
                    unpack_value(row.value(), "dead letter").inspect_err(|error| self.met(error))?,
                ))
            })
            .collect()
    }

    /// One dead letter.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn letter(&self, number: u64) -> Result<Option<Letter>, StoreError> {
        let read = self.read()?;
        let table = read.open_table(LETTERS).doing("read a dead letter")?;
        let row = table.get(number).doing("read a dead letter")?;
        row.map(|row| unpack_value(row.value(), "dead letter"))
            .transpose()
            .inspect_err(|error| self.met(error))
    }

    /// How many dead letters there are, and how many rows wait in all outboxes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn counts(&self) -> Result<(u64, u64), StoreError> {
        let read = self.read()?;
        let letters = read.open_table(LETTERS).doing("count")?.len().doing("count")?;
        let queued = read.open_table(OUTBOX).doing("count")?.len().doing("count")?;
        Ok((letters, queued))
    }

    /// The filters that each session at a broker may hold.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn subscriptions(&self) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
        let read = self.read()?;
        let meta = read.open_table(META).doing("read the subscriptions")?;
        let row = meta.get(META_SUBSCRIPTIONS).doing("read the subscriptions")?;
        Ok(row.map(|row| unpack_value(row.value(), "subscriptions")).transpose()?.unwrap_or_default())
    }

    pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
        lock(&self.database).clone().ok_or(StoreError::Reopening)
    }

    /// Lets go of the file, once all readers have.
    pub(super) fn close(&self) {
        let Some(database) = lock(&self.database).take() else { return };
        // Reads are short and new ones find nothing, so this ends soon; the file's lock goes with the last of them.
        while Arc::strong_count(&database) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn set(&self, name: String, database: Database) {
        lock(&self.accounts).name = name;
        *lock(&self.database) = Some(Arc::new(database));
    }

    pub(super) fn publish(
        &self,
        outputs: &BTreeMap<String, OutputRow>,
        spent: &Expenses,
        letters: LetterCounts,
        forgotten: Time,
        live_bytes: u64,
    ) {
        let mut accounts = lock(&self.accounts);
        accounts.live_bytes = live_bytes;
        accounts.outputs.clone_from(outputs);
        accounts.spent.clone_from(spent);
        accounts.letters = letters;
        accounts.forgotten = Some(forgotten);
    }

    pub(super) fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.database()?.begin_read().doing("read")
    }
}

/// What stands under the name of a window, followed to where it went.
fn find(
    closed: &impl ReadableTable<(i64, u32), &'static [u8]>,
    moved: &impl ReadableTable<(i64, u32), (i64, u32)>,
    key: ClosedKey,
) -> Result<Option<Stored>, StoreError> {
    let mut at = (key.end.0, key.group);
    loop {
        if let Some(row) = closed.get(at).doing("read windows")? {
            let name = ClosedKey { end: Time(at.0), group: at.1 };
            return Ok(Some(Stored::Window(name, window(row.value())?.kept)));
        }
        match moved.get(at).doing("read windows")?.map(|row| row.value()) {
            // Windows go into later ones only, so this ends.
            Some(into) if into.0 > at.0 => at = into,
            Some(_) => return Ok(Some(Stored::Silent)),
            // Without the window that it went into, nothing more can be told of a part.
            None => return Ok((at != (key.end.0, key.group)).then_some(Stored::Silent)),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
