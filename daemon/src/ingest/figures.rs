//! What the writer tells the status page: figures as of the last transaction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tidegate_pipeline::ledger::Ledger;

/// Published by the writer, read by anyone.
#[derive(Debug, Default)]
pub struct Figures {
    ledger: Mutex<Ledger>,
    /// Messages that the writer holds and has not committed.
    pub held: AtomicU64,
    /// Transactions.
    pub commits: AtomicU64,
    /// Transactions that failed.
    pub failures: AtomicU64,
    /// Series known.
    pub series: AtomicU64,
    /// Windows open.
    pub windows: AtomicU64,
    /// Milliseconds since 1970 at which the writer's loop last turned.
    pub turned_ms: AtomicU64,
    /// More flash is written than the budget allows: 0 or 1.
    pub overspent: AtomicU64,
}

impl Figures {
    /// The ledger as of the last transaction.
    pub fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_ledger(&self, ledger: &Ledger) {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone_from(ledger);
    }

    /// Reads one of the counters.
    pub fn get(&self, counter: impl Fn(&Figures) -> &AtomicU64) -> u64 {
        counter(self).load(Ordering::Relaxed)
    }
}
