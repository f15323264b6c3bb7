//! The cloud: two model functions that keep the highest revision per key and retire what is replaced, as docs/events.md asks,
//! and that answer badly for a while. The real `Dispatch` and `StoreOutbox` send to them.

use super::check::FAMILIES;
use super::gateway::Process;
use super::setup::OUTPUTS;
use super::world::{Event, World, millis, secs};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tidegate::forward::answer::{Answer, Reply, classify};
use tidegate::forward::courier::{Offer, Policy};
use tidegate::forward::dispatch::{Dispatch, Next};
use tidegate::forward::outbox::{Ask, Of, Outbox, Queued};
use tidegate::forward::receiver::Receiver;
use tidegate::forward::retry::{Moment, Retry};
use tidegate::wiring::outbox::StoreOutbox;

/// One event in so many is one that the function will never take.
const POISON: u32 = 150;

/// How a function feels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    /// Takes everything.
    #[default]
    Well,
    /// Takes everything, and its answers are lost.
    Mute,
    /// Takes everything, and says that it failed.
    Liar,
    /// 429 with `Retry-After`.
    Busy,
    /// 413 for more than so many.
    Small(usize),
    /// 500 and 503.
    Failing,
    /// 401.
    Unauthorised,
    /// Nobody is there.
    Away,
    /// Names some events as failed.
    Picky,
}

/// What came back of a request.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Status { code: u16, retry_after: Option<Duration>, body: String },
    Nothing,
    Unreachable,
}

/// A model function.
#[derive(Debug, Default)]
pub(super) struct Function {
    pub(super) mood: Mood,
    /// By id: the bytes.
    pub(super) events: BTreeMap<String, Vec<u8>>,
    /// Those that it never takes.
    poison: BTreeSet<String>,
    /// It refused something, so the order is not what it was.
    refused: bool,
    /// By series and length: the start of the last window that came in its turn.
    latest: BTreeMap<(usize, u64), i64>,
}

/// What carries events to one function.
pub(super) struct Line {
    dispatch: Dispatch,
    outbox: StoreOutbox,
    /// When it is looked at next, whatever changes.
    at: u64,
}

impl World {
    /// A process begins to send.
    pub(super) fn cloud_begins(&mut self, process: &Process) {
        let at = self.now;
        let line = |(((outbox, events), lanes), newest)| {
            let linger = if events > 1 { Duration::from_secs(1) } else { Duration::ZERO };
            let (retry, receiver) = (Retry::default(), Receiver::Function);
            let policy = Policy { events, bytes: 64 << 10, linger, retry, receiver, lanes, newest };
            Line { dispatch: Dispatch::new(policy), outbox, at }
        };
        let outboxes = World::outboxes(process).into_iter();
        self.lines =
            outboxes.zip(self.setup.batch).zip(self.setup.lanes).zip(self.setup.newest).map(line).collect();
    }

    /// The process is gone, and what it was sending with it.
    pub(super) fn cloud_ends(&mut self) {
        self.lines.clear();
    }

    /// When a line is due, and which.
    pub(super) fn next_line(&self) -> Option<(u64, usize)> {
        let due = self.lines.iter().enumerate().filter(|(_, line)| line.at < u64::MAX);
        due.map(|(at, line)| (line.at, at)).min()
    }

    /// Outboxes may have changed.
    pub(super) fn cloud_looks(&mut self) {
        for line in &mut self.lines {
            line.dispatch.changed();
            line.at = line.at.min(self.now);
        }
    }

    /// Sends what there is: `forward/driver.rs` without its waiting.
    pub(super) fn pump(&mut self, at: usize) {
        let now = self.instant();
        loop {
            let Some(line) = self.lines.get_mut(at) else { return };
            let (of, events, bytes) = match line.dispatch.next(false, now) {
                Next::Take { of, events, bytes } => (of, events, bytes),
                Next::Answer | Next::AnswerOrChange => {
                    line.at = u64::MAX;
                    return self.wake_for_mail();
                }
                Next::At(due) => {
                    line.at = self.epoch.since(due).max(self.now + 1);
                    return self.wake_for_mail();
                }
            };
            let newest_after = line.dispatch.newest_after();
            let ask = Ask { of, except: line.dispatch.set_aside(), events, bytes, newest_after };
            let batch = match line.outbox.next(&ask) {
                Ok(batch) => batch,
                Err(error) => {
                    let moment = Moment { now, chance: self.random.f64() };
                    let answer = Answer::DestinationProblem { why: error.to_string() };
                    line.dispatch.answered(of, &[], answer, moment);
                    continue;
                }
            };
            // It may have asked for more.
            let offer = line.dispatch.offer(of, &batch, now);
            match offer {
                Offer::Again => {}
                Offer::Wait(due) => {
                    line.at = due.map_or(u64::MAX, |due| self.epoch.since(due).max(self.now + 1));
                    return self.wake_for_mail();
                }
                Offer::Send => {
                    line.dispatch.begins(of);
                    let arrives = self.now + millis(self.random.u64(2..100));
                    let process = self.gateway.process.as_ref().map_or(0, |process| process.number);
                    self.at(arrives, Event::Request { process, output: at, of, batch });
                }
            }
        }
    }

    /// A request reaches the cloud.
    pub(super) fn request(&mut self, process: u64, output: usize, of: Of, batch: Vec<Queued>) {
        let said = self.said(output, &batch);
        let wait = if matches!(said, Said::Nothing) { secs(30) } else { millis(self.random.u64(2..100)) };
        self.at(self.now + wait, Event::Answer { process, output, of, batch, said });
    }

