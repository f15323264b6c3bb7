//! The gateway: the real heart, pipeline and store in a process that can be killed, on a machine that can lose its power.

use super::setup::{self, OUTPUTS};
use super::world::{Event, START_US, World, millis, secs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidegate::clock::Timekeeper;
use tidegate::config::model::Buffer;
use tidegate::health::Health;
use tidegate::ingest::change::{NewPlan, put_in_force};
use tidegate::ingest::figures::Figures;
use tidegate::ingest::heart::{Heart, Parts};
use tidegate::ingest::intake::{Input, Intake};
use tidegate::ingest::mailbox::Mailbox;
use tidegate::store::{Opened, Shared, Store, StoreError};
use tidegate::wiring::outbox::StoreOutbox;
use tidegate_medium::{Disk, Trouble};
use tidegate_pipeline::message::Trace;
use tokio::sync::{broadcast, mpsc, oneshot};

/// The heart looks up so often while the clock is not known.
const LOOK: u64 = secs(2);
/// And so often when it is: whatever is due it says itself.
const IDLE: u64 = secs(600);

/// One process, from its start to its end.
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) heart: Heart,
    pub(super) intake: Arc<Intake>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) shared: Arc<Shared>,
    pub(super) figures: Arc<Figures>,
    pub(super) health: Arc<Health>,
    /// The configuration that is in force.
    pub(super) variant: usize,
    /// The number of the broker, which another configuration does not change.
    pub(super) source: u16,
    /// What became of readings, where somebody reads the history.
    traces: Option<broadcast::Receiver<Arc<Vec<Trace>>>>,
    plans: mpsc::Sender<NewPlan>,
    /// A plan that is to come in force, and its variant.
    changing: Option<(oneshot::Receiver<()>, usize)>,
    /// When the heart turns next.
    pub(super) turn_at: u64,
    /// The last turn ended then.
    rested: u64,
    commits: u64,
    /// There was no room at all.
    full: bool,
}

/// The machine's disk, and what runs on it.
#[derive(Default)]
pub(super) struct Gateway {
    pub(super) disk: Disk,
    pub(super) process: Option<Process>,
    processes: u64,
    /// The configuration file.
    pub(super) variant: usize,
}

impl World {
    /// The service manager starts the process; again a little later when it fails.
    pub(super) fn start(&mut self) {
        if self.gateway.process.is_some() {
            return;
        }
        match self.started() {
            Ok(process) => {
                self.history.note(self.now, "started", &[process.number]);
                self.cloud_begins(&process);
                self.gateway.process = Some(process);
                let soon = self.now + millis(self.random.u64(1..2_000));
                self.at(soon, Event::Connect);
            }
            Err(_) if self.gateway.disk.is_cut() => self.power_cut(),
            Err(error) => {
                self.history.note_bytes(self.now, "does not start", error.to_string().as_bytes());
                self.history.tell(self.now, &error);
                let later = self.now + secs(self.random.u64(1..5));
                self.at(later, Event::Start);
            }
        }
    }

    fn started(&mut self) -> Result<Process, StoreError> {
        let (variant, raw) = (self.gateway.variant, self.setup.raw);
        let opener = self.gateway.disk.opener();
        let Opened { mut store, mut pipeline } =
            Store::open("disk", opener, "sim", |name| setup::plan(variant, raw, name))?;
        store.checkpoint_from(self.setup.checkpoint);
        let mut clock = Timekeeper::new(self.machine.clone(), pipeline.last_heard());
        let now = clock.look().now.now();
        let plan = setup::plan(variant, raw, &store.shared().name());
        put_in_force(&mut store, &mut pipeline, plan, now, None)?;
        let mut buffer = Buffer { bytes_max: u64::MAX, ..Buffer::default() };
        if let Some(small) = self.setup.buffer {
            (buffer.bytes_max, buffer.when_full) = (small.bytes_max, small.when_full);
        }
        let (parts, plans) = Parts::new(store, pipeline, clock, buffer);
        self.gateway.processes += 1;
        Ok(Process {
            number: self.gateway.processes,
            intake: Arc::clone(&parts.intake),
            mailbox: Arc::clone(&parts.mailbox),
            shared: Arc::clone(parts.store.shared()),
            figures: Arc::clone(&parts.figures),
            health: Arc::clone(&parts.health),
            variant,
            source: setup::source(variant),
            traces: self.history.is_told().then(|| parts.taps.subscribe()),
            plans,
            changing: None,
            heart: Heart::new(parts, self.instant()),
            turn_at: self.now,
            rested: self.now,
            commits: 0,
            full: false,
        })
    }

