//! Deliberate bugs, each at the place where somebody could make it, to show that the simulation would find it.
//!
//! They are compiled in only with the feature `mutants`, which nothing but a test asks for.

/// A deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// What was taken is acknowledged before it is on disk.
    AcknowledgeBeforeCommit,
    /// What an old connection owes is paid on the new one.
    NoFence,
    /// A sensor's number is remembered, and not written down.
    MarkNotInJournal,
    /// An event is confirmed when it is read, not when it was answered.
    ConfirmBeforeAnswer,
    /// An event is sent before it is on disk that it may have been.
    SendBeforeAttempted,
    /// The journal is replayed under the new configuration.
    ReplayUnderNewPlan,
    /// One time stamp that is ahead of all others moves the watermark.
    OutlierMovesWatermark,
    /// After a failed commit nobody looks whether it was written after all.
    RetryWithoutLooking,
    /// A checkpoint cuts off one entry more than it holds.
    CheckpointCutsTooMuch,
    /// Where windows merge, one of them is left out.
    MergeLosesOne,
    /// A merged window does not say which of its parts a function may have.
    MergeReplacesNothing,
    /// Raw readings become an event, and that is not written down.
    RawNotInJournal,
    /// Windows of one series are under way side by side.
    SeriesInTwoLanes,
}

/// Whether this thread runs with that bug.
#[cfg(not(feature = "mutants"))]
#[inline]
pub const fn active(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use chosen::{active, choose};

#[cfg(feature = "mutants")]
mod chosen {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// From now on this thread runs with this bug, or with none.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.set(mutant);
    }

    /// Whether this thread runs with that bug.
    pub fn active(mutant: Mutant) -> bool {
        CHOSEN.get() == Some(mutant)
    }
}
