//! Series: who measured what. Numbered once, found by name, never renumbered.

use crate::dedupe::times::Times;
use crate::time::Time;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Names that are looked up and never iterated, so that no order can leak out of it.
pub(crate) type Index = HashMap<Box<str>, u32, foldhash::fast::FixedState>;

/// One measurement of one sensor in one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Index of the stream in the plan.
    pub stream: u16,
    /// What is measured.
    pub metric: String,
    /// Whose; sorted by name.
    pub tags: Vec<(String, String)>,
    /// The arrival of the latest reading of any verdict.
    pub heard: Time,
    /// The groups that its readings are folded into, in the order of the plan's summaries.
    pub groups: Vec<u32>,
    /// The watches that its readings move, in the order of the plan's alerts.
    pub watches: Vec<u32>,
    /// Counted time stamps, where the stream is `unique = "time"`.
    pub times: Option<Box<Times>>,
}

/// One series of one summary: what shares a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Index of the summary in the plan.
    pub summary: u16,
    /// What is measured.
    pub metric: String,
    /// The tags of the summary's key, `None` where the series has no such tag; in the order of the key.
    pub tags: Vec<Option<String>>,
    /// Streams that reported to it, in the order in which they did.
    pub streams: Vec<u16>,
    /// How many series report to it.
    pub members: u32,
    /// Windows that end at or before this may have been closed: a reading for them amends.
    pub closed_max: Time,
    /// Open windows, by start.
    pub open: Vec<crate::window::Open>,
}

impl Group {
    /// The open window that starts at `start`.
    pub(crate) fn open_at(&mut self, start: Time) -> Option<&mut crate::window::Open> {
        self.open.iter_mut().rev().find(|open| open.start == start)
    }
}

/// Writes the name under which a series or group is looked up. Unambiguous: no part can hold the separators.
pub(crate) fn name<'n>(
    into: &mut String,
    kind: u16,
    metric: &str,
    tags: impl Iterator<Item = (&'n str, Option<&'n str>)>,
) {
    use std::fmt::Write;
    into.clear();
    let _ = write!(into, "{kind}\u{1}{}\u{1}{metric}", metric.len());
    for (tag, value) in tags {
        match value {
            Some(value) => {
                let _ = write!(into, "\u{1}{tag}={}\u{1}{value}", value.len());
            }
            None => {
                let _ = write!(into, "\u{1}{tag}");
            }
        }
    }
}
