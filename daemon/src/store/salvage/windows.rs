//! Closed windows: whether all of them are there, and which.

use super::super::StoreError;
use super::super::pages::Item;
use super::super::row::unpack_value;
use super::super::schema::{CLOSED, ClosedRow, MOVED};
use super::old::{Key, Old};
use redb::TableHandle;
use std::collections::BTreeSet;
use tidegate_pipeline::time::Time;

/// The closed windows of the old file.
#[derive(Debug)]
pub(super) struct Windows {
    /// None is missing.
    pub(super) whole: bool,
    /// Which they are: group and end.
    pub(super) ends: BTreeSet<(u32, Time)>,
}

/// Looks at all of them.
pub(super) fn look(old: &Old<'_>) -> Result<Windows, StoreError> {
    let mut windows = Windows { whole: true, ends: BTreeSet::new() };
    old.walk(CLOSED.name(), &mut |item| {
        match read(item) {
            Some(((end, group), _, true)) => {
                windows.ends.insert((group, Time(end)));
            }
            _ => windows.whole = false,
        }
        Ok(())
    })?;
    old.walk(MOVED.name(), &mut |item| {
        match moved(item) {
            Some(((end, group), _)) => {
                windows.ends.insert((group, Time(end)));
            }
            None => windows.whole = false,
        }
        Ok(())
    })?;
    Ok(windows)
}

/// A closed window that is none any more, and where it went.
pub(super) fn moved(item: Item<'_>) -> Option<((i64, u32), (i64, u32))> {
    match item {
        Item::Row { key, value, sound: true } => Some((Key::read(key)?, Key::read(value)?)),
        _ => None,
    }
}

/// A closed window that has its checksum, and whether its key has one too.
pub(super) fn read(item: Item<'_>) -> Option<((i64, u32), ClosedRow, bool)> {
    let Item::Row { key, value, sound } = item else { return None };
    Some((<(i64, u32)>::read(key)?, unpack_value(value, "closed window").ok()?, sound))
}
