//! Giving up what waits, the oldest first: where that is wanted, and at the end of merging.

use super::clearing::{Clearing, LOOK_MAX, read_rows};
use super::closed::window;
use super::rollup::{Shed, WIDTH_MAX};
use super::schema::{CLOSED, ClosedRow, SILENT};
use super::{Doing, Store, StoreError};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::rollup::Role;
use tidegate_pipeline::time::Time;

/// The reason under which what there is no room for is dropped.
pub(super) const FULL: &str = "full";

impl Store {
    /// Gives up the oldest that waits, until `bytes` are free: only windows that never merge, or all. They are
    /// counted as dropped under `full`.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn drop_oldest(&mut self, bytes: u64, all: bool) -> Result<Shed, StoreError> {
        let database = self.shared.database()?;
        let mut write = database.begin_write().doing("begin a transaction")?;
        write.set_two_phase_commit(false);
        let before = self.closed_bytes;
        let mut clearing = Clearing::new(&write, self.queues());
        clearing.give_up(bytes, all)?;
        let Clearing { mut queues, mut events, .. } = clearing;
        if events == 0 {
            events = queues.drop_events(&write, bytes, all)?;
        }
        self.write_accounts(&write, &queues, self.letters)?;
        write.commit().doing("drop what waits")?;
        self.follow(queues);
        self.publish();
        Ok(Shed { bytes: before.saturating_sub(self.closed_bytes), events, spent: events == 0 })
    }

    /// Where the windows that are kept only to be amended take more than `bytes`: up to which end they are to be forgotten,
    /// so that they do not.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn amendable_beyond(&self, bytes: u64) -> Result<Option<Time>, StoreError> {
        let database = self.shared.database()?;
        let read = database.begin_read().doing("read windows")?;
        let table = read.open_table(CLOSED).doing("read windows")?;
        let rows = table.len().doing("read windows")?.max(1);
        // Those that wait for an output are not meant; where one waits for several this asks for less than it might.
        let queued: u64 = self.outputs.values().map(|row| row.counts.queued()).sum();
        let beyond = (self.closed_bytes / rows * rows.saturating_sub(queued)).saturating_sub(bytes);
        let mut seen = 0;
        for item in table.iter().doing("read windows")? {
            let (key, row) = item.doing("read windows")?;
            if seen >= beyond {
                return Ok((seen > 0).then_some(Time(key.value().0)));
            }
            seen += row.value().len() as u64;
        }
        Ok(None)
    }
}

impl Clearing<'_> {
    /// Gives up the oldest windows that wait.
    fn give_up(&mut self, bytes: u64, all: bool) -> Result<(), StoreError> {
        let mut table = self.write.open_table(CLOSED).doing("read windows")?;
        let (mut freed, mut from) = (0, None);
        loop {
            let rows = read_rows(&table, from)?;
            let last = rows.len() < LOOK_MAX;
            for (key, row) in rows {
                from = Some((key.end.0, key.group));
                let window = window(&row)?;
                let places = self.waiting(key, &window)?;
                if places.is_empty() || !(all || self.never_merges(key, &window)?) {
                    continue;
                }
                self.take_out(&mut table, key, &places, SILENT)?;
                self.events += places.len() as u64;
                for name in self.names(&places) {
                    *self.queues.output(&name).counts.dropped.entry(FULL.to_owned()).or_default() += 1;
                }
                freed += row.len() as u64;
                if freed >= bytes {
                    return Ok(());
                }
            }
            if last || freed > 0 {
                break;
            }
        }
        Ok(())
    }

    fn never_merges(&mut self, key: ClosedKey, window: &ClosedRow) -> Result<bool, StoreError> {
        let definition = self.definition(key.group)?;
        let role = definition.map(|definition| definition.role(window.kept.start, key.end, WIDTH_MAX));
        Ok(matches!(role, None | Some(Role::Stays)))
    }
}
