//! What is said of every window of a group besides what it holds: enough to render one without the plan that made it.
//!
//! The store keeps one per group that has closed windows, so that windows which wait there can be merged though their
//! series is forgotten, or the configuration has changed.

use crate::aggregate::Aggregate;
use crate::event::{escape, tags_of_subject};
use crate::plan::{CalendarUnit, Layout, Plan, SummaryPlan, Window};
use crate::series::Group;
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};

/// Everything that the events of one group have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// CloudEvents `source`.
    pub source: String,
    /// Name of the summary.
    pub summary: String,
    /// `summary/metric/tags`, each part percent-encoded.
    pub subject: String,
    /// Names of the streams that report to it, joined by commas.
    pub stream: String,
    /// What is measured; `None` where the layout is wide.
    pub metric: Option<String>,
    /// Those that the series has, by name.
    pub tags: Vec<(String, String)>,
    /// By number of the metric; one where the layout is narrow.
    pub lanes: Vec<LaneDefinition>,
    /// How often its streams should report, and how many series do; where that is known and windows end by time.
    pub expected: Option<(Span, u32)>,
    /// The clock epoch of windows made while the time was not known.
    pub epoch: Option<u32>,
    /// Whether events carry the mergeable state.
    pub state: bool,
    /// How its windows follow each other.
    pub cut: Cut,
}

/// What is told of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaneDefinition {
    /// Its name.
    pub metric: String,
    /// Where the configuration names one.
    pub unit: Option<String>,
    /// What is computed, in the order in which it is told.
    pub wanted: Vec<Aggregate>,
}

/// How windows follow each other, as far as their names and merging depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// Back to back, each about as long as this: tumbling and calendar windows.
    Adjacent(Span),
    /// Overlapping: one of `length` begins every `every`.
    Overlapping {
        /// The length of each.
        length: Span,
        /// From the start of one to the start of the next.
        every: Span,
    },
    /// Sessions: where one ends can still change.
    #[default]
    Sessions,
    /// Numbered: so many readings each.
    Numbered,
    /// While a condition holds.
    States,
}

impl Definition {
    pub(crate) fn of(plan: &Plan, group: &Group) -> Definition {
        let summary = &plan.summaries[usize::from(group.summary)];
        let narrow = summary.layout == Layout::Narrow;
        let metrics = if narrow { std::slice::from_ref(&group.metric) } else { &group.metrics };
        let lane = |metric: &String| LaneDefinition {
            metric: metric.clone(),
            unit: plan.unit(&group.streams, metric).map(str::to_owned),
            wanted: group.template(plan, metric).wanted.to_vec(),
        };
        let names = summary.key_tags(&plan.streams);
        let tags = names.iter().zip(&group.tags);
        let cut = Cut::of(&summary.window);
        let every = group.streams.iter().map(|&at| plan.streams[usize::from(at)].expected_every).min();
        let members = crate::pipeline::number(group.members.len());
        Definition {
            source: plan.source.clone(),
            summary: summary.name.clone(),
            subject: subject(summary, group),
            stream: plan.stream_names(&group.streams),
            metric: narrow.then(|| group.metric.clone()),
            tags: tags.filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))).collect(),
            lanes: metrics.iter().map(lane).collect(),
            expected: every.flatten().filter(|_| cut.ends_by_time()).map(|every| (every, members)),
            epoch: group.epoch,
            state: summary.state,
            cut,
        }
    }

    /// The key of a window: what never changes in the names of its events. `ordinal`: which one it is, where they are
    /// numbered.
    pub(crate) fn key(&self, start: Time, end: Time, ordinal: Option<u64>) -> String {
        let subject = match self.epoch {
            Some(epoch) => format!("{}/u{epoch}", self.subject),
            None => self.subject.clone(),
        };
        match (self.cut, ordinal) {
            // The number alone would come again: a series that was forgotten, or whose summary was another for a while, begins
            // at one.
            (Cut::Numbered, Some(ordinal)) => format!("{subject}/{}/count{ordinal}", start.rfc3339()),
            (Cut::States, _) => format!("{subject}/{}/state", start.rfc3339()),
            // Where it ends can still change.
            (Cut::Sessions, _) => format!("{subject}/{}/session", start.rfc3339()),
            _ => format!("{subject}/{}/{}", start.rfc3339(), end.since(start).key()),
        }
    }

    /// How many readings a window should have, where all its streams say how often they report. Nobody expects one of a
    /// sensor that is `offline`, in seconds.
    pub(crate) fn expected(&self, start: Time, end: Time, offline: u32) -> Option<u64> {
        let (every, members) = self.expected?;
        let each = u64::try_from(end.since(start).0 / every.0.max(1)).ok()?;
        let missing = i64::from(offline).saturating_mul(1_000_000) / every.0.max(1);
        Some((each * u64::from(members)).saturating_sub(missing.unsigned_abs()))
    }

    /// What is told of a metric, by its number.
    pub(crate) fn lane(&self, metric: u16) -> Option<&LaneDefinition> {
        self.lanes.get(usize::from(metric))
    }

    /// Whether events hold all metrics of a device.
    pub(crate) fn is_wide(&self) -> bool {
        self.metric.is_none()
    }
}

impl Cut {
    fn of(window: &Window) -> Cut {
        const DAY: i64 = 86_400;
        match window {
            Window::Tumbling { length } => Cut::Adjacent(*length),
            Window::Calendar { unit, .. } => Cut::Adjacent(Span::from_secs(match unit {
                CalendarUnit::Hour => 3_600,
                CalendarUnit::Day => DAY,
                CalendarUnit::Week => 7 * DAY,
                CalendarUnit::Month => 30 * DAY,
            })),
            Window::Hopping { length, every } => Cut::Overlapping { length: *length, every: *every },
            Window::Session { .. } => Cut::Sessions,
            Window::Count { .. } => Cut::Numbered,
            Window::State { .. } => Cut::States,
        }
    }

    /// Whether windows end by time, and not by what was read.
    pub(crate) fn ends_by_time(self) -> bool {
        matches!(self, Cut::Adjacent(_) | Cut::Overlapping { .. })
    }
}

fn subject(summary: &SummaryPlan, group: &Group) -> String {
    let mut subject = String::new();
    escape(&mut subject, &summary.name);
    subject.push('/');
    match summary.layout {
        Layout::Narrow => escape(&mut subject, &group.metric),
        // No metric is written so.
        Layout::Wide => subject.push('*'),
    }
    tags_of_subject(&mut subject, &group.tags);
    subject
}
