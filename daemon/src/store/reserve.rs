//! The reserve: room on the disk that is kept for when there is none, so that what makes room can still be written.

use super::Store;
use crate::limits::{RESERVE_BYTES, RESERVE_RETRY};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes that are written at a time where room cannot be had otherwise.
const BLOCK: usize = 64 << 10;

/// A file that is there for the room that it takes.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    there: bool,
    /// Not asked for before.
    next: Option<Instant>,
}

impl Reserve {
    /// The reserve in this directory, made if there is room.
    pub fn new(directory: &Path) -> Reserve {
        let mut reserve = Reserve { path: directory.join("reserve"), there: false, next: None };
        if let Err(error) = reserve.make() {
            tracing::warn!(%error, path = %reserve.path.display(), "no room is kept for a full disk");
        }
        reserve
    }

    /// Asks for the room, unless it is there.
    ///
    /// # Errors
    /// When there is none.
    pub fn make(&mut self) -> io::Result<()> {
        if !self.there {
            take(&self.path).inspect_err(|_| drop(std::fs::remove_file(&self.path)))?;
            self.there = true;
        }
        Ok(())
    }

    /// The same, now and then.
    pub(super) fn tend(&mut self, now: Instant) {
        if !self.there && self.next.is_none_or(|next| next <= now) {
            self.next = Some(now + RESERVE_RETRY);
            // It will be asked for again.
            let _ = self.make();
        }
    }

    /// Gives the room away; false when there was none.
    pub fn release(&mut self) -> bool {
        std::mem::take(&mut self.there) && std::fs::remove_file(&self.path).is_ok()
    }
}

impl Store {
    /// Gives the store room that it can give away.
    pub fn set_reserve(&mut self, reserve: Reserve) {
        self.reserve = Some(reserve);
    }

    /// The disk is full: gives the reserve away; false when there is none.
    pub fn release_reserve(&mut self) -> bool {
        self.reserve.as_mut().is_some_and(Reserve::release)
    }

    /// Asks for the reserve again.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn restore_reserve(&mut self) -> io::Result<()> {
        self.reserve.as_mut().map_or(Ok(()), Reserve::make)
    }

    /// The same now and then, where it could not be had before.
    pub fn tend_reserve(&mut self, now: Instant) {
        if let Some(reserve) = &mut self.reserve {
            reserve.tend(now);
        }
    }
}

/// Takes the room for real: a file that only has a length holds nothing.
fn take(path: &Path) -> io::Result<()> {
    let mut file = File::options().create(true).truncate(true).write(true).open(path)?;
    match fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            // What compresses takes no room where file systems compress.
            let mut block = vec![0; BLOCK];
            for _ in 0..RESERVE_BYTES / BLOCK as u64 {
                block.fill_with(|| fastrand::u8(..));
                file.write_all(&block)?;
            }
        }
        result => result?,
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn there_and_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let mut reserve = Reserve::new(dir.path());
        let kept = || std::fs::metadata(&path).map_or(0, |file| file.blocks() * 512);
        assert!(kept() >= RESERVE_BYTES, "for real");
        assert!(reserve.release() && !reserve.release());
        assert_eq!(kept(), 0);
        let now = Instant::now();
        reserve.tend(now);
        assert!(kept() >= RESERVE_BYTES);
        // Somebody removed the directory: it cannot be made, and is asked for only now and then.
        assert!(reserve.release());
        std::fs::remove_dir(dir.path()).unwrap();
        reserve.tend(now + RESERVE_RETRY);
        std::fs::create_dir(dir.path()).unwrap();
        reserve.tend(now + RESERVE_RETRY);
        assert_eq!(kept(), 0);
        reserve.tend(now + 2 * RESERVE_RETRY);
        assert!(kept() >= RESERVE_BYTES);
    }

    #[test]
    fn what_was_left_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("reserve"), b"cut off").unwrap();
        assert!(Reserve::new(dir.path()).release());
        let mut nowhere = Reserve::new(&dir.path().join("nowhere"));
        assert!(!nowhere.release());
        assert!(nowhere.make().is_err());
    }
}
