//! The heart: takes what came, lets the pipeline decide, writes one transaction, and then, only then, acknowledges.
//!
//! A state machine: [`Heart::turn`] does what is due and never waits, [`Heart::rest`] says when to turn again. Time is an
//! argument, so that a simulation drives the same heart as the thread in [`Heart::run`].
//!
//! Whatever was taken stays in memory until it is on disk: after a failed commit the store is opened again, the pipeline
//! restored from it, and the same input applied again, unless the journal shows that it was written after all.

mod commit;
mod due;
mod memory;
mod parts;
mod publish;
mod room;
mod trouble;

use super::batch::Batch;
use super::change::NewPlan;
use super::heartbeat::Beats;
use super::intake::Input;
use super::links::Links;
use super::listening::Listening;
use super::pace::{MANY, Pace};
use super::sources::Sources;
use crate::clock::Sight;
use crate::limits::{BACKLOG_HOLD_MAX, COMMIT_MESSAGES_MAX, INTAKE_BYTES_MAX};
use memory::Memory;
pub use parts::Parts;
use publish::Listed;
use room::Room;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate_pipeline::event::Closed;
use tidegate_pipeline::message::Trace;
use tidegate_pipeline::mutant::{self, Mutant};
use tidegate_pipeline::time::Time;
use trouble::Trouble;

/// The heart turns at least so often, to show that it is alive, and to see that the clock was set.
const TURN_MAX: Duration = Duration::from_secs(1);

/// What comes within this time is taken together: waking for each message would cost more than the message.
const GATHER: Duration = Duration::from_millis(2);

/// The running heart.
#[derive(Debug)]
pub struct Heart {
    pub(super) parts: Parts,
    pace: Pace,
    links: Links,
    backlog: Vec<Backlog>,
    listening: Listening,
    batch: Batch,
    pub(super) beats: Beats,
    /// The time, when it was last asked for.
    pub(super) sight: Sight,
    /// There may be none: then nothing is taken.
    room: Room,
    memory: Memory,
    /// Windows that end at or before this are not kept to be amended any more: there is no room.
    press: Option<Time>,
    /// The disk refuses: nothing is taken either.
    trouble: Option<Trouble>,
    /// A plan that is not in force yet.
    plan: Option<NewPlan>,
    listed: Listed,
    /// The plan's sources: what `backlog` and `listening` are ordered by.
    names: Vec<String>,
    /// Where those stand that inputs come from.
    sources: Sources,
    /// What had been taken was written in this turn.
    committed: bool,
    /// Room was made in this turn, which says nothing of what was taken.
    shed: bool,
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
    /// A heartbeat was queued.
    beaten: bool,
    /// It was about the clock alone: the batch still waits.
    turned: bool,
    /// Less is remembered: that shows in the next checkpoint.
    forgot: bool,
}

/// Whether a source still delivers what waited for us.
#[derive(Clone, Copy, Debug)]
struct Backlog {
    until: Option<Instant>,
}

impl Heart {
    /// A heart that has not beaten yet.
    pub fn new(mut parts: Parts, now: Instant) -> Heart {
        let pace = Pace::new(parts.buffer.commit_interval, parts.buffer.flash_bytes_per_day, now);
        let names = parts.pipeline.plan().sources.clone();
        let sources = Sources::new(&names);
        // At the start everybody has a backlog until he says otherwise.
        let backlog = vec![Backlog { until: Some(now + BACKLOG_HOLD_MAX) }; names.len()];
        let listening = Listening::new(backlog.len());
        let sight = parts.clock.look();
        parts.store.fit(parts.buffer.bytes_max);
        let beats = Beats::new(parts.heartbeat.take(), now);
        let mut heart = Heart {
            parts,
            pace,
            links: Links::default(),
            backlog,
            listening,
            batch: Batch::default(),
            beats,
            sight,
            room: Room::default(),
            memory: Memory::default(),
            press: None,
            trouble: None,
            plan: None,
            listed: Listed::never(now),
            names,
            sources,
            committed: false,
            shed: false,
        };
        heart.publish(0);
        heart.list(now);
        heart.publish_alerts();
        heart
    }

