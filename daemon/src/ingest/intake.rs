//! The way in. Sources push, the one writer takes; acknowledgements go back to the connection they came from.
//!
//! An acknowledgement cannot cross a reconnect: it is a number that rises on the [`Link`] of one connection, and a new
//! connection has a new link. What is committed for a connection that is gone raises a number that nobody reads.

use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_pipeline::time::Span;
use tidegate_pipeline::verdict::Reason;
use tokio::sync::Notify;

/// One connection between a sender and us, from its beginning to its end.
#[derive(Debug)]
pub struct Link {
    /// The number of the source, see [`Sources`](super::sources::Sources).
    pub source: u16,
    /// Who is at the other end, the same after a reconnect: the MQTT client id (of the sensor on a listener, our own on
    /// a broker).
    pub session: Arc<str>,
    /// How many messages the sender sends ahead of acknowledgements if it keeps to what it was told: with so many it waits.
    pub ahead_max: u16,
    /// How many messages the sender may have sent without knowing whether we committed them. So many of the last
    /// deliveries are in doubt when the connection ends.
    pub doubt_max: u16,
    /// Whether the sender marks what it sends again (DUP). MQTT demands it of everybody; brokers that do not are known.
    pub marks: bool,
    committed: AtomicU64,
    wake: Notify,
}

impl Link {
    /// The link of a new connection on which no more is taken than the sender was told.
    pub fn new(source: u16, session: impl Into<Arc<str>>, ahead_max: u16) -> Arc<Link> {
        Arc::new(Link::of(source, session.into(), (ahead_max, ahead_max), false))
    }

    /// The same, where up to `doubt_max` messages are taken before one is acknowledged.
    pub fn lenient(source: u16, session: impl Into<Arc<str>>, ahead_max: u16, doubt_max: u16) -> Arc<Link> {
        Arc::new(Link::of(source, session.into(), (ahead_max, doubt_max), false))
    }

    /// The same, to a sender that marks what it sends again.
    pub fn marking(source: u16, session: impl Into<Arc<str>>, ahead_max: u16, doubt_max: u16) -> Arc<Link> {
        Arc::new(Link::of(source, session.into(), (ahead_max, doubt_max), true))
    }

    fn of(source: u16, session: Arc<str>, (ahead_max, doubt_max): (u16, u16), marks: bool) -> Link {
        Link {
            source,
            session,
            ahead_max,
            doubt_max,
            marks,
            committed: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    /// The highest [`Run::number`] of this link that is on disk. All lower ones are too.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Waits until [`Link::committed`] has risen since the last call. Cancel safe; may wake without need.
    pub async fn risen(&self) {
        self.wake.notified().await;
    }

    /// The writer's side: everything up to `number` is on disk.
    pub fn commit(&self, number: u64) {
        self.committed.fetch_max(number, Ordering::Release);
        self.wake.notify_one();
    }
}

/// Consecutive messages of one link, as they were read from the socket.
#[derive(Debug)]
pub struct Run {
    /// Where they came from and where acknowledgements go.
    pub link: Arc<Link>,
    /// 1 for the link's first run, then 2 …
    pub number: u64,
    /// The uptime at which they arrived: what time of day that was may be known only later.
    pub arrival: Span,
    /// The bytes that the messages point into.
    pub bytes: Bytes,
    /// The messages, in the order of receipt.
    pub messages: Vec<Message>,
}

/// One message: ranges in [`Run::bytes`] and its flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic; not checked to be UTF-8.
    pub topic: Range<u32>,
    /// The payload.
    pub payload: Range<u32>,
    /// The retain flag, where it means "replayed at subscription". A listener never sets it.
    pub retained: bool,
    /// QoS 1: it is acknowledged, and may come again.
    pub acknowledged: bool,
    /// The sender says that it may have sent it before.
    pub dup: bool,
}

/// What a source tells the writer.
#[derive(Debug)]
pub enum Input {
    /// Messages.
    Run(Run),
    /// A connection is open (after CONNACK). What its session delivered last may come again.
    Opened(Arc<Link>),
    /// The sender has read the acknowledgements of all messages of this connection so far, and of those before it, but for
    /// the last `but`: only those may come again.
    Settled {
        /// The connection.
        link: Arc<Link>,
        /// How many.
        but: u32,
    },
    /// A connection ended, or was never made: the reason is for the log.
    Closed(Arc<Link>),
    /// A broker has kept messages for us, or may have: windows of this source stay open until it is drained, or for a
    /// limited time.
    Backlog {
        /// The number of the source.
        source: u16,
    },
    /// The source has delivered what waited for us since the last connection.
    Drained {
        /// The number of the source.
        source: u16,
    },
    /// Packets that came again on the connection that had brought them: duplicates, one each.
    Repeated {
        /// How many.
        count: u64,
    },
    /// Messages that were turned away before they could be read: counted, not kept.
    Refused {
        /// Why.
        reason: Reason,
        /// How many.
        count: u64,
    },
}

impl Input {
    fn weight(&self) -> (usize, usize) {
        match self {
            Input::Run(run) => (run.messages.len().max(1), run.bytes.len()),
            _ => (1, 0),
        }
    }

