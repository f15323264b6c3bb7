//! What `tidegate check` promises of each stream, in plain words (promise 2 of the design).

mod outputs;
mod raw;

pub use outputs::{OutputPromise, output_promises};
pub use raw::{RawPromise, raw_promises};

use super::model::{Config, Mqtt, Protocol, SourceKind};
use super::units::duration_text;
use serde::Serialize;
use std::time::Duration;
use tidegate_pipeline::plan::{AlertPlan, Retained, StreamPlan, Unique};
use tidegate_pipeline::time::Span;
use tidegate_pipeline::topic::{Level, TopicPattern};

/// How often a reading that reached us is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// Once, within the bounds that the sentence names.
    ExactlyOnce,
    /// Once or more.
    AtLeastOnce,
    /// Around a reconnect it may be twice or not at all.
    Doubtful,
}

/// What is promised of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamPromise {
    /// The stream's name.
    pub stream: String,
    /// In one word.
    pub promise: Promise,
    /// In one sentence, with how messages come to us.
    pub text: String,
    /// Which other streams read some of the same messages; a sentence each.
    pub overlaps: Vec<String>,
    /// What can be lost before it reaches us, or count again; a sentence each.
    pub warnings: Vec<String>,
}

/// What an alert watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertPromise {
    /// The alert's name.
    pub alert: String,
    /// In one sentence.
    pub text: String,
}

/// One sentence per alert, in the order of the file.
pub fn alert_promises(config: &Config) -> Vec<AlertPromise> {
    let one = |alert: &AlertPlan| AlertPromise {
        alert: alert.name.clone(),
        text: format!("{}: {}", alert.name, watched(config, alert)),
    };
    config.plan.alerts.iter().map(one).collect()
}

fn watched(config: &Config, alert: &AlertPlan) -> String {
    let text = |span: Span| duration_text(Duration::from_micros(span.0.unsigned_abs()));
    let mut reasons = Vec::new();
    if let Some(when) = &alert.when {
        let hold =
            if alert.hold == Span::ZERO { String::new() } else { format!(" for {}", text(alert.hold)) };
        let clear = alert.clear.as_ref().map(|clear| format!(", until {}", clear.text())).unwrap_or_default();
        reasons.push(format!("when {}{hold}{clear}", when.text()));
    }
    if let Some(silent_for) = alert.silent_for {
        reasons.push(format!("after {} of silence while its sources are connected", text(silent_for)));
    }
    let (streams, to) = (streams(config, &alert.streams), outputs(config, &alert.to));
    let metrics = match &alert.metrics {
        Some(metrics) => metrics.join(", "),
        None if alert.by_metric() => "each metric".into(),
        None => "any metric".into(),
    };
    let tags = alert.key_tags(&config.plan.streams);
    let per = if tags.is_empty() { "all together".to_owned() } else { format!("per {}", tags.join(" and ")) };
    format!("raised {}; watches {metrics} of {streams}, {per}; tells {to}", reasons.join(", or "))
}

fn streams(config: &Config, indices: &[u16]) -> String {
    let names: Vec<_> =
        indices.iter().map(|&at| config.plan.streams[usize::from(at)].name.as_str()).collect();
    names.join(", ")
}

fn outputs(config: &Config, indices: &[u16]) -> String {
    let names: Vec<_> = indices.iter().map(|&at| config.plan.outputs[usize::from(at)].as_str()).collect();
    if names.is_empty() { "nobody: there is no output".to_owned() } else { names.join(", ") }
}

/// One promise per stream, in the order of the file.
pub fn promises(config: &Config) -> Vec<StreamPromise> {
    config.plan.streams.iter().map(|stream| one(config, stream)).collect()
}

