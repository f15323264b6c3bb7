//! Readings: which series, which verdict.

use super::Step;
use super::message::Origin;
use crate::decode::{Found, Scalar};
use crate::dedupe::Mark;
use crate::entry::{Event, Reading};
use crate::fold::takes;
use crate::limits::{NAME_BYTES_MAX, SERIES_PER_ROUTE_MAX};
use crate::message::Trace;
use crate::pipeline::number;
use crate::plan::{Fields, StreamPlan};
use crate::route::RoutePart;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};

/// A reading found in a message, before it is decided on.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'c> {
    metric: &'c str,
    value: Result<f64, Reason>,
}

/// What the readings of one part have in common.
pub(super) struct Context<'c> {
    pub(super) tags: &'c [(String, String)],
    /// Whether the series may be remembered with the route.
    pub(super) cache: bool,
    pub(super) time: Result<Time, Reason>,
    /// A verdict that the whole message already has.
    pub(super) overruled: Option<Verdict>,
    pub(super) mark: Option<Mark>,
}

impl Step<'_> {
    pub(super) fn readings<'c>(
        &mut self,
        origin: &Origin<'_>,
        part: &mut RoutePart,
        candidates: impl Iterator<Item = Candidate<'c>> + Clone,
        context: &Context<'_>,
    ) {
        let overruled = match context.overruled {
            Some(Verdict::DeadLettered(reason)) if candidates.clone().next().is_some() => {
                let count = number(candidates.clone().count());
                Some(self.keep(origin, Some(part.stream), reason, "", count))
            }
            overruled => overruled,
        };
        // Series are made before the part is noted: their events stand before it in the entry.
        let mut resolved = std::mem::take(&mut self.core.resolved);
        resolved.extend(candidates.clone().map(|candidate| self.series(part, &candidate, context)));
        let known = resolved.iter().filter(|series| series.is_ok()).count();
        let gap = self.add_part(origin, context.mark, number(known));
        for (candidate, series) in candidates.zip(resolved.drain(..)) {
            let (raw, arrival) = (candidate.value.ok(), origin.message.arrival);
            let (verdict, value) = match (series, overruled) {
                (Ok(_), Some(verdict)) => (verdict, None),
                (Ok(series), None) => self.judge(series, context.time, candidate.value, arrival),
                (Err(reason), _) => (overruled.unwrap_or(Verdict::Rejected(reason)), None),
            };
            match series {
                Ok(series) => {
                    let time = context.time.unwrap_or(arrival);
                    let reading = Reading { series, time, value: raw.unwrap_or(f64::NAN), verdict };
                    self.changes.entry.readings.push(reading);
                    self.core.note_reading(&reading, value.unwrap_or(f64::NAN), gap, arrival);
                }
                Err(_) => self.event(Event::Account { verdict, count: 1 }),
            }
            self.trace_reading(origin, part, candidate.metric, context, (raw, value), verdict);
        }
        self.core.resolved = resolved;
    }

    /// The number of the series, made if it is new and there is room. Only what can be counted makes one: broken messages
    /// leave nothing behind.
    fn series(
        &mut self,
        part: &mut RoutePart,
        candidate: &Candidate<'_>,
        context: &Context<'_>,
    ) -> Result<u32, Reason> {
        let metric = candidate.metric;
        if context.cache
            && let Some((_, series)) = part.series.iter().find(|(known, _)| **known == *metric)
        {
            return Ok(*series);
        }
        if metric.len() > NAME_BYTES_MAX {
            return Err(Reason::NameTooLong);
        }
        self.core.name_series(part.stream, metric, context.tags);
        let known = self.core.series_index.get(self.core.name.as_str()).copied();
        let series = match known {
            Some(series) => series,
            None => {
                candidate.value.and(context.time)?;
                let room = self.core.state.series.len() < self.core.plan.series_max as usize;
                if !room || context.overruled.is_some() {
                    return Err(Reason::SeriesLimit);
                }
                let series = number(self.core.state.series.len());
                let (metric, tags) = (metric.to_owned(), context.tags.to_vec());
                self.event(Event::Series { stream: part.stream, metric, tags });
                series
            }
        };
        if context.cache && part.series.len() < SERIES_PER_ROUTE_MAX {
            part.series.push((metric.into(), series));
        }
        Ok(series)
    }

    /// The verdict, and the cleaned value where it is counted.
    fn judge(
        &self,
        series: u32,
        time: Result<Time, Reason>,
        value: Result<f64, Reason>,
        arrival: Time,
    ) -> (Verdict, Option<f64>) {
        let decide = || -> Result<Option<f64>, Reason> {
            let (value, time) = (value?, time?);
            let known = &self.core.state.series[series as usize];
            let again = known.times.as_ref().is_some_and(|times| times.contains(time));
            if again && self.retrying.is_none() {
                return Ok(None);
            }
            let cleaned = self.core.clean(series, value)?;
            let in_time = known.groups.is_empty()
                || known.groups.iter().any(|&at| {
                    let group = &self.core.state.groups[at as usize].group;
                    let summary = &self.core.plan.summaries[usize::from(group.summary)];
                    let cutter = &self.core.cutters[usize::from(group.summary)];
                    takes(cutter, summary, group, group.forgotten(self.core.state.forgotten), time, arrival)
                });
            if in_time { Ok(Some(cleaned)) } else { Err(Reason::TooLate) }
        };
        match decide() {
            Ok(Some(cleaned)) => (Verdict::Counted, Some(cleaned)),
            Ok(None) => (Verdict::Duplicate, None),
            Err(reason) => (Verdict::Rejected(reason), None),
        }
    }

    fn trace_reading(
        &mut self,
        origin: &Origin<'_>,
        part: &RoutePart,
        metric: &str,
        context: &Context<'_>,
        (raw, value): (Option<f64>, Option<f64>),
        verdict: Verdict,
    ) {
        let Some(traces) = &mut self.traces else { return };
        traces.push(Trace {
            topic: String::from_utf8_lossy(origin.message.topic).into_owned(),
            payload: origin.message.excerpt(),
            stream: Some(self.core.plan.streams[usize::from(part.stream)].name.clone()),
            metric: Some(metric.to_owned()),
            tags: context.tags.to_vec(),
            raw,
            value,
            time: context.time.ok(),
            verdict,
            detail: String::new(),
        });
    }
}

