//! The plan: what the configuration means, compiled to what the pipeline needs. Data only.
//!
//! It is stored with each checkpoint, so that a replay runs under the configuration that made the journal. Every
//! type here is therefore part of the store's format: see `docs/store.md` before changing one.

use crate::time::Span;
use crate::topic::TopicPattern;
use serde::{Deserialize, Serialize};

/// Everything the pipeline needs to know. Indices (`u16`) point into the vectors of this struct.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// CloudEvents `source`: `/gateways/<id>/<store name>`.
    pub source: String,
    /// Names of the sources, in the order of the file.
    pub sources: Vec<String>,
    /// What to listen to and how to read it.
    pub streams: Vec<StreamPlan>,
    /// What to make of it.
    pub summaries: Vec<SummaryPlan>,
    /// Names of the outputs, in the order of the file.
    pub outputs: Vec<String>,
    /// A reading whose time is later than now by more than this is rejected (`future`).
    pub max_future: Span,
    /// At this many series new ones are rejected (`series_limit`), old ones never evicted.
    pub series_max: u32,
}

/// One `[streams.NAME]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// The name in the configuration.
    pub name: String,
    /// Which sources it listens to.
    pub sources: Vec<u16>,
    /// A message matches the stream when it matches one of these; the first that matches gives the tags.
    pub topics: Vec<TopicPattern>,
    /// … and none of these.
    pub exclude: Vec<TopicPattern>,
    /// How the payload is read.
    pub format: Format,
    /// Which values it carries.
    pub fields: Fields,
    /// Where the reading's own time is; `None`: the time of arrival.
    pub time: Option<TimePlan>,
    /// How a redelivered reading is told from a new one.
    pub unique: Unique,
    /// What to do with messages that the broker replays at subscription.
    pub retained: Retained,
    /// Tags beyond those that the topic gives.
    pub tags: Vec<(String, TagPlan)>,
    /// How often each series is expected to report, for completeness.
    pub expected_every: Option<Span>,
    /// Cleaning steps, in order.
    pub clean: Vec<CleanStep>,
}

impl StreamPlan {
    /// The names of all tags that a series of this stream can carry, sorted, without `metric`.
    pub fn tag_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .topics
            .iter()
            .flat_map(TopicPattern::names)
            .chain(self.tags.iter().map(|(name, _)| name.as_str()))
            .filter(|name| *name != METRIC)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The topic capture that names the measurement.
pub const METRIC: &str = "metric";

/// How payload bytes are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// JSON when it looks like JSON (starts with `{`, `[` or `"`), else text.
    #[default]
    Auto,
    /// One JSON document per message.
    Json,
    /// One number, or one of on/off, true/false, open/closed, online/offline, per message.
    Text,
}

/// Which values a message carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fields {
    /// One value; its metric is the topic's `{metric}`, or else `metric`.
    Value {
        /// Where it is in a JSON document; the root when `None`. Text ignores it.
        at: Option<Pointer>,
        /// The metric's name where the topic does not give one.
        metric: String,
        /// Units by metric, from `[streams.NAME.metrics]`. Empty: no unit known.
        listed: Vec<MetricPlan>,
        /// Whether metrics that are not listed are kept.
        rest: bool,
    },
    /// Several values: the listed ones, and with `rest` every other numeric or boolean leaf, nested names joined
    /// by `/`.
    Leaves {
        /// Metrics by name.
        listed: Vec<MetricPlan>,
        /// Whether leaves that are not listed are kept. True when nothing is listed.
        rest: bool,
    },
}

impl Fields {
    /// The metrics that the configuration names.
    pub fn listed(&self) -> &[MetricPlan] {
        match self {
            Fields::Value { listed, .. } | Fields::Leaves { listed, .. } => listed,
        }
    }
}

/// One `[streams.NAME.metrics] NAME = …`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricPlan {
    /// The metric's name.
    pub name: String,
    /// Where its value is; `None` where the topic names the metric, or for a leaf of that name.
    pub at: Option<Pointer>,
    /// For people and functions; tidegate does not convert by it.
    pub unit: Option<String>,
}

/// A JSON pointer (RFC 6901), split into its unescaped tokens. The empty pointer is the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pointer(pub Vec<String>);

impl Pointer {
    /// Parses `/a/b~1c/0`.
    ///
    /// # Errors
    /// A sentence when `text` is neither empty nor starts with `/`, or has a `~` that is not `~0` or `~1`.
    pub fn parse(text: &str) -> Result<Pointer, String> {
        if text.is_empty() {
            return Ok(Pointer::default());
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("a JSON pointer starts with `/`: write `/{text}`"));
        };
        rest.split('/').map(unescape).collect::<Result<_, _>>().map(Pointer)
    }

    /// The last token: how the value is called where it stands.
    pub fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }
}

