//! The store: everything durable, in one redb file, written by one thread in one transaction per batch.
//!
//! It must not know where batches come from or where events go: it takes [`Commit`]s and gives rows.

mod bring_up;
mod check;
mod checkpoint;
mod clearing;
mod closed;
mod commit;
mod definitions;
mod dropping;
mod events;
pub mod heartbeat;
mod history;
mod letters;
mod medium;
mod open;
mod pages;
mod reserve;
mod rollup;
mod room;
mod row;
mod salvage;
mod schema;
mod settle;
mod shared;
mod waiting;

pub use commit::{Commit, Fate, LetterRequest, Settlement};
pub use heartbeat::Heartbeat;
pub use history::{Found, History, HistoryOptions, HistorySender, Query, Summary};
pub use medium::{Medium, Regular, Wear, file};
pub use open::{Opened, Store};
pub use reserve::Reserve;
pub use rollup::Shed;
pub use salvage::Report;
pub use schema::{ClosedRow, Expenses, Letter, LetterCounts, OutputCounts, OutputRow};
pub use shared::Shared;
pub use waiting::{Backwards, Part, Waiting, Wanted};

use tidegate_pipeline::plan::Plan;

/// What can go wrong with the store, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// redb could not do it.
    #[error("the store cannot {doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: Box<redb::Error>,
    },
    /// The file could not be opened.
    #[error("cannot open the store {path}: {source}")]
    Open {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("the store {0} is open in another process: is a tidegate already running with this data_dir?")]
    Locked(String),
    /// The file was written by a newer tidegate.
    #[error(
        "the store has format {found}, this tidegate knows {known}: install the newer tidegate again; the file is untouched"
    )]
    Newer {
        /// The file's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The file was written before the first release, in a format that nothing reads any more.
    #[error(
        "the store has format {found}, which was never released; this tidegate knows {known}: move the file away to begin \
         anew; it is untouched"
    )]
    Older {
        /// The file's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Something is not as it was written. The store is salvaged when it is opened next.
    #[error("the store is damaged: a {0} does not have its checksum")]
    Damaged(&'static str),
    /// The file cannot be read.
    #[error("the store's file cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A new file cannot be put in the place of a damaged one.
    #[error(
        "the store {path} is damaged, and what it still holds cannot be written beside it: {source}. Make room there, or \
         move the file away to begin anew, and keep it"
    )]
    Salvage {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is being opened again after a failure.
    #[error("the store is being opened again")]
    Reopening,
}

impl StoreError {
    /// Whether there is no room on the disk.
    pub fn is_full(&self) -> bool {
        let full = |error: &std::io::Error| {
            matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
        };
        match self {
            StoreError::Database { source, .. } => matches!(&**source, redb::Error::Io(error) if full(error)),
            StoreError::Open { source, .. } | StoreError::Salvage { source, .. } => full(source),
            StoreError::Unreadable(error) => full(error),
            _ => false,
        }
    }

    /// Whether the file is damaged, so that opening it again would end the same way.
    pub fn is_damage(&self) -> bool {
        match self {
            StoreError::Damaged(_) => true,
            StoreError::Database { source, .. } => matches!(**source, redb::Error::Corrupted(_)),
            _ => false,
        }
    }
}

/// What a store is made with: its random name, and the plan that goes with it.
#[derive(Debug)]
struct Fresh {
    name: String,
    plan: Plan,
}

/// Gives redb's errors the words of what was being done.
trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T, E: Into<redb::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Database { doing, source: Box::new(error.into()) })
    }
}
