//! By content: for senders without numbers.
//!
//! When a connection ends, the last deliveries are in doubt: they are committed, but their acknowledgements may not have
//! arrived, and then the sender sends them again. So each session remembers fingerprints of its last deliveries, until
//! it is settled that the sender knows of them, and as many at most as it can have had in flight. At the next connection
//! they become a multiset: each entry cancels one message of the same content, and all expire once as many messages have
//! followed as the sender may have had in flight. What was cancelled is a delivery like any other: its acknowledgement can be lost, too.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// A fingerprint: 40 bits of XXH3 over topic and payload. Two of 16,384 different messages in doubt and as many after
/// them agree by chance once in some 4,000 reconnects at full load.
pub type Print = u64;

/// The fingerprint of a message.
pub fn print(topic: &[u8], payload: &[u8]) -> Print {
    let seed = xxhash_rust::xxh3::xxh3_64(topic);
    xxhash_rust::xxh3::xxh3_64_with_seed(payload, seed) & 0xff_ffff_ffff
}

/// What is remembered of one session's deliveries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// How many of the last deliveries can be in doubt.
    doubt_max: u32,
    /// The last deliveries of which it is not settled that the sender knows that we have them.
    recent: VecDeque<Print>,
    /// In doubt, in the order of delivery …
    order: VecDeque<Print>,
    /// … and how often each.
    doubted: BTreeMap<Print, u32>,
    /// How many more messages the doubt lasts.
    left: u32,
}

impl Session {
    /// A connection of this session opened. From here on what came last may come again.
    pub fn open(&mut self, doubt_max: u32) {
        self.doubt_max = doubt_max;
        for print in self.recent.drain(..) {
            *self.doubted.entry(print).or_default() += 1;
            self.order.push_back(print);
        }
        // A connection that breaks again and again adds to the doubt each time. A sender cannot hold more than it may
        // have in flight: what is older than twice that is not coming any more.
        while self.order.len() > 2 * doubt_max as usize {
            if let Some(oldest) = self.order.pop_front() {
                self.trust(oldest);
            }
        }
        // What comes again need not come first.
        let order = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        self.left = if order == 0 { 0 } else { order.max(doubt_max) };
    }

    /// The sender has read the acknowledgements of all deliveries but the last `but`. When it has read all, nothing of
    /// before this connection is to come any more either: that would have come first.
    pub fn settle(&mut self, but: u32) {
        let settled = self.recent.len().saturating_sub(but as usize);
        self.recent.drain(..settled);
        if but == 0 {
            self.trust_all();
        }
    }

    /// Whether [`Session::settle`] would change something.
    pub fn is_settled(&self, but: u32) -> bool {
        self.recent.len() <= but as usize && (but > 0 || self.left == 0)
    }

    /// How many deliveries are remembered. One in doubt stands for two: it is found by content and by order.
    pub(super) fn len(&self) -> usize {
        self.recent.len() + 2 * self.order.len()
    }

    /// Remembers no delivery any more.
    pub(super) fn forget(&mut self) {
        *self = Session { doubt_max: self.doubt_max, ..Session::default() };
    }

    fn trust_all(&mut self) {
        self.doubted.clear();
        self.order.clear();
        self.left = 0;
    }

    /// One delivery of this content is not in doubt any more.
    fn trust(&mut self, print: Print) {
        if let Some(count) = self.doubted.get_mut(&print) {
            *count -= 1;
            if *count == 0 {
                self.doubted.remove(&print);
            }
        }
    }

    /// Whether a message with this fingerprint is taken for one of those in doubt.
    pub fn doubts(&self, print: Print) -> bool {
        self.left > 0 && self.doubted.contains_key(&print)
    }

    /// A message was decided on: `cancelled` when it was taken for one in doubt.
    pub fn note(&mut self, print: Print, cancelled: bool) {
        // Deliveries come again in their order: the search ends soon.
        if cancelled && let Some(at) = self.order.iter().position(|known| *known == print) {
            self.order.remove(at);
            self.trust(print);
        }
        if self.left > 0 {
            self.left -= 1;
            if self.left == 0 {
                self.trust_all();
            }
        }
        self.recent.push_back(print);
        while self.recent.len() > self.doubt_max as usize {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliver(session: &mut Session, prints: &[Print]) -> Vec<bool> {
        prints
            .iter()
            .map(|&print| {
                let cancelled = session.doubts(print);
                session.note(print, cancelled);
                cancelled
            })
            .collect()
    }

    #[test]
    fn cancels_each_once_and_expires() {
        let mut session = Session::default();
        session.open(3);
        assert_eq!(deliver(&mut session, &[1, 2, 2, 3]), [false; 4]);
        session.open(3); // in doubt: 2, 2, 3
        assert_eq!(deliver(&mut session, &[2, 1, 2]), [true, false, true]);
        assert_eq!(deliver(&mut session, &[3]), [false], "expired: three have followed");
    }

    #[test]
    fn a_second_break_keeps_the_doubt() {
        let mut session = Session::default();
        session.open(2);
        deliver(&mut session, &[1, 2]);
        session.open(2);
        assert_eq!(deliver(&mut session, &[1]), [true]);
        session.open(2); // the acknowledgement of 1 may be lost again, and 2 has not come yet
        assert_eq!(deliver(&mut session, &[1, 2, 9]), [true, true, false]);
    }

    #[test]
    fn what_is_settled_is_not_doubted() {
        let mut session = Session::default();
        session.open(8);
        deliver(&mut session, &[1, 1, 2, 3]);
        session.settle(2);
        session.open(8);
        assert_eq!(deliver(&mut session, &[1, 2]), [false, true], "in doubt are the last two");
        session.settle(0);
        assert!(session.is_settled(0));
        assert_eq!(deliver(&mut session, &[3]), [false], "3 would have come before");
        session.settle(1);
        assert!(session.is_settled(1) && !session.is_settled(0));
    }

    /// A sensor whose value does not change, and whose connections end well.
    #[test]
    fn the_same_again_and_again_is_counted_again_and_again() {
        let mut session = Session::default();
        for _ in 0..5 {
            session.open(8);
            assert_eq!(deliver(&mut session, &[7]), [false]);
            session.settle(0);
        }
        // One that did not end well takes one of them, and not those behind it.
        session.open(8);
        assert_eq!(deliver(&mut session, &[7]), [false]);
        session.open(8);
        assert_eq!(deliver(&mut session, &[7]), [true]);
        session.settle(0);
        assert_eq!(deliver(&mut session, &[7]), [false]);
    }

    #[test]
    fn a_flapping_connection_does_not_grow_the_doubt() {
        let mut session = Session::default();
        session.open(100);
        deliver(&mut session, &(0..100).collect::<Vec<_>>());
        for flap in 1..100 {
            session.open(100);
            deliver(&mut session, &[flap * 1_000, flap * 1_000 + 1]);
        }
        session.open(100);
        assert!(session.order.len() <= 200 && session.doubted.len() <= 200);
        assert_eq!(deliver(&mut session, &[99_000, 99_001, 0]), [true, true, false]);
    }

    #[test]
    fn nothing_is_in_doubt_without_a_break() {
        let mut session = Session::default();
        session.open(8);
        assert_eq!(deliver(&mut session, &[5, 5, 5]), [false; 3]);
    }

    #[test]
    fn fingerprints_tell_topic_from_payload() {
        assert_ne!(print(b"ab", b"c"), print(b"a", b"bc"));
        assert_eq!(print(b"a", b"b") >> 40, 0);
        // Part of the store's format: it may never change.
        assert_eq!(print(b"sensors/a/t", b"21.5"), 1_005_986_341_111);
    }
}
