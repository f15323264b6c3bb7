//! Alerts: what readings, availability and the time move, written into the entry and told.

use super::Step;
use super::message::Origin;
use crate::alert::{Active, Capture, Move, Raised, Telling, Truths, Watch, Why};
use crate::entry::{Event, Reading};
use crate::expr::{Env, Expr};
use crate::pipeline::{Pipeline, number};
use crate::plan::{AlertPlan, Plan};
use crate::time::{Span, Time};
use crate::verdict::{Reason, Verdict};

impl Step<'_> {
    /// Raises what the time raises; call it before [`Step::finish`]. `listening`: since when a source has been connected
    /// with nothing left that waited for us, and the clock has not been set; `None` while it is not.
    pub fn watch(&mut self, now: Time, listening: &dyn Fn(u16) -> Option<Time>) {
        // Who is held was heard, and when will be known later.
        if !self.core.is_up_to_date() || self.changes.entry.clock.is_some() {
            return;
        }
        for at in self.core.timers.due(now) {
            let since = self.core.listening(at, listening);
            let watch = &self.core.state.watches[at as usize];
            let (alert, value) = (usize::from(watch.alert), watch.value);
            let moves = watch.on_time(&self.core.plan.alerts[alert], now, since);
            moves.into_iter().flatten().for_each(|change| self.move_watch(at, change, value));
            self.capture_if_due(at, now);
            let next =
                self.core.state.watches[at as usize].deadline(&self.core.plan.alerts[alert], now, since);
            // It has just been looked at: not again in this step.
            self.core.timers.set(at, next.map(|next| next.max(now.plus(Span(1)))));
        }
    }

    /// Clears what nothing could clear under the plan `new`, and sends what would never be sent, and all raw readings. Call it before the plan comes in force.
    pub fn retire(&mut self, now: Time, new: &Plan) {
        for at in 0..self.core.state.watches.len() {
            let (raised, value) = (self.core.state.watches[at].raised(), self.core.state.watches[at].value);
            for Raised { why, .. } in raised {
                if !self.core.goes_on(&self.core.state.watches[at], why, new) {
                    self.move_watch(number(at), Move::Clear { why, at: now }, value);
                }
            }
        }
        self.retire_captures(now, new);
        self.cut_all_raw();
    }

    /// What a decided reading moves; call it before the reading is noted.
    pub(super) fn watch_reading(&mut self, reading: &Reading, value: Option<f64>, arrival: Time) {
        let Some(value) = value.filter(|_| reading.verdict == Verdict::Counted) else { return };
        // Who measures is there, whatever was said before.
        if let Some(presence) = self.core.state.series[reading.series as usize].presence
            && self.core.offline_since(reading.series).is_some_and(|since| reading.time.min(arrival) >= since)
        {
            self.set_presence(presence, true, arrival);
        }
        for index in 0..self.core.state.series[reading.series as usize].watches.len() {
            let series = &self.core.state.series[reading.series as usize];
            let at = series.watches[index];
            let watch = &self.core.state.watches[at as usize];
            let plan = &self.core.plan.alerts[usize::from(watch.alert)];
            let env = Env::new(value, reading.time, &series.tags);
            let when = truth(plan.when.as_ref(), &env);
            let clear =
                if plan.clear.is_some() { truth(plan.clear.as_ref(), &env) } else { when.map(|w| !w) };
            let moves = watch.on_reading(plan, Truths { when, clear }, reading.time, arrival);
            moves.into_iter().flatten().for_each(|change| self.move_watch(at, change, Some(value)));
        }
    }

    /// A message that says whether sensors are there. It is accounted for, and no reading. It is believed as often as it
    /// comes: what comes again comes in its order, up to the last, and sensors say the same few words again and again.
    pub(super) fn availability(&mut self, origin: Origin<'_>, known: &[(u16, Vec<(String, String)>)]) {
        for (stream, tags) in known {
            let plan = &self.core.plan.streams[usize::from(*stream)].availability;
            let online = plan.as_ref().and_then(|plan| plan.read(origin.message.payload));
            match online {
                Some(_) => self.unread(&origin, Some(*stream), Reason::Availability, "", false),
                None => {
                    let detail = "neither the word for online nor the one for offline";
                    self.unread(&origin, Some(*stream), Reason::Malformed, detail, true);
                }
            }
            let presence = self.core.presence(*stream, tags);
            if let (Some(online), Some(presence)) = (online, presence) {
                self.set_presence(presence, online, origin.message.arrival);
            }
        }
    }

    /// Sensors went offline or came back: what that moves.
    fn set_presence(&mut self, presence: u32, online: bool, at: Time) {
        let known = &self.core.state.presences[presence as usize];
        if known.offline.is_none() == online {
            return;
        }
        let members = known.members.clone();
        self.event(Event::Presence { presence, online, at });
        for series in members {
            for index in 0..self.core.state.series[series as usize].watches.len() {
                let watch = self.core.state.series[series as usize].watches[index];
                let known = &self.core.state.watches[watch as usize];
                let (plan, value) = (&self.core.plan.alerts[usize::from(known.alert)], known.value);
                if let Some(change) = known.on_availability(plan, at) {
                    self.move_watch(watch, change, value);
                }
            }
        }
    }

    /// Makes a move, writes it down, and tells it where there is something to tell.
    fn move_watch(&mut self, watch: u32, change: Move, value: Option<f64>) {
        if let Move::Raise { at, .. } = change {
            self.capture_before(watch, at);
        }
        let raised = self.core.note_alert(watch, change);
        self.changes
            .entry
            .events
            .push((number(self.changes.entry.parts.len()), Event::Alert { watch, change }));
        let Some(raised) = raised else { return };
        let cleared = match change {
            Move::Clear { at, .. } => Some(at),
            Move::Wait { .. } | Move::Calm | Move::Raise { .. } => None,
        };
        let watch = &self.core.state.watches[watch as usize];
        let telling = Telling { plan: &self.core.plan, watch, raised, cleared, value };
        self.changes.alerts.push(telling.render());
    }
}

