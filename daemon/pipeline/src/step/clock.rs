//! Steps that are about the clock: what was held is read, or windows close because the time is another one.
//!
//! Each is a step of its own, in a transaction of its own, before anything that came later is decided on.

use super::Step;
use crate::clock::{ClockNow, ClockState, Held, HeldInput, Mode};
use crate::decode::{Found, Input};
use crate::limits::{CLOCK_STEP_MIN, HELD_BYTES_MAX, HELD_RELEASE_MAX};
use crate::message::Message;
use crate::pipeline::{Pipeline, number};
use crate::route::RoutePart;
use crate::series::Group;
use crate::time::{Span, Time};

/// What is to be done about the clock before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Read some of what was held.
    Release,
    /// Go on by this, after windows have closed.
    To(ClockState, Closes),
}

/// Which windows close because of a clock, due or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closes {
    Nothing,
    /// Those of groups that have this epoch, or none, in their keys.
    Epoch(Option<u32>),
    /// Those with readings that have no time of their own.
    ArrivalTimed,
}

impl Pipeline {
    /// Whether a step must be about the clock alone before inputs can be taken: see [`Step::clock`].
    pub fn clock_is_due(&self, now: &ClockNow) -> bool {
        self.turn(now).is_some()
    }

    fn turn(&self, now: &ClockNow) -> Option<Turn> {
        let clock = &self.state.clock;
        let waits = !self.state.held.is_empty();
        if clock.boot.is_none() {
            return Some(Turn::To(self.begun(now), Closes::Nothing));
        }
        let (here, trusted) = (clock.boot == Some(now.boot), self.vouches(now));
        let ours = Closes::Epoch(clock.group_epoch());
        match clock.mode {
            // Sooner than what is still held, which then gets its right time after all.
            Mode::Unsynchronised if here && trusted && !self.is_spent(now) => {
                let state = ClockState { epoch: clock.epoch + 1, ..self.begun(now) };
                Some(Turn::To(state, ours))
            }
            Mode::Synchronised | Mode::Unsynchronised if waits => Some(Turn::Release),
            Mode::Unsynchronised if !here => {
                let state = ClockState { epoch: clock.epoch + 1, ..self.begun(now) };
                Some(Turn::To(state, ours))
            }
            Mode::Synchronised if !here => Some(self.begins(now, ours)),
            Mode::Synchronised | Mode::Unsynchronised => self.stepped(now),
            // The best time known is the one of that boot: nobody will ever know a better one.
            Mode::Holding { .. } if !here && waits => {
                let state = ClockState { mode: Mode::Unsynchronised, epoch: clock.epoch + 1, ..*clock };
                Some(Turn::To(state, ours))
            }
            Mode::Holding { .. } if !here => Some(Turn::To(self.begun(now), Closes::Nothing)),
            Mode::Holding { since } => {
                if trusted {
                    return Some(self.begins(now, ours));
                }
                let long = self.plan.hold_max.is_none_or(|max| now.up.0.saturating_sub(since.0) > max.0);
                let full = self.state.held.bytes() >= HELD_BYTES_MAX;
                (long || full).then(|| Turn::To(self.unsynchronised(now), ours))
            }
        }
    }

    /// The machine has just started, or somebody vouches at last. Where that is before the time that was believed last, the clock
    /// was wrong then: windows that readings were stamped into would wait until it comes.
    fn begins(&self, now: &ClockNow, ours: Closes) -> Turn {
        let state = self.begun(now);
        match state.mode {
            Mode::Unsynchronised => Turn::To(state, ours),
            Mode::Synchronised if self.last_heard() > now.now().plus(self.lateness_max()) => {
                Turn::To(ClockState { epoch: state.epoch + 1, ..state }, Closes::ArrivalTimed)
            }
            Mode::Synchronised | Mode::Holding { .. } => Turn::To(state, Closes::Nothing),
        }
    }

    fn lateness_max(&self) -> Span {
        self.plan.summaries.iter().map(|summary| summary.lateness).max().unwrap_or_default()
    }

    /// The clock of a machine that has just started, or that somebody vouches for at last.
    fn begun(&self, now: &ClockNow) -> ClockState {
        if self.vouches(now) && self.is_spent(now) {
            return self.unsynchronised(now);
        }
        let mode = if self.vouches(now) { Mode::Synchronised } else { Mode::Holding { since: now.up } };
        let ClockState { epoch, .. } = self.state.clock;
        ClockState { boot: Some(now.boot), offset: now.offset, epoch, since: now.up, mode }
    }

