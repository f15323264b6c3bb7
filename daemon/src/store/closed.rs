//! Closed windows and the queues of the outputs that refer to them.

use super::definitions::Definitions;
use super::row::{pack_value, unpack_value};
use super::schema::{ALLOWED, CLOSED, ClosedRow, MOVED, OUTBOX, OutputRow, Reference};
use super::{Doing, StoreError};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use tidegate_pipeline::Kept;
use tidegate_pipeline::event::{Closed, ClosedKey};
use tidegate_pipeline::time::Time;

/// Priorities in outbox keys: lower goes first.
pub(super) const ALERT: u8 = 0;
/// See [`ALERT`].
pub(super) const SUMMARY: u8 = 1;
/// Windows looked at in one transaction to see whether they can go.
const COLLECT_MAX: usize = 5_000;

/// What a row of [`MOVED`] takes, with its share of the pages above it.
pub(super) const MOVED_ROW_BYTES: u64 = 32;

/// Output, priority, sequence.
pub(super) type Place = (u16, u8, u64);

/// The window with a key of the table.
pub(super) fn key((end, group): (i64, u32)) -> ClosedKey {
    ClosedKey { end: Time(end), group }
}

/// The outputs as this transaction changes them.
pub(super) struct Queues {
    pub(super) outputs: BTreeMap<String, OutputRow>,
    /// Windows that end at or before this go when nothing waits for them.
    pub(super) forgotten: Time,
    /// Bytes of all closed windows, and of the events that are none.
    pub(super) closed_bytes: u64,
    /// Names of outputs whose rows must be written.
    pub(super) changed: BTreeSet<String>,
    /// What the groups' windows have in common.
    pub(super) definitions: Definitions,
    /// Places below the cursor where another event stands now than the one that may be under way.
    pub(super) swapped: BTreeSet<Place>,
    /// Dead letters may take this.
    pub(super) letters_bytes_max: u64,
}

impl Queues {
    /// The row of the output, made if it is new.
    pub(super) fn output(&mut self, name: &str) -> &mut OutputRow {
        if !self.changed.contains(name) {
            self.changed.insert(name.to_owned());
        }
        if !self.outputs.contains_key(name) {
            let number = self.outputs.values().map(|row| row.number + 1).max().unwrap_or(0);
            self.outputs.insert(name.to_owned(), OutputRow { number, ..OutputRow::default() });
        }
        self.outputs.entry(name.to_owned()).or_default()
    }

    /// The output whose queue this place is in.
    pub(super) fn name_of(&self, place: Place) -> Option<String> {
        self.outputs.iter().find(|(_, row)| row.number == place.0).map(|(name, _)| name.clone())
    }

    fn number_of(&self, name: &str) -> Option<u16> {
        self.outputs.get(name).map(|row| row.number)
    }

    /// Queues one event: its place.
    pub(super) fn push(
        &mut self,
        write: &WriteTransaction,
        name: &str,
        priority: u8,
        reference: Reference,
        waiting: bool,
    ) -> Result<Place, StoreError> {
        let row = self.output(name);
        let lane = usize::from(priority);
        let sequence = row.next[lane];
        row.next[lane] += 1;
        // Whoever waits sends at once, so the event counts as attempted from here on; an alert goes next in any case.
        let at_once = waiting || priority == ALERT;
        let next_in_turn = row.attempted[lane] == sequence;
        if at_once && next_in_turn {
            row.attempted[lane] = row.next[lane];
        }
        let place = (row.number, priority, sequence);
        let (end, number) = reference.row();
        let allowed = if at_once && !next_in_turn { ALLOWED } else { 0 };
        let mut outbox = write.open_table(OUTBOX).doing("queue an event")?;
        outbox.insert(place, (end, number | allowed)).doing("queue an event")?;
        Ok(place)
    }

    /// Keeps a closed window and queues it for its outputs. An earlier revision that still waits is superseded: in
    /// place where it was never sent, else behind what is queued.
    pub(super) fn close(
        &mut self,
        write: &WriteTransaction,
        closed: &Closed,
        names: &[String],
        waiting: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let reference = Reference::Closed(closed.key);
        let mut table = write.open_table(CLOSED).doing("write a window")?;
        for old in &closed.retires {
            self.retire(write, &mut table, *old)?;
        }
        let key = (closed.key.end.0, closed.key.group);
        let before = table.get(key).doing("read a window")?.map(|row| row.value().to_vec());
        let before = before.map(|row| window(&row)).transpose()?.map(|row| row.queued).unwrap_or_default();
        let names: Vec<_> = closed.to.iter().filter_map(|&at| names.get(usize::from(at))).collect();
        // Where outputs are concerned that don't get this summary any more, what waits for them needs the window too.
        let gone = |place: &&Place| !names.iter().any(|name| self.number_of(name) == Some(place.0));
        let mut queued: Vec<Place> = before.iter().filter(gone).copied().collect();
        for name in names {
            self.output(name).counts.made += 1;
            let number = self.output(name).number;
            let old = before.iter().find(|place| place.0 == number).copied();
            let still = match old {
                Some(place) => self.is_queued(write, place, reference)?,
                None => false,
            };
            let place = match old {
                Some(place) if still => {
                    self.output(name).counts.superseded += 1;
                    if !self.is_allowed(write, place)? {
                        place
                    } else {
                        let mut outbox = write.open_table(OUTBOX).doing("supersede an event")?;
                        outbox.remove(place).doing("supersede an event")?;
                        drop(outbox);
                        self.push(write, name, SUMMARY, reference, waiting.contains(name))?
                    }
                }
                _ => self.push(write, name, SUMMARY, reference, waiting.contains(name))?,
            };
            queued.push(place);
        }
        self.definitions.define(write, closed.key.group, &closed.definition)?;
        let row =
            ClosedRow { kept: Kept::of(closed), id: closed.id.clone(), event: closed.event.clone(), queued };
        self.put(&mut table, closed.key, &row)
    }

