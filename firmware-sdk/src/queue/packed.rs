//! Frames one behind the other in a fixed piece of memory, each with a head of three bytes: its length and its flags.

use core::cell::Cell;
use core::ops::Range;
use tidegate_wire::Frame;

/// Length, low byte first, and flags.
pub(crate) const HEAD_BYTES: usize = 3;

/// What is known of a frame, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const NEW: Flags = Flags(0);
    const SENT: u8 = 1;
    const RESTORED: u8 = 2;
    const LEVEL: u8 = 16;

    /// It went out once: its readings may be known on the other side, under the numbers that they have.
    pub(crate) fn is_sent(self) -> bool {
        self.0 & Flags::SENT != 0
    }

    /// It may have gone out before a reset, so that its numbers are final, too.
    pub(crate) fn is_restored(self) -> bool {
        self.0 & Flags::RESTORED != 0
    }

    /// How often its readings were merged.
    pub(crate) fn level(self) -> u8 {
        self.0 / Flags::LEVEL
    }

    pub(crate) fn sent(self) -> Flags {
        Flags(self.0 | Flags::SENT)
    }

    pub(crate) fn restored(self) -> Flags {
        Flags(self.0 & !Flags::SENT | Flags::RESTORED)
    }

    pub(crate) fn merged(self) -> Option<Flags> {
        Some(Flags(self.0.checked_add(Flags::LEVEL)?))
    }
}

/// A frame with its head.
#[derive(Clone, Copy)]
pub(crate) struct Record<'p> {
    pub(crate) at: usize,
    pub(crate) flags: Flags,
    pub(crate) bytes: &'p [u8],
}

impl<'p> Record<'p> {
    /// `None` only where memory was damaged: it was made here.
    pub(crate) fn frame(&self) -> Option<Frame<'p>> {
        Frame::parse(self.bytes).ok()
    }

    /// How many readings it holds, by its fifth byte (docs/wire.md).
    pub(crate) fn count(&self) -> u32 {
        self.bytes.get(4).copied().unwrap_or_default().into()
    }

    /// Where the next one begins.
    pub(crate) fn end(&self) -> usize {
        self.at + HEAD_BYTES + self.bytes.len()
    }
}

pub(crate) struct Packed<const BYTES: usize> {
    bytes: [u8; BYTES],
    len: usize,
}