fn one(config: &Config, stream: &StreamPlan) -> StreamPromise {
    let sources: Vec<(&str, &SourceKind)> = stream
        .sources
        .iter()
        .filter_map(|&index| config.sources.get(usize::from(index)))
        .map(|source| (source.name.as_str(), &source.kind))
        .collect();
    let (alone, how) = recognition(config, stream);
    let group = sources.iter().find_map(|(_, kind)| match kind {
        SourceKind::Mqtt(mqtt) => mqtt.shared_group.as_deref(),
        SourceKind::Listen(_) => None,
    });
    let (promise, how) = match group {
        Some(group) => (
            if alone == Promise::ExactlyOnce { Promise::AtLeastOnce } else { alone },
            format!(
                "across the group `{group}` at least once (on fail-over the other gateway has no marks); on this gateway {how}"
            ),
        ),
        None => (alone, how),
    };
    let ways: Vec<String> = sources.iter().map(|(name, kind)| way(name, kind)).collect();
    let mut warnings: Vec<String> = sources.iter().flat_map(|(name, kind)| absences(name, kind)).collect();
    if stream.retained == Retained::Count {
        warnings.push(
            "retained = \"count\": what the broker has retained counts again at every new subscription"
                .into(),
        );
    }
    let overlaps = config.plan.streams.iter().filter(|other| other.name != stream.name);
    StreamPromise {
        stream: stream.name.clone(),
        promise,
        text: format!("{}: {how}; {}", stream.name, ways.join("; ")),
        overlaps: overlaps.filter_map(|other| overlap(stream, other)).collect(),
        warnings,
    }
}

/// How a reading that comes again is recognised, and what that amounts to.
fn recognition(config: &Config, stream: &StreamPlan) -> (Promise, String) {
    let per = |per: &Option<Vec<String>>| match per {
        Some(tags) if tags.is_empty() => "over the whole stream".to_owned(),
        Some(tags) => format!("per {}", tags.join(" and ")),
        None => "per topic".to_owned(),
    };
    match &stream.unique {
        Unique::Sequence { boot: Some(_), per: by, .. } | Unique::Numbered { per: by } => (
            Promise::ExactlyOnce,
            format!(
                "exactly once, by boot and sequence {} (the last four boots stay live; below the remembered window a \
                 reading is a dead letter, sequence_too_old)",
                per(by)
            ),
        ),
        Unique::Sequence { boot: None, per: by, .. } => (
            Promise::ExactlyOnce,
            format!(
                "by sequence {}: exactly once among the last 1,024; a restart that repeats sequence and payload is \
                 taken for duplicates",
                per(by)
            ),
        ),
        Unique::Time => (
            Promise::ExactlyOnce,
            format!("exactly once, by time stamp per series, for as long as a window can be amended{}", amend(config, stream)),
        ),
        Unique::Content => (
            Promise::Doubtful,
            "both doubtful: without a sequence number or time stamp only its content tells a message that comes again \
             from a new one, so that around a reconnect one may count twice or be taken for a duplicate"
                .into(),
        ),
    }
}

fn amend(config: &Config, stream: &StreamPlan) -> String {
    let index = config.plan.streams.iter().position(|other| other.name == stream.name);
    let counts = |streams: &[u16]| streams.iter().any(|&other| Some(usize::from(other)) == index);
    let summaries = config.plan.summaries.iter().filter(|summary| counts(&summary.streams));
    let shortest = summaries.map(|summary| summary.amend.0).min();
    let micros = shortest.and_then(|micros| u64::try_from(micros).ok());
    micros.map(|micros| format!(" ({})", duration_text(Duration::from_micros(micros)))).unwrap_or_default()
}

fn way(name: &str, kind: &SourceKind) -> String {
    match kind {
        SourceKind::Mqtt(Mqtt { qos: 0, .. }) => {
            format!("from `{name}` at QoS 0: at most once on the way to us")
        }
        SourceKind::Mqtt(_) => {
            format!("from `{name}` at QoS 1 (what is published at QoS 0: at most once on the way to us)")
        }
        SourceKind::Listen(_) => {
            format!(
                "on `{name}` at the sensor's QoS (1: acknowledged when on disk; 0: at most once on the way to us)"
            )
        }
    }
}

