//! A medium in memory that does what real ones do: it fails, fills up, holds a sync back, and at a power cut loses what
//! was not synced, torn at sectors.
//!
//! What it assumes of real ones: what was synced stays; of the rest each sector of 512 bytes is there or not, by itself.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that should not have happened; panicking is how it says so"
)]

mod content;
mod trouble;

pub use trouble::{Counts, Trouble};

use content::Content;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Nothing that is waited for here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What opens a medium as redb wants it, again and again.
pub type Opener = Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send>;

#[derive(Debug, Default)]
struct State {
    content: Content,
    trouble: Trouble,
    counts: Counts,
    /// Syncs wait.
    held: bool,
    /// Somebody waits in a sync.
    waiting: bool,
    replacement: Option<Vec<u8>>,
}

/// The medium. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    /// A medium that holds these bytes, all of them durable.
    pub fn holding(bytes: Vec<u8>) -> Disk {
        Disk::with(Content::durable(bytes))
    }

    fn with(content: Content) -> Disk {
        let state = State { content, ..State::default() };
        Disk(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// What opens it.
    pub fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move || {
            let mut state = disk.state();
            state.counts.openings += 1;
            disk.0.1.notify_all();
            if let Some(bytes) = state.replacement.take() {
                state.content = Content::durable(bytes);
            }
            match state.trouble {
                Trouble::Broken => Err(io::Error::other("broken")),
                _ => Ok(Box::new(disk.clone())),
            }
        })
    }

    /// What reads see.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().content.bytes().to_vec()
    }

    /// How often it was opened, or tried to be.
    pub fn openings(&self) -> u32 {
        self.state().counts.openings
    }

    /// Waits until it was opened so often, or tried to be.
    ///
    /// # Panics
    /// When nobody does.
    pub fn wait_for_openings(&self, count: u32) {
        let few = |state: &mut State| state.counts.openings < count;
        let waiting = self.0.1.wait_timeout_while(self.state(), PATIENCE, few);
        assert!(!waiting.unwrap().1.timed_out(), "nobody opens it");
    }

    /// Whoever opens it next finds these bytes, durable.
    pub fn replace(&self, bytes: Vec<u8>) {
        self.state().replacement = Some(bytes);
    }

    /// Writes, syncs and changes of length since [`Disk::trouble`] was called last.
    pub fn calls(&self) -> u64 {
        self.state().counts.calls
    }

    /// What was done to it.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// What goes wrong from now on; numbers of calls count from now.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = self.state();
        (state.counts.calls, state.counts.reads) = (0, 0);
        state.trouble = trouble;
    }

    /// Whether [`Trouble::CutAt`] has come true: nothing reaches the medium any more.
    pub fn is_cut(&self) -> bool {
        let state = self.state();
        matches!(state.trouble, Trouble::CutAt(call) if state.counts.calls >= call)
    }

    /// How many bytes may be in use, `None` for any number. A write that needs more is refused as on a full disk; the
    /// length of the file is not what counts.
    pub fn room(&self, bytes: Option<u64>) {
        self.state().content.room(bytes);
    }

    /// How many bytes are in use: of blocks that were written to.
    pub fn used(&self) -> u64 {
        self.state().content.used()
    }

    /// Holds syncs back, or lets them go.
    pub fn hold(&self, held: bool) {
        self.state().held = held;
        self.0.1.notify_all();
    }

    /// Waits until a sync is being held.
    pub fn wait_for_sync(&self) {
        drop(self.0.1.wait_while(self.state(), |state| !state.waiting).unwrap());
    }

    /// What is left when the power comes back: what was synced, and of the rest some sectors, as `seed` says.
    pub fn after_cut(&self, seed: u64) -> Disk {
        Disk::with(self.state().content.after_cut(seed))
    }

    /// What the next process finds when this one was killed: everything that was written, synced or not. What is not
    /// can still be lost to a power cut.
    pub fn after_kill(&self) -> Disk {
        Disk::with(self.state().content.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// A call that changes something.
    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.counts.calls += 1;
        let result = state.trouble.of_call(state.counts.calls);
        state.counts.failures += u64::from(result.is_err());
        result.map(|()| state)
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().content.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.counts.reads += 1;
        let result = state.trouble.of_read(state.counts.reads, state.counts.calls);
        state.counts.failures += u64::from(result.is_err());
        result?;
        let found = state.content.bytes().get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call()?.content.set_len(place(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.call()?;
        if state.held {
            state.waiting = true;
            self.0.1.notify_all();
            state = self.0.1.wait_while(state, |state| state.held).unwrap();
            state.waiting = false;
        }
        state.content.sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.call()?;
        let result = state.content.write(place(offset), data);
        state.counts.failures += u64::from(result.is_err());
        result
    }
}
