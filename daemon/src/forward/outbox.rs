//! What the forwarder needs of the store. The store implements it; tests use one in memory.

use super::budget::Spent;
use std::collections::BTreeSet;
use std::future::Future;
use std::time::Instant;

/// Where an event stands in the queue of one output. Lower priorities go first, then lower sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// 0: alerts, 1: summaries.
    pub priority: u8,
    /// Rises by one with each event that is queued for the output.
    pub sequence: u64,
}

impl Position {
    /// The priority of alerts, which never wait for a batch to fill.
    pub const ALERT: u8 = 0;
}

/// An event that waits for an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its place.
    pub position: Position,
    /// CloudEvents `id`.
    pub id: String,
    /// The whole CloudEvent, structured mode, as UTF-8 JSON without line breaks. The same bytes every time it is read
    /// under this id.
    pub event: Vec<u8>,
}

/// Bytes of these events.
pub(super) fn size(events: &[Queued]) -> usize {
    events.iter().map(|queued| queued.event.len()).sum()
}

/// What became of a queued event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Delivered,
    /// The destination refused it, and has accepted another since: it goes to the dead letters, with its words.
    Refused(String),
}

/// One event, and what became of it: its place, its id, and the outcome.
pub type Settled = (Position, String, Outcome);

/// What is asked of an outbox.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Of which part of the queue.
    pub of: Of,
    /// Not these: at most [`crate::limits::SUSPECTS_MAX`] positions, most of them near the head of the queue.
    pub except: &'a BTreeSet<Position>,
    /// At most so many events; at least 1.
    pub events: usize,
    /// At most so many bytes in all, but for the first.
    pub bytes: usize,
    /// From the newest summary on, but first alerts and then these; `None`: in order.
    pub newest_after: Option<&'a BTreeSet<Position>>,
}

/// A part of the queue of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// All of it.
    Everything,
    /// Nothing but what has the priority of alerts.
    Alerts,
    /// What one of several lanes owns.
    Lane(Lane),
}

/// A share of the series: windows of one series are in one lane, whatever else is in it. What is no window is in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Which, from 0.
    pub number: usize,
    /// Of so many: the same for as long as anything of it is under way.
    pub of: usize,
}

/// The queue of one output, kept on disk.
pub trait Outbox: Send + Sync + 'static {
    /// What the store can say when it cannot read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next events in order, of those whose delivery has been allowed, that are not settled and that `ask` wants.
    /// Positions that were settled but may not be committed yet are never given again. A cheap read: it runs on the
    /// forwarder's own thread.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn next(&self, ask: &Ask<'_>) -> Result<Vec<Queued>, Self::Error>;

    /// What was spent on the day that was spent on last, as far as it was written.
    fn spent(&self) -> Spent;

    /// So much was spent. Never waits; written with the next transaction.
    fn spend(&self, spent: Spent);

    /// How many events wait.
    fn backlog(&self) -> u64;

    /// More waits than can be carried: some of it shall be merged, where that is wanted.
    fn thin(&self);

    /// Settles events at `now`; never waits. The confirmation is folded into the next transaction, or committed alone after
    /// 5 s; until it is on disk a crash brings the event back under the same id.
    fn settle(&self, outcomes: Vec<Settled>, now: Instant);

    /// Waits until [`Outbox::next`] may give something new. A change after the last `next` and before this call counts,
    /// so that none is missed in between (`tokio::sync::Notify::notify_one` behaves so). Cancel safe; may wake
    /// without need.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}
