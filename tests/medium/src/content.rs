//! What a medium holds: what is durable, what reads see, and what happened in between.

use std::io;

/// What a medium writes at once or not at all.
const SECTOR: usize = 512;
/// What a file system gives at a time.
const BLOCK: usize = 4_096;

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

/// The bytes, twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// What a power cut leaves.
    durable: Vec<u8>,
    /// What reads see.
    bytes: Vec<u8>,
    unsynced: Vec<Change>,
    /// By block: it was written to, so it takes room. A file that was only made longer takes none.
    taken: Vec<bool>,
    used: usize,
    room: Option<u64>,
}

impl Content {
    pub(crate) fn durable(bytes: Vec<u8>) -> Content {
        let taken = vec![true; bytes.len().div_ceil(BLOCK)];
        Content { durable: bytes.clone(), bytes, used: taken.len(), taken, ..Content::default() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn room(&mut self, bytes: Option<u64>) {
        self.room = bytes;
    }

    pub(crate) fn used(&self) -> u64 {
        (self.used * BLOCK) as u64
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.bytes.resize(len, 0);
        let blocks = len.div_ceil(BLOCK);
        if blocks < self.taken.len() {
            self.used -= self.taken[blocks..].iter().filter(|taken| **taken).count();
        }
        self.taken.resize(blocks, false);
        self.unsynced.push(Change::Len(len));
    }

    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) -> io::Result<()> {
        let blocks = offset / BLOCK..(offset + data.len()).div_ceil(BLOCK);
        if self.taken.len() < blocks.end {
            self.taken.resize(blocks.end, false);
        }
        let wanted = self.taken[blocks.clone()].iter().filter(|taken| !**taken).count();
        if wanted > 0 && self.room.is_some_and(|room| ((self.used + wanted) * BLOCK) as u64 > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.used += wanted;
        self.taken[blocks].fill(true);
        put(&mut self.bytes, offset, data);
        self.unsynced.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Len(len) => self.durable.resize(len, 0),
                Change::Write(offset, data) => put(&mut self.durable, offset, &data),
            }
        }
    }

    /// What is left after a power cut.
    pub(crate) fn after_cut(&self, seed: u64) -> Content {
        let mut bytes = self.durable.clone();
        let mut random = fastrand::Rng::with_seed(seed);
        // Some media keep all, some nothing, some tear.
        let odds = [0.0, 0.5, 1.0][random.usize(..3)];
        for change in &self.unsynced {
            match change {
                Change::Len(len) if random.f64() < odds => bytes.resize(*len, 0),
                Change::Len(_) => {}
                Change::Write(offset, data) => {
                    for (at, sector) in data.chunks(SECTOR).enumerate() {
                        if random.f64() < odds {
                            put(&mut bytes, offset + at * SECTOR, sector);
                        }
                    }
                }
            }
        }
        Content { room: self.room, ..Content::durable(bytes) }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_what_was_synced_and_tears_the_rest_at_sectors() {
        let mut content = Content::default();
        content.set_len(4 * SECTOR);
        content.write(0, &[1; SECTOR]).unwrap();
        content.sync();
        content.write(SECTOR, &[2; 2 * SECTOR]).unwrap();
        let mut seen = [false; 4];
        for seed in 0..100 {
            let after = content.after_cut(seed);
            let bytes = after.bytes();
            assert!(bytes[..SECTOR].iter().all(|byte| *byte == 1), "seed {seed}");
            let sectors: Vec<_> = bytes[SECTOR..3 * SECTOR].chunks(SECTOR).collect();
            assert!(sectors.iter().all(|sector| sector.iter().all(|byte| *byte == sector[0])), "seed {seed}");
            seen[usize::from(sectors[0][0] / 2 + sectors[1][0])] = true;
        }
        assert_eq!(seen, [true; 4], "nothing, the first, the second, both");
    }

    #[test]
    fn what_is_written_takes_room_and_a_length_does_not() {
        let mut content = Content::default();
        content.room(Some(2 * BLOCK as u64));
        content.set_len(100 * BLOCK);
        content.write(0, &[1; BLOCK]).unwrap();
        content.write(50 * BLOCK, &[1; 10]).unwrap();
        content.write(50 * BLOCK + 10, &[1; 10]).unwrap();
        let full = content.write(60 * BLOCK, &[1; 10]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        content.set_len(50 * BLOCK);
        assert_eq!(content.used(), BLOCK as u64);
        content.write(0, &[2; 2 * BLOCK]).unwrap();
    }
}
