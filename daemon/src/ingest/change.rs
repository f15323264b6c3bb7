//! A changed plan: how it comes to the heart, and how it comes in force.

use crate::config::model::Heartbeat;
use crate::store::{Commit, HistorySender, Store, StoreError};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::plan::Plan;
use tidegate_pipeline::time::Time;
use tokio::sync::oneshot;

/// A changed configuration.
#[derive(Debug)]
pub struct NewPlan {
    /// What holds from now on.
    pub plan: Plan,
    /// `[heartbeat]`, if there is one.
    pub heartbeat: Option<Heartbeat>,
    /// Told when it is in force and on disk.
    pub done: oneshot::Sender<()>,
}

/// Closes what the new plan ends, and writes a checkpoint under the new plan. Nothing happens where the plans agree.
///
/// # Errors
/// When the store cannot be written; then `pipeline` must be restored from it.
pub fn put_in_force(
    store: &mut Store,
    pipeline: &mut Pipeline,
    plan: Plan,
    now: Time,
    history: Option<&HistorySender>,
) -> Result<(), StoreError> {
    if *pipeline.plan() == plan {
        return Ok(());
    }
    let closes = pipeline.closes_for(&plan);
    let outputs = pipeline.plan().outputs.clone();
    let closes = |summary| closes.contains(&summary);
    loop {
        let mut step = pipeline.step();
        step.retire(now, &plan);
        let loaded = store.shared().load(&step.needs_early(&closes))?;
        let changes = step.finish_early(now, &closes, &loaded);
        let commit = Commit { changes, outputs: outputs.clone(), at: now, ..Commit::default() };
        if !commit.is_empty() {
            store.commit(&commit)?;
        }
        if let Some(history) = history {
            history.send(commit.changes.closed);
        }
        if !pipeline.has_open(&closes) {
            break;
        }
    }
    let old = std::mem::replace(pipeline, Pipeline::new(Plan::default()));
    *pipeline = old.migrate(plan);
    store.checkpoint_now(pipeline)
}
