//! The pages of a file of redb, read without redb: it trusts its own pages and panics on some damaged ones, which would end
//! the daemon.
//!
//! What is here is in redb's docs/design.md (file format 3, redb 4): a header with two commit slots, and B+trees of checksummed
//! pages. A reference to a page carries the page's checksum, so a page is *sound* when some reference says so, wherever that
//! stands. Nothing here panics, whatever the file holds, and nothing is written.

use redb::StorageBackend;
use rustix::io::Errno;
use std::io;
use xxhash_rust::xxh3::xxh3_128;

/// Bytes of a page of order 0.
pub(super) const PAGE: usize = 4_096;
/// The file format of redb that this reads.
pub(super) const FILE_FORMAT: u8 = 3;
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
/// Pages of a region; the first is followed by the next after 4 GiB, without a header between them.
const REGION_PAGES: u32 = 1 << 20;
/// Larger pages than this we never make; a damaged page number must not allocate.
const PAGE_BYTES_MAX: u64 = 64 << 20;
/// No tree is deeper: a damaged one must not recurse for ever.
const DEPTH_MAX: usize = 32;

/// A reference to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) page: u64,
    pub(super) sum: u128,
}

/// One of the two commit slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) version: u8,
    /// It has its checksum.
    pub(super) sound: bool,
    pub(super) transaction: u64,
    /// Our tables.
    pub(super) user: Option<Reference>,
    /// redb's own.
    pub(super) system: Option<Reference>,
}

/// The first page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) primary: Slot,
    pub(super) secondary: Slot,
    /// It was not closed.
    pub(super) unclean: bool,
    /// redb would not look at the other slot.
    pub(super) two_phase: bool,
    /// Everything in it that has no checksum is as we would write it.
    pub(super) sound: bool,
}

impl Head {
    /// Reads it; `None` when the file is shorter.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn read(file: &dyn StorageBackend) -> io::Result<Option<Head>> {
        let len = file.len()?;
        if len < PAGE as u64 {
            return Ok(None);
        }
        let mut page = [0; PAGE];
        file.read(0, &mut page)?;
        let word =
            |at: usize| page.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
        let flags = page[9];
        let slots = [Slot::of(&page[64..192]), Slot::of(&page[192..320])];
        let (primary, secondary) = if flags & 1 == 0 { (slots[0], slots[1]) } else { (slots[1], slots[0]) };
        let unclean = flags & 2 != 0;
        let regions = u64::from(word(24).unwrap_or(0)) * u64::from(REGION_PAGES);
        let written = (1 + regions + u64::from(word(28).unwrap_or(0))) * PAGE as u64;
        let sound = page.starts_with(MAGIC)
            && flags < 8
            && page[10..12] == [0; 2]
            && word(12) == Some(PAGE as u32)
            && word(16) == Some(0)
            && word(20) == Some(REGION_PAGES)
            && slots.iter().all(|slot| slot.version == FILE_FORMAT)
            && len.is_multiple_of(PAGE as u64)
            && len >= 2 * PAGE as u64
            // While it is open the file may be longer or shorter than was written down.
            && (unclean || written == len);
        Ok(Some(Head { primary, secondary, unclean, two_phase: flags & 4 != 0, sound }))
    }

    /// The slots that have their checksums, the one in force first. A later one than the header names is in force only after an
    /// unclean stop: else its commit failed, and what it refers to was given to others.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        let later = self.secondary.transaction > self.primary.transaction;
        let named = !self.unclean || self.two_phase;
        let slots =
            if later && !named { [self.secondary, self.primary] } else { [self.primary, self.secondary] };
        let failed = later && named && self.primary.sound;
        slots.into_iter().take(if failed { 1 } else { 2 }).filter(|slot| slot.sound)
    }
}

impl Slot {
    fn of(bytes: &[u8]) -> Slot {
        let root = |flag: usize, at: usize| {
            let there = bytes.get(flag).is_some_and(|flag| *flag != 0);
            there.then(|| reference(bytes.get(at..at + 24)?)).flatten()
        };
        Slot {
            version: bytes.first().copied().unwrap_or_default(),
            sound: number(bytes, 112) == bytes.get(..112).map(xxh3_128),
            transaction: bytes.get(104..112).and_then(|id| id.try_into().ok()).map_or(0, u64::from_le_bytes),
            user: root(1, 8),
            system: root(2, 40),
        }
    }
}

/// The 16 bytes at `at`.
fn number(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(bytes.get(at..at + 16)?.try_into().ok()?))
}

fn reference(bytes: &[u8]) -> Option<Reference> {
    let page = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    Some(Reference { page, sum: number(bytes, 8)? })
}

/// A table as its tree has it: where it begins, and how long its keys and values are where all are of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) root: Option<Reference>,
    pub(super) key: Option<usize>,
    pub(super) value: Option<usize>,
}

impl Tree {
    /// The tree of all tables, whose rows [`Tree::of`] reads.
    pub(super) fn of_tables(root: Option<Reference>) -> Tree {
        Tree { root, key: None, value: None }
    }

    /// Reads a row of the tree of tables.
    pub(super) fn of(row: &[u8]) -> Option<Tree> {
        let flagged = |at: usize, len: usize| match row.get(at)? {
            0 => Some(None),
            1 => Some(Some(row.get(at + 1..at + 1 + len)?)),
            _ => None,
        };
        let length = |bytes: &[u8]| usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok();
        // 3: an ordinary table, and we have no others.
        if row.first() != Some(&3) {
            return None;
        }
        Some(Tree {
            root: flagged(9, 32)?.and_then(reference),
            key: flagged(42, 4)?.and_then(length),
            value: flagged(47, 4)?.and_then(length),
        })
    }
}

