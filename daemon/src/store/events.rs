//! Events that are no windows: kept once, whoever they wait for, and gone when every output has settled them.

use super::closed::{ALERT, Place, Queues, SUMMARY};
use super::dropping::FULL;
use super::row::{pack_value, unpack_value};
use super::schema::{EVENTS, EventRow, OUTBOX, Reference};
use super::{Doing, StoreError};
use redb::{ReadableTable, WriteTransaction};
use std::collections::BTreeSet;
use tidegate_pipeline::alert::Outgoing;

/// Events dropped in one transaction.
const DROP_MAX: usize = 2_000;

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

impl Queues {
    /// Gives up the oldest events that are no windows, until `bytes` are free: how many. Alerts last, and only where `all`.
    pub(super) fn drop_events(
        &mut self,
        write: &WriteTransaction,
        bytes: u64,
        all: bool,
    ) -> Result<u64, StoreError> {
        for lane in [SUMMARY, ALERT] {
            let dropped = if lane == ALERT && !all { 0 } else { self.drop_lane(write, bytes, lane)? };
            if dropped > 0 {
                return Ok(dropped);
            }
        }
        Ok(0)
    }

    fn drop_lane(&mut self, write: &WriteTransaction, bytes: u64, lane: u8) -> Result<u64, StoreError> {
        let mut table = write.open_table(EVENTS).doing("drop an event")?;
        let mut outbox = write.open_table(OUTBOX).doing("drop an event")?;
        let mut gone = Vec::new();
        let (mut freed, mut dropped) = (0, 0);
        for item in table.iter().doing("drop an event")? {
            let (number, row) = item.doing("drop an event")?;
            let queued = unpack_value::<EventRow>(row.value(), "event")?.queued;
            if freed >= bytes || gone.len() >= DROP_MAX {
                break;
            }
            if queued.iter().any(|place| place.1 == lane) {
                freed += row.value().len() as u64;
                gone.push((number.value(), row.value().len() as u64, queued));
            }
        }
        for (number, len, queued) in gone {
            for place in queued {
                let waits = outbox.get(place).doing("drop an event")?.map(|row| Reference::of(row.value()));
                if waits != Some(Reference::Event(number)) {
                    continue;
                }
                outbox.remove(place).doing("drop an event")?;
                dropped += 1;
                if let Some(name) = self.name_of(place) {
                    *self.output(&name).counts.dropped.entry(FULL.to_owned()).or_default() += 1;
                }
            }
            table.remove(number).doing("drop an event")?;
            self.closed_bytes = self.closed_bytes.saturating_sub(len);
        }
        Ok(dropped)
    }
}

/// The bytes of an event.
pub(super) fn read(write: &WriteTransaction, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let table = write.open_table(EVENTS).doing("read an event")?;
    let row = table.get(number).doing("read an event")?;
    row.map(|row| unpack_value::<EventRow>(row.value(), "event").map(|row| row.event)).transpose()
}