    /// Writes a window.
    pub(super) fn put(
        &mut self,
        table: &mut ClosedTable<'_>,
        key: ClosedKey,
        row: &ClosedRow,
    ) -> Result<(), StoreError> {
        let row = pack_value(row);
        let old = table.insert((key.end.0, key.group), row.as_slice()).doing("write a window")?;
        let old = old.map_or(0, |old| old.value().len() as u64);
        self.closed_bytes = (self.closed_bytes + row.len() as u64).saturating_sub(old);
        Ok(())
    }

    /// A window went into another one, which has its place from now on: what nobody can have seen of it is superseded.
    fn retire(
        &mut self,
        write: &WriteTransaction,
        table: &mut ClosedTable<'_>,
        old: ClosedKey,
    ) -> Result<(), StoreError> {
        let key = (old.end.0, old.group);
        let Some(row) = table.get(key).doing("replace a window")?.map(|row| row.value().to_vec()) else {
            return Ok(());
        };
        for place in window(&row)?.queued {
            if !self.is_queued(write, place, Reference::Closed(old))? {
                continue;
            }
            let Some(name) = self.name_of(place) else {
                continue;
            };
            if !self.is_allowed(write, place)? {
                let mut outbox = write.open_table(OUTBOX).doing("supersede an event")?;
                outbox.remove(place).doing("supersede an event")?;
                self.output(&name).counts.superseded += 1;
            }
        }
        let outbox = write.open_table(OUTBOX).doing("read the outbox")?;
        self.closed_bytes -= forget(&outbox, table, key)?.min(self.closed_bytes);
        Ok(())
    }

    /// A refused event that waits again has lost its bytes to newer dead letters: it is dropped.
    pub(super) fn evict(
        &mut self,
        write: &WriteTransaction,
        name: &str,
        letter: u64,
    ) -> Result<(), StoreError> {
        let Some(number) = self.number_of(name) else { return Ok(()) };
        let mut outbox = write.open_table(OUTBOX).doing("drop an event")?;
        let lost = Reference::Letter(letter);
        let mut dropped = 0;
        outbox
            .retain_in((number, 0, 0)..=(number, u8::MAX, u64::MAX), |_, row| {
                let gone = Reference::of(row) == lost;
                dropped += u64::from(gone);
                !gone
            })
            .doing("drop an event")?;
        *self.output(name).counts.dropped.entry("evicted".to_owned()).or_default() += dropped;
        Ok(())
    }

    /// Allows the next `more` events of an output to be sent.
    pub(super) fn reach(&mut self, name: &str, more: u64) {
        if !self.outputs.contains_key(name) {
            return;
        }
        let row = self.output(name);
        for lane in 0..row.attempted.len() {
            row.attempted[lane] = row.attempted[lane].saturating_add(more).min(row.next[lane]);
        }
    }

    /// Allows what stands at these places of an output to be sent, whatever stands before it.
    pub(super) fn allow(
        &mut self,
        write: &WriteTransaction,
        name: &str,
        places: &[(u8, u64)],
    ) -> Result<(), StoreError> {
        let Some(output) = self.number_of(name) else { return Ok(()) };
        let mut outbox = write.open_table(OUTBOX).doing("allow an event to be sent")?;
        for (priority, sequence) in places {
            let place = (output, *priority, *sequence);
            let row = outbox.get(place).doing("allow an event to be sent")?.map(|row| row.value());
            if let Some((end, number)) = row {
                outbox.insert(place, (end, number | ALLOWED)).doing("allow an event to be sent")?;
            }
        }
        Ok(())
    }