/// What a walk meets, in the order of the keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'p> {
    /// A row; in a page that is not sound it may be anything.
    Row { key: &'p [u8], value: &'p [u8], sound: bool },
    /// Here something is missing.
    Gap,
}

/// The file.
#[derive(Clone, Copy)]
pub(super) struct Pages<'f> {
    file: &'f dyn StorageBackend,
    len: u64,
}

impl<'f> Pages<'f> {
    pub(super) fn of(file: &'f dyn StorageBackend) -> io::Result<Pages<'f>> {
        Ok(Pages { file, len: file.len()? })
    }

    /// Meets all rows of a tree, and every gap in it. A page that is not sound is a gap *behind* the rows that it still
    /// seems to have.
    ///
    /// # Errors
    /// Those of `meet`, and when the file cannot be read.
    pub(super) fn walk<E: From<io::Error>>(
        &self,
        tree: Tree,
        meet: &mut dyn FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match tree.root {
            Some(root) => self.visit(tree, root, true, DEPTH_MAX, meet),
            None => Ok(()),
        }
    }

    fn visit<E: From<io::Error>>(
        &self,
        tree: Tree,
        at: Reference,
        trusted: bool,
        depth: usize,
        meet: &mut dyn FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let page = self.read(at.page)?;
        let Some(node) = page.as_deref().filter(|_| depth > 0).and_then(|page| Node::of(page, tree)) else {
            return meet(Item::Gap);
        };
        let sound = node.used().is_some_and(|used| xxh3_128(used) == at.sum);
        // Two that do not agree, of which neither is vouched for, say nothing.
        if !sound && !trusted {
            return meet(Item::Gap);
        }
        if node.leaf {
            for at in 0..node.count {
                match node.pair(at) {
                    Some((key, value)) => meet(Item::Row { key, value, sound })?,
                    None => break,
                }
            }
        } else {
            for at in 0..=node.count {
                match node.child(at) {
                    Some(child) => self.visit(tree, child, sound, depth - 1, meet)?,
                    None => break,
                }
            }
        }
        if sound { Ok(()) } else { meet(Item::Gap) }
    }

    /// The page with this number; `None` where the file has no such page, or the disk has lost it.
    fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        let order = number >> 59;
        let index = number & (0x000F_FFFF >> order.min(20));
        let region = (number >> 20) & 0x000F_FFFF;
        let bytes = (PAGE as u64) << order.min(30);
        let start = PAGE as u64 * (1 + region * u64::from(REGION_PAGES)) + index * bytes;
        if bytes > PAGE_BYTES_MAX || start + bytes > self.len {
            return Ok(None);
        }
        let mut page = vec![0; usize::try_from(bytes).unwrap_or(PAGE)];
        match self.file.read(start, &mut page) {
            Ok(()) => Ok(Some(page)),
            // A disk that is gone altogether may come back; one that still gives the first page has lost this one.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                self.file.read(0, &mut [0; PAGE]).map(|()| None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A page taken apart.
struct Node<'p> {
    page: &'p [u8],
    tree: Tree,
    leaf: bool,
    /// Rows of a leaf, keys of a branch.
    count: usize,
}

impl<'p> Node<'p> {
    fn of(page: &'p [u8], tree: Tree) -> Option<Node<'p>> {
        let leaf = match page.first()? {
            1 => true,
            2 => false,
            _ => return None,
        };
        let count = usize::from(u16::from_le_bytes(page.get(2..4)?.try_into().ok()?));
        (count > 0).then_some(Node { page, tree, leaf, count })
    }

    /// The bytes that the page's checksum is of.
    fn used(&self) -> Option<&'p [u8]> {
        let last = self.count - 1;
        let end = if self.leaf { self.value_end(last)? } else { self.branch_key_end(last)? };
        self.page.get(..end)
    }

    fn word(&self, at: usize) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.page.get(at..at + 4)?.try_into().ok()?)).ok()
    }

    /// Where the ends of keys, then those of values, then the keys begin in a leaf.
    fn ends(&self) -> (usize, usize) {
        let values = if self.tree.key.is_none() { 4 + 4 * self.count } else { 4 };
        let keys = if self.tree.value.is_none() { values + 4 * self.count } else { values };
        (values, keys)
    }

    fn key_end(&self, at: usize) -> Option<usize> {
        match self.tree.key {
            None => self.word(4 + 4 * at),
            Some(len) => self.ends().1.checked_add(len.checked_mul(at + 1)?),
        }
    }

    fn value_end(&self, at: usize) -> Option<usize> {
        match self.tree.value {
            None => self.word(self.ends().0 + 4 * at),
            Some(len) => self.key_end(self.count - 1)?.checked_add(len.checked_mul(at + 1)?),
        }
    }

    /// A row of a leaf.
    fn pair(&self, at: usize) -> Option<(&'p [u8], &'p [u8])> {
        let before = at.checked_sub(1);
        let key = before.map_or(Some(self.ends().1), |before| self.key_end(before))?;
        let value = before.map_or(self.key_end(self.count - 1), |before| self.value_end(before))?;
        Some((self.page.get(key..self.key_end(at)?)?, self.page.get(value..self.value_end(at)?)?))
    }

    fn child(&self, at: usize) -> Option<Reference> {
        let numbers = 8 + 16 * (self.count + 1) + 8 * at;
        let page = u64::from_le_bytes(self.page.get(numbers..numbers + 8)?.try_into().ok()?);
        Some(Reference { page, sum: number(self.page, 8 + 16 * at)? })
    }

    fn branch_key_end(&self, at: usize) -> Option<usize> {
        let keys = 8 + 24 * (self.count + 1);
        match self.tree.key {
            None => self.word(keys + 4 * at),
            Some(len) => keys.checked_add(len.checked_mul(at + 1)?),
        }
    }
}
