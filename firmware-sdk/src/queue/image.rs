//! The queue as an image that survives a reset: the packed frames, the open readings as one more, and a trailer.
//!
//! What comes back may have been sent after the image was made; so its numbers are final, and it is not merged.

use super::boots::{Boot, Boots, PAST_MAX};
use super::packed::{self, Flags};
use super::{Queue, SEALED_BYTES_MAX};
use crate::identity::Identity;
use crate::storage::Storage;
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// What an image begins its trailer with, and the version of its layout.
const QUEUE: [u8; 3] = *b"TGQ";
const VERSION: u8 = 1;
const BOOT_BYTES: usize = 4 + 8 + 4 + 4;
/// `TGQ`, version, starts, number of boots, the boots, length of the frames, checksum.
const TRAILER_BYTES: usize = 4 + 4 + 1 + (PAST_MAX + 1) * BOOT_BYTES + 4 + 4;
/// Kept free in the queue's memory when frames are sealed, so that an image fits in it when it is read.
pub(super) const RESERVE: usize = packed::HEAD_BYTES + SEALED_BYTES_MAX + TRAILER_BYTES;
/// The least memory for a queue, in bytes: some frames besides what an image needs.
pub const QUEUE_BYTES_MIN: usize = RESERVE + 4 * (packed::HEAD_BYTES + SEALED_BYTES_MAX);

static CHECKSUM: Crc<u32, Table<0>> = Crc::<u32, Table<0>>::new(&CRC_32_ISO_HDLC);

impl<const BYTES: usize> Queue<BYTES> {
    /// Writes an image, as of an uptime of `ms`.
    ///
    /// # Errors
    /// When storage does not take it. The queue is as it was.
    pub fn save<S: Storage>(&mut self, storage: &mut S, ms: u64) -> Result<(), S::Error> {
        let mut scratch = [0; SEALED_BYTES_MAX];
        loop {
            let (len, count) = self.encode_open(&mut scratch, ms).unwrap_or_default();
            if count == self.open.len() {
                // After a restore the frames may take what is kept free for an image. One that does not fit into the memory would
                // not be read again.
                if count > 0 {
                    self.make_room(len, TRAILER_BYTES);
                }
                return self.write(storage, scratch.get(..len).unwrap_or_default(), ms);
            }
            // More is open than one frame takes.
            self.seal(ms, true);
        }
    }

    fn write<S: Storage>(&mut self, storage: &mut S, open: &[u8], ms: u64) -> Result<(), S::Error> {
        let head = packed::head(Flags::NEW, open.len());
        let head = if open.is_empty() { &head[..0] } else { &head[..] };
        let frames = self.packed.len() + head.len() + open.len();
        let mut trailer = self.trailer(frames, ms);
        let mut sum = CHECKSUM.digest();
        let (body, checksum) = trailer.split_at_mut(TRAILER_BYTES - 4);
        [self.packed.bytes(), head, open, body].into_iter().for_each(|part| sum.update(part));
        checksum.copy_from_slice(&sum.finalize().to_le_bytes());
        storage.save(&[self.packed.bytes(), head, open, &trailer])?;
        self.renumbered = false;
        Ok(())
    }

    fn trailer(&self, frames: usize, ms: u64) -> [u8; TRAILER_BYTES] {
        let mut trailer = [0; TRAILER_BYTES];
        let mut rest = &mut trailer[..];
        put(&mut rest, QUEUE);
        put(&mut rest, [VERSION]);
        put(&mut rest, self.starts.to_le_bytes());
        put(&mut rest, [u8::try_from(self.boots.past.len() + 1).unwrap_or(1)]);
        for boot in self.boots.past.iter().chain([&self.boots.current]) {
            put(&mut rest, boot.boot.to_le_bytes());
            // How far its clock has come: that is how far ahead of the next start's it is.
            put(&mut rest, boot.ahead_ms.saturating_add(ms).to_le_bytes());
            put(&mut rest, boot.dropped.to_le_bytes());
            put(&mut rest, boot.told.to_le_bytes());
        }
        if let Some((end, _)) = trailer[TRAILER_BYTES - 8..].split_first_chunk_mut() {
            *end = u32::try_from(frames).unwrap_or(u32::MAX).to_le_bytes();
        }
        trailer
    }

