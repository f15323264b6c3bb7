//! Clocks that may be wrong: what is known of the time, and what waits until it is known better (promise 7).
//!
//! Terms. *Uptime*: time since the machine started; it runs evenly and never jumps. *Offset*: what must be added to it to
//! get the time of day; it is believed once somebody vouches for it. *Epoch*: a stretch in which the offset is one and the
//! same, as far as windows care. While the offset is not believed, inputs are held, as they came, with their uptime; so
//! that their time of arrival is known as soon as the offset is.

use crate::pipeline::{Due, Pipeline};
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What the shell knows of the time as a step begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockNow {
    /// Since the machine started, time asleep included.
    pub up: Span,
    /// What the system's clock says, less `up`.
    pub offset: Span,
    /// Somebody vouches for the system's clock.
    pub trusted: bool,
    /// Names this run of the machine: uptimes of two boots can't be compared.
    pub boot: u64,
}

impl ClockNow {
    /// The time of day.
    pub fn now(&self) -> Time {
        self.at(self.up)
    }

    /// The time of day at an uptime.
    pub fn at(&self, up: Span) -> Time {
        Time(up.0.saturating_add(self.offset.0))
    }
}

/// What to do with readings, as the clock is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// The time is known.
    #[default]
    Synchronised,
    /// It is not, and what comes is held.
    Holding {
        /// The uptime since when.
        since: Span,
    },
    /// It is not, and holding took too long: windows go on apart from all others.
    Unsynchronised,
}

impl Mode {
    /// The name in status and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Synchronised => "synchronised",
            Mode::Holding { .. } => "holding",
            Mode::Unsynchronised => "unsynchronised",
        }
    }
}

/// What the pipeline goes by. Changes only through the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// The boot that `offset` is of; `None` where nobody has told yet.
    pub boot: Option<u64>,
    /// The offset, as of the last change that was worth an entry.
    pub offset: Span,
    /// Rises with every change that windows must not span.
    pub epoch: u32,
    /// The uptime since when the offset is this one, but for steps that windows do not notice.
    pub since: Span,
    /// What is done with readings.
    pub mode: Mode,
}

impl ClockState {
    /// The epoch that stands in the keys of windows; none while the time is known.
    pub fn group_epoch(&self) -> Option<u32> {
        (self.mode == Mode::Unsynchronised).then_some(self.epoch)
    }
}

/// Inputs that wait for a clock that can be trusted, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    inputs: VecDeque<Held>,
    bytes: u64,
    readings: u64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The uptime of its arrival.
    pub up: Span,
    /// Index of the source in the plan.
    pub source: u16,
    /// Who sent it.
    pub session: String,
    /// What it is.
    pub input: HeldInput,
}

/// What is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldInput {
    /// A connection opened: so many of its last deliveries may come again.
    Opened {
        /// How many.
        doubt_max: u16,
    },
    /// The source began or ended to deliver what waited for us.
    Backlog {
        /// Which of the two.
        on: bool,
    },
    /// A message, as it came.
    Message {
        /// The topic's bytes.
        topic: Vec<u8>,
        /// The payload's bytes.
        payload: Vec<u8>,
        /// Replayed by a broker at subscription.
        retained: bool,
        /// QoS 1.
        acknowledged: bool,
        /// How many readings it is taken for until it is read: pending, in the ledger's words.
        readings: u32,
    },
    /// The sender has read the acknowledgements of all that the session delivered but the last.
    Settled {
        /// How many it may not have read.
        but: u32,
    },
    /// A message at QoS 1 of a sender that marks what it sends again, and this is not.
    Fresh {
        /// The topic's bytes.
        topic: Vec<u8>,
        /// The payload's bytes.
        payload: Vec<u8>,
        /// As above.
        readings: u32,
    },
}

/// What a held input costs beside topic and payload, roughly.
const HELD_OVERHEAD_BYTES: u64 = 96;

impl Held {
    fn bytes(&self) -> u64 {
        let content = match &self.input {
            HeldInput::Opened { .. } | HeldInput::Backlog { .. } | HeldInput::Settled { .. } => 0,
            HeldInput::Message { topic, payload, .. } | HeldInput::Fresh { topic, payload, .. } => {
                topic.len() + payload.len()
            }
        };
        (content + self.session.len()) as u64 + HELD_OVERHEAD_BYTES
    }

