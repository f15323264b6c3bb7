//! Making room: neighbours become one, or the oldest is dropped.

use super::packed::{Flags, HEAD_BYTES};
use super::{Queue, SEALED_BYTES_MAX, WhenFull};
use crate::channel::Merge;
use heapless::Vec;
use tidegate_wire::{CHANNELS_MAX, Channel, Encoder, Frame, Head, Reading};

/// Merged so often, a reading stands for 32,768.
const LEVEL_MAX: u8 = 15;

impl<const BYTES: usize> Queue<BYTES> {
    /// Whether a frame of `len` bytes fits, and behind it so many bytes more.
    pub(super) fn has_room(&self, len: usize, behind: usize) -> bool {
        self.packed.len() + HEAD_BYTES + len + behind <= BYTES
    }

    /// Makes room for as much.
    pub(super) fn make_room(&mut self, len: usize, behind: usize) -> bool {
        while !self.has_room(len, behind) {
            let merged = self.when_full == WhenFull::Merge && self.merge_any();
            if !merged && !self.drop_oldest() {
                return false;
            }
        }
        true
    }

    /// Gives up the oldest frame: one that was never sent where there is one, so that what is given up is what is missing.
    fn drop_oldest(&mut self) -> bool {
        let free = || self.packed.records().skip(self.in_flight);
        let Some(record) = free().find(|record| !record.flags.is_sent()).or_else(|| free().next()) else {
            return false;
        };
        let (at, count) = (record.at, record.count());
        let boot = record.frame().map_or(self.boot(), |frame| frame.head.boot);
        self.packed.remove(at);
        self.give_up(boot, count);
        self.tidy();
        true
    }

    /// Makes one of two neighbouring frames, the oldest two of the finest that can be.
    fn merge_any(&mut self) -> bool {
        // Where little is left that may be merged, what is older gives way.
        let mergeable = |flags: Flags| !flags.is_sent() && !flags.is_restored();
        let own: usize =
            self.packed.records().filter(|record| mergeable(record.flags)).map(|r| r.bytes.len()).sum();
        if own < BYTES / 4 {
            return false;
        }
        (0..LEVEL_MAX).any(|level| {
            let mut from = 0;
            while let Some(at) = self.pair(level, from) {
                if self.merge_at(at) {
                    return true;
                }
                from = at + 1;
            }
            false
        })
    }

    /// The first of two neighbours of this level, at `from` or behind.
    fn pair(&self, level: u8, from: usize) -> Option<usize> {
        let free = |flags: Flags| !flags.is_sent() && !flags.is_restored() && flags.level() == level;
        let mut records =
            self.packed.records().skip(self.in_flight).filter(|record| record.at >= from).peekable();
        while let Some(record) = records.next() {
            if free(record.flags) && records.peek().is_some_and(|next| free(next.flags)) {
                return Some(record.at);
            }
        }
        None
    }

    fn merge_at(&mut self, at: usize) -> bool {
        let mut records = self.packed.records().filter(|record| record.at >= at);
        let (Some(first), Some(second)) = (records.next(), records.next()) else { return false };
        let (Some(a), Some(b), Some(flags)) = (first.frame(), second.frame(), first.flags.merged()) else {
            return false;
        };
        let by = |channel: Channel| {
            self.channels.iter().find(|known| known.place == channel).map_or(Merge::Mean, |known| known.merge)
        };
        let mut scratch = [0; SEALED_BYTES_MAX];
        let Some((len, count)) = merge(&a, &b, &by, &mut scratch) else { return false };
        let gone = u32::try_from(a.len() + b.len() - count).unwrap_or(u32::MAX);
        drop(records);
        if !self.packed.replace_two(at, flags, scratch.get(..len).unwrap_or_default()) {
            return false;
        }
        self.give_up(self.boot(), gone);
        self.merged = self.merged.saturating_add(gone);
        self.renumbered = true;
        true
    }
}

/// Two frames as one, in which each two readings of a channel are one: its length and its readings. They take the last
/// numbers of both. `None` where that does not fit, or nothing can be merged.
///
/// Not inlined: it needs a kilobyte of stack, which nobody else should have to have.
#[inline(never)]
fn merge(
    a: &Frame<'_>,
    b: &Frame<'_>,
    by: &dyn Fn(Channel) -> Merge,
    out: &mut [u8],
) -> Option<(usize, usize)> {
    let mut single: Vec<Reading, CHANNELS_MAX> = Vec::new();
    let mut pairs = 0;
    each([a, b], &mut |reading| {
        pairs += usize::from(other(&mut single, reading)?.is_some());
        Some(())
    })?;
    let count = pairs + single.len();
    if pairs == 0 {
        return None;
    }
    let sequence = b.head.sequence + b.len() as u64 - count as u64;
    let mut frame = Encoder::new(out, Head { sequence, ..b.head }).ok()?;
    single.clear();
    each([a, b], &mut |later| {
        let Some(earlier) = other(&mut single, later)? else { return Some(()) };
        let merge = by(later.channel);
        let ms = merge.uptime(earlier.ticks, later.ticks);
        frame.push(later.channel, ms, merge.apply(earlier.raw, later.raw)).ok()
    })?;
    for reading in &single {
        frame.push(reading.channel, reading.ticks, reading.raw).ok()?;
    }
    Some((frame.finish(a.sent().max(b.sent()), None).ok()?.len(), count))
}

/// The reading before of the same channel, which is taken out; without one this one waits for the next.
fn other(single: &mut Vec<Reading, CHANNELS_MAX>, reading: Reading) -> Option<Option<Reading>> {
    if let Some(at) = single.iter().position(|other| other.channel == reading.channel) {
        return Some(Some(single.swap_remove(at)));
    }
    single.push(reading).ok().map(|()| None)
}

/// One place for the state of a decoder, of half a kilobyte.
#[inline(never)]
fn each(frames: [&Frame<'_>; 2], take: &mut dyn FnMut(Reading) -> Option<()>) -> Option<()> {
    frames.into_iter().try_for_each(|frame| frame.readings().try_for_each(&mut *take))
}
