//! Readings: which series, which verdict.

use super::Step;
use super::message::Origin;
use crate::decode::Candidate;
use crate::dedupe::Mark;
use crate::entry::{Event, Reading};
use crate::fold::takes;
use crate::limits::{NAME_BYTES_MAX, SERIES_PER_ROUTE_MAX};
use crate::message::Trace;
use crate::pipeline::number;
use crate::route::RoutePart;
use crate::tags::Tags;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};

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
        let overruled = context.overruled;
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
                    self.watch_reading(&reading, value, arrival);
                    self.changes.entry.readings.push(reading);
                    self.core.note_reading(&reading, value.unwrap_or(f64::NAN), gap, arrival);
                    self.core.cleaned.extend(value.map(|value| (series, value)));
                }
                Err(_) => {
                    self.event(Event::Account { verdict, count: 1 });
                    self.decided_without_series(verdict);
                }
            }
            self.trace_reading(origin, part, &candidate, context, (raw, value), verdict);
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
        let (metric, stream) = (candidate.metric, part.stream);
        let cache = context.cache && candidate.captured.is_empty();
        if cache && let Some((_, series)) = part.series.iter().find(|(known, _)| **known == *metric) {
            return Ok(*series);
        }
        if metric.len() > NAME_BYTES_MAX {
            return Err(Reason::NameTooLong);
        }
        let mut merged = std::mem::take(&mut self.core.merged);
        let tags = self.tags_of(&mut merged, stream, candidate, context);
        let series = self.named_series(stream, candidate, tags, context);
        self.core.merged = merged;
        let series = series?;
        if cache && part.series.len() < SERIES_PER_ROUTE_MAX {
            if part.series.is_empty() {
                part.series.reserve_exact(1);
            }
            part.series.push((metric.into(), series));
        }
        Ok(series)
    }

    /// The tags of one reading: those of its record, and what its captures took.
    fn tags_of<'t>(
        &self,
        merged: &'t mut Tags,
        stream: u16,
        candidate: &Candidate<'_>,
        context: &Context<'t>,
    ) -> &'t [(String, String)] {
        if candidate.captured.is_empty() {
            return context.tags;
        }
        merged.clear();
        merged.extend(context.tags);
        let stream = &self.core.plan.streams[usize::from(stream)];
        for (name, value) in candidate.captured.iter() {
            merged.push(name, stream.renamed(name, value));
        }
        merged.sorted()
    }

    fn named_series(
        &mut self,
        stream: u16,
        candidate: &Candidate<'_>,
        tags: &[(String, String)],
        context: &Context<'_>,
    ) -> Result<u32, Reason> {
        let metric = candidate.metric;
        self.core.name_series(stream, metric, tags);
        let known = self.core.series_index.get(self.core.name.as_str()).copied();
        if let Some(series) = known {
            return Ok(series);
        }
        candidate.value.and(context.time)?;
        let room = self.core.series() < self.core.plan.series_max as usize
            && self.core.has_room_for(stream, metric, tags);
        let retained = context.overruled == Some(Verdict::Rejected(Reason::Retained));
        let unwanted = context.overruled.is_some() && !(retained && self.core.seeds(stream, metric));
        if !room || unwanted {
            return Err(Reason::SeriesLimit);
        }
        let series = self.core.next_series();
        let (metric, tags) = (metric.to_owned(), tags.to_vec());
        self.event(Event::Series { stream, metric, tags });
        Ok(series)
    }

    /// The verdict, and the cleaned value where it is counted. Cleaning comes last: a reading that the steps did not see
    /// must show as such in the journal (see [`crate::clean`]).
    fn judge(
        &mut self,
        series: u32,
        time: Result<Time, Reason>,
        value: Result<f64, Reason>,
        arrival: Time,
    ) -> (Verdict, Option<f64>) {
        let mut decide = || -> Result<Option<f64>, Reason> {
            let (value, time) = (value?, time?);
            let known = &self.core.state.series[series as usize];
            let again = known.times.as_ref().is_some_and(|times| times.contains(time));
            if again && self.retrying.is_none() {
                return Ok(None);
            }
            let in_time = known.groups.is_empty()
                || known.groups.iter().any(|&at| {
                    let group = &self.core.state.groups[at as usize].group;
                    let summary = &self.core.plan.summaries[usize::from(group.summary)];
                    let cutter = &self.core.cutters[usize::from(group.summary)];
                    takes(cutter, summary, group, group.forgotten(self.core.state.forgotten), time, arrival)
                });
            if in_time { self.core.clean(series, value, time).map(Some) } else { Err(Reason::TooLate) }
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
        candidate: &Candidate<'_>,
        context: &Context<'_>,
        (raw, value): (Option<f64>, Option<f64>),
        verdict: Verdict,
    ) {
        if self.traces.is_none() {
            return;
        }
        let mut merged = Tags::default();
        let tags = self.tags_of(&mut merged, part.stream, candidate, context).to_vec();
        let Some(traces) = &mut self.traces else { return };
        traces.push(Trace {
            topic: String::from_utf8_lossy(origin.message.topic).into_owned(),
            payload: origin.message.excerpt(),
            stream: Some(self.core.plan.streams[usize::from(part.stream)].name.clone()),
            metric: Some(candidate.metric.to_owned()),
            tags,
            raw,
            value,
            time: context.time.ok(),
            verdict,
            detail: String::new(),
        });
    }
}
