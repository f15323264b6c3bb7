//! The medium: the file below redb, with everything counted that wears out flash.

use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::Path;
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

/// How a store's file is opened, also again after a failure. Tests put a faulty medium here.
pub type Opener = Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send>;

/// Opens `path` as an ordinary file, made if it is missing.
pub fn file(path: &Path) -> Opener {
    let path = path.to_owned();
    Box::new(move || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(backend) as Box<dyn StorageBackend>)
    })
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