    fn readings(&self) -> u64 {
        match self.input {
            HeldInput::Opened { .. } | HeldInput::Backlog { .. } | HeldInput::Settled { .. } => 0,
            HeldInput::Message { readings, .. } | HeldInput::Fresh { readings, .. } => readings.into(),
        }
    }
}

impl Hold {
    /// How many inputs wait.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Bytes that they take, roughly.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The readings in them, each under `pending` in the ledger.
    pub fn readings(&self) -> u64 {
        self.readings
    }

    /// The first `count` of them, or all.
    pub(crate) fn first(&self, count: usize) -> impl Iterator<Item = &Held> {
        self.inputs.iter().take(count)
    }

    pub(crate) fn push(&mut self, held: Held) {
        self.bytes += held.bytes();
        self.readings += held.readings();
        self.inputs.push_back(held);
    }

    pub(crate) fn pop(&mut self) -> Option<Held> {
        let held = self.inputs.pop_front()?;
        self.bytes -= held.bytes();
        self.readings -= held.readings();
        Some(held)
    }

    /// The same inputs with the sources renumbered; those of sources that are gone go to `gone`.
    pub(crate) fn renumbered(&self, source: impl Fn(u16) -> Option<u16>, gone: &mut u64) -> Hold {
        let mut hold = Hold::default();
        for held in &self.inputs {
            match source(held.source) {
                Some(source) => hold.push(Held { source, ..held.clone() }),
                None => *gone += held.readings(),
            }
        }
        hold
    }
}

impl Pipeline {
    /// Does what an entry says of the clock, live and in a replay: last of all, after its windows have closed.
    pub(crate) fn note_clock(&mut self, clock: &ClockState) {
        let before = std::mem::replace(&mut self.state.clock, *clock);
        if before.boot == clock.boot {
            let step = Span(clock.offset.0.saturating_sub(before.offset.0));
            self.state.clocks.iter_mut().for_each(|known| known.clock.shift(step));
            self.set_back(step);
        }
        if before.epoch != clock.epoch {
            // What was heard under another clock says nothing about what is still to come.
            for series in &mut self.state.series {
                series.latest = (Time::MIN, Time::MIN);
            }
            // Nor does what windows ended with say what others, of a time that comes again, began with.
            for numbered in &mut self.state.groups {
                numbered.group.carry = Default::default();
            }
        }
        if before.group_epoch() != clock.group_epoch() {
            self.regroup();
        }
    }

    /// Windows that opened when their time was over close `lateness` after that moment, by the clock of then: when that is set
    /// back they go along, or they would wait until it gets there again.
    fn set_back(&mut self, step: Span) {
        if step >= Span::ZERO {
            return;
        }
        for (at, numbered) in (0..).zip(&mut self.state.groups) {
            let group = &mut numbered.group;
            let lateness =
                self.plan.summaries.get(usize::from(group.summary)).map(|summary| summary.lateness);
            for open in &mut group.open {
                let regular = open.end.plus(lateness.unwrap_or_default());
                let due = Due { due: open.due, group: at, start: open.start, late: open.late.is_some() };
                if open.due > regular && self.due.remove(&due) {
                    open.due = open.due.plus(step).max(regular);
                    self.due.insert(Due { due: open.due, ..due });
                }
            }
        }
    }

    /// Takes the first of what is held, so many, away.
    pub(crate) fn note_released(&mut self, count: u32) {
        for _ in 0..count {
            self.state.held.pop();
        }
    }

    /// Up to which time windows close in a step that ends at `now`. Nothing closes while the time is not known; and while
    /// what was held is read, time goes on with it.
    pub(crate) fn closing_time(&self, now: Time) -> Option<Time> {
        match self.state.clock.mode {
            Mode::Holding { .. } => None,
            Mode::Synchronised | Mode::Unsynchronised => {
                let next = self.state.held.first(1).next();
                Some(next.map_or(now, |held| self.arrival_of(held.up).min(now)))
            }
        }
    }

    /// Whether nothing is held, nor would be.
    pub(crate) fn is_up_to_date(&self) -> bool {
        !matches!(self.state.clock.mode, Mode::Holding { .. }) && self.state.held.is_empty()
    }

    /// When what is held arrived, as far as is known.
    pub(crate) fn arrival_of(&self, up: Span) -> Time {
        Time(up.0.saturating_add(self.state.clock.offset.0))
    }
}
