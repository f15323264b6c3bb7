//! The history: a derived copy of closed summaries, for queries on this machine.
//!
//! It has a file and a thread of its own, and is told of summaries after they are safe in the main file. Losing it loses
//! only queries; so whatever is in its way, it loses rows, counts them and says so, and nobody waits for it. Rows are
//! written once a minute to spare the flash: a power cut takes those of the last minute.

mod file;

#[cfg(test)]
mod tests;

use super::StoreError;
use super::medium::Wear;
use crate::clock::Clock;
use crate::health::Health;
use crate::limits::{
    HISTORY_BATCHES_MAX, HISTORY_COMMIT_EVERY, HISTORY_COMMIT_ROWS, HISTORY_WAITING_MAX, HISTORY_WEDGED_AFTER,
};
use crate::pulse::Pulse;
use file::Rows;
use redb::Database;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidegate_pipeline::aggregate::Value;
use tidegate_pipeline::event::Closed;
use tidegate_pipeline::time::{Span, Time};

/// The place of its problems in [`Health`].
const PLACE: &str = "history";

/// Where the history is, and how much of it is kept.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// The file.
    pub path: PathBuf,
    /// `[buffer] history`: windows that ended longer ago go.
    pub keep: Duration,
    /// Bytes at which the oldest rows make room for new ones.
    pub bytes_max: u64,
}

/// What is wanted of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Subjects begin with this: a summary's name, escaped, and a slash; or nothing.
    pub summary: String,
    /// Subjects begin with this.
    pub subject: String,
    /// Windows that end after this …
    pub from: Time,
    /// … and not after this.
    pub to: Time,
    /// At most so many, the newest.
    pub limit: usize,
}

/// One summary of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// `summary/metric/tags`, each part percent-encoded.
    pub subject: String,
    /// Of the metric, where the configuration named one.
    pub unit: Option<String>,
    /// Where the window begins.
    pub start: Time,
    /// Where it ends.
    pub end: Time,
    /// The last that was made.
    pub revision: u32,
    /// Aggregates by name.
    pub values: Vec<(String, Value)>,
}

/// What a query found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// By end, the newest last.
    pub summaries: Vec<Summary>,
    /// There may be older ones that are wanted too: a limit was reached.
    pub truncated: bool,
    /// Rows that were passed over because they do not have their checksum.
    pub damaged: u64,
}

/// The history as its readers see it.
#[derive(Debug)]
pub struct History {
    wear: Arc<Wear>,
    health: Arc<Health>,
    database: Mutex<Option<Arc<Database>>>,
    /// Rows between the sender and the thread.
    waiting: AtomicUsize,
    lost: AtomicU64,
    pulse: Pulse,
}

/// The writer's end. When it is dropped, the thread writes what it has and ends.
#[derive(Debug)]
pub struct HistorySender {
    history: Arc<History>,
    batches: SyncSender<Vec<Closed>>,
}

/// The thread.
#[derive(Debug)]
struct Scribe {
    history: Arc<History>,
    batches: Receiver<Vec<Closed>>,
    options: HistoryOptions,
    rows: Rows,
    due: Instant,
    /// What was lost when the last transaction succeeded.
    known_lost: u64,
}

impl History {
    /// Starts the thread, which opens the file or makes it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        options: HistoryOptions,
        health: Arc<Health>,
        pulse: Pulse,
    ) -> std::io::Result<(HistorySender, JoinHandle<()>)> {
        let (sender, scribe) = pair(options, health, pulse);
        let thread = std::thread::Builder::new().name("history".into()).spawn(|| scribe.run())?;
        Ok((sender, thread))
    }

    /// Reads what is on disk; summaries of the last minute may not be there yet.
    ///
    /// # Errors
    /// When the file cannot be read, or is just being opened.
    pub fn query(&self, query: &Query) -> Result<Found, StoreError> {
        let database = lock(&self.database).clone().ok_or(StoreError::Reopening)?;
        file::read(&database, query)
    }

    /// What was done to its medium.
    pub fn wear(&self) -> &Wear {
        &self.wear
    }

    /// Summaries that it lost since the daemon started.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lose(&self, rows: usize, why: &str) {
        self.lost.fetch_add(rows as u64, Ordering::Relaxed);
        let text =
            format!("summaries are missing from queries, and only there: {why}. See history_lost in status");
        if self.health.raise(PLACE, text) {
            tracing::error!(rows, why, "the history loses summaries; they are missing from queries only");
        }
    }
}

