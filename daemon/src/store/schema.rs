//! The tables of the main file. docs/store.md describes them down to the byte.

use redb::TableDefinition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidegate_pipeline::Kept;
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::message::DeadLetter;
use tidegate_pipeline::time::Time;

/// Version of the whole file. One that is newer is refused and left untouched, and so are 1 and 2, which no release has
/// written.
pub(super) const FORMAT: u32 = 3;

/// Small things by name: see the constants below.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// One entry per transaction: (number, chunk).
pub(super) const JOURNAL: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("journal");
/// Snapshots in the making and in force: (generation, chunk).
pub(super) const CHECKPOINT: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("checkpoint");
/// Closed windows: (end in µs, group). Values: [`ClosedRow`].
pub(super) const CLOSED: TableDefinition<'_, (i64, u32), &[u8]> = TableDefinition::new("closed");
/// What became of closed windows that are rows of [`CLOSED`] no more, while late readings may ask for them: the coarser window
/// that they went into, which these amend, or [`SILENT`]. In a table of its own: a row that shrinks leaves its page as it was.
pub(super) const MOVED: TableDefinition<'_, (i64, u32), (i64, u32)> = TableDefinition::new("moved");
/// In [`MOVED`]: it was given up, or others cover it, and nothing more is told of it. No window ends then.
pub(super) const SILENT: (i64, u32) = (i64::MIN, 0);
/// What the windows of a group have in common, by number of the group, while there are any. Values:
/// [`tidegate_pipeline::definition::Definition`].
pub(super) const DEFINITIONS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("definitions");
/// Events that are no windows, by number, until every output has settled them. Values: [`EventRow`].
pub(super) const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// What waits for outputs: (output, priority, sequence). Values: [`Reference`] as (end, group), (i64::MAX, letter) or
/// (i64::MIN, event); the second number with [`ALLOWED`].
pub(super) const OUTBOX: TableDefinition<'_, (u16, u8, u64), (i64, u64)> = TableDefinition::new("outbox");
/// Outputs by name. Values: [`OutputRow`].
pub(super) const OUTPUTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("outputs");
/// What could not be used, by number. Values: [`Letter`].
pub(super) const LETTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead_letters");

/// In [`META`]: [`FORMAT`], 4 bytes little endian, without framing: readable before anything else is.
pub(super) const META_FORMAT: &str = "format";
/// In [`META`]: the random name of this store, UTF-8.
pub(super) const META_NAME: &str = "name";
/// In [`META`]: [`CheckpointRow`].
pub(super) const META_CHECKPOINT: &str = "checkpoint";
/// In [`META`]: bytes of the rows in [`CLOSED`] and [`EVENTS`], u64.
pub(super) const META_CLOSED_BYTES: &str = "closed_bytes";
/// In [`META`]: [`LetterCounts`].
pub(super) const META_LETTERS: &str = "letters";
/// In [`META`]: the filters that each session at a broker may hold, by its name, [`BTreeMap`].
pub(super) const META_SUBSCRIPTIONS: &str = "subscriptions";
/// What outputs have sent of their budgets: [`Expenses`].
pub(super) const META_SPENT: &str = "spent";

/// In [`META`]: [`HeartbeatRow`]. Absent until the first heartbeat.
pub(super) const META_HEARTBEAT: &str = "heartbeat";

/// The last heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeartbeatRow {
    /// The revision that the next one gets.
    pub(super) next: u64,
    /// Its number in [`EVENTS`], which another event may have by now.
    pub(super) event: u64,
}

/// Which snapshot is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CheckpointRow {
    pub(super) generation: u64,
    /// Entries up to this number are in it.
    pub(super) journal: u64,
    pub(super) chunks: u32,
    /// Bytes on disk, for when the next is due.
    pub(super) bytes: u64,
}

/// A closed window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosedRow {
    /// To amend it.
    pub kept: Kept,
    /// CloudEvents id.
    pub id: String,
    /// The whole event.
    #[serde(with = "serde_bytes")]
    pub event: Vec<u8>,
    /// Where it was queued when this revision was made: (output, priority, sequence).
    pub queued: Vec<(u16, u8, u64)>,
}

/// An event that is no window: an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventRow {
    /// CloudEvents id.
    pub(super) id: String,
    /// The whole event.
    #[serde(with = "serde_bytes")]
    pub(super) event: Vec<u8>,
    /// Where it was queued: (output, priority, sequence).
    pub(super) queued: Vec<(u16, u8, u64)>,
}

/// In the second number of an outbox row: it may already have been sent, though it stands behind the `attempted` cursor.
pub(super) const ALLOWED: u64 = 1 << 63;

/// What an outbox row refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Closed(ClosedKey),
    Letter(u64),
    Event(u64),
}

impl Reference {
    pub(super) fn row(self) -> (i64, u64) {
        match self {
            Reference::Closed(key) => (key.end.0, key.group.into()),
            Reference::Letter(number) => (i64::MAX, number),
            // No window ends then.
            Reference::Event(number) => (i64::MIN, number),
        }
    }

    pub(super) fn of((end, number): (i64, u64)) -> Reference {
        let number = number & !ALLOWED;
        match (end, u32::try_from(number)) {
            (i64::MIN, _) => Reference::Event(number),
            (i64::MAX, _) | (_, Err(_)) => Reference::Letter(number),
            (end, Ok(group)) => Reference::Closed(ClosedKey { end: Time(end), group }),
        }
    }
}

/// By output: the day on which it was spent on last, and the bytes of that day.
pub type Expenses = BTreeMap<String, (i32, u64)>;

/// An output and its account (promise 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRow {
    /// Its number in outbox keys.
    pub number: u16,
    /// By priority: the sequence that the next event gets.
    pub next: [u64; 2],
    /// By priority: events below this may already have been sent, and those whose rows say so.
    pub attempted: [u64; 2],
    /// The account.
    pub counts: OutputCounts,
}

/// `made = delivered + queued + merged + superseded + refused + dropped`; `queued` is what the others leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputCounts {
    /// Events that were made for it.
    pub made: u64,
    /// Events that it has confirmed.
    pub delivered: u64,
    /// Events that went into coarser ones.
    pub merged: u64,
    /// Events that a later revision replaced before they were confirmed.
    pub superseded: u64,
    /// Events that it refused and that are dead letters now.
    pub refused: u64,
    /// Events that were given up, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl OutputCounts {
    /// Events that wait.
    pub fn queued(&self) -> u64 {
        let gone = self.delivered + self.merged + self.superseded + self.refused;
        self.made.saturating_sub(gone + self.dropped.values().sum::<u64>())
    }
}

/// A dead letter: a message that no stream could use, or an event that a function refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Letter {
    /// From the pipeline.
    Message(DeadLetter),
    /// From an output.
    Event {
        /// Name of the output.
        output: String,
        /// CloudEvents id.
        id: String,
        /// The whole event.
        #[serde(with = "serde_bytes")]
        event: Vec<u8>,
        /// What the function said.
        why: String,
        /// When.
        at: Time,
        /// It waits in the outbox again.
        queued: bool,
    },
}

/// What became of dead letters after they were written, in readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterCounts {
    /// Number of the next.
    pub next: u64,
    /// Readings whose letters made room for newer ones.
    pub evicted: u64,
    /// Readings whose letters an operator dropped.
    pub dropped: u64,
    /// Readings whose letters were given to the pipeline again.
    pub retried: u64,
    /// Bytes of the rows that are kept.
    pub bytes: u64,
}
