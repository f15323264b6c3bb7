//! What the windows of each group have in common: kept once, while the group has windows.

use super::row::pack_value;
use super::schema::{CLOSED, DEFINITIONS};
use super::{Doing, StoreError};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use std::collections::BTreeMap;
use tidegate_pipeline::definition::Definition;
use tidegate_pipeline::time::Time;

/// What is on disk, to know what need not be written again.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    rows: BTreeMap<u32, Known>,
    bytes: u64,
    /// Groups that are no more, and the end of the last window that there was when that was found out. No more come.
    orphans: BTreeMap<u32, Time>,
}

/// Tells one row from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    sum: u32,
    len: u32,
}

impl Known {
    fn of(row: &[u8]) -> Known {
        Known { sum: crc32fast::hash(row), len: u32::try_from(row.len()).unwrap_or(u32::MAX) }
    }
}

impl Definitions {
    /// What is on disk.
    pub(super) fn load(read: &ReadTransaction) -> Result<Definitions, StoreError> {
        let mut definitions = Definitions::default();
        let table = read.open_table(DEFINITIONS).doing("read the definitions")?;
        for item in table.iter().doing("read the definitions")? {
            let (group, row) = item.doing("read the definitions")?;
            definitions.note(group.value(), Known::of(row.value()));
        }
        Ok(definitions)
    }

    /// Bytes of all rows.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes what the windows of `group` have in common, where that is not on disk already.
    pub(super) fn define(
        &mut self,
        write: &WriteTransaction,
        group: u32,
        definition: &Definition,
    ) -> Result<(), StoreError> {
        let row = pack_value(definition);
        let known = Known::of(&row);
        if self.rows.get(&group) == Some(&known) {
            return Ok(());
        }
        let mut table = write.open_table(DEFINITIONS).doing("write a definition")?;
        table.insert(group, row.as_slice()).doing("write a definition")?;
        self.note(group, known);
        Ok(())
    }

    /// Forgets groups that are not among `live`, which is sorted, once their last windows are gone. Called now and then.
    pub(super) fn collect(&mut self, write: &WriteTransaction, live: &[u32]) -> Result<(), StoreError> {
        let closed = write.open_table(CLOSED).doing("read windows")?;
        let end = |key: Option<(i64, u32)>| key.map_or(Time::MIN, |key| Time(key.0));
        let first = closed.first().doing("read windows")?.map(|(key, _)| key.value());
        let last = closed.last().doing("read windows")?.map(|(key, _)| key.value());
        let gone: Vec<u32> =
            self.rows.keys().copied().filter(|group| live.binary_search(group).is_err()).collect();
        // A group that is newer than the list may have been taken for one that is no more.
        self.orphans.retain(|group, _| live.binary_search(group).is_err());
        let mut table = write.open_table(DEFINITIONS).doing("forget a definition")?;
        for group in gone {
            let until = *self.orphans.entry(group).or_insert(end(last));
            if first.is_none() || end(first) > until {
                table.remove(group).doing("forget a definition")?;
                self.orphans.remove(&group);
                let known = self.rows.remove(&group);
                self.bytes -= known.map_or(0, |known| u64::from(known.len)).min(self.bytes);
            }
        }
        Ok(())
    }

    fn note(&mut self, group: u32, known: Known) {
        let old = self.rows.insert(group, known).map_or(0, |old| u64::from(old.len));
        self.bytes = (self.bytes + u64::from(known.len)).saturating_sub(old);
    }
}
