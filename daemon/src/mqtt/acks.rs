//! The acknowledgements that one connection owes. They are written in the order of receipt \[MQTT-4.6.0-2\].

use crate::limits;
use bytes::{BufMut, BytesMut};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

/// First byte and remaining length of a PUBACK, the same in both versions: MQTT 5 lets the reason code 0 be left out
/// (section 3.4.2.1).
const PUBACK: [u8; 2] = [0x40, 0x02];

/// An acknowledgement that is owed: the packet's identifier, and a checksum of what it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The packet's identifier.
    pub id: u16,
    /// Of everything behind its fixed header.
    pub sum: u32,
}

/// A packet that came again on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The first copy is not acknowledged yet; its acknowledgement will do.
    InFlight,
    /// The first copy was acknowledged; this one is acknowledged again, so that its sender goes on.
    Paid,
}

/// What one connection owes, and what it paid lately. It dies with its connection: that is the fence.
#[derive(Debug, Default)]
pub struct Acks {
    /// Runs that hold packet identifiers, oldest first.
    runs: VecDeque<(u64, Vec<Owed>)>,
    in_flight: usize,
    /// How often each identifier is in flight, or was just read: counted from the first DUP on, which most senders never
    /// set. More than once where a packet that was paid came again, and its sender goes on with the first payment.
    ids: Option<HashMap<u16, u32>>,
    /// What was acknowledged last.
    paid: VecDeque<Owed>,
}

impl Acks {
    /// A packet with this identifier was read; what it came with is owed next.
    pub fn note(&mut self, id: u16) {
        if let Some(ids) = &mut self.ids {
            *ids.entry(id).or_default() += 1;
        }
    }

    /// Run `number` is on its way to the writer and holds these packet identifiers.
    pub fn owe(&mut self, number: u64, owed: Vec<Owed>) {
        debug_assert!(self.runs.back().is_none_or(|(last, _)| *last < number), "runs are numbered upwards");
        if !owed.is_empty() {
            self.in_flight += owed.len();
            self.runs.push_back((number, owed));
        }
    }

    /// Writes what is due now that all runs up to `committed` are on disk. Gives the number of packets.
    pub fn pay(&mut self, committed: u64, out: &mut BytesMut) -> usize {
        let mut count = 0;
        while self.runs.front().is_some_and(|(number, _)| *number <= committed)
            && let Some((_, owed)) = self.runs.pop_front()
        {
            out.reserve(owed.len() * 4);
            for Owed { id, .. } in &owed {
                out.put_slice(&PUBACK);
                out.put_u16(*id);
                if let Some(ids) = &mut self.ids
                    && let Entry::Occupied(mut times) = ids.entry(*id)
                {
                    *times.get_mut() -= 1;
                    if *times.get() == 0 {
                        times.remove();
                    }
                }
            }
            count += owed.len();
            self.remember(&owed);
        }
        self.in_flight -= count;
        count
    }

    /// How many packets wait for their acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// What a PUBLISH with the DUP flag is, if its packet arrived on this very connection before.
    ///
    /// Some clients (esp-mqtt after a second) repeat on a live connection what was not acknowledged yet. TCP has
    /// delivered the first copy. While that is in flight its identifier belongs to it (section 2.2.1), and its
    /// acknowledgement will do for both. Behind that, identifiers are used again, and some brokers set DUP on everything
    /// that they deliver after a reconnect: then only the same content under the same identifier is a repeat.
    ///
    /// `read` is what was read just now and is not owed yet.
    pub fn seen(&mut self, owed: Owed, read: &[Owed]) -> Option<Repeat> {
        if self.paid.contains(&owed) {
            return Some(Repeat::Paid);
        }
        let runs = &self.runs;
        let count = || {
            let mut ids = HashMap::new();
            for owed in runs.iter().flat_map(|(_, owed)| owed).chain(read) {
                *ids.entry(owed.id).or_default() += 1;
            }
            ids
        };
        self.ids.get_or_insert_with(count).contains_key(&owed.id).then_some(Repeat::InFlight)
    }

    fn remember(&mut self, owed: &[Owed]) {
        let newest = &owed[owed.len().saturating_sub(limits::PACKET_IDS_REMEMBERED)..];
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

    fn owed(ids: impl IntoIterator<Item = u16>) -> Vec<Owed> {
        ids.into_iter().map(|id| Owed { id, sum: 1 }).collect()
    }

    #[test]
    fn paid_in_order_up_to_the_commit() {
        let mut acks = Acks::default();
        acks.owe(1, owed([7, 3]));
        acks.owe(2, vec![]);
        acks.owe(3, owed([9]));
        acks.owe(4, owed([1]));
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

    /// From the first repeat on, with what is read and paid behind it.
    #[test]
    fn knows_repeats_of_what_is_read_later() {
        let mut acks = Acks::default();
        let is_in_flight =
            |acks: &mut Acks, id| acks.seen(Owed { id, sum: 2 }, &owed([3])) == Some(Repeat::InFlight);
        acks.owe(1, owed([1, 2]));
        assert!([1, 2, 3].into_iter().all(|id| is_in_flight(&mut acks, id)));
        acks.owe(2, owed([3]));
        acks.note(4);
        assert!(is_in_flight(&mut acks, 4));
        acks.owe(3, owed([4]));
        acks.pay(2, &mut BytesMut::new());
        assert_eq!([1, 2, 3, 4].map(|id| is_in_flight(&mut acks, id)), [false, false, false, true]);
        // Packet 1 comes again, is owed again, and its identifier is used for the next message meanwhile.
        for number in [4, 5] {
            acks.note(1);
            acks.owe(number, owed([1]));
        }
        acks.pay(4, &mut BytesMut::new());
        assert!(is_in_flight(&mut acks, 1));
    }

    #[test]
    fn knows_repeats_whether_paid_or_not() {
        let mut acks = Acks::default();
        acks.owe(1, owed(1..=2_000));
        acks.owe(2, owed([5_000]));
        acks.pay(1, &mut BytesMut::new());
        for (id, sum, repeat) in [
            (5_000, 1, Some(Repeat::InFlight)),
            (5_000, 2, Some(Repeat::InFlight)),
            (2_000, 1, Some(Repeat::Paid)),
            (2_000, 2, None), // the identifier is used again
            (977, 1, Some(Repeat::Paid)),
            (976, 1, None),
            (5_001, 1, None),
        ] {
            assert_eq!(acks.seen(Owed { id, sum }, &[]), repeat, "{id}");
        }
    }
}
