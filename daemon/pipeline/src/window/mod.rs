//! Windows: how time is cut, and what a window holds.
//!
//! To add a kind: a variant of [`Window`], of `Cutter` or `Aligned`, a file here, and its row in
//! the reference.

mod aligned;
mod calendar;
mod carry;
mod content;
mod session;
mod sorted;

pub use aligned::Bounds;
pub(crate) use aligned::{Aligned, divisor};
pub use carry::Carry;
pub(crate) use content::Template;
pub use content::{Content, Lane};
pub use session::{Past, Sessions};
pub use sorted::Sorted;

use crate::event::ClosedKey;
use crate::plan::{SummaryPlan, Window};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How one summary cuts its readings into windows, ready to use.
#[derive(Debug)]
pub(crate) enum Cutter {
    /// By time alone.
    Aligned(Aligned),
    /// By silences of a length.
    Session(session::Gap),
    /// By what was read, in the order of time.
    Sorted(sorted::Rule),
}

impl Cutter {
    pub(crate) fn of(summary: &SummaryPlan) -> Cutter {
        match &summary.window {
            Window::Tumbling { length } => Cutter::Aligned(Aligned::Tumbling { length: *length }),
            Window::Hopping { length, every } => Cutter::Aligned(Aligned::hopping(*length, *every)),
            Window::Calendar { unit, zone } => {
                Cutter::Aligned(Aligned::Calendar(calendar::Calendar::new(*unit, zone)))
            }
            Window::Session { gap } => Cutter::Session(session::Gap(*gap)),
            Window::Count { readings } => Cutter::Sorted(sorted::Rule::Count(*readings)),
            Window::State { condition } => Cutter::Sorted(sorted::Rule::State(Arc::clone(condition))),
        }
    }
}

/// The windows of `summary` that a reading of `time` belongs to; none where what else was read decides.
pub fn windows_around(summary: &SummaryPlan, time: Time) -> Vec<Bounds> {
    match Cutter::of(summary) {
        Cutter::Aligned(cut) => cut.windows(cut.pane(time)).collect(),
        Cutter::Session(_) | Cutter::Sorted(_) => Vec::new(),
    }
}

/// How complete a window is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Readings folded in.
    pub received: u32,
    /// Readings that cleaning or time checks refused.
    pub rejected: u32,
    /// Readings that came again while the window was open.
    pub duplicates: u32,
    /// Readings that came after the window had first closed.
    pub late: u32,
    /// Sequence numbers that were skipped just before a reading of this window.
    pub gaps: u32,
    /// Readings that waited at a broker and were stamped when they came.
    pub backlog: u32,
    /// Readings that a cleaning step doubts and that were folded in all the same.
    pub flagged: u32,
    /// Seconds for which its series were known to be offline, added up.
    pub offline: u32,
}

impl Completeness {
    /// Adds what `other` counts.
    pub fn merge(&mut self, other: &Completeness) {
        self.received = self.received.saturating_add(other.received);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.duplicates = self.duplicates.saturating_add(other.duplicates);
        self.late = self.late.saturating_add(other.late);
        self.gaps = self.gaps.saturating_add(other.gaps);
        self.backlog = self.backlog.saturating_add(other.backlog);
        self.flagged = self.flagged.saturating_add(other.flagged);
        self.offline = self.offline.saturating_add(other.offline);
    }
}

/// An open window of a group; of hopping windows, a pane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// Its start.
    pub start: Time,
    /// Its end.
    pub end: Time,
    /// When it closes, by the wall clock; never for a pane that is shared.
    pub due: Time,
    /// It may have been closed before: this is what came later, to be merged with what the store has under these names.
    pub late: Option<Box<[ClosedKey]>>,
    /// What it holds.
    pub content: Content,
}

/// A window that several panes make up, waiting for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Its start.
    pub start: Time,
    /// Its end.
    pub end: Time,
    /// When it closes, by the wall clock.
    pub due: Time,
}
