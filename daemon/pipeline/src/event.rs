//! Events: what a function receives (CloudEvents 1.0, structured mode, JSON).
//!
//! Rendered once, when the window closes, and kept as bytes: an event's data never changes afterwards, whatever the version
//! or configuration.

use crate::aggregate::{Aggregate, Shown, State, Value};
use crate::partial::Partial;
use crate::plan::{Layout, Plan, SummaryPlan, Window as Cut};
use crate::series::Group;
use crate::time::Time;
use crate::window::{Completeness, Content, Lane};
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
    /// By name of the aggregate, `metric/aggregate` where the layout is wide; in the order of the configuration.
    pub values: Vec<(String, Value)>,
}

/// Names a closed window in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClosedKey {
    /// The window's end.
    pub end: Time,
    /// Number of the group.
    pub group: u32,
}

/// What gives a window its name.
#[derive(Clone, Copy)]
pub(crate) struct Naming<'r> {
    pub(crate) plan: &'r Plan,
    pub(crate) group: &'r Group,
    pub(crate) start: Time,
    pub(crate) end: Time,
    /// The number of a window that is named by one.
    pub(crate) ordinal: Option<u64>,
}

/// Everything that an event is made of.
pub(crate) struct Rendering<'r> {
    pub(crate) naming: Naming<'r>,
    pub(crate) revision: u32,
    pub(crate) replaces: &'r [String],
    pub(crate) content: &'r Content,
}

impl<'r> Naming<'r> {
    fn summary(&self) -> &'r SummaryPlan {
        &self.plan.summaries[usize::from(self.group.summary)]
    }

    /// The key of the window of this group that begins at `start`: what never changes in the names of its events.
    pub(crate) fn key(&self, start: Time) -> String {
        let mut subject = self.subject();
        if let Some(epoch) = self.group.epoch {
            subject = format!("{subject}/u{epoch}");
        }
        match (&self.summary().window, self.ordinal) {
            (Cut::Count { .. }, Some(ordinal)) => format!("{subject}/{ordinal}/count"),
            (Cut::State { .. }, _) => format!("{subject}/{}/state", start.rfc3339()),
            // Where it ends can still change.
            (Cut::Session { .. }, _) => format!("{subject}/{}/session", start.rfc3339()),
            _ => format!("{subject}/{}/{}", start.rfc3339(), self.end.since(start).key()),
        }
    }

    fn subject(&self) -> String {
        let mut subject = String::new();
        escape(&mut subject, &self.summary().name);
        subject.push('/');
        match self.summary().layout {
            Layout::Narrow => escape(&mut subject, &self.group.metric),
            // No metric is written so.
            Layout::Wide => subject.push('*'),
        }
        tags_of_subject(&mut subject, &self.group.tags);
        subject
    }

    fn tags(&self) -> Vec<(String, String)> {
        let names = self.summary().key_tags(&self.plan.streams);
        let pairs = names.iter().zip(&self.group.tags);
        pairs.filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))).collect()
    }

    fn streams(&self) -> String {
        self.plan.stream_names(&self.group.streams)
    }

    fn unit(&self, metric: &str) -> Option<&'r str> {
        self.plan.unit(&self.group.streams, metric)
    }

    /// How many readings a window should have: known when all its streams say how often they report. Nobody expects one of
    /// a sensor that is `offline`, in seconds.
    fn expected(&self, offline: u32) -> Option<u64> {
        if matches!(self.summary().window, Cut::Session { .. } | Cut::Count { .. } | Cut::State { .. }) {
            return None; // they end by what was read
        }
        let streams = self.group.streams.iter().map(|&s| &self.plan.streams[usize::from(s)]);
        let every = streams.map(|stream| stream.expected_every).min()??;
        let length = self.end.since(self.start).0;
        let each = u64::try_from(length / every.0.max(1)).ok()?;
        let missing = i64::from(offline).saturating_mul(1_000_000) / every.0.max(1);
        Some((each * self.group.members.len() as u64).saturating_sub(missing.unsigned_abs()))
    }
}

