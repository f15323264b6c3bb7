//! Salvage: a new store from what a damaged file still holds.
//!
//! redb is not asked: see [`super::pages`]. A row is taken over when it has its checksum, and its page has; where only the row
//! has, when something else says that its key is right. Whatever is known to be missing is accounted for.
//!
//! When something is missing that an event may be amended by or counted in, the pipeline goes on under another name of the
//! store: then what it sends are parts of another gateway's windows, which functions add up, and nothing that was sent is
//! contradicted. Closed windows are then only events that wait.

mod accounts;
mod letters;
mod memory;
mod old;
mod queue;
mod report;
mod windows;

pub use report::Report;

use super::checkpoint::{self, Snapshot};
use super::row::pack_value;
use super::schema::{
    DEFINITIONS, Expenses, FORMAT, HeartbeatRow, JOURNAL, LetterCounts, META, META_CLOSED_BYTES, META_FORMAT,
    META_HEARTBEAT, META_LETTERS, META_NAME, META_SPENT, META_SUBSCRIPTIONS,
};
use super::{Doing, Fresh, StoreError};
use old::{Old, Rows};
use queue::Queue;
use redb::{Database, StorageBackend, TableHandle};
use std::collections::BTreeMap;

/// Fills the empty database `new` with what the file `old` still holds. Nothing is written to `old`.
///
/// # Errors
/// When the one cannot be read or the other not be written.
pub(super) fn salvage(old: &dyn StorageBackend, new: &Database, fresh: &Fresh) -> Result<Report, StoreError> {
    let old = Old::read(old)?;
    let mut report = Report::default();
    let meta = old.rows::<String>(META.name())?;
    let windows = windows::look(&old)?;
    let mut memory = memory::read(&old, &meta, &windows, fresh, &mut report)?;
    report.forgotten = !memory.continued;
    let definitions = old.rows::<u32>(DEFINITIONS.name())?;
    let heartbeat: Option<HeartbeatRow> = meta.value(META_HEARTBEAT);
    let whole = memory.whole && windows.whole && definitions.whole && (meta.whole || heartbeat.is_some());
    let source = memory.pipeline.plan().source.clone();
    let name = match (whole, name(&meta, &source)) {
        (true, Some(name)) => name,
        _ => fresh.name.clone(),
    };
    if !source.ends_with(&format!("/{name}")) {
        memory.pipeline = memory.pipeline.renamed(renamed(&source, &name));
    }
    if !whole {
        report.renamed = Some(name.clone());
    }

    let write = new.begin_write().doing("be salvaged")?;
    let mut queue = Queue::read(&old, &write, heartbeat.unwrap_or_default())?;
    queue.take_events(&old)?;
    queue.take_windows(&old, &write, whole)?;
    let known: Option<LetterCounts> = meta.value(META_LETTERS);
    let letters = letters::take(&old, &write, &mut queue, &mut memory, known)?;
    report.letters_bytes = letters.bytes;
    let outputs = memory.pipeline.plan().outputs.clone();
    accounts::write(&old, &write, &mut queue, &outputs, &mut report)?;
    let heartbeat = heartbeat.map(|_| queue.heartbeat);
    let bytes = queue.end(&write)?;
    {
        let mut table = write.open_table(DEFINITIONS).doing("be salvaged")?;
        // They are of closed windows.
        for (group, row) in definitions.rows.iter().filter(|_| whole) {
            table.insert(group, row.as_slice()).doing("be salvaged")?;
        }
    }
    write.open_table(JOURNAL).doing("be salvaged")?;
    {
        let mut table = write.open_table(META).doing("be salvaged")?;
        let mut put = |name, row: &[u8]| table.insert(name, row).doing("be salvaged").map(drop);
        put(META_FORMAT, &FORMAT.to_le_bytes())?;
        put(META_NAME, name.as_bytes())?;
        put(META_LETTERS, &pack_value(&letters))?;
        put(META_CLOSED_BYTES, &pack_value(&bytes))?;
        if let Some(heartbeat) = heartbeat {
            put(META_HEARTBEAT, &pack_value(&heartbeat))?;
        }
        let spent: Option<Expenses> = meta.value(META_SPENT);
        if let Some(spent) = spent {
            put(META_SPENT, &pack_value(&spent))?;
        }
        let subscriptions: Option<BTreeMap<String, Vec<String>>> = meta.value(META_SUBSCRIPTIONS);
        if let Some(subscriptions) = subscriptions {
            put(META_SUBSCRIPTIONS, &pack_value(&subscriptions))?;
        }
    }
    let mut snapshot = Snapshot::take(&memory.pipeline, 1, memory.last);
    snapshot.write(&write, usize::MAX)?;
    checkpoint::flip(&write, &snapshot)?;
    write.commit().doing("be salvaged")?;
    Ok(report)
}

/// The store's name: as it is written down, if that is sound, else as the events' `source` has it.
fn name(meta: &Rows<String>, source: &str) -> Option<String> {
    let written = meta.rows.get(META_NAME).and_then(|name| String::from_utf8(name.clone()).ok());
    written.or_else(|| Some(source.rsplit_once('/')?.1.to_owned()))
}

/// The `source` with another name of the store in it.
pub(super) fn renamed(source: &str, name: &str) -> String {
    let gateway = source.rsplit_once('/').map_or(source, |(gateway, _)| gateway);
    format!("{gateway}/{name}")
}
