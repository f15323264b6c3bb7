//! The heart: takes what came, lets the pipeline decide, writes one transaction, and then, only then, acknowledges.
//!
//! One thread. Whatever was taken stays in memory until it is on disk: after a failed commit the store is opened again,
//! the pipeline restored from it, and the same input applied again, unless the journal shows that it was written after
//! all.

mod commit;
mod publish;

use super::batch::Batch;
use super::change::NewPlan;
use super::figures::Figures;
use super::intake::{Input, Intake};
use super::links::Links;
use super::listening::Listening;
use super::mailbox::Mailbox;
use super::pace::{MANY, Pace};
use crate::clock::{Sight, Timekeeper};
use crate::health::Health;
use crate::limits::{BACKLOG_HOLD_MAX, COMMIT_MESSAGES_MAX, INTAKE_BYTES_MAX};
use crate::store::{HistorySender, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::event::Closed;
use tidegate_pipeline::message::Trace;
use tidegate_pipeline::time::Time;
use tokio::sync::{broadcast, mpsc};

/// The loop turns at least so often, to show that it is alive.
const TURN_MAX: Duration = Duration::from_secs(1);

/// What comes within this time is taken together: waking for each message would cost more than the message.
const GATHER: Duration = Duration::from_millis(2);

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
    /// `[buffer] max_size`: above it nothing is taken.
    pub bytes_max: u64,
    /// `[buffer] commit_interval`.
    pub interval: Duration,
    /// `[buffer] flash_budget`, bytes a day.
    pub flash_bytes_per_day: u64,
    /// Who keeps closed summaries for queries, if anybody.
    pub history: Option<HistorySender>,
    /// New plans.
    pub plans: mpsc::Receiver<NewPlan>,
}

/// The running heart.
#[derive(Debug)]
pub struct Heart {
    parts: Parts,
    pace: Pace,
    links: Links,
    backlog: Vec<Backlog>,
    listening: Listening,
    batch: Batch,
    /// The time, when it was last asked for.
    sight: Sight,
}

/// What a transaction did that others want to know.
#[derive(Debug, Default)]
struct Done {
    traces: Vec<Trace>,
    /// For the history.
    closed: Vec<Closed>,
    /// Outboxes may have changed.
    outboxes: bool,
    /// Something was raised or cleared.
    alerted: bool,
    /// It was about the clock alone: the batch still waits.
    turned: bool,
}

/// Whether a source still delivers what waited for us.
#[derive(Clone, Copy, Debug)]
struct Backlog {
    until: Option<Instant>,
}

impl Heart {
    /// A heart that has not beaten yet.
    pub fn new(mut parts: Parts) -> Heart {
        let now = Instant::now();
        let pace = Pace::new(parts.interval, parts.flash_bytes_per_day, now);
        // At the start everybody has a backlog until he says otherwise.
        let backlog =
            vec![Backlog { until: Some(now + BACKLOG_HOLD_MAX) }; parts.pipeline.plan().sources.len()];
        let listening = Listening::new(backlog.len());
        let sight = parts.clock.look();
        let (links, batch) = (Links::default(), Batch::default());
        let mut heart = Heart { parts, pace, links, backlog, listening, batch, sight };
        heart.publish(0);
        heart.publish_alerts();
        heart.parts.figures.beat();
        heart
    }

    /// Beats until the intake is closed and empty; then everything is on disk, unless the disk refuses.
    pub fn run(mut self) {
        loop {
            self.sight = self.parts.clock.look();
            let full = self.is_full();
            let inputs = if full {
                self.parts.intake.wait(self.deadline());
                Vec::new()
            } else {
                self.parts.intake.take(self.deadline(), GATHER)
            };
            self.sight = self.parts.clock.look();
            let now = Instant::now();
            let closing = self.parts.intake.is_closed();
            self.listening.turn(now, self.sight.now.now(), full);
            for input in inputs {
                self.receive(input, now);
            }
            self.parts.figures.beat();
            if let Ok(plan) = self.parts.plans.try_recv() {
                self.change_plan(plan);
            }
            if closing || self.is_due(Instant::now()) {
                self.commit(closing);
            }
            // What there is no room for stays with its senders: it is not acknowledged.
            if closing && (full || self.parts.intake.messages() == 0) {
                return;
            }
        }
    }

