//! What the pipeline remembered: the checkpoint, and the journal behind it as far as no entry is missing.

use super::super::row::unpack;
use super::super::schema::{CHECKPOINT, CheckpointRow, JOURNAL, META_CHECKPOINT};
use super::super::{Fresh, StoreError};
use super::old::{Old, Rows};
use super::report::Report;
use super::windows::Windows;
use redb::TableHandle;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::time::Time;
use tidegate_pipeline::{Pipeline, checkpoint, journal};

/// What was remembered.
pub(super) struct Memory {
    pub(super) pipeline: Pipeline,
    /// The number of the last entry that is known of.
    pub(super) last: u64,
    /// Nothing of it is missing.
    pub(super) whole: bool,
    /// The checkpoint was legible, and so the ledger goes on.
    pub(super) continued: bool,
}

/// Reads it. `windows` are the closed ones: they tell which of the open windows have closed since.
pub(super) fn read(
    old: &Old<'_>,
    meta: &Rows<String>,
    windows: &Windows,
    fresh: &Fresh,
    report: &mut Report,
) -> Result<Memory, StoreError> {
    let mut journal = old.rows::<(u64, u16)>(JOURNAL.name())?;
    let restored = checkpoint(old, meta, &journal)?;
    let continued = restored.is_some();
    let (mut pipeline, mut last, sure) = match restored {
        Some((pipeline, upto, sure)) => (pipeline, upto, sure),
        None => (Pipeline::new(fresh.plan.clone()), 0, false),
    };
    journal.rows.append(&mut journal.before);
    // A number in a damaged page may be any: it is taken where one is missing.
    let mut highest = journal.rows.last_key_value().map_or(last, |((number, _), _)| last.max(*number));
    for ((number, chunk), bytes) in journal.doubtful {
        if number <= highest + 1 {
            highest = highest.max(number);
            journal.rows.insert((number, chunk), bytes);
        }
    }
    let (tail, mut broken) = (journal.tail && old.latest, !sure);
    let (mut forgotten, mut starts) = (Time::MIN, BTreeSet::new());
    for (number, bytes) in joined(journal.rows).split_off(&(last + 1)) {
        let entry = unpack(&bytes, "journal entry").ok().and_then(|row| journal::decode(&row).ok());
        let missing = if sure { number - last - 1 } else { 0 };
        last = number;
        match entry {
            Some(entry) if !broken && missing == 0 => {
                pipeline.replay(&entry);
                report.replayed += 1;
            }
            entry => {
                report.lose_entries(number, missing + u64::from(entry.is_none()));
                broken = true;
                let Some(entry) = entry else { continue };
                report.doubtful += pipeline.account_for(&entry);
                report.unreplayed += 1;
                starts.extend(entry.closings.iter().map(|closing| (closing.group, closing.start)));
                forgotten = forgotten.max(entry.forgotten.unwrap_or(Time::MIN));
            }
        }
    }
    let whole = !broken && tail;
    if !whole {
        report.tail_lost = !tail;
        let sure = sure && tail && windows.whole;
        let keep = |group: u32, start: Time, end: Time| {
            let known = starts.contains(&(group, start)) || windows.ends.contains(&(group, end));
            sure && end > forgotten && !known
        };
        let given;
        (pipeline, given) = pipeline.give_up(&keep);
        report.given_up = given;
    }
    Ok(Memory { pipeline, last, whole, continued })
}

/// The checkpoint in force, up to which entry it goes, and whether that is sure: the one that the table of small things
/// names, else the one that is complete. That one replaced the journal up to its number.
fn checkpoint(
    old: &Old<'_>,
    meta: &Rows<String>,
    journal: &Rows<(u64, u16)>,
) -> Result<Option<(Pipeline, u64, bool)>, StoreError> {
    let named: Option<CheckpointRow> = meta.value(META_CHECKPOINT);
    let mut chunks = old.rows::<(u64, u32)>(CHECKPOINT.name())?;
    chunks.rows.append(&mut chunks.doubtful);
    if let Some(row) = named {
        chunks.rows.append(&mut chunks.before);
        let found = joined(chunks.rows).remove(&row.generation).and_then(|bytes| restore(&bytes));
        return Ok(found.map(|found| (found, row.journal, true)));
    }
    let first = journal.rows.keys().chain(journal.doubtful.keys()).map(|(number, _)| *number).min();
    let sure = journal.whole && first.is_some();
    let found = joined(chunks.rows).into_values().rev().find_map(|bytes| restore(&bytes));
    Ok(found.map(|found| (found, first.unwrap_or(1).saturating_sub(1), sure)))
}

fn restore(bytes: &[u8]) -> Option<Pipeline> {
    let (plan, state) = checkpoint::decode(&unpack(bytes, "checkpoint").ok()?)?;
    Some(Pipeline::restore(plan, state))
}

/// Puts chunks together; where one is missing, what follows it is left out, and so the checksum will not agree.
fn joined<C: Copy + Ord>(chunks: BTreeMap<(u64, C), Vec<u8>>) -> BTreeMap<u64, Vec<u8>>
where
    u64: From<C>,
{
    let mut whole: BTreeMap<u64, (u64, Vec<u8>)> = BTreeMap::new();
    for ((number, chunk), bytes) in chunks {
        let (next, joined) = whole.entry(number).or_default();
        if u64::from(chunk) == *next {
            *next += 1;
            joined.extend_from_slice(&bytes);
        }
    }
    whole.into_iter().map(|(number, (_, bytes))| (number, bytes)).collect()
}
