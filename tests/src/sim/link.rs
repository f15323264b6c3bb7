//! The gateway's end of a connection to the broker: what `mqtt/connection.rs` and `mqtt/client.rs` do with a socket, on the
//! real `Link` and the real `Acks`.

use super::broker::Packet;
use super::world::{Event, World, millis};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use tidegate::ingest::intake::{Input, Link, Message, Run};
use tidegate::limits::DRAINED_AFTER;
use tidegate::mqtt::acks::{Acks, Owed, Repeat};
use tidegate_pipeline::mutant::{self, Mutant};

/// Longest wait between two attempts to connect, in ms.
const RECONNECT_MS: u64 = 3_000;

/// An open connection. What it owes dies with it.
#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    link: Arc<Link>,
    acks: Acks,
    /// How many packets were acknowledged.
    acknowledged: u64,
    /// The broker was asked whether it has read them, and has not answered.
    asks: bool,
    runs: u64,
    /// By run: how many readings it brought.
    readings: VecDeque<(u64, u64)>,
    /// What did not fit into the intake.
    waiting: VecDeque<Input>,
    /// When it counts as drained, at the earliest.
    drained_at: Option<u64>,
    /// PUBACKs do not overtake each other.
    arrives: u64,
}

impl World {
    /// The gateway tries to connect.
    pub(super) fn connect(&mut self) {
        if self.connection.is_some() || self.is_changing() {
            return;
        }
        let Some(process) = &self.gateway.process else { return };
        let source = process.source;
        let Some((number, present)) = self.broker_accepts() else {
            let later = self.now + millis(self.random.u64(200..RECONNECT_MS));
            return self.at(later, Event::Connect);
        };
        self.history.note(self.now, "connected", &[number, present.into()]);
        let link = Link::new(source, "gateway", self.setup.receive_max);
        let drained = if present { Input::Backlog { source } } else { Input::Drained { source } };
        let inputs = [Input::Opened(Arc::clone(&link)), Input::Backlog { source }, drained];
        let connection = Connection {
            number,
            link,
            acks: Acks::default(),
            acknowledged: 0,
            asks: false,
            runs: 0,
            readings: VecDeque::new(),
            waiting: inputs.into(),
            drained_at: None,
            arrives: self.now,
        };
        self.connection = Some(connection);
        if present {
            self.expect_silence();
        }
        self.offer();
    }

    /// Drained is what has been silent for a while.
    fn expect_silence(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let at = self.now + u64::try_from(DRAINED_AFTER.as_micros()).unwrap();
        connection.drained_at = Some(at);
        let number = connection.number;
        self.at(at, Event::Silent { connection: number });
    }

    /// Perhaps the broker has been silent for long enough.
    pub(super) fn silent(&mut self, number: u64) {
        let Some(connection) = self.connection.as_mut().filter(|c| c.number == number) else { return };
        if connection.drained_at.is_some_and(|at| at <= self.now) {
            connection.drained_at = None;
            connection.waiting.push_back(Input::Drained { source: connection.link.source });
            self.offer();
        }
    }

    /// Packets arrive, as one read: one run.
    pub(super) fn delivered(&mut self, number: u64, packets: &[Packet]) {
        let error = self.knows_the_time().then(|| self.machine.error());
        let arrival = self.machine.up();
        let Some(connection) = self.connection.as_mut().filter(|c| c.number == number) else { return };
        let (mut bytes, mut messages, mut owed) = (Vec::new(), Vec::new(), Vec::<Owed>::new());
        let (mut readings, mut repeats) = (0, 0);
        for packet in packets {
            let message = &self.messages[packet.message];
            let debt = Owed { id: packet.id, sum: u32::try_from(packet.message).unwrap() };
            match packet.dup.then(|| connection.acks.seen(debt, &owed)).flatten() {
                Some(Repeat::InFlight) => {
                    repeats += 1;
                    continue;
                }
                Some(Repeat::Paid) => {
                    repeats += 1;
                    connection.acks.note(packet.id);
                    owed.push(debt);
                    continue;
                }
                None => {
                    connection.acks.note(packet.id);
                    owed.push(debt);
                }
            }
            let mut put = |text: &str| {
                let start = u32::try_from(bytes.len()).unwrap();
                bytes.extend_from_slice(text.as_bytes());
                start..u32::try_from(bytes.len()).unwrap()
            };
            let (topic, payload) = (put(&message.topic), put(&message.payload));
            messages.push(Message { topic, payload, retained: false, acknowledged: true, dup: packet.dup });
            for &reading in &message.readings {
                self.oracle.delivered(reading, self.now, error);
                readings += 1;
            }
            self.history.note(self.now, "delivered", &[number, packet.id.into(), packet.message as u64]);
        }
        if repeats > 0 {
            self.counts.given += repeats;
            connection.waiting.push_back(Input::Repeated { count: repeats });
        }
        if !owed.is_empty() {
            connection.runs += 1;
            self.counts.given += readings;
            connection.readings.push_back((connection.runs, readings));
            connection.acks.owe(connection.runs, owed);
            let (link, number) = (Arc::clone(&connection.link), connection.runs);
            let run = Run { link, number, arrival, bytes: Bytes::from(bytes), messages };
            connection.waiting.push_back(Input::Run(run));
        }
        if connection.drained_at.is_some() {
            self.expect_silence();
        }
        self.offer();
    }