    /// There is something for the heart; it waits a little for more.
    pub(super) fn wake(&mut self) {
        if let Some(process) = &mut self.gateway.process
            && process.heart.takes()
        {
            process.turn_at = process.turn_at.min((self.now + millis(2)).max(process.rested));
        }
    }

    /// There is mail for the heart. It is read even where there is no room.
    pub(super) fn wake_for_mail(&mut self) {
        let now = self.now;
        self.wake();
        if self.setup.buffer.is_some()
            && let Some(process) = &mut self.gateway.process
        {
            process.turn_at = process.turn_at.min((now + millis(2)).max(process.rested));
        }
    }

    /// The heart turns.
    pub(super) fn turn(&mut self) {
        let now = self.instant();
        let rested = self.now + self.random.u64(..millis(5));
        let later = self.instant_at(rested);
        let knows = self.knows_the_time();
        let Some(process) = &mut self.gateway.process else { return };
        let _ = process.heart.turn(now);
        let due = process.heart.rest(later).map_or(u64::MAX, |due| self.epoch.since(due));
        // What waits for room is looked at again, as `Heart::run` does.
        let waits = self.setup.buffer.is_some() && !process.heart.takes();
        let idle = if knows && !waits { IDLE } else { LOOK };
        process.rested = rested;
        // A little later than it is due: a clock that drifts must not make it turn in vain for ever.
        process.turn_at = due.saturating_add(millis(1)).min(self.now + idle).max(rested);
        let full = waits && !process.health.has("store");
        if full && !std::mem::replace(&mut process.full, full) {
            self.toll.fault("buffer full: nothing taken");
        }
        if self.gateway.disk.is_cut() {
            return self.power_cut();
        }
        self.settled();
    }

    /// What follows from a turn.
    fn settled(&mut self) {
        self.tell_traces();
        self.acknowledge();
        let Some(process) = &mut self.gateway.process else { return };
        if let Some((done, variant)) = &mut process.changing
            && done.try_recv().is_ok()
        {
            let variant = *variant;
            (process.changing, process.variant) = (None, variant);
            self.history.note(self.now, "reconfigured", &[variant as u64]);
            let soon = self.now + millis(self.random.u64(1..500));
            self.at(soon, Event::Connect);
        }
        let Some(process) = &mut self.gateway.process else { return };
        let commits = process.figures.commits.load(Ordering::Relaxed);
        if commits != std::mem::replace(&mut process.commits, commits) {
            self.history.note(self.now, "committed", &[commits]);
            self.check_commit();
            self.cloud_looks();
        }
    }

    fn tell_traces(&mut self) {
        let Some(traces) = self.gateway.process.as_mut().and_then(|process| process.traces.as_mut()) else {
            return;
        };
        while let Ok(batch) = traces.try_recv() {
            for Trace { topic, payload, verdict, .. } in batch.iter() {
                self.history.tell(self.now, &format_args!("{verdict:?} {topic} {payload}"));
            }
        }
    }

    /// The process is killed: what it wrote is in the system's cache.
    pub(super) fn kill(&mut self) {
        let disk = self.gateway.disk.after_kill();
        self.end(disk);
    }

    /// The power is cut, and comes back.
    pub(super) fn power_cut(&mut self) {
        let disk = self.gateway.disk.after_cut(self.random.u64(..));
        self.end(disk);
        // What is held when the machine goes off never gets its right time.
        self.oracle.released(false);
        self.known = None;
        self.machine.boots(!self.setup.clocks || self.random.bool());
        if !self.machine.is_vouched() {
            let found = self.now + secs(self.random.u64(1..240));
            self.at(found, Event::Synchronise);
        }
    }

