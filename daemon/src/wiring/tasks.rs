//! The tasks of sources and outputs: how they are started, seen and stopped.

use super::outbox::StoreOutbox;
use super::{Daemon, StartError};
use crate::config::Config;
use crate::config::model::{Output, OutputKind, Source, SourceKind};
use crate::forward::run_output;
use crate::forward::state::OutputState;
use crate::mqtt::{self, Inherited, Listener, SourceState};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A source while its task runs.
#[derive(Debug)]
pub(super) struct RunningSource {
    source: Source,
    state: Arc<SourceState>,
    /// Where a listener listens.
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
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

    pub(super) async fn stop_sources(&mut self) {
        for running in &self.sources {
            let _ = running.stop.send(true);
        }
        for running in self.sources.drain(..) {
            let _ = running.task.await;
            running.state.pulse.ends();
        }
    }

    pub(super) async fn start_source(
        &mut self,
        at: usize,
        before: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), StartError> {
        let source = self.config.sources[at].clone();
        let state = Arc::new(SourceState::watched(self.pulses.part(format!("the source {}", source.name))));
        let context = mqtt::Context {
            name: source.name.clone(),
            // There are not as many in the life of a process; what comes under a number that is nobody's is not counted.
            index: self.numbers.number(&source.name).unwrap_or(u16::MAX),
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

/// By name: what each broker is asked for.
pub(super) fn subscriptions(config: &Config) -> BTreeMap<String, Vec<String>> {
    let of = |source: &Source| match &source.kind {
        SourceKind::Mqtt(cfg) => Some((source.name.clone(), mqtt::subscriptions(cfg))),
        SourceKind::Listen(_) => None,
    };
    config.sources.iter().filter_map(of).collect()
}
