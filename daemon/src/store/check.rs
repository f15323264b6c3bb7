//! A look at the file before redb gets to see it: whether every page that it would read has its checksum.
//!
//! redb opens a file with damaged pages as long as it was closed cleanly, and trusts them. So all of it is read first, each
//! time; a file that is not as it was written is salvaged and never given to redb.

use super::StoreError;
use super::pages::{FILE_FORMAT, Head, Item, Pages, Reference, Slot, Tree};
use super::schema::{FORMAT, META_FORMAT};
use redb::{StorageBackend, TableHandle};
use std::io;

/// What a look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There is nothing in it.
    New,
    /// redb can have it.
    Sound,
    /// It must be salvaged.
    Damaged,
}

/// Looks at a file.
///
/// # Errors
/// When it cannot be read, or is of another format, and so none of our business.
pub(super) fn look(file: &dyn StorageBackend) -> Result<Look, StoreError> {
    if file.len()? == 0 || is_blank(file)? {
        return Ok(Look::New);
    }
    let Some(head) = Head::read(file)? else { return Ok(Look::Damaged) };
    refuse_other_formats(file, &head)?;
    Ok(if is_sound(file)? { Look::Sound } else { Look::Damaged })
}

/// Whether redb would meet only pages that are as they were written.
pub(super) fn is_sound(file: &dyn StorageBackend) -> Result<bool, StoreError> {
    let Some(head) = Head::read(file)?.filter(|head| head.sound) else { return Ok(false) };
    let pages = Pages::of(file)?;
    let (mut slots, primary) = (head.slots(), Some(head.primary).filter(|slot| slot.sound));
    match (head.unclean, head.two_phase) {
        // A commit may have been cut off: then redb goes back to the one before.
        (true, false) => Ok(is_whole(&pages, slots.next())? || is_whole(&pages, slots.next())?),
        // It takes the one that the header names, also where the other is of a later transaction: that one failed.
        (true, true) | (false, _) => is_whole(&pages, primary),
    }
}

/// Whether a file was cut off while redb was making it: it has a length, but no magic number and nothing else after the
/// first page either. In a file that ever held something, that is not so.
pub(super) fn is_blank(file: &dyn StorageBackend) -> io::Result<bool> {
    let len = file.len()?;
    let mut page = vec![0; super::pages::PAGE];
    for at in (0..len).step_by(page.len()) {
        let left = usize::try_from(len - at).unwrap_or(usize::MAX).min(page.len());
        let page = &mut page[..left];
        file.read(at, page)?;
        let looked_at = if at == 0 { page.get(..9).unwrap_or(page) } else { page };
        if looked_at.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(len > 0)
}

/// Whether all that a slot refers to is there and as it was written.
pub(super) fn is_whole(pages: &Pages<'_>, slot: Option<Slot>) -> Result<bool, StoreError> {
    let Some(slot) = slot else { return Ok(false) };
    for root in [slot.user, slot.system] {
        let mut trees = Vec::new();
        let tables = pages.walk(Tree::of_tables(root), &mut |item| match item {
            Item::Row { value, sound: true, .. } => {
                trees.push(Tree::of(value).ok_or(StoreError::Damaged("table"))?);
                Ok(())
            }
            _ => Err(StoreError::Damaged("page")),
        });
        let rows = |tree: &Tree| {
            pages.walk(*tree, &mut |item| match item {
                Item::Row { sound: true, .. } => Ok(()),
                _ => Err(StoreError::Damaged("page")),
            })
        };
        match tables.and_then(|()| trees.iter().try_for_each(rows)) {
            Ok(()) => {}
            Err(StoreError::Damaged(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A file of another format is refused before anything of it is changed, damaged or not, as far as that can be read.
fn refuse_other_formats(file: &dyn StorageBackend, head: &Head) -> Result<(), StoreError> {
    for slot in head.slots() {
        if slot.version > FILE_FORMAT {
            return Err(StoreError::Newer { found: slot.version.into(), known: FILE_FORMAT.into() });
        }
        let found = format(&Pages::of(file)?, slot.user)?;
        match found {
            Some(found) if found > FORMAT => return Err(StoreError::Newer { found, known: FORMAT }),
            Some(found) if found < FORMAT => return Err(StoreError::Older { found, known: FORMAT }),
            Some(_) => return Ok(()),
            None => {}
        }
    }
    Ok(())
}

/// The version of our own format, from a page that is sound.
fn format(pages: &Pages<'_>, root: Option<Reference>) -> Result<Option<u32>, StoreError> {
    let mut meta = None;
    pages.walk(Tree::of_tables(root), &mut |item| {
        if let Item::Row { key, value, sound: true } = item
            && key == super::schema::META.name().as_bytes()
        {
            meta = Tree::of(value);
        }
        Ok::<_, StoreError>(())
    })?;
    let (Some(meta), mut found) = (meta, None) else { return Ok(None) };
    pages.walk(meta, &mut |item| {
        if let Item::Row { key, value, sound: true } = item
            && key == META_FORMAT.as_bytes()
        {
            found = value.try_into().ok().map(u32::from_le_bytes);
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}
