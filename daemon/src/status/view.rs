//! What the status endpoint is given to look at. It can be asked before the daemon runs, and while it leaves.

use super::model::{Document, Inputs, SourceEntry, StoreEntry, assemble};
use crate::forward::state::OutputState;
use crate::health::Health;
use crate::ingest::figures::{Account, Figures, Lists};
use crate::ingest::intake::Intake;
use crate::ingest::mailbox::Mailbox;
use crate::limits::TAPS_MAX;
use crate::mqtt::SourceState;
use crate::pulse::Pulses;
use crate::report::BufferEntry;
use crate::store::{History, Shared};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tidegate_pipeline::message::Trace;
use tokio::sync::{Semaphore, broadcast};

/// The daemon while it runs.
#[derive(Debug)]
pub struct Running {
    /// `gateway.id`.
    pub gateway: String,
    /// `buffer.max_size`.
    pub bytes_max: u64,
    /// In the order of the file: names, states, and where a listener listens.
    pub sources: Vec<(String, Arc<SourceState>, Option<SocketAddr>)>,
    /// In the order of the file.
    pub outputs: Vec<(String, Arc<OutputState>)>,
    /// The way in.
    pub intake: Arc<Intake>,
    /// The writer's mailbox.
    pub mailbox: Arc<Mailbox>,
    /// The readers' side of the store.
    pub store: Arc<Shared>,
    /// Closed summaries for queries, where they are kept.
    pub history: Option<Arc<History>>,
    /// What is wrong.
    pub health: Arc<Health>,
    /// Who turns.
    pub pulses: Arc<Pulses>,
    /// What the writer says of itself.
    pub figures: Arc<Figures>,
    /// Where the writer tells what became of readings.
    pub taps: broadcast::Sender<Arc<Vec<Trace>>>,
}

/// The daemon as the status endpoint sees it.
#[derive(Debug)]
pub struct View {
    started: Instant,
    inner: Mutex<Inner>,
    /// Readers of `tap` that may still come.
    pub(super) taps: Arc<Semaphore>,
    /// One order about dead letters at a time.
    pub(super) orders: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    running: Option<Arc<Running>>,
    unready: Option<String>,
}

impl View {
    /// A daemon that starts now: not ready, and it waits for its store.
    pub fn new() -> Arc<View> {
        Arc::new(View {
            started: Instant::now(),
            inner: Mutex::new(Inner { running: None, unready: Some("waits for the store to open".into()) }),
            taps: Arc::new(Semaphore::new(TAPS_MAX)),
            orders: tokio::sync::Mutex::default(),
        })
    }

    /// The store is open and the sources are started: ready. Again after a reload, with what changed.
    pub fn show(&self, running: Running) {
        *self.lock() = Inner { running: Some(Arc::new(running)), unready: None };
    }

    /// Not ready (any more), and why, for `/readyz` to say.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.lock().unready = Some(why.into());
    }

    /// Why the daemon is not ready; `None` when it is.
    pub fn unready(&self) -> Option<String> {
        self.lock().unready.clone()
    }

    /// The running daemon.
    pub fn running(&self) -> Option<Arc<Running>> {
        self.lock().running.clone()
    }

    /// Everything that there is to say, once the daemon runs.
    pub fn document(&self) -> Option<Document> {
        Some(self.document_of(&*self.running()?))
    }

    pub(super) fn document_of(&self, running: &Running) -> Document {
        running.document(self.started)
    }

    /// Whether the daemon lives: who is stuck where it does not. Whoever waits for somebody outside lives.
    ///
    /// # Errors
    /// A sentence for a person.
    pub fn alive(&self) -> Result<(), String> {
        let wedged = self.running().and_then(|running| running.pulses.wedged(Instant::now()));
        wedged.map_or(Ok(()), |wedged| Err(wedged.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// CloudEvents `source`.
    fn source(&self) -> String {
        format!("/gateways/{}/{}", self.gateway, self.store.name())
    }

    /// Each message in exactly one term.
    pub(super) fn account(&self) -> (Account, u64) {
        self.figures.account(&self.intake)
    }

    fn document(&self, started: Instant) -> Document {
        let (account, pending) = self.account();
        let (wear, history) = (self.store.wear(), self.history.as_ref());
        let source = |(name, state, address): &(String, Arc<SourceState>, Option<SocketAddr>)| {
            let address = address.map(|address| address.to_string());
            (name.clone(), SourceEntry { address, snapshot: state.snapshot() })
        };
        let counts = self.store.outputs().into_iter().map(|(name, row)| (name, row.counts));
        assemble(Inputs {
            uptime: started.elapsed(),
            problems: self.health.problems(),
            gateway: self.gateway.clone(),
            source: self.source(),
            sources: self.sources.iter().map(source).collect(),
            clock: self.figures.clock(),
            account,
            pending,
            buffer: BufferEntry { bytes: wear.size(), max_bytes: self.bytes_max },
            outputs: self.outputs.iter().map(|(name, state)| (name.clone(), state.snapshot())).collect(),
            counts: counts.collect(),
            alerts: self.figures.alerts(),
            store: StoreEntry {
                commits: self.figures.get(|f| &f.commits),
                failures: self.figures.get(|f| &f.failures),
                bytes_written: wear.bytes(),
                syncs: wear.syncs(),
                history_bytes_written: history.map_or(0, |history| history.wear().bytes()),
                history_lost: history.map_or(0, |history| history.lost()),
                flash_overspent: self.figures.get(|f| &f.overspent) > 0,
            },
            series: self.figures.get(|f| &f.series),
            open_windows: self.figures.get(|f| &f.windows),
            lists: Lists::clone(&self.figures.lists()),
        })
    }
}
