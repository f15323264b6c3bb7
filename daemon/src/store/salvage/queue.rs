//! What waits for outputs. The rows of the outbox have no checksum of their own, but what they refer to says where it was
//! queued: an event waits where both say so, or where its place was lost. Then it may be sent twice, under one id.

use super::super::StoreError;
use super::super::closed::Place;
use super::super::heartbeat;
use super::super::pages::Item;
use super::super::row::{pack_value, unpack_value};
use super::super::schema::{ALLOWED, CLOSED, EVENTS, EventRow, HeartbeatRow, MOVED, OUTBOX, Reference};
use super::super::{Doing, closed};
use super::old::{Key, Old};
use super::windows;
use redb::{ReadableTable, Table, TableDefinition, TableHandle, WriteTransaction};
use std::collections::BTreeMap;

/// What the old outbox says, while the new one is made.
const OLD: TableDefinition<'_, Place, (i64, u64)> = TableDefinition::new("old_outbox");
/// Gaps of the outbox that are told from each other.
const GAPS_MAX: usize = 1_000;

/// The queues of the new store in the making.
pub(super) struct Queue<'t> {
    old: Table<'t, Place, (i64, u64)>,
    outbox: Table<'t, Place, (i64, u64)>,
    events: Table<'t, u64, &'static [u8]>,
    /// Behind and before which places some may be missing.
    gaps: Vec<(Place, Place)>,
    /// Number of the next event.
    next: u64,
    /// Bytes of closed windows and events.
    pub(super) bytes: u64,
    /// The last heartbeat, and where it is from now on.
    pub(super) heartbeat: HeartbeatRow,
    /// By number: where dead letters wait.
    pub(super) letters: BTreeMap<u64, Place>,
}

const FIRST: Place = (0, 0, 0);
const LAST: Place = (u16::MAX, u8::MAX, u64::MAX);

