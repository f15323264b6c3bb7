//! What others see: figures as of the last transaction, and plans that were put in force.

use super::{Heart, Parts};
use crate::ingest::change::{NewPlan, put_in_force};
use crate::ingest::figures::{ClockFigures, DeviceFigures};
use crate::limits::{ALERTS_SHOWN_MAX, CLOCKS_SHOWN_MAX, DEVICES_SHOWN_MAX};
use crate::store::{Commit, StoreError};
use std::sync::atomic::Ordering;
use std::time::Instant;
use tidegate_pipeline::Pipeline;

/// Which devices are shown: looking at all of them for those that lost the most is not for every transaction.
#[derive(Debug, Default)]
pub(super) struct Shown {
    clocks: Vec<u32>,
    /// How many were known then.
    known: u32,
    /// Transactions since.
    age: u32,
}

/// They are chosen anew when one is new, and after so many transactions.
const CHOSEN_FOR: u32 = 64;

impl Shown {
    fn figures(&mut self, pipeline: &Pipeline) -> DeviceFigures {
        let devices = &pipeline.state().devices;
        self.age += 1;
        if self.known != devices.known() || self.age >= CHOSEN_FOR {
            let clocks = pipeline.devices_of_note(DEVICES_SHOWN_MAX);
            *self = Shown { clocks, known: devices.known(), age: 0 };
        }
        DeviceFigures {
            known: devices.known(),
            evicted: devices.evicted(),
            totals: devices.totals(),
            shown: pipeline.devices(&self.clocks),
        }
    }
}

impl Heart {
    /// Shows what is on disk. So many that were pending in the intake are in it now.
    pub(super) fn publish(&mut self, committed: u64) {
        let account = self.account();
        let figures = &self.parts.figures;
        let (plan, state) = (self.parts.pipeline.plan(), self.parts.pipeline.state());
        figures.publish(account, &self.parts.intake, committed);
        figures.set_clock(ClockFigures::of(plan, state, &self.sight));
        crate::ingest::clock::report(&self.parts.health, plan, state);
        if let Some(report) = self.parts.store.shared().salvage() {
            self.parts.health.raise("damage", report.to_string());
        }
        if let Some(rejections) = self.parts.pipeline.most_rejected() {
            figures.publish_rejections(rejections);
        }
        figures.series.store(self.parts.pipeline.series() as u64, Ordering::Relaxed);
        figures.windows.store(self.parts.pipeline.open_windows() as u64, Ordering::Relaxed);
        figures.publish_clocks(
            self.parts.pipeline.state().clocks.len(),
            self.parts.pipeline.clocks(CLOCKS_SHOWN_MAX),
        );
        figures.publish_devices(self.shown.figures(&self.parts.pipeline));
    }

    pub(super) fn publish_alerts(&self) {
        let (active, shown) = self.parts.pipeline.raised(ALERTS_SHOWN_MAX);
        self.parts.figures.publish_alerts(active, shown);
    }

    /// Puts a new plan in force: windows of changed summaries close under the old one, then a checkpoint under the new.
    pub(super) fn change_plan(&mut self, new: NewPlan, now: Instant) {
        if let Err(error) = self.try_plan(&new) {
            self.plan = Some(new);
            return self.refused(&error, None, now);
        }
        self.renumber(now);
        // Clocks have other numbers now.
        self.shown = Shown::default();
        self.beats.change(new.heartbeat.clone(), now);
        self.publish(0);
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
