//! Events: what a function receives (CloudEvents 1.0, structured mode, JSON).
//!
//! Rendered once, when the window closes, and kept as bytes: an event's data never changes afterwards, whatever the version
//! or configuration.

use crate::aggregate::Aggregate;
use crate::plan::{Plan, SummaryPlan, Window as Cut};
use crate::series::Group;
use crate::time::Time;
use crate::window::{Completeness, Content};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// A window that closed, for the store and the outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Where it is kept: end, then group.
    pub key: ClosedKey,
    /// 0, or one more than what was sent under this key before.
    pub revision: u32,
    /// The keys that it replaces, of this revision and the ones before.
    pub replaces: Vec<String>,
    /// Names in the store under which parts of it were kept, and are not needed any more.
    pub retires: Vec<ClosedKey>,
    /// What it holds, for amendments and merging.
    pub content: Content,
    /// The CloudEvents `id`.
    pub id: String,
    /// The whole event.
    pub event: Vec<u8>,
    /// For queries.
    pub record: Record,
    /// Indices of the outputs that get it.
    pub to: Vec<u16>,
}

/// What queries ask of a closed window.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it begins; it ends before its key's `end`.
    pub start: Time,
    /// `summary/metric/tags`, each part percent-encoded.
    pub subject: String,
    /// Of the metric, where the configuration names one.
    pub unit: Option<String>,
    /// In the order of the configuration.
    pub values: Vec<(Aggregate, f64)>,
}

/// Names a closed window in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClosedKey {
    /// The window's end.
    pub end: Time,
    /// Number of the group.
    pub group: u32,
}

/// Everything that an event is made of.
pub(crate) struct Rendering<'r> {
    pub(crate) plan: &'r Plan,
    pub(crate) group: &'r Group,
    pub(crate) start: Time,
    pub(crate) end: Time,
    /// The number of a window that is named by one.
    pub(crate) ordinal: Option<u64>,
    pub(crate) revision: u32,
    pub(crate) replaces: Vec<String>,
    pub(crate) content: &'r Content,
}