    /// Whether what stands at `place` may be under way.
    pub(super) fn is_allowed(&self, write: &WriteTransaction, place: Place) -> Result<bool, StoreError> {
        let row = self.outputs.values().find(|row| row.number == place.0);
        if row.is_none_or(|row| place.2 < row.attempted[usize::from(place.1)]) {
            return Ok(true);
        }
        let outbox = write.open_table(OUTBOX).doing("read the outbox")?;
        let row = outbox.get(place).doing("read the outbox")?;
        Ok(row.is_some_and(|row| row.value().1 & ALLOWED != 0))
    }

    /// Puts a refused event back into the outbox.
    pub(super) fn requeue(
        &mut self,
        write: &WriteTransaction,
        name: &str,
        letter: u64,
    ) -> Result<(), StoreError> {
        self.push(write, name, SUMMARY, Reference::Letter(letter), false)?;
        let counts = &mut self.output(name).counts;
        counts.refused = counts.refused.saturating_sub(1);
        Ok(())
    }

    pub(super) fn is_queued(
        &self,
        write: &WriteTransaction,
        place: Place,
        reference: Reference,
    ) -> Result<bool, StoreError> {
        let outbox = write.open_table(OUTBOX).doing("read the outbox")?;
        let row = outbox.get(place).doing("read the outbox")?;
        Ok(row.is_some_and(|row| Reference::of(row.value()) == reference))
    }
}

/// The window in a row.
pub(super) fn window(row: &[u8]) -> Result<ClosedRow, StoreError> {
    unpack_value(row, "closed window")
}

/// Where something stands that may be under way. After a failed commit nobody knows whether it was merged meanwhile. In the queues of
/// outputs that go `out_of_turn` each row says whether it is one.
pub(super) fn all_allowed(
    read: &ReadTransaction,
    outputs: &BTreeMap<String, OutputRow>,
    out_of_turn: &BTreeSet<String>,
) -> Result<BTreeSet<Place>, StoreError> {
    let outbox = read.open_table(OUTBOX).doing("read the outbox")?;
    let mut places = BTreeSet::new();
    for (name, row) in outputs {
        for (priority, end) in (0u8..).zip(row.attempted) {
            let upto = if out_of_turn.contains(name) { u64::MAX } else { end };
            let rows = (row.number, priority, 0)..(row.number, priority, upto);
            for item in outbox.range(rows).doing("read the outbox")? {
                let (place, reference) = item.doing("read the outbox")?;
                if place.value().2 < end || reference.value().1 & ALLOWED != 0 {
                    places.insert(place.value());
                }
            }
        }
    }
    Ok(places)
}

/// Of closed windows, open for writing.
pub(super) type ClosedTable<'t> = redb::Table<'t, (i64, u32), &'static [u8]>;

/// Removes a window that can't be amended any more, if nothing waits for it: its bytes.
pub(super) fn forget(
    outbox: &impl ReadableTable<Place, (i64, u64)>,
    table: &mut ClosedTable<'_>,
    key: (i64, u32),
) -> Result<u64, StoreError> {
    let Some(row) = table.get(key).doing("forget a window")?.map(|row| row.value().to_vec()) else {
        return Ok(0);
    };
    let bytes = row.len() as u64;
    let reference = Reference::Closed(ClosedKey { end: Time(key.0), group: key.1 });
    for place in window(&row)?.queued {
        let waits = outbox.get(place).doing("read the outbox")?;
        if waits.is_some_and(|row| Reference::of(row.value()) == reference) {
            return Ok(0);
        }
    }
    table.remove(key).doing("forget a window")?;
    Ok(bytes)
}

/// Where [`collect`] begins.
pub(super) const FROM_THE_START: (i64, u32) = (i64::MIN, 0);

/// Removes windows after `from` that end at or before `upto`, can't be amended and that nothing waits for: up to where it
/// came, and the bytes that became free. Those that something waits for go when it is confirmed.
pub(super) fn collect(
    write: &WriteTransaction,
    from: (i64, u32),
    upto: Time,
) -> Result<((i64, u32), u64), StoreError> {
    let upto = (upto.0, u32::MAX);
    if from >= upto {
        return Ok((from, 0));
    }
    let mut table = write.open_table(CLOSED).doing("forget windows")?;
    let range = (Bound::Excluded(from), Bound::Included(upto));
    let mut keys = Vec::new();
    for item in table.range::<(i64, u32)>(range).doing("forget windows")?.take(COLLECT_MAX) {
        keys.push(item.doing("forget windows")?.0.value());
    }
    let outbox = write.open_table(OUTBOX).doing("read the outbox")?;
    let mut freed = 0;
    for key in &keys {
        freed += forget(&outbox, &mut table, *key)?;
    }
    drop(outbox);
    let mut moved = write.open_table(MOVED).doing("forget windows")?;
    let gone = |_, _| {
        freed += MOVED_ROW_BYTES;
        false
    };
    moved.retain_in(..=upto, gone).doing("forget windows")?;
    Ok((keys.last().copied().filter(|_| keys.len() == COLLECT_MAX).unwrap_or(upto), freed))
}
