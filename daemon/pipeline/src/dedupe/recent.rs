//! By sequence alone: the same number and payload among the last deliveries is a duplicate.
//!
//! The same number with another payload is a sensor that started anew. A restart that repeats both is taken for
//! duplicates: without a boot number nobody can tell.

use super::Seen;
use crate::limits::SEQUENCES_REMEMBERED;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The last deliveries of one counter, in the order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    /// Low 32 bits of the number, and the hash of the payload.
    last: VecDeque<(u32, u32)>,
    /// The number before this one, for gaps.
    previous: Option<u64>,
    /// No remembered number is above this: most deliveries are and need no search.
    highest: u64,
}

impl Recent {
    pub(super) fn look(&self, sequence: u64, hash: u32) -> Seen {
        let key = key(sequence, hash);
        if sequence <= self.highest && self.last.iter().rev().any(|&known| known == key) {
            return Seen::Before;
        }
        let gap = match self.previous {
            Some(previous) if sequence > previous => sequence - previous - 1,
            _ => 0,
        };
        Seen::New { gap: u32::try_from(gap).unwrap_or(u32::MAX) }
    }

    pub(super) fn insert(&mut self, sequence: u64, hash: u32) {
        if self.last.len() == SEQUENCES_REMEMBERED {
            self.last.pop_front();
        }
        if self.last.len() == self.last.capacity() {
            // One that was read from a checkpoint would double past what it may ever hold.
            let room = (2 * self.last.len()).clamp(8, SEQUENCES_REMEMBERED);
            self.last.reserve_exact(room - self.last.len());
        }
        self.last.push_back(key(sequence, hash));
        self.previous = Some(sequence);
        self.highest = self.highest.max(sequence);
    }

    /// How many deliveries are remembered.
    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    /// Remembers the last `keep` deliveries at most.
    pub(super) fn shorten(&mut self, keep: usize) {
        if self.last.len() > keep {
            self.last.drain(..self.last.len() - keep);
            self.last.shrink_to_fit();
        }
    }
}

fn key(sequence: u64, hash: u32) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is compared, together with the hash")]
    let low = sequence as u32;
    (low, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Seen = Seen::New { gap: 0 };

    fn note(recent: &mut Recent, sequence: u64, hash: u32) -> Seen {
        let seen = recent.look(sequence, hash);
        if seen != Seen::Before {
            recent.insert(sequence, hash);
        }
        seen
    }

    #[test]
    fn a_table() {
        let mut recent = Recent::default();
        for (sequence, hash, expected) in [
            (7, 1, NEW),
            (8, 2, NEW),
            (8, 2, Seen::Before),
            (10, 3, Seen::New { gap: 1 }),
            (9, 4, NEW),
            (10, 5, NEW), // same number, other payload: a restart
            (7, 1, Seen::Before),
            (0, 1, NEW),
        ] {
            assert_eq!(note(&mut recent, sequence, hash), expected, "({sequence}, {hash})");
        }
    }

    #[test]
    fn takes_no_more_room_than_it_may_need() {
        let mut recent = Recent { last: (0..1_000).map(|n| (n, 0)).collect(), ..Recent::default() };
        recent.last.shrink_to_fit();
        (1_000..5_000).for_each(|sequence| recent.insert(sequence, 0));
        assert_eq!((recent.last.len(), recent.last.capacity()), (SEQUENCES_REMEMBERED, SEQUENCES_REMEMBERED));
    }

    #[test]
    fn remembers_so_many() {
        let mut recent = Recent::default();
        for sequence in 0..=SEQUENCES_REMEMBERED as u64 {
            assert_eq!(note(&mut recent, sequence, 0), NEW);
        }
        assert_eq!(recent.look(1, 0), Seen::Before);
        assert_eq!(recent.look(0, 0), NEW, "one too many ago");
    }
}
