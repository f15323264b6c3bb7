//! A medium in memory that does what real ones do: it fails, fills up, holds a sync back, and at a power cut loses what
//! was not synced, torn at sectors.

use crate::heart::PATIENCE;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use tidegate::store::Opener;

const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Len(usize),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    #[default]
    None,
    /// The call with this number fails, once.
    FailAt(u64, io::ErrorKind),
    /// From the call with this number on the power is gone.
    CutAt(u64),
    /// So many reads succeed.
    NoReadsAfter(u64),
    /// Every call fails, and opening too.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    /// What a power cut leaves.
    durable: Vec<u8>,
    /// What reads see.
    bytes: Vec<u8>,
    unsynced: Vec<Unsynced>,
    trouble: Trouble,
    /// Writes, syncs and changes of length so far.
    calls: u64,
    /// Syncs wait.
    held: bool,
    /// Somebody waits in a sync.
    waiting: bool,
    reads: u64,
    openings: u32,
    replacement: Option<Vec<u8>>,
}

/// The medium. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<(Mutex<State>, Condvar)>);

impl Disk {
    /// A medium that holds these bytes, all of them durable.
    pub fn holding(bytes: Vec<u8>) -> Disk {
        let disk = Disk::default();
        disk.state().durable.clone_from(&bytes);
        disk.state().bytes = bytes;
        disk
    }

    pub fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move || {
            let mut state = disk.state();
            state.openings += 1;
            disk.0.1.notify_all();
            if let Some(bytes) = state.replacement.take() {
                state.durable.clone_from(&bytes);
                state.bytes = bytes;
                state.unsynced.clear();
            }
            match state.trouble {
                Trouble::Broken => Err(io::Error::other("broken")),
                _ => Ok(Box::new(disk.clone())),
            }
        })
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    pub fn openings(&self) -> u32 {
        self.state().openings
    }

    /// Waits until it was opened so often, or tried to be.
    pub fn wait_for_openings(&self, count: u32) {
        let waiting = self.0.1.wait_timeout_while(self.state(), PATIENCE, |state| state.openings < count);
        assert!(!waiting.unwrap().1.timed_out(), "nobody opens it");
    }

    /// Whoever opens it next finds these bytes, durable.
    pub fn replace(&self, bytes: Vec<u8>) {
        self.state().replacement = Some(bytes);
    }

    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// What goes wrong from now on; numbers of calls count from now.
    pub fn trouble(&self, trouble: Trouble) {
        let mut state = self.state();
        (state.calls, state.reads) = (0, 0);
        state.trouble = trouble;
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
        let state = self.state();
        let mut bytes = state.durable.clone();
        let mut random = fastrand::Rng::with_seed(seed);
        // Some media keep all, some nothing, some tear.
        let odds = [0.0, 0.5, 1.0][random.usize(..3)];
        for change in &state.unsynced {
            match change {
                Unsynced::Len(len) if random.f64() < odds => bytes.resize(*len, 0),
                Unsynced::Len(_) => {}
                Unsynced::Write(offset, data) => {
                    for (at, sector) in data.chunks(SECTOR).enumerate() {
                        if random.f64() < odds {
                            put(&mut bytes, offset + at * SECTOR, sector);
                        }
                    }
                }
            }
        }
        Disk::holding(bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.calls += 1;
        match state.trouble {
            Trouble::FailAt(call, kind) if call == state.calls => Err(kind.into()),
            Trouble::CutAt(call) if state.calls >= call => Err(io::Error::other("no power")),
            Trouble::Broken => Err(io::Error::other("broken")),
            _ => Ok(state),
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.reads += 1;
        match state.trouble {
            Trouble::CutAt(call) if state.calls >= call => return Err(io::Error::other("no power")),
            Trouble::NoReadsAfter(reads) if state.reads > reads => {
                return Err(io::Error::other("unreadable"));
            }
            Trouble::Broken => return Err(io::Error::other("broken")),
            _ => {}
        }
        let found = state.bytes.get(place(offset)..place(offset) + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.call()?;
        state.bytes.resize(place(len), 0);
        state.unsynced.push(Unsynced::Len(place(len)));
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
        for change in std::mem::take(&mut state.unsynced) {
            match change {
                Unsynced::Len(len) => state.durable.resize(len, 0),
                Unsynced::Write(offset, data) => put(&mut state.durable, offset, &data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.call()?;
        put(&mut state.bytes, place(offset), data);
        state.unsynced.push(Unsynced::Write(place(offset), data.to_vec()));
        Ok(())
    }
}