    /// The answer is back.
    pub(super) fn answer(&mut self, process: u64, output: usize, of: Of, batch: &[Queued], said: &Said) {
        if self.gateway.process.as_ref().is_none_or(|running| running.number != process) {
            return;
        }
        let answer = match said {
            Said::Status { code, retry_after, body } => {
                let content_type = Some("application/json");
                let (status, retry_after, body) = (*code, *retry_after, body.as_bytes());
                classify(&Reply { status, content_type, retry_after, body, ..Reply::default() }, batch)
            }
            Said::Nothing => retry("did not answer in time", true),
            Said::Unreachable => retry("nobody is there", false),
        };
        let moment = Moment { now: self.instant(), chance: self.random.f64() };
        let Some(line) = self.lines.get_mut(output) else { return };
        let effects = line.dispatch.answered(of, batch, answer, moment);
        line.at = self.now;
        if !effects.settled.is_empty() {
            line.outbox.settle(effects.settled, moment.now);
        }
        // The heart has a new deadline.
        self.wake_for_mail();
    }

    fn said(&mut self, output: usize, batch: &[Queued]) -> Said {
        let mood = self.cloud[output].mood;
        let status = |code| Said::Status { code, retry_after: None, body: String::new() };
        let refuses = match mood {
            Mood::Busy => {
                let retry_after = Some(Duration::from_secs(self.random.u64(1..90)));
                Some(Said::Status { code: 429, retry_after, body: String::new() })
            }
            Mood::Small(most) if batch.len() > most => Some(status(413)),
            Mood::Failing => Some(status(if self.random.bool() { 500 } else { 503 })),
            Mood::Unauthorised => Some(status(401)),
            Mood::Away => Some(Said::Unreachable),
            _ => None,
        };
        if let Some(said) = refuses {
            return said;
        }
        if self.has_poison(output, batch) {
            self.cloud[output].refused = true;
            return status(422);
        }
        let mut failed = Vec::new();
        for queued in batch {
            if mood == Mood::Picky && self.random.u32(..3) == 0 {
                // Mostly for now; sometimes for ever.
                let again = self.random.u32(..10) > 0;
                failed.push(format!(r#"{{"id":"{}","retry":{again}}}"#, queued.id));
                self.cloud[output].refused = true;
            } else {
                self.accept(output, queued);
            }
        }
        match mood {
            Mood::Mute => Said::Nothing,
            Mood::Liar => status(500),
            _ if failed.is_empty() => status(204),
            _ => {
                let body = format!(r#"{{"failed":[{}]}}"#, failed.join(","));
                Said::Status { code: 200, retry_after: None, body }
            }
        }
    }

    fn has_poison(&mut self, output: usize, batch: &[Queued]) -> bool {
        let may_turn = self.now < self.quiet_at;
        let function = &mut self.cloud[output];
        for queued in batch {
            let new = !function.events.contains_key(&queued.id) && !function.poison.contains(&queued.id);
            if may_turn && new && self.random.u32(..POISON) == 0 {
                function.poison.insert(queued.id.clone());
            }
        }
        batch.iter().any(|queued| function.poison.contains(&queued.id))
    }

    /// One event arrives. The same id has the same content, always; and windows come in order.
    fn accept(&mut self, output: usize, queued: &Queued) {
        self.history.note_bytes(self.now, "accepted", queued.id.as_bytes());
        self.history.tell(self.now, &format_args!("{} at {}", queued.id, OUTPUTS[output]));
        let function = &mut self.cloud[output];
        if let Some(before) = function.events.get(&queued.id) {
            if *before != queued.event {
                self.broken.get_or_insert(format!("{} has two contents at {}", queued.id, OUTPUTS[output]));
            }
            return;
        }
        function.events.insert(queued.id.clone(), queued.event.clone());
        let event: Value = serde_json::from_slice(&queued.event).unwrap();
        let windows_may_move = self.setup.clocks || self.setup.changes;
        let in_order = !self.setup.newest[output];
        if event["data"]["revision"] == 0 && !windows_may_move && in_order {
            self.check_turn(output, &queued.id, &event);
        }
    }

    /// A window is sent when it has ended, and not before those of its series that ended before it.
    fn check_turn(&mut self, output: usize, id: &str, event: &Value) {
        let data = &event["data"];
        let summary = data["summary"].as_str();
        let family = FAMILIES.iter().find(|(names, _)| summary.is_some_and(|name| names.contains(&name)));
        let (Some((_, length)), Some((series, _, end))) = (family, self.place(data)) else { return };
        if end > self.now.cast_signed() {
            self.broken.get_or_insert(format!("{id} was closed before its end"));
        }
        // A late reading may open a window of which nothing was known when its turn came. What was merged has the turn of
        // its last part.
        let start = end - length.cast_signed();
        let told_before = data["replaces"].as_array().is_some_and(|keys| !keys.is_empty());
        if told_before || !self.oracle.is_in_time(series, start, *length) || self.cloud[output].refused {
            return;
        }
        let latest = self.cloud[output].latest.entry((series, *length)).or_insert(start);
        if start < *latest {
            let text = format!("{id} came after a later window at {}", OUTPUTS[output]);
            self.broken.get_or_insert(text);
        }
        *latest = start;
    }
}

fn retry(why: &str, overload: bool) -> Answer {
    Answer::RetryLater { after: None, why: why.to_owned(), overload }
}