impl<'t> Queue<'t> {
    /// Reads the old outbox.
    pub(super) fn read(
        old: &Old<'_>,
        write: &'t WriteTransaction,
        heartbeat: HeartbeatRow,
    ) -> Result<Queue<'t>, StoreError> {
        let open = |table| write.open_table(table).doing("be salvaged");
        let mut queue = Queue {
            old: open(OLD)?,
            outbox: open(OUTBOX)?,
            events: write.open_table(EVENTS).doing("be salvaged")?,
            gaps: Vec::new(),
            next: 1,
            bytes: 0,
            heartbeat: HeartbeatRow { event: 0, ..heartbeat },
            letters: BTreeMap::new(),
        };
        let (mut before, mut open) = (FIRST, false);
        old.walk(OUTBOX.name(), &mut |item| {
            let row = match item {
                Item::Row { key, value, sound: true } => Place::read(key).zip(<(i64, u64)>::read(value)),
                _ => None,
            };
            let Some((place, reference)) = row else {
                open = true;
                return Ok(());
            };
            if open {
                queue.gap(before, place);
            }
            (before, open) = (place, false);
            if let Reference::Letter(number) = Reference::of(reference) {
                queue.letters.insert(number, place);
            }
            queue.old.insert(place, reference).doing("be salvaged").map(drop)
        })?;
        if open {
            queue.gap(before, LAST);
        }
        Ok(queue)
    }

    fn gap(&mut self, after: Place, before: Place) {
        let crowded = self.gaps.len() == GAPS_MAX;
        match self.gaps.last_mut().filter(|_| crowded) {
            Some(last) => last.1 = before,
            None => self.gaps.push((after, before)),
        }
    }

    /// Where an event that was queued at these places still waits, for all that is known. `own` is what the outbox says
    /// for it, where the event's key can be trusted.
    fn waiting(&self, queued: &[Place], own: Option<Reference>) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        for place in queued {
            let waits = match self.old.get(place).doing("be salvaged")? {
                Some(row) => own.is_none_or(|own| own == Reference::of(row.value())),
                None => self.gaps.iter().any(|(after, before)| after <= place && place < before),
            };
            if waits {
                places.push(*place);
            }
        }
        Ok(places)
    }

    /// Queues something where it was.
    pub(super) fn put(&mut self, place: Place, reference: Reference) -> Result<(), StoreError> {
        let (end, number) = reference.row();
        // Where the old row is lost, it may have been sent.
        let allowed = match self.old.get(place).doing("be salvaged")? {
            Some(row) => row.value().1 & ALLOWED,
            None => ALLOWED,
        };
        self.outbox.insert(place, (end, number | allowed)).doing("be salvaged").map(drop)
    }

    /// Keeps an event that something waits for.
    fn keep(&mut self, row: EventRow, own: Option<Reference>) -> Result<(), StoreError> {
        let queued = self.waiting(&row.queued, own)?;
        if queued.is_empty() {
            return Ok(());
        }
        for place in &queued {
            self.put(*place, Reference::Event(self.next))?;
        }
        if self.heartbeat.next > 0 && row.id == heartbeat::id(self.heartbeat.next - 1) {
            self.heartbeat.event = self.next;
        }
        let row = pack_value(&EventRow { queued, ..row });
        self.events.insert(self.next, row.as_slice()).doing("be salvaged")?;
        self.bytes += row.len() as u64;
        self.next += 1;
        Ok(())
    }

    /// Takes over the events that are no windows.
    pub(super) fn take_events(&mut self, old: &Old<'_>) -> Result<(), StoreError> {
        old.walk(EVENTS.name(), &mut |item| match item {
            Item::Row { key, value, sound } => match unpack_value(value, "event") {
                Ok(row) => self.keep(row, u64::read(key).filter(|_| sound).map(Reference::Event)),
                Err(_) => Ok(()),
            },
            Item::Gap => Ok(()),
        })
    }

    /// Takes over closed windows: as they are, so that they can be amended, or only as events that wait.
    pub(super) fn take_windows(
        &mut self,
        old: &Old<'_>,
        write: &WriteTransaction,
        amendable: bool,
    ) -> Result<(), StoreError> {
        let mut table = write.open_table(CLOSED).doing("be salvaged")?;
        old.walk(CLOSED.name(), &mut |item| {
            let Some((key, row, sound)) = windows::read(item) else { return Ok(()) };
            let own = Reference::Closed(closed::key(key));
            let trusted = sound.then_some(own);
            if !amendable {
                return self.keep(EventRow { id: row.id, event: row.event, queued: row.queued }, trusted);
            }
            for place in self.waiting(&row.queued, trusted)? {
                self.put(place, own)?;
            }
            let row = pack_value(&row);
            self.bytes += row.len() as u64;
            table.insert(key, row.as_slice()).doing("be salvaged").map(drop)
        })?;
        let mut table = write.open_table(MOVED).doing("be salvaged")?;
        old.walk(MOVED.name(), &mut |item| {
            let Some((key, into)) = windows::moved(item).filter(|_| amendable) else { return Ok(()) };
            self.bytes += closed::MOVED_ROW_BYTES;
            table.insert(key, into).doing("be salvaged").map(drop)
        })
    }

    /// By output: how many events wait in each lane, and behind which sequence the next is queued.
    pub(super) fn lanes(&self) -> Result<BTreeMap<u16, [(u64, u64); 2]>, StoreError> {
        let mut lanes: BTreeMap<u16, [(u64, u64); 2]> = BTreeMap::new();
        for item in self.outbox.iter().doing("be salvaged")? {
            let (output, priority, sequence) = item.doing("be salvaged")?.0.value();
            if let Some(lane) = lanes.entry(output).or_default().get_mut(usize::from(priority)) {
                *lane = (lane.0 + 1, lane.1.max(sequence.saturating_add(1)));
            }
        }
        Ok(lanes)
    }

    /// Gives up what waits for an output that nobody knows.
    pub(super) fn drop_output(&mut self, number: u16) -> Result<(), StoreError> {
        let all = (number, 0, 0)..=(number, u8::MAX, u64::MAX);
        self.outbox.retain_in(all, |_, _| false).doing("be salvaged")
    }

    /// Forgets what the old outbox said.
    pub(super) fn end(self, write: &WriteTransaction) -> Result<u64, StoreError> {
        let Queue { old, bytes, .. } = self;
        drop(old);
        write.delete_table(OLD).doing("be salvaged")?;
        Ok(bytes)
    }
}
