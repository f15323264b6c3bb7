//! The mailbox: what forwarders and operators want written, until the writer takes it into its next transaction.

use crate::ingest::intake::Intake;
use crate::ingest::sessions::Filters;
use crate::ingest::standing::Standing;
use crate::store::{Expenses, Settlement};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Confirmations wait so long for a transaction to ride along in; then they get one of their own.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// So many confirmations get a transaction of their own at once.
const CONFIRMATIONS_MAX: usize = 1_000;
/// How many more events an output is allowed at a time, …
const BLOCK: u64 = 512;
/// … or so many batches, where that is more: each time costs a transaction.
const BATCHES: u64 = 8;

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterOrder {
    /// Give it to the pipeline, or to the output, again.
    Retry(u64),
    /// Throw it away.
    Drop(u64),
}

/// Something for the writer to do, with where to say that it is done.
#[derive(Debug)]
pub struct Order {
    /// What.
    pub letters: Vec<LetterOrder>,
    /// Told when it is on disk.
    pub done: oneshot::Sender<()>,
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub struct Mail {
    /// What became of events.
    pub settled: Vec<Settlement>,
    /// Outputs that want more.
    pub reach: BTreeMap<String, u64>,
    /// Of outputs that don't begin with the oldest: what they want to send.
    pub allow: BTreeMap<String, Vec<(u8, u64)>>,
    /// What operators want.
    pub orders: Vec<Order>,
    /// What outputs have spent.
    pub spent: Expenses,
    /// What the sessions at brokers may hold, where that changed.
    pub subscriptions: Option<Filters>,
    /// More waits for an output with a budget than that can carry.
    pub thin: bool,
    since: Option<Instant>,
}

impl Mail {
    /// Adds what came later.
    pub fn append(&mut self, mut later: Mail) {
        self.settled.append(&mut later.settled);
        self.reach.append(&mut later.reach);
        self.allow.append(&mut later.allow);
        self.orders.append(&mut later.orders);
        self.spent.append(&mut later.spent);
        self.subscriptions = later.subscriptions.or(self.subscriptions.take());
        self.thin |= later.thin;
    }
}

#[derive(Debug, Default)]
struct Inner {
    mail: Mail,
    /// By output.
    standings: BTreeMap<String, Arc<Standing>>,
}

impl Inner {
    fn standing(&mut self, output: &str) -> &Arc<Standing> {
        self.standings.entry(output.to_owned()).or_default()
    }

    /// The names of outputs of which this is true.
    fn outputs(&self, is: impl Fn(&Standing) -> bool) -> BTreeSet<String> {
        self.standings.iter().filter(|(_, standing)| is(standing)).map(|(name, _)| name.clone()).collect()
    }
}

/// The mailbox of the one writer.
#[derive(Debug)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    intake: Arc<Intake>,
}

impl Mailbox {
    /// An empty mailbox; the writer is woken through its intake.
    pub fn new(intake: Arc<Intake>) -> Arc<Mailbox> {
        Arc::new(Mailbox { inner: Mutex::default(), intake })
    }

    /// What became of an event at `output`. Rides along in the next transaction.
    pub fn settle(&self, settlements: Vec<Settlement>, now: Instant) {
        let mut inner = self.lock();
        for settlement in settlements {
            inner.standing(&settlement.output).settle((settlement.priority, settlement.sequence));
            inner.mail.settled.push(settlement);
        }
        inner.mail.since.get_or_insert(now);
        let full = inner.mail.settled.len() >= CONFIRMATIONS_MAX;
        drop(inner);
        if full {
            self.intake.wake();
        }
    }

    /// How the output stands, for its forwarder.
    pub fn standing(&self, output: &str) -> Arc<Standing> {
        Arc::clone(self.lock().standing(output))
    }

    /// The output has sent all that it may and there is more.
    /// `batch`: so many events it sends at once.
    pub fn want_more(&self, output: &str, batch: usize) {
        let more = BLOCK.max(BATCHES * batch as u64);
        self.lock().mail.reach.insert(output.to_owned(), more);
        self.intake.wake();
    }

    /// The output wants to send what stands at these places next, whatever stands before it.
    pub fn want_these(&self, output: &str, places: Vec<(u8, u64)>) {
        self.lock().mail.allow.insert(output.to_owned(), places);
        self.intake.wake();
    }

    /// So much was spent by `output` on that day. Rides along in the next transaction.
    pub fn spend(&self, output: &str, day: i32, bytes: u64) {
        self.lock().mail.spent.insert(output.to_owned(), (day, bytes));
    }

    /// What the sessions at brokers may hold from now on.
    pub fn remember(&self, subscriptions: Filters) {
        self.lock().mail.subscriptions = Some(subscriptions);
        self.intake.wake();
    }

    /// What waits shall become less, where that is wanted.
    pub fn thin(&self) {
        self.lock().mail.thin = true;
        self.intake.wake();
    }

    /// Has the writer look around.
    pub fn wake(&self) {
        self.intake.wake();
    }

    /// The outputs that take windows out of turn.
    pub fn out_of_turn(&self) -> BTreeSet<String> {
        self.lock().outputs(Standing::is_out_of_turn)
    }

    /// An operator's order; the answer comes when it is on disk.
    pub fn order(&self, letters: Vec<LetterOrder>) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        self.lock().mail.orders.push(Order { letters, done });
        self.intake.wake();
        answer
    }

    /// When the writer must look in, at the latest: `now` if at once; `None` while there is nothing.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let inner = self.lock();
        let mail = &inner.mail;
        if !mail.reach.is_empty()
            || !mail.allow.is_empty()
            || !mail.orders.is_empty()
            || mail.subscriptions.is_some()
            || mail.thin
            || mail.settled.len() >= CONFIRMATIONS_MAX
        {
            return Some(now);
        }
        mail.since.map(|since| since + CONFIRM_WITHIN)
    }

    /// The writer takes everything, and learns which outputs wait for something to send.
    pub fn take(&self) -> (Mail, BTreeSet<String>) {
        let mut inner = self.lock();
        (std::mem::take(&mut inner.mail), inner.outputs(Standing::waits))
    }

    /// These are on disk. Wakes all outputs if their outboxes may have changed.
    pub fn committed(&self, settled: &[Settlement], changed: bool) {
        let inner = self.lock();
        for settlement in settled {
            if let Some(standing) = inner.standings.get(&settlement.output) {
                standing.confirm((settlement.priority, settlement.sequence));
            }
        }
        if changed {
            inner.standings.values().for_each(|standing| standing.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
