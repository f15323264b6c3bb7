//! Does what the [`Courier`] decides: reads the outbox, sends, waits. The only place of forwarding with a clock.

use super::Destination;
use super::answer::Answer;
use super::budget::{BudgetReport, Scope};
use super::courier::{Change, Courier, Effects, Offer, Policy, Ready};
use super::link::Link;
use super::outbox::{Outbox, Outcome};
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

/// Sends what `outbox` holds to `destination` until `shutdown` turns true or its sender is gone.
pub(super) async fn drive<O: Outbox, D: Destination>(
    outbox: O,
    mut destination: D,
    policy: Policy,
    mut link: Link,
    report: Reporter,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut courier = Courier::new(policy);
    // Whether nothing was heard of the destination yet: what is wrong with it is found out before the first event waits.
    let mut untried = true;
    let try_at = Instant::now() + limits::TRY_AFTER;
    while !*shutdown.borrow() {
        let scope = link.look(&outbox);
        report.progress(&courier, link.report());
        if let Scope::Nothing(_) = scope {
            let at = scope.look_again();
            report.pulse().sleeps("waits until its budget allows more", at.unwrap_or_else(Instant::now));
            tokio::select! {
                () = until(at) => {}
                () = told_to_leave(&mut shutdown) => break,
            }
            continue;
        }
        let (events, bytes) = match courier.ready(Instant::now()) {
            Ready::Take { events, bytes } => (events, bytes),
            Ready::At(at) => {
                report.pulse().sleeps("sleeps until the next attempt", at);
                tokio::select! {
                    () = until(Some(at)) => {}
                    () = told_to_leave(&mut shutdown) => break,
                }
                continue;
            }
        };
        let (batch, answer) = match outbox.next(
            courier.set_aside(),
            events,
            bytes.min(link.left(scope)),
            scope.is_for_alerts(),
        ) {
            Err(error) => (Vec::new(), unreadable(&error)),
            Ok(batch) => match courier.offer(&batch, Instant::now()) {
                Offer::Again => continue,
                Offer::Wait(None) if untried && Instant::now() >= try_at => {
                    report.pulse().does(
                        "tries the connection",
                        destination.limit().unwrap_or_default() + limits::WEDGED_AFTER,
                    );
                    let Some(problem) = attempt(destination.test(), &mut shutdown).await else { break };
                    untried = problem.is_some();
                    (Vec::new(), problem.unwrap_or(Answer::Confirmed { failed: Vec::new() }))
                }
                Offer::Wait(at) => {
                    let first = Some(try_at).filter(|at| untried && *at > Instant::now());
                    let at = at.into_iter().chain(scope.look_again()).chain(first).min();
                    match at {
                        Some(at) => report.pulse().sleeps("waits for more events", at),
                        None => report.pulse().waits("waits for events"),
                    }
                    tokio::select! {
                        () = outbox.changed() => {}
                        () = until(at) => {}
                        () = told_to_leave(&mut shutdown) => break,
                    }
                    continue;
                }
                Offer::Send => {
                    match destination.limit() {
                        Some(limit) => report.pulse().does("sends", limit + limits::WEDGED_AFTER),
                        None => report.pulse().waits("waits for the file to take what it writes"),
                    }
                    let Some(answer) = attempt(destination.send(&batch), &mut shutdown).await else { break };
                    untried = false;
                    (batch, answer)
                }
            },
        };
        link.spent(report.wire(), batch.len(), &answer, &outbox);
        let moment = Moment { now: Instant::now(), chance: fastrand::f64() };
        let effects = courier.answered(&batch, answer, moment);
        report.effects(&effects);
        if !effects.settled.is_empty() {
            outbox.settle(effects.settled, moment.now);
        }
    }
    // An attempt that is not waited for has cost its bytes, too.
    link.spent(report.wire(), 0, &Answer::Confirmed { failed: Vec::new() }, &outbox);
    report.leave();
    report.pulse().ends();
}

/// One attempt; `None` when it was still under way a little after the daemon was told to leave.
async fn attempt<T>(attempt: impl Future<Output = T>, shutdown: &mut watch::Receiver<bool>) -> Option<T> {
    tokio::select! {
        answer = attempt => Some(answer),
        () = async {
            told_to_leave(shutdown).await;
            tokio::time::sleep(limits::LEAVE_GRACE).await;
        } => None,
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
