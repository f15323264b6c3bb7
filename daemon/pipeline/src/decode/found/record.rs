//! One record of a message, and the readings in it.

use super::super::shape::Goal;
use super::super::{Scalar, Shape};
use super::{End, Found, Texts};
use crate::plan::{Fields, MetricPlan, PointerPattern, StreamPlan};
use crate::time::Time;
use crate::verdict::Reason;

/// One record of a message: values that have time, number and tags in common.
#[derive(Clone, Copy, Debug)]
pub struct Record<'f, 'p> {
    pub(super) found: &'f Found<'p>,
    pub(super) shape: &'f Shape,
    pub(super) index: usize,
    pub(super) start: End,
    pub(super) end: End,
}

/// A reading found in a message, before it is decided on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'c> {
    pub(crate) metric: &'c str,
    pub(crate) value: Result<f64, Reason>,
    pub(crate) captured: Captured<'c>,
}

/// Tags that one reading has beyond those of its record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Captured<'c>(Option<(&'c PointerPattern, &'c Texts, usize)>);

impl<'c> Captured<'c> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'c str, &'c str)> + use<'c> {
        self.0.into_iter().flat_map(|(pattern, texts, first)| {
            pattern.captures().zip(first..).map(move |(name, at)| (name, texts.get(at)))
        })
    }
}

impl<'f, 'p> Record<'f, 'p> {
    /// What stands in `slot` of this record itself.
    pub fn own(&self, slot: usize) -> &'f Scalar<'p> {
        self.found.slots.get(self.index * self.shape.slots() + slot).unwrap_or(&Scalar::Absent)
    }

    /// What stands in `slot` of this record, or else of the message around it.
    pub fn slot(&self, slot: usize) -> &'f Scalar<'p> {
        match self.own(slot) {
            Scalar::Absent => self.found.outer.get(slot).unwrap_or(&Scalar::Absent),
            own => own,
        }
    }

    /// Whether something stands in `slot` of this record itself.
    pub fn has_own(&self, slot: usize) -> bool {
        *self.own(slot) != Scalar::Absent
    }

    /// The time that the format gives it.
    pub fn time(&self) -> Option<Result<Time, Reason>> {
        self.end.time
    }

    /// The tags that the format gives it.
    pub fn tags(&self) -> impl Iterator<Item = (&'static str, &'f str)> + use<'f> {
        let found: &'f Found<'_> = self.found;
        let (tags, values) = (&found.tags, &found.tag_values);
        (self.start.tags..self.end.tags).map(move |at| (tags[at], values.get(at)))
    }

    /// Its readings, in the order of the plan and then of the document. `metric` is that of the topic.
    pub(crate) fn candidates(
        &self,
        stream: &'f StreamPlan,
        metric: Option<&'f str>,
    ) -> impl Iterator<Item = Candidate<'f>> + Clone + use<'f, 'p> {
        let (record, shape) = (*self, self.shape);
        let value = move |metric: &str, slot: usize| shape.value(metric, record.own(slot));
        let single = match &stream.fields {
            Fields::Value { metric: default, listed, rest, .. } => {
                let metric = metric.unwrap_or(default);
                let wanted = *rest || listed.iter().any(|plan| plan.name == metric);
                let slot = shape.single.filter(|_| wanted);
                slot.and_then(|slot| Candidate::of(metric, value(metric, slot)))
            }
            Fields::Leaves { .. } => None,
        };
        let listed = match &stream.fields {
            Fields::Value { .. } => &[],
            Fields::Leaves { listed, .. } => listed.as_slice(),
        };
        let named = listed.iter().zip(&shape.values);
        let named =
            named.filter_map(move |(plan, slot)| Candidate::of(&plan.name, value(&plan.name, (*slot)?)));
        single.into_iter().chain(named).chain(self.matches(listed)).chain(self.leaves())
    }

    fn matches(&self, listed: &'f [MetricPlan]) -> impl Iterator<Item = Candidate<'f>> + Clone + use<'f, 'p> {
        let found: &'f Found<'p> = self.found;
        let matches = &found.matches[self.start.matches..self.end.matches];
        matches.iter().scan(self.start.captured, move |first, (metric, value)| {
            let plan = &listed[usize::from(*metric)];
            let captured = plan.at.as_ref().map(|pattern| (pattern, &found.captured, *first));
            *first += plan.at.as_ref().map_or(0, |pattern| pattern.captures().count());
            Some(Candidate { metric: &plan.name, value: *value, captured: Captured(captured) })
        })
    }

    fn leaves(&self) -> impl Iterator<Item = Candidate<'f>> + Clone + use<'f, 'p> {
        let found: &'f Found<'p> = self.found;
        (self.start.leaves..self.end.leaves).map(move |at| Candidate {
            metric: found.names.get(at),
            value: found.values[at],
            captured: Captured::default(),
        })
    }
}

impl<'c> Candidate<'c> {
    /// A reading that no message holds.
    pub(crate) fn derived(metric: &'c str, value: f64) -> Candidate<'c> {
        Candidate { metric, value: Ok(value), captured: Captured::default() }
    }

    /// A reading of `metric`, unless its place is empty.
    fn of(metric: &'c str, value: Result<Option<f64>, Reason>) -> Option<Candidate<'c>> {
        Some(Candidate { metric, value: value.transpose()?, captured: Captured::default() })
    }
}

/// Where a value goes, and the record that it belongs to.
pub(in super::super) fn keep_match(
    shape: &Shape,
    goal: Goal,
    scalar: &Scalar<'_>,
) -> Option<(u16, Result<f64, Reason>)> {
    let Goal::Match { metric, loose } = goal else { return None };
    match shape.value_of_listed(metric, scalar) {
        Ok(Some(value)) => Some((metric, Ok(value))),
        Err(reason) if !loose || reason == Reason::NotFinite => Some((metric, Err(reason))),
        _ => None,
    }
}
