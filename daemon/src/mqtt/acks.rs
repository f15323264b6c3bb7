//! The acknowledgements that one connection owes. They are written in the order of receipt \[MQTT-4.6.0-2\].

use crate::limits;
use bytes::{BufMut, BytesMut};
use std::collections::VecDeque;

/// First byte and remaining length of a PUBACK, the same in both versions: MQTT 5 lets the reason code 0 be left out
/// (section 3.4.2.1).
const PUBACK: [u8; 2] = [0x40, 0x02];

/// What one connection owes, and what it paid lately. It dies with its connection: that is the fence.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// Runs that hold packet identifiers, oldest first.
    runs: VecDeque<(u64, Vec<u16>)>,
    in_flight: usize,
    /// The identifiers that were acknowledged last.
    paid: VecDeque<u16>,
}

impl Acks {
    /// Run `number` is on its way to the writer and holds these packet identifiers.
    pub(super) fn owe(&mut self, number: u64, packet_ids: Vec<u16>) {
        debug_assert!(self.runs.back().is_none_or(|(last, _)| *last < number), "runs are numbered upwards");
        if !packet_ids.is_empty() {
            self.in_flight += packet_ids.len();
            self.runs.push_back((number, packet_ids));
        }
    }

    /// Writes what is due now that all runs up to `committed` are on disk. Gives the number of packets.
    pub(super) fn pay(&mut self, committed: u64, out: &mut BytesMut) -> usize {
        let mut count = 0;
        while self.runs.front().is_some_and(|(number, _)| *number <= committed)
            && let Some((_, packet_ids)) = self.runs.pop_front()
        {
            out.reserve(packet_ids.len() * 4);
            for id in &packet_ids {
                out.put_slice(&PUBACK);
                out.put_u16(*id);
            }
            count += packet_ids.len();
            self.remember(&packet_ids);
        }
        self.in_flight -= count;
        count
    }

    /// How many packets wait for their acknowledgement.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a PUBLISH with the DUP flag and this identifier is one that arrived on this very connection.
    ///
    /// Some clients (esp-mqtt after a second) repeat on a live connection what was not acknowledged yet. TCP has
    /// delivered the first copy, and delivers its acknowledgement: the second is neither counted nor acknowledged. A
    /// second PUBACK could hit a *new* message that has been given the identifier meanwhile. A first copy never carries
    /// DUP \[MQTT-3.3.1-2\], so that a new message is never taken for a repeat.
    pub(super) fn seen(&self, id: u16) -> bool {
        self.paid.contains(&id) || self.runs.iter().any(|(_, ids)| ids.contains(&id))
    }

    fn remember(&mut self, packet_ids: &[u16]) {
        let newest = &packet_ids[packet_ids.len().saturating_sub(limits::PACKET_IDS_REMEMBERED)..];
        let over = (self.paid.len() + newest.len()).saturating_sub(limits::PACKET_IDS_REMEMBERED);
        self.paid.drain(..over);
        self.paid.extend(newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(out: &BytesMut) -> Vec<u16> {
        assert!(out.chunks(4).all(|ack| ack[..2] == PUBACK));
        out.chunks(4).map(|ack| u16::from_be_bytes([ack[2], ack[3]])).collect()
    }

    #[test]
    fn paid_in_order_up_to_the_commit() {
        let mut acks = Acks::default();
        acks.owe(1, vec![7, 3]);
        acks.owe(2, vec![]);
        acks.owe(3, vec![9]);
        acks.owe(4, vec![1]);
        let mut out = BytesMut::new();
        for (committed, expected, left) in
            [(0, vec![], 4), (3, vec![7, 3, 9], 1), (3, vec![], 1), (9, vec![1], 0)]
        {
            out.clear();
            assert_eq!(acks.pay(committed, &mut out), expected.len());
            assert_eq!(ids(&out), expected);
            assert_eq!(acks.in_flight(), left);
        }
    }

    #[test]
    fn knows_repeats_whether_paid_or_not() {
        let mut acks = Acks::default();
        acks.owe(1, (1..=2_000).collect());
        acks.owe(2, vec![5_000]);
        acks.pay(1, &mut BytesMut::new());
        for (id, seen) in [(5_000, true), (2_000, true), (977, true), (976, false), (5_001, false)] {
            assert_eq!(acks.seen(id), seen, "{id}");
        }
    }
}
