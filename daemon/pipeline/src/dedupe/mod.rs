//! Counted once: telling a reading that comes again from a new one (promise 2).
//!
//! Three ways, and one that only shows gaps, each in its file. All are plain state with a `note`: given what was decided, they change the same way
//! when it happens and when the journal is replayed.

pub mod boots;
pub mod content;
pub mod cycle;
pub mod recent;
mod remembered;
pub mod times;

use serde::{Deserialize, Serialize};

/// What a counter said about a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before; so many numbers were skipped since the highest.
    New {
        /// Numbers between the highest so far and this one.
        gap: u32,
    },
    /// Seen before.
    Before,
    /// Below what is remembered: nobody can say.
    TooOld,
}

/// What is remembered of one sensor's numbering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Counter {
    /// The payload carries a boot number too.
    Boots(boots::Boots),
    /// Sequence alone.
    Recent(recent::Recent),
    /// A number of eight bits: for gaps only.
    Cycle(cycle::Cycle),
}

/// Which of them a counter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CounterKind {
    /// [`Counter::Boots`].
    Boots,
    /// [`Counter::Recent`].
    Recent,
    /// [`Counter::Cycle`].
    Cycle,
}

/// A numbered delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Index of the counter.
    pub counter: u32,
    /// The sensor's restart, where the payload says.
    pub boot: Option<u64>,
    /// The number.
    pub sequence: u64,
    /// Of the payload; tells a restart from a duplicate where there is no boot number.
    pub hash: u32,
}

impl Counter {
    /// A counter that has seen nothing.
    pub fn new(kind: CounterKind) -> Counter {
        match kind {
            CounterKind::Boots => Counter::Boots(boots::Boots::default()),
            CounterKind::Recent => Counter::Recent(recent::Recent::default()),
            CounterKind::Cycle => Counter::Cycle(cycle::Cycle::default()),
        }
    }

    /// Whether `mark` was seen before.
    pub fn look(&self, mark: &Mark) -> Seen {
        match self {
            Counter::Boots(boots) => boots.look(mark.boot.unwrap_or(0), mark.sequence),
            Counter::Recent(recent) => recent.look(mark.sequence, mark.hash),
            Counter::Cycle(cycle) => cycle.look(mark),
        }
    }

    /// Remembers `mark`; says what [`Counter::look`] would have said before.
    pub fn note(&mut self, mark: &Mark) -> Seen {
        let seen = self.look(mark);
        if let Seen::New { .. } = seen {
            match self {
                Counter::Boots(boots) => boots.insert(mark.boot.unwrap_or(0), mark.sequence),
                Counter::Recent(recent) => recent.insert(mark.sequence, mark.hash),
                Counter::Cycle(cycle) => cycle.insert(mark),
            }
        }
        seen
    }
}
