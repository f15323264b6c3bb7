//! One open connection, the same for both ends: reads in large gulps, hands over one run per gulp, acknowledges what is
//! committed.
//!
//! A connection owns everything that must not outlive it: the buffer, the [`Link`], the acknowledgements that it owes.
//! It reads nothing while what it has read does not fit into the intake; it goes on writing then.

use super::Context;
use super::acks::{Acks, Owed};
use super::proofs::Proofs;
use super::reader::Taken;
use super::transport::{Over, Turn, Wire};
use super::unfinished::Account;
use crate::clock::uptime;
use crate::config::model::Protocol;
use crate::ingest::intake::{Input, Link, Run};
use crate::limits;
use crate::wire::decode::Packet;
use crate::wire::encode;
use crate::wire::frame::Fault;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tidegate_pipeline::verdict::Reason;
use tokio::time::{Instant, sleep_until};

/// An open connection: what passes through it goes to the intake, what the intake's writer commits is acknowledged on it.
pub(super) struct Connection {
    pub(super) wire: Wire,
    pub(super) version: Protocol,
    link: Arc<Link>,
    context: Context,
    acks: Acks,
    proofs: Proofs,
    /// Number of the last run.
    number: u64,
    /// What did not fit into the intake yet. Nothing is read while something is here.
    waiting: VecDeque<Input>,
    /// Of packets that are not complete, where it has to share room with others.
    account: Option<Account>,
    /// The buffer may hold complete packets.
    unread: bool,
    /// No reading before this: small reads are spaced out, and a client may be over its rate.
    read_at: Instant,
    /// When something was read last.
    pub(super) heard: Instant,
    /// In flight at most, at least 1; nothing more is taken then.
    in_flight_max: usize,
}

/// What one turn brought besides acknowledgements.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// How many messages.
    pub(super) messages: usize,
    /// How many that had come before on this connection, or were too large.
    pub(super) passed_over: usize,
    /// Other packets, in the order of receipt.
    pub(super) packets: Vec<Packet>,
    /// What came behind all that and ends the connection.
    pub(super) fault: Option<Fault>,
}

impl Connection {
    /// Opens the connection for messages after its handshake. The writer hears of it before its first run.
    pub(super) fn open(wire: Wire, version: Protocol, link: Arc<Link>, context: Context) -> Connection {
        let now = Instant::now();
        let in_flight_max = usize::from(link.doubt_max.max(1));
        let waiting = VecDeque::from([Input::Opened(Arc::clone(&link))]);
        Connection {
            wire,
            version,
            link,
            context,
            acks: Acks::default(),
            proofs: Proofs::default(),
            number: 0,
            waiting,
            account: None,
            unread: true,
            read_at: now,
            heard: now,
            in_flight_max,
        }
    }

    /// What it holds of a packet that is not complete goes into this account from here on.
    pub(super) fn accounts_for(&mut self, account: Account) {
        self.account = Some(account);
    }

    /// Reads no more, and forgets what was not handed over: it is not acknowledged.
    pub(super) fn stop_reading(&mut self) {
        self.unread = false;
        self.wire.reader.clear();
        self.account = None;
    }

    /// Reads, hands over, acknowledges, until something came that the owner should know of. Cancel safe.
    pub(super) async fn turn(&mut self) -> Result<Brought, Over> {
        loop {
            if let Some(brought) = self.hand_over() {
                return Ok(brought);
            }
            let reading = !self.is_blocked();
            self.work(reading).await?;
        }
    }

    /// Reads no more; waits until all that was handed over is committed and acknowledged, for at most `limit`.
    pub(super) async fn settle(&mut self, limit: Duration) -> Result<(), Over> {
        let settled = async {
            while !self.waiting.is_empty() || self.link.committed() < self.number || !self.wire.is_written() {
                self.offer();
                self.acknowledge();
                self.work(false).await?;
            }
            self.acknowledge();
            self.wire.write_out(limit).await
        };
        tokio::time::timeout(limit, settled).await.unwrap_or(Ok(()))
    }

    /// Ends the connection: the writer gets what it has not got yet, then hears of the end. Waits for room in the intake.
    pub(super) async fn close(mut self) {
        for input in std::mem::take(&mut self.waiting) {
            self.context.intake.push(input).await;
        }
        self.context.intake.push(Input::Closed(Arc::clone(&self.link))).await;
    }

    /// Puts something into the intake, behind what waits for it already.
    pub(super) fn tell(&mut self, input: Input) {
        self.waiting.push_back(input);
        self.offer();
    }

    /// Asks the broker for an answer. It reads our packets in their order (section 4.2): when it answers, it has read
    /// all acknowledgements before.
    pub(super) fn ping(&mut self) {
        encode::pingreq(&mut self.wire.out);
        self.proofs.ask();
    }

    /// The broker has answered the first of our pings that waited for it.
    pub(super) fn answered(&mut self) {
        self.proofs.answered(Instant::now());
    }

