//! `[alerts.NAME]`: what to be told of at once.

use super::stream::StreamPlan;
use crate::expr::Expr;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// One `[alerts.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertPlan {
    /// The name in the configuration; the first part of every key.
    pub name: String,
    /// Which streams it watches.
    pub streams: Vec<u16>,
    /// Which metrics; `None`: all.
    pub metrics: Option<Vec<String>>,
    /// Which tags make one of its watches; `None`: all tags of its streams.
    pub by: Option<Vec<String>>,
    /// Raised while this holds …
    pub when: Option<Expr>,
    /// … and cleared when this does; `None`: when `when` does not.
    pub clear: Option<Expr>,
    /// How long `when` must hold.
    pub hold: Span,
    /// How long it is not raised again after it was cleared.
    pub cooldown: Span,
    /// Raised when nothing was heard for so long, or at once when the sensor is known to be offline.
    pub silent_for: Option<Span>,
    /// The raw readings from so long before a raise to so long after it are sent, too.
    pub capture: Option<Span>,
    /// To which outputs.
    pub to: Vec<u16>,
}

impl AlertPlan {
    /// Whether each metric is watched by itself. Where an alert is only about whether a sensor is there, and names no
    /// metric, any of them is a sign of life.
    pub fn by_metric(&self) -> bool {
        self.when.is_some() || self.metrics.is_some()
    }

    /// Whether it is raised when the sensor is known to be offline.
    pub fn minds_offline(&self) -> bool {
        self.silent_for.is_some()
    }

    /// Whether it watches `metric` of the stream with this index.
    pub fn watches(&self, stream: u16, metric: &str) -> bool {
        self.streams.contains(&stream)
            && self.metrics.as_ref().is_none_or(|metrics| metrics.iter().any(|known| known == metric))
    }

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

    /// Whether what this alert watches can go on under `other`: what makes a key is the same.
    pub fn same_keys(&self, streams: &[StreamPlan], other: &AlertPlan, others: &[StreamPlan]) -> bool {
        self.name == other.name
            && self.by_metric() == other.by_metric()
            && self.key_tags(streams) == other.key_tags(others)
    }
}