    /// Whether the buffer is full. Then nothing is taken, nothing is acknowledged and no window closes until outputs have
    /// confirmed enough: senders keep what they have.
    fn is_full(&self) -> bool {
        // The file grows to twice what is in it (redb 4.6), and `max_size` bounds the file.
        let bytes = 2 * self.parts.store.live_bytes();
        if bytes < self.parts.bytes_max {
            if self.parts.health.clear("buffer") {
                tracing::info!("the buffer has room again");
            }
            return false;
        }
        let text = format!(
            "the buffer is full ({bytes} bytes of {}): nothing is acknowledged until outputs take what waits. \
             Mend the output, or raise buffer.max_size",
            self.parts.bytes_max
        );
        if self.parts.health.raise("buffer", text) {
            tracing::error!(
                bytes,
                "the buffer is full; nothing is acknowledged until outputs take what waits"
            );
        }
        true
    }

    /// When to look again, whatever comes.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        // What is held closes when its sources have drained, or at the limit.
        let holds = self.backlog.iter().filter_map(|backlog| backlog.until).filter(|until| *until > now);
        let deadlines = [
            self.pace.deadline(),
            self.parts.mailbox.deadline(now),
            self.window_deadline(now),
            self.alert_deadline(now),
            Some(now + TURN_MAX),
        ];
        deadlines.into_iter().flatten().chain(holds).min().unwrap_or(now)
    }

    /// When the next window closes that is not held.
    fn window_deadline(&self, now: Instant) -> Option<Instant> {
        let due = self.parts.pipeline.next_closing(&self.held(now))?;
        Some(now + self.until(due))
    }

    /// When the time may raise an alert.
    fn alert_deadline(&self, now: Instant) -> Option<Instant> {
        Some(now + self.until(self.parts.pipeline.next_alert()?))
    }

    fn until(&self, due: Time) -> Duration {
        Duration::from_micros(due.since(self.sight.now.now()).0.max(0).unsigned_abs())
    }

    /// Whether windows of a source stay open: it still delivers what waited for us, or there is no room for summaries.
    fn held(&self, now: Instant) -> impl Fn(u16) -> bool + use<> {
        let (backlog, full) = (self.backlog.clone(), self.parts.health.has("buffer"));
        move |source| {
            let until = backlog.get(usize::from(source)).and_then(|backlog| backlog.until);
            full || until.is_some_and(|until| until > now)
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let deadlines = [
            self.pace.deadline(),
            self.parts.mailbox.deadline(now),
            self.window_deadline(now),
            self.alert_deadline(now),
        ];
        deadlines.into_iter().flatten().any(|deadline| deadline <= now)
            || self.parts.pipeline.clock_is_due(&self.sight.now)
    }

    fn receive(&mut self, input: Input, now: Instant) {
        self.batch.pending += input.pending();
        match &input {
            Input::Run(run) => {
                self.batch.messages += run.messages.len();
                self.batch.bytes += run.bytes.len();
                let arrived = self.links.arrived(run, now);
                if arrived.urgent {
                    self.pace.urge(now);
                }
                self.pace.arrived(now);
                if arrived.waiting >= MANY {
                    self.pace.many();
                }
            }
            Input::Opened(link) => {
                self.links.opened(link);
                self.listening.opened(link);
                self.pace.arrived(now);
            }
            Input::Closed(link) => {
                self.links.closed(link);
                self.listening.closed(link);
                return;
            }
            Input::Backlog { source } => {
                self.backlog_of(*source, Some(now + BACKLOG_HOLD_MAX));
                self.listening.backlog(*source, now + BACKLOG_HOLD_MAX);
            }
            Input::Drained { source } => {
                self.backlog_of(*source, None);
                self.listening.drained(*source, self.sight.now.now());
            }
            Input::Repeated { .. } | Input::Refused { .. } => self.pace.arrived(now),
        }
        self.batch.inputs.push(input);
        if self.batch.messages >= COMMIT_MESSAGES_MAX || self.batch.bytes >= INTAKE_BYTES_MAX {
            self.pace.urge(now);
        }
    }

    fn backlog_of(&mut self, source: u16, until: Option<Instant>) {
        if let Some(backlog) = self.backlog.get_mut(usize::from(source)) {
            backlog.until = until;
        }
    }
}
