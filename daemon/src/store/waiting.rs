//! What waits for an output, as its forwarder reads it.

use super::closed::{ALERT, Place, SUMMARY, window};
use super::row::unpack_value;
use super::schema::{ALLOWED, CLOSED, DEFINITIONS, EVENTS, EventRow, LETTERS, Letter, OUTBOX, Reference};
use super::shared::{Shared, lock};
use super::{Doing, StoreError};
use redb::{ReadOnlyTable, ReadTransaction};
use std::collections::HashMap;
use std::ops::ControlFlow;
use tidegate_pipeline::definition::Definition;
use tidegate_pipeline::mutant::{self, Mutant};

/// Groups whose series are remembered: as many as there can be series. 8 bytes each.
const SHARES_MAX: usize = 131_072;

/// Events that are allowed at a time, at least, where the newest goes first: each time costs a transaction. Few, because whatever is
/// allowed counts as seen, and names itself when it is merged.
const LOCKED_MIN: usize = 16;

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

/// What waits, from the newest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backwards {
    /// The next events, none of which is older than what is locked.
    pub found: Vec<Waiting>,
    /// Priorities and sequences of some that must be allowed first ([`super::Commit::allow`]).
    pub locked: Vec<(u8, u64)>,
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
struct Events {
    read: ReadTransaction,
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
        let Some(mut look) = self.look(output, wanted)? else { return Ok(Vec::new()) };
        for priority in [ALERT, SUMMARY] {
            if look.oldest(priority)?.is_break() || wanted.part == Part::Alerts {
                break;
            }
        }
        Ok(look.found)
    }

    /// The next events of `output` where the newest goes first: alerts in their order, what stands at `before`, and the
    /// others from the newest on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest(&self, output: &str, wanted: &Wanted<'_>, before: &[u64]) -> Result<Backwards, StoreError> {
        self.read_newest(output, wanted, before).inspect_err(|error| self.met(error))
    }

    fn read_newest(
        &self,
        output: &str,
        wanted: &Wanted<'_>,
        before: &[u64],
    ) -> Result<Backwards, StoreError> {
        let Some(mut look) = self.look(output, wanted)? else { return Ok(Backwards::default()) };
        let mut locked = Vec::new();
        if look.oldest(ALERT)?.is_continue()
            && wanted.part != Part::Alerts
            && look.these(before)?.is_continue()
        {
            locked = look.backwards(before)?;
        }
        Ok(Backwards { found: look.found, locked })
    }

    fn look<'a>(&'a self, output: &str, wanted: &'a Wanted<'a>) -> Result<Option<Look<'a>>, StoreError> {
        let Some((output, attempted)) =
            lock(&self.accounts).outputs.get(output).map(|row| (row.number, row.attempted))
        else {
            return Ok(None);
        };
        let read = self.read()?;
        let outbox = read.open_table(OUTBOX).doing("read the outbox")?;
        let events = Events::open(read)?;
        Ok(Some(Look {
            shared: self,
            wanted,
            output,
            attempted,
            outbox,
            events,
            found: Vec::new(),
            bytes: 0,
        }))
    }

    fn is_in(&self, part: Part, reference: Reference, read: &ReadTransaction) -> Result<bool, StoreError> {
        Ok(match (part, reference) {
            (Part::All | Part::Alerts, _) => true,
            (Part::Share { number, of }, Reference::Closed(key)) => {
                let next_to_next = mutant::active(Mutant::SeriesInTwoLanes);
                let share =
                    if next_to_next { (key.end.0 / 60_000_000) as u32 } else { self.share(key.group, read)? };
                share as usize % of == number
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
        let events = Events::open(read)?;
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

/// One look at an outbox.
struct Look<'a> {
    shared: &'a Shared,
    wanted: &'a Wanted<'a>,
    output: u16,
    attempted: [u64; 2],
    outbox: ReadOnlyTable<Place, (i64, u64)>,
    events: Events,
    found: Vec<Waiting>,
    bytes: usize,
}

impl Look<'_> {
    /// Takes what may be sent of one priority, in order.
    fn oldest(&mut self, priority: u8) -> Result<ControlFlow<()>, StoreError> {
        let all = mutant::active(Mutant::SendBeforeAttempted);
        let end = if all { u64::MAX } else { self.attempted[usize::from(priority)] };
        let rows = (self.output, priority, 0)..(self.output, priority, end);
        for item in self.outbox.range(rows).doing("read the outbox")? {
            let (place, row) = item.doing("read the outbox")?;
            if self.take(place.value(), row.value())?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes the summaries with these sequences.
    fn these(&mut self, sequences: &[u64]) -> Result<ControlFlow<()>, StoreError> {
        for sequence in sequences {
            let place = (self.output, SUMMARY, *sequence);
            let row = self.outbox.get(place).doing("read the outbox")?.map(|row| row.value());
            if let Some(row) = row
                && self.take(place, row)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes summaries from the newest on, except these, up to the first that may not be sent yet: the places of that one and of
    /// some behind it.
    fn backwards(&mut self, except: &[u64]) -> Result<Vec<(u8, u64)>, StoreError> {
        let mut locked = Vec::new();
        let rows = (self.output, SUMMARY, 0)..=(self.output, SUMMARY, u64::MAX);
        for item in self.outbox.range(rows).doing("read the outbox")?.rev() {
            let (place, row) = item.doing("read the outbox")?;
            let (place, row) = (place.value(), row.value());
            if except.contains(&place.2) || !self.wants(place, row)? {
                continue;
            }
            let allowed = place.2 < self.attempted[usize::from(SUMMARY)] || row.1 & ALLOWED != 0;
            if !allowed {
                locked.push((SUMMARY, place.2));
            } else if !locked.is_empty() {
                continue;
            } else if self.take(place, row)?.is_break() {
                break;
            }
            if locked.len() >= self.wanted.events.max(LOCKED_MIN) {
                break;
            }
        }
        Ok(locked)
    }

    fn wants(&self, place: Place, row: (i64, u64)) -> Result<bool, StoreError> {
        let part = self.shared.is_in(self.wanted.part, Reference::of(row), &self.events.read)?;
        Ok(part && !(self.wanted.skip)(place.1, place.2))
    }

    /// Takes one more, if it is wanted and there is room; breaks where there is none for another.
    fn take(&mut self, place: Place, row: (i64, u64)) -> Result<ControlFlow<()>, StoreError> {
        if !self.wants(place, row)? {
            return Ok(ControlFlow::Continue(()));
        }
        let Some((id, event)) = self.events.get(Reference::of(row))? else {
            return Ok(ControlFlow::Continue(()));
        };
        self.bytes += event.len();
        if !self.found.is_empty() && self.bytes > self.wanted.bytes {
            return Ok(ControlFlow::Break(()));
        }
        self.found.push(Waiting { priority: place.1, sequence: place.2, id, event });
        let full = self.found.len() >= self.wanted.events;
        Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

impl Events {
    fn open(read: ReadTransaction) -> Result<Events, StoreError> {
        let closed = read.open_table(CLOSED).doing("read a window")?;
        Ok(Events { read, closed })
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
