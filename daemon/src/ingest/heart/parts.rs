//! What a heart is made of.

use crate::clock::Timekeeper;
use crate::config::model::{Buffer, Heartbeat};
use crate::health::Health;
use crate::ingest::change::NewPlan;
use crate::ingest::figures::Figures;
use crate::ingest::intake::Intake;
use crate::ingest::mailbox::Mailbox;
use crate::limits::{INTAKE_BYTES_MAX, INTAKE_MESSAGES_MAX, TAP_BATCHES_MAX};
use crate::store::{HistorySender, Store};
use std::sync::Arc;
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::message::Trace;
use tokio::sync::{broadcast, mpsc};

/// Everything that the heart is given.
#[derive(Debug)]
pub struct Parts {
    /// Where input comes from.
    pub intake: Arc<Intake>,
    /// What forwarders and operators want.
    pub mailbox: Arc<Mailbox>,
    /// Where changes go.
    pub store: Store,
    /// What decides.
    pub pipeline: Pipeline,
    /// What is wrong.
    pub health: Arc<Health>,
    /// What the status page shows.
    pub figures: Arc<Figures>,
    /// Who watches: see `tap`.
    pub taps: broadcast::Sender<Arc<Vec<Trace>>>,
    /// What time it is, and who says so.
    pub clock: Timekeeper,
    /// How much there may be on disk, and how often it is written.
    pub buffer: Buffer,
    /// `[heartbeat]`, if there is one.
    pub heartbeat: Option<Heartbeat>,
    /// Who keeps closed summaries for queries, if anybody.
    pub history: Option<HistorySender>,
    /// New plans.
    pub plans: mpsc::Receiver<NewPlan>,
}

impl Parts {
    /// Parts with an intake and a mailbox of their own, whom nobody watches; without heartbeat and history. And where new
    /// plans go.
    pub fn new(
        store: Store,
        pipeline: Pipeline,
        clock: Timekeeper,
        buffer: Buffer,
    ) -> (Parts, mpsc::Sender<NewPlan>) {
        let intake = Intake::new(INTAKE_MESSAGES_MAX, INTAKE_BYTES_MAX);
        let (new_plans, plans) = mpsc::channel(1);
        let parts = Parts {
            mailbox: Mailbox::new(Arc::clone(&intake)),
            intake,
            store,
            pipeline,
            health: Arc::default(),
            figures: Arc::default(),
            taps: broadcast::Sender::new(TAP_BATCHES_MAX),
            clock,
            buffer,
            heartbeat: None,
            history: None,
            plans,
        };
        (parts, new_plans)
    }
}
