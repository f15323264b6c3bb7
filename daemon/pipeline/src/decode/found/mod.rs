//! What decoding found: records of one message, in buffers that are used again and again.

mod record;

pub(crate) use self::record::Candidate;
pub use self::record::Record;
pub(super) use self::record::keep_match;
use super::sparkplug::Change;
use super::{DecodeError, ROOT_NAME, Scalar, Shape};
use crate::devices::Health;
use crate::limits::{NAME_BYTES_MAX, READINGS_PER_MESSAGE_MAX};
use crate::time::{Span, Time};
use crate::verdict::Reason;

/// What decoding one payload gave. Reused from message to message.
#[derive(Debug, Default)]
pub struct Found<'p> {
    /// Slots of what stands around the records.
    outer: Vec<Scalar<'p>>,
    /// By slot of the [`Shape`], record after record.
    slots: Vec<Scalar<'p>>,
    /// Values at places with captures, record after record: the listed metric, the value.
    matches: Vec<(u16, Result<f64, Reason>)>,
    /// What the captures of each match took, one after the other.
    captured: Texts,
    /// Names and values of other numeric or boolean leaves, record after record.
    names: Texts,
    values: Vec<Result<f64, Reason>>,
    /// Tags that the records bring along, by name, record after record.
    tags: Vec<&'static str>,
    tag_values: Texts,
    /// Where the records end.
    records: Vec<End>,
    /// The message's number among those of its sender, where the format numbers messages.
    pub(crate) cycle: Option<Cycle>,
    /// What the message changes about the births that are known.
    pub(crate) change: Option<Change>,
    /// When and by whom the message was sent, where the format says.
    pub(crate) sent: Option<Sent>,
    pub(super) scratch: Scratch,
}

/// Where a record ends in each list, and its own time.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    matches: usize,
    captured: usize,
    leaves: usize,
    tags: usize,
    time: Option<Result<Time, Reason>>,
    own: Option<Own>,
}

/// The uptime of a sender when it sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The boot that it counts from.
    pub(crate) boot: u64,
    /// In microseconds.
    pub(crate) uptime: i64,
    /// How finely it counts.
    pub(crate) resolution: Span,
    /// How it is, where it says.
    pub(crate) health: Option<Health>,
}

/// What a format says of one record, where it numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    /// Its number since the boot.
    pub(crate) sequence: u64,
    /// The uptime of its sender when it was taken, in microseconds.
    pub(crate) uptime: i64,
}

/// A number that goes from 255 to 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cycle {
    /// Who counts.
    pub(crate) sender: String,
    pub(crate) sequence: u8,
    /// Where this message starts the numbering anew: the number of the start.
    pub(crate) start: Option<u8>,
}

/// What a walk through a document needs beside what it finds.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The names from the record's root to here, joined by `/`; kept only where leaves are collected.
    pub(super) path: String,
    /// Nodes of the shape that the places on the way here are.
    pub(super) states: Vec<super::walk::State>,
    /// What captures took on the way here.
    pub(super) taken: String,
}

/// Texts one after the other in one allocation.
#[derive(Debug, Default)]
struct Texts {
    text: String,
    ends: Vec<usize>,
}

impl Texts {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Longer names are refused later and need not be kept whole: a hostile document can repeat a long one very often.
    fn push(&mut self, text: &str) {
        self.text.push_str(&text[..text.floor_char_boundary(NAME_BYTES_MAX + 4)]);
        self.ends.push(self.text.len());
    }

    fn get(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.path.clear();
        self.states.clear();
        self.taken.clear();
    }
}

impl<'p> Found<'p> {
    /// The same buffers, empty, for a payload that lives differently long.
    pub fn recycle<'q>(mut self) -> Found<'q> {
        self.clear();
        // Collecting an emptied vector into one of the same layout keeps its allocation.
        let keep = |scalars: Vec<Scalar<'p>>| scalars.into_iter().map(|_| Scalar::Absent).collect();
        Found {
            outer: keep(self.outer),
            slots: keep(self.slots),
            matches: self.matches,
            captured: self.captured,
            names: self.names,
            values: self.values,
            tags: self.tags,
            tag_values: self.tag_values,
            records: self.records,
            cycle: None,
            change: None,
            sent: None,
            scratch: self.scratch,
        }
    }

