//! What goes out of a step: what to write, and what the store gives back of it later.

use crate::alert::Outgoing;
use crate::entry::Entry;
use crate::event::{Closed, ClosedKey};
use crate::message::DeadLetter;
use crate::time::Time;
use crate::window::Content;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one step changed: to be written in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The journal's row.
    pub entry: Entry,
    /// Windows that closed, in order.
    pub closed: Vec<Closed>,
    /// What to tell besides, before any window.
    pub alerts: Vec<Outgoing>,
    /// Readings around raised alerts, to be told in their turn.
    pub captures: Vec<Outgoing>,
    /// Raw readings, likewise.
    pub raw: Vec<Outgoing>,
    /// Messages to keep.
    pub dead_letters: Vec<DeadLetter>,
    /// Closed windows that end at or before this can be forgotten once they are delivered.
    pub forgotten: Option<Time>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entry.is_empty()
            && self.closed.is_empty()
            && self.alerts.is_empty()
            && self.captures.is_empty()
            && self.raw.is_empty()
            && self.dead_letters.is_empty()
    }
}

/// A closed window as the store keeps it, given back to be amended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The revision that was made last.
    pub revision: u32,
    /// Where it begins.
    pub start: Time,
    /// The keys that it has replaced.
    pub replaces: Vec<String>,
    /// What the window held.
    pub content: Content,
}

impl Kept {
    /// What the store keeps of a window that closes.
    pub fn of(closed: &Closed) -> Kept {
        Kept {
            revision: closed.revision,
            start: closed.record.start,
            replaces: closed.replaces.clone(),
            content: closed.content.clone(),
        }
    }
}

/// What the store has under a name that a step asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// The window; or where it was merged into a coarser one that one, and its name.
    Window(ClosedKey, Kept),
    /// Nothing more is told of it: it was given up, or other windows cover it.
    Silent,
}

/// Closed windows that a step asked for, as far as the store has them.
pub type Loaded = BTreeMap<ClosedKey, Stored>;