    /// Takes what the last start left, and the boot number of this one. Says how many readings came back.
    ///
    /// # Errors
    /// When storage cannot be read, or the counted boot number not be written; the queue works all the same.
    pub fn restore<S: Storage>(&mut self, storage: &mut S, identity: &Identity<'_>) -> Result<u32, S::Error> {
        let loaded = storage.load(self.packed.memory());
        let len = loaded.as_ref().map_or(0, |len| *len);
        let trailer = self.packed.memory().get(..len).and_then(Trailer::read);
        self.boots = Boots::new(identity.boot());
        let Some(trailer) = trailer.filter(|trailer| self.packed.adopt(trailer.frames)) else {
            loaded?;
            return self.counted(storage, identity);
        };
        self.starts = trailer.starts.saturating_add(1);
        let last = trailer.boots.last().map_or(0, |boot| boot.boot);
        self.past(trailer);
        let mut at = 0;
        while let Some((end, flags)) = self.packed.at(at).map(|record| (record.end(), record.flags)) {
            self.packed.set_flags(at, flags.restored());
            at = end;
        }
        if matches!(identity, Identity::Counted { .. }) {
            self.boots.current.boot = last.wrapping_add(1);
        }
        // A number that comes again would be taken for the start that had it first.
        while self.boots.past.iter().any(|past| past.boot == self.boots.current.boot) {
            self.boots.current.boot = self.boots.current.boot.wrapping_add(1);
        }
        self.tidy();
        let restored = self.len();
        self.counted(storage, identity)?;
        Ok(restored)
    }

    /// Makes sure that the next start counts on from this one.
    fn counted<S: Storage>(&mut self, storage: &mut S, identity: &Identity<'_>) -> Result<u32, S::Error> {
        if let Identity::Counted { otherwise } = *identity {
            let saved = self.save(storage, 0);
            if saved.is_err() {
                self.boots.current.boot = otherwise;
            }
            saved?;
        }
        Ok(self.len())
    }

    /// The starts of an image are all past. Of more than can be kept the oldest goes, with its readings.
    fn past(&mut self, trailer: Trailer) {
        let boots = trailer.boots;
        let surplus = boots.len().saturating_sub(PAST_MAX);
        for boot in boots.iter().skip(surplus) {
            let _fits = self.boots.past.push(*boot);
        }
        for gone in boots.iter().take(surplus) {
            let (mut lost, mut at) = (0_u32, 0);
            while let Some(record) = self.packed.at(at) {
                if record.frame().is_some_and(|frame| frame.head.boot != gone.boot) {
                    at = record.end();
                    continue;
                }
                lost = lost.saturating_add(record.count());
                self.packed.remove(at);
            }
            let next = self.boots.past.first_mut().unwrap_or(&mut self.boots.current);
            let untold = gone.dropped.saturating_sub(gone.told);
            next.dropped = next.dropped.saturating_add(lost).saturating_add(untold);
            self.given_up = self.given_up.saturating_add(lost);
        }
    }

    /// How often the device has started, as far as images say.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Whether an image that is older than this must not come back: what it holds may go out under other numbers.
    pub(crate) fn needs_saving(&self) -> bool {
        self.renumbered
    }
}

struct Trailer {
    starts: u32,
    boots: heapless::Vec<Boot, { PAST_MAX + 1 }>,
    frames: usize,
}

impl Trailer {
    fn read(image: &[u8]) -> Option<Trailer> {
        let (body, checksum) = image.split_last_chunk::<4>()?;
        if CHECKSUM.checksum(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (before, mut from) = body.split_at_checked(body.len().checked_sub(TRAILER_BYTES - 4)?)?;
        if take(&mut from)? != QUEUE || take(&mut from)? != [VERSION] {
            return None;
        }
        let starts = u32::from_le_bytes(take(&mut from)?);
        let [count] = take(&mut from)?;
        let mut boots = heapless::Vec::new();
        for _ in 0..count {
            let boot = u32::from_le_bytes(take(&mut from)?);
            let ahead_ms = u64::from_le_bytes(take(&mut from)?);
            let (dropped, told) =
                (u32::from_le_bytes(take(&mut from)?), u32::from_le_bytes(take(&mut from)?));
            boots.push(Boot { boot, ahead_ms, dropped, told }).ok()?;
        }
        let frames = usize::try_from(u32::from_le_bytes(*body.last_chunk()?)).ok()?;
        (frames == before.len()).then_some(Trailer { starts, boots, frames })
    }
}

fn put<const N: usize>(rest: &mut &mut [u8], bytes: [u8; N]) {
    if let Some((place, behind)) = core::mem::take(rest).split_first_chunk_mut() {
        *place = bytes;
        *rest = behind;
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*bytes)
}