    /// Beats until the intake is closed and empty; then everything is on disk, unless the disk refuses.
    pub fn run(mut self) {
        loop {
            let now = Instant::now();
            match self.trouble {
                Some(_) => self.parts.figures.waits_for_disk(),
                None => self.parts.figures.beat(),
            }
            let due = self.rest(now);
            let deadlines = [due, self.lists_due()].into_iter().flatten();
            let deadline = deadlines.fold(now + TURN_MAX, Instant::min);
            if self.takes() {
                self.parts.intake.gather(deadline, GATHER);
            } else {
                self.parts.intake.wait(deadline);
            }
            if self.turn(Instant::now()).is_break() {
                self.parts.figures.ended();
                return;
            }
        }
    }

    /// Takes what waits in the intake and does what is due at `now`. A turn too many does no harm. Breaks when the intake
    /// is closed and everything is on disk, or the disk refuses and nobody would wait.
    pub fn turn(&mut self, now: Instant) -> ControlFlow<()> {
        let closing = self.parts.intake.is_closed();
        if self.trouble.as_ref().is_some_and(|trouble| now < trouble.until) && !closing {
            return ControlFlow::Continue(());
        }
        self.sight = self.parts.clock.look();
        if self.trouble.is_none() {
            self.look_at_memory(now);
            self.make_room(now);
        }
        if self.trouble.is_none() {
            let inputs = if self.is_full() { Vec::new() } else { self.parts.intake.take() };
            self.listening.turn(now, self.sight.now.now(), self.is_full());
            for input in inputs {
                self.receive(input, now);
            }
            if mutant::active(Mutant::AcknowledgeBeforeCommit) {
                self.links.committed();
            }
        }
        self.plan = self.plan.take().or_else(|| self.parts.plans.try_recv().ok());
        if closing || self.plan.is_some() || self.trouble.is_some() || self.is_due(now) {
            self.write(now);
        }
        // What there is no room for stays with its senders: it is not acknowledged.
        let over = self.is_full() || self.trouble.is_some() || self.parts.intake.messages() == 0;
        if closing && over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The turn is over at `now`, which is later than it began where the disk is slow. Says when the next one is due if
    /// nothing comes and the clock is not set; `None` if there is nothing to do then.
    pub fn rest(&mut self, now: Instant) -> Option<Instant> {
        let (committed, shed) = (std::mem::take(&mut self.committed), std::mem::take(&mut self.shed));
        if committed || shed {
            let written = self.parts.store.shared().wear().bytes();
            self.room.wrote(written);
            if committed {
                self.links.rest(now);
                self.pace.committed(now, written);
                let overspent = u64::from(self.pace.is_overspent());
                self.parts.figures.overspent.store(overspent, Ordering::Relaxed);
            }
        }
        if self.trouble.is_none() {
            self.parts.store.tend_reserve(now);
        }
        if self.lists_due().is_some_and(|due| due <= now) {
            self.list(now);
        }
        self.sight = self.parts.clock.look();
        self.deadline(now)
    }

    /// Whether what comes to the intake is worth a turn; else it stays there.
    pub fn takes(&self) -> bool {
        !self.is_full() && self.trouble.is_none()
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
                if let Some(source) = self.sources.place(link.source) {
                    self.listening.opened(source, link);
                }
                self.pace.arrived(now);
            }
            Input::Closed(link) => {
                self.links.closed(link);
                if let Some(source) = self.sources.place(link.source) {
                    self.listening.closed(source, link);
                }
                return;
            }
            Input::Backlog { source } => {
                if let Some(source) = self.sources.place(*source) {
                    self.backlog_of(source, Some(now + BACKLOG_HOLD_MAX));
                    self.listening.backlog(source, now + BACKLOG_HOLD_MAX);
                }
            }
            Input::Drained { source } => {
                if let Some(source) = self.sources.place(*source) {
                    self.backlog_of(source, None);
                    self.listening.drained(source, self.sight.now.now());
                }
            }
            Input::Repeated { .. } | Input::Refused { .. } => self.pace.arrived(now),
            // No reason to write: without it a little more is in doubt.
            Input::Settled { .. } => {}
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
