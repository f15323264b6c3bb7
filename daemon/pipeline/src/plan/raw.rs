//! `[raw.NAME]`: readings that are sent as they came.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// One `[raw.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RawPlan {
    /// The name in the configuration; the first part of every key.
    pub name: String,
    /// Of which streams.
    pub streams: Vec<u16>,
    /// Which metrics; `None`: all.
    pub metrics: Option<Vec<String>>,
    /// Whether those that were refused are sent, too.
    pub refused: bool,
    /// How long a reading waits for others at most.
    pub every: Span,
    /// To which outputs.
    pub to: Vec<u16>,
}

impl RawPlan {
    /// Whether it sends `metric` of the stream with this index. Where there is nobody to send to nothing is kept.
    pub fn sends(&self, stream: u16, metric: &str) -> bool {
        !self.to.is_empty()
            && self.streams.contains(&stream)
            && self.metrics.as_ref().is_none_or(|metrics| metrics.iter().any(|known| known == metric))
    }
}