    fn clear(&mut self) {
        self.outer.clear();
        self.slots.clear();
        self.matches.clear();
        self.captured.clear();
        self.names.clear();
        self.values.clear();
        self.tags.clear();
        self.tag_values.clear();
        self.records.clear();
        self.cycle = None;
        self.change = None;
        self.sent = None;
        self.scratch.clear();
    }

    pub(super) fn begin(&mut self, shape: &Shape) {
        self.clear();
        if shape.has_each() {
            self.outer.resize(shape.slots(), Scalar::Absent);
        }
    }

    /// Begins a record; what is found from now on belongs to it.
    pub(super) fn record(&mut self, shape: &Shape) -> Result<(), DecodeError> {
        if self.records.len() == READINGS_PER_MESSAGE_MAX {
            return Err(DecodeError::TooMany);
        }
        self.slots.resize(self.slots.len() + shape.slots(), Scalar::Absent);
        self.records.push(self.end());
        Ok(())
    }

    /// The present record reaches to here.
    pub(super) fn extend(&mut self) {
        let end = self.end();
        if let Some(last) = self.records.last_mut() {
            *last = End { time: last.time, own: last.own, ..end };
        }
    }

    fn end(&self) -> End {
        End {
            matches: self.matches.len(),
            captured: self.captured.ends.len(),
            leaves: self.values.len(),
            tags: self.tags.len(),
            time: None,
            own: None,
        }
    }

    /// The present record's own number and uptime.
    pub(super) fn set_own(&mut self, own: Own) {
        if let Some(last) = self.records.last_mut() {
            last.own = Some(own);
        }
    }

    /// The present record's own time.
    pub(super) fn set_time(&mut self, time: Result<Time, Reason>) {
        if let Some(last) = self.records.last_mut() {
            last.time = Some(time);
        }
    }

    /// A tag that the present record brings along.
    pub(super) fn add_tag(&mut self, name: &'static str, value: &str) {
        self.tags.push(name);
        self.tag_values.push(value);
    }

    /// Puts `scalar` into a slot of the present record, or of what stands around the records.
    pub(super) fn set_slot(&mut self, shape: &Shape, slot: usize, scalar: Scalar<'p>, inside: bool) {
        if inside {
            let start = self.slots.len() - shape.slots();
            self.slots[start + slot] = scalar;
        } else {
            self.outer[slot] = scalar;
        }
    }

    /// A value of a listed metric at a place with captures.
    pub(super) fn add_match<'c>(
        &mut self,
        metric: u16,
        value: Result<f64, Reason>,
        captured: impl Iterator<Item = &'c str>,
    ) -> Result<(), DecodeError> {
        self.room()?;
        self.matches.push((metric, value));
        captured.for_each(|text| self.captured.push(text));
        Ok(())
    }

    /// A leaf of the present record; an empty name is the whole record.
    pub(super) fn add_leaf(&mut self, name: &str, value: Result<f64, Reason>) -> Result<(), DecodeError> {
        self.room()?;
        self.names.push(if name.is_empty() { ROOT_NAME } else { name });
        self.values.push(value);
        Ok(())
    }

    /// Whether listed values and others together are not more than one message may carry.
    pub(super) fn check_size(&self, shape: &Shape) -> Result<(), DecodeError> {
        let asked = |record: Record<'_, 'p>| {
            shape.values.iter().flatten().filter(|&&slot| record.has_own(slot)).count()
        };
        let listed: usize = self.records(shape).map(asked).sum();
        let full = listed + self.matches.len() + self.values.len() > READINGS_PER_MESSAGE_MAX;
        if full { Err(DecodeError::TooMany) } else { Ok(()) }
    }

    fn room(&self) -> Result<(), DecodeError> {
        let full = self.matches.len() + self.values.len() >= READINGS_PER_MESSAGE_MAX;
        if full { Err(DecodeError::TooMany) } else { Ok(()) }
    }

    /// How many records there are.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The records, in the order of the message. A message without any is one that is empty, so that its number counts.
    pub fn records<'f>(
        &'f self,
        shape: &'f Shape,
    ) -> impl ExactSizeIterator<Item = Record<'f, 'p>> + use<'f, 'p> {
        (0..self.records.len().max(1)).map(move |index| {
            let end = |index: usize| self.records.get(index).copied().unwrap_or_default();
            let start = index.checked_sub(1).map(end).unwrap_or_default();
            Record { found: self, shape, index, start, end: end(index) }
        })
    }
}
