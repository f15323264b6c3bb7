//! Does what [`Dispatch`] decides: reads the outbox, sends, waits. The only place of forwarding with a clock.

use super::Destination;
use super::answer::Answer;
use super::budget::{BudgetReport, Scope};
use super::courier::{Change, Courier, Effects, Offer, Policy};
use super::dispatch::{Dispatch, Next};
use super::link::Link;
use super::outbox::{self, Ask, Of, Outbox, Outcome, Queued};
use super::retry::Moment;
use super::state::{OutputState, Report};
use crate::health::Health;
use crate::limits;
use crate::pulse::Pulse;
use std::future::pending;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tidegate_pipeline::time::{Span, Time};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

/// Sends what `outbox` holds to a destination until `shutdown` turns true or its sender is gone. `hands`: as many ways to it as
/// attempts may be under way at a time.
pub(super) async fn drive<O: Outbox, D: Destination + 'static>(
    outbox: O,
    hands: Vec<D>,
    policy: Policy,
    link: Link,
    report: Reporter,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut driver = Driver {
        outbox,
        hands,
        dispatch: Dispatch::new(policy),
        link,
        report,
        under_way: JoinSet::new(),
        bytes: 0,
        untried: true,
        try_at: Instant::now() + limits::TRY_AFTER,
    };
    while !*shutdown.borrow() {
        let wait = driver.begin();
        tokio::select! {
            Some(attempt) = driver.under_way.join_next() => driver.ended(attempt),
            () = driver.outbox.changed(), if wait.changes => driver.dispatch.changed(),
            () = until(wait.at) => {}
            () = told_to_leave(&mut shutdown) => break,
        }
    }
    driver.leave().await;
}

/// What the driver waits for, besides the end of what is under way.
struct Wait {
    at: Option<Instant>,
    /// The outbox may change.
    changes: bool,
}

/// One output at work.
struct Driver<O, D> {
    outbox: O,
    /// Those that are free.
    hands: Vec<D>,
    dispatch: Dispatch,
    link: Link,
    report: Reporter,
    under_way: JoinSet<Attempt<D>>,
    /// Bytes of the events that are under way.
    bytes: usize,
    /// Whether nothing was heard of the destination yet: what is wrong with it is found out before the first event waits.
    untried: bool,
    try_at: Instant,
}

/// An attempt that is over.
struct Attempt<D> {
    hand: D,
    of: Of,
    batch: Vec<Queued>,
    /// `None`: it was a test of the connection, which found nothing wrong.
    answer: Option<Answer>,
}

