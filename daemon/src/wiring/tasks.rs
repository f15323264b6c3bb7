//! The tasks of sources and outputs: how they are started, seen and stopped.

use super::Daemon;
use super::outbox::StoreOutbox;
use crate::config::Config;
use crate::config::model::{Output, OutputKind, Source, SourceKind};
use crate::forward::run_output;
use crate::forward::state::OutputState;
use crate::mqtt::{self, BindError, Inherited, Listener, SourceState};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A source while its task runs.
#[derive(Debug)]
pub(super) struct RunningSource {
    pub(super) source: Source,
    state: Arc<SourceState>,
    /// Where a listener listens.
    address: Option<SocketAddr>,
    /// It could not start when it was to.
    late: bool,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningSource {
    /// Whether it still cannot start.
    pub(super) fn waits(&self) -> bool {
        self.late && !self.state.snapshot().connected
    }
}

/// An output while its task runs.
#[derive(Debug)]
pub(super) struct RunningOutput {
    pub(super) output: Output,
    state: Arc<OutputState>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningOutput {
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

impl Daemon {
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

    /// Stops those that `which` names: what they took is committed and acknowledged, unless that takes too long.
    pub(super) async fn stop_sources(&mut self, which: impl Fn(&RunningSource) -> bool) {
        let (leaving, staying) = self.sources.drain(..).partition::<Vec<_>, _>(which);
        self.sources = staying;
        for running in &leaving {
            let _ = running.stop.send(true);
        }
        for running in leaving {
            let _ = running.task.await;
            running.state.pulse.ends();
            self.health.clear(&format!("sources.{}", running.source.name));
        }
    }

    /// Starts those of the configuration that do not run. A listener that cannot start is tried again until it can.
    pub(super) async fn start_sources(&mut self) {
        for at in 0..self.config.sources.len() {
            let name = &self.config.sources[at].name;
            if self.sources.iter().all(|running| running.source.name != *name)
                && let Err(error) = self.start_source(at).await
            {
                self.start_later(at, &error);
            }
        }
        let place = |name: &str| self.config.sources.iter().position(|source| source.name == name);
        self.sources.sort_by_key(|running| place(&running.source.name));
    }

    pub(super) async fn start_source(&mut self, at: usize) -> Result<(), BindError> {
        let source = self.config.sources[at].clone();
        let context = self.context(&source);
        let state = Arc::clone(&context.state);
        let (stop, stopped) = watch::channel(false);
        let (address, task) = match &source.kind {
            SourceKind::Mqtt(cfg) => (None, tokio::spawn(mqtt::run_source(cfg.clone(), context, stopped))),
            SourceKind::Listen(cfg) => {
                let listener = Listener::bind(cfg.clone(), &self.inherited).await?;
                let address = listener.local_addr();
                (Some(address), tokio::spawn(listener.serve(context, stopped)))
            }
        };
        self.sources.push(RunningSource { source, state, address, late: false, stop, task });
        Ok(())
    }

    fn start_later(&mut self, at: usize, error: &BindError) {
        let source = self.config.sources[at].clone();
        let SourceKind::Listen(cfg) = &source.kind else { return };
        let (address, cfg, inherited) = (Some(cfg.listen), cfg.clone(), self.inherited.clone());
        let context = self.context(&source);
        let state = Arc::clone(&context.state);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(mqtt::listen_later(cfg, inherited, error, context, stopped));
        self.sources.push(RunningSource { source, state, address, late: true, stop, task });
    }

    fn context(&self, source: &Source) -> mqtt::Context {
        mqtt::Context {
            name: source.name.clone(),
            // There are not as many in the life of a process; what comes under a number that is nobody's is not counted.
            index: self.numbers.number(&source.name).unwrap_or(u16::MAX),
            intake: Arc::clone(&self.intake),
            health: Arc::clone(&self.health),
            sessions: Arc::clone(&self.sessions),
            state: Arc::new(SourceState::watched(self.pulses.part(format!("the source {}", source.name)))),
        }
    }

    pub(super) fn start_output(&mut self, at: usize) {
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
pub(super) fn warn_of_unused(inherited: &Inherited, config: &Config) {
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