    /// The process is gone; `disk` is what is left.
    fn end(&mut self, disk: Disk) {
        self.history.note(self.now, "ended", &[]);
        // Whatever the process still does on its way out does not reach the disk.
        self.gateway.disk.trouble(Trouble::CutAt(0));
        self.hang_up(false);
        self.cloud_ends();
        self.gateway.process = None;
        self.gateway.disk = disk;
        let back = self.now + millis(self.random.u64(100..8_000));
        self.at(back, Event::Start);
    }

    /// The service manager stops the process, which writes what it has, and starts it again.
    pub(super) fn stop(&mut self) {
        self.hang_up(true);
        let now = self.instant();
        let Some(process) = &mut self.gateway.process else { return };
        process.intake.close();
        // What a disk that works well makes possible takes two turns; then nobody waits any more.
        for _ in 0..3 {
            if process.heart.turn(now).is_break() {
                break;
            }
            process.heart.rest(now);
        }
        if self.gateway.disk.is_cut() {
            return self.power_cut();
        }
        self.check_commit();
        self.cloud_ends();
        self.gateway.process = None;
        self.history.note(self.now, "stopped", &[]);
        let back = self.now + millis(self.random.u64(100..8_000));
        self.at(back, Event::Start);
    }

    /// Somebody edits the file; the running process is told, or it finds out at its next start.
    pub(super) fn reconfigure(&mut self, variant: usize, told: bool) {
        self.gateway.variant = variant;
        if !told {
            return;
        }
        // Sources may be numbered anew: they leave first, as they do in a reload.
        self.hang_up(true);
        let Some(process) = &mut self.gateway.process else { return };
        let (done, answer) = oneshot::channel();
        let plan = setup::plan(variant, self.setup.raw, &process.shared.name());
        if process.plans.try_send(NewPlan { plan, heartbeat: None, done }).is_ok() {
            process.changing = Some((answer, variant));
            process.turn_at = process.turn_at.min(self.now.max(process.rested));
        }
    }

    /// Whether a plan waits to come in force: sources stay away so long.
    pub(super) fn is_changing(&self) -> bool {
        self.gateway.process.as_ref().is_some_and(|process| process.changing.is_some())
    }

    /// The account of the process, read at every commit: promise 4.
    fn check_commit(&mut self) {
        let Some(process) = &self.gateway.process else { return };
        let (account, pending) = process.figures.account(&process.intake);
        let (total, held) = (account.ledger.total(), account.held);
        // What is pending in the intake counts messages; only what is on disk is compared here.
        let (sure, given) = (self.counts.committed, self.counts.given);
        if held == 0
            && let Some(known) = self.known.take_if(|_| process.intake.messages() == 0)
        {
            self.oracle.released(known);
        }
        if !(sure..=given).contains(&(total + held)) {
            let text = format!(
                "the ledger says {total} decided and {held} held, {pending} pending; {sure} were committed for certain, \
                 and {given} handed over"
            );
            self.broken.get_or_insert(text);
        }
        if let Some(forgotten) = process.shared.forgotten() {
            self.oracle.forgets(forgotten.0.saturating_sub(START_US));
        }
        let outputs = process.shared.outputs();
        let queued: u64 = outputs.values().map(|row| row.counts.queued()).sum();
        match process.shared.counts() {
            Ok((_, rows)) if rows != queued => {
                let text = format!("{rows} events are queued, and by the accounts {queued}: {outputs:?}");
                self.broken.get_or_insert(text);
            }
            // A disk that cannot be read says nothing.
            _ => {}
        }
        for (name, row) in &outputs {
            let c = &row.counts;
            let gone = c.delivered + c.merged + c.superseded + c.refused + c.dropped.values().sum::<u64>();
            if gone > c.made || !OUTPUTS.contains(&name.as_str()) {
                self.broken.get_or_insert(format!("the account of {name} does not balance: {c:?}"));
            }
        }
    }

    /// Gives the heart something.
    pub(super) fn push(&mut self, input: Input) -> Option<Input> {
        let Some(process) = &self.gateway.process else { return None };
        let refused = process.intake.try_push(Some(input));
        self.wake();
        refused
    }

    /// The outboxes of the process.
    pub(super) fn outboxes(process: &Process) -> [StoreOutbox; 2] {
        OUTPUTS.map(|name| StoreOutbox::new(name, Arc::clone(&process.shared), Arc::clone(&process.mailbox)))
    }
}
