//! Numbers that go from 255 to 0, as Sparkplug's do: they show what is missing, and are too few to know a message by.

use super::{Mark, Seen};
use serde::{Deserialize, Serialize};

/// The last number of a sender, and that of its last start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cycle {
    last: Option<u8>,
    start: u8,
}

impl Cycle {
    /// A start that was not heard of hid one message at least; the same number again is a message that came again.
    pub(super) fn look(&self, mark: &Mark) -> Seen {
        let (sequence, start) = numbers(mark);
        let steps = match (self.last, start) {
            (None, _) => 0,
            (Some(_), Some(start)) => start.wrapping_sub(self.start),
            (Some(last), None) => sequence.wrapping_sub(last),
        };
        Seen::New { gap: steps.saturating_sub(1).into() }
    }

    pub(super) fn insert(&mut self, mark: &Mark) {
        let (sequence, start) = numbers(mark);
        self.last = Some(sequence);
        self.start = start.unwrap_or(self.start);
    }
}

/// The number, and where it starts anew that of the start.
fn numbers(mark: &Mark) -> (u8, Option<u8>) {
    let low = |number: u64| number.to_le_bytes()[0];
    (low(mark.sequence), mark.boot.map(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps() {
        let mut cycle = Cycle::default();
        let mut check = |sequence: u64, boot: Option<u64>, gap: u32| {
            let mark = Mark { counter: 0, boot, sequence, hash: 0 };
            assert_eq!(cycle.look(&mark), Seen::New { gap }, "{sequence} {boot:?}");
            cycle.insert(&mark);
        };
        check(7, None, 0);
        check(8, None, 0);
        check(11, None, 2);
        check(11, None, 0);
        check(255, None, 243);
        check(0, None, 0);
        check(0, Some(4), 3);
        check(1, None, 0);
        check(0, Some(4), 0);
        check(0, Some(5), 0);
        check(0, Some(7), 1);
        check(2, None, 1);
    }
}