    /// When something that the broker has read is settled.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        self.proofs.due()
    }

    /// Settles what is by now.
    pub(super) fn settle_proved(&mut self, now: Instant) {
        if let Some(unread) = self.proofs.settle(now) {
            self.settle_but(unread);
        }
    }

    /// Whether there are acknowledgements that the other end has not been asked about.
    pub(super) fn may_ask(&self) -> bool {
        self.proofs.may_ask()
    }

    /// The other end has read every acknowledgement that was written, and ends the connection.
    pub(super) fn settle_written(&mut self) {
        self.settle_but(0);
    }

    /// It has read all that were written but for the last `unread`.
    fn settle_but(&mut self, unread: u64) {
        let but = u32::try_from(unread + self.acks.in_flight() as u64).unwrap_or(u32::MAX);
        self.tell(Input::Settled { link: Arc::clone(&self.link), but });
    }

    /// Whether all that came is acknowledged, and that is on its way.
    pub(super) fn owes_nothing(&self) -> bool {
        self.waiting.is_empty() && self.acks.in_flight() == 0 && self.wire.is_written()
    }

    /// Hands over a message that did not come as a PUBLISH: a will. It is acknowledged to nobody, and comes once.
    pub(super) fn tell_message(&mut self, topic: &[u8], payload: &[u8]) {
        let (middle, end) = (topic.len() as u32, (topic.len() + payload.len()) as u32);
        let message = crate::ingest::intake::Message {
            topic: 0..middle,
            payload: middle..end,
            retained: false,
            acknowledged: false,
            dup: false,
        };
        self.context.state.received(1, end as usize, 0);
        self.tell_run([topic, payload].concat().into(), vec![message], Vec::new());
    }

    /// No reading for so long: the client is over its rate.
    pub(super) fn pause(&mut self, length: Duration) {
        self.read_at = self.read_at.max(Instant::now() + length);
    }

    /// Whether the silence may be ours: we are not reading.
    pub(super) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
            || self.wire.out.len() > limits::WRITE_BYTES_MAX
            || self.acks.in_flight() >= self.in_flight_max
    }

    /// Since when the other end has been silent although it was listened to. A pause for the rate is no silence of its own.
    pub(super) fn silent_since(&self) -> Instant {
        self.heard.max(self.read_at)
    }

    /// How many packets wait for their acknowledgement.
    pub(super) fn in_flight(&self) -> usize {
        self.acks.in_flight()
    }

    /// Whom this connection belongs to.
    pub(super) fn session(&self) -> &str {
        &self.link.session
    }

    /// Takes what is in the buffer, if there is room for it.
    fn hand_over(&mut self) -> Option<Brought> {
        loop {
            self.offer();
            self.acknowledge();
            if !self.unread || self.is_blocked() {
                return None;
            }
            // However much a read brought: what is in flight beyond the limit could not be known again if it came again.
            let owed_max = self.in_flight_max - self.acks.in_flight();
            let taken = self.wire.reader.take(self.version, &mut self.acks, owed_max);
            if taken.is_empty() {
                self.unread = false;
                if let Some(account) = &mut self.account {
                    account.note(self.wire.reader.len());
                }
                return None;
            }
            let brought = self.accept(taken);
            if brought.messages + brought.passed_over > 0
                || !brought.packets.is_empty()
                || brought.fault.is_some()
            {
                return Some(brought);
            }
        }
    }

    fn accept(&mut self, taken: Taken) -> Brought {
        let state = &self.context.state;
        if taken.repeats > 0 {
            state.repeated(taken.repeats);
            self.waiting.push_back(Input::Repeated { count: taken.repeats });
        }
        if taken.too_large > 0 {
            state.too_large(taken.too_large);
            self.waiting.push_back(Input::Refused { reason: Reason::TooLarge, count: taken.too_large });
        }
        let messages = taken.messages.len();
        if messages > 0 || !taken.owed.is_empty() {
            state.received(messages, taken.bytes.len(), taken.owed.len());
            self.tell_run(taken.bytes, taken.messages, taken.owed);
        }
        let passed_over = usize::try_from(taken.repeats + taken.too_large).unwrap_or(usize::MAX);
        Brought { messages, passed_over, packets: taken.packets, fault: taken.fault }
    }

    fn tell_run(&mut self, bytes: Bytes, messages: Vec<crate::ingest::intake::Message>, owed: Vec<Owed>) {
        self.number += 1;
        self.acks.owe(self.number, owed);
        let link = Arc::clone(&self.link);
        self.tell(Input::Run(Run { link, number: self.number, arrival: uptime(), bytes, messages }));
    }

    fn offer(&mut self) {
        while let Some(input) = self.waiting.pop_front() {
            if let Some(input) = self.context.intake.try_push(Some(input)) {
                self.waiting.push_front(input);
                return;
            }
        }
    }

    fn acknowledge(&mut self) {
        let count = self.acks.pay(self.link.committed(), &mut self.wire.out);
        if count > 0 {
            self.proofs.wrote(count as u64);
            self.context.state.acknowledged(count);
        }
    }

    /// Waits until something can be done, and does the part of it that concerns the wire.
    async fn work(&mut self, reading: bool) -> Result<(), Over> {
        let now = Instant::now();
        let paused = reading && self.read_at > now;
        tokio::select! {
            turn = self.wire.turn(reading && !paused) => {
                if let Turn::Read(count) = turn? {
                    let now = Instant::now();
                    self.heard = now;
                    self.unread = true;
                    // The first message after a silence is taken at once, and so is a large backlog. Between the two
                    // a broker that writes message by message would wake us for each of them.
                    if count < limits::READ_BYTES_MAX / 4 {
                        self.read_at = self.read_at.max(now + limits::READ_SPACING);
                    }
                }
            }
            () = self.link.risen() => {}
            () = self.context.intake.room(), if !self.waiting.is_empty() => {}
            () = sleep_until(self.read_at), if paused => {}
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.context.state.abandoned(self.acks.in_flight());
    }
}
