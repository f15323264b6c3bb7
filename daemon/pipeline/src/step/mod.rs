//! A step: messages in, decisions, changes out.
//!
//! Everything decided here is written down in the entry and done by the same code that a replay uses.

mod alert;
mod capture;
mod clock;
mod close;
mod derive;
mod device;
mod message;
mod number;
mod raw;
mod readings;
mod record;
mod uptime;

use crate::changes::{Changes, Kept};
use crate::clock::ClockNow;
use crate::entry::Event;
use crate::event::ClosedKey;
use crate::message::{DeadLetter, Message, Trace};
use crate::pipeline::{Pipeline, number};
use crate::time::Time;
use crate::verdict::Verdict;
use std::collections::BTreeMap;

/// A step in the making. Give it inputs in order, then [`Step::finish`] it.
#[derive(Debug)]
pub struct Step<'p> {
    pub(crate) core: &'p mut Pipeline,
    changes: Changes,
    traces: Option<Vec<Trace>>,
    /// While a dead letter is retried: the stream that it is for, and no deduplication.
    retrying: Option<Option<u16>>,
    /// What is known of the time.
    clock: Option<ClockNow>,
    /// Which windows it closes, whatever the time.
    closes: clock::Closes,
    /// Windows that it has amended: what the store was asked for is older.
    amended: BTreeMap<ClosedKey, Kept>,
    /// See [`Step::press`].
    press: Option<Time>,
}

impl<'p> Step<'p> {
    pub(crate) fn new(core: &'p mut Pipeline) -> Step<'p> {
        let changes = Changes::default();
        Step {
            core,
            changes,
            traces: None,
            retrying: None,
            clock: None,
            closes: clock::Closes::Nothing,
            amended: BTreeMap::new(),
            press: None,
        }
    }

    /// How many readings and messages without readings this step has decided on.
    pub fn len(&self) -> usize {
        self.changes.entry.readings.len() + self.changes.entry.parts.len()
    }

    /// Whether this step has nothing to write so far.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Also record what becomes of each reading; see [`Step::traces`].
    pub fn trace(&mut self) {
        self.traces.get_or_insert_default();
    }

    /// What became of the readings since [`Step::trace`] or the last call.
    pub fn traces(&mut self) -> Vec<Trace> {
        self.traces.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A connection of `session` opened: its last `doubt_max` deliveries may come again.
    pub fn opened(&mut self, source: u16, session: &str, doubt_max: u16) {
        if self.holds() {
            return self.hold_opened(source, session, doubt_max);
        }
        self.read_opened(source, session, doubt_max);
    }

    fn read_opened(&mut self, source: u16, session: &str, doubt_max: u16) {
        let session = self.session(source, session);
        self.event(Event::Opened { session, doubt_max: doubt_max.into() });
    }

    /// The sender at the other end of `session` has read the acknowledgements of all that it delivered but the last `but`:
    /// only those may come again.
    pub fn settled(&mut self, source: u16, session: &str, but: u32) {
        if self.holds() {
            return self.hold_settled(source, session, but);
        }
        self.read_settled(source, session, but);
    }

    fn read_settled(&mut self, source: u16, session: &str, but: u32) {
        let session = self.session(source, session);
        if !self.core.state.sessions[session as usize].session.is_settled(but) {
            self.event(Event::Settled { session, but });
        }
    }

    /// A source begins or ends to deliver what waited for us.
    pub fn backlog(&mut self, source: u16, on: bool) {
        if self.holds() {
            return self.hold_backlog(source, on);
        }
        self.read_backlog(source, on);
    }

    fn read_backlog(&mut self, source: u16, on: bool) {
        if self.core.state.sources.get(usize::from(source)).is_some_and(|state| state.backlog != on) {
            self.event(Event::Backlog { source, on });
        }
    }

    /// There is no room to keep windows that end at or before `upto` only to amend them: they are forgotten early.
    pub fn press(&mut self, upto: Time) {
        self.press = Some(upto);
    }

    /// There is no room to remember more than `keep` deliveries only to know them again: see [`Pipeline::remembered`].
    pub fn remember(&mut self, keep: u64) {
        self.event(Event::Remember { keep });
    }

    /// Messages that were decided on before they could be read.
    pub fn account(&mut self, verdict: Verdict, count: u64) {
        self.event(Event::Account { verdict, count });
    }

    /// A dead letter is tried again under the current plan, past the deduplication.
    pub fn retry(&mut self, letter: &DeadLetter) {
        let source = self.core.plan.sources.iter().position(|name| *name == letter.source);
        let stream =
            letter.stream.as_ref().map(|name| self.core.plan.streams.iter().position(|s| s.name == *name));
        let stream = match stream {
            Some(None) => Some(u16::MAX), // its stream is gone: nothing matches
            Some(Some(at)) => u16::try_from(at).ok(),
            None => None,
        };
        self.retrying = Some(stream);
        self.message(&Message {
            source: source.and_then(|at| u16::try_from(at).ok()).unwrap_or(0),
            session: "",
            topic: &letter.topic,
            payload: &letter.payload,
            retained: false,
            acknowledged: false,
            may_repeat: false,
            arrival: letter.arrival,
        });
        self.retrying = None;
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.core.note_event(&event);
        self.changes.entry.events.push((number(self.changes.entry.parts.len()), event));
    }

    fn session(&mut self, source: u16, session: &str) -> u32 {
        use std::fmt::Write;
        if let Some(last) = self.core.last_session
            && let Some(known) = self.core.state.sessions.get(last as usize)
            && known.source == source
            && known.name.split_once('/').is_some_and(|(_, client)| client == session)
        {
            return last;
        }
        let mut name = std::mem::take(&mut self.core.name);
        name.clear();
        let _ = write!(name, "{source}/{session}");
        let known = self.core.session_index.get(name.as_str()).copied();
        let slot = known.unwrap_or_else(|| {
            let slot = self.core.session_slot();
            self.event(Event::Session { source, slot, name: name.clone() });
            slot
        });
        self.core.name = name;
        self.core.last_session = Some(slot);
        slot
    }
}
