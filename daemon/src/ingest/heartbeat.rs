//! The heartbeat: what the gateway says of itself, for functions (CloudEvents 1.0, structured mode, JSON).
//!
//! It is written by the transaction that comes when it is due, and says how things stood before that: everything in it is as
//! of one moment, because the writer is the only one to change it.

use super::figures::{Account, ClockFigures};
use super::heart::Heart;
use crate::config::model::Heartbeat;
use crate::health::Problem;
use crate::limits::{
    HEARTBEAT_FIRST, HEARTBEAT_OUTPUTS_MAX, HEARTBEAT_PROBLEM_CHARS_MAX, HEARTBEAT_PROBLEMS_MAX,
};
use crate::report::{BufferEntry, ClockEntry, LedgerEntry, OutputAccount};
use crate::store::{self, Shared, heartbeat};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tidegate_pipeline::event::Envelope;
use tidegate_pipeline::time::Time;

/// When the next heartbeat is due.
#[derive(Debug)]
pub(super) struct Beats {
    settings: Option<Heartbeat>,
    started: Instant,
    due: Instant,
}

impl Beats {
    /// The first comes soon: whoever restarts often must be heard all the same.
    pub(super) fn new(settings: Option<Heartbeat>, now: Instant) -> Beats {
        let due = now + settings.as_ref().map_or(HEARTBEAT_FIRST, |it| it.every.min(HEARTBEAT_FIRST));
        Beats { settings, started: now, due }
    }

    /// A changed configuration: the next comes soon.
    pub(super) fn change(&mut self, settings: Option<Heartbeat>, now: Instant) {
        if settings != self.settings {
            *self = Beats { started: self.started, ..Beats::new(settings, now) };
        }
    }

    /// When the next is due; `None`: never.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.settings.as_ref().map(|_| self.due)
    }

    /// One is on disk.
    pub(super) fn beaten(&mut self, now: Instant) {
        self.due = now + self.settings.as_ref().map_or(Duration::ZERO, |settings| settings.every);
    }
}

impl Heart {
    /// The heartbeat, if one is due. To be asked before the pipeline decides on anything new.
    pub(super) fn heartbeat(&self, now: Instant) -> Option<store::Heartbeat> {
        let settings = self.beats.settings.as_ref().filter(|_| self.beats.due <= now)?;
        let shared = self.parts.store.shared();
        let time = self.sight.now.now();
        let (plan, state) = (self.parts.pipeline.plan(), self.parts.pipeline.state());
        let (outputs, outputs_omitted) = outputs(shared, &plan.outputs, time);
        let (problems, problems_omitted) = problems(self.parts.health.problems());
        let account = self.account();
        let pending = account.held + self.parts.intake.pending();
        let revision = self.parts.store.next_heartbeat();
        let id = heartbeat::id(revision);
        let event = Envelope {
            specversion: "1.0",
            r#type: "tidegate.heartbeat.v1",
            source: &plan.source,
            id: &id,
            subject: heartbeat::KEY,
            time: time.rfc3339(),
            datacontenttype: "application/json",
            data: Data {
                key: heartbeat::KEY,
                revision,
                replaces: [],
                version: env!("CARGO_PKG_VERSION"),
                uptime_s: now.saturating_duration_since(self.beats.started).as_secs(),
                every_s: settings.every.as_secs(),
                state: if problems.is_empty() { "ok" } else { "degraded" },
                problems,
                problems_omitted,
                clock: ClockFigures::of(plan, state, &self.sight).into(),
                ledger: LedgerEntry::of(&account, pending),
                oldest_queued_s: outputs.values().filter_map(|output| output.oldest_queued_s).max(),
                outputs,
                outputs_omitted,
                buffer: BufferEntry { bytes: shared.wear().size(), max_bytes: self.parts.buffer.bytes_max },
            },
        };
        let event = event.render();
        Some(store::Heartbeat { revision, id, event, to: settings.to.clone() })
    }

    /// What became of all readings, on disk.
    pub(super) fn account(&self) -> Account {
        let letters = self.parts.store.shared().letter_counts();
        let state = self.parts.pipeline.state();
        Account { ledger: state.ledger.clone(), letters, held: state.held.readings() }
    }
}

