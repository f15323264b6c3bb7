//! By `(boot, sequence)`: exact. The last four boots stay live, each with a window below its highest number.

use super::Seen;
use crate::limits::{BOOT_WINDOW, BOOTS_MAX};
use serde::{Deserialize, Serialize};

const WORDS: usize = (BOOT_WINDOW / 64) as usize;

/// The live boots of one sensor, the latest begun last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Boots {
    live: Vec<Boot>,
    /// The last few that were forgotten: what comes of them still is too old to judge.
    gone: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Boot {
    id: u64,
    highest: u64,
    /// Bit `n % BOOT_WINDOW` says whether number `n` of the window was seen.
    seen: [u64; WORDS],
}

impl Boots {
    pub(super) fn look(&self, id: u64, sequence: u64) -> Seen {
        match self.live.iter().rev().find(|boot| boot.id == id) {
            Some(boot) => boot.look(sequence),
            None if self.gone.contains(&id) => Seen::TooOld,
            None => Seen::New { gap: 0 },
        }
    }

    pub(super) fn insert(&mut self, id: u64, sequence: u64) {
        if let Some(boot) = self.live.iter_mut().rev().find(|boot| boot.id == id) {
            return boot.insert(sequence);
        }
        if self.live.len() == BOOTS_MAX {
            let oldest = self.live.remove(0);
            if self.gone.len() == BOOTS_MAX {
                self.gone.remove(0);
            }
            self.gone.push(oldest.id);
        }
        let mut boot = Boot { id, highest: sequence, seen: [0; WORDS] };
        boot.set(sequence);
        self.live.push(boot);
    }
}

impl Boot {
    fn look(&self, sequence: u64) -> Seen {
        if sequence > self.highest {
            let skipped = sequence - self.highest - 1;
            return Seen::New { gap: u32::try_from(skipped).unwrap_or(u32::MAX) };
        }
        if self.highest - sequence >= BOOT_WINDOW {
            return Seen::TooOld;
        }
        let (word, bit) = place(sequence);
        if self.seen[word] & bit != 0 { Seen::Before } else { Seen::New { gap: 0 } }
    }

    fn insert(&mut self, sequence: u64) {
        if sequence > self.highest {
            let first = (self.highest + 1).max(sequence.saturating_sub(BOOT_WINDOW));
            (first..sequence).for_each(|number| self.clear(number));
            self.highest = sequence;
        }
        self.set(sequence);
    }

    fn set(&mut self, sequence: u64) {
        let (word, bit) = place(sequence);
        self.seen[word] |= bit;
    }

    fn clear(&mut self, sequence: u64) {
        let (word, bit) = place(sequence);
        self.seen[word] &= !bit;
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % BOOT_WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Seen = Seen::New { gap: 0 };

    #[test]
    fn a_table() {
        let mut boots = Boots::default();
        for (boot, sequence, expected) in [
            (1, 10, NEW),
            (1, 10, Seen::Before),
            (1, 11, NEW),
            (1, 14, Seen::New { gap: 2 }),
            (1, 12, NEW),
            (1, 12, Seen::Before),
            (2, 1, NEW),
            (1, 13, NEW),
            (1, 5_000, Seen::New { gap: 4_985 }),
            (1, 5_000 - BOOT_WINDOW, Seen::TooOld),
            (1, 5_001 - BOOT_WINDOW, NEW),
            (3, 0, NEW),
            (4, 0, NEW),
            (2, 1, Seen::Before),
            (5, 0, NEW),
            (1, 5_000, Seen::TooOld),
            (2, 1, Seen::Before),
            (5, u64::MAX, Seen::New { gap: u32::MAX }),
        ] {
            let seen = boots.look(boot, sequence);
            assert_eq!(seen, expected, "({boot}, {sequence})");
            if seen != Seen::Before && seen != Seen::TooOld {
                boots.insert(boot, sequence);
            }
        }
    }
}
