//! What takes waiting windows out of the queues: where they wait, who may have them, what is left of them.

use super::closed::{ClosedTable, MOVED_ROW_BYTES, Place, Queues};
use super::row::unpack_value;
use super::schema::{ClosedRow, DEFINITIONS, MOVED, OUTBOX, Reference};
use super::{Doing, StoreError};
use redb::{ReadableTable, WriteTransaction};
use std::collections::BTreeMap;
use std::ops::Bound;
use tidegate_pipeline::definition::Definition;
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::time::Time;

/// Windows that are looked at together.
pub(super) const LOOK_MAX: usize = 2_000;
/// Definitions that are kept at hand.
const DEFINITIONS_MAX: usize = 4_096;

/// A transaction that makes room.
pub(super) struct Clearing<'w> {
    pub(super) write: &'w WriteTransaction,
    pub(super) queues: Queues,
    definitions: BTreeMap<u32, Option<Definition>>,
    /// Events that wait no more.
    pub(super) events: u64,
}

impl<'w> Clearing<'w> {
    pub(super) fn new(write: &'w WriteTransaction, queues: Queues) -> Clearing<'w> {
        Clearing { write, queues, definitions: BTreeMap::new(), events: 0 }
    }

    /// Takes a window out of the queues. What comes late for it finds `instead`, while it can still be amended.
    pub(super) fn take_out(
        &mut self,
        table: &mut ClosedTable<'_>,
        key: ClosedKey,
        places: &[Place],
        instead: (i64, u32),
    ) -> Result<(), StoreError> {
        let mut outbox = self.write.open_table(OUTBOX).doing("take an event out")?;
        for place in places {
            outbox.remove(place).doing("take an event out")?;
        }
        if key.end > self.queues.forgotten {
            let mut moved = self.write.open_table(MOVED).doing("take a window out")?;
            moved.insert((key.end.0, key.group), instead).doing("take a window out")?;
            self.queues.closed_bytes += MOVED_ROW_BYTES;
        }
        let old = table.remove((key.end.0, key.group)).doing("take a window out")?;
        let old = old.map_or(0, |old| old.value().len() as u64);
        self.queues.closed_bytes = self.queues.closed_bytes.saturating_sub(old);
        Ok(())
    }

    /// What the windows of a group have in common, if it is known.
    pub(super) fn definition(&mut self, group: u32) -> Result<Option<&Definition>, StoreError> {
        if !self.definitions.contains_key(&group) {
            if self.definitions.len() >= DEFINITIONS_MAX {
                self.definitions.clear();
            }
            let table = self.write.open_table(DEFINITIONS).doing("read a definition")?;
            let row = table.get(group).doing("read a definition")?;
            let definition = row.map(|row| unpack_value(row.value(), "definition")).transpose()?;
            self.definitions.insert(group, definition);
        }
        Ok(self.definitions.get(&group).and_then(Option::as_ref))
    }

    /// Where a window waits.
    pub(super) fn waiting(&self, key: ClosedKey, window: &ClosedRow) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        for place in &window.queued {
            if self.queues.is_queued(self.write, *place, Reference::Closed(key))? {
                places.push(*place);
            }
        }
        Ok(places)
    }

    /// Whether some output may have it already.
    pub(super) fn is_seen(&self, window: &ClosedRow, waiting: &[Place]) -> Result<bool, StoreError> {
        let gone = waiting.len() < window.queued.len();
        Ok(gone || !self.allowed(waiting)?.is_empty())
    }

    /// Those of `places` where something stands that may be under way.
    pub(super) fn allowed(&self, places: &[Place]) -> Result<Vec<Place>, StoreError> {
        let mut allowed = Vec::new();
        for place in places {
            if self.queues.is_allowed(self.write, *place)? {
                allowed.push(*place);
            }
        }
        Ok(allowed)
    }

    /// The outputs of these places.
    pub(super) fn names(&self, places: &[Place]) -> Vec<String> {
        places.iter().filter_map(|place| self.queues.name_of(*place)).collect()
    }

    /// What waited at these places went into something coarser.
    pub(super) fn merged(&mut self, places: &[Place]) {
        for name in self.names(places) {
            self.queues.output(&name).counts.merged += 1;
        }
    }
}

/// The next windows after `from`.
pub(super) fn read_rows(
    table: &ClosedTable<'_>,
    from: Option<(i64, u32)>,
) -> Result<Vec<(ClosedKey, Vec<u8>)>, StoreError> {
    let from = from.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rows = Vec::new();
    for item in table.range::<(i64, u32)>((from, Bound::Unbounded)).doing("read windows")?.take(LOOK_MAX) {
        let (key, row) = item.doing("read windows")?;
        let (end, group) = key.value();
        rows.push((ClosedKey { end: Time(end), group }, row.value().to_vec()));
    }
    Ok(rows)
}
