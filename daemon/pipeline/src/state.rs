//! The state: everything that a checkpoint holds.

use crate::clock::{ClockState, Hold};
use crate::dedupe::{Counter, content::Session};
use crate::ledger::Ledger;
use crate::series::{Group, Series};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What the pipeline remembers between steps. Numbers in the journal are indices into its vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// By series number.
    pub series: Vec<Series>,
    /// In the order in which they were met.
    pub groups: Vec<NumberedGroup>,
    /// The number that the next group gets. Never falls: closed windows in the store carry it.
    pub next_group: u32,
    /// By counter number, with their names.
    pub counters: Vec<(String, Counter)>,
    /// By session number, with their names and when they were last heard.
    pub sessions: Vec<(String, Time, Session)>,
    /// What became of all readings.
    pub ledger: Ledger,
    /// Windows that end at or before this are not in the store any more and can't be amended.
    pub forgotten: Option<Time>,
    /// What is known of the time.
    pub clock: ClockState,
    /// What waits until more is known of it.
    pub held: Hold,
}

/// A group and its permanent number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberedGroup {
    /// The number in keys of closed windows.
    pub number: u32,
    /// The group.
    pub group: Group,
}
