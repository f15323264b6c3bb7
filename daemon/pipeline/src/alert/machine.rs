//! The two machines of a watch. Pure: the plan, the truth of its conditions and the time are arguments.

use super::Capture;
use crate::plan::AlertPlan;
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};

/// The alert of a place that no watch has.
const VACANT: u16 = u16::MAX;
/// While nobody can decide, look again after so long at least.
const LOOK_AGAIN: Span = Span::from_secs(1);

/// One alert over one series, or over several that share its tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Index of the alert in the plan.
    pub alert: u16,
    /// What is measured; `None` where any metric is a sign of life.
    pub metric: Option<String>,
    /// The tags of the key, `None` where the series has no such tag; in the order of the key.
    pub tags: Vec<Option<String>>,
    /// Streams that report to it, in the order in which they did.
    pub streams: Vec<u16>,
    /// Sources that it was heard from.
    pub sources: Vec<u16>,
    /// How many series report to it …
    pub members: u32,
    /// … and how many of them are known to be offline.
    pub offline: u32,
    /// When the last of these went offline.
    pub offline_since: Time,
    /// The latest time of a counted reading, none later than its arrival.
    pub newest: Time,
    /// When the last counted reading arrived; [`Time::MIN`] before the first.
    pub heard: Time,
    /// Its value.
    pub value: Option<f64>,
    /// The condition.
    pub condition: Phase,
    /// Raised because the sensor is not there.
    pub absence: Option<Raised>,
    /// When condition and absence were last cleared.
    pub cleared: [Option<Time>; 2],
    /// How often it was raised.
    pub ordinal: u64,
    /// What is to be sent of the readings around a raise.
    pub capture: Option<Box<Capture>>,
}

/// Where the machine of the condition stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The condition does not hold.
    #[default]
    Calm,
    /// It holds, not long enough yet, or too soon after the last time.
    Waiting {
        /// The time of the first reading for which it held …
        since: Time,
        /// … and when that arrived.
        from: Time,
    },
    /// It was raised.
    Raised(Raised),
}

/// An alert that is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// Why.
    pub why: Why,
    /// Since when the condition holds, nothing was heard, or the sensor is offline.
    pub since: Time,
    /// When it was raised, by the gateway's clock.
    pub at: Time,
    /// The how manieth time: 1 is the first.
    pub ordinal: u64,
}

/// Why an alert is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// `when` holds.
    Condition,
    /// Nothing was heard for `silent_for`.
    Silence,
    /// The sensor is known to be offline.
    Offline,
}

/// One step of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// The condition began to hold.
    Wait {
        /// The time of the reading.
        since: Time,
        /// When it arrived.
        from: Time,
    },
    /// It stopped before it was raised.
    Calm,
    /// The alert is raised.
    Raise {
        /// Why: which machine.
        why: Why,
        /// See [`Raised::since`].
        since: Time,
        /// By the gateway's clock.
        at: Time,
    },
    /// It is cleared.
    Clear {
        /// Why it had been raised: which machine.
        why: Why,
        /// By the gateway's clock.
        at: Time,
    },
}

/// What the conditions of an alert say of a reading; `None` where they cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truths {
    /// `when`.
    pub when: Option<bool>,
    /// `clear`, or that `when` does not hold.
    pub clear: Option<bool>,
}

impl Why {
    /// The name in events.
    pub const fn name(self) -> &'static str {
        match self {
            Why::Condition => "condition",
            Why::Silence => "silence",
            Why::Offline => "offline",
        }
    }

    /// Its place in [`Watch::cleared`].
    const fn machine(self) -> usize {
        match self {
            Why::Condition => 0,
            Why::Silence | Why::Offline => 1,
        }
    }
}

impl Watch {
    /// A place without a watch.
    pub(crate) fn vacant() -> Watch {
        Watch::new(VACANT, None, Vec::new())
    }

