//! The wiring: the one place that knows all rooms and puts them together.

pub mod outbox;
mod reload;
mod status;

use crate::clock::{System, Timekeeper};
use crate::config::Config;
use crate::config::model::{Output, OutputKind, Source, SourceKind};
use crate::forward::retry::Retry;
use crate::forward::run_output;
use crate::forward::state::OutputState;
use crate::health::Health;
use crate::ingest::change::{NewPlan, put_in_force};
use crate::ingest::figures::Figures;
use crate::ingest::heart::{Heart, Parts};
use crate::ingest::intake::Intake;
use crate::ingest::mailbox::Mailbox;
use crate::mqtt::{self, BindError, Inherited, Listener, SourceState};
use crate::pulse::Pulses;
use crate::status::View;
use crate::store::{
    self, Commit, History, HistoryOptions, HistorySender, Opened, Reserve, Shared, Store, StoreError,
};
use outbox::StoreOutbox;
use status::StatusServer;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tidegate_pipeline::message::Trace;
use tidegate_pipeline::plan::Plan;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle as Task;

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
    outputs: Vec<RunningOutput>,
    retry: Retry,
    inherited: Inherited,
    plans: mpsc::Sender<NewPlan>,
    heart: JoinHandle<()>,
    history: Option<RunningHistory>,
    view: Arc<View>,
    status: Option<StatusServer>,
}

#[derive(Debug)]
struct RunningHistory {
    history: Arc<History>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct RunningSource {
    source: Source,
    state: Arc<SourceState>,
    /// Where a listener listens.
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    task: Task<()>,
}

#[derive(Debug)]
struct RunningOutput {
    output: Output,
    state: Arc<OutputState>,
    stop: watch::Sender<bool>,
    task: Task<()>,
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
        let (health, pulses) = (Arc::new(Health::default()), Arc::new(Pulses::default()));
        let (history_sender, history) = start_history(&config, &health, &pulses)?.unzip();
        put_in_force(&mut store, &mut pipeline, plan, now, history_sender.as_ref())?;
        let before = store.shared().subscriptions()?;
        let subscriptions = Some(subscriptions(&config)).filter(|now| *now != before);
        let commit = Commit { drop_outputs, subscriptions, at: now, ..Commit::default() };
        if !commit.is_empty() {
            store.commit(&commit)?;
        }
        let (mut parts, plans) = Parts::new(store, pipeline, clock, config.buffer);
        parts.health = Arc::clone(&health);
        parts.figures = Arc::new(Figures::watched(pulses.part("the writer")));
        parts.heartbeat = config.heartbeat.clone();
        parts.history = history_sender;
        let mut daemon = Daemon {
            config,
            intake: Arc::clone(&parts.intake),
            mailbox: Arc::clone(&parts.mailbox),
            store: Arc::clone(parts.store.shared()),
            health,
            pulses,
            figures: Arc::clone(&parts.figures),
            taps: parts.taps.clone(),
            sources: Vec::new(),
            outputs: Vec::new(),
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
        for at in 0..daemon.config.sources.len() {
            daemon.start_source(at, &before).await?;
        }
        daemon.show();
        Ok(daemon)
    }

    /// By name: the state of each source, and where a listener listens.
    pub fn source_states(&self) -> Vec<(String, Arc<SourceState>, Option<SocketAddr>)> {
        let of = |running: &RunningSource| {
            (running.source.name.clone(), Arc::clone(&running.state), running.address)
        };
        self.sources.iter().map(of).collect()
    }

    /// By name: the state of each output.
    pub fn output_states(&self) -> Vec<(String, Arc<OutputState>)> {
        self.outputs.iter().map(|running| (running.output.name.clone(), Arc::clone(&running.state))).collect()
    }

    /// Whether the writer's thread has ended, which it only does when told to.
    pub fn has_lost_writer(&self) -> bool {
        self.heart.is_finished()
    }

