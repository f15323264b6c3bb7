//! What is remembered only to know it again: its share of the buffer.

use super::{Heart, Parts};
use crate::limits::{REMEMBERED_MAX, REMEMBERED_MIN};
use std::time::{Duration, Instant};

/// It is looked so often how much there is.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// In the log it is said so often that there is too much.
const TELL_EVERY: Duration = Duration::from_secs(3_600);
/// With a full buffer it is looked at most so seldom whether a checkpoint would make room.
const WRITE_MAX: Duration = Duration::from_secs(600);
/// Where nothing else makes room, one that frees one part in so many of its size is worth its wear.
const WORTH: u64 = 8;
/// Bytes of the file that one delivery can come to: ten in a checkpoint, of which there are two while one is written, in a file
/// three times as large as what is in it.
const FILE_BYTES: u64 = 60;
/// Of the buffer deliveries may take one part in so many.
const SHARE: u64 = 4;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// It was last looked then.
    looked: Option<Instant>,
    /// So many deliveries are to be left after the next transaction.
    pub(super) keep: Option<u64>,
    /// So many were left when that was last done.
    left: u64,
    /// With a full buffer it is not looked before then whether a checkpoint would make room, …
    write_at: Option<Instant>,
    /// … and if it would not, not for so long after that.
    wait: Duration,
    /// It was last said then.
    told: Option<Instant>,
}

/// Deliveries that may be remembered beside a buffer of `bytes_max`.
fn remembered_max(bytes_max: u64) -> u64 {
    (bytes_max / SHARE / FILE_BYTES).clamp(REMEMBERED_MIN, REMEMBERED_MAX)
}

impl Heart {
    /// Looks whether more is remembered than there is room for. Outputs can take nothing of that, so that it would be in the way
    /// for good.
    pub(super) fn look_at_memory(&mut self, now: Instant) {
        let memory = &mut self.memory;
        if memory.looked.is_some_and(|at| now < at + LOOK_EVERY) {
            return;
        }
        memory.looked = Some(now);
        let (remembered, most) =
            (self.parts.pipeline.remembered(), remembered_max(self.parts.buffer.bytes_max));
        memory.left = memory.left.min(remembered);
        // Some of each sender stays: of very many that is too much, and to do it again would make it no less.
        if remembered <= most.max(memory.left + most / 4) {
            return;
        }
        // So much less that it is not to be done again soon.
        memory.keep = Some(most / 4 * 3);
        if memory.told.is_none_or(|at| now >= at + TELL_EVERY) {
            memory.told = Some(now);
            tracing::warn!(
                remembered,
                most,
                "more deliveries are remembered, to know them when they come again, than the buffer has room for: fewer of each \
                 sender are from here on. With a boot number (`boot` of `sequence`) they take no room; else raise buffer.max_size"
            );
        }
    }

    /// It is on disk that less is remembered. A checkpoint shows it: the next, or one at once where there is little room.
    pub(super) fn remembers_less(&mut self) {
        self.memory.left = self.parts.pipeline.remembered();
        self.memory.write_at = None;
        if self.is_scarce() {
            self.parts.store.begin_checkpoint(&self.parts.pipeline);
        }
    }

    /// A full buffer has no transactions that the portions of a checkpoint could go into, and may be full of nothing but the
    /// checkpoint before, and its journal. One is written if it makes room enough: a buffer that outputs empty only just so fast
    /// is full again and again.
    pub(super) fn write_memory(&mut self, now: Instant) {
        let part = if self.is_spent() { WORTH } else { 1 };
        let Parts { store, pipeline, .. } = &mut self.parts;
        if self.memory.write_at.is_some_and(|at| now < at) || !store.has_journal() {
            return;
        }
        let written = store.checkpoint_if_worth(pipeline, part);
        let wait = if matches!(written, Ok(true)) { Duration::ZERO } else { 2 * self.memory.wait };
        self.memory.wait = wait.clamp(LOOK_EVERY, WRITE_MAX);
        self.memory.write_at = Some(now + self.memory.wait);
        if let Err(error) = written {
            self.refused(&error, None, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_buffer_within_bounds() {
        assert_eq!(remembered_max(0), REMEMBERED_MIN);
        assert_eq!(remembered_max(64 << 20), (16 << 20) / 60);
        assert_eq!(remembered_max(u64::MAX), REMEMBERED_MAX);
    }
}
