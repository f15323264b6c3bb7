//! Making room: windows that wait merge into coarser ones, the oldest first; what cannot be merged is dropped, where that
//! is wanted.
//!
//! A *hand* goes over the closed windows from the oldest to the newest and merges, within each group, what waits in one slot
//! ([`tidegate_pipeline::rollup`]). When it has come to the end, the width doubles and it begins anew. So all that waits is about
//! equally coarse, and no coarser than it must be. What waits for an output that begins with the newest merges only without a gap:
//! there, what lies in between may have been sent. Where the hand is need not be written down: after a restart it finds
//! nothing to merge until it comes to where it was.

use super::clearing::{Clearing, LOOK_MAX, read_rows};
use super::closed::{ClosedTable, Place, window};
use super::schema::{ALLOWED, CLOSED, ClosedRow, OUTBOX, Reference, SILENT};
use super::{Doing, Store, StoreError};
use redb::ReadableTable;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::rollup::{Part, Role};
use tidegate_pipeline::time::{Span, Time};

/// Transactions without a merge before the writer turns to other things.
const LOOKS_MAX: usize = 10;
/// No merged window is longer than ten years.
pub(super) const WIDTH_MAX: Span = Span::from_secs(10 * 366 * 86_400);
/// Where the widths begin: nothing merges at less.
const WIDTH_MIN: Span = Span::from_secs(2);

/// Where the merging goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Hand {
    width: Span,
    /// The last window that was looked at.
    at: Option<(i64, u32)>,
    /// By group: the slot that was looked at last, and the window there, which may merge with the next.
    slots: BTreeMap<u32, (i64, ClosedKey)>,
    /// The least width at which something merges that does not at this one.
    wider: Option<Span>,
}

/// What making room did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    /// Bytes that became free.
    pub bytes: u64,
    /// Events that wait no more.
    pub events: u64,
    /// There is nothing more to be had in this way.
    pub spent: bool,
}

/// One transaction of the hand.
struct Look<'w> {
    clearing: Clearing<'w>,
    hand: Hand,
    /// By group: the slot, and what waits in it.
    open: BTreeMap<u32, (i64, Vec<Waits>)>,
    /// Numbers of the outputs that take windows out of turn.
    out_of_turn: BTreeSet<u16>,
}

/// A window that waits.
struct Waits {
    part: Part,
    /// Where.
    places: Vec<Place>,
}

impl Waits {
    /// Whether it may merge with one that ends there, whatever lies in between.
    fn follows(&self, end: Time, out_of_turn: &BTreeSet<u16>) -> bool {
        self.part.kept.start <= end || !self.places.iter().any(|place| out_of_turn.contains(&place.0))
    }
}

impl Store {
    /// Which outputs take windows out of turn: of those that wait for one of them, only neighbours merge.
    pub fn set_out_of_turn(&mut self, outputs: BTreeSet<String>) {
        self.out_of_turn = outputs;
    }

    /// Merges what waits in at most so many transactions that find nothing, until `bytes` are free or one has merged something.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn roll_up(&mut self, bytes: u64) -> Result<Shed, StoreError> {
        for _ in 0..LOOKS_MAX {
            let shed = self.look(bytes)?;
            if shed.events > 0 || shed.spent {
                return Ok(shed);
            }
        }
        Ok(Shed::default())
    }

    fn look(&mut self, bytes: u64) -> Result<Shed, StoreError> {
        let database = self.shared.database()?;
        let mut write = database.begin_write().doing("begin a transaction")?;
        write.set_two_phase_commit(false);
        let before = self.closed_bytes;
        let hand = std::mem::take(&mut self.hand);
        let names = self.out_of_turn.iter().filter_map(|name| self.outputs.get(name));
        let out_of_turn = names.map(|row| row.number).collect();
        let clearing = Clearing::new(&write, self.queues());
        let mut look = Look { clearing, hand, open: BTreeMap::new(), out_of_turn };
        let spent = look.go_on(bytes)?;
        let Look { clearing: Clearing { queues, events, .. }, hand, .. } = look;
        if events > 0 {
            self.write_accounts(&write, &queues, self.letters)?;
            write.commit().doing("merge windows")?;
            self.follow(queues);
        } else {
            write.abort().doing("look at windows")?;
            self.definitions = queues.definitions;
        }
        self.hand = hand;
        self.publish();
        Ok(Shed { bytes: before.saturating_sub(self.closed_bytes), events, spent })
    }
}

