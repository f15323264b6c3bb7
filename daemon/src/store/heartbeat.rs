//! The heartbeat: an event of which only the newest is worth keeping.
//!
//! Its revisions have one key. Whatever of an earlier one still waits is superseded, so that one heartbeat at most waits
//! for an output, however long that is away.

use super::closed::{Place, Queues, SUMMARY};
use super::row::{pack_value, unpack_value};
use super::schema::{EVENTS, EventRow, HeartbeatRow, META, META_HEARTBEAT, OUTBOX, Reference};
use super::{Doing, Store, StoreError};
use redb::{ReadableTable, WriteTransaction};
use std::collections::BTreeSet;

/// A heartbeat to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// From [`Store::next_heartbeat`]; it stands in the event.
    pub revision: u64,
    /// CloudEvents `id`.
    pub id: String,
    /// The whole event.
    pub event: Vec<u8>,
    /// The outputs that get it.
    pub to: Vec<String>,
}

impl Store {
    /// The revision of the next heartbeat: rises for as long as the store lives.
    pub fn next_heartbeat(&self) -> u64 {
        self.heartbeat.next
    }
}

impl Queues {
    /// Keeps a heartbeat and queues it for its outputs, in the place of the one before where that was never sent.
    pub(super) fn beat(
        &mut self,
        write: &WriteTransaction,
        beat: &Heartbeat,
        last: HeartbeatRow,
        waiting: &BTreeSet<String>,
    ) -> Result<HeartbeatRow, StoreError> {
        let mut before = self.still_queued(write, last)?;
        let number = {
            let table = write.open_table(EVENTS).doing("write a heartbeat")?;
            table.last().doing("write a heartbeat")?.map_or(0, |(last, _)| last.value() + 1)
        };
        let mut queued = Vec::with_capacity(beat.to.len());
        for name in &beat.to {
            let row = self.output(name);
            row.counts.made += 1;
            let output = row.number;
            let old = before.iter().position(|place| place.0 == output).map(|at| before.swap_remove(at));
            if old.is_some() {
                row.counts.superseded += 1;
            }
            queued.push(match old {
                Some(place) if !self.is_allowed(write, place)? => {
                    let mut outbox = write.open_table(OUTBOX).doing("supersede a heartbeat")?;
                    outbox.insert(place, Reference::Event(number).row()).doing("supersede a heartbeat")?;
                    place
                }
                // It may have been sent: then its answer finds nothing to confirm any more.
                Some(place) => {
                    let mut outbox = write.open_table(OUTBOX).doing("supersede a heartbeat")?;
                    outbox.remove(place).doing("supersede a heartbeat")?;
                    drop(outbox);
                    self.push(write, name, SUMMARY, Reference::Event(number), waiting.contains(name))?
                }
                None => self.push(write, name, SUMMARY, Reference::Event(number), waiting.contains(name))?,
            });
        }
        self.keep(write, number, beat, queued)?;
        self.release(write, last.event)?;
        let row = HeartbeatRow { next: beat.revision + 1, event: number };
        let mut meta = write.open_table(META).doing("write a heartbeat")?;
        meta.insert(META_HEARTBEAT, pack_value(&row).as_slice()).doing("write a heartbeat")?;
        Ok(row)
    }

    /// Where the last heartbeat still waits.
    fn still_queued(&self, write: &WriteTransaction, last: HeartbeatRow) -> Result<Vec<Place>, StoreError> {
        let table = write.open_table(EVENTS).doing("read a heartbeat")?;
        let Some(row) = table.get(last.event).doing("read a heartbeat")? else { return Ok(Vec::new()) };
        let row: EventRow = unpack_value(row.value(), "event")?;
        // The number may be another event's by now.
        if last.next == 0 || row.id != id(last.next - 1) {
            return Ok(Vec::new());
        }
        let reference = Reference::Event(last.event);
        let mut places = Vec::new();
        for place in row.queued {
            if self.is_queued(write, place, reference)? {
                places.push(place);
            }
        }
        Ok(places)
    }

    fn keep(
        &mut self,
        write: &WriteTransaction,
        number: u64,
        beat: &Heartbeat,
        queued: Vec<Place>,
    ) -> Result<(), StoreError> {
        let row = pack_value(&EventRow { id: beat.id.clone(), event: beat.event.clone(), queued });
        let mut table = write.open_table(EVENTS).doing("write a heartbeat")?;
        table.insert(number, row.as_slice()).doing("write a heartbeat")?;
        self.closed_bytes += row.len() as u64;
        Ok(())
    }
}

/// The CloudEvents `id` of a heartbeat.
pub fn id(revision: u64) -> String {
    format!("{KEY}/r{revision}")
}

/// What names the heartbeat of a gateway, in all its revisions.
pub const KEY: &str = "heartbeat";