    fn unsynchronised(&self, now: &ClockNow) -> ClockState {
        let epoch = self.state.clock.epoch + 1;
        ClockState {
            boot: Some(now.boot),
            offset: now.offset,
            epoch,
            since: now.up,
            mode: Mode::Unsynchronised,
        }
    }

    /// A step of the clock while the machine runs.
    fn stepped(&self, now: &ClockNow) -> Option<Turn> {
        let clock = &self.state.clock;
        let step = now.offset.0.saturating_sub(clock.offset.0).saturating_abs();
        if step < CLOCK_STEP_MIN.0 {
            return None;
        }
        if step <= self.lateness_max().0 {
            return Some(Turn::To(ClockState { offset: now.offset, ..*clock }, Closes::Nothing));
        }
        let ours = Closes::Epoch(clock.group_epoch());
        if clock.mode == Mode::Unsynchronised || self.is_spent(now) {
            return Some(Turn::To(self.unsynchronised(now), ours));
        }
        let state = ClockState { offset: now.offset, epoch: clock.epoch + 1, since: now.up, ..*clock };
        Some(Turn::To(state, Closes::ArrivalTimed))
    }

    /// Whether the time of day is believed. Once it was in this boot it is: uptime and offset hold what they were.
    fn vouches(&self, now: &ClockNow) -> bool {
        let clock = &self.state.clock;
        let known = clock.boot == Some(now.boot) && clock.mode == Mode::Synchronised;
        now.trusted || known || self.plan.hold_max.is_none()
    }

    /// Whether windows of this time were closed, delivered and forgotten: their keys are taken.
    fn is_spent(&self, now: &ClockNow) -> bool {
        self.state.forgotten.is_some_and(|forgotten| now.now() <= forgotten)
    }
}