impl Rendering<'_> {
    /// Record, id and event.
    pub(crate) fn render(&self) -> (Record, String, Vec<u8>) {
        let summary = &self.plan.summaries[usize::from(self.group.summary)];
        let values: Vec<_> = summary
            .aggregates
            .iter()
            .filter_map(|&aggregate| Some((aggregate, aggregate.value(&self.content.states)?)))
            .collect();
        let subject = self.subject(summary);
        let key = self.key(self.start);
        let id = format!("{key}/r{}", self.revision);
        let event = Event {
            specversion: "1.0",
            r#type: "tidegate.summary.v1",
            source: &self.plan.source,
            id: &id,
            subject: &subject,
            time: self.end.rfc3339(),
            datacontenttype: "application/json",
            data: Data {
                key: &key,
                revision: self.revision,
                replaces: &self.replaces,
                summary: &summary.name,
                stream: self.streams(),
                metric: &self.group.metric,
                unit: self.unit(),
                tags: Tags(self.tags(summary)),
                window: Window { start: self.start.rfc3339(), end: self.end.rfc3339() },
                values: Values(&values),
                completeness: Complete::new(self.content.completeness, self.expected()),
                clock: "trusted",
            },
        };
        // Serialising to memory fails only where a map key is not text, and there is none.
        let event = serde_json::to_vec(&event).unwrap_or_default();
        let unit = self.unit().map(str::to_owned);
        (Record { start: self.start, subject, unit, values }, id, event)
    }

    /// The key of the window of this group that begins at `start`: what never changes in the names of its events.
    pub(crate) fn key(&self, start: Time) -> String {
        let summary = &self.plan.summaries[usize::from(self.group.summary)];
        let subject = self.subject(summary);
        match (&summary.window, self.ordinal) {
            (_, Some(ordinal)) => format!("{subject}/{ordinal}/count"),
            // Where it ends can still change.
            (Cut::Session { .. }, _) => format!("{subject}/{}/session", start.rfc3339()),
            _ => format!("{subject}/{}/{}", start.rfc3339(), self.end.since(start).key()),
        }
    }

    fn subject(&self, summary: &SummaryPlan) -> String {
        let mut subject = String::new();
        escape(&mut subject, &summary.name);
        subject.push('/');
        escape(&mut subject, &self.group.metric);
        for tag in &self.group.tags {
            subject.push('/');
            match tag.as_deref() {
                None => subject.push('-'),
                Some("-") => subject.push_str("%2D"),
                Some(value) => escape(&mut subject, value),
            }
        }
        subject
    }

    fn tags(&self, summary: &SummaryPlan) -> Vec<(String, String)> {
        let names = summary.key_tags(&self.plan.streams);
        let pairs = names.iter().zip(&self.group.tags);
        pairs.filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))).collect()
    }

    fn streams(&self) -> String {
        let names: Vec<_> =
            self.group.streams.iter().map(|&s| self.plan.streams[usize::from(s)].name.as_str()).collect();
        names.join(",")
    }

    fn unit(&self) -> Option<&str> {
        let streams = self.group.streams.iter().map(|&s| &self.plan.streams[usize::from(s)]);
        streams
            .flat_map(|stream| stream.fields.listed())
            .find_map(|metric| (metric.name == self.group.metric).then_some(metric.unit.as_deref()).flatten())
    }

    /// How many readings a window should have: known when all its streams say how often they report.
    fn expected(&self) -> Option<u64> {
        let summary = &self.plan.summaries[usize::from(self.group.summary)];
        if matches!(summary.window, Cut::Session { .. } | Cut::Count { .. }) {
            return None; // they end by what was read
        }
        let streams = self.group.streams.iter().map(|&s| &self.plan.streams[usize::from(s)]);
        let every = streams.map(|stream| stream.expected_every).min()??;
        let length = self.end.since(self.start).0;
        u64::try_from(length / every.0.max(1)).ok().map(|each| each * self.group.members.len() as u64)
    }
}

/// `text` as it stands in a subject: percent-encoded, all but the unreserved characters of RFC 3986.
pub fn escaped(text: &str) -> String {
    let mut into = String::new();
    escape(&mut into, text);
    into
}

/// See [`escaped`].
fn escape(into: &mut String, text: &str) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(byte.into());
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[derive(Serialize)]
struct Event<'e> {
    specversion: &'static str,
    r#type: &'static str,
    source: &'e str,
    id: &'e str,
    subject: &'e str,
    time: String,
    datacontenttype: &'static str,
    data: Data<'e>,
}

#[derive(Serialize)]
struct Data<'e> {
    key: &'e str,
    revision: u32,
    replaces: &'e [String],
    summary: &'e str,
    stream: String,
    metric: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'e str>,
    tags: Tags,
    window: Window,
    values: Values<'e>,
    completeness: Complete,
    clock: &'static str,
}

#[derive(Serialize)]
struct Window {
    start: String,
    end: String,
}

struct Tags(Vec<(String, String)>);

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

struct Values<'e>(&'e [(Aggregate, f64)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (aggregate, value) in self.0 {
            match aggregate {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count is whole"
                )]
                Aggregate::Count => map.serialize_entry(aggregate.name(), &(*value as u64))?,
                _ => map.serialize_entry(aggregate.name(), value)?,
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Complete {
    received: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    rejected: u32,
    duplicates: u32,
    late: u32,
    gaps: u32,
    #[serde(skip_serializing_if = "is_zero")]
    backlog: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Complete {
    fn new(counts: Completeness, expected: Option<u64>) -> Complete {
        let Completeness { received, rejected, duplicates, late, gaps, backlog } = counts;
        Complete { received, expected, rejected, duplicates, late, gaps, backlog }
    }
}