impl Look<'_> {
    /// Looks at the next windows and merges some. True when nothing merges any more, at whatever width.
    fn go_on(&mut self, bytes: u64) -> Result<bool, StoreError> {
        self.hand.width = self.hand.width.max(WIDTH_MIN);
        let mut table = self.clearing.write.open_table(CLOSED).doing("read windows")?;
        let rows = read_rows(&table, self.hand.at)?;
        let (mut freed, mut last) = (0, rows.len() < LOOK_MAX);
        let mut until = None;
        for (at, (key, row)) in rows.iter().enumerate() {
            if until.is_some_and(|until| key.end > until) {
                last = false;
                break;
            }
            freed += self.show(&mut table, *key, row)?;
            self.hand.at = Some((key.end.0, key.group));
            if freed >= bytes && until.is_none() {
                until = Some(self.crossed_until(&rows[at + 1..])?);
            }
        }
        for (group, (slot, waits)) in std::mem::take(&mut self.open) {
            self.fold(&mut table, group, slot, waits)?;
        }
        if !last {
            return Ok(false);
        }
        let Some(wider) = self.hand.wider.filter(|width| *width <= WIDTH_MAX) else {
            self.hand = Hand { width: self.hand.width, ..Hand::default() };
            return Ok(true);
        };
        self.hand = Hand { width: wider, ..Hand::default() };
        Ok(false)
    }

    /// Up to where to look before what is open merges. A late window lies within one that was merged before and ends after it: without
    /// that one it would merge over its edge.
    fn crossed_until(&self, rest: &[(ClosedKey, Vec<u8>)]) -> Result<Time, StoreError> {
        let mut until = Time::MIN;
        let mut merging: BTreeMap<u32, Time> = BTreeMap::new();
        for (group, (_, waits)) in &self.open {
            if let [_, .., last] = waits.as_slice() {
                merging.insert(*group, last.part.key.end);
            }
        }
        for (key, row) in rest {
            if let Some(end) = merging.remove(&key.group)
                && window(row)?.kept.start < end
            {
                until = until.max(key.end);
            }
        }
        Ok(until)
    }

    /// Looks at one window: how many bytes less there will be.
    fn show(&mut self, table: &mut ClosedTable<'_>, key: ClosedKey, row: &[u8]) -> Result<u64, StoreError> {
        let window = window(row)?;
        let places = self.clearing.waiting(key, &window)?;
        if places.is_empty() {
            // What was told on its own lies between its neighbours.
            self.leave(table, key.group)?;
            return Ok(0);
        }
        let (width, start) = (self.hand.width, window.kept.start);
        let Some(definition) = self.clearing.definition(key.group)? else { return Ok(0) };
        match definition.role(start, key.end, width) {
            Role::Slot(slot) => {
                let seen = self.clearing.is_seen(&window, &places)?;
                let waits = Waits { part: Part { key, kept: window.kept, seen }, places };
                let merges = self.enter(table, key.group, slot, waits)?;
                Ok(if merges { row.len() as u64 } else { 0 })
            }
            Role::Covered if window.kept.revision == 0 && !self.clearing.is_seen(&window, &places)? => {
                self.clearing.events += places.len() as u64;
                self.clearing.merged(&places);
                self.clearing.take_out(table, key, &places, SILENT)?;
                Ok(row.len() as u64)
            }
            Role::Later(width) => {
                self.widen(width);
                Ok(0)
            }
            Role::Covered | Role::Stays => Ok(0),
        }
    }

    /// Puts a window to the others of its slot. True when there are others.
    fn enter(
        &mut self,
        table: &mut ClosedTable<'_>,
        group: u32,
        slot: i64,
        waits: Waits,
    ) -> Result<bool, StoreError> {
        let last = |parts: &[Waits]| parts.last().map(|waits| waits.part.key.end);
        if let Some((open, parts)) = self.open.get_mut(&group)
            && *open == slot
            && last(parts).is_some_and(|end| waits.follows(end, &self.out_of_turn))
        {
            parts.push(waits);
            return Ok(true);
        }
        let known = self.hand.slots.get(&group).copied();
        let before =
            self.open.get(&group).and_then(|(_, parts)| last(parts)).or(known.map(|(_, key)| key.end));
        let follows = before.is_some_and(|end| waits.follows(end, &self.out_of_turn));
        if follows {
            // Two slots of one group are one at twice the width.
            self.widen(Span(self.hand.width.0.saturating_mul(2)));
        }
        self.leave(table, group)?;
        let mut parts = Vec::new();
        if let Some((_, before)) = known.filter(|(before, _)| follows && *before == slot) {
            parts.extend(self.again(table, before)?);
        }
        let others = !parts.is_empty();
        parts.push(waits);
        self.open.insert(group, (slot, parts));
        Ok(others)
    }

    /// The window that an earlier transaction left in the slot, if it still waits.
    fn again(&self, table: &ClosedTable<'_>, key: ClosedKey) -> Result<Option<Waits>, StoreError> {
        let row = table.get((key.end.0, key.group)).doing("read a window")?.map(|row| row.value().to_vec());
        let Some(window) = row.map(|row| window(&row)).transpose()? else { return Ok(None) };
        let places = self.clearing.waiting(key, &window)?;
        let seen = self.clearing.is_seen(&window, &places)?;
        Ok((!places.is_empty()).then_some(Waits { part: Part { key, kept: window.kept, seen }, places }))
    }

    /// Nothing more comes for the open slot of a group.
    fn leave(&mut self, table: &mut ClosedTable<'_>, group: u32) -> Result<(), StoreError> {
        if let Some((slot, waits)) = self.open.remove(&group) {
            self.fold(table, group, slot, waits)?;
        }
        self.hand.slots.remove(&group);
        Ok(())
    }

    /// Merges what waits in a slot, where that is more than one.
    fn fold(
        &mut self,
        table: &mut ClosedTable<'_>,
        group: u32,
        slot: i64,
        waits: Vec<Waits>,
    ) -> Result<(), StoreError> {
        let (parts, places): (Vec<_>, Vec<_>) = waits.into_iter().map(|w| (w.part, w.places)).unzip();
        let Some(last) = parts.last().map(|part| part.key) else { return Ok(()) };
        self.hand.slots.insert(group, (slot, last));
        if parts.len() < 2 {
            return Ok(());
        }
        let Some(definition) = self.clearing.definition(group)? else { return Ok(()) };
        let Some(coarse) = definition.merge(&parts) else { return Ok(()) };
        let under_way = self.clearing.allowed(&places.concat())?;
        for (part, places) in parts.iter().zip(&places) {
            self.clearing.events += places.len() as u64;
            self.clearing.merged(places);
            if part.key != coarse.key {
                self.clearing.take_out(table, part.key, places, (coarse.key.end.0, coarse.key.group))?;
            }
        }
        let queued = self.requeue(coarse.key, &places, &under_way)?;
        let row = ClosedRow { kept: coarse.kept, id: coarse.id, event: coarse.event, queued };
        self.clearing.queues.put(table, coarse.key, &row)
    }

    /// Gives the merged window a place in the queue of each output that any part waited for: the first of theirs there, so
    /// that it stands before everything that is later than it.
    fn requeue(
        &mut self,
        key: ClosedKey,
        places: &[Vec<Place>],
        under_way: &[Place],
    ) -> Result<Vec<Place>, StoreError> {
        let mut first: BTreeMap<u16, Place> = BTreeMap::new();
        for place in places.iter().flatten() {
            first.entry(place.0).and_modify(|known| *known = (*known).min(*place)).or_insert(*place);
        }
        let mut outbox = self.clearing.write.open_table(OUTBOX).doing("queue an event")?;
        // The last part's own rows, which `take_out` has left.
        for place in places.last().into_iter().flatten() {
            outbox.remove(place).doing("queue an event")?;
        }
        let queued: Vec<Place> = first.into_values().collect();
        for place in &queued {
            let (end, number) = Reference::Closed(key).row();
            let under_way = under_way.contains(place);
            let allowed = if under_way { ALLOWED } else { 0 };
            outbox.insert(place, (end, number | allowed)).doing("queue an event")?;
            if under_way {
                self.clearing.queues.swapped.insert(*place);
            }
        }
        for name in self.clearing.names(&queued) {
            self.clearing.queues.output(&name).counts.made += 1;
        }
        Ok(queued)
    }

    fn widen(&mut self, width: Span) {
        self.hand.wider = Some(self.hand.wider.map_or(width, |wider| wider.min(width)));
    }
}
