//! What the gateway says of itself in more than one place, and everywhere in the same words: in the status document and in
//! the heartbeat. Names are promised: add, never rename.

use crate::ingest::figures::{Account, ClockFigures};
use crate::store::OutputCounts;
use serde::Serialize;
use std::collections::BTreeMap;
use tidegate_pipeline::verdict::Reason;

/// This machine's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClockEntry {
    /// `synchronised`; `holding`: readings wait until it is; `unsynchronised`: they have waited long enough.
    pub state: &'static str,
    /// Who vouches for it; `null`: nobody does, now.
    pub vouched_by: Option<&'static str>,
    /// It is believed all the same: `clock.unsynchronised` is `trust`.
    pub believed: bool,
    /// Rises with every step that windows must not span.
    pub epoch: u32,
    /// From the machine's start to 1970: added to the time since that start it gives the time of day.
    pub offset_ms: i64,
    /// Readings that are held; they are part of `ledger.pending`.
    pub held_readings: u64,
    /// Bytes that they take.
    pub held_bytes: u64,
    /// Seconds for which they may still be, while they are.
    pub hold_left_s: Option<u64>,
}

impl From<ClockFigures> for ClockEntry {
    fn from(clock: ClockFigures) -> ClockEntry {
        ClockEntry {
            state: clock.mode.name(),
            vouched_by: clock.by,
            believed: clock.believed,
            epoch: clock.epoch,
            offset_ms: clock.offset.0 / 1_000,
            held_readings: clock.held_readings,
            held_bytes: clock.held_bytes,
            hold_left_s: clock.hold_left.map(|left| left.as_secs()),
        }
    }
}

/// The store's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BufferEntry {
    /// Its size.
    pub bytes: u64,
    /// `buffer.max_size`.
    pub max_bytes: u64,
}

/// `received = counted + duplicate + Σ rejected + dead_lettered + pending`, by construction: `received` is derived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerEntry {
    /// All of the following together.
    pub received: u64,
    /// Folded into every window that they belong to.
    pub counted: u64,
    /// Came again.
    pub duplicate: u64,
    /// Not folded, by reason; among them dead letters that were evicted or dropped.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Their bytes are among the dead letters.
    pub dead_lettered: u64,
    /// Messages in memory or held.
    pub pending: u64,
}

impl LedgerEntry {
    /// A dead letter that was evicted or dropped is rejected; one that was retried stands under its new verdict already.
    pub fn of(account: &Account, pending: u64) -> LedgerEntry {
        let (ledger, letters) = (&account.ledger, account.letters);
        let mut rejected: BTreeMap<&'static str, u64> =
            ledger.rejected.iter().map(|(reason, count)| (reason.name(), *count)).collect();
        for (reason, count) in [(Reason::Evicted, letters.evicted), (Reason::Dropped, letters.dropped)] {
            if count > 0 {
                *rejected.entry(reason.name()).or_default() += count;
            }
        }
        let gone = letters.evicted + letters.dropped + letters.retried;
        let dead_lettered = ledger.dead_lettered.values().sum::<u64>().saturating_sub(gone);
        let (counted, duplicate) = (ledger.counted, ledger.duplicate);
        let received = counted + duplicate + rejected.values().sum::<u64>() + dead_lettered + pending;
        LedgerEntry { received, counted, duplicate, rejected, dead_lettered, pending }
    }
}

/// `made = delivered + queued + merged + superseded + refused + Σ dropped`, by construction: `made` is derived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputAccount {
    /// All of the following together.
    pub made: u64,
    /// Confirmed.
    pub delivered: u64,
    /// Waiting.
    pub queued: u64,
    /// Went into coarser ones.
    pub merged: u64,
    /// Replaced by a later revision before they were confirmed.
    pub superseded: u64,
    /// Refused, and dead letters now.
    pub refused: u64,
    /// Given up, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl From<OutputCounts> for OutputAccount {
    fn from(counts: OutputCounts) -> OutputAccount {
        let queued = counts.queued();
        let OutputCounts { delivered, merged, superseded, refused, dropped, .. } = counts;
        let made = delivered + queued + merged + superseded + refused + dropped.values().sum::<u64>();
        OutputAccount { made, delivered, queued, merged, superseded, refused, dropped }
    }
}
