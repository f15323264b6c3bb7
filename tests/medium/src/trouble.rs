//! What goes wrong with a medium.

use std::io;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// The write, sync or change of length with this number fails, once.
    FailAt(u64, io::ErrorKind),
    /// From the write, sync or change of length with this number on the power is gone.
    CutAt(u64),
    /// The read with this number fails, once.
    ReadFailsAt(u64),
    /// So many reads succeed.
    NoReadsAfter(u64),
    /// Every call fails, and opening too.
    Broken,
}

/// What was done to a medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, syncs and changes of length, since the trouble was set last.
    pub calls: u64,
    /// Reads, since the trouble was set last.
    pub reads: u64,
    /// Times that it was opened, or tried to be.
    pub openings: u32,
    /// Calls of any kind that failed.
    pub failures: u64,
}

impl Trouble {
    /// What becomes of the call with this number.
    pub(crate) fn of_call(self, number: u64) -> io::Result<()> {
        match self {
            Trouble::FailAt(call, kind) if call == number => Err(kind.into()),
            Trouble::CutAt(call) if number >= call => Err(no_power()),
            Trouble::Broken => Err(io::Error::other("broken")),
            _ => Ok(()),
        }
    }

    /// What becomes of the read with this number, after so many calls.
    pub(crate) fn of_read(self, number: u64, calls: u64) -> io::Result<()> {
        match self {
            Trouble::CutAt(call) if calls >= call => Err(no_power()),
            Trouble::ReadFailsAt(read) if read == number => Err(io::Error::other("unreadable, once")),
            Trouble::NoReadsAfter(reads) if number > reads => Err(io::Error::other("unreadable")),
            Trouble::Broken => Err(io::Error::other("broken")),
            _ => Ok(()),
        }
    }
}

fn no_power() -> io::Error {
    io::Error::other("no power")
}