    /// A watch that has heard nothing.
    pub fn new(alert: u16, metric: Option<String>, tags: Vec<Option<String>>) -> Watch {
        Watch {
            alert,
            metric,
            tags,
            streams: Vec::new(),
            sources: Vec::new(),
            members: 0,
            offline: 0,
            offline_since: Time::MIN,
            newest: Time::MIN,
            heard: Time::MIN,
            value: None,
            condition: Phase::Calm,
            absence: None,
            cleared: [None; 2],
            ordinal: 0,
            capture: None,
        }
    }

    /// Whether this is a place without a watch: the next new one takes it.
    pub fn is_vacant(&self) -> bool {
        self.alert == VACANT
    }

    /// Whether its last series can be forgotten: nothing is raised or waits to be sent, and nothing can be raised while
    /// nothing is heard.
    pub fn lets_go(&self, plan: &AlertPlan) -> bool {
        let rests = self.raised().next().is_none() && self.capture.is_none();
        self.members > 1 || (rests && plan.silent_for.is_none())
    }

    /// What is raised: condition, then absence.
    pub fn raised(&self) -> impl Iterator<Item = Raised> + use<> {
        let condition = match self.condition {
            Phase::Raised(raised) => Some(raised),
            Phase::Calm | Phase::Waiting { .. } => None,
        };
        condition.into_iter().chain(self.absence)
    }

    /// Whether every sensor that reports to it is known to be offline.
    fn is_offline(&self) -> bool {
        self.members > 0 && self.offline >= self.members
    }

    /// One of its series went offline, or is so no more.
    pub(crate) fn mark(&mut self, offline: bool, at: Time) {
        if offline {
            (self.offline, self.offline_since) = (self.offline + 1, at);
        } else {
            self.offline = self.offline.saturating_sub(1);
        }
    }

    /// What a counted reading does: ask before [`Watch::note`].
    pub fn on_reading(
        &self,
        plan: &AlertPlan,
        truths: Truths,
        time: Time,
        arrival: Time,
    ) -> [Option<Move>; 2] {
        let back = self.absence.filter(|_| !self.is_offline());
        let back = back.map(|raised| Move::Clear { why: raised.why, at: arrival });
        let time = time.min(arrival);
        // What is older than the newest says how it was, not how it is.
        let condition = if time < self.newest { None } else { self.judge(plan, truths, time, arrival) };
        [back, condition]
    }

    fn judge(&self, plan: &AlertPlan, truths: Truths, time: Time, arrival: Time) -> Option<Move> {
        let raise = |since| Move::Raise { why: Why::Condition, since, at: arrival };
        let ready =
            |since: Time| time.since(since) >= plan.hold && !self.cools(plan, Why::Condition, arrival);
        match self.condition {
            Phase::Calm if truths.when == Some(true) => {
                Some(if ready(time) { raise(time) } else { Move::Wait { since: time, from: arrival } })
            }
            Phase::Waiting { since, .. } => match truths.when {
                Some(true) => ready(since).then(|| raise(since)),
                Some(false) => Some(Move::Calm),
                None => None,
            },
            Phase::Raised(_) if truths.clear == Some(true) => {
                Some(Move::Clear { why: Why::Condition, at: arrival })
            }
            Phase::Calm | Phase::Raised(_) => None,
        }
    }

    /// What it does that a sensor went offline or came back.
    pub fn on_availability(&self, plan: &AlertPlan, at: Time) -> Option<Move> {
        match self.absence {
            None => self.gone(plan, at),
            Some(raised) if raised.why == Why::Offline && !self.is_offline() => {
                Some(Move::Clear { why: Why::Offline, at })
            }
            Some(_) => None,
        }
    }

    /// What the time does. `listening`: since when all its sources have been listened to; `None` while one is not.
    pub fn on_time(&self, plan: &AlertPlan, now: Time, listening: Option<Time>) -> [Option<Move>; 2] {
        let Some(listening) = listening else { return [None; 2] };
        let over = |from: Time, span: Span| start(from, now, listening).plus(span) <= now;
        let condition = match self.condition {
            Phase::Waiting { since, from }
                if over(from, plan.hold) && !self.cools(plan, Why::Condition, now) =>
            {
                Some(Move::Raise { why: Why::Condition, since, at: now })
            }
            _ => None,
        };
        let silent = || {
            let silent_for = plan.silent_for.filter(|_| self.heard > Time::MIN)?;
            let silent = over(self.heard, silent_for) && !self.cools(plan, Why::Silence, now);
            silent.then_some(Move::Raise { why: Why::Silence, since: self.heard.min(now), at: now })
        };
        let absence = if self.absence.is_none() { self.gone(plan, now).or_else(silent) } else { None };
        [condition, absence]
    }

