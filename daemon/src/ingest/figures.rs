//! What the writer tells the status page: figures as of the last transaction.

pub use super::clock::ClockFigures;
use super::intake::Intake;
use crate::limits::WEDGED_AFTER;
use crate::pulse::Pulse;
use crate::store::LetterCounts;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_pipeline::alert::Active;
use tidegate_pipeline::devices::{Device, Totals};
use tidegate_pipeline::ledger::Ledger;
use tidegate_pipeline::rejections::SeriesRejections;
use tidegate_pipeline::ticks::Sender;

/// What became of all readings: what the pipeline decided, and what became of dead letters afterwards. The two change
/// together when a dead letter is retried, so they are published together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// By verdict.
    pub ledger: Ledger,
    /// Dead letters that are none any more.
    pub letters: LetterCounts,
    /// Readings that are on disk and wait for a clock that can be trusted: pending.
    pub held: u64,
}

/// What is raised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    /// How many.
    pub active: u64,
    /// The first of them, at most [`crate::limits::ALERTS_SHOWN_MAX`].
    pub shown: Vec<Active>,
}

/// Devices that send frames of firmware.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceFigures {
    /// How many.
    pub known: u32,
    /// How many made room for others.
    pub evicted: u64,
    /// What all of them lost.
    pub totals: Totals,
    /// Those that lost the most, at most [`crate::limits::DEVICES_SHOWN_MAX`], in the order in which they were met.
    pub shown: Vec<Device>,
}

/// What status lists by name, all as of one moment. Its lines are text, so they are made once a second at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    /// How many devices say their uptime.
    pub clocks_known: usize,
    /// How the clocks of the first of them stand to ours, at most [`crate::limits::CLOCKS_SHOWN_MAX`].
    pub clocks: Vec<Sender>,
    /// Devices that send frames.
    pub devices: DeviceFigures,
    /// The series with the most rejections, the most first.
    pub rejections: Vec<SeriesRejections>,
}

/// Published by the writer, read by anyone.
#[derive(Debug, Default)]
pub struct Figures {
    account: Mutex<Account>,
    lists: Mutex<Arc<Lists>>,
    alerts: Mutex<Alerts>,
    clock: Mutex<ClockFigures>,
    /// Transactions.
    pub commits: AtomicU64,
    /// Transactions that failed.
    pub failures: AtomicU64,
    /// Series known.
    pub series: AtomicU64,
    /// Windows open.
    pub windows: AtomicU64,
    /// More flash is written than the budget allows: 0 or 1.
    pub overspent: AtomicU64,
    pulse: Pulse,
}

impl Figures {
    /// The account as of the last transaction, and what is pending beyond it: each message in exactly one of them.
    pub fn account(&self, intake: &Intake) -> (Account, u64) {
        let account = self.lock();
        (account.clone(), account.held + intake.pending())
    }

    /// A transaction is on disk: `messages` that were pending are in the account now.
    pub(super) fn publish(&self, account: Account, intake: &Intake, messages: u64) {
        let mut published = self.lock();
        *published = account;
        intake.release(messages);
    }

    /// What is listed by name; at most a second older than the last transaction. Shared: the writer never waits for a
    /// reader that copies lines.
    pub fn lists(&self) -> Arc<Lists> {
        Arc::clone(&self.lists.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn publish_lists(&self, lists: Lists) {
        let lists = Arc::new(lists);
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = lists;
    }

    /// What is raised, as of the last transaction.
    pub fn alerts(&self) -> Alerts {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn publish_alerts(&self, active: u64, shown: Vec<Active>) {
        *self.alerts.lock().unwrap_or_else(PoisonError::into_inner) = Alerts { active, shown };
    }

    /// The clock as the last transaction left it.
    pub fn clock(&self) -> ClockFigures {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_clock(&self, clock: ClockFigures) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
    }

    /// Figures of a writer that is looked after.
    pub fn watched(pulse: Pulse) -> Figures {
        Figures { pulse, ..Figures::default() }
    }

    /// The writer is alive.
    pub fn beat(&self) {
        self.pulse.does("takes and writes", WEDGED_AFTER);
    }

    /// The disk refuses: the writer waits for somebody to mend it.
    pub(super) fn waits_for_disk(&self) {
        self.pulse.waits("waits for the disk");
    }

    /// The writer has ended, as it was told to.
    pub(super) fn ended(&self) {
        self.pulse.ends();
    }

    /// Reads one of the counters.
    pub fn get(&self, counter: impl Fn(&Figures) -> &AtomicU64) -> u64 {
        counter(self).load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
