//! The plan: what the configuration means, compiled to what the pipeline needs. Data only.
//!
//! It is stored with each checkpoint, so that a replay runs under the configuration that made the journal. Every
//! type here is therefore part of the store's format: see `docs/store.md` before changing one.

mod alert;
mod fields;
mod format;
mod raw;
mod stream;
mod summary;

pub use alert::AlertPlan;
pub use fields::{Fields, Kind, MetricPlan, Pointer, PointerPattern, Token};
pub use format::{Csv, Format};
pub use raw::RawPlan;
pub use stream::{
    Availability, CleanStep, METRIC, Retained, StreamPlan, TagPlan, TickPlaces, TicksPlan, TimeFormat,
    TimePlan, Unique,
};
pub use summary::{CalendarUnit, Keys, Layout, SummaryPlan, Window};

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Everything the pipeline needs to know. Indices (`u16`) point into the vectors of this struct.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// CloudEvents `source`: `/gateways/<id>/<store name>`.
    pub source: String,
    /// Names of the sources, in the order of the file.
    pub sources: Vec<String>,
    /// Sources whose backlog is rejected where readings are stamped on arrival: it would be stamped wrongly.
    pub rejects_backlog: Vec<u16>,
    /// What to listen to and how to read it.
    pub streams: Vec<StreamPlan>,
    /// What to make of it.
    pub summaries: Vec<SummaryPlan>,
    /// What to be told of at once.
    pub alerts: Vec<AlertPlan>,
    /// Names of the outputs, in the order of the file.
    pub outputs: Vec<String>,
    /// A reading whose time is later than now by more than this is rejected (`future`).
    pub max_future: Span,
    /// How long inputs are held while nobody vouches for the clock; `None`: it is believed as it is.
    pub hold_max: Option<Span>,
    /// IANA name of the zone of local time stamps and calendar windows; known to jiff's bundled database.
    pub timezone: String,
    /// At this many series new ones are rejected (`series_limit`), old ones never evicted.
    pub series_max: u32,
    /// What to send as it came. A checkpoint keeps it behind the rest: see [`crate::checkpoint`].
    #[serde(skip)]
    pub raw: Vec<RawPlan>,
}

impl Plan {
    /// What the values of `metric` are in `summary`: as the first of its streams says that lists it.
    pub fn kind_of(&self, summary: &SummaryPlan, metric: &str) -> Kind {
        let streams = summary.streams.iter().filter_map(|&at| self.streams.get(usize::from(at)));
        let mut listed = streams.flat_map(|stream| stream.fields.listed());
        listed.find(|plan| plan.name == metric).map(|plan| plan.kind).unwrap_or_default()
    }

    /// Whether a source that `summary` gets readings from is `held`.
    pub fn is_held(&self, summary: &SummaryPlan, held: &dyn Fn(u16) -> bool) -> bool {
        let sources = summary.streams.iter().flat_map(|&at| &self.streams[usize::from(at)].sources);
        sources.into_iter().any(|&source| held(source))
    }

    /// The names of these streams, joined by commas.
    pub fn stream_names(&self, streams: &[u16]) -> String {
        let names: Vec<_> = streams.iter().map(|&s| self.streams[usize::from(s)].name.as_str()).collect();
        names.join(",")
    }

    /// The unit of `metric` in these streams, where the configuration names one.
    pub fn unit(&self, streams: &[u16], metric: &str) -> Option<&str> {
        streams.iter().find_map(|&s| self.streams[usize::from(s)].unit_of(metric))
    }
}
