//! The document of `status --json`, and how it is put together. Names are promised: add, never rename.

use super::devices::DevicesEntry;
use crate::forward::state::OutputSnapshot;
use crate::health::Problem;
use crate::ingest::figures::{Account, Alerts, ClockFigures, Lists};
use crate::mqtt::SourceSnapshot;
use crate::report::{BufferEntry, ClockEntry, LedgerEntry, OutputAccount};
use crate::store::OutputCounts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_pipeline::alert::Active;
use tidegate_pipeline::rejections::SeriesRejections;
use tidegate_pipeline::ticks::{Estimate, Sender};

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
    /// Clocks of devices that say their uptime.
    pub clocks: ClocksEntry,
    /// Devices that send frames of firmware.
    pub devices: DevicesEntry,
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

/// Clocks of devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClocksEntry {
    /// How many are known.
    pub known: usize,
    /// The first of them, in the order in which they were met.
    pub devices: Vec<DeviceClockEntry>,
}

/// How the clock of a device stands to ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceClockEntry {
    /// The stream.
    pub stream: String,
    /// Its topic, or the tags that make it.
    pub sender: String,
    /// Of its latest boot.
    pub boot: u64,
    /// Milliseconds since 1970 at which its uptime was 0.
    pub offset_ms: i64,
    /// By how much our clock gains on its, in parts per million.
    pub drift_ppm: f64,
    /// How far the time of what it sends now can be off.
    pub uncertainty_ms: f64,
    /// Milliseconds since 1970 at which it was heard last.
    pub heard_ms: i64,
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

/// An output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputEntry {
    /// Whether the configuration has it; what waits for one that it does not have stays queued.
    pub configured: bool,
    /// What became of its events.
    #[serde(flatten)]
    pub account: OutputAccount,
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
    /// What is listed by name.
    pub lists: Lists,
}

/// Puts the document together. Both identities of promise 4 hold in it, whatever the inputs.
pub fn assemble(inputs: Inputs) -> Document {
    let Inputs { uptime, problems, gateway, source, sources, account, pending, buffer, lists, .. } = inputs;
    Document {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: uptime.as_secs(),
        state: if problems.is_empty() { "ok" } else { "degraded" },
        problems,
        gateway,
        source,
        clock: inputs.clock.into(),
        sources,
        ledger: LedgerEntry::of(&account, pending),
        buffer,
        outputs: outputs(inputs.outputs, inputs.counts),
        alerts: alerts(inputs.alerts),
        store: inputs.store,
        series: inputs.series,
        open_windows: inputs.open_windows,
        clocks: clocks(lists.clocks_known, lists.clocks),
        devices: lists.devices.into(),
        rejections: lists.rejections.into_iter().map(rejections).collect(),
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

fn clocks(known: usize, senders: Vec<Sender>) -> ClocksEntry {
    let entry = |Sender { stream, sender, estimate }: Sender| clock(stream, sender, &estimate);
    ClocksEntry { known, devices: senders.into_iter().map(entry).collect() }
}

pub(super) fn clock(stream: String, sender: String, estimate: &Estimate) -> DeviceClockEntry {
    let rounded = |number: f64| (number * 1e3).round() / 1e3;
    DeviceClockEntry {
        stream,
        sender,
        boot: estimate.boot,
        offset_ms: estimate.booted.as_millis(),
        drift_ppm: rounded(estimate.drift_ppm),
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        uncertainty_ms: rounded(estimate.uncertainty.0 as f64 / 1e3),
        heard_ms: estimate.heard.as_millis(),
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

fn outputs(
    configured: BTreeMap<String, OutputSnapshot>,
    mut counts: BTreeMap<String, OutputCounts>,
) -> BTreeMap<String, OutputEntry> {
    let mut entries = BTreeMap::new();
    for (name, snapshot) in configured {
        let counts = counts.remove(&name).unwrap_or_default();
        entries.insert(name, OutputEntry { configured: true, account: counts.into(), snapshot });
    }
    let removed = counts
        .into_iter()
        .map(|(name, c)| (name, OutputEntry { account: c.into(), ..OutputEntry::default() }));
    entries.extend(removed);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LetterCounts;
    use proptest::prelude::*;
    use tidegate_pipeline::ledger::Ledger;
    use tidegate_pipeline::verdict::Reason;

    fn balanced(document: &Document) {
        let l = &document.ledger;
        let rejected = l.rejected.values().sum::<u64>();
        assert_eq!(l.received, l.counted + l.duplicate + rejected + l.dead_lettered + l.pending);
        for o in document.outputs.values().map(|output| &output.account) {
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
        let seen: Vec<_> = document
            .outputs
            .iter()
            .map(|(n, o)| (n.as_str(), o.configured, o.account.made, o.account.queued))
            .collect();
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
