//! Session windows: they last as long as readings follow each other within a gap (`session = "30s"`).
//!
//! A session covers its readings and the gap after the last one (T. Akidau et al., "The Dataflow Model", VLDB 2015, 2.2).
//! What comes late can move the start of a session that was closed, or bridge several: then the whole gets the key of
//! its start, and replaces those that it swallowed.

use super::{Content, Open};
use crate::event::ClosedKey;
use crate::fold::{Fate, Frame, Sample};
use crate::limits::SESSIONS_KEPT_MAX;
use crate::series::{Extra, Group};
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};

/// The silence that ends a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap(pub(crate) Span);

/// Closed sessions that what comes late may still touch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// In the order of time; they do not touch.
    past: Vec<Past>,
    /// Nothing at or before this is taken: what was closed there is not known any more.
    floor: Option<Time>,
}

/// A closed session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    start: Time,
    end: Time,
}

impl Sessions {
    fn touched(&self, start: Time, end: Time) -> impl Iterator<Item = &Past> {
        self.past.iter().filter(move |past| past.start < end && start < past.end)
    }

    /// Notes a closed session and forgets those that can't be amended.
    pub(crate) fn close(&mut self, start: Time, end: Time, forgotten: Option<Time>) {
        let place = self.past.partition_point(|past| past.start < start);
        self.past.insert(place, Past { start, end });
        self.past.retain(|past| forgotten.is_none_or(|forgotten| past.end > forgotten));
        if self.past.len() > SESSIONS_KEPT_MAX {
            self.floor = self.floor.max(Some(self.past.remove(0).end));
        }
    }
}

impl Gap {
    /// Whether a reading of `time` can still be counted.
    pub(crate) fn takes(self, group: &Group, forgotten: Option<Time>, time: Time, until: Time) -> bool {
        let end = time.plus(self.0);
        let known = group.sessions().is_none_or(|sessions| sessions.floor.is_none_or(|floor| time > floor));
        // What ended after `forgotten` is still in the store, and so is every session that this reading can touch.
        forgotten.is_none_or(|forgotten| time > forgotten)
            && known
            && (end > until || group.open.iter().any(|open| open.start < end && time < open.end))
    }

    pub(crate) fn fold(self, frame: &mut Frame<'_>, group: &mut Group, sample: &Sample) {
        let end = sample.time.plus(self.0);
        let touches = |open: &Open| open.start < end && sample.time < open.end;
        if sample.fate != Fate::Counted {
            // What is not counted neither opens a session nor keeps one open.
            if let Some(open) = group.open.iter_mut().find(|open| touches(open)) {
                open.content.note(sample, frame.template);
            }
            return;
        }
        let first = group.open.iter().position(touches).unwrap_or(group.open.len());
        let count = group.open[first..].iter().take_while(|open| touches(open)).count();
        let past =
            group.sessions().is_some_and(|sessions| sessions.touched(sample.time, end).next().is_some());
        if (count, past) == (1, false) {
            return frame.extend(&mut group.open, first, sample, end);
        }
        let mut whole =
            Open { start: sample.time, end, due: Time::MIN, late: None, content: Content::default() };
        let mut keys: Vec<ClosedKey> = Vec::new();
        for open in group.open.drain(first..first + count) {
            frame.forget_due(open.due, open.start, open.late.is_some());
            (whole.start, whole.end) = (whole.start.min(open.start), whole.end.max(open.end));
            keys.extend(open.late.iter().flatten());
            whole.content.merge(&open.content);
        }
        let number = frame.number;
        if let Extra::Sessions(sessions) = &mut group.extra {
            // The reading alone is asked for: what it touches cannot touch more, or it would have been one session.
            for past in sessions.touched(sample.time, end) {
                keys.push(ClosedKey { end: past.end, group: number });
                (whole.start, whole.end) = (whole.start.min(past.start), whole.end.max(past.end));
            }
            sessions.past.retain(|past| !(past.start < end && sample.time < past.end));
        }
        whole.late = (!keys.is_empty()).then(|| keys.into());
        if whole.late.is_some() {
            whole.content.completeness.late += 1;
        }
        whole.content.note(sample, frame.template);
        let place = group.open.partition_point(|open| open.start < whole.start);
        let (before, after) = group.open.split_at(place);
        whole.due = frame.due_of(&whole, before, after);
        frame.note_due(whole.due, whole.start, whole.late.is_some());
        group.open.insert(place, whole);
    }
}

impl Frame<'_> {
    /// One more reading of a session: what nearly all of them are.
    fn extend(&mut self, sessions: &mut [Open], at: usize, sample: &Sample, end: Time) {
        let (before, rest) = sessions.split_at_mut(at);
        let Some((open, after)) = rest.split_first_mut() else { return };
        let late = open.late.is_some();
        let (start, end) = (open.start.min(sample.time), open.end.max(end));
        if (start, end) != (open.start, open.end) {
            self.forget_due(open.due, open.start, late);
            (open.start, open.end) = (start, end);
            open.due = self.due_of(open, before, after);
            self.note_due(open.due, start, late);
        }
        open.content.note(sample, self.template);
        open.content.completeness.late += u32::from(late);
    }
}
