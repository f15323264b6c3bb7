//! One record of a message: its time, its tags, its number.

use super::Step;
use super::message::Origin;
use super::number::Numbered;
use super::readings::Context;
use crate::decode::{Found, Record, Shape};
use crate::dedupe::Seen;
use crate::entry::Event;
use crate::limits::NAME_BYTES_MAX;
use crate::pipeline::number;
use crate::plan::{Retained, StreamPlan, Unique};
use crate::route::RoutePart;
use crate::tags::Tags;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use std::sync::Arc;

impl Step<'_> {
    /// All records of a message that was decoded.
    pub(super) fn decoded(&mut self, origin: &mut Origin<'_>, part: &mut RoutePart, found: &Found<'_>) {
        let (plan, shapes) = (Arc::clone(&self.core.plan), Arc::clone(&self.core.shapes));
        let stream = &plan.streams[usize::from(part.stream)];
        let shape = &shapes[usize::from(part.stream)];
        if let Some(change) = &found.change
            && !origin.cancelled
            && self.retrying.is_none()
            && self.core.state.births.is_news(change)
        {
            self.event(Event::Sparkplug(change.clone()));
        }
        let latest = self.arrived_before(origin.message.arrival).plus(plan.max_future);
        let metric = part.metric.take();
        let mut tags = std::mem::take(&mut self.core.tags);
        let from_topic = std::mem::take(&mut part.tags);
        // What the whole message said of its number, and became for it.
        let mut common: Option<Option<Verdict>> = None;
        let mut told = None;
        for record in found.records(shape) {
            let cache = shape.tags.is_empty() && record.tags().next().is_none();
            let tags =
                if cache { &from_topic } else { all_tags(&mut tags, &from_topic, stream, shape, &record) };
            let time = match &stream.ticks {
                Some(ticks) if !is_unwanted(origin, stream) => {
                    self.time_by_uptime(origin, part.stream, ticks, tags, (found, &record), &mut told)
                }
                _ => record_time(&record, shape, origin.message.arrival),
            };
            let time = time.and_then(|time| if time > latest { Err(Reason::Future) } else { Ok(time) });
            let own = shape.sequence.is_some_and(|slot| record.has_own(slot)) || record.numbered().is_some();
            let (overruled, mark) = match common {
                Some(verdict) if !own => (verdict, None),
                _ => {
                    let numbered = self.numbered(origin, part, stream, tags, &record, found);
                    let verdict = overruled(origin, stream, numbered).or_else(|| {
                        let stamped =
                            record.time().is_none() && shape.time.is_none() && stream.ticks.is_none();
                        let unwanted = stamped && self.rejects_backlog(origin.message.source);
                        unwanted.then_some(Verdict::Rejected(Reason::Backlog))
                    });
                    let verdict = match verdict {
                        // Its bytes are the whole message: they are kept only where all of it has this verdict.
                        Some(Verdict::DeadLettered(reason)) if !own || found.len() == 1 => {
                            let all = found.records(shape);
                            let count =
                                all.map(|record| record.candidates(stream, metric.as_deref()).count()).sum();
                            (count > 0)
                                .then(|| self.keep(origin, Some(part.stream), reason, "", number(count)))
                        }
                        Some(Verdict::DeadLettered(reason)) => Some(Verdict::Rejected(reason)),
                        verdict => verdict,
                    };
                    if !own {
                        common = Some(verdict);
                    }
                    (verdict, numbered.mark())
                }
            };
            let long = record.tags().any(|(_, value)| value.len() > NAME_BYTES_MAX);
            let overruled = overruled.or(long.then_some(Verdict::Rejected(Reason::NameTooLong)));
            let candidates = record.candidates(stream, metric.as_deref());
            self.core.cleaned.clear();
            let context = Context { tags, cache, time, overruled, mark };
            self.readings(origin, part, candidates, &context);
            // The fingerprint goes into one part of the message only.
            origin.print = None;
            self.derive(origin, part, stream, &context);
        }
        self.tell_health(told, found);
        part.metric = metric;
        part.tags = from_topic;
        self.core.tags = tags;
    }

    /// What the record's number says, where numbers matter.
    fn numbered(
        &mut self,
        origin: &Origin<'_>,
        part: &mut RoutePart,
        stream: &StreamPlan,
        tags: &[(String, String)],
        record: &Record<'_, '_>,
        found: &Found<'_>,
    ) -> Numbered {
        let cycle = found.cycle.as_ref();
        // A number that only shows gaps says nothing in a message that came again.
        let again = origin.cancelled && cycle.is_some();
        if is_unwanted(origin, stream) || self.retrying.is_some() || again {
            return Numbered::No;
        }
        self.number(origin, part, &stream.unique, tags, record, (cycle, found.sent.as_ref()))
    }

    /// Whether the source is delivering what waited for us, and nobody wants that stamped with the time of now.
    fn rejects_backlog(&self, source: u16) -> bool {
        let state = self.core.state.sources.get(usize::from(source));
        state.is_some_and(|state| state.backlog) && self.core.plan.rejects_backlog.contains(&source)
    }
}

/// Replayed by the broker at subscription, and not to be counted.
pub(super) fn is_unwanted(origin: &Origin<'_>, stream: &StreamPlan) -> bool {
    origin.message.retained && stream.retained != Retained::Count
}

/// The verdict that all readings of a record have, whatever they are.
fn overruled(origin: &Origin<'_>, stream: &StreamPlan, numbered: Numbered) -> Option<Verdict> {
    match numbered {
        _ if is_unwanted(origin, stream) => Some(Verdict::Rejected(Reason::Retained)),
        _ if origin.cancelled && stream.unique == Unique::Content => Some(Verdict::Duplicate),
        Numbered::Unreadable => Some(Verdict::Rejected(Reason::BadSequence)),
        Numbered::Full => Some(Verdict::Rejected(Reason::SeriesLimit)),
        Numbered::Yes(_, Seen::Before) => Some(Verdict::Duplicate),
        Numbered::Yes(_, Seen::TooOld) => Some(Verdict::DeadLettered(Reason::SequenceTooOld)),
        Numbered::Yes(_, Seen::New { .. }) | Numbered::No => None,
    }
}

/// The time that the format or the stream's `time` gives it, else that of its arrival.
fn record_time(record: &Record<'_, '_>, shape: &Shape, arrival: Time) -> Result<Time, Reason> {
    match (record.time(), &shape.time) {
        (Some(time), _) => time,
        (None, Some((slot, stamp))) => stamp.read(record.slot(*slot)).ok_or(Reason::BadTime),
        (None, None) => Ok(arrival),
    }
}

/// The tags from topic and payload, sorted by name.
fn all_tags<'t>(
    tags: &'t mut Tags,
    from_topic: &[(String, String)],
    stream: &StreamPlan,
    shape: &Shape,
    record: &Record<'_, '_>,
) -> &'t [(String, String)] {
    tags.clear();
    tags.extend(from_topic);
    for (name, slot) in &shape.tags {
        if let Some(value) = record.slot(*slot).tag() {
            tags.push(name, stream.renamed(name, &value));
        }
    }
    for (name, value) in record.tags() {
        tags.push_whole(name, stream.renamed(name, value));
    }
    tags.sorted()
}
