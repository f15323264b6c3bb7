//! What is still legible of a damaged file: its tables, by the later of the two commits as far as that goes, else by the one
//! before.

use super::super::StoreError;
use super::super::check::is_whole;
use super::super::pages::{Head, Item, Pages, Slot, Tree};
use super::super::row::unpack_value;
use redb::StorageBackend;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The old file.
pub(super) struct Old<'f> {
    pages: Pages<'f>,
    /// Of each commit, the later first: its tables by name.
    commits: Vec<BTreeMap<Vec<u8>, Tree>>,
    /// The first of them is the last that was made.
    pub(super) latest: bool,
}

/// The rows of a table, and how complete they are.
#[derive(Debug)]
pub(super) struct Rows<K> {
    pub(super) rows: BTreeMap<K, Vec<u8>>,
    /// Rows of the commit before that this one has lost, or removed.
    pub(super) before: BTreeMap<K, Vec<u8>>,
    /// Rows of damaged pages whose keys no other has. Their values may have their checksums; their keys have none.
    pub(super) doubtful: BTreeMap<K, Vec<u8>>,
    /// Nothing is missing in it.
    pub(super) whole: bool,
    /// Nothing is missing behind the last.
    pub(super) tail: bool,
}

/// A key of fixed length, as redb writes it.
pub(super) trait Key: Ord + Sized {
    fn read(key: &[u8]) -> Option<Self>;
}

/// The first bytes of a key, and the rest.
fn split<const N: usize>(key: &[u8]) -> Option<([u8; N], &[u8])> {
    let (first, rest) = key.split_first_chunk::<N>()?;
    Some((*first, rest))
}

fn last<const N: usize>(key: &[u8]) -> Option<[u8; N]> {
    key.try_into().ok()
}

impl Key for (u64, u16) {
    fn read(key: &[u8]) -> Option<Self> {
        let (number, chunk) = split(key)?;
        Some((u64::from_le_bytes(number), u16::from_le_bytes(last(chunk)?)))
    }
}

impl Key for (u64, u32) {
    fn read(key: &[u8]) -> Option<Self> {
        let (number, chunk) = split(key)?;
        Some((u64::from_le_bytes(number), u32::from_le_bytes(last(chunk)?)))
    }
}

impl Key for (i64, u32) {
    fn read(key: &[u8]) -> Option<Self> {
        let (end, group) = split(key)?;
        Some((i64::from_le_bytes(end), u32::from_le_bytes(last(group)?)))
    }
}

impl Key for (i64, u64) {
    fn read(key: &[u8]) -> Option<Self> {
        let (end, number) = split(key)?;
        Some((i64::from_le_bytes(end), u64::from_le_bytes(last(number)?)))
    }
}

impl Key for (u16, u8, u64) {
    fn read(key: &[u8]) -> Option<Self> {
        let (output, rest) = split(key)?;
        let ([priority], sequence) = split(rest)?;
        Some((u16::from_le_bytes(output), priority, u64::from_le_bytes(last(sequence)?)))
    }
}

impl Key for u32 {
    fn read(key: &[u8]) -> Option<Self> {
        Some(u32::from_le_bytes(last(key)?))
    }
}

impl Key for u64 {
    fn read(key: &[u8]) -> Option<Self> {
        Some(u64::from_le_bytes(last(key)?))
    }
}

impl Key for String {
    fn read(key: &[u8]) -> Option<Self> {
        String::from_utf8(key.to_vec()).ok()
    }
}

impl<'f> Old<'f> {
    pub(super) fn read(file: &'f dyn StorageBackend) -> Result<Old<'f>, StoreError> {
        let pages = Pages::of(file)?;
        let mut commits = Vec::new();
        let (slots, latest) = slots(file, &pages)?;
        for slot in slots {
            let mut tables = BTreeMap::new();
            pages.walk(Tree::of_tables(slot.user), &mut |item| {
                if let Item::Row { key, value, .. } = item
                    && let Some(tree) = Tree::of(value)
                {
                    tables.insert(key.to_vec(), tree);
                }
                Ok::<_, StoreError>(())
            })?;
            commits.push(tables);
        }
        Ok(Old { pages, commits, latest })
    }

    /// Meets the rows of a table, and its gaps. One that the later commit has lost is that of the commit before, with a gap.
    pub(super) fn walk(
        &self,
        table: &str,
        meet: &mut dyn FnMut(Item<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut places = self.commits.iter().map(|tables| tables.get(table.as_bytes()));
        match places.next().flatten() {
            Some(tree) => self.pages.walk(*tree, meet),
            None => {
                if let Some(tree) = places.flatten().next() {
                    self.pages.walk(*tree, meet)?;
                }
                meet(Item::Gap)
            }
        }
    }

    /// The rows of a table. Where some are missing, those of the commit before too.
    pub(super) fn rows<K: Key>(&self, table: &str) -> Result<Rows<K>, StoreError> {
        let (mut rows, mut before, mut doubtful) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut whole, mut tail) = (true, true);
        self.walk(table, &mut |item| {
            tail = matches!(item, Item::Row { sound: true, .. });
            whole &= tail;
            if let Item::Row { key, value, sound } = item
                && let Some(key) = K::read(key)
            {
                let into = if sound { &mut rows } else { &mut doubtful };
                into.insert(key, value.to_vec());
            }
            Ok(())
        })?;
        if !whole {
            for tree in self.commits.iter().skip(1).filter_map(|tables| tables.get(table.as_bytes())) {
                self.pages.walk(*tree, &mut |item| {
                    if let Item::Row { key, value, sound: true } = item
                        && let Some(key) = K::read(key)
                        && !rows.contains_key(&key)
                    {
                        before.insert(key, value.to_vec());
                    }
                    Ok::<_, StoreError>(())
                })?;
            }
            doubtful.retain(|key, _| !rows.contains_key(key) && !before.contains_key(key));
        }
        Ok(Rows { rows, before, doubtful, whole, tail })
    }
}

/// The commits to look at, the later first, and whether that is the last. One whose slot is damaged is used as the later when
/// the header says so and all that it refers to is as it was written; if not, the last is lost.
fn slots(file: &dyn StorageBackend, pages: &Pages<'_>) -> Result<(Vec<Slot>, bool), StoreError> {
    let Some(head) = Head::read(file)? else { return Ok((Vec::new(), false)) };
    let mut slots: Vec<Slot> = head.slots().collect();
    let mut latest = true;
    if !head.primary.sound {
        latest = is_whole(pages, Some(head.primary))?;
        slots.insert(if latest { 0 } else { slots.len() }, head.primary);
    }
    if !head.secondary.sound {
        slots.push(head.secondary);
    }
    Ok((slots, latest))
}

impl Rows<String> {
    /// A framed value by its name; its checksum vouches for it also in a damaged page.
    pub(super) fn value<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let rows = [&self.rows, &self.doubtful, &self.before];
        rows.into_iter().find_map(|rows| unpack_value(rows.get(name)?, "value").ok())
    }
}