impl HistorySender {
    /// What readers share.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Hands on what was committed. Never waits: what finds no room is lost, and counted.
    pub fn send(&self, mut closed: Vec<Closed>) {
        const FULL: &str = "they come faster than the disk takes them";
        // Of what was merged the history has the parts.
        closed.retain(|closed| !closed.coarse);
        let room = HISTORY_WAITING_MAX.saturating_sub(self.history.waiting.load(Ordering::Relaxed));
        if closed.len() > room {
            self.history.lose(closed.len() - room, FULL);
            closed.truncate(room);
        }
        if closed.is_empty() {
            return;
        }
        // Before they are there: the thread takes off what it finds.
        let rows = closed.len();
        self.history.waiting.fetch_add(rows, Ordering::Relaxed);
        if self.batches.try_send(closed).is_err() {
            self.history.waiting.fetch_sub(rows, Ordering::Relaxed);
            self.history.lose(rows, FULL);
        }
    }
}

/// Both ends, before the thread runs.
fn pair(options: HistoryOptions, health: Arc<Health>, pulse: Pulse) -> (HistorySender, Scribe) {
    let (sender, batches) = sync_channel(HISTORY_BATCHES_MAX);
    let history = Arc::new(History {
        wear: Arc::default(),
        health,
        database: Mutex::default(),
        waiting: AtomicUsize::new(0),
        lost: AtomicU64::new(0),
        pulse,
    });
    let scribe = Scribe {
        history: Arc::clone(&history),
        batches,
        options,
        rows: Rows::new(),
        due: Instant::now() + HISTORY_COMMIT_EVERY,
        known_lost: 0,
    };
    (HistorySender { history, batches: sender }, scribe)
}

impl Scribe {
    fn run(mut self) {
        // Queries are answered before the first row comes.
        self.history.pulse.does("opens its file", HISTORY_WEDGED_AFTER);
        if let Err(error) = self.database() {
            self.failed(&error);
        }
        loop {
            self.history.pulse.sleeps("waits for summaries", self.due);
            let batch = self.batches.recv_timeout(self.due.saturating_duration_since(Instant::now()));
            self.history.pulse.does("writes", HISTORY_WEDGED_AFTER);
            match batch {
                Ok(closed) => self.take(closed),
                Err(RecvTimeoutError::Timeout) => self.commit(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.commit();
        self.history.pulse.ends();
    }

    fn take(&mut self, closed: Vec<Closed>) {
        let count = closed.len();
        for closed in closed {
            self.rows.extend(file::rows_of(closed));
            if self.rows.len() >= HISTORY_COMMIT_ROWS {
                self.commit();
            }
        }
        self.history.waiting.fetch_sub(count, Ordering::Relaxed);
        // A steady stream of batches must not put off what is due.
        if Instant::now() >= self.due {
            self.commit();
        }
    }

    /// Writes what there is, once; what cannot be written is lost.
    fn commit(&mut self) {
        self.due = Instant::now() + HISTORY_COMMIT_EVERY;
        if self.rows.is_empty() {
            return;
        }
        match self.try_commit() {
            Ok(()) => {
                let lost = self.history.lost();
                if lost == self.known_lost && self.history.health.clear(PLACE) {
                    tracing::info!(lost, "the history takes summaries again");
                }
                self.known_lost = lost;
            }
            Err(error) => self.failed(&error),
        }
        self.rows.clear();
    }

    fn try_commit(&mut self) -> Result<(), StoreError> {
        let database = self.database()?;
        let keep = Span(i64::try_from(self.options.keep.as_micros()).unwrap_or(i64::MAX));
        let is_full = self.history.wear.size() >= self.options.bytes_max;
        file::write(&database, &self.rows, Clock.now().minus(keep), is_full)
    }

    /// The open file; it is opened where it is not.
    fn database(&mut self) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = lock(&self.history.database).clone() {
            return Ok(database);
        }
        let database = Arc::new(file::open(&self.options.path, &self.history.wear)?);
        *lock(&self.history.database) = Some(Arc::clone(&database));
        Ok(database)
    }

    /// After a failed write redb wants the file opened again: the next transaction does, a minute from now. A reader that
    /// still holds the old one only puts that off.
    fn failed(&mut self, error: &StoreError) {
        self.history.lose(self.rows.len(), &error.to_string());
        let was_open = lock(&self.history.database).take().is_some();
        if was_open
            && file::is_damage(error)
            && let Err(error) = file::move_aside(&self.options.path, error)
        {
            tracing::warn!(%error, "cannot move the damaged history aside; trying again in a minute");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