impl<'r> Rendering<'r> {
    /// Record, id and event.
    pub(crate) fn render(&self) -> (Record, String, Vec<u8>) {
        let naming = &self.naming;
        let lanes: Vec<_> = self.content.lanes.iter().map(|lane| self.lane(lane)).collect();
        let (subject, key) = (naming.subject(), naming.key(naming.start));
        let id = format!("{key}/r{}", self.revision);
        let wide = naming.summary().layout == Layout::Wide;
        let metric = (!wide).then_some(naming.group.metric.as_str());
        let event = Envelope {
            specversion: "1.0",
            r#type: "tidegate.summary.v1",
            source: &naming.plan.source,
            id: &id,
            subject: &subject,
            time: naming.end.rfc3339(),
            datacontenttype: "application/json",
            data: Data {
                key: &key,
                revision: self.revision,
                replaces: self.replaces,
                summary: &naming.summary().name,
                stream: naming.streams(),
                metric,
                unit: metric.and_then(|metric| naming.unit(metric)),
                units: if wide { Units::of(&lanes) } else { Units::default() },
                tags: Tags(naming.tags()),
                window: Window { start: naming.start.rfc3339(), end: naming.end.rfc3339() },
                values: AllValues { lanes: &lanes, wide },
                approximate: lanes.iter().flat_map(|lane| lane.approximate(wide)).collect(),
                completeness: Complete::new(
                    self.content.completeness,
                    naming.expected(self.content.completeness.offline),
                ),
                clock: if self.naming.group.epoch.is_some() { "unsynchronised" } else { "synchronised" },
                state: naming.summary().state.then(|| self.state(&lanes)),
            },
        };
        let event = event.render();
        let unit = metric.and_then(|metric| naming.unit(metric)).map(str::to_owned);
        let named = |lane: LaneValues<'_>| {
            let prefix = if wide { format!("{}/", lane.metric) } else { String::new() };
            let name = move |aggregate: &Aggregate| format!("{prefix}{}", aggregate.name());
            lane.values.into_iter().map(move |(aggregate, value)| (name(&aggregate), value))
        };
        let values = lanes.into_iter().flat_map(named).collect();
        (Record { start: naming.start, subject, unit, values }, id, event)
    }

    /// The mergeable content. `told` has the names of its lanes.
    fn state(&self, told: &[LaneValues<'_>]) -> String {
        let lanes = told.iter().zip(&self.content.lanes).map(|(told, lane)| (told.metric, lane));
        Partial::encode(self.naming.start, self.naming.end, self.content.completeness, lanes)
    }

    /// What is told of one metric.
    fn lane(&self, lane: &'r Lane) -> LaneValues<'r> {
        let naming = &self.naming;
        let wide = naming.group.metrics.get(usize::from(lane.metric));
        let metric = wide.map_or(naming.group.metric.as_str(), String::as_str);
        let wanted = naming.group.template(naming.plan, metric).wanted;
        let context = lane.context(naming.start, naming.end);
        let value =
            |aggregate: &Aggregate| Some((aggregate.clone(), aggregate.value(&lane.states, &context)?));
        LaneValues {
            metric,
            unit: naming.unit(metric),
            values: wanted.iter().filter_map(value).collect(),
            states: &lane.states,
        }
    }
}

/// The values of one metric.
struct LaneValues<'r> {
    metric: &'r str,
    unit: Option<&'r str>,
    values: Vec<(Aggregate, Value)>,
    states: &'r [State],
}

impl LaneValues<'_> {
    /// The names of the values that are approximate.
    fn approximate(&self, wide: bool) -> impl Iterator<Item = String> {
        let approximate = self.values.iter().filter(|(aggregate, _)| aggregate.is_approximate(self.states));
        approximate.map(move |(aggregate, _)| match wide {
            true => format!("{}/{}", self.metric, aggregate.name()),
            false => aggregate.name().into_owned(),
        })
    }
}

/// `text` as it stands in a subject: percent-encoded, all but the unreserved characters of RFC 3986.
pub fn escaped(text: &str) -> String {
    let mut into = String::new();
    escape(&mut into, text);
    into
}

/// The tags of a series as they stand in a subject, each behind a slash; `-` for one that it does not have.
pub(crate) fn tags_of_subject(into: &mut String, tags: &[Option<String>]) {
    for tag in tags {
        into.push('/');
        match tag.as_deref() {
            None => into.push('-'),
            Some("-") => into.push_str("%2D"),
            Some(value) => escape(into, value),
        }
    }
}

/// See [`escaped`].
pub(crate) fn escape(into: &mut String, text: &str) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(byte.into());
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// The envelope of every event that goes out (CloudEvents 1.0, structured mode, JSON).
#[derive(Serialize)]
pub(crate) struct Envelope<'e, D> {
    pub(crate) specversion: &'static str,
    pub(crate) r#type: &'static str,
    pub(crate) source: &'e str,
    pub(crate) id: &'e str,
    pub(crate) subject: &'e str,
    pub(crate) time: String,
    pub(crate) datacontenttype: &'static str,
    pub(crate) data: D,
}

impl<D: Serialize> Envelope<'_, D> {
    /// As it is sent.
    pub(crate) fn render(&self) -> Vec<u8> {
        // Serialising to memory fails only where a map key is not text, and there is none.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Data<'e> {
    key: &'e str,
    revision: u32,
    replaces: &'e [String],
    summary: &'e str,
    stream: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'e str>,
    #[serde(skip_serializing_if = "Units::is_empty")]
    units: Units<'e>,
    tags: Tags,
    window: Window,
    values: AllValues<'e>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approximate: Vec<String>,
    completeness: Complete,
    clock: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

#[derive(Serialize)]
struct Window {
    start: String,
    end: String,
}

pub(crate) struct Tags(pub(crate) Vec<(String, String)>);

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Units by metric, where a summary has several.
#[derive(Default)]
struct Units<'e>(Vec<(&'e str, &'e str)>);

impl<'e> Units<'e> {
    fn of(lanes: &[LaneValues<'e>]) -> Units<'e> {
        Units(lanes.iter().filter_map(|lane| Some((lane.metric, lane.unit?))).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Units<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(metric, unit)| (metric, unit)))
    }
}

/// Values by aggregate; where the layout is wide, by metric and then aggregate.
struct AllValues<'e> {
    lanes: &'e [LaneValues<'e>],
    wide: bool,
}

impl Serialize for AllValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.wide, self.lanes) {
            (false, []) => Values(&[]).serialize(serializer),
            (false, [lane, ..]) => Values(&lane.values).serialize(serializer),
            (true, lanes) => {
                serializer.collect_map(lanes.iter().map(|lane| (lane.metric, Values(&lane.values))))
            }
        }
    }
}

struct Values<'e>(&'e [(Aggregate, Value)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (aggregate, value) in self.0 {
            map.serialize_entry(&aggregate.name(), &Shown(value))?;
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
    #[serde(skip_serializing_if = "is_zero")]
    flagged: u32,
    #[serde(skip_serializing_if = "is_zero")]
    offline: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Complete {
    fn new(counts: Completeness, expected: Option<u64>) -> Complete {
        let Completeness { received, rejected, duplicates, late, gaps, backlog, flagged, offline } = counts;
        Complete { received, expected, rejected, duplicates, late, gaps, backlog, flagged, offline }
    }
}