impl<const BYTES: usize> Packed<BYTES> {
    pub(crate) const fn new() -> Packed<BYTES> {
        Packed { bytes: [0; BYTES], len: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// All of the memory, for an image to be read into.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        self.len = 0;
        &mut self.bytes
    }

    /// Takes what was read into the memory for records. False, and empty, where it is none.
    pub(crate) fn adopt(&mut self, len: usize) -> bool {
        self.len = len.min(BYTES);
        let end = self.records().last().map_or(0, |record| record.end());
        if end != self.len {
            self.len = 0;
        }
        end == len
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The record that begins at `at`.
    pub(crate) fn at(&self, at: usize) -> Option<Record<'_>> {
        record(self.bytes(), at)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let all = self.bytes();
        let mut at = 0;
        core::iter::from_fn(move || {
            let record = record(all, at)?;
            at = record.end();
            Some(record)
        })
    }

    /// Adds one at the end; false where it does not fit.
    pub(crate) fn push(&mut self, flags: Flags, frame: &[u8]) -> bool {
        let end = self.len + HEAD_BYTES + frame.len();
        let Some(place) = self.bytes.get_mut(self.len..end) else { return false };
        write(place, flags, frame);
        self.len = end;
        true
    }

    pub(crate) fn set_flags(&mut self, at: usize, flags: Flags) {
        if let Some(place) = self.bytes.get_mut(at + 2) {
            *place = flags.0;
        }
    }

    /// Takes the record at `at` out.
    pub(crate) fn remove(&mut self, at: usize) {
        let Some(end) = self.at(at).map(|record| record.end()) else { return };
        if end <= self.len {
            move_down(&mut self.bytes, end..self.len, at);
            self.len -= end - at;
        }
    }

    /// Puts one in place of the two at `at`. False where it is not shorter.
    pub(crate) fn replace_two(&mut self, at: usize, flags: Flags, frame: &[u8]) -> bool {
        let second = self.at(at).and_then(|first| self.at(first.end()));
        let Some(old_end) = second.map(|second| second.end()) else { return false };
        let end = at + HEAD_BYTES + frame.len();
        if end >= old_end || old_end > self.len {
            return false;
        }
        let Some(place) = self.bytes.get_mut(at..end) else { return false };
        write(place, flags, frame);
        move_down(&mut self.bytes, old_end..self.len, end);
        self.len -= old_end - end;
        true
    }
}

/// A record as bytes, for an image.
pub(crate) fn head(flags: Flags, len: usize) -> [u8; HEAD_BYTES] {
    let len = u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes();
    [len[0], len[1], flags.0]
}

/// `copy_within` towards the front, but for the panic.
fn move_down(bytes: &mut [u8], from: Range<usize>, to: usize) {
    let cells = Cell::from_mut(bytes).as_slice_of_cells();
    let (to, from) = (cells.get(to..).unwrap_or_default(), cells.get(from).unwrap_or_default());
    to.iter().zip(from).for_each(|(to, from)| to.set(from.get()));
}

fn write(place: &mut [u8], flags: Flags, frame: &[u8]) {
    if let Some((front, rest)) = place.split_first_chunk_mut::<HEAD_BYTES>()
        && rest.len() == frame.len()
    {
        *front = head(flags, frame.len());
        rest.copy_from_slice(frame);
    }
}

fn record(all: &[u8], at: usize) -> Option<Record<'_>> {
    let (&[low, high, flags], rest) = all.get(at..)?.split_first_chunk::<HEAD_BYTES>()?;
    let bytes = rest.get(..usize::from(u16::from_le_bytes([low, high])))?;
    Some(Record { at, flags: Flags(flags), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(packed: &Packed<32>) -> [Option<(usize, u8)>; 4] {
        let mut records = packed.records().map(|record| (record.bytes.len(), record.flags.0));
        core::array::from_fn(|_| records.next())
    }

    #[test]
    fn records_come_and_go() {
        let mut packed = Packed::<32>::new();
        assert!(
            packed.push(Flags::NEW, &[1; 5])
                && packed.push(Flags::NEW, &[2; 6])
                && packed.push(Flags::NEW, &[3; 7])
        );
        assert!(!packed.push(Flags::NEW, &[4; 4]), "27 of 32 bytes are taken");
        packed.set_flags(8, Flags::NEW.sent());
        assert_eq!(all(&packed), [Some((5, 0)), Some((6, 1)), Some((7, 0)), None]);
        assert!(!packed.replace_two(0, Flags::NEW, &[9; 14]), "it has to be shorter");
        assert!(packed.replace_two(0, Flags::NEW, &[9; 4]));
        assert_eq!(all(&packed), [Some((4, 0)), Some((7, 0)), None, None]);
        packed.remove(0);
        assert_eq!(
            (all(&packed), packed.bytes()),
            ([Some((7, 0)), None, None, None], &[7, 0, 0, 3, 3, 3, 3, 3, 3, 3][..])
        );
        assert!(packed.adopt(10) && !packed.adopt(9) && packed.len() == 0);
    }

    #[test]
    fn flags() {
        let merged = Flags::NEW.sent().merged().unwrap();
        assert!(merged.is_sent() && !merged.is_restored() && merged.level() == 1);
        assert!(!merged.restored().is_sent() && merged.restored().is_restored());
        let mut most = Flags::NEW;
        while let Some(more) = most.merged() {
            most = more;
        }
        assert_eq!(most.level(), 15);
    }
}
