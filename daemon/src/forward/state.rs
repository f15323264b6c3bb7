//! What one output does at the moment, for `status` and `/metrics`.

use super::budget::BudgetReport;
use crate::pulse::Pulse;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use tidegate_pipeline::time::Time;

/// The state of one output, written by its forwarder and read by whoever shows it.
#[derive(Debug, Default)]
pub struct OutputState {
    inner: Mutex<Inner>,
    /// Of its forwarder.
    pub(crate) pulse: Pulse,
    /// Of what publishes the commands of its answers.
    pub(crate) commands_pulse: Pulse,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    requests: u64,
    bytes: u64,
    wire: u64,
    last_success: Option<Time>,
    last_error: Option<String>,
    batch: usize,
    retry_at: Option<Time>,
    set_aside: usize,
    note: Option<&'static str>,
    budget: Option<BudgetReport>,
    commands: Option<Commands>,
}

/// What became of the commands that a function's answers held, since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Commands {
    /// The broker has acknowledged them.
    pub published: u64,
    /// Not allowed, not readable, too large or too many.
    pub refused: u64,
    /// The broker was away, did not answer, or said no.
    pub failed: u64,
}

/// Which of [`Commands`].
#[derive(Clone, Copy, Debug)]
pub(super) enum CommandCount {
    Published,
    Refused,
    Failed,
}

/// [`OutputState`] at one moment. Counters start at 0 with the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputSnapshot {
    /// Requests sent, or appends to the file.
    pub requests: u64,
    /// Bytes of their bodies as sent (after compression), or bytes appended.
    pub bytes: u64,
    /// When the destination last took an event, RFC 3339.
    pub last_success: Option<String>,
    /// What last went wrong; stays until something else does.
    pub last_error: Option<String>,
    /// Events that one request may hold at the moment.
    pub batch: usize,
    /// When the next attempt is due while backing off, RFC 3339.
    pub retry_at: Option<String>,
    /// Refused events that wait until the destination accepts another.
    pub set_aside: usize,
    /// What a person should know about how events are sent, though nothing is wrong.
    pub note: Option<&'static str>,
    /// How it stands with `budget`; absent where the output has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetReport>,
    /// Commands of its answers; none where its answers may not command anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<Commands>,
}

/// What the forwarder reports after each step.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) batch: usize,
    pub(super) retry_at: Option<Time>,
    pub(super) set_aside: usize,
    pub(super) note: Option<&'static str>,
    pub(super) budget: Option<BudgetReport>,
}

impl OutputState {
    /// The state of an output that is looked after.
    pub fn watched(pulse: Pulse) -> OutputState {
        OutputState { pulse, ..OutputState::default() }
    }

    /// The state now.
    pub fn snapshot(&self) -> OutputSnapshot {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        OutputSnapshot {
            requests: inner.requests,
            bytes: inner.bytes,
            last_success: inner.last_success.map(Time::rfc3339),
            last_error: inner.last_error,
            batch: inner.batch,
            retry_at: inner.retry_at.map(Time::rfc3339),
            set_aside: inner.set_aside,
            note: inner.note,
            budget: inner.budget,
            commands: inner.commands,
        }
    }

    /// Bytes sent and received, heads of requests and answers included.
    pub(super) fn wire(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).wire
    }

    /// So many bytes went over the link, one way or the other.
    pub(super) fn moved(&self, bytes: usize) {
        self.change(|inner| inner.wire += bytes as u64);
    }

    /// Its answers may hold commands, which are counted from here on.
    pub(super) fn counts_commands(&self) {
        self.change(|inner| inner.commands = Some(inner.commands.unwrap_or_default()));
    }

    pub(super) fn command(&self, what: CommandCount) {
        self.change(|inner| {
            let commands = inner.commands.get_or_insert_default();
            match what {
                CommandCount::Published => commands.published += 1,
                CommandCount::Refused => commands.refused += 1,
                CommandCount::Failed => commands.failed += 1,
            }
        });
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.change(|inner| {
            inner.requests += 1;
            inner.bytes += bytes as u64;
        });
    }

    pub(super) fn succeeded(&self, now: Time) {
        self.change(|inner| inner.last_success = Some(now));
    }

    pub(super) fn went_wrong(&self, error: String) {
        self.change(|inner| inner.last_error = Some(error));
    }

    pub(super) fn report(&self, report: Report) {
        self.change(|inner| {
            inner.batch = report.batch;
            inner.retry_at = report.retry_at;
            inner.set_aside = report.set_aside;
            inner.note = report.note;
            inner.budget = report.budget;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
