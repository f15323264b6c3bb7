//! The accounts of the outputs, so that they balance again with what really waits.

use super::super::row::pack_value;
use super::super::schema::{OUTPUTS, OutputRow};
use super::super::{Doing, StoreError};
use super::old::Old;
use super::queue::Queue;
use super::report::Report;
use redb::{TableHandle, WriteTransaction};
use std::collections::BTreeMap;

/// Under this reason an event is dropped whose bytes are lost.
const DAMAGED: &str = "damaged";

/// Writes the outputs' rows. `configured` are the names in the plan: where the row of one of them is lost, and one queue has
/// no output, they belong together.
pub(super) fn write(
    old: &Old<'_>,
    write: &WriteTransaction,
    queue: &mut Queue<'_>,
    configured: &[String],
    report: &mut Report,
) -> Result<(), StoreError> {
    let found = old.rows::<String>(OUTPUTS.name())?;
    // The names are not part of the checksums.
    let doubtful = found.doubtful.keys().filter(|name| configured.contains(name));
    let names = found.rows.keys().chain(doubtful);
    let mut outputs: BTreeMap<String, OutputRow> =
        names.filter_map(|name| Some((name.clone(), found.value(name)?))).collect();
    let lanes = queue.lanes()?;
    let nameless: Vec<u16> =
        lanes.keys().filter(|number| outputs.values().all(|row| row.number != **number)).copied().collect();
    let missing: Vec<&String> = configured.iter().filter(|name| !outputs.contains_key(*name)).collect();
    match (nameless.as_slice(), missing.as_slice()) {
        ([number], [name]) => {
            outputs.insert((*name).clone(), OutputRow { number: *number, ..OutputRow::default() });
        }
        (nameless, _) => {
            for number in nameless {
                report.nameless += lanes[number].iter().map(|(count, _)| count).sum::<u64>();
                queue.drop_output(*number)?;
            }
        }
    }
    let mut table = write.open_table(OUTPUTS).doing("be salvaged")?;
    for (name, row) in &mut outputs {
        let lanes = lanes.get(&row.number).copied().unwrap_or_default();
        let waiting = settle(row, lanes, found.whole);
        report.waiting += waiting;
        report.lost_events += row.counts.dropped.get(DAMAGED).copied().unwrap_or(0);
        table.insert(name.as_str(), pack_value(row).as_slice()).doing("be salvaged")?;
    }
    Ok(())
}

/// Makes a row agree with its queue: how many wait.
fn settle(row: &mut OutputRow, lanes: [(u64, u64); 2], current: bool) -> u64 {
    for (lane, (_, next)) in lanes.into_iter().enumerate() {
        row.next[lane] = row.next[lane].max(next);
        if !current {
            // An older row may not know what was sent since.
            row.attempted[lane] = row.next[lane];
        }
    }
    let waiting = lanes.iter().map(|(count, _)| count).sum::<u64>();
    let counts = &mut row.counts;
    let known = counts.queued();
    if known > waiting {
        *counts.dropped.entry(DAMAGED.to_owned()).or_default() += known - waiting;
    }
    // What is known to be made and waits again although it was delivered; what is beyond that was not known to be made.
    let again = waiting.saturating_sub(known).min(counts.delivered);
    counts.delivered -= again;
    counts.made += waiting.saturating_sub(known + again);
    waiting
}
