//! From a file to a database: looked at, salvaged if need be, and only then given to redb.

use super::check::{Look, is_blank, look};
use super::checkpoint::{self, Snapshot};
use super::medium::{Counted, Medium, Wear};
use super::salvage::salvage;
use super::schema::{FORMAT, JOURNAL, META, META_FORMAT, META_NAME, OUTPUTS};
use super::{Doing, Fresh, Store, StoreError};
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend};
use std::ops::Bound;
use std::sync::Arc;
use tidegate_pipeline::Pipeline;

/// Pages that redb keeps in memory. Its own default is 1 GiB.
const CACHE_BYTES: usize = 4 << 20;

impl Store {
    /// Opens the file and reads all of it, salvaged if need be.
    pub(super) fn bring_up(&mut self, fresh: &Fresh) -> Result<Pipeline, StoreError> {
        if self.shared.is_suspect() || look(&*self.open_alone()?)? == Look::Damaged {
            self.salvage(fresh)?;
        }
        match self.read(fresh) {
            // redb's own checksums are right, and ours are not.
            Err(error) if error.is_damage() => {
                self.salvage(fresh)?;
                self.read(fresh)
            }
            result => result,
        }
    }

    /// Puts a new file in the place of the damaged one, with all that this still holds.
    fn salvage(&mut self, fresh: &Fresh) -> Result<(), StoreError> {
        let failed = |source| StoreError::Salvage { path: self.path.clone(), source };
        let old = self.open_alone()?;
        let new =
            Counted { inner: self.medium.0.beside().map_err(failed)?, wear: Arc::clone(self.shared.wear()) };
        let database = opened(&self.path, builder().create_with_backend(new))?;
        let mut report = salvage(&*old, &database, fresh)?;
        drop(database);
        report.kept_at = self.medium.0.replace().map_err(failed)?;
        tracing::error!("{report}");
        self.shared.salvaged(report);
        Ok(())
    }

    /// Gives the file to redb and reads it.
    fn read(&mut self, fresh: &Fresh) -> Result<Pipeline, StoreError> {
        let database = open_database(&self.path, &*self.medium.0, self.shared.wear())?;
        let name = match read_name(&database)? {
            Some(name) => name,
            None => {
                make(&database, &fresh.name, &Pipeline::new(fresh.plan.clone()))?;
                fresh.name.clone()
            }
        };
        self.shared.set(name, database);
        // Half loaded it would give out numbers that are taken: until all of it is read, nothing can be written.
        self.load().inspect_err(|_| self.shared.close())
    }

    /// The file, which nobody else has: who looks at it while it is written sees damage where there is none.
    fn open_alone(&self) -> Result<Box<dyn StorageBackend>, StoreError> {
        let file = open_backend(&self.path, &*self.medium.0)?;
        match file.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
            Ok(false) => Err(StoreError::Locked(self.path.clone())),
            // A medium without locks has no others.
            Ok(true) | Err(redb::BackendError::Unsupported) => Ok(file),
            Err(error) => {
                Err(StoreError::Open { path: self.path.clone(), source: std::io::Error::other(error) })
            }
        }
    }

    /// Whether nobody has met damage since it was opened.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]: then [`Store::reopen`] salvages it.
    pub fn trust(&self) -> Result<(), StoreError> {
        if self.shared.is_suspect() { Err(StoreError::Damaged("value")) } else { Ok(()) }
    }

    /// Somebody met this error: if it is damage, the store is salvaged when it is reopened.
    pub fn distrust(&self, error: &StoreError) {
        self.shared.met(error);
    }
}

fn open_database(path: &str, medium: &dyn Medium, wear: &Arc<Wear>) -> Result<Database, StoreError> {
    let inner = open_backend(path, medium)?;
    let blank = is_blank(&*inner)?;
    let backend = Counted { inner, wear: Arc::clone(wear) };
    if blank {
        // The power went when the file was being made. There is nothing in it, and redb takes only an empty file for new.
        backend.set_len(0)?;
    }
    opened(path, builder().create_with_backend(backend))
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_backend(path: &str, medium: &dyn Medium) -> Result<Box<dyn StorageBackend>, StoreError> {
    medium.open().map_err(|source| StoreError::Open { path: path.to_owned(), source })
}

fn opened<D>(path: &str, database: Result<D, DatabaseError>) -> Result<D, StoreError> {
    match database {
        Ok(database) => Ok(database),
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(StoreError::Locked(path.to_owned())),
        Err(error) => Err(error).doing("be opened"),
    }
}

/// The store's name, `None` when there is nothing in the file yet.
fn read_name(database: &impl ReadableDatabase) -> Result<Option<String>, StoreError> {
    let read = database.begin_read().doing("read")?;
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error).doing("read"),
    };
    let format = meta.get(META_FORMAT).doing("read the format")?;
    let format = format.and_then(|row| Some(u32::from_le_bytes(row.value().try_into().ok()?)));
    // Other formats were refused before anything was touched.
    if format != Some(FORMAT) {
        return Err(StoreError::Damaged("format number"));
    }
    let name = meta.get(META_NAME).doing("read the name")?;
    let name = name.ok_or(StoreError::Damaged("name"))?;
    let name = std::str::from_utf8(name.value()).map_err(|_| StoreError::Damaged("name"))?;
    Ok(Some(name.to_owned()))
}

/// Fills an empty file: all tables, the name, and a checkpoint that holds the first plan.
fn make(database: &Database, name: &str, pipeline: &Pipeline) -> Result<(), StoreError> {
    let write = database.begin_write().doing("be made")?;
    {
        let mut meta = write.open_table(META).doing("be made")?;
        meta.insert(META_FORMAT, FORMAT.to_le_bytes().as_slice()).doing("be made")?;
        meta.insert(META_NAME, name.as_bytes()).doing("be made")?;
        write.open_table(JOURNAL).doing("be made")?;
        write.open_table(OUTPUTS).doing("be made")?;
        write.open_table(super::schema::CLOSED).doing("be made")?;
        write.open_table(super::schema::MOVED).doing("be made")?;
        write.open_table(super::schema::DEFINITIONS).doing("be made")?;
        write.open_table(super::schema::OUTBOX).doing("be made")?;
        write.open_table(super::schema::EVENTS).doing("be made")?;
        write.open_table(super::schema::LETTERS).doing("be made")?;
    }
    let mut snapshot = Snapshot::take(pipeline, 1, 0);
    snapshot.write(&write, usize::MAX)?;
    checkpoint::flip(&write, &snapshot)?;
    write.commit().doing("be made")
}