/// What is lost while we are away.
fn absences(name: &str, kind: &SourceKind) -> Vec<String> {
    let SourceKind::Mqtt(mqtt) = kind else { return Vec::new() };
    let mut found = Vec::new();
    if mqtt.session_expiry.is_none() {
        found.push(format!(
            "`{name}` has session = \"clean\": what is published while tidegate is away is lost, and what was not \
             acknowledged when the connection ended too"
        ));
    } else if mqtt.qos == 0 {
        found.push(format!("`{name}` has qos = 0: brokers keep nothing for us while tidegate is away"));
    }
    if mqtt.protocol == Protocol::V4 {
        found.push(format!(
            "`{name}` speaks MQTT 3.1.1: the broker alone decides how long it keeps messages while tidegate is away \
             and how many it sends ahead (mosquitto: persistent_client_expiration, max_inflight_messages)"
        ));
    }
    found
}

/// Says so when some topic goes to both streams, by one source.
fn overlap(stream: &StreamPlan, other: &StreamPlan) -> Option<String> {
    if !stream.sources.iter().any(|source| other.sources.contains(source)) {
        return None;
    }
    let excluded =
        |topic: &str| stream.exclude.iter().chain(&other.exclude).any(|pattern| pattern.covers(topic));
    let pairs = stream.topics.iter().flat_map(|a| other.topics.iter().map(move |b| (a, b)));
    let topic = pairs.flat_map(|(a, b)| common_topics(a, b)).find(|topic| !excluded(topic))?;
    let shown = topic.replace(ANY_LEVEL, "+");
    Some(format!("`{}` reads `{shown}` too: each of the two counts such a message", other.name))
}

/// Stands for a level that can be anything. No pattern names it, so that no exclusion meets it by chance.
const ANY_LEVEL: &str = "\u{1}";

/// For each length, the most general topic that matches both patterns.
fn common_topics(a: &TopicPattern, b: &TopicPattern) -> Vec<String> {
    let longest = a.0.len().max(b.0.len()) + 1;
    (1..=longest).filter_map(|count| meet(&stretch(a, count)?, &stretch(b, count)?)).collect()
}

/// The pattern as exactly `count` levels, `None` for any; or nothing when it cannot match so many.
fn stretch(pattern: &TopicPattern, count: usize) -> Option<Vec<Option<&str>>> {
    let run = pattern.0.iter().position(|level| matches!(level, Level::TagRest(_) | Level::Rest));
    let fixed = pattern.0.len() - usize::from(run.is_some());
    let fill = count.checked_sub(fixed)?;
    let fits = match run.map(|run| &pattern.0[run]) {
        None => fill == 0,
        Some(Level::TagRest(_)) => fill >= 1,
        Some(_) => true,
    };
    let levels = pattern.0.iter().flat_map(|level| match level {
        Level::Literal(text) => vec![Some(text.as_str())],
        Level::Any | Level::Tag(_) => vec![None],
        Level::TagRest(_) | Level::Rest => vec![None; fill],
    });
    fits.then(|| levels.collect())
}

fn meet(a: &[Option<&str>], b: &[Option<&str>]) -> Option<String> {
    let mut levels = Vec::with_capacity(a.len());
    for (index, pair) in a.iter().zip(b).enumerate() {
        levels.push(match pair {
            (Some(a), Some(b)) if a == b => *a,
            (Some(_), Some(_)) => return None,
            // [MQTT-4.7.2-1]: a wildcard in the first level does not match a topic that begins with `$`.
            (Some(text), None) | (None, Some(text)) if index == 0 && text.starts_with('$') => return None,
            (Some(text), None) | (None, Some(text)) => text,
            (None, None) => ANY_LEVEL,
        });
    }
    Some(levels.join("/"))
}
