//! The medium: the file below redb, with everything counted that wears out flash.

use crate::clock::Clock;
use crate::directory;
use crate::limits::DAMAGED_STORES_MAX;
use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was done to the medium since the daemon started.
#[derive(Debug, Default)]
pub struct Wear {
    bytes: AtomicU64,
    syncs: AtomicU64,
    size: AtomicU64,
}

impl Wear {
    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Times that the medium was told to make writes durable.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// The size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }
}

/// Where a store's file is. Tests put a faulty medium here.
pub trait Medium: Send {
    /// Opens the file, also again after a failure; made if it is missing.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self) -> io::Result<Box<dyn StorageBackend>>;

    /// An empty file beside it, for what is salvaged.
    ///
    /// # Errors
    /// When it cannot be made, or there is no place beside.
    fn beside(&self) -> io::Result<Box<dyn StorageBackend>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Puts the file beside in the place of the damaged one, at once or not at all: where that is kept.
    ///
    /// # Errors
    /// When that cannot be done.
    fn replace(&self) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl<F: Fn() -> io::Result<Box<dyn StorageBackend>> + Send> Medium for F {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        self()
    }
}

/// An ordinary file.
#[derive(Debug)]
pub struct Regular(PathBuf);

/// The store in the file `path`.
pub fn file(path: &Path) -> Regular {
    Regular(path.to_owned())
}

impl Regular {
    /// The path with something behind it.
    fn with(&self, end: &str) -> PathBuf {
        let mut path = self.0.clone().into_os_string();
        path.push(end);
        path.into()
    }

    fn directory(&self) -> &Path {
        let parent = self.0.parent().filter(|path| !path.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Damaged files that are kept, the oldest first: their names tell the time.
    fn damaged(&self) -> io::Result<Vec<PathBuf>> {
        let start = self.with(DAMAGED);
        let start = start.file_name().unwrap_or_default().as_encoded_bytes();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.directory())? {
            let name = entry?.file_name();
            if name.as_encoded_bytes().starts_with(start) {
                found.push(self.0.with_file_name(name));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Between the name of the store and the time at which it was found damaged.
const DAMAGED: &str = ".damaged-";
/// Behind the name of the store while its successor is being written.
const BESIDE: &str = ".salvaged";

impl Medium for Regular {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.0)?;
        // Whoever made it, and whatever ended him: what is written into it is not found without its name.
        directory::sync_name(&self.0)?;
        backend(file)
    }

    fn beside(&self) -> io::Result<Box<dyn StorageBackend>> {
        let path = self.with(BESIDE);
        backend(OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?)
    }

    fn replace(&self) -> io::Result<String> {
        let now = Clock.now().rfc3339().replace(':', "-");
        let aside = self.with(&format!("{DAMAGED}{now}"));
        // A second name first: so the store's own name is never without a file.
        match std::fs::hard_link(&self.0, &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => std::fs::rename(&self.0, &aside)?,
            Ok(()) => {}
        }
        File::open(self.with(BESIDE))?.sync_all()?;
        std::fs::rename(self.with(BESIDE), &self.0)?;
        directory::sync_name(&self.0)?;
        // Never this one: the clock may have been wrong, and names tell its time.
        let mut others = self.damaged()?;
        others.retain(|other| *other != aside);
        others.truncate((others.len() + 1).saturating_sub(DAMAGED_STORES_MAX));
        others.iter().try_for_each(std::fs::remove_file)?;
        Ok(aside.display().to_string())
    }
}

fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

/// A backend that counts and hands on.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) inner: Box<dyn StorageBackend>,
    pub(super) wear: Arc<Wear>,
}

impl StorageBackend for Counted {
    fn len(&self) -> io::Result<u64> {
        let len = self.inner.len()?;
        self.wear.size.store(len, Ordering::Relaxed);
        Ok(len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)?;
        self.wear.size.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.wear.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.wear.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
