//! How much of the file what is not waiting may take.

use super::Store;
use super::checkpoint::JOURNAL_BYTES_MAX;
use crate::limits::DEAD_LETTERS_BYTES_MAX;

/// Bounds in bytes that follow from the size of the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The journal may grow to this.
    pub(super) journal: u64,
    /// Dead letters may take this.
    pub(super) letters: u64,
}

impl Default for Room {
    fn default() -> Room {
        Room { journal: JOURNAL_BYTES_MAX, letters: DEAD_LETTERS_BYTES_MAX }
    }
}

/// Of a small file journal and dead letters may take such a part each.
const SHARE: u64 = 16;

impl Store {
    /// Keeps journal and dead letters small enough for a file of `bytes_max`, so that most of it is for what waits.
    pub fn fit(&mut self, bytes_max: u64) {
        let Room { journal, letters } = Room::default();
        let share = bytes_max / SHARE;
        self.room = Room { journal: journal.min(share), letters: letters.min(share) };
    }
}
