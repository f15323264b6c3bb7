//! Forwarding: from the outbox on disk to functions, whenever there is a connection.
//!
//! [`outbox`] is what the store gives, [`courier`] decides what to send, [`dispatch`] how much at a time, [`driver`] does it,
//! and [`http`], [`mqtt`] and [`mod@file`] are the destinations; an [`answer::Answer`] is all that a destination says. A new
//! kind of output is a new [`Destination`] and an arm in [`run_output`].

pub mod answer;
pub mod budget;
pub mod commands;
pub mod courier;
pub mod dispatch;
pub mod driver;
pub mod file;
pub mod http;
mod link;
pub mod mqtt;
pub mod outbox;
mod pace;
pub mod receiver;
pub mod retry;
pub mod state;

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;

use crate::config::model::{Output, OutputKind};
use crate::health::Health;
use crate::limits;
use answer::Answer;
use budget::Purse;
use courier::Policy;
use link::Link;
use outbox::{Outbox, Queued};
use receiver::Receiver;
use retry::Retry;
use state::OutputState;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where events go. What went wrong is an [`Answer`] too: nothing here ends the forwarder.
pub trait Destination: Send {
    /// Makes one attempt to deliver `events`, of which there is at least one, in order.
    fn send(&mut self, events: &[Queued]) -> impl Future<Output = Answer> + Send;

    /// Finds out whether an attempt would fail, without an event: `None` where nothing says so.
    fn test(&mut self) -> impl Future<Output = Option<Answer>> + Send;

    /// How long one attempt takes at most; `None` where a stranger decides: a disk, or the reader of a pipe.
    fn limit(&self) -> Option<Duration>;
}

/// Forwards the events of one output until `shutdown` turns true or its sender is gone. Keeps the problem at
/// `outputs.NAME` in `health` and the numbers in `state` up to date, and takes its problem along when it leaves.
///
/// Give `Retry::default()`.
pub async fn run_output<O: Outbox>(
    output: Output,
    retry: Retry,
    outbox: O,
    health: Arc<Health>,
    state: Arc<OutputState>,
    shutdown: watch::Receiver<bool>,
) {
    let Output { name, kind } = output;
    let report = driver::Reporter::new(&name, health, Arc::clone(&state));
    match kind {
        OutputKind::Http(cfg) => {
            let (events, bytes, linger) = match cfg.batch {
                Some(batch) => (batch.events, batch.bytes, batch.linger),
                None => (1, 0, Duration::ZERO),
            };
            let (receiver, lanes) = (Receiver::Function, cfg.concurrency);
            let newest = cfg.budget.as_ref().is_some_and(|budget| budget.newest);
            let policy = Policy { events, bytes, linger, retry, receiver, lanes, newest };
            let link = Link::new(cfg.budget.clone().map(|budget| Purse::new(budget, outbox.spent())));
            let hands = vec![http::Function::new(*cfg, state); policy.lanes];
            driver::drive(outbox, hands, policy, link, report, shutdown).await;
        }
        OutputKind::Mqtt(cfg) => {
            let (events, bytes) = (limits::PUBLISH_EVENTS_MAX, limits::PUBLISH_BYTES_MAX);
            let (linger, receiver) = (Duration::ZERO, Receiver::Broker);
            let policy = Policy { events, bytes, linger, retry, receiver, lanes: 1, newest: false };
            let hands = vec![mqtt::Republisher::new(*cfg, state)];
            driver::drive(outbox, hands, policy, Link::new(None), report, shutdown).await;
        }
        OutputKind::File(path) => {
            let (events, bytes) = (limits::FILE_EVENTS_MAX, limits::FILE_BYTES_MAX);
            let (linger, receiver) = (Duration::ZERO, Receiver::File);
            let policy = Policy { events, bytes, linger, retry, receiver, lanes: 1, newest: false };
            let hands = vec![file::Lines::new(path, state)];
            driver::drive(outbox, hands, policy, Link::new(None), report, shutdown).await;
        }
    }
}