    /// When [`Watch::on_time`] may have something to say or a capture is to be sent, if nothing else happens; never too
    /// late.
    pub fn deadline(&self, plan: &AlertPlan, now: Time, listening: Option<Time>) -> Option<Time> {
        // Whoever begins to listen later than now does not decide before this.
        let from = |from: Time, span: Span| match listening {
            Some(listening) => start(from, now, listening).plus(span),
            None => now.plus(span).max(now.plus(LOOK_AGAIN)),
        };
        let cooled = |why: Why| {
            let at = self.cleared[why.machine()].filter(|at| *at <= now);
            at.map_or(Time::MIN, |at| at.plus(plan.cooldown))
        };
        let condition = match self.condition {
            Phase::Waiting { from: arrival, .. } => {
                Some(from(arrival, plan.hold).max(cooled(Why::Condition)))
            }
            Phase::Calm | Phase::Raised(_) => None,
        };
        let here = self.absence.is_none();
        let gone = (here && plan.minds_offline() && self.is_offline())
            .then(|| from(self.offline_since, Span::ZERO).max(cooled(Why::Offline)));
        let silent = plan.silent_for.filter(|_| here && self.heard > Time::MIN);
        let silent = silent.map(|span| from(self.heard, span).max(cooled(Why::Silence)));
        let capture = self.capture.as_ref().map(|capture| capture.due(now));
        [condition, gone, silent, capture].into_iter().flatten().min()
    }

    fn gone(&self, plan: &AlertPlan, at: Time) -> Option<Move> {
        let gone = plan.minds_offline() && self.is_offline() && !self.cools(plan, Why::Offline, at);
        gone.then_some(Move::Raise { why: Why::Offline, since: self.offline_since.min(at), at })
    }

    /// Whether it is too soon to raise it again. A clock that was set back ends the wait: nobody knows how long it was.
    fn cools(&self, plan: &AlertPlan, why: Why, now: Time) -> bool {
        self.cleared[why.machine()].is_some_and(|at| at <= now && now.since(at) < plan.cooldown)
    }

    /// Notes a counted reading: whether it is the first, from which on silence is possible.
    pub fn note(&mut self, time: Time, value: f64, arrival: Time, source: u16) -> bool {
        let first = self.heard == Time::MIN;
        self.heard = arrival;
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
        let time = time.min(arrival);
        if time >= self.newest {
            (self.newest, self.value) = (time, Some(value));
        }
        first
    }

    /// Makes a move: what it raised or cleared, if it did.
    pub fn make(&mut self, change: Move) -> Option<Raised> {
        match change {
            Move::Wait { since, from } => {
                self.condition = Phase::Waiting { since, from };
                None
            }
            Move::Calm => {
                self.condition = Phase::Calm;
                None
            }
            Move::Raise { why, since, at } => {
                self.ordinal += 1;
                let raised = Raised { why, since, at, ordinal: self.ordinal };
                match why {
                    Why::Condition => self.condition = Phase::Raised(raised),
                    Why::Silence | Why::Offline => self.absence = Some(raised),
                }
                Some(raised)
            }
            Move::Clear { why, at } => {
                self.cleared[why.machine()] = Some(at);
                match why {
                    Why::Condition => match std::mem::take(&mut self.condition) {
                        Phase::Raised(raised) => Some(raised),
                        Phase::Calm | Phase::Waiting { .. } => None,
                    },
                    Why::Silence | Why::Offline => self.absence.take(),
                }
            }
        }
    }
}

/// Where a wait that began at `from` begins to count. What seems to lie ahead was stamped by a clock that has been set
/// back since.
fn start(from: Time, now: Time, listening: Time) -> Time {
    if from > now { listening } else { from.max(listening) }
}