impl<O: Outbox, D: Destination + 'static> Driver<O, D> {
    /// Begins all attempts that may be under way now, and shows how that left it.
    fn begin(&mut self) -> Wait {
        let wait = self.begin_all();
        self.report.progress(self.dispatch.courier(), self.link.report());
        wait
    }

    fn begin_all(&mut self) -> Wait {
        loop {
            let scope = self.link.look(&self.outbox);
            if let Scope::Nothing(_) = scope {
                let at = scope.look_again();
                self.sleeps("waits until its budget allows more", at.unwrap_or_else(Instant::now));
                return Wait { at, changes: false };
            }
            let (of, events, bytes) = match self.dispatch.next(scope.is_for_alerts(), Instant::now()) {
                Next::Take { of, events, bytes } => (of, events, bytes),
                Next::Answer => return Wait { at: None, changes: false },
                Next::AnswerOrChange => return Wait { at: None, changes: true },
                Next::At(at) => {
                    self.sleeps("sleeps until the next attempt", at);
                    return Wait { at: Some(at), changes: false };
                }
            };
            let left = self.link.left(scope).saturating_sub(self.bytes);
            if left == 0 && !self.under_way.is_empty() {
                // What is under way may have spent the rest.
                return Wait { at: None, changes: false };
            }
            let ask = Ask {
                of,
                except: self.dispatch.set_aside(),
                events,
                bytes: bytes.min(left),
                newest_after: self.dispatch.newest_after(),
            };
            let batch = match self.outbox.next(&ask) {
                Ok(batch) => batch,
                Err(error) => {
                    self.answered(of, &[], unreadable(&error));
                    continue;
                }
            };
            match self.dispatch.offer(of, &batch, Instant::now()) {
                Offer::Again => {}
                Offer::Send => self.send(of, batch),
                Offer::Wait(None) if self.untried && Instant::now() >= self.try_at => self.try_connection(of),
                Offer::Wait(at) => {
                    let first = Some(self.try_at).filter(|at| self.untried && *at > Instant::now());
                    let at = at.into_iter().chain(scope.look_again()).chain(first).min();
                    match at {
                        Some(at) => self.sleeps("waits for more events", at),
                        None => self.report.pulse().waits("waits for events"),
                    }
                    return Wait { at, changes: true };
                }
            }
        }
    }

    fn send(&mut self, of: Of, batch: Vec<Queued>) {
        self.untried = false;
        self.bytes += outbox::size(&batch);
        self.start(of, "sends", |mut hand| async move {
            let answer = Some(hand.send(&batch).await);
            Attempt { hand, of, batch, answer }
        });
    }

    fn try_connection(&mut self, of: Of) {
        self.start(of, "tries the connection", |mut hand| async move {
            let answer = hand.test().await;
            Attempt { hand, of, batch: Vec::new(), answer }
        });
    }

    fn start<F>(&mut self, of: Of, what: &'static str, attempt: impl FnOnce(D) -> F)
    where
        F: Future<Output = Attempt<D>> + Send + 'static,
    {
        let Some(hand) = self.hands.pop() else {
            unreachable!("no more attempts are under way than there are lanes, and hands");
        };
        match hand.limit() {
            Some(limit) => self.report.pulse().does(what, limit + limits::WEDGED_AFTER),
            None => self.report.pulse().waits("waits for the file to take what it writes"),
        }
        self.dispatch.begins(of);
        self.under_way.spawn(attempt(hand));
    }

    fn ended(&mut self, attempt: Result<Attempt<D>, JoinError>) {
        let Attempt { hand, of, batch, answer } = match attempt {
            Ok(attempt) => attempt,
            // Nobody cancels them, so it was a programmer's error, and its hand is gone.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.hands.push(hand);
        self.bytes -= outbox::size(&batch);
        if batch.is_empty() {
            self.untried = answer.is_some();
        }
        self.answered(of, &batch, answer.unwrap_or(Answer::Confirmed { failed: Vec::new() }));
    }

    fn answered(&mut self, of: Of, batch: &[Queued], answer: Answer) {
        self.link.spent(self.report.wire(), batch.len(), &answer, &self.outbox);
        let moment = Moment { now: Instant::now(), chance: fastrand::f64() };
        let effects = self.dispatch.answered(of, batch, answer, moment);
        self.report.effects(&effects);
        if !effects.settled.is_empty() {
            self.outbox.settle(effects.settled, moment.now);
        }
    }

    /// Gives what is under way a little time to be answered.
    async fn leave(mut self) {
        let grace = Instant::now() + limits::LEAVE_GRACE;
        while let Ok(Some(attempt)) = tokio::time::timeout_at(grace.into(), self.under_way.join_next()).await
        {
            self.ended(attempt);
        }
        self.under_way.shutdown().await;
        // An attempt that is not waited for has cost its bytes, too.
        let nothing = Answer::Confirmed { failed: Vec::new() };
        self.link.spent(self.report.wire(), 0, &nothing, &self.outbox);
        self.report.leave();
        self.report.pulse().ends();
    }

    /// Unless something is under way, which must show itself earlier.
    fn sleeps(&self, what: &'static str, until: Instant) {
        if self.under_way.is_empty() {
            self.report.pulse().sleeps(what, until);
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}

async fn told_to_leave(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could say so.
    let _ = shutdown.wait_for(|&leave| leave).await;
}

fn unreadable(error: &dyn std::error::Error) -> Answer {
    Answer::DestinationProblem {
        why: format!(
            "the store cannot be read ({error}): nothing is sent until it can; see the problem at `store`"
        ),
    }
}

/// Tells health, state and log how one output fares.
#[derive(Debug)]
pub struct Reporter {
    name: String,
    at: String,
    health: Arc<Health>,
    state: Arc<OutputState>,
}

impl Reporter {
    /// For the output of this name.
    pub fn new(name: &str, health: Arc<Health>, state: Arc<OutputState>) -> Reporter {
        Reporter { name: name.to_owned(), at: format!("outputs.{name}"), health, state }
    }

    fn pulse(&self) -> &Pulse {
        &self.state.pulse
    }

    /// Bytes sent and received so far.
    fn wire(&self) -> u64 {
        self.state.wire()
    }

    fn progress(&self, courier: &Courier, budget: Option<BudgetReport>) {
        let now = Instant::now();
        let retry_at = courier.retry_at().filter(|at| *at > now).map(|at| {
            let wait = i64::try_from((at - now).as_micros()).unwrap_or(i64::MAX);
            wall_clock().plus(Span(wait))
        });
        self.state.report(Report {
            batch: courier.events_max(),
            retry_at,
            set_aside: courier.suspects(),
            note: courier.note(),
            budget,
        });
    }

    fn effects(&self, effects: &Effects) {
        let output = self.name.as_str();
        if let Some(error) = &effects.error {
            tracing::debug!(output, error, "an attempt failed");
            self.state.went_wrong(error.clone());
        }
        match &effects.problem {
            Change::Keep => {}
            Change::Raise(text) => {
                if self.health.raise(&self.at, text.as_str()) {
                    tracing::warn!(output, "{text}");
                }
            }
            Change::Clear => {
                if self.health.clear(&self.at) {
                    tracing::info!(output, "the destination answers again");
                }
            }
        }
        if effects.settled.iter().any(|(_, _, outcome)| *outcome == Outcome::Delivered) {
            self.state.succeeded(wall_clock());
        }
        for (_, id, outcome) in &effects.settled {
            if let Outcome::Refused(words) = outcome {
                tracing::warn!(output, id, words, "refused; the event goes to the dead letters");
            }
        }
    }

    fn leave(&self) {
        self.health.clear(&self.at);
        self.state.report(Report::default());
    }
}

fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