/// What a condition says of a reading; `None` where there is no condition, or it cannot tell.
fn truth(condition: Option<&Expr>, env: &Env<'_>) -> Option<bool> {
    condition?.test(env).ok()
}

impl Pipeline {
    /// When [`Step::watch`] wants to be called, at the latest.
    pub fn next_alert(&self) -> Option<Time> {
        self.timers.next().filter(|_| self.is_up_to_date())
    }

    /// How many alerts are raised, and the first of them.
    pub fn raised(&self, limit: usize) -> (u64, Vec<Active>) {
        let each = |&at: &u32| {
            let watch = &self.state.watches[at as usize];
            watch.raised().map(move |raised| (watch, raised))
        };
        let shown = self.raised.iter().flat_map(each).take(limit).map(|(watch, raised)| {
            let telling = Telling { plan: &self.plan, watch, raised, cleared: None, value: watch.value };
            telling.active()
        });
        (self.raised.iter().flat_map(each).count() as u64, shown.collect())
    }

    /// Makes a watch's move: what it raised or cleared.
    pub(crate) fn note_alert(&mut self, watch: u32, change: Move) -> Option<Raised> {
        self.timers.soon(watch);
        let known = self.state.watches.get_mut(watch as usize)?;
        let told = known.make(change);
        let span = self.plan.alerts.get(usize::from(known.alert)).and_then(|alert| alert.capture);
        if let (Move::Raise { .. }, Some(raised), Some(span)) = (change, told, span) {
            let before = known.capture.as_deref().copied();
            known.capture = Some(Box::new(Capture::of(raised, span, before)));
        }
        if known.raised().next().is_some() {
            self.raised.insert(watch);
        } else {
            self.raised.remove(&watch);
        }
        told
    }

    /// The index of what goes on as this alert under another plan.
    pub(crate) fn heir(&self, alert: u16, new: &Plan) -> Option<u16> {
        let old = &self.plan.alerts[usize::from(alert)];
        let same = |heir: &AlertPlan| old.same_keys(&self.plan.streams, heir, &new.streams);
        new.alerts.iter().position(same).and_then(|at| u16::try_from(at).ok())
    }

    /// Whether what was raised for `why` can be cleared under another plan.
    fn goes_on(&self, watch: &Watch, why: Why, new: &Plan) -> bool {
        let Some(heir) = self.heir(watch.alert, new).map(|at| &new.alerts[usize::from(at)]) else {
            return false;
        };
        let minds = match why {
            Why::Condition => heir.when.is_some(),
            Why::Silence | Why::Offline => heir.minds_offline(),
        };
        minds && self.feeds(watch, heir, new)
    }

    /// Whether the capture of a watch goes on under another plan.
    pub(super) fn captures_on(&self, watch: &Watch, new: &Plan) -> bool {
        let heir = self.heir(watch.alert, new).map(|at| &new.alerts[usize::from(at)]);
        heir.is_some_and(|heir| heir.capture.is_some() && self.feeds(watch, heir, new))
    }

    /// Whether what a watch is about still reports to its alert's heir under another plan.
    fn feeds(&self, watch: &Watch, heir: &AlertPlan, new: &Plan) -> bool {
        let is_fed = |&at: &u16| {
            let name = &self.plan.streams[usize::from(at)].name;
            let after = new.streams.iter().zip(0..).find(|(stream, _)| stream.name == *name);
            after.is_some_and(|(_, at)| match &watch.metric {
                Some(metric) => heir.watches(at, metric),
                None => heir.streams.contains(&at),
            })
        };
        watch.streams.iter().any(is_fed)
    }

    /// Since when all sources that a watch was heard from have been listened to.
    fn listening(&self, watch: u32, listening: &dyn Fn(u16) -> Option<Time>) -> Option<Time> {
        let watch = &self.state.watches[watch as usize];
        let streams = watch.streams.iter().flat_map(|&at| &self.plan.streams[usize::from(at)].sources);
        // Of those that it was never heard from nobody knows which it would be.
        let never = if watch.sources.is_empty() { Some(streams) } else { None };
        let sources = watch.sources.iter().chain(never.into_iter().flatten());
        let since: Option<Vec<Time>> = sources.map(|&source| listening(source)).collect();
        since?.into_iter().max()
    }
}
