//! An outbox in memory, for tests. Checks what it is told.

use super::budget::Spent;
use super::outbox::{Ask, Of, Outbox, Outcome, Position, Queued, Settled};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// The events of so many series take turns.
const SERIES: u64 = 7;

/// Clones share one queue.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Inner>);

#[derive(Default)]
struct Inner {
    queue: Mutex<BTreeMap<Position, Queued>>,
    changed: Notify,
    settled: watch::Sender<Vec<Settled>>,
    spent: Mutex<Spent>,
    thinned: AtomicU64,
}

/// The event number `n`: an alert when `priority` is 0.
pub(super) fn event(priority: u8, n: u64) -> Queued {
    let id = format!("e{n}");
    let event = format!(r#"{{"specversion":"1.0","id":"{id}","data":{{"value":{n}}}}}"#).into_bytes();
    Queued { position: Position { priority, sequence: n }, id, event }
}

/// The series of an event that is no alert.
pub(super) fn series(queued: &Queued) -> u64 {
    queued.position.sequence % SERIES
}

impl Memory {
    /// With the summaries 0 to `n` - 1.
    pub(super) fn with(n: u64) -> Memory {
        let memory = Memory::default();
        (0..n).for_each(|n| memory.push(event(1, n)));
        memory
    }

    pub(super) fn push(&self, queued: Queued) {
        self.0.queue.lock().unwrap().insert(queued.position, queued);
        self.0.changed.notify_one();
    }

    /// What the store does when it merges or drops an event.
    pub(super) fn remove(&self, n: u64) {
        self.0.queue.lock().unwrap().remove(&event(1, n).position);
        self.0.changed.notify_one();
    }

    /// How often it was asked to make less of what waits.
    pub(super) fn thinned(&self) -> u64 {
        self.0.thinned.load(Ordering::Relaxed)
    }

    pub(super) fn len(&self) -> usize {
        self.0.queue.lock().unwrap().len()
    }

    /// Ids in the order in which they were delivered.
    pub(super) fn delivered(&self) -> Vec<String> {
        self.pick(|outcome| *outcome == Outcome::Delivered)
    }

    /// Ids in the order in which they were refused.
    pub(super) fn refused(&self) -> Vec<String> {
        self.pick(|outcome| *outcome != Outcome::Delivered)
    }

    /// Ids and words of those that were refused.
    pub(super) fn dead_letters(&self) -> Vec<(String, String)> {
        let settled = self.0.settled.borrow();
        let refused = settled.iter().filter_map(|(_, id, outcome)| match outcome {
            Outcome::Refused(words) => Some((id.clone(), words.clone())),
            Outcome::Delivered => None,
        });
        refused.collect()
    }

    fn pick(&self, want: impl Fn(&Outcome) -> bool) -> Vec<String> {
        let settled = self.0.settled.borrow();
        settled.iter().filter(|(_, _, outcome)| want(outcome)).map(|(_, id, _)| id.clone()).collect()
    }

    /// Waits until nothing is queued.
    pub(super) async fn drained(&self) {
        let mut settled = self.0.settled.subscribe();
        let empty = settled.wait_for(|_| self.len() == 0);
        tokio::time::timeout(Duration::from_secs(30), empty).await.expect("the queue drains").unwrap();
    }
}

impl Outbox for Memory {
    type Error = Infallible;

    fn next(&self, ask: &Ask<'_>) -> Result<Vec<Queued>, Infallible> {
        assert!(ask.except.len() <= crate::limits::SUSPECTS_MAX && ask.events > 0);
        let queue = self.0.queue.lock().unwrap();
        let mut room = ask.bytes;
        let mut batch = Vec::new();
        let wanted = |queued: &&Queued| {
            let alert = queued.position.priority == Position::ALERT;
            let of = match ask.of {
                Of::Everything => true,
                Of::Alerts => alert,
                Of::Lane(lane) if alert => lane.number == 0,
                Of::Lane(lane) => series(queued) % lane.of as u64 == lane.number as u64,
            };
            of && !ask.except.contains(&queued.position)
        };
        let mut in_turn: Vec<&Queued> = queue.values().filter(wanted).collect();
        if let Some(first) = ask.newest_after {
            in_turn.sort_by_key(|queued| {
                let Position { priority, sequence } = queued.position;
                let first = first.contains(&queued.position);
                let in_order = first || priority == Position::ALERT;
                (priority, !first, if in_order { sequence } else { u64::MAX - sequence })
            });
        }
        for queued in in_turn.into_iter().take(ask.events) {
            match room.checked_sub(queued.event.len()) {
                Some(rest) => room = rest,
                None if batch.is_empty() => room = 0,
                None => break,
            }
            batch.push(queued.clone());
        }
        Ok(batch)
    }

    fn settle(&self, outcomes: Vec<Settled>, _: Instant) {
        let mut queue = self.0.queue.lock().unwrap();
        for (position, id, _) in &outcomes {
            let queued = queue.remove(position).expect("what is settled is queued");
            assert_eq!(queued.id, *id);
        }
        drop(queue);
        self.0.settled.send_modify(|settled| settled.extend(outcomes));
    }

    fn spent(&self) -> Spent {
        *self.0.spent.lock().unwrap()
    }

    fn spend(&self, spent: Spent) {
        *self.0.spent.lock().unwrap() = spent;
    }

    fn backlog(&self) -> u64 {
        self.len() as u64
    }

    fn thin(&self) {
        self.0.thinned.fetch_add(1, Ordering::Relaxed);
    }

    fn changed(&self) -> impl Future<Output = ()> + Send {
        self.0.changed.notified()
    }
}
