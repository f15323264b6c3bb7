//! The ledger: every committed reading under exactly one term (promise 4).

use crate::verdict::{Reason, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Readings by what became of them, since the store was made.
///
/// What the operator or the cap does to dead letters afterwards is accounted by the store, beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Folded into every window that they belong to.
    pub counted: u64,
    /// Came again.
    pub duplicate: u64,
    /// Not folded, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Kept as dead letters at the time, by reason.
    pub dead_lettered: BTreeMap<Reason, u64>,
}

impl Ledger {
    /// Accounts for `count` readings.
    pub fn add(&mut self, verdict: Verdict, count: u64) {
        match verdict {
            Verdict::Counted => self.counted += count,
            Verdict::Duplicate => self.duplicate += count,
            Verdict::Rejected(reason) => *self.rejected.entry(reason).or_default() += count,
            Verdict::DeadLettered(reason) => *self.dead_lettered.entry(reason).or_default() += count,
        }
    }

    /// All readings that were ever decided on.
    pub fn total(&self) -> u64 {
        self.counted
            + self.duplicate
            + self.rejected.values().sum::<u64>()
            + self.dead_lettered.values().sum::<u64>()
    }

    /// The count under one reason, rejected and dead-lettered together.
    pub fn under(&self, reason: Reason) -> u64 {
        let of = |map: &BTreeMap<Reason, u64>| map.get(&reason).copied().unwrap_or(0);
        of(&self.rejected) + of(&self.dead_lettered)
    }
}
