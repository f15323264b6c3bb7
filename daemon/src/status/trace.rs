//! What became of one reading, as a line of `tap --json` and `try --json`.

use serde::Serialize;
use std::collections::BTreeMap;
use tidegate_pipeline::message::Trace;
use tidegate_pipeline::verdict::Verdict;

/// [`Trace`] with the names of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceLine<'t> {
    /// The topic.
    pub topic: &'t str,
    /// The beginning of the payload.
    pub payload: &'t str,
    /// The stream, if one came into it.
    pub stream: Option<&'t str>,
    /// The metric, where one was found.
    pub metric: Option<&'t str>,
    /// The tags of the series.
    pub tags: BTreeMap<&'t str, &'t str>,
    /// The value as decoded.
    pub raw: Option<f64>,
    /// The value after cleaning, where it was counted.
    pub value: Option<f64>,
    /// The reading's time, RFC 3339.
    pub time: Option<String>,
    /// `counted`, `duplicate`, `rejected` or `dead_lettered`.
    pub verdict: &'static str,
    /// Why, for the last two.
    pub reason: Option<&'static str>,
    /// More words.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: &'t str,
}

impl<'t> TraceLine<'t> {
    /// The line of `trace`.
    pub fn of(trace: &'t Trace) -> TraceLine<'t> {
        let (verdict, reason) = match trace.verdict {
            Verdict::Counted => ("counted", None),
            Verdict::Duplicate => ("duplicate", None),
            Verdict::Rejected(reason) => ("rejected", Some(reason.name())),
            Verdict::DeadLettered(reason) => ("dead_lettered", Some(reason.name())),
        };
        TraceLine {
            topic: &trace.topic,
            payload: &trace.payload,
            stream: trace.stream.as_deref(),
            metric: trace.metric.as_deref(),
            tags: trace.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            raw: trace.raw,
            value: trace.value,
            time: trace.time.map(|time| time.rfc3339()),
            verdict,
            reason,
            detail: &trace.detail,
        }
    }
}