    /// Hands over what waits, as far as there is room.
    fn offer(&mut self) {
        while let Some(connection) = &mut self.connection
            && let Some(input) = connection.waiting.pop_front()
        {
            if let Some(refused) = self.push(input) {
                if let Some(connection) = &mut self.connection {
                    connection.waiting.push_front(refused);
                }
                return;
            }
        }
    }

    /// Writes the acknowledgements that are due.
    pub(super) fn acknowledge(&mut self) {
        self.offer();
        let Some(connection) = &mut self.connection else { return };
        let committed = connection.link.committed();
        while connection.readings.front().is_some_and(|(run, _)| *run <= committed)
            && let Some((_, readings)) = connection.readings.pop_front()
        {
            self.counts.committed += readings;
        }
        let mut out = BytesMut::new();
        if let Some((acks, link)) = &mut self.stale {
            acks.pay(link.committed(), &mut out);
        }
        connection.acknowledged += connection.acks.pay(committed, &mut out) as u64;
        if out.is_empty() {
            return;
        }
        let asks = !std::mem::replace(&mut connection.asks, true);
        let read = connection.acknowledged;
        let ids = out.chunks(4).map(|ack| u16::from_be_bytes([ack[2], ack[3]])).collect();
        connection.arrives = connection.arrives.max(self.now + millis(self.random.u64(1..30)));
        let (connection, at) = (connection.number, connection.arrives);
        self.at(at, Event::Acknowledge { connection, ids });
        if asks {
            self.at(at, Event::Ping { connection, read });
        }
    }

    /// The broker has read so many acknowledgements.
    pub(super) fn answered(&mut self, number: u64, read: u64) {
        let Some(connection) = self.connection.as_mut().filter(|c| c.number == number) else { return };
        connection.asks = false;
        let but = connection.acknowledged - read + connection.acks.in_flight() as u64;
        let but = u32::try_from(but).unwrap();
        self.history.note(self.now, "settled", &[number, but.into()]);
        let settled = Input::Settled { link: Arc::clone(&connection.link), but };
        connection.waiting.push_back(settled);
        self.offer();
    }

    /// The connection ends. `well`: the gateway ends it, when everything that it brought is committed and acknowledged as
    /// far as one turn gets.
    pub(super) fn hang_up(&mut self, well: bool) {
        if well && self.connection.is_some() {
            self.turn();
        }
        let Some(mut connection) = self.connection.take() else { return };
        if mutant::active(Mutant::NoFence) {
            self.stale = Some((std::mem::take(&mut connection.acks), Arc::clone(&connection.link)));
        }
        self.history.note(self.now, "hung up", &[connection.number]);
        self.broker_hangs_up();
        connection.waiting.push_back(Input::Closed(Arc::clone(&connection.link)));
        for input in connection.waiting {
            // The process may be gone: then so is what waits.
            let _ = self.push(input);
        }
    }

    /// The network between gateway and broker breaks.
    pub(super) fn break_connection(&mut self) {
        self.hang_up(false);
        let later = self.now + millis(self.random.u64(200..RECONNECT_MS));
        self.at(later, Event::Connect);
    }
}