#[derive(Serialize)]
struct Data {
    key: &'static str,
    revision: u64,
    replaces: [&'static str; 0],
    version: &'static str,
    uptime_s: u64,
    every_s: u64,
    state: &'static str,
    problems: Vec<Problem>,
    #[serde(skip_serializing_if = "is_zero")]
    problems_omitted: usize,
    clock: ClockEntry,
    ledger: LedgerEntry,
    outputs: BTreeMap<String, Output>,
    #[serde(skip_serializing_if = "is_zero")]
    outputs_omitted: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_queued_s: Option<u64>,
    buffer: BufferEntry,
}

#[derive(Serialize)]
struct Output {
    #[serde(flatten)]
    account: OutputAccount,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_queued_s: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The accounts of the first outputs by name, and how many more there are.
fn outputs(shared: &Shared, configured: &[String], now: Time) -> (BTreeMap<String, Output>, usize) {
    let mut rows = shared.outputs();
    let names: BTreeSet<String> = rows.keys().chain(configured).cloned().collect();
    let omitted = names.len().saturating_sub(HEARTBEAT_OUTPUTS_MAX);
    let entry = |name: String| {
        let counts = rows.remove(&name).unwrap_or_default().counts;
        // What cannot be read is not said: the heartbeat goes out all the same.
        let heads = shared.heads(&name).unwrap_or_default();
        let oldest = heads.iter().filter_map(|event| time_of(event)).min();
        let oldest_queued_s = oldest.map(|oldest| now.since(oldest).0.max(0).unsigned_abs() / 1_000_000);
        (name, Output { account: counts.into(), oldest_queued_s })
    };
    (names.into_iter().take(HEARTBEAT_OUTPUTS_MAX).map(entry).collect(), omitted)
}

/// `time` of a CloudEvent.
fn time_of(event: &[u8]) -> Option<Time> {
    #[derive(Deserialize)]
    struct Timed {
        time: String,
    }
    let event: Timed = serde_json::from_slice(event).ok()?;
    let time: jiff::Timestamp = event.time.parse().ok()?;
    Some(Time(time.as_microsecond()))
}

/// The first problems by place, with the beginning of their texts, and how many more there are.
fn problems(all: Vec<Problem>) -> (Vec<Problem>, usize) {
    let omitted = all.len().saturating_sub(HEARTBEAT_PROBLEMS_MAX);
    let short = |problem: Problem| Problem {
        text: problem.text.chars().take(HEARTBEAT_PROBLEM_CHARS_MAX).collect(),
        ..problem
    };
    (all.into_iter().take(HEARTBEAT_PROBLEMS_MAX).map(short).collect(), omitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comes_soon_and_the_next_when_it_is_due() {
        let start = Instant::now();
        let settings = |secs| Some(Heartbeat { every: Duration::from_secs(secs), to: Vec::new() });
        let after = |beats: &Beats| beats.deadline().map(|at| (at - start).as_secs());
        assert_eq!(after(&Beats::new(None, start)), None);
        assert_eq!(after(&Beats::new(settings(1), start)), Some(1));
        let mut beats = Beats::new(settings(3_600), start);
        assert_eq!(after(&beats), Some(10));
        beats.beaten(start + Duration::from_secs(11));
        assert_eq!(after(&beats), Some(3_611));
        beats.change(settings(3_600), start + Duration::from_secs(20));
        assert_eq!(after(&beats), Some(3_611), "nothing changed");
        beats.change(settings(60), start + Duration::from_secs(20));
        assert_eq!(after(&beats), Some(30));
        beats.change(None, start + Duration::from_secs(21));
        assert_eq!(after(&beats), None);
    }

    #[test]
    fn problems_are_bounded() {
        let problem = |n: usize| Problem { at: format!("sources.s{n:03}"), text: "ü".repeat(10_000) };
        let (shown, omitted) = problems((0..100).map(problem).collect());
        assert_eq!((shown.len(), omitted), (HEARTBEAT_PROBLEMS_MAX, 100 - HEARTBEAT_PROBLEMS_MAX));
        assert!(shown.iter().all(|problem| problem.text.chars().count() == HEARTBEAT_PROBLEM_CHARS_MAX));
    }

    #[test]
    fn the_time_of_an_event() {
        let check = |event: &str, expected: Option<i64>| {
            assert_eq!(time_of(event.as_bytes()).map(|time| time.0), expected, "{event}");
        };
        check(r#"{"id":"x","time":"1970-01-01T00:00:01.5Z","data":{"time":"no"}}"#, Some(1_500_000));
        check(r#"{"id":"x"}"#, None);
        check("", None);
    }
}
