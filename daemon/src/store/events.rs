//! Events that are no windows: kept once, whoever they wait for, and gone when every output has settled them.

use super::closed::{Place, Queues};
use super::row::{pack_value, unpack_value};
use super::schema::{EVENTS, EventRow, OUTBOX, Reference};
use super::{Doing, StoreError};
use redb::{ReadableTable, WriteTransaction};
use std::collections::BTreeSet;
use tidegate_pipeline::alert::Outgoing;

impl Queues {
    /// Keeps an event and queues it for its outputs, in the lane `priority`.
    pub(super) fn send(
        &mut self,
        write: &WriteTransaction,
        event: &Outgoing,
        priority: u8,
        names: &[String],
        waiting: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let mut table = write.open_table(EVENTS).doing("write an event")?;
        // A number may come again once its event is gone: then nothing refers to it any more.
        let number = table.last().doing("write an event")?.map_or(0, |(last, _)| last.value() + 1);
        let mut queued: Vec<Place> = Vec::new();
        for name in event.to.iter().filter_map(|&at| names.get(usize::from(at))) {
            self.output(name).counts.made += 1;
            let waits = waiting.contains(name);
            queued.push(self.push(write, name, priority, Reference::Event(number), waits)?);
        }
        if queued.is_empty() {
            return Ok(());
        }
        let row = pack_value(&EventRow { id: event.id.clone(), event: event.event.clone(), queued });
        table.insert(number, row.as_slice()).doing("write an event")?;
        self.closed_bytes += row.len() as u64;
        Ok(())
    }

    /// Removes an event if nothing waits for it any more.
    pub(super) fn release(&mut self, write: &WriteTransaction, number: u64) -> Result<(), StoreError> {
        let mut table = write.open_table(EVENTS).doing("remove an event")?;
        let Some(row) = table.get(number).doing("remove an event")?.map(|row| row.value().to_vec()) else {
            return Ok(());
        };
        let outbox = write.open_table(OUTBOX).doing("read the outbox")?;
        for place in unpack_value::<EventRow>(&row, "event")?.queued {
            let waits = outbox.get(place).doing("read the outbox")?;
            if waits.is_some_and(|row| Reference::of(row.value()) == Reference::Event(number)) {
                return Ok(());
            }
        }
        table.remove(number).doing("remove an event")?;
        self.closed_bytes = self.closed_bytes.saturating_sub(row.len() as u64);
        Ok(())
    }
}

/// The bytes of an event.
pub(super) fn read(write: &WriteTransaction, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let table = write.open_table(EVENTS).doing("read an event")?;
    let row = table.get(number).doing("read an event")?;
    row.map(|row| unpack_value::<EventRow>(row.value(), "event").map(|row| row.event)).transpose()
}