impl Step<'_> {
    /// Tells the step what is known of the time, before its inputs. True when it is about the clock alone: then it takes
    /// no inputs; finish it, and begin another. Where this is never called the time of the inputs is believed.
    pub fn clock(&mut self, now: &ClockNow) -> bool {
        self.clock = Some(*now);
        match self.core.turn(now) {
            None => return false,
            Some(Turn::Release) => self.release(),
            Some(Turn::To(state, closes)) => {
                self.changes.entry.clock = Some(state);
                self.closes = closes;
            }
        }
        true
    }

    /// Whether inputs are held, except for what an operator wants done now.
    pub(super) fn holds(&self) -> bool {
        matches!(self.core.state.clock.mode, Mode::Holding { .. }) && self.retrying.is_none()
    }

    pub(super) fn hold_opened(&mut self, source: u16, session: &str, doubt_max: u16) {
        let up = self.clock.map_or(Span::ZERO, |now| now.up);
        let input = HeldInput::Opened { doubt_max };
        self.hold(Held { up, source, session: session.to_owned(), input });
    }

    pub(super) fn hold_settled(&mut self, source: u16, session: &str, but: u32) {
        let up = self.clock.map_or(Span::ZERO, |now| now.up);
        self.hold(Held { up, source, session: session.to_owned(), input: HeldInput::Settled { but } });
    }

    pub(super) fn hold_backlog(&mut self, source: u16, on: bool) {
        let up = self.clock.map_or(Span::ZERO, |now| now.up);
        self.hold(Held { up, source, session: String::new(), input: HeldInput::Backlog { on } });
    }

    pub(super) fn hold_message(&mut self, message: &Message<'_>) {
        let offset = self.clock.map_or(self.core.state.clock.offset, |now| now.offset);
        let (topic, payload) = (message.topic.to_vec(), message.payload.to_vec());
        let Message { retained, acknowledged, may_repeat, .. } = *message;
        let readings = self.readings_in(message);
        let input = if acknowledged && !may_repeat && !retained {
            HeldInput::Fresh { topic, payload, readings }
        } else {
            HeldInput::Message { topic, payload, retained, acknowledged, readings }
        };
        let up = message.arrival.since(Time(offset.0));
        self.hold(Held { up, source: message.source, session: message.session.to_owned(), input });
    }

    fn hold(&mut self, held: Held) {
        self.core.state.held.push(held.clone());
        self.changes.entry.held.push(held);
    }

    /// What the message will come to in the ledger, as far as can be said without deciding on it.
    fn readings_in(&mut self, message: &Message<'_>) -> u32 {
        let Ok(topic) = std::str::from_utf8(message.topic) else { return 1 };
        let core = &mut *self.core;
        let Some((at, route)) = core.routes.take(&core.plan, message.source, topic) else { return 1 };
        let mut found = std::mem::take(&mut core.found).recycle();
        // Each stream whose availability it tells accounts for it; then it is no reading.
        let mut sum = number(route.presence.len());
        for part in route.parts.iter().filter(|_| route.presence.is_empty()) {
            sum += if part.too_long { 1 } else { self.readings_of(part, message, topic, &mut found) };
            found = found.recycle();
        }
        self.core.found = found.recycle();
        self.core.routes.give_back(at, route);
        sum
    }

    fn readings_of<'m>(
        &'m self,
        part: &RoutePart,
        message: &Message<'m>,
        topic: &'m str,
        found: &mut Found<'m>,
    ) -> u32 {
        let index = usize::from(part.stream);
        let (stream, shape) = (&self.core.plan.streams[index], &self.core.shapes[index]);
        let source = self.core.plan.sources.get(usize::from(message.source)).map_or("", String::as_str);
        let input = Input { source, topic, payload: message.payload, arrival: message.arrival };
        match found.decode(&stream.format, shape, input, &self.core.state.births) {
            Ok(()) => {
                let metric = part.metric.as_deref();
                let records = found.records(shape);
                number(records.map(|record| record.candidates(stream, metric).count()).sum())
            }
            Err(_) => 1,
        }
    }

    /// Reads what was held first, as far as goes into one step.
    fn release(&mut self) {
        let mut count = 0;
        while count < HELD_RELEASE_MAX {
            let Some(Held { up, source, session, input }) = self.core.state.held.pop() else { break };
            count += 1;
            let arrival = self.core.arrival_of(up);
            match input {
                HeldInput::Opened { doubt_max } => self.read_opened(source, &session, doubt_max),
                HeldInput::Backlog { on } => self.read_backlog(source, on),
                HeldInput::Settled { but } => self.read_settled(source, &session, but),
                HeldInput::Message { topic, payload, retained, acknowledged, .. } => {
                    self.read(&Message {
                        source,
                        session: &session,
                        topic: &topic,
                        payload: &payload,
                        retained,
                        acknowledged,
                        may_repeat: acknowledged,
                        arrival,
                    });
                }
                HeldInput::Fresh { topic, payload, .. } => {
                    self.read(&Message {
                        source,
                        session: &session,
                        topic: &topic,
                        payload: &payload,
                        retained: false,
                        acknowledged: true,
                        may_repeat: false,
                        arrival,
                    });
                }
            }
        }
        self.changes.entry.released = count;
    }

    /// Whether this step closes the windows of `group` whatever the time.
    pub(super) fn closes_group(&self, group: &Group) -> bool {
        match self.closes {
            Closes::Nothing => false,
            Closes::Epoch(epoch) => group.epoch == epoch,
            Closes::ArrivalTimed => {
                let timed = |&stream: &u16| self.core.plan.streams[usize::from(stream)].time.is_some();
                group.epoch.is_none() && !group.streams.iter().all(timed)
            }
        }
    }

    /// Whether windows of long ago can be forgotten: not by a clock that is not known, nor before it has been right for as
    /// long as that. So a step that was wrong can be taken back.
    pub(super) fn may_forget(&self) -> bool {
        let clock = &self.core.state.clock;
        let lasted = |now: ClockNow| now.up.0.saturating_sub(clock.since.0) >= self.core.horizon.0;
        self.knows_time() && self.clock.is_none_or(lasted)
    }

    /// When a message had arrived, as far as is known; one that was held by a clock that is not believed, now at the latest, where
    /// somebody vouches for that.
    pub(super) fn arrived_before(&self, arrival: Time) -> Time {
        match (self.core.state.clock.group_epoch(), self.clock) {
            (Some(_), Some(now)) if now.trusted => arrival.max(now.now()),
            _ => arrival,
        }
    }

    /// Whether somebody vouches for the clock, and nothing is held that came before.
    pub(super) fn knows_time(&self) -> bool {
        self.core.state.clock.mode == Mode::Synchronised && self.core.state.held.is_empty()
    }
}
