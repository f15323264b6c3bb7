//! The wiring: the one place that knows all rooms and puts them together.

mod disk;
pub mod outbox;
mod reload;
mod sessions;
mod status;
mod tasks;
#[cfg(test)]
mod tests;

use crate::clock::{System, Timekeeper};
use crate::config::Config;
use crate::forward::retry::Retry;
use crate::health::Health;
use crate::ingest::change::{NewPlan, put_in_force};
use crate::ingest::figures::Figures;
use crate::ingest::heart::{Heart, Parts};
use crate::ingest::intake::Intake;
use crate::ingest::mailbox::Mailbox;
use crate::ingest::sessions::Sessions;
use crate::ingest::sources::Sources;
use crate::mqtt::{BindError, Inherited};
use crate::pulse::Pulses;
use crate::status::View;
use crate::store::{Commit, Opened, Shared, StoreError};
use disk::{RunningHistory, full_plan, open, start_history};
pub use reload::ReloadError;
use status::StatusServer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tasks::{RunningOutput, RunningSource, warn_of_unused};
use tidegate_pipeline::message::Trace;
use tokio::sync::{broadcast, mpsc};

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error(
        "cannot make the data directory {path}: {source}. Make it, or set gateway.data_dir to one that may be written"
    )]
    DataDir {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listener.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The writer's thread, or the history's.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// How the daemon is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Outputs whose queues are given up.
    pub drop_outputs: Vec<String>,
    /// How outputs wait before they try again.
    pub retry: Retry,
    /// Sockets that were opened for listeners before this process began.
    pub inherited: Inherited,
}

/// The running daemon.
#[derive(Debug)]
pub struct Daemon {
    /// What it runs.
    pub config: Config,
    /// The way in.
    pub intake: Arc<Intake>,
    /// The writer's mailbox.
    pub mailbox: Arc<Mailbox>,
    /// The sessions that brokers keep for us.
    pub sessions: Arc<Sessions>,
    /// The readers' side of the store.
    pub store: Arc<Shared>,
    /// What is wrong.
    pub health: Arc<Health>,
    /// Who turns.
    pub pulses: Arc<Pulses>,
    /// What the writer says of itself.
    pub figures: Arc<Figures>,
    /// Where the writer tells what became of readings.
    pub taps: broadcast::Sender<Arc<Vec<Trace>>>,
    sources: Vec<RunningSource>,
    /// As the writer numbers them.
    numbers: Sources,
    outputs: Vec<RunningOutput>,
    /// Outputs that the configuration does not have, for which events wait.
    left: BTreeSet<String>,
    retry: Retry,
    inherited: Inherited,
    plans: mpsc::Sender<NewPlan>,
    heart: JoinHandle<()>,
    history: Option<RunningHistory>,
    view: Arc<View>,
    status: Option<StatusServer>,
}

impl Daemon {
    /// Opens the store, puts the configuration in force and starts everything. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be opened or an address is taken.
    pub async fn start(config: Config, options: Options) -> Result<Daemon, StartError> {
        let Options { drop_outputs, retry, inherited } = options;
        warn_of_unused(&inherited, &config);
        let Opened { mut store, mut pipeline } = open(&config)?;
        let mut clock = Timekeeper::new(System::new(), pipeline.last_heard());
        let now = clock.look().now.now();
        let plan = full_plan(&config, &store.shared().name());
        let names = plan.sources.clone();
        let (health, pulses) = (Arc::new(Health::default()), Arc::new(Pulses::default()));
        let (history_sender, history) = start_history(&config, &health, &pulses)?.unzip();
        put_in_force(&mut store, &mut pipeline, plan, now, history_sender.as_ref())?;
        let commit = Commit { drop_outputs, at: now, ..Commit::default() };
        if !commit.is_empty() {
            store.commit(&commit)?;
        }
        let filters = sessions::by_session(store.shared().subscriptions()?, &config);
        let (mut parts, plans) = Parts::new(store, pipeline, clock, config.buffer);
        parts.health = Arc::clone(&health);
        parts.figures = Arc::new(Figures::watched(pulses.part("the writer")));
        parts.heartbeat = config.heartbeat.clone();
        parts.history = history_sender;
        let mut daemon = Daemon {
            config,
            intake: Arc::clone(&parts.intake),
            mailbox: Arc::clone(&parts.mailbox),
            sessions: Arc::new(Sessions::new(filters, Arc::clone(&parts.mailbox))),
            store: Arc::clone(parts.store.shared()),
            health,
            pulses,
            figures: Arc::clone(&parts.figures),
            taps: parts.taps.clone(),
            sources: Vec::new(),
            numbers: Sources::new(&names),
            outputs: Vec::new(),
            left: BTreeSet::new(),
            retry,
            inherited,
            plans,
            heart: start_writer(parts).map_err(StartError::Thread)?,
            history,
            view: View::new(),
            status: None,
        };
        for at in 0..daemon.config.outputs.len() {
            daemon.start_output(at);
        }
        daemon.expect_sessions();
        for at in 0..daemon.config.sources.len() {
            daemon.start_source(at).await?;
        }
        daemon.show_left_queues();
        daemon.show();
        Ok(daemon)
    }

    /// Whether the writer's thread has ended, which it only does when told to.
    pub fn has_lost_writer(&self) -> bool {
        self.heart.is_finished()
    }

    /// Leaves: sources stop reading, everything taken is committed and acknowledged, then outputs stop, and what they have
    /// confirmed is committed.
    pub async fn stop(mut self) {
        self.view.not_ready("stopping");
        self.stop_sources(|_| true).await;
        for running in self.outputs.drain(..) {
            running.stop().await;
        }
        self.intake.close();
        let heart = self.heart;
        // Joining blocks, and the runtime has nothing else to do: what it would run has ended.
        let _ = tokio::task::spawn_blocking(move || heart.join()).await;
        // The heart was the only one to feed the history, which ends with it, its last rows on disk.
        if let Some(history) = self.history {
            history.stop().await;
        }
        if let Some(status) = self.status {
            status.stop().await;
        }
    }
}

fn start_writer(parts: Parts) -> std::io::Result<JoinHandle<()>> {
    let heart = Heart::new(parts, Instant::now());
    std::thread::Builder::new().name("writer".into()).spawn(|| heart.run())
}
