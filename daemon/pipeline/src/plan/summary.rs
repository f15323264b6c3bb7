//! `[summaries.NAME]`: what to make of the readings.

use super::Kind;
use super::stream::StreamPlan;
use crate::aggregate::Aggregate;
use crate::expr::Expr;
use crate::limits::SAMPLES_MAX;
use crate::time::Span;
use crate::window::divisor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// How summaries are put into events.
    pub layout: Layout,
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

    /// Whether it folds `metric` of `stream`.
    pub fn chooses(&self, stream: u16, metric: &str) -> bool {
        self.streams.contains(&stream)
            && self.metrics.as_ref().is_none_or(|metrics| metrics.iter().any(|chosen| chosen == metric))
    }

    /// The metric as it stands in the names of its series: none where all of them are together.
    pub(crate) fn metric_of_key<'m>(&self, metric: &'m str) -> &'m str {
        match self.layout {
            Layout::Narrow => metric,
            Layout::Wide => "",
        }
    }

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

    /// How long after its end a window can take readings at all.
    pub fn horizon(&self) -> Span {
        Span(self.lateness.0.saturating_add(self.amend.0))
    }

    /// How old a reading can be at its arrival for a window to take it.
    pub fn reach(&self) -> Span {
        Span(self.horizon().0.saturating_add(self.window.length_max().0))
    }

    /// Whether windows of this definition can go on under `other`: what makes a key is the same.
    pub fn same_keys(&self, streams: &[StreamPlan], other: &SummaryPlan, others: &[StreamPlan]) -> bool {
        Keys::of(self, streams) == Keys::of(other, others)
    }
}

/// What of a summary stands in the keys of its windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    name: String,
    window: Window,
    layout: Layout,
    tags: Vec<String>,
}

impl Keys {
    /// Of `summary`, whose streams are among `streams`.
    pub fn of(summary: &SummaryPlan, streams: &[StreamPlan]) -> Keys {
        Keys {
            name: summary.name.clone(),
            window: summary.window.clone(),
            layout: summary.layout,
            tags: summary.key_tags(streams).into_iter().map(str::to_owned).collect(),
        }
    }
}

/// How summaries are put into events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// One event per series.
    #[default]
    Narrow,
    /// One event per device, with all its metrics.
    Wide,
}

/// How time is cut into windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Window {
    /// Back to back, aligned to 1970-01-01T00:00:00Z.
    Tumbling {
        /// The length of each.
        length: Span,
    },
    /// One of `length` begins every `every`, aligned to 1970-01-01T00:00:00Z: they overlap.
    Hopping {
        /// The length of each.
        length: Span,
        /// From the start of one to the start of the next; at most `length`.
        every: Span,
    },
    /// Hours, days, weeks or months of a place, right across changes of its clocks.
    Calendar {
        /// Which.
        unit: CalendarUnit,
        /// Name of the time zone in the IANA database.
        zone: String,
    },
    /// From the first reading after a silence of `gap` to the next such silence.
    Session {
        /// Readings further apart than this belong to different windows.
        gap: Span,
    },
    /// So many readings of a series, in the order of their time.
    Count {
        /// How many.
        readings: u32,
    },
    /// From a reading of which a condition holds to the next of which it does not, in the order of their time.
    State {
        /// Of one reading: its value and time.
        condition: Arc<Expr>,
    },
}

/// What a calendar is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CalendarUnit {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight: 23 or 25 hours long where clocks change.
    Day,
    /// From Monday to Sunday (ISO 8601).
    Week,
    /// From the first to the last.
    Month,
}

impl Default for Window {
    /// One minute.
    fn default() -> Window {
        Window::Tumbling { length: Span::from_secs(60) }
    }
}

impl Window {
    /// No window is longer; for sessions, the silence that ends them. Zero where length has no bound and windows are
    /// not amended.
    pub fn length_max(&self) -> Span {
        const DAY: i64 = 86_400;
        match self {
            Window::Tumbling { length } | Window::Hopping { length, .. } => *length,
            // Clocks change by an hour or two, and once or twice a place skipped a day.
            Window::Calendar { unit: CalendarUnit::Hour, .. } => Span::from_secs(3_600),
            Window::Calendar { unit: CalendarUnit::Day, .. } => Span::from_secs(2 * DAY),
            Window::Calendar { unit: CalendarUnit::Week, .. } => Span::from_secs(8 * DAY),
            Window::Calendar { unit: CalendarUnit::Month, .. } => Span::from_secs(32 * DAY),
            Window::Session { gap } => *gap,
            Window::Count { .. } | Window::State { .. } => Span::ZERO,
        }
    }

    /// How many panes a window is put together from.
    pub fn panes(&self) -> i64 {
        match self {
            Window::Hopping { length, every } => length.0 / divisor(length.0, every.0),
            _ => 1,
        }
    }

    /// Whether its windows end by what was read and not by time alone: they take readings in the order of time, and are
    /// not amended.
    pub fn is_sorted(&self) -> bool {
        matches!(self, Window::Count { .. } | Window::State { .. })
    }
}
