//! What others see: figures as of the last transaction, and plans that were put in force.

use super::{Backlog, Heart, Parts};
use crate::ingest::change::{NewPlan, put_in_force};
use crate::ingest::figures::{Account, ClockFigures};
use crate::limits::{ALERTS_SHOWN_MAX, BACKLOG_HOLD_MAX, CLOCKS_SHOWN_MAX, RETRY_MIN};
use crate::store::{Commit, StoreError};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Heart {
    /// Shows what is on disk. So many that were pending in the intake are in it now.
    pub(super) fn publish(&mut self, committed: u64) {
        let figures = &self.parts.figures;
        let letters = self.parts.store.shared().letter_counts();
        let (plan, state) = (self.parts.pipeline.plan(), self.parts.pipeline.state());
        let account = Account { ledger: state.ledger.clone(), letters, held: state.held.readings() };
        figures.publish(account, &self.parts.intake, committed);
        figures.set_clock(ClockFigures::of(plan, state, &self.sight));
        crate::ingest::clock::report(&self.parts.health, plan, state);
        if let Some(rejections) = self.parts.pipeline.most_rejected() {
            figures.publish_rejections(rejections);
        }
        figures.series.store(self.parts.pipeline.series() as u64, Ordering::Relaxed);
        figures.windows.store(self.parts.pipeline.open_windows() as u64, Ordering::Relaxed);
        figures.publish_clocks(
            self.parts.pipeline.state().clocks.len(),
            self.parts.pipeline.devices(CLOCKS_SHOWN_MAX),
        );
        figures.overspent.store(u64::from(self.pace.is_overspent()), Ordering::Relaxed);
    }

    pub(super) fn publish_alerts(&self) {
        let (active, shown) = self.parts.pipeline.raised(ALERTS_SHOWN_MAX);
        self.parts.figures.publish_alerts(active, shown);
    }

    /// Puts a new plan in force: windows of changed summaries close under the old one, then a checkpoint under the new.
    pub(super) fn change_plan(&mut self, new: NewPlan) {
        self.commit(false);
        let known = std::mem::take(&mut self.backlog);
        let before = self.parts.pipeline.plan().sources.clone();
        let mut known: BTreeMap<_, _> =
            self.parts.pipeline.plan().sources.iter().cloned().zip(known).collect();
        while let Err(error) = self.try_plan(&new) {
            tracing::error!(%error, "cannot write the new configuration to the store; trying again");
            std::thread::sleep(RETRY_MIN);
            if let Ok(pipeline) = self.parts.store.reopen() {
                self.parts.pipeline = pipeline;
            }
        }
        // A source that is new has a backlog until it says otherwise; the others stay what they were.
        let until = Some(Instant::now() + BACKLOG_HOLD_MAX);
        let backlog = |name| known.remove(name).unwrap_or(Backlog { until });
        self.backlog = new.plan.sources.iter().map(backlog).collect();
        let from = |name| before.iter().position(|known| known == name);
        let from: Vec<_> = new.plan.sources.iter().map(from).collect();
        self.listening = self.listening.moved(&from);
        let committed = std::mem::take(&mut self.batch.pending);
        self.publish(committed);
        self.publish_alerts();
        let _ = new.done.send(());
    }

    fn try_plan(&mut self, new: &NewPlan) -> Result<(), StoreError> {
        let Parts { store, pipeline, clock, history, .. } = &mut self.parts;
        let now = clock.look().now.now();
        put_in_force(store, pipeline, new.plan.clone(), now, history.as_ref())?;
        let subscriptions = Some(new.subscriptions.clone());
        self.parts.store.commit(&Commit { subscriptions, ..Commit::default() })
    }
}
