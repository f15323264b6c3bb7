//! The readers' side: outboxes, closed windows, dead letters and accounts, while the writer writes.

use super::closed::window;
use super::medium::Wear;
use super::row::unpack_value;
use super::salvage::Report;
use super::schema::{
    CLOSED, EVENTS, EventRow, Expenses, LETTERS, Letter, LetterCounts, META, META_SUBSCRIPTIONS, MOVED,
    OUTBOX, OutputRow, Reference,
};
use super::{Doing, StoreError};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::mutant::{self, Mutant};
use tidegate_pipeline::time::Time;
use tidegate_pipeline::{Loaded, Stored};

/// What readers share with the writer.
#[derive(Debug)]
pub struct Shared {
    wear: Arc<Wear>,
    /// Somebody met a value without its checksum.
    suspect: AtomicBool,
    database: Mutex<Option<Arc<Database>>>,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    name: String,
    salvaged: Option<Report>,
    outputs: BTreeMap<String, OutputRow>,
    spent: Expenses,
    letters: LetterCounts,
    forgotten: Option<Time>,
    live_bytes: u64,
}

/// An event that waits for an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the outbox.
    pub priority: u8,
    /// Its place in the outbox.
    pub sequence: u64,
    /// CloudEvents id.
    pub id: String,
    /// The whole event.
    pub event: Vec<u8>,
}

impl Shared {
    pub(super) fn new(wear: Arc<Wear>) -> Shared {
        Shared {
            wear,
            suspect: AtomicBool::new(false),
            database: Mutex::default(),
            accounts: Mutex::default(),
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

    /// The next events that `output` may be sent, in order, without those that `skip` names: at most `events`, and but
    /// for the first at most `bytes` in all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn waiting(
        &self,
        output: &str,
        skip: &dyn Fn(u8, u64) -> bool,
        events: usize,
        bytes: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let lanes = usize::MAX;
        self.read_waiting(output, skip, (events, bytes), lanes).inspect_err(|error| self.met(error))
    }

    /// The same, of alerts alone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn waiting_alerts(
        &self,
        output: &str,
        skip: &dyn Fn(u8, u64) -> bool,
        events: usize,
        bytes: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        self.read_waiting(output, skip, (events, bytes), 1).inspect_err(|error| self.met(error))
    }

    fn read_waiting(
        &self,
        output: &str,
        skip: &dyn Fn(u8, u64) -> bool,
        (events, bytes): (usize, usize),
        lanes: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let Some((number, attempted)) =
            lock(&self.accounts).outputs.get(output).map(|row| (row.number, row.attempted))
        else {
            return Ok(Vec::new());
        };
        let read = self.read()?;
        let outbox = read.open_table(OUTBOX).doing("read the outbox")?;
        let mut found: Vec<Waiting> = Vec::new();
        let mut size = 0;
        for (priority, end) in (0u8..).zip(attempted).take(lanes) {
            let end = if mutant::active(Mutant::SendBeforeAttempted) { u64::MAX } else { end };
            for item in
                outbox.range((number, priority, 0)..(number, priority, end)).doing("read the outbox")?
            {
                let (place, reference) = item.doing("read the outbox")?;
                let (_, _, sequence) = place.value();
                if skip(priority, sequence) {
                    continue;
                }
                let Some((id, event)) = self.event(&read, Reference::of(reference.value()))? else {
                    continue;
                };
                size += event.len();
                if found.len() == events || (!found.is_empty() && size > bytes) {
                    return Ok(found);
                }
                found.push(Waiting { priority, sequence, id, event });
            }
        }
        Ok(found)
    }

    /// The first event of each of the output's queues, sent before or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn heads(&self, output: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(number) = lock(&self.accounts).outputs.get(output).map(|row| row.number) else {
            return Ok(Vec::new());
        };
        let read = self.read()?;
        let outbox = read.open_table(OUTBOX).doing("read the outbox")?;
        let mut heads = Vec::new();
        for priority in [super::closed::ALERT, super::closed::SUMMARY] {
            let lane = (number, priority, 0)..=(number, priority, u64::MAX);
            if let Some(item) = outbox.range(lane).doing("read the outbox")?.next() {
                let (_, reference) = item.doing("read the outbox")?;
                heads.extend(self.event(&read, Reference::of(reference.value()))?.map(|(_, event)| event));
            }
        }
        Ok(heads)
    }

    /// Whether `output` has events that it may not be sent yet.
    pub fn has_unreached(&self, output: &str) -> bool {
        lock(&self.accounts).outputs.get(output).is_some_and(|row| row.attempted != row.next)
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

    /// The filters that each source was subscribed to last.
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

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.database()?.begin_read().doing("read")
    }

    fn event(
        &self,
        read: &ReadTransaction,
        reference: Reference,
    ) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        match reference {
            Reference::Closed(key) => {
                let table = read.open_table(CLOSED).doing("read a window")?;
                let row = table.get((key.end.0, key.group)).doing("read a window")?;
                let row = row.map(|row| window(row.value())).transpose()?;
                Ok(row.map(|row| (row.id, row.event)))
            }
            Reference::Event(number) => {
                let table = read.open_table(EVENTS).doing("read an event")?;
                let row = table.get(number).doing("read an event")?;
                let row = row.map(|row| unpack_value::<EventRow>(row.value(), "event")).transpose()?;
                Ok(row.map(|row| (row.id, row.event)))
            }
            Reference::Letter(number) => {
                let table = read.open_table(LETTERS).doing("read a dead letter")?;
                let row = table.get(number).doing("read a dead letter")?;
                let letter = row.map(|row| unpack_value::<Letter>(row.value(), "dead letter")).transpose()?;
                Ok(letter.and_then(|letter| match letter {
                    Letter::Event { id, event, .. } => Some((id, event)),
                    Letter::Message(_) => None,
                }))
            }
        }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
