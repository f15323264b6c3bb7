//! The heart: takes what came, lets the pipeline decide, writes one transaction, and then, only then, acknowledges.
//!
//! One thread. Whatever was taken stays in memory until it is on disk: after a failed commit the store is opened again,
//! the pipeline restored from it, and the same input applied again, unless the journal shows that it was written after
//! all.

use super::batch::Batch;
use super::change::{NewPlan, put_in_force};
use super::figures::{Account, ClockFigures, Figures};
use super::intake::{Input, Intake};
use super::links::Links;
use super::listening::Listening;
use super::mailbox::{Mail, Mailbox};
use super::pace::{MANY, Pace};
use crate::clock::{Sight, Timekeeper};
use crate::health::Health;
use crate::limits::{
    ALERTS_SHOWN_MAX, BACKLOG_HOLD_MAX, CLOCKS_SHOWN_MAX, COMMIT_MESSAGES_MAX, DISK_RETRY_MAX,
    INTAKE_BYTES_MAX, RETRY_MIN,
};
use crate::store::{Commit, HistorySender, LetterRequest, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate_pipeline::event::Closed;
use tidegate_pipeline::message::Trace;
use tidegate_pipeline::time::Time;
use tidegate_pipeline::{Changes, Pipeline};
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

    /// Writes what was taken, until it is on disk. `last`: give up when the disk refuses, since nobody will wait.
    fn commit(&mut self, last: bool) {
        let (mut mail, waiting) = self.parts.mailbox.take();
        self.batch.orders.append(&mut mail.orders);
        let mut wait = Duration::ZERO;
        loop {
            let number = self.parts.store.next_entry();
            self.sight = self.parts.clock.look();
            let turns = self.parts.pipeline.clock_is_due(&self.sight.now);
            let error = match self.attempt(&mail, &waiting) {
                Ok(done) if done.turned => {
                    self.turned(done);
                    continue;
                }
                Ok(done) => return self.committed(&mail, done),
                Err(error) => error,
            };
            self.parts.figures.failures.fetch_add(1, Ordering::Relaxed);
            if self
                .parts
                .health
                .raise("store", format!("nothing is acknowledged until the disk takes it: {error}"))
            {
                tracing::error!(%error, "cannot commit; nothing is acknowledged until the disk takes it");
            }
            // The pipeline has decided on what is not on disk: it may not go on before it is what the disk says.
            loop {
                match self.recover(number) {
                    Ok(true) if !turns => {
                        return self
                            .committed(&mail, Done { outboxes: true, alerted: true, ..Done::default() });
                    }
                    Ok(_) => break,
                    Err(error) => tracing::warn!(%error, "cannot open the store again yet"),
                }
                if last || !self.wait(&mut wait) {
                    return;
                }
            }
            if last || !self.wait(&mut wait) {
                return;
            }
        }
    }

    /// Backs off; false when nobody will wait any more.
    fn wait(&self, wait: &mut Duration) -> bool {
        let until = Instant::now() + *wait;
        // The first time at once: what failed may have been a moment's trouble.
        *wait = (*wait * 2).clamp(RETRY_MIN, DISK_RETRY_MAX);
        loop {
            self.parts.figures.beat();
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO || self.parts.intake.is_closed() {
                return !self.parts.intake.is_closed();
            }
            std::thread::sleep(left.min(RETRY_MIN));
        }
    }

    /// One try: decide, load what is to be amended, decide on that, write.
    fn attempt(&mut self, mail: &Mail, waiting: &BTreeSet<String>) -> Result<Done, StoreError> {
        let tapped = self.parts.taps.receiver_count() > 0;
        let clock = self.sight.now;
        let now = clock.now();
        let held = self.held(Instant::now());
        let mut step = self.parts.pipeline.step();
        let turned = step.clock(&clock);
        if tapped {
            step.trace();
        }
        let mut letters = Vec::new();
        if !turned {
            self.batch.apply(&mut step, &clock, self.parts.store.shared(), &mut letters)?;
        }
        let traces = step.traces();
        step.watch(now, &|source| self.listening.since(source));
        let loaded = self.parts.store.shared().load(&step.needs(now, &held))?;
        let changes = step.finish(now, &held, &loaded);
        // The mail goes with the batch: it may be given to one transaction only.
        let (nothing, nobody) = (Mail::default(), BTreeSet::new());
        let (mail, waiting) = if turned { (&nothing, &nobody) } else { (mail, waiting) };
        let commit = self.with_mail(changes, letters, mail, waiting, now);
        if !commit.is_empty() {
            self.parts.store.commit(&commit)?;
            self.parts.figures.commits.fetch_add(1, Ordering::Relaxed);
        }
        let alerted = !commit.changes.alerts.is_empty();
        let outboxes = alerted
            || !(commit.changes.closed.is_empty()
                && commit.changes.captures.is_empty()
                && commit.settled.is_empty()
                && commit.letters.is_empty()
                && commit.reach.is_empty());
        Ok(Done { traces, closed: commit.changes.closed, outboxes, alerted, turned })
    }

    fn with_mail(
        &self,
        changes: Changes,
        letters: Vec<LetterRequest>,
        mail: &Mail,
        waiting: &BTreeSet<String>,
        at: Time,
    ) -> Commit {
        Commit {
            changes,
            outputs: self.parts.pipeline.plan().outputs.clone(),
            settled: mail.settled.clone(),
            letters,
            reach: mail.reach.clone(),
            waiting: waiting.clone(),
            at,
            ..Commit::default()
        }
    }

    /// On disk, and nothing to acknowledge: what the clock asked for is done.
    fn turned(&mut self, done: Done) {
        self.parts.mailbox.committed(&[], done.outboxes);
        self.tell(done);
        self.publish(0);
    }

    /// On disk: acknowledge, in the order of arrival.
    fn committed(&mut self, mail: &Mail, done: Done) {
        let now = Instant::now();
        self.links.committed(now);
        let bytes = self.parts.store.shared().wear().bytes();
        self.pace.committed(now, bytes);
        self.batch.inputs.clear();
        self.batch.messages = 0;
        self.batch.bytes = 0;
        self.parts.mailbox.committed(&mail.settled, done.outboxes);
        self.tell(done);
        let committed = std::mem::take(&mut self.batch.pending);
        self.publish(committed);
        // After the figures: whoever asked may look at them next.
        for order in self.batch.orders.drain(..) {
            // Or may be gone; it is done all the same.
            let _ = order.done.send(());
        }
    }

    /// Tells those who want to know what was written.
    fn tell(&mut self, done: Done) {
        if self.parts.health.clear("store") {
            tracing::info!("the disk takes writes again");
        }
        if let Some(history) = &self.parts.history {
            history.send(done.closed);
        }
        if !done.traces.is_empty() {
            let _ = self.parts.taps.send(Arc::new(done.traces));
        }
        self.parts.store.checkpoint_if_due(&self.parts.pipeline);
        if done.alerted {
            self.publish_alerts();
        }
    }

    /// After a failed commit: memory becomes what is on disk. True when the batch is there after all.
    fn recover(&mut self, number: u64) -> Result<bool, StoreError> {
        self.parts.pipeline = self.parts.store.reopen()?;
        self.parts.store.has_entry(number)
    }

    /// Shows what is on disk. So many that were pending in the intake are in it now.
    fn publish(&mut self, committed: u64) {
        let figures = &self.parts.figures;
        let letters = self.parts.store.shared().letter_counts();
        let (plan, state) = (self.parts.pipeline.plan(), self.parts.pipeline.state());
        let account = Account { ledger: state.ledger.clone(), letters, held: state.held.readings() };
        figures.publish(account, &self.parts.intake, committed);
        figures.set_clock(ClockFigures::of(plan, state, &self.sight));
        super::clock::report(&self.parts.health, plan, state);
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

    fn publish_alerts(&self) {
        let (active, shown) = self.parts.pipeline.raised(ALERTS_SHOWN_MAX);
        self.parts.figures.publish_alerts(active, shown);
    }

    /// Puts a new plan in force: windows of changed summaries close under the old one, then a checkpoint under the new.
    fn change_plan(&mut self, new: NewPlan) {
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