    /// Leaves: sources stop reading, everything taken is committed and acknowledged, then outputs stop, and what they have
    /// confirmed is committed.
    pub async fn stop(mut self) {
        self.view.not_ready("stopping");
        self.stop_sources().await;
        for running in self.outputs.drain(..) {
            stop_output(running).await;
        }
        self.intake.close();
        let heart = self.heart;
        // Joining blocks, and the runtime has nothing else to do: what it would run has ended.
        let _ = tokio::task::spawn_blocking(move || heart.join()).await;
        // The heart was the only one to feed the history, which ends with it, its last rows on disk.
        if let Some(RunningHistory { thread, .. }) = self.history {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        if let Some(status) = self.status {
            status.stop().await;
        }
    }

    async fn stop_sources(&mut self) {
        for running in &self.sources {
            let _ = running.stop.send(true);
        }
        for running in self.sources.drain(..) {
            let _ = running.task.await;
            running.state.pulse.ends();
        }
    }

    async fn start_source(
        &mut self,
        at: usize,
        before: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), StartError> {
        let source = self.config.sources[at].clone();
        let state = Arc::new(SourceState::watched(self.pulses.part(format!("the source {}", source.name))));
        let context = mqtt::Context {
            name: source.name.clone(),
            index: u16::try_from(at).unwrap_or(u16::MAX),
            intake: Arc::clone(&self.intake),
            health: Arc::clone(&self.health),
            state: Arc::clone(&state),
        };
        let (stop, stopped) = watch::channel(false);
        let (address, task) = match &source.kind {
            SourceKind::Mqtt(cfg) => {
                let wanted = mqtt::subscriptions(cfg);
                let known = before.get(&source.name).cloned().unwrap_or_default();
                let removed = known.into_iter().filter(|filter| !wanted.contains(filter)).collect();
                (None, tokio::spawn(mqtt::run_source(cfg.clone(), removed, context, stopped)))
            }
            SourceKind::Listen(cfg) => {
                let listener = Listener::bind(cfg.clone(), &self.inherited).await?;
                let address = listener.local_addr();
                (Some(address), tokio::spawn(listener.serve(context, stopped)))
            }
        };
        self.sources.push(RunningSource { source, state, address, stop, task });
        Ok(())
    }

    fn start_output(&mut self, at: usize) {
        let output = self.config.outputs[at].clone();
        let mut state = OutputState::watched(self.pulses.part(format!("the output {}", output.name)));
        if matches!(&output.kind, OutputKind::Http(http) if http.commands.is_some()) {
            state.commands_pulse = self.pulses.part(format!("the commands of {}", output.name));
        }
        let state = Arc::new(state);
        let outbox = StoreOutbox::new(&output.name, Arc::clone(&self.store), Arc::clone(&self.mailbox));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run_output(
            output.clone(),
            self.retry,
            outbox,
            Arc::clone(&self.health),
            Arc::clone(&state),
            stopped,
        ));
        self.outputs.push(RunningOutput { output, state, stop, task });
    }
}

/// A socket that nobody serves would take connections and never answer.
fn warn_of_unused(inherited: &Inherited, config: &Config) {
    let listens = |source: &Source, at| matches!(&source.kind, SourceKind::Listen(cfg) if cfg.listen == at);
    for address in inherited.addresses() {
        if !config.sources.iter().any(|source| listens(source, address)) {
            tracing::warn!(
                "this process was given a socket at {address}, where no source listens: ListenStream= of tidegate.socket and \
                 `listen` of a source must say the same"
            );
        }
    }
}

async fn stop_output(running: RunningOutput) {
    let _ = running.stop.send(true);
    let _ = running.task.await;
}

fn open(config: &Config) -> Result<Opened, StartError> {
    std::fs::create_dir_all(&config.data_dir)
        .map_err(|source| StartError::DataDir { path: config.data_dir.display().to_string(), source })?;
    let path = config.data_dir.join("tidegate.redb");
    let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(6).collect();
    let name = name.to_lowercase();
    let mut reserve = Reserve::new(&config.data_dir);
    let open = || {
        let plan = |name: &str| full_plan(config, name);
        Store::open(&path.display().to_string(), store::file(&path), &name, plan)
    };
    let opened = match open() {
        Err(error) if error.is_full() && reserve.release() => open(),
        opened => opened,
    };
    let mut opened = opened?;
    opened.store.set_reserve(reserve);
    Ok(opened)
}

fn start_writer(parts: Parts) -> std::io::Result<JoinHandle<()>> {
    let heart = Heart::new(parts, Instant::now());
    std::thread::Builder::new().name("writer".into()).spawn(|| heart.run())
}

/// The history's feed and thread; none where `[buffer] history` is zero.
fn start_history(
    config: &Config,
    health: &Arc<Health>,
    pulses: &Arc<Pulses>,
) -> Result<Option<(HistorySender, RunningHistory)>, StartError> {
    if config.buffer.history.is_zero() {
        return Ok(None);
    }
    let options = HistoryOptions {
        path: config.data_dir.join("history.redb"),
        keep: config.buffer.history,
        bytes_max: config.buffer.bytes_max,
    };
    let (sender, thread) = History::start(options, Arc::clone(health), pulses.part("the history"))
        .map_err(StartError::Thread)?;
    let history = Arc::clone(sender.history());
    Ok(Some((sender, RunningHistory { history, thread })))
}

/// The plan with the events' `source`, which ends in the store's random name.
fn full_plan(config: &Config, store: &str) -> Plan {
    Plan { source: format!("/gateways/{}/{store}", config.gateway), ..config.plan.clone() }
}

fn subscriptions(config: &Config) -> BTreeMap<String, Vec<String>> {
    let of = |source: &Source| match &source.kind {
        SourceKind::Mqtt(cfg) => Some((source.name.clone(), mqtt::subscriptions(cfg))),
        SourceKind::Listen(_) => None,
    };
    config.sources.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use std::path::Path;

    #[test]
    fn no_history_no_file_and_no_thread() {
        let check = |history: &str, kept: bool| {
            let dir = tempfile::tempdir().unwrap();
            let text = format!(
                "[gateway]\ndata_dir = {:?}\n[streams.s]\ntopic = \"a/{{metric}}\"\n[outputs.o]\n\
                 url = \"http://127.0.0.1:1/\"\n[buffer]\nhistory = \"{history}\"\n",
                dir.path()
            );
            let config = config::parse(&text, "test", Path::new("."), &Environment::from_system());
            let started = start_history(&config.unwrap().config, &Arc::default(), &Arc::default()).unwrap();
            assert_eq!(started.is_some(), kept, "{history}");
            if let Some((sender, running)) = started {
                drop(sender);
                running.thread.join().unwrap();
            }
            assert_eq!(dir.path().join("history.redb").exists(), kept, "{history}");
        };
        check("0s", false);
        check("1h", true);
    }
}
