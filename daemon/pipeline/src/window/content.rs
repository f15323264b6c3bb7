//! What a window holds.

use super::Completeness;
use crate::aggregate::{Aggregate, Context, State};
use crate::fold::{Fate, Sample};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The content of a window: mergeable, open or closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// How complete.
    pub completeness: Completeness,
    /// By metric: one, or where the layout is wide as many as were read, by number.
    pub lanes: Vec<Lane>,
}

/// What a window holds of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Its place in the group's list of metrics; 0 in a group of one.
    pub metric: u16,
    /// The last reading before the window, where it is known: what a meter showed and a value was when it began.
    pub opening: Option<(Time, f64)>,
    /// For the aggregates.
    pub states: Box<[State]>,
}

/// What makes a new lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Template<'t> {
    pub(crate) metric: u16,
    pub(crate) wanted: &'t [Aggregate],
    pub(crate) samples_max: u32,
}

impl Content {
    /// Folds a reading in, or counts it where it is not counted.
    pub(crate) fn note(&mut self, sample: &Sample, template: Template<'_>) {
        let counts = &mut self.completeness;
        match sample.fate {
            Fate::Counted => {
                counts.received = counts.received.saturating_add(1);
                counts.gaps = counts.gaps.saturating_add(sample.gap);
                counts.backlog = counts.backlog.saturating_add(u32::from(sample.backlog));
                counts.flagged = counts.flagged.saturating_add(u32::from(sample.flagged));
                self.lane_mut(template).fold(sample.time, sample.value);
            }
            Fate::Duplicate => counts.duplicates = counts.duplicates.saturating_add(1),
            Fate::Rejected => counts.rejected = counts.rejected.saturating_add(1),
        }
    }

    fn lane_mut(&mut self, template: Template<'_>) -> &mut Lane {
        let place = match self.lanes.binary_search_by_key(&template.metric, |lane| lane.metric) {
            Ok(place) => place,
            Err(place) => {
                // Most windows have one lane, and there are many windows.
                self.lanes.reserve_exact(1);
                self.lanes.insert(place, Lane::empty(template));
                place
            }
        };
        &mut self.lanes[place]
    }

    /// What is held of a metric.
    pub fn lane(&self, metric: u16) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.metric == metric)
    }

    /// Folds in what came later.
    pub fn merge(&mut self, later: &Content) {
        self.completeness.merge(&later.completeness);
        for from in &later.lanes {
            match self.lanes.binary_search_by_key(&from.metric, |lane| lane.metric) {
                Ok(place) => self.lanes[place].merge(from),
                Err(place) => self.lanes.insert(place, from.clone()),
            }
        }
    }
}

impl Lane {
    fn empty(template: Template<'_>) -> Lane {
        Lane { metric: template.metric, ..Lane::new(template.wanted, template.samples_max) }
    }

    /// An empty lane for `wanted`. `samples_max`: how many readings are kept for those that depend on their order.
    pub fn new(wanted: &[Aggregate], samples_max: u32) -> Lane {
        Lane { metric: 0, opening: None, states: State::empty_for(wanted, samples_max) }
    }

    /// Folds one counted reading in. `value` is finite.
    pub fn fold(&mut self, time: Time, value: f64) {
        self.states.iter_mut().for_each(|state| state.fold(time, value));
    }

    /// Notes that the value is unknown from `time` until the next reading.
    pub fn break_at(&mut self, time: Time) {
        self.states.iter_mut().for_each(|state| state.break_at(time));
    }

    /// Whether something in it depends on what came before the window.
    pub(crate) fn is_ordered(&self) -> bool {
        self.states.iter().any(State::is_ordered)
    }

    /// The latest reading, where an aggregate keeps it: the opening value of the next window.
    pub fn last_sample(&self) -> Option<(Time, f64)> {
        self.states.iter().find_map(State::last_sample)
    }

    /// What aggregates are asked with, for a window from `start` to `end`.
    pub fn context(&self, start: Time, end: Time) -> Context {
        Context { start, end, opening: self.opening }
    }

    /// Folds in what came later. Where the definition changed in between, only what both parts know is known of the
    /// whole: an aggregate of some of its readings would be wrong.
    pub fn merge(&mut self, later: &Lane) {
        self.opening = match (self.opening, later.opening) {
            (Some(one), Some(other)) => Some(if other.0 < one.0 { other } else { one }),
            (one, other) => one.or(other),
        };
        let both = std::mem::take(&mut self.states).into_iter().filter_map(|mut state| {
            let from = later.states.iter().find(|from| from.is_like(&state))?;
            state.merge(from);
            Some(state)
        });
        self.states = both.collect();
    }
}