fn unescape(token: &str) -> Result<String, String> {
    let plain = token.replace("~1", "").replace("~0", "");
    if plain.contains('~') {
        return Err("in a JSON pointer `~` is written `~0` and `/` is written `~1`".into());
    }
    Ok(token.replace("~1", "/").replace("~0", "~"))
}

/// Where a reading's own time is, and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimePlan {
    /// Where it stands in the document.
    pub at: Pointer,
    /// How it is written.
    pub format: TimeFormat,
}

/// How a time stamp is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeFormat {
    /// Seconds since 1970, with or without decimals.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970, rounded down to microseconds.
    Nanos,
    /// RFC 3339: `2026-11-22T10:00:00.5+01:00`.
    Rfc3339,
}

/// How a reading that comes again is recognised (promise 2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Unique {
    /// By content, among the deliveries in doubt when a connection ended.
    #[default]
    Content,
    /// By a sequence number that the payload carries.
    Sequence {
        /// Where the number is.
        at: Pointer,
        /// Where the number of the sensor's restart is.
        boot: Option<Pointer>,
        /// The tags that make one counter; `None`: the whole topic.
        per: Option<Vec<String>>,
    },
    /// By the reading's own time, per series.
    Time,
}

/// What a message with the retain flag means at subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retained {
    /// Shows as last value, is not counted in any window.
    #[default]
    Latest,
    /// Thrown away, accounted as rejected.
    Ignore,
    /// Counted like any other.
    Count,
}

/// Where a tag's value comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TagPlan {
    /// The same for every reading.
    Constant(String),
    /// From the payload.
    At(Pointer),
}

/// One cleaning step, perhaps for some metrics only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleanStep {
    /// What it does.
    pub step: crate::clean::Step,
    /// To which metrics; `None`: to all.
    pub metrics: Option<Vec<String>>,
}

/// One `[summaries.NAME]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryPlan {
    /// The name in the configuration; the first part of every key.
    pub name: String,
    /// Which streams it folds.
    pub streams: Vec<u16>,
    /// Which metrics; `None`: all.
    pub metrics: Option<Vec<String>>,
    /// How time is cut.
    pub window: Window,
    /// Which tags make a series; `None`: all tags of its streams.
    pub by: Option<Vec<String>>,
    /// How long a window stays open after its end.
    pub lateness: Span,
    /// How long a closed window can still be amended.
    pub amend: Span,
    /// What is computed, in the order in which it is sent.
    pub aggregates: Vec<crate::aggregate::Aggregate>,
    /// To which outputs.
    pub to: Vec<u16>,
}

impl Plan {
    /// Whether a source that `summary` gets readings from is `held`.
    pub fn is_held(&self, summary: &SummaryPlan, held: &dyn Fn(u16) -> bool) -> bool {
        let sources = summary.streams.iter().flat_map(|&at| &self.streams[usize::from(at)].sources);
        sources.into_iter().any(|&source| held(source))
    }
}

impl SummaryPlan {
    /// The tag names of its keys: `by`, or the union over its streams; sorted.
    pub fn key_tags<'a>(&'a self, streams: &'a [StreamPlan]) -> Vec<&'a str> {
        let mut names: Vec<&str> = match &self.by {
            Some(by) => by.iter().map(String::as_str).collect(),
            None => self.streams.iter().flat_map(|&s| streams[usize::from(s)].tag_names()).collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl SummaryPlan {
    /// How long after its end a window can take readings at all.
    pub fn horizon(&self) -> Span {
        Span(self.lateness.0.saturating_add(self.amend.0))
    }

    /// How old a reading can be at its arrival for a window to take it.
    pub fn reach(&self) -> Span {
        let Window::Tumbling { length } = self.window;
        Span(self.horizon().0.saturating_add(length.0))
    }

    /// Whether windows of this definition can go on under `other`: what makes a key is the same.
    pub fn same_keys(&self, streams: &[StreamPlan], other: &SummaryPlan, others: &[StreamPlan]) -> bool {
        self.name == other.name
            && self.window == other.window
            && self.key_tags(streams) == other.key_tags(others)
    }
}

/// How time is cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// Back to back, aligned to 1970-01-01T00:00:00Z.
    Tumbling {
        /// The length of each.
        length: Span,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers() {
        let ok = |text: &str, tokens: &[&str]| {
            assert_eq!(Pointer::parse(text).unwrap().0, tokens, "{text}");
        };
        ok("", &[]);
        ok("/", &[""]);
        ok("/a/b", &["a", "b"]);
        ok("/a~1b/m~0n", &["a/b", "m~n"]);
        ok("/~01", &["~1"]);
        assert!(Pointer::parse("a/b").unwrap_err().contains("`/a/b`"));
        assert!(Pointer::parse("/a~2").is_err());
    }
}
