//! What waits for an output, as its forwarder reads it.

use super::closed::{ALERT, SUMMARY, window};
use super::row::unpack_value;
use super::schema::{CLOSED, DEFINITIONS, EVENTS, EventRow, LETTERS, Letter, OUTBOX, Reference};
use super::shared::{Shared, lock};
use super::{Doing, StoreError};
use redb::{ReadOnlyTable, ReadTransaction};
use std::collections::HashMap;
use std::ops::ControlFlow;
use tidegate_pipeline::definition::Definition;
use tidegate_pipeline::mutant::{self, Mutant};

/// Groups whose series are remembered: as many as there can be series. 8 bytes each.
const SHARES_MAX: usize = 131_072;

/// An event that waits for an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the outbox.
    pub priority: u8,
    /// Its place in the outbox.
    pub sequence: u64,
    /// CloudEvents id.
    pub id: String,
    /// The whole event.
    pub event: Vec<u8>,
}

/// What a forwarder wants of its outbox.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Which part of it.
    pub part: Part,
    /// Not what stands at this priority and sequence.
    pub skip: &'a dyn Fn(u8, u64) -> bool,
    /// At most so many events …
    pub events: usize,
    /// … and, but for the first, so many bytes in all.
    pub bytes: usize,
}

impl Wanted<'_> {
    /// Whatever comes first.
    pub fn first(events: usize, bytes: usize) -> Wanted<'static> {
        Wanted { part: Part::All, skip: &|_, _| false, events, bytes }
    }
}

/// A part of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    All,
    /// Alerts alone.
    Alerts,
    /// The windows of some series; in the first share also everything else.
    Share {
        /// Which, from 0.
        number: usize,
        /// Of so many.
        of: usize,
    },
}

/// By group: a number that all groups of one series have in common, whatever the plan and the clock's epoch.
pub(super) type Shares = HashMap<u32, u32>;

/// The tables that events are in.
struct Events<'r> {
    read: &'r ReadTransaction,
    closed: ReadOnlyTable<(i64, u32), &'static [u8]>,
}

impl Shared {
    /// The next events that `output` may be sent, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn waiting(&self, output: &str, wanted: &Wanted<'_>) -> Result<Vec<Waiting>, StoreError> {
        self.read_waiting(output, wanted).inspect_err(|error| self.met(error))
    }

    fn read_waiting(&self, output: &str, wanted: &Wanted<'_>) -> Result<Vec<Waiting>, StoreError> {
        let Some((number, attempted)) =
            lock(&self.accounts).outputs.get(output).map(|row| (row.number, row.attempted))
        else {
            return Ok(Vec::new());
        };
        let read = self.read()?;
        let outbox = read.open_table(OUTBOX).doing("read the outbox")?;
        let events = Events::open(&read)?;
        let mut found = Found { wanted, events: Vec::new(), bytes: 0 };
        for (priority, end) in [(ALERT, attempted[0]), (SUMMARY, attempted[1])] {
            if priority != ALERT && wanted.part == Part::Alerts {
                break;
            }
            let end = if mutant::active(Mutant::SendBeforeAttempted) { u64::MAX } else { end };
            let lane = (number, priority, 0)..(number, priority, end);
            for item in outbox.range(lane).doing("read the outbox")? {
                let (place, reference) = item.doing("read the outbox")?;
                let (_, _, sequence) = place.value();
                let reference = Reference::of(reference.value());
                if !self.is_in(wanted.part, reference, &read)? || (wanted.skip)(priority, sequence) {
                    continue;
                }
                let Some((id, event)) = events.get(reference)? else { continue };
                if found.take(Waiting { priority, sequence, id, event }).is_break() {
                    return Ok(found.events);
                }
            }
        }
        Ok(found.events)
    }

    fn is_in(&self, part: Part, reference: Reference, read: &ReadTransaction) -> Result<bool, StoreError> {
        Ok(match (part, reference) {
            (Part::All | Part::Alerts, _) => true,
            (Part::Share { number, of }, Reference::Closed(key)) => {
                self.share(key.group, read)? as usize % of == number
            }
            (Part::Share { number, .. }, Reference::Letter(_) | Reference::Event(_)) => number == 0,
        })
    }

    /// The number of the group's series.
    fn share(&self, group: u32, read: &ReadTransaction) -> Result<u32, StoreError> {
        if let Some(share) = lock(&self.shares).get(&group) {
            return Ok(*share);
        }
        let table = read.open_table(DEFINITIONS).doing("read a definition")?;
        let row = table.get(group).doing("read a definition")?;
        let definition = row.map(|row| unpack_value::<Definition>(row.value(), "definition")).transpose()?;
        // Without one a group stands for itself.
        let share = definition.map_or(group, |definition| crc32fast::hash(definition.subject.as_bytes()));
        let mut shares = lock(&self.shares);
        if shares.len() >= SHARES_MAX {
            shares.clear();
        }
        shares.insert(group, share);
        Ok(share)
    }

    /// The first event of each of the output's queues, sent before or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn heads(&self, output: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(number) = lock(&self.accounts).outputs.get(output).map(|row| row.number) else {
            return Ok(Vec::new());
        };
        let read = self.read()?;
        let outbox = read.open_table(OUTBOX).doing("read the outbox")?;
        let events = Events::open(&read)?;
        let mut heads = Vec::new();
        for priority in [ALERT, SUMMARY] {
            let lane = (number, priority, 0)..=(number, priority, u64::MAX);
            if let Some(item) = outbox.range(lane).doing("read the outbox")?.next() {
                let (_, reference) = item.doing("read the outbox")?;
                heads.extend(events.get(Reference::of(reference.value()))?.map(|(_, event)| event));
            }
        }
        Ok(heads)
    }
}

/// What was found so far.
struct Found<'a> {
    wanted: &'a Wanted<'a>,
    events: Vec<Waiting>,
    bytes: usize,
}

impl Found<'_> {
    /// Takes one more, if there is room; breaks where there is none for another.
    fn take(&mut self, waiting: Waiting) -> ControlFlow<()> {
        self.bytes += waiting.event.len();
        if !self.events.is_empty() && self.bytes > self.wanted.bytes {
            return ControlFlow::Break(());
        }
        self.events.push(waiting);
        if self.events.len() >= self.wanted.events {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl<'r> Events<'r> {
    fn open(read: &'r ReadTransaction) -> Result<Events<'r>, StoreError> {
        Ok(Events { read, closed: read.open_table(CLOSED).doing("read a window")? })
    }

    /// The id of an event and its bytes, if it is still there.
    fn get(&self, reference: Reference) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        match reference {
            Reference::Closed(key) => {
                let row = self.closed.get((key.end.0, key.group)).doing("read a window")?;
                let row = row.map(|row| window(row.value())).transpose()?;
                Ok(row.map(|row| (row.id, row.event)))
            }
            Reference::Event(number) => {
                let table = self.read.open_table(EVENTS).doing("read an event")?;
                let row = table.get(number).doing("read an event")?;
                let row = row.map(|row| unpack_value::<EventRow>(row.value(), "event")).transpose()?;
                Ok(row.map(|row| (row.id, row.event)))
            }
            Reference::Letter(number) => {
                let table = self.read.open_table(LETTERS).doing("read a dead letter")?;
                let row = table.get(number).doing("read a dead letter")?;
                let letter = row.map(|row| unpack_value::<Letter>(row.value(), "dead letter")).transpose()?;
                Ok(letter.and_then(|letter| match letter {
                    Letter::Event { id, event, .. } => Some((id, event)),
                    Letter::Message(_) => None,
                }))
            }
        }
    }
}
