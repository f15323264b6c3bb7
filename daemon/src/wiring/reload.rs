//! Reloading: a changed configuration comes in force without losing a reading.
//!
//! Everything goes on until the writer has put the plan in force, which takes as long as the disk does. Only sources that the
//! configuration does not have any more leave before: what they took counts under the old plan. Then those that changed
//! stop, which commits and acknowledges what they took, and start anew; the others never notice.

use super::Daemon;
use super::disk::full_plan;
use crate::config::Config;
use crate::ingest::change::NewPlan;
use crate::limits::RELOAD_PATIENCE;
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
    /// The writer is gone.
    #[error("the writer has stopped")]
    Writer,
    /// The daemon is to stop before it is in force.
    #[error("the daemon stops before the disk takes it")]
    Leaving,
}

impl Daemon {
    /// Puts `config` in force, unless the disk does not take it before `leave` is over. A listener that cannot start is shown
    /// as a problem and tried again; everything else runs.
    ///
    /// # Errors
    /// When it changes what only a restart can change: then nothing happened. And when the daemon cannot go on, or is not to:
    /// then nothing but [`Daemon::stop`] makes sense.
    pub async fn reload(
        &mut self,
        config: Config,
        leave: impl Future<Output = ()>,
    ) -> Result<(), ReloadError> {
        if config.data_dir != self.config.data_dir {
            return Err(ReloadError::DataDir);
        }
        if config.status != self.config.status {
            return Err(ReloadError::Status);
        }
        if config.buffer != self.config.buffer {
            return Err(ReloadError::Buffer);
        }
        let stays = |name: &str| config.sources.iter().any(|source| source.name == name);
        self.stop_sources(|running| !stays(&running.source.name)).await;
        self.show();
        self.put_in_force(&config, leave).await?;
        let old = std::mem::replace(&mut self.config, config);
        self.change_outputs(&old).await;
        let wanted = self.config.sources.clone();
        self.stop_sources(|running| running.waits() || !wanted.contains(&running.source)).await;
        self.show();
        self.expect_sessions();
        self.start_sources().await;
        self.show();
        Ok(())
    }

    async fn put_in_force(
        &mut self,
        config: &Config,
        leave: impl Future<Output = ()>,
    ) -> Result<(), ReloadError> {
        let (done, mut in_force) = oneshot::channel();
        let plan = full_plan(config, &self.store.name());
        let names = plan.sources.clone();
        let heartbeat = config.heartbeat.clone();
        let new = NewPlan { plan, heartbeat, done };
        self.plans.send(new).await.map_err(|_| ReloadError::Writer)?;
        self.intake.wake();
        let health = &self.health;
        let told = async {
            tokio::time::sleep(RELOAD_PATIENCE).await;
            let text =
                "the changed configuration is not in force before the disk takes it; so long the old one is";
            if health.raise("configuration", text) {
                tracing::warn!("{text}");
            }
            std::future::pending().await
        };
        tokio::select! {
            done = &mut in_force => done.map_err(|_| ReloadError::Writer)?,
            () = leave => return Err(ReloadError::Leaving),
            () = told => {}
        }
        self.numbers.follow(&names);
        Ok(())
    }

    async fn change_outputs(&mut self, old: &Config) {
        let mut kept = Vec::new();
        for running in self.outputs.drain(..) {
            if self.config.outputs.contains(&running.output) {
                kept.push(running);
                continue;
            }
            running.stop().await;
        }
        self.outputs = kept;
        for at in 0..self.config.outputs.len() {
            if !old.outputs.contains(&self.config.outputs[at]) {
                self.start_output(at);
            }
        }
        self.show_left_queues();
    }

    /// What waits for an output stays queued when that is removed or renamed: nothing is given up that nobody gives up.
    pub(super) fn show_left_queues(&mut self) {
        let queues = self.store.outputs();
        let waiting = queues.iter().filter(|(name, row)| {
            let configured = self.config.outputs.iter().any(|output| output.name == **name);
            !configured && row.counts.queued() > 0
        });
        let before = std::mem::take(&mut self.left);
        for (name, row) in waiting {
            let text = format!(
                "{} events wait for the output `{name}`, which is not in the configuration. Name an output so again, or give them \
                 up: tidegate run --drop-output {name}",
                row.counts.queued()
            );
            if self.health.raise(&format!("outputs.{name}"), text.as_str()) {
                tracing::warn!("{text}");
            }
            self.left.insert(name.clone());
        }
        for name in before.difference(&self.left) {
            self.health.clear(&format!("outputs.{name}"));
        }
    }
}
