//! The plan: what the configuration means, compiled to what the pipeline needs. Data only.
//!
//! It is stored with each checkpoint, so that a replay runs under the configuration that made the journal. Every
//! type here is therefore part of the store's format: see `docs/store.md` before changing one.

mod alert;
mod fields;
mod stream;
mod summary;

pub use alert::AlertPlan;
pub use fields::{Fields, MetricPlan, Pointer};
pub use stream::{CleanStep, Format, METRIC, Retained, StreamPlan, TagPlan, TimeFormat, TimePlan, Unique};
pub use summary::{SummaryPlan, Window};

use crate::time::Span;
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
    /// What to be told of at once.
    pub alerts: Vec<AlertPlan>,
    /// Names of the outputs, in the order of the file.
    pub outputs: Vec<String>,
    /// A reading whose time is later than now by more than this is rejected (`future`).
    pub max_future: Span,
    /// At this many series new ones are rejected (`series_limit`), old ones never evicted.
    pub series_max: u32,
}

impl Plan {
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
        let listed = streams.iter().flat_map(|&s| self.streams[usize::from(s)].fields.listed());
        listed
            .into_iter()
            .find_map(|listed| (listed.name == metric).then_some(listed.unit.as_deref()).flatten())
    }
}
