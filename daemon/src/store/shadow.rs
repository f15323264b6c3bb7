//! A look at a file without touching it: what is written stays in memory and is forgotten.

use redb::{BackendError, StorageBackend};
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

const PAGE: usize = 4_096;

/// Whether a file was cut off while redb was making it: it has a length, but no magic number and nothing else after the
/// first page either. In a file that ever held something, that is not so.
pub(super) fn is_blank(file: &dyn StorageBackend) -> io::Result<bool> {
    let len = file.len()?;
    let mut page = vec![0; PAGE];
    for at in (0..len).step_by(PAGE) {
        let page = &mut page[..in_page(len - at)];
        file.read(at, page)?;
        let looked_at = if at == 0 { page.get(..9).unwrap_or(page) } else { page };
        if looked_at.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(len > 0)
}

/// A backend that reads from another and writes nowhere.
#[derive(Debug)]
pub(super) struct Shadow {
    inner: Box<dyn StorageBackend>,
    over: Mutex<Over>,
}

#[derive(Debug)]
struct Over {
    len: u64,
    /// Bytes of the file itself that still count.
    below: u64,
    /// By number: pages that were written.
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Shadow {
    pub(super) fn new(inner: Box<dyn StorageBackend>) -> io::Result<Shadow> {
        let len = inner.len()?;
        Ok(Shadow { inner, over: Mutex::new(Over { len, below: len, pages: BTreeMap::new() }) })
    }

    fn lock(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page as it would be: what was written, else the file's, else zeros.
    fn page(&self, over: &Over, number: u64) -> io::Result<Vec<u8>> {
        if let Some(page) = over.pages.get(&number) {
            return Ok(page.clone());
        }
        let (mut page, start) = (vec![0; PAGE], number * PAGE as u64);
        let there = in_page(over.below.saturating_sub(start));
        self.inner.read(start, &mut page[..there])?;
        Ok(page)
    }
}

fn in_page(len: u64) -> usize {
    usize::try_from(len).unwrap_or(PAGE).min(PAGE)
}

/// The pages that `len` bytes from `offset` on lie in: number, range in the page, range in the bytes.
fn pages(
    offset: u64,
    len: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = in_page(at % PAGE as u64);
        let take = (PAGE - start).min(len - done);
        done += take;
        (take > 0).then(|| (at / PAGE as u64, start..start + take, done - take..done))
    })
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let over = self.lock();
        if offset + out.len() as u64 > over.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, of_out) in pages(offset, out.len()) {
            out[of_out].copy_from_slice(&self.page(&over, number)?[within]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut over = self.lock();
        over.below = over.below.min(len);
        over.pages.split_off(&(len / PAGE as u64));
        over.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut over = self.lock();
        for (number, within, of_data) in pages(offset, data.len()) {
            let mut page = self.page(&over, number)?;
            page[within].copy_from_slice(&data[of_data]);
            over.pages.insert(number, page);
        }
        over.len = over.len.max(offset + data.len() as u64);
        Ok(())
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
