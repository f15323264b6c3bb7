//! The broker: keeps a session for the gateway, honours the limits of it or does not, delivers again what was not
//! acknowledged, and may lose it all.

use super::world::{Event, World, millis};
use std::collections::VecDeque;

/// A message on its way: the sensor may have published it more than once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel {
    pub(super) message: usize,
    /// It was delivered at least once.
    tried: bool,
}

/// A PUBLISH at QoS 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) id: u16,
    pub(super) dup: bool,
    pub(super) message: usize,
}

/// What a session holds.
#[derive(Debug, Default)]
struct Session {
    queue: VecDeque<Parcel>,
    in_flight: VecDeque<(u16, Parcel)>,
    last_id: u16,
}

/// An open connection.
#[derive(Debug)]
struct Open {
    number: u64,
    /// What was sent on it and whose acknowledgement has to come next, in order. Not what was sent twice.
    owed: VecDeque<u16>,
    /// Identifiers that were sent twice on it: for these no order is checked.
    twice: Vec<u16>,
    /// Nothing arrives before this: packets do not overtake each other.
    arrives: u64,
}

/// The broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    session: Option<Session>,
    open: Option<Open>,
    connections: u64,
    /// It does not run before this.
    back_at: u64,
}

impl World {
    /// A sensor publishes. Without a session nobody keeps it.
    pub(super) fn broker_takes(&mut self, message: usize) {
        if self.now < self.broker.back_at {
            return;
        }
        let Some(session) = &mut self.broker.session else { return };
        session.queue.push_back(Parcel { message, tried: false });
        self.deliver(false);
    }

    /// The gateway connects: the connection's number, and whether the broker has kept its session. `None` when the broker
    /// does not run.
    pub(super) fn broker_accepts(&mut self) -> Option<(u64, bool)> {
        if self.now < self.broker.back_at {
            return None;
        }
        self.broker.connections += 1;
        let number = self.broker.connections;
        let arrives = self.now;
        self.broker.open = Some(Open { number, owed: VecDeque::new(), twice: Vec::new(), arrives });
        let present = self.broker.session.is_some();
        self.broker.session.get_or_insert_default();
        self.deliver_again();
        self.deliver(self.setup.exceeds);
        Some((number, present))
    }

    /// The connection is gone: with it what is on its way, in both directions.
    pub(super) fn broker_hangs_up(&mut self) {
        self.broker.open = None;
    }

    /// The broker stops and is back at `back_at`, with its session or without.
    pub(super) fn broker_restarts(&mut self, back_at: u64, keeps: bool) {
        self.broker.open = None;
        self.broker.back_at = back_at;
        if !keeps {
            self.broker.session = None;
        }
    }

    /// The broker is well from now on.
    pub(super) fn broker_recovers(&mut self) {
        self.broker.back_at = self.broker.back_at.min(self.now);
    }

    /// Everything that was in flight comes first, under the same identifiers or new ones.
    fn deliver_again(&mut self) {
        let Some(session) = &mut self.broker.session else { return };
        let mut again: Vec<_> = session.in_flight.drain(..).collect();
        if self.setup.reorders && self.random.bool() {
            self.random.shuffle(&mut again);
        }
        let mut packets = Vec::new();
        for (id, parcel) in again {
            let id = if self.setup.renumbers { next_id(session) } else { id };
            session.in_flight.push_back((id, parcel));
            packets.push(Packet { id, dup: self.setup.marks, message: parcel.message });
        }
        self.send(packets);
    }

    /// Sends what the limit allows; `all`: whatever it says.
    fn deliver(&mut self, all: bool) {
        if self.broker.open.is_none() {
            return;
        }
        let limit = if all { usize::MAX } else { self.setup.in_flight.min(self.setup.receive_max.into()) };
        let Some(session) = &mut self.broker.session else { return };
        let mut packets = Vec::new();
        while session.in_flight.len() < limit
            && let Some(mut parcel) = session.queue.pop_front()
        {
            let id = next_id(session);
            let dup = std::mem::replace(&mut parcel.tried, true) && self.setup.marks;
            session.in_flight.push_back((id, parcel));
            packets.push(Packet { id, dup, message: parcel.message });
        }
        self.send(packets);
    }

    /// A broker that is not sure sends again on a connection that is open.
    pub(super) fn broker_repeats(&mut self) {
        let (Some(session), Some(open)) = (&self.broker.session, &mut self.broker.open) else { return };
        let Some(&(id, parcel)) = session.in_flight.front() else { return };
        open.twice.push(id);
        open.owed.retain(|owed| *owed != id);
        let arrives = open.arrives.max(self.now + millis(1));
        open.arrives = arrives;
        let packet = Packet { id, dup: true, message: parcel.message };
        let connection = open.number;
        self.at(arrives, Event::Deliver { connection, packets: vec![packet] });
    }

    fn send(&mut self, packets: Vec<Packet>) {
        let Some(open) = &mut self.broker.open else { return };
        let mut rest = packets.as_slice();
        // The network cuts it into pieces.
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(self.random.usize(1..=rest.len()));
            rest = behind;
            open.owed.extend(piece.iter().map(|packet| packet.id));
            open.arrives = open.arrives.max(self.now + millis(self.random.u64(1..30)));
            let event = Event::Deliver { connection: open.number, packets: piece.to_vec() };
            self.agenda.insert((open.arrives, self.serial), event);
            self.serial += 1;
        }
    }

    /// PUBACKs arrive. They must be for what was sent on this connection, in its order \[MQTT-4.6.0-2\].
    pub(super) fn acknowledged(&mut self, connection: u64, ids: &[u16]) {
        let Some(open) = self.broker.open.as_mut().filter(|open| open.number == connection) else { return };
        for &id in ids {
            let Some(session) = &mut self.broker.session else { return };
            let next = open.owed.front().copied();
            if next == Some(id) {
                open.owed.pop_front();
            } else if !open.twice.contains(&id) {
                let text = format!("acknowledged packet {id} where {next:?} was next");
                self.broken.get_or_insert(text);
                return;
            }
            let Some(at) = session.in_flight.iter().position(|(known, _)| *known == id) else { continue };
            let Some((_, parcel)) = session.in_flight.remove(at) else { continue };
            self.history.note(self.now, "acknowledged", &[parcel.message as u64]);
            for &reading in &self.messages[parcel.message].readings {
                self.oracle.acknowledged(reading, self.now);
                self.toll.acknowledged += 1;
            }
        }
        self.deliver(false);
    }

    /// A ping arrives. The answer comes behind all that was sent before.
    pub(super) fn broker_answers(&mut self, connection: u64, read: u64) {
        let Some(open) = self.broker.open.as_mut().filter(|open| open.number == connection) else { return };
        open.arrives = open.arrives.max(self.now + millis(1));
        let arrives = open.arrives;
        self.at(arrives, Event::Pong { connection, read });
    }

    /// How many messages the broker still has for the gateway.
    pub(super) fn broker_backlog(&self) -> usize {
        self.broker.session.as_ref().map_or(0, |session| session.queue.len() + session.in_flight.len())
    }
}

/// The identifier after the last one that is not in use.
fn next_id(session: &mut Session) -> u16 {
    loop {
        session.last_id = session.last_id.checked_add(1).unwrap_or(1);
        let id = session.last_id;
        if !session.in_flight.iter().any(|(used, _)| *used == id) {
            return id;
        }
    }
}