/// The readings that a decoded message carries, in the order of the plan and then of the document.
pub(super) fn candidates<'c>(
    stream: &'c StreamPlan,
    slots: &'c [usize],
    metric: Option<&'c str>,
    found: &'c Found<'_>,
) -> impl Iterator<Item = Candidate<'c>> + Clone {
    let at = |slot: usize| found.slots.get(slot).unwrap_or(&Scalar::Absent).value();
    let single = match &stream.fields {
        Fields::Value { metric: default, listed, rest, .. } => {
            let metric = metric.unwrap_or(default);
            let wanted = *rest || listed.iter().any(|plan| plan.name == metric);
            let slot = slots.first().filter(|_| wanted);
            slot.and_then(|&slot| Candidate::of(metric, at(slot)))
        }
        Fields::Leaves { .. } => None,
    };
    let listed = match &stream.fields {
        Fields::Value { .. } => &[],
        Fields::Leaves { listed, .. } => listed.as_slice(),
    };
    let named = listed.iter().zip(slots).filter_map(move |(plan, &slot)| Candidate::of(&plan.name, at(slot)));
    let rest = found.leaves.iter().map(|(name, value)| Candidate { metric: name, value: Ok(value) });
    single.into_iter().chain(named).chain(rest)
}

impl<'c> Candidate<'c> {
    /// A reading of `metric`, unless its place is empty.
    fn of(metric: &'c str, value: Result<Option<f64>, Reason>) -> Option<Candidate<'c>> {
        Some(Candidate { metric, value: value.transpose()? })
    }
}
