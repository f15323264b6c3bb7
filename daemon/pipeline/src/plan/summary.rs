//! `[summaries.NAME]`: what to make of the readings.

use super::Kind;
use super::stream::StreamPlan;
use crate::aggregate::Aggregate;
use crate::limits::SAMPLES_MAX;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// One `[summaries.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// What is computed, in the order in which it is sent, of metrics that have no list of their own. Empty: what their kind
    /// chooses.
    pub aggregates: Vec<Aggregate>,
    /// Lists for single metrics.
    pub by_metric: Vec<(String, Vec<Aggregate>)>,
    /// How many readings a window keeps for what depends on their order; `None`: as many as the limit says.
    pub samples_max: Option<u32>,
    /// Whether events carry the mergeable state.
    pub state: bool,
    /// To which outputs.
    pub to: Vec<u16>,
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
    /// What is computed of `metric`, whose values are of `kind`.
    pub fn aggregates_for(&self, metric: &str, kind: Kind) -> &[Aggregate] {
        let own = self.by_metric.iter().find(|(name, _)| name == metric);
        match (own, self.aggregates.as_slice()) {
            (Some((_, list)), _) => list,
            (None, []) => Aggregate::defaults(kind),
            (None, list) => list,
        }
    }

    /// How many readings a window keeps for what depends on their order.
    pub fn samples_max(&self) -> u32 {
        self.samples_max.unwrap_or(SAMPLES_MAX)
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

impl Default for Window {
    /// One minute.
    fn default() -> Window {
        Window::Tumbling { length: Span::from_secs(60) }
    }
}
