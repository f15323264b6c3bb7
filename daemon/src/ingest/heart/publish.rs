//! What others see: figures as of the last transaction, and plans that were put in force.

use super::{Heart, Parts};
use crate::ingest::change::{NewPlan, put_in_force};
use crate::ingest::figures::{ClockFigures, DeviceFigures, Lists};
use crate::limits::{ALERTS_SHOWN_MAX, CLOCKS_SHOWN_MAX, DEVICES_SHOWN_MAX};
use crate::store::StoreError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Lists of status are made again at most so often. Their lines are text, and which devices are in them takes a look at all:
/// that is not for every transaction.
const LISTED_EVERY: Duration = Duration::from_secs(1);

/// What is known of the lists of status.
#[derive(Debug)]
pub(super) struct Listed {
    /// When they were made.
    at: Instant,
    /// A transaction came after them.
    stale: bool,
}

impl Listed {
    /// Lists that nobody has made yet: they are due.
    pub(super) fn never(now: Instant) -> Listed {
        Listed { at: now, stale: true }
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
        figures.series.store(self.parts.pipeline.series() as u64, Ordering::Relaxed);
        figures.windows.store(self.parts.pipeline.open_windows() as u64, Ordering::Relaxed);
        self.listed.stale = true;
    }

    /// When the lists of status must be made again; `None` while they are right. What a commit that failed has left in memory
    /// is not shown.
    pub(super) fn lists_due(&self) -> Option<Instant> {
        (self.listed.stale && self.trouble.is_none()).then(|| self.listed.at + LISTED_EVERY)
    }

    /// Makes the lists of status, as of the last transaction.
    pub(super) fn list(&mut self, now: Instant) {
        let pipeline = &self.parts.pipeline;
        let devices = &pipeline.state().devices;
        self.parts.figures.publish_lists(Lists {
            clocks_known: pipeline.state().clocks.len(),
            clocks: pipeline.clocks(CLOCKS_SHOWN_MAX),
            devices: DeviceFigures {
                known: devices.known(),
                evicted: devices.evicted(),
                totals: devices.totals(),
                shown: pipeline.devices(&pipeline.devices_of_note(DEVICES_SHOWN_MAX)),
            },
            rejections: pipeline.most_rejected(),
        });
        self.listed = Listed { at: now, stale: false };
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
        self.beats.change(new.heartbeat.clone(), now);
        self.publish(0);
        // Streams may have other names now.
        self.list(now);
        self.publish_alerts();
        let _ = new.done.send(());
    }

    fn try_plan(&mut self, new: &NewPlan) -> Result<(), StoreError> {
        let Parts { store, pipeline, clock, history, .. } = &mut self.parts;
        let now = clock.look().now.now();
        put_in_force(store, pipeline, new.plan.clone(), now, history.as_ref())
    }
}