    /// What this adds to the ledger's `pending` until it is committed.
    pub fn pending(&self) -> u64 {
        match self {
            Input::Run(run) => run.messages.len() as u64,
            Input::Refused { count, .. } | Input::Repeated { count } => *count,
            Input::Opened(_)
            | Input::Settled { .. }
            | Input::Closed(_)
            | Input::Backlog { .. }
            | Input::Drained { .. } => 0,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    inputs: VecDeque<Input>,
    messages: usize,
    bytes: usize,
    /// The writer is woken when so many messages wait.
    waits_for: usize,
    /// The writer is to look up, whatever waits.
    woken: bool,
    /// Messages that wait here or that the writer has taken and not committed.
    pending: u64,
}

/// The bounded queue between sources and the writer.
#[derive(Debug)]
pub struct Intake {
    queue: Mutex<Queue>,
    filled: Condvar,
    emptied: Notify,
    closed: AtomicBool,
    messages_max: usize,
    bytes_max: usize,
}

impl Intake {
    /// An empty queue that holds at most so many messages and bytes (one run may go over).
    pub fn new(messages_max: usize, bytes_max: usize) -> Arc<Intake> {
        Arc::new(Intake {
            queue: Mutex::default(),
            filled: Condvar::new(),
            emptied: Notify::new(),
            closed: AtomicBool::new(false),
            messages_max,
            bytes_max,
        })
    }

    /// Puts `input` in when there is room; waits until there is. Cancel safe: a cancelled push has not happened.
    ///
    /// Inputs of one source keep their order if it awaits one push before the next.
    pub async fn push(&self, input: Input) {
        let mut input = Some(input);
        loop {
            let room = self.emptied.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            match self.try_push(input.take()) {
                None => return,
                refused => input = refused,
            }
            room.await;
        }
    }

    /// Waits until a push would be taken, which by then another may have used. Cancel safe.
    pub async fn room(&self) {
        loop {
            let room = self.emptied.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.is_open() {
                return;
            }
            room.await;
        }
    }

    /// Puts `input` in if there is room; gives it back if not.
    pub fn try_push(&self, input: Option<Input>) -> Option<Input> {
        let input = input?;
        let mut queue = self.lock();
        if !self.has_room(&queue) {
            return Some(input);
        }
        let (messages, bytes) = input.weight();
        queue.messages += messages;
        queue.bytes += bytes;
        queue.pending += input.pending();
        // Windows may be waiting for just this.
        queue.woken |= matches!(input, Input::Drained { .. });
        queue.inputs.push_back(input);
        let enough = queue.woken || queue.messages >= queue.waits_for || queue.bytes >= self.bytes_max / 2;
        drop(queue);
        if enough {
            self.filled.notify_one();
        }
        None
    }

    /// Whether a push would be taken now.
    pub fn is_open(&self) -> bool {
        self.has_room(&self.lock())
    }

    /// The ledger's `pending`: messages that wait, and those that were taken and not [`Intake::release`]d.
    pub fn pending(&self) -> u64 {
        self.lock().pending
    }

    /// The writer's side: so many of the messages that it took are in the ledger now.
    pub fn release(&self, messages: u64) {
        let mut queue = self.lock();
        queue.pending = queue.pending.saturating_sub(messages);
    }

    /// Messages waiting to be taken.
    pub fn messages(&self) -> usize {
        self.lock().messages
    }

    /// Waits for something at most until `deadline`, and then `gather` for more to come with it. Ends early when woken, or
    /// when closed.
    pub fn gather(&self, deadline: Instant, gather: Duration) {
        let mut queue = self.lock();
        let mut until = deadline;
        queue.waits_for = 1;
        loop {
            if queue.messages >= queue.waits_for && queue.waits_for == 1 {
                // From here on only a good part of what fits is worth waking for.
                until = deadline.min(Instant::now() + gather);
                queue.waits_for = (self.messages_max / 16).max(1);
            }
            let left = until.saturating_duration_since(Instant::now());
            let enough = queue.messages >= queue.waits_for || queue.bytes >= self.bytes_max / 2;
            if left == Duration::ZERO || enough || queue.woken || self.is_closed() {
                break;
            }
            queue = self.filled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.waits_for = usize::MAX;
    }

    /// Takes all that is there; never waits.
    pub fn take(&self) -> Vec<Input> {
        let mut queue = self.lock();
        // Not before: who woke the writer while it was busy must not wait.
        queue.woken = false;
        let taken = std::mem::take(&mut queue.inputs);
        queue.messages = 0;
        queue.bytes = 0;
        drop(queue);
        self.emptied.notify_waiters();
        taken.into()
    }

    /// Waits until `deadline`, or until woken or closed, and takes nothing.
    pub fn wait(&self, deadline: Instant) {
        let mut queue = self.lock();
        while !queue.woken && !self.is_closed() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                break;
            }
            queue = self.filled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.woken = false;
    }

    /// Wakes the writer without input.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.filled.notify_one();
    }

    /// No more will come: [`Intake::gather`] no longer waits.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether [`Intake::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn has_room(&self, queue: &Queue) -> bool {
        queue.messages < self.messages_max && queue.bytes < self.bytes_max
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
