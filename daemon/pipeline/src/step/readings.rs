//! Readings: which series, which verdict.

use super::Step;
use super::message::Origin;
use crate::decode::{Found, Scalar};
use crate::dedupe::Mark;
use crate::entry::{Event, Reading};
use crate::fold::takes;
use crate::limits::NAME_BYTES_MAX;
use crate::message::Trace;
use crate::pipeline::number;
use crate::plan::{Fields, StreamPlan};
use crate::route::RoutePart;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};

/// A reading found in a message, before it is decided on.
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
    pub(super) fn readings(
        &mut self,
        origin: &Origin<'_>,
        part: &mut RoutePart,
        candidates: Vec<Candidate<'_>>,
        context: &Context<'_>,
    ) {
        let count = candidates.len();
        let overruled = match context.overruled {
            Some(Verdict::DeadLettered(reason)) if count > 0 => {
                Some(self.keep(origin, Some(part.stream), reason, "", number(count)))
            }
            overruled => overruled,
        };
        let mut kept: Vec<(Reading, f64)> = Vec::with_capacity(count);
        // Series are made before the part is noted: their events stand before it in the entry.
        let mut without_series: Vec<(String, Verdict)> = Vec::new();
        for candidate in candidates {
            let known = self.series(part, candidate.metric, context);
            let (time, value) = (context.time.unwrap_or(origin.message.arrival), candidate.value);
            match known {
                Ok(series) => {
                    let (verdict, cleaned) = match overruled {
                        Some(verdict) => (verdict, f64::NAN),
                        None => self.judge(series, context.time, value, origin.message.arrival),
                    };
                    kept.push((Reading { series, time, value: value.unwrap_or(f64::NAN), verdict }, cleaned));
                }
                Err(reason) => {
                    let verdict = overruled.unwrap_or(Verdict::Rejected(reason));
                    without_series.push((candidate.metric.to_owned(), verdict));
                }
            }
        }
        let gap = self.add_part(origin, context.mark, number(kept.len()));
        for (metric, verdict) in without_series {
            self.event(Event::Account { verdict, count: 1 });
            self.trace_reading(origin, part, &metric, context, (None, None), verdict);
        }
        for (reading, cleaned) in kept {
            self.changes.entry.readings.push(reading);
            self.core.note_reading(&reading, cleaned, gap, origin.message.arrival);
            if self.traces.is_some() {
                let metric = self.core.state.series[reading.series as usize].metric.clone();
                let values = (Some(reading.value), Some(cleaned));
                self.trace_reading(origin, part, &metric, context, values, reading.verdict);
            }
        }
    }

    /// The number of the series, made if it is new and there is room.
    fn series(&mut self, part: &mut RoutePart, metric: &str, context: &Context<'_>) -> Result<u32, Reason> {
        if context.cache
            && let Some((_, series)) = part.series.iter().find(|(known, _)| **known == *metric)
        {
            return Ok(*series);
        }
        if metric.len() > NAME_BYTES_MAX {
            return Err(Reason::NameTooLong);
        }
        self.core.name_series(part.stream, metric, context.tags);
        let series = match self.core.series_index.get(self.core.name.as_str()) {
            Some(&series) => series,
            // Only what can be counted makes a series: broken messages leave nothing behind.
            None if context.overruled.is_some() => return Err(Reason::SeriesLimit),
            None if self.core.state.series.len() >= self.core.plan.series_max as usize => {
                return Err(Reason::SeriesLimit);
            }
            None => {
                let series = number(self.core.state.series.len());
                let (metric, tags) = (metric.to_owned(), context.tags.to_vec());
                self.event(Event::Series { stream: part.stream, metric, tags });
                series
            }
        };
        if context.cache {
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
    ) -> (Verdict, f64) {
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
                    takes(summary, group, self.core.state.forgotten, time, arrival)
                });
            if in_time { Ok(Some(cleaned)) } else { Err(Reason::TooLate) }
        };
        match decide() {
            Ok(Some(cleaned)) => (Verdict::Counted, cleaned),
            Ok(None) => (Verdict::Duplicate, f64::NAN),
            Err(reason) => (Verdict::Rejected(reason), f64::NAN),
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
            raw: raw.filter(|raw| !raw.is_nan()),
            value: value.filter(|value| !value.is_nan()),
            time: context.time.ok(),
            verdict,
            detail: String::new(),
        });
    }
}

/// The readings that a decoded message carries, in the order of the plan and then of the document.
pub(super) fn candidates<'c>(
    stream: &'c StreamPlan,
    slots: &[usize],
    metric: Option<&'c str>,
    found: &'c Found<'_>,
) -> Vec<Candidate<'c>> {
    let at = |slot: usize| found.slots.get(slot).unwrap_or(&Scalar::Absent).value();
    let present = |metric: &'c str, value: Result<Option<f64>, Reason>| match value {
        Ok(None) => None,
        Ok(Some(value)) => Some(Candidate { metric, value: Ok(value) }),
        Err(reason) => Some(Candidate { metric, value: Err(reason) }),
    };
    match &stream.fields {
        Fields::Value { metric: default, listed, rest, .. } => {
            let metric = metric.unwrap_or(default);
            let wanted = *rest || listed.iter().any(|plan| plan.name == metric);
            let value = slots.first().map_or(Ok(None), |&slot| at(slot));
            wanted.then(|| present(metric, value)).flatten().into_iter().collect()
        }
        Fields::Leaves { listed, .. } => {
            let named = listed.iter().zip(slots).filter_map(|(plan, &slot)| present(&plan.name, at(slot)));
            let rest = found.leaves.iter().map(|(name, value)| Candidate { metric: name, value: Ok(value) });
            named.chain(rest).collect()
        }
    }
}
