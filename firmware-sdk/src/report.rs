//! What the SDK counts of itself, for a display or a log. The gateway learns of queue and losses by the frames.

/// Counters since the start; they stop at their greatest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// Readings that wait.
    pub queued: u32,
    /// Readings that were acknowledged.
    pub delivered: u32,
    /// Readings that a full queue gave up: dropped, or merged into a neighbour.
    pub dropped: u32,
    /// Those of them that live on in a neighbour.
    pub merged: u32,
    /// Readings of earlier starts that storage brought back.
    pub restored: u32,
    /// Frames that were sent again because their acknowledgement did not come.
    pub resent: u32,
    /// Connections that were made.
    pub connections: u32,
    /// Connections that could not be made, or ended.
    pub failures: u32,
    /// Times that storage could not be read or written. What the queue holds in RAM is not touched by that.
    pub storage_failures: u32,
}

impl Report {
    pub(crate) const NONE: Report = Report {
        queued: 0,
        delivered: 0,
        dropped: 0,
        merged: 0,
        restored: 0,
        resent: 0,
        connections: 0,
        failures: 0,
        storage_failures: 0,
    };
}
