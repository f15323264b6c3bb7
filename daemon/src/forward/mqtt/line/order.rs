//! An order on a line: which of its messages were written, and what the broker said of them.

use super::Line;
use crate::forward::answer::printable;
use crate::forward::mqtt::session::{Message, Verdict};
use crate::limits;
use crate::wire::publish::{Publish, publish};
use crate::wire::reasons::{self, Who};
use std::collections::BTreeMap;

/// A message that the broker has spoken of.
pub(in crate::forward::mqtt) struct Taken {
    /// Which of the order.
    pub(in crate::forward::mqtt) at: usize,
    pub(in crate::forward::mqtt) verdict: Verdict,
}

/// How far an order is.
#[derive(Default)]
pub(super) struct Progress {
    /// Of how many messages.
    messages: usize,
    /// The next one to be written.
    next: usize,
    /// Those that wait for their PUBACK, by packet identifier.
    in_flight: BTreeMap<u16, usize>,
    /// Those at QoS 0 that were written; the broker has them when it has answered the ping behind them.
    unconfirmed: Vec<usize>,
    /// The number of that ping.
    confirmed_by: Option<u64>,
    done: usize,
}

impl Line {
    /// Begins an order of so many messages.
    pub(in crate::forward::mqtt) fn begin(&mut self, messages: usize) {
        self.order = Progress { messages, ..Progress::default() };
    }

    /// Whether each message of the order has its verdict.
    pub(in crate::forward::mqtt) fn is_done(&self) -> bool {
        self.order.done == self.order.messages
    }

    /// Goes on with the order: tells what was acknowledged, and queues as much as the broker and the memory allow.
    pub(in crate::forward::mqtt) fn take(&mut self, messages: &[Message], tell: &mut impl FnMut(Taken)) {
        while let Some((id, code, reason)) = self.acks.pop_front() {
            // Anything else is the answer to a message of nobody's.
            let Some(at) = self.order.in_flight.remove(&id) else { continue };
            let who = Who::new(&self.client_id, self.login.as_ref());
            let topic = || printable(&messages[at].topic);
            let words = || reasons::puback(code, reason.as_deref(), &topic(), who);
            let verdict = match code {
                0..0x80 => Verdict::Taken,
                // Topic name invalid, packet too large, payload format invalid: whoever sends them.
                0x90 | 0x95 | 0x99 => Verdict::Refused(words()),
                _ => Verdict::Denied(words()),
            };
            self.tell(at, verdict, tell);
        }
        while let Some(message) = messages.get(self.order.next) {
            let room = self.order.in_flight.len() < self.in_flight_max;
            if !room || self.out.len() >= limits::WRITE_BYTES_MAX {
                break;
            }
            let at = self.order.next;
            self.order.next += 1;
            self.queue(at, message, tell);
        }
        let written = self.order.next == messages.len() && !self.order.unconfirmed.is_empty();
        if written && self.order.confirmed_by.is_none() {
            self.ping();
            self.order.confirmed_by = Some(self.pings);
        }
        if self.order.confirmed_by.is_some_and(|ping| self.pongs >= ping) {
            for at in std::mem::take(&mut self.order.unconfirmed) {
                self.tell(at, Verdict::Taken, tell);
            }
        }
    }

    fn queue(&mut self, at: usize, message: &Message, tell: &mut impl FnMut(Taken)) {
        let id = (message.qos > 0).then(|| self.next_id());
        let packet = Publish { topic: &message.topic, payload: &message.payload, id, retain: message.retain };
        if packet.length(self.version) > self.packet_bytes_max {
            let words = format!(
                "the message to `{}` is larger than the {} bytes that the broker takes",
                printable(&message.topic),
                self.packet_bytes_max
            );
            return self.tell(at, Verdict::Refused(words), tell);
        }
        match publish(self.version, &packet, &mut self.out) {
            Err(fault) => self.tell(at, Verdict::Refused(fault.to_string()), tell),
            Ok(()) => match id {
                Some(id) => drop(self.order.in_flight.insert(id, at)),
                None => self.order.unconfirmed.push(at),
            },
        }
    }

    /// Few are in flight and none outlives its order, so that one that is free is soon found.
    fn next_id(&mut self) -> u16 {
        self.id = self.id.checked_add(1).unwrap_or(1);
        self.id
    }

    fn tell(&mut self, at: usize, verdict: Verdict, tell: &mut impl FnMut(Taken)) {
        self.order.done += 1;
        tell(Taken { at, verdict });
    }
}
