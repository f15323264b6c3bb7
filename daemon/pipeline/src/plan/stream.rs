//! `[streams.NAME]`: what to listen to and how to read it.

use super::fields::{Fields, Pointer};
use super::format::Format;
use crate::clean::Step;
use crate::time::Span;
use crate::topic::TopicPattern;
use serde::{Deserialize, Serialize};

/// One `[streams.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Where the list is whose elements are read each like a message of its own; `None`: the message is one record.
    pub each: Option<Pointer>,
    /// Whether text in the place of a value is read as `text` reads it.
    pub numbers_as_text: bool,
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
    /// Other names for values of tags: by tag, what it was and what it becomes; both levels sorted.
    pub rename: Vec<(String, Vec<(String, String)>)>,
    /// Where its sensors say whether they are there.
    pub availability: Option<Availability>,
    /// How often each series is expected to report, for completeness.
    pub expected_every: Option<Span>,
    /// Cleaning steps, in order.
    pub clean: Vec<CleanStep>,
}

impl StreamPlan {
    /// The unit of `metric` in summaries: the one that the configuration gives, unless a cleaning step makes another.
    pub fn unit_of(&self, metric: &str) -> Option<&str> {
        let listed = self.fields.listed().iter().find(|listed| listed.name == metric);
        let unit = listed.and_then(|listed| listed.unit.as_deref());
        self.clean.iter().fold(unit, |unit, clean| match &clean.step {
            Step::Convert(convert) if clean.is_for(metric) => Some(&convert.unit),
            Step::Derive(derive) if derive.metric == metric => derive.unit.as_deref(),
            _ => unit,
        })
    }

    /// The names of all tags that a series of this stream can carry, sorted, without `metric`.
    pub fn tag_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .topics
            .iter()
            .flat_map(TopicPattern::names)
            .chain(self.tags.iter().map(|(name, _)| name.as_str()))
            .chain(self.fields.captures())
            .chain(self.format.tags().iter().copied())
            .filter(|name| *name != METRIC)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether its readings carry their own time.
    pub fn has_time(&self) -> bool {
        self.time.is_some() || self.format.has_time()
    }

    /// What `value` of the tag `name` is called here.
    pub fn renamed<'v>(&'v self, name: &str, value: &'v str) -> &'v str {
        let table = self.rename.binary_search_by(|(tag, _)| tag.as_str().cmp(name));
        let renamed = table.ok().and_then(|table| {
            let (_, table) = &self.rename[table];
            let at = table.binary_search_by(|(from, _)| from.as_str().cmp(value)).ok()?;
            Some(table[at].1.as_str())
        });
        renamed.unwrap_or(value)
    }
}

/// Where sensors say whether they are there, and in which words. Never read as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// Its tags, which the stream has too, say whose it is.
    pub topic: TopicPattern,
    /// The word for it.
    pub online: String,
    /// The word for not.
    pub offline: String,
    /// Where the word stands in a JSON document; `None`: the payload is the word.
    pub at: Option<Pointer>,
}

/// The topic capture that names the measurement.
pub const METRIC: &str = "metric";

/// Where a reading's own time is, and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimePlan {
    /// Where it stands in the document.
    pub at: Pointer,
    /// How it is written.
    pub format: TimeFormat,
}

/// How a time stamp is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The same without an offset, `2026-11-22T10:00:00.5` or with a blank for the `T`, on the clocks of a zone.
    Local {
        /// Its IANA name.
        zone: String,
    },
    /// By a pattern of `strftime`, with an offset in it or on the clocks of a zone.
    Pattern {
        /// The pattern.
        pattern: String,
        /// The zone's IANA name.
        zone: String,
    },
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
    pub step: Step,
    /// To which metrics; `None`: to all.
    pub metrics: Option<Vec<String>>,
}

impl CleanStep {
    /// Whether readings of `metric` go through it.
    pub fn is_for(&self, metric: &str) -> bool {
        self.metrics.as_ref().is_none_or(|metrics| metrics.iter().any(|name| name == metric))
    }
}
