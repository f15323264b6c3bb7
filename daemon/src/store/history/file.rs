//! The history's file: one table, keyed by time first, as rows that are written together then stand together.
//!
//! Key order (end, group) writes 25 times less flash than (group, end) (redb 4.6, measured), and pruning is a range.

use super::{Found, Query, Summary};
use crate::limits::HISTORY_LOOK_MAX;
use crate::store::check::is_sound;
use crate::store::medium::{Counted, Medium, Wear, file};
use crate::store::row::{pack_value, unpack_value};
use crate::store::{Doing, StoreError};
use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition, TableHandle};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_pipeline::aggregate::Value;
use tidegate_pipeline::event::Closed;
use tidegate_pipeline::time::Time;

/// (end in µs, group) to [`Row`]. Another layout takes another name, so that it is known for foreign.
const TABLE: TableDefinition<'_, (i64, u32), &[u8]> = TableDefinition::new("history_2");
/// Pages in memory; the history is written in order and seldom read.
const CACHE_BYTES: usize = 1 << 20;

/// Where a row is kept: end in µs, group.
pub(super) type Key = (i64, u32);
/// Rows that wait to be written; an empty one takes away what is there.
pub(super) type Rows = BTreeMap<Key, Vec<u8>>;

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    revision: u32,
    subject: String,
    unit: Option<String>,
    start: Time,
    values: Vec<(String, Value)>,
}

/// The row of a closed window, and empty ones for those that it replaces.
pub(super) fn rows_of(closed: Closed) -> impl Iterator<Item = (Key, Vec<u8>)> {
    let retired: Vec<_> = closed.retires.iter().map(|old| ((old.end.0, old.group), Vec::new())).collect();
    retired.into_iter().chain(std::iter::once(row(closed)))
}

fn row(closed: Closed) -> (Key, Vec<u8>) {
    let record = closed.record;
    let row = Row {
        revision: closed.revision,
        subject: record.subject,
        unit: record.unit,
        start: record.start,
        values: record.values,
    };
    ((closed.key.end.0, closed.key.group), pack_value(&row))
}

/// Opens the file, or makes it. One that is damaged or not a history is moved aside first: it is only a copy.
///
/// # Errors
/// When it cannot be opened for another reason, such as who may write to the directory.
pub(super) fn open(path: &Path, wear: &Arc<Wear>) -> Result<Database, StoreError> {
    match try_open(path, wear) {
        Err(error) if is_damage(&error) => {
            move_aside(path, &error)?;
            try_open(path, wear)
        }
        opened => opened,
    }
}

/// Moves the file to `….damaged`, in place of an older one there.
///
/// # Errors
/// When the directory cannot be written.
pub(super) fn move_aside(path: &Path, why: &StoreError) -> Result<(), StoreError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    std::fs::rename(path, &aside).map_err(|source| unopened(path, source))?;
    tracing::warn!(
        error = %why,
        aside = %aside.display(),
        "the history cannot be used; it is moved aside and begun anew. Queries miss what was in it, nothing else does"
    );
    Ok(())
}

/// Whether the file itself is at fault, so that no further try can succeed.
pub(super) fn is_damage(error: &StoreError) -> bool {
    match error {
        StoreError::Damaged(_) => true,
        StoreError::Database { source, .. } => {
            matches!(**source, redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_))
        }
        _ => false,
    }
}

fn unopened(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Open { path: path.display().to_string(), source }
}

fn try_open(path: &Path, wear: &Arc<Wear>) -> Result<Database, StoreError> {
    let inner = file(path).open().map_err(|source| unopened(path, source))?;
    if inner.len()? > 0 && !is_sound(&*inner)? {
        return Err(StoreError::Damaged("history file"));
    }
    let backend = Counted { inner, wear: Arc::clone(wear) };
    let database = match Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend) {
        Ok(database) => database,
        Err(DatabaseError::DatabaseAlreadyOpen) => {
            return Err(StoreError::Locked(path.display().to_string()));
        }
        // That is how redb says that a file is none of its own, or shorter than it was.
        Err(DatabaseError::Storage(StorageError::Io(error)))
            if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            return Err(StoreError::Damaged("history file"));
        }
        Err(error) => return Err(error).doing("open the history"),
    };
    let read = database.begin_read().doing("read the history")?;
    let mut tables = read.list_tables().doing("read the history")?.peekable();
    let empty = tables.peek().is_none();
    if !empty && !tables.any(|table| table.name() == TABLE.name()) {
        return Err(StoreError::Damaged("history file, or rather what another program put in its place,"));
    }
    drop(tables);
    drop(read);
    if empty {
        let write = database.begin_write().doing("make the history")?;
        write.open_table(TABLE).doing("make the history")?;
        write.commit().doing("make the history")?;
    }
    Ok(database)
}

/// Writes `rows` in one transaction: a later revision takes the place of an earlier one, and windows that ended before
/// `oldest` go. When `is_full`, as many of the oldest go as come.
///
/// # Errors
/// Then nothing of it is written, and the file must be opened again.
pub(super) fn write(database: &Database, rows: &Rows, oldest: Time, is_full: bool) -> Result<(), StoreError> {
    let write = database.begin_write().doing("write the history")?;
    {
        let mut table = write.open_table(TABLE).doing("write the history")?;
        table.retain_in(..(oldest.0, 0), |_, _| false).doing("prune the history")?;
        if is_full {
            for _ in rows {
                table.pop_first().doing("prune the history")?;
            }
        }
        for (key, row) in rows.range((oldest.0, 0)..) {
            if row.is_empty() {
                table.remove(key).doing("write the history")?;
            } else {
                table.insert(key, row.as_slice()).doing("write the history")?;
            }
        }
    }
    write.commit().doing("write the history")
}

/// The newest rows that `query` wants, oldest first. Damaged rows are left out and counted.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(database: &Database, query: &Query) -> Result<Found, StoreError> {
    let mut found = Found::default();
    if query.from >= query.to {
        return Ok(found);
    }
    let read = database.begin_read().doing("read the history")?;
    let table = read.open_table(TABLE).doing("read the history")?;
    let range = (query.from.0.saturating_add(1), 0)..=(query.to.0, u32::MAX);
    for (looked, item) in table.range(range).doing("read the history")?.rev().enumerate() {
        if found.summaries.len() == query.limit || looked == HISTORY_LOOK_MAX {
            found.truncated = true;
            break;
        }
        let (key, row) = item.doing("read the history")?;
        let Ok(row) = unpack_value::<Row>(row.value(), "row of the history") else {
            found.damaged += 1;
            continue;
        };
        if row.subject.starts_with(&query.summary) && row.subject.starts_with(&query.subject) {
            let Row { revision, subject, unit, start, values } = row;
            let end = Time(key.value().0);
            found.summaries.push(Summary { subject, unit, start, end, revision, values });
        }
    }
    found.summaries.reverse();
    Ok(found)
}
