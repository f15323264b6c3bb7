//! The document of `status --json`, and how it is put together. Names are promised: add, never rename.

use crate::forward::state::OutputSnapshot;
use crate::health::Problem;
use crate::ingest::figures::{Account, Alerts, ClockFigures};
use crate::mqtt::SourceSnapshot;
use crate::store::OutputCounts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_pipeline::alert::Active;
use tidegate_pipeline::rejections::SeriesRejections;
use tidegate_pipeline::verdict::Reason;

/// Everything that there is to say at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// Of tidegate.
    pub version: &'static str,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// `ok`, or `degraded` while there are problems.
    pub state: &'static str,
    /// What is wrong, by place.
    pub problems: Vec<Problem>,
    /// `gateway.id`.
    pub gateway: String,
    /// CloudEvents `source` of all events.
    pub source: String,
    /// Whether the time is known.
    pub clock: ClockEntry,
    /// By name.
    pub sources: BTreeMap<String, SourceEntry>,
    /// What became of all readings since the store was made.
    pub ledger: LedgerEntry,
    /// How full the store is.
    pub buffer: BufferEntry,
    /// By name; those that were removed from the configuration too, until their queue is dropped and afterwards.
    pub outputs: BTreeMap<String, OutputEntry>,
    /// What is raised.
    pub alerts: AlertsEntry,
    /// What the writer did since the daemon started.
    pub store: StoreEntry,
    /// Series known.
    pub series: u64,
    /// Windows open.
    pub open_windows: u64,
    /// The series with the most rejections, the most first.
    pub rejections: Vec<RejectionsEntry>,
}

/// A series of which readings were not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectionsEntry {
    /// The stream's name.
    pub stream: String,
    /// What is measured.
    pub metric: String,
    /// Whose.
    pub tags: BTreeMap<String, String>,
    /// Of all reasons together.
    pub total: u64,
    /// By reason.
    pub reasons: BTreeMap<&'static str, u32>,
}

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

/// A source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceEntry {
    /// Where a listener listens.
    pub address: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub snapshot: SourceSnapshot,
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

/// The store's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BufferEntry {
    /// Its size.
    pub bytes: u64,
    /// `buffer.max_size`.
    pub max_bytes: u64,
}

/// `made = delivered + queued + merged + superseded + refused + Σ dropped`, by construction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputEntry {
    /// Whether the configuration has it; what waits for one that it does not have stays queued.
    pub configured: bool,
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
    /// What it does.
    #[serde(flatten)]
    pub snapshot: OutputSnapshot,
}

/// Alerts that are raised.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AlertsEntry {
    /// How many.
    pub active: u64,
    /// The first of them, at most 100.
    pub raised: Vec<AlertEntry>,
}

/// An alert that is raised, in the words of its event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertEntry {
    /// What names it.
    pub key: String,
    /// The `[alerts.NAME]`.
    pub alert: String,
    /// `condition`, `silence` or `offline`.
    pub reason: &'static str,
    /// What is measured, unless it is about the sensor as a whole.
    pub metric: Option<String>,
    /// Whose.
    pub tags: BTreeMap<String, String>,
    /// The last value.
    pub value: Option<f64>,
    /// Since when it is so.
    pub since: String,
    /// When it was raised.
    pub raised_at: String,
}

/// The writer and the medium, since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreEntry {
    /// Transactions.
    pub commits: u64,
    /// Transactions that failed and were tried again.
    pub failures: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Times that the medium was told to make writes durable.
    pub syncs: u64,
    /// Bytes written to the history's file, which has its own.
    pub history_bytes_written: u64,
    /// Summaries that the history lost: they are missing from queries, and only there.
    pub history_lost: u64,
    /// More is written than `buffer.flash_budget` allows.
    pub flash_overspent: bool,
}

/// What a [`Document`] is made of.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Since the daemon started.
    pub uptime: Duration,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// `gateway.id`.
    pub gateway: String,
    /// CloudEvents `source`.
    pub source: String,
    /// As of the last transaction.
    pub clock: ClockFigures,
    /// By name.
    pub sources: BTreeMap<String, SourceEntry>,
    /// As of the last transaction.
    pub account: Account,
    /// Beyond it.
    pub pending: u64,
    /// The store's file.
    pub buffer: BufferEntry,
    /// Those that the configuration has.
    pub outputs: BTreeMap<String, OutputSnapshot>,
    /// Those that the store has.
    pub counts: BTreeMap<String, OutputCounts>,
    /// What is raised.
    pub alerts: Alerts,
    /// The writer.
    pub store: StoreEntry,
    /// Series known.
    pub series: u64,
    /// Windows open.
    pub open_windows: u64,
    /// The series with the most rejections.
    pub rejections: Vec<SeriesRejections>,
}

/// Puts the document together. Both identities of promise 4 hold in it, whatever the inputs.
pub fn assemble(inputs: Inputs) -> Document {
    let Inputs { uptime, problems, gateway, source, sources, account, pending, buffer, .. } = inputs;
    Document {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: uptime.as_secs(),
        state: if problems.is_empty() { "ok" } else { "degraded" },
        problems,
        gateway,
        source,
        clock: inputs.clock.into(),
        sources,
        ledger: ledger(&account, pending),
        buffer,
        outputs: outputs(inputs.outputs, inputs.counts),
        alerts: alerts(inputs.alerts),
        store: inputs.store,
        series: inputs.series,
        open_windows: inputs.open_windows,
        rejections: inputs.rejections.into_iter().map(rejections).collect(),
    }
}

fn rejections(series: SeriesRejections) -> RejectionsEntry {
    RejectionsEntry {
        total: series.total(),
        stream: series.stream,
        metric: series.metric,
        tags: series.tags.into_iter().collect(),
        reasons: series.reasons.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
    }
}

