//! What a salvage found, in words and numbers.

use std::fmt;
use tidegate_pipeline::GivenUp;

/// What was salvaged and what is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries of the journal that were replayed.
    pub replayed: u64,
    /// Entries that are legible and come after one that is lost.
    pub unreplayed: u64,
    /// Readings in those: whether an event counts them is not known.
    pub doubtful: u64,
    /// Entries that are known to be missing, and the first and last number among which they were.
    pub lost_entries: Option<(u64, u64, u64)>,
    /// How many entries are missing at the end is not known.
    pub tail_lost: bool,
    /// The checkpoint is lost, and with it what was remembered.
    pub forgotten: bool,
    /// Open windows that were given up.
    pub given_up: GivenUp,
    /// Events that wait.
    pub waiting: u64,
    /// Events that are dropped under `damaged`, since the store was made.
    pub lost_events: u64,
    /// Events that waited for an output of which nothing is known.
    pub nameless: u64,
    /// Dead letters kept.
    pub letters_bytes: u64,
    /// The name that is new because something is missing that events could be amended by.
    pub renamed: Option<String>,
    /// Where the damaged file is kept.
    pub kept_at: String,
}

impl Report {
    /// Entries up to this number are known to be missing: so many.
    pub(super) fn lose_entries(&mut self, upto: u64, count: u64) {
        if count > 0 {
            let (lost, first) =
                self.lost_entries.map_or((0, upto + 1 - count), |(lost, first, _)| (lost, first));
            self.lost_entries = Some((lost + count, first, upto));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store was damaged. Salvaged: {} events that wait", self.waiting)?;
        match self.forgotten {
            true => write!(f, "; the checkpoint is lost, and with it all series, marks and the ledger")?,
            false => write!(f, ", the checkpoint and {} entries of the journal behind it", self.replayed)?,
        }
        if let Some((count, first, last)) = self.lost_entries {
            write!(f, "; {count} entries of the journal are lost, among the numbers {first} to {last}")?;
        }
        if self.tail_lost {
            write!(f, "; more may be lost at its end")?;
        }
        if self.unreplayed > 0 {
            write!(
                f,
                "; {} entries come after a lost one, with {} readings",
                self.unreplayed, self.doubtful
            )?;
        }
        let GivenUp { windows, readings, raw } = self.given_up;
        if windows + readings > 0 {
            write!(f, "; {windows} open windows with {readings} readings are given up")?;
        }
        if raw > 0 {
            write!(f, "; {raw} raw readings that waited for an event are given up")?;
        }
        if self.lost_events + self.nameless > 0 {
            write!(f, "; {} events are lost", self.lost_events + self.nameless)?;
        }
        if let Some(name) = &self.renamed {
            write!(f, "; events have a new source, which ends in {name}")?;
        }
        write!(f, ". The damaged file is kept: {}. Look at the disk", self.kept_at)
    }
}
