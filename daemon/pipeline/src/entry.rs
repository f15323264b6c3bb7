//! A journal entry: what one step decided, in the order in which it did.
//!
//! Readings stand in it as decoded, before cleaning, each with its verdict. Replaying the entries after a checkpoint
//! gives the state that the daemon had, without deciding anything again.

use crate::alert::Move;
use crate::clock::{ClockState, Held};
use crate::decode::sparkplug;
use crate::dedupe::{CounterKind, Mark, content::Print};
use crate::devices::Change;
use crate::ticks::Tick;
use crate::time::{Span, Time};
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// Everything that one step changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The time of the step.
    pub now: Time,
    /// Rare things, each before the part of that index.
    pub events: Vec<(u32, Event)>,
    /// What the streams made of messages.
    pub parts: Vec<Part>,
    /// The readings of the parts, one after the other.
    pub readings: Vec<Reading>,
    /// Windows that closed, in order.
    pub closings: Vec<Closing>,
    /// Windows that end at or before this are forgotten.
    pub forgotten: Option<Time>,
    /// Inputs that were held.
    pub held: Vec<Held>,
    /// How many of those that were held before were read: the parts are theirs.
    pub released: u32,
    /// What is known of the time from here on, after the closings.
    pub clock: Option<ClockState>,
}

/// Something that happens rarely enough to be written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A series was met for the first time; it gets the next number.
    Series {
        /// Index of its stream.
        stream: u16,
        /// What is measured.
        metric: String,
        /// Whose.
        tags: Vec<(String, String)>,
    },
    /// A sequence counter was met for the first time; it gets the next number.
    Counter {
        /// Its name.
        name: String,
        /// What it does with the numbers.
        kind: CounterKind,
    },
    /// A device that says its uptime was met; it gets the number `slot`, which may have been another's.
    Clock {
        /// Its number.
        slot: u32,
        /// Its name.
        name: String,
        /// How finely its clock counts.
        resolution: Span,
    },
    /// Such a device said its uptime.
    Tick {
        /// Its number.
        clock: u32,
        /// What it said, and when that arrived.
        tick: Tick,
    },
    /// A Sparkplug node or device was born or died.
    Sparkplug(sparkplug::Change),
    /// A session was met; it gets the number `slot`, which may have been another's.
    Session {
        /// Index of its source.
        source: u16,
        /// Its number.
        slot: u32,
        /// Source and client.
        name: String,
    },
    /// A session's connection opened.
    Opened {
        /// Its number.
        session: u32,
        /// How many of its last deliveries can be in doubt.
        doubt_max: u32,
    },
    /// An alert's watch made a move. What a reading moves stands behind the part of that reading.
    Alert {
        /// Its number.
        watch: u32,
        /// What it did.
        change: Move,
    },
    /// The readings around a raise of a watch were sent.
    Captured {
        /// Its number.
        watch: u32,
    },
    /// Sensors went offline or came back.
    Presence {
        /// The number of what is known of them.
        presence: u32,
        /// Whether they are there.
        online: bool,
        /// By the gateway's clock.
        at: Time,
    },
    /// A source begins or ends to deliver what waited for us.
    Backlog {
        /// Its index.
        source: u16,
        /// Whether it begins.
        on: bool,
    },
    /// A series was idle for long enough: its number is free.
    ForgetSeries {
        /// Its number.
        series: u32,
    },
    /// A counter was idle for long enough: its number is free.
    ForgetCounter {
        /// Its number.
        counter: u32,
    },
    /// Readings without a series were accounted for.
    Account {
        /// Under what.
        verdict: Verdict,
        /// How many.
        count: u64,
    },
    /// Raw readings became an event.
    Raw {
        /// Index of their `[raw.NAME]`.
        raw: u16,
        /// How many, from the first that waited on.
        readings: u32,
    },
    /// Something happened to a device that sends frames.
    Device {
        /// The number of its clock.
        clock: u32,
        /// What.
        change: Change,
    },
    /// A sender has read the acknowledgements of all deliveries of a session but the last.
    Settled {
        /// Its number.
        session: u32,
        /// How many it may not have read.
        but: u32,
    },
    /// There was no room to remember more than so many deliveries only to know them again.
    Remember {
        /// How many.
        keep: u64,
    },
}

/// What one stream made of one message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Who sent it.
    pub session: u32,
    /// When it arrived.
    pub arrival: Time,
    /// How many readings it gave.
    pub readings: u32,
    /// The message's fingerprint, and whether it was taken for one in doubt. In one part of a message at most.
    pub print: Option<(Print, bool)>,
    /// Its sequence number.
    pub mark: Option<Mark>,
}

/// A reading as decoded, and what was decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Number of the series.
    pub series: u32,
    /// Its time; the time of arrival where it has none of its own.
    pub time: Time,
    /// The value before cleaning; NaN where there is none.
    pub value: f64,
    /// What was decided.
    pub verdict: Verdict,
}

/// A window that closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Number of the group, permanent.
    pub group: u32,
    /// The window's start; where readings wait for their turn, up to which time they are let through.
    pub start: Time,
    /// It was closed before.
    pub late: bool,
}

impl Entry {
    /// Whether nothing happened that must be kept.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.parts.is_empty()
            && self.closings.is_empty()
            && self.held.is_empty()
            && self.released == 0
            && self.clock.is_none()
            && self.forgotten.is_none()
    }
}
