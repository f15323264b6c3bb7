//! One message: its streams, its bytes, and what to do where they cannot be read.

use super::Step;
use crate::decode::{DecodeError, Input};
use crate::dedupe::{Mark, content};
use crate::entry::{Event, Part};
use crate::limits::{DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_PER_STEP_MAX};
use crate::message::{DeadLetter, Message, Trace};
use crate::mutant::{self, Mutant};
use crate::plan::Unique;
use crate::route::RoutePart;
use crate::verdict::{Reason, Verdict};
use std::sync::Arc;

/// The message at hand and what is known of its origin.
#[derive(Clone, Copy)]
pub(super) struct Origin<'m> {
    pub(super) message: &'m Message<'m>,
    session: u32,
    /// Its fingerprint, where the content check applies, until a part has it.
    pub(super) print: Option<u64>,
    /// It is taken for a delivery in doubt.
    pub(super) cancelled: bool,
}

impl Step<'_> {
    /// One message, in the order of arrival.
    pub fn message(&mut self, message: &Message<'_>) {
        if self.holds() {
            return self.hold_message(message);
        }
        self.read(message);
    }

    pub(super) fn read(&mut self, message: &Message<'_>) {
        let session = self.session(message.source, message.session);
        let origin = Origin { message, session, print: None, cancelled: false };
        let topic = match std::str::from_utf8(message.topic) {
            Ok(topic) if !topic.is_empty() && !topic.contains(['\0', '+', '#']) => topic,
            _ => return self.unread(&self.fingerprinted(origin, true), None, Reason::BadTopic, "", true),
        };
        let Some((at, mut route)) = self.core.routes.take(&self.core.plan, message.source, topic) else {
            // Nobody asked for it, unless somebody asks to retry it: then it is not thrown away for that.
            let keep = self.retrying.is_some();
            return self.unread(&self.fingerprinted(origin, true), None, Reason::Unmatched, "", keep);
        };
        if !route.presence.is_empty() {
            self.availability(origin, &route.presence);
            return self.core.routes.give_back(at, route);
        }
        let by_content =
            |part: &RoutePart| self.core.plan.streams[usize::from(part.stream)].unique == Unique::Content;
        let mut origin = self.fingerprinted(origin, route.parts.iter().any(by_content));
        let only = self.retrying.flatten();
        let mut parts = route.parts.iter_mut().filter(|part| only.is_none_or(|only| part.stream == only));
        match parts.next() {
            Some(first) => {
                std::iter::once(first).chain(parts).for_each(|part| self.part(&mut origin, topic, part))
            }
            None => self.unread(&origin, None, Reason::Unmatched, "the stream is gone", true),
        }
        self.core.routes.give_back(at, route);
    }

    fn fingerprinted<'m>(&self, origin: Origin<'m>, applies: bool) -> Origin<'m> {
        if !applies || !origin.message.acknowledged {
            return origin;
        }
        let print = content::print(origin.message.topic, origin.message.payload);
        let session = &self.core.state.sessions[origin.session as usize].session;
        let cancelled = origin.message.may_repeat && session.doubts(print);
        Origin { print: Some(print), cancelled, ..origin }
    }

    /// A message that gives no reading: one unit of account.
    pub(super) fn unread(
        &mut self,
        origin: &Origin<'_>,
        stream: Option<u16>,
        reason: Reason,
        detail: &str,
        keep: bool,
    ) {
        self.unread_as(origin, stream, reason, detail, keep);
    }

    /// The same, and what was decided.
    fn unread_as(
        &mut self,
        origin: &Origin<'_>,
        stream: Option<u16>,
        reason: Reason,
        detail: &str,
        keep: bool,
    ) -> Verdict {
        let verdict = if origin.cancelled {
            Verdict::Duplicate
        } else if keep {
            self.keep(origin, stream, reason, detail, 1)
        } else {
            Verdict::Rejected(reason)
        };
        self.add_part(origin, None, 0);
        self.event(Event::Account { verdict, count: 1 });
        if let Some(traces) = &mut self.traces {
            traces.push(Trace {
                topic: String::from_utf8_lossy(origin.message.topic).into_owned(),
                payload: origin.message.excerpt(),
                stream: stream.map(|s| self.core.plan.streams[usize::from(s)].name.clone()),
                metric: None,
                tags: Vec::new(),
                raw: None,
                value: None,
                time: None,
                verdict,
                detail: detail.to_owned(),
            });
        }
        verdict
    }

    /// Keeps the message's bytes if it may: the verdict for its readings.
    pub(super) fn keep(
        &mut self,
        origin: &Origin<'_>,
        stream: Option<u16>,
        reason: Reason,
        detail: &str,
        readings: u32,
    ) -> Verdict {
        let message = origin.message;
        let bytes = message.topic.len() + message.payload.len();
        if bytes > DEAD_LETTER_BYTES_MAX || self.changes.dead_letters.len() >= DEAD_LETTERS_PER_STEP_MAX {
            return Verdict::Rejected(reason);
        }
        self.changes.dead_letters.push(DeadLetter {
            reason,
            detail: detail.to_owned(),
            source: self.core.plan.sources.get(usize::from(message.source)).cloned().unwrap_or_default(),
            stream: stream.map(|s| self.core.plan.streams[usize::from(s)].name.clone()),
            topic: message.topic.to_vec(),
            payload: message.payload.to_vec(),
            arrival: message.arrival,
            readings,
        });
        Verdict::DeadLettered(reason)
    }

    pub(super) fn add_part(&mut self, origin: &Origin<'_>, mark: Option<Mark>, readings: u32) -> u32 {
        let print = origin.print.map(|print| (print, origin.cancelled));
        let part = Part { session: origin.session, arrival: origin.message.arrival, readings, print, mark };
        let noted = mark.filter(|_| !mutant::active(Mutant::MarkNotInJournal));
        self.changes.entry.parts.push(Part { mark: noted, ..part });
        self.core.note_part(&part)
    }

    fn part(&mut self, origin: &mut Origin<'_>, topic: &str, part: &mut RoutePart) {
        let index = usize::from(part.stream);
        let plan = Arc::clone(&self.core.plan);
        let mut found = std::mem::take(&mut self.core.found).recycle();
        let Message { payload, arrival, source, .. } = *origin.message;
        let source = plan.sources.get(usize::from(source)).map_or("", String::as_str);
        let input = Input { source, topic, payload, arrival };
        let (shape, births) = (&self.core.shapes[index], &self.core.state.births);
        let decoded = found.decode(&plan.streams[index].format, shape, input, births);
        match decoded {
            _ if part.too_long => self.unread(origin, Some(part.stream), Reason::NameTooLong, "", false),
            Ok(()) => self.decoded(origin, part, &found),
            Err(DecodeError::TooMany) => {
                self.unread(origin, Some(part.stream), Reason::TooManyReadings, "", true);
            }
            Err(DecodeError::NoReading(reason)) => self.unread(origin, Some(part.stream), reason, "", false),
            Err(error) => {
                let (stream, detail) = (Some(part.stream), error.to_string());
                let verdict = self.unread_as(origin, stream, Reason::Malformed, &detail, true);
                self.unread_of_device(origin, part, verdict);
            }
        }
        // The fingerprint goes into one part of the message only; whether it was cancelled concerns them all.
        origin.print = None;
        self.core.found = found.recycle();
    }
}