fn alerts(alerts: Alerts) -> AlertsEntry {
    let entry = |active: Active| AlertEntry {
        key: active.key,
        alert: active.alert,
        reason: active.raised.why.name(),
        metric: active.metric,
        tags: active.tags.into_iter().collect(),
        value: active.value,
        since: active.raised.since.rfc3339(),
        raised_at: active.raised.at.rfc3339(),
    };
    AlertsEntry { active: alerts.active, raised: alerts.shown.into_iter().map(entry).collect() }
}

/// A dead letter that was evicted or dropped is rejected; one that was retried stands under its new verdict already.
fn ledger(account: &Account, pending: u64) -> LedgerEntry {
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

fn outputs(
    configured: BTreeMap<String, OutputSnapshot>,
    mut counts: BTreeMap<String, OutputCounts>,
) -> BTreeMap<String, OutputEntry> {
    let mut entries = BTreeMap::new();
    for (name, snapshot) in configured {
        let counts = counts.remove(&name).unwrap_or_default();
        entries.insert(name, output(counts, snapshot, true));
    }
    let removed = counts.into_iter().map(|(name, c)| (name, output(c, OutputSnapshot::default(), false)));
    entries.extend(removed);
    entries
}

fn output(counts: OutputCounts, snapshot: OutputSnapshot, configured: bool) -> OutputEntry {
    let queued = counts.queued();
    let OutputCounts { delivered, merged, superseded, refused, dropped, .. } = counts;
    let made = delivered + queued + merged + superseded + refused + dropped.values().sum::<u64>();
    OutputEntry { configured, made, delivered, queued, merged, superseded, refused, dropped, snapshot }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LetterCounts;
    use proptest::prelude::*;
    use tidegate_pipeline::ledger::Ledger;

    fn balanced(document: &Document) {
        let l = &document.ledger;
        let rejected = l.rejected.values().sum::<u64>();
        assert_eq!(l.received, l.counted + l.duplicate + rejected + l.dead_lettered + l.pending);
        for o in document.outputs.values() {
            let dropped = o.dropped.values().sum::<u64>();
            assert_eq!(o.made, o.delivered + o.queued + o.merged + o.superseded + o.refused + dropped);
        }
    }

    fn account(rejected: u64, dead: u64, [evicted, dropped, retried]: [u64; 3]) -> Account {
        let of = |reason, count| [(reason, count)].into_iter().filter(|(_, count)| *count > 0).collect();
        Account {
            ledger: Ledger {
                counted: 10,
                duplicate: 2,
                rejected: of(Reason::Range, rejected),
                dead_lettered: of(Reason::Malformed, dead),
            },
            letters: LetterCounts { evicted, dropped, retried, ..LetterCounts::default() },
            held: 0,
        }
    }

    #[test]
    fn the_ledger_moves_dead_letters_to_where_they_went() {
        let check = |(account, pending), received: u64, dead: u64, rejected: &[(&'static str, u64)]| {
            let document = assemble(Inputs { account, pending, ..Inputs::default() });
            balanced(&document);
            let entry = document.ledger;
            assert_eq!((entry.received, entry.dead_lettered), (received, dead));
            assert_eq!(entry.rejected, rejected.iter().copied().collect());
        };
        check((account(0, 0, [0; 3]), 0), 12, 0, &[]);
        check((account(3, 5, [0; 3]), 7), 27, 5, &[("range", 3)]);
        check((account(0, 5, [1, 2, 0]), 0), 17, 2, &[("evicted", 1), ("dropped", 2)]);
        // The retried one was counted again, under another verdict.
        check((account(0, 5, [0, 0, 1]), 0), 16, 4, &[]);
        // What cannot be is no reason to tell nonsense.
        check((account(0, 1, [0, 0, 9]), 0), 12, 0, &[]);
    }

    #[test]
    fn outputs_of_configuration_and_store_are_joined() {
        let counts = |made| OutputCounts { made, delivered: 1, ..OutputCounts::default() };
        let document = assemble(Inputs {
            outputs: ["kept", "new"].map(|name| (name.to_owned(), OutputSnapshot::default())).into(),
            counts: [("kept", 3), ("removed", 2)].map(|(name, made)| (name.to_owned(), counts(made))).into(),
            ..Inputs::default()
        });
        let seen: Vec<_> =
            document.outputs.iter().map(|(n, o)| (n.as_str(), o.configured, o.made, o.queued)).collect();
        assert_eq!(seen, [("kept", true, 3, 2), ("new", true, 0, 0), ("removed", false, 2, 1)]);
    }

    #[test]
    fn problems_degrade() {
        let problem = Problem { at: "store".into(), text: "full".into() };
        let state = |problems: &[Problem]| {
            assemble(Inputs { problems: problems.to_vec(), ..Inputs::default() }).state
        };
        assert_eq!((state(&[]), state(&[problem])), ("ok", "degraded"));
    }

    proptest! {
        #[test]
        fn identities_hold_whatever_the_counters(
            terms in proptest::array::uniform8(0u64..1 << 40),
            letters in proptest::array::uniform3(0u64..1 << 40),
        ) {
            let [counted, duplicate, rejected, dead, pending, made, delivered, dropped] = terms;
            let mut account = account(rejected, dead, letters);
            (account.ledger.counted, account.ledger.duplicate) = (counted, duplicate);
            account.ledger.rejected.insert(Reason::Evicted, rejected);
            let row = OutputCounts {
                made,
                delivered,
                merged: rejected,
                superseded: dead,
                refused: duplicate,
                dropped: [("full".to_owned(), dropped)].into(),
            };
            let counts = [("out".to_owned(), row)].into();
            balanced(&assemble(Inputs { account, pending, counts, ..Inputs::default() }));
        }
    }
}
