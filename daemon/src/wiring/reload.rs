//! Reloading: a changed configuration comes in force without losing a reading.
//!
//! Sources go on where none of them changed; else all of them stop, which commits and acknowledges what they took, and
//! start anew. In between the writer puts the plan in force. Outputs that did not change go on.

use super::disk::full_plan;
use super::tasks::subscriptions;
use super::{Daemon, StartError};
use crate::config::Config;
use crate::ingest::change::NewPlan;
use tokio::sync::oneshot;

/// What a reload cannot change while the daemon runs.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The store stays where it is.
    #[error("gateway.data_dir changed: restart the daemon for that")]
    DataDir,
    /// The status endpoint stays where it is.
    #[error("[status] changed: restart the daemon for that")]
    Status,
    /// The pace of commits stays as it is.
    #[error("[buffer] changed: restart the daemon for that")]
    Buffer,
    /// A source could not start anew.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The writer is gone.
    #[error("the writer has stopped")]
    Writer,
}

impl Daemon {
    /// Puts `config` in force.
    ///
    /// # Errors
    /// When it changes what only a restart can change: then nothing happened. When an address is taken: then that source
    /// does not run, the rest does.
    pub async fn reload(&mut self, config: Config) -> Result<(), ReloadError> {
        if config.data_dir != self.config.data_dir {
            return Err(ReloadError::DataDir);
        }
        if config.status != self.config.status {
            return Err(ReloadError::Status);
        }
        if config.buffer != self.config.buffer {
            return Err(ReloadError::Buffer);
        }
        let before = subscriptions(&self.config);
        let restart = config.sources != self.config.sources;
        if restart {
            self.stop_sources().await;
        }
        let (done, in_force) = oneshot::channel();
        let plan = full_plan(&config, &self.store.name());
        let names = plan.sources.clone();
        let heartbeat = config.heartbeat.clone();
        let new = NewPlan { plan, subscriptions: subscriptions(&config), heartbeat, done };
        self.plans.send(new).await.map_err(|_| ReloadError::Writer)?;
        self.intake.wake();
        in_force.await.map_err(|_| ReloadError::Writer)?;
        self.numbers.follow(&names);
        let old = std::mem::replace(&mut self.config, config);
        self.change_outputs(&old).await;
        self.show();
        if restart {
            for at in 0..self.config.sources.len() {
                self.start_source(at, &before).await?;
            }
        } else {
            self.drained_all().await;
        }
        self.show();
        Ok(())
    }

    /// Sources that went on have no backlog. Of a broker that is away nobody knows.
    async fn drained_all(&self) {
        for (name, state, _) in self.source_states() {
            let Some(source) = self.numbers.number(&name).filter(|_| state.snapshot().connected) else {
                continue;
            };
            self.intake.push(crate::ingest::intake::Input::Drained { source }).await;
        }
    }

    async fn change_outputs(&mut self, old: &Config) {
        let mut kept = Vec::new();
        for running in self.outputs.drain(..) {
            if self.config.outputs.contains(&running.output) {
                kept.push(running);
                continue;
            }
            if !self.config.outputs.iter().any(|output| output.name == running.output.name) {
                let name = &running.output.name;
                tracing::info!(
                    output = name,
                    "removed; what waits for it stays queued until `run --drop-output`"
                );
            }
            running.stop().await;
        }
        self.outputs = kept;
        for at in 0..self.config.outputs.len() {
            if !old.outputs.contains(&self.config.outputs[at]) {
                self.start_output(at);
            }
        }
    }
}
