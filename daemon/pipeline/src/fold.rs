//! Folding: what a decided reading does to ledger, series and windows. The same live and in a replay.

use crate::entry::Reading;
use crate::pipeline::{Due, Pipeline};
use crate::plan::SummaryPlan;
use crate::series::Group;
use crate::time::Time;
use crate::verdict::Verdict;
use crate::window::{Content, Open};
use std::collections::BTreeSet;

/// Whether `group` can still count a reading of `time` that arrived at `arrival`.
pub(crate) fn takes(
    summary: &SummaryPlan,
    group: &Group,
    forgotten: Option<Time>,
    time: Time,
    arrival: Time,
) -> bool {
    let (start, end) = summary.window.around(time);
    if forgotten.is_some_and(|forgotten| end <= forgotten) {
        return false;
    }
    end.plus(summary.horizon()) > arrival || group.open.iter().any(|open| open.start == start)
}

pub(crate) fn fold(core: &mut Pipeline, reading: &Reading, value: f64, gap: u32, arrival: Time) {
    core.state.ledger.add(reading.verdict, 1);
    let series = &mut core.state.series[reading.series as usize];
    series.heard = series.heard.max(arrival);
    if reading.verdict == Verdict::Counted {
        for &at in &series.watches {
            if core.state.watches[at as usize].note(reading.time, value, arrival) {
                core.timers.soon(at);
            }
        }
    }
    if reading.verdict == Verdict::Counted
        && let Some(times) = &mut series.times
    {
        // As long as a window can take a reading, its time must be known: also while it is held open.
        let open = series.groups.iter().filter_map(|&at| core.state.groups[at as usize].group.open.first());
        let held = open.map(|open| open.start).min().unwrap_or(Time::MAX);
        times.note(reading.time, held.min(arrival.minus(core.reach)));
    }
    for &at in &series.groups {
        let group = &mut core.state.groups[at as usize].group;
        let summary = &core.plan.summaries[usize::from(group.summary)];
        if !takes(summary, group, core.state.forgotten, reading.time, arrival) {
            continue;
        }
        match reading.verdict {
            Verdict::Counted => {
                let open = window_for(&mut core.due, at, summary, group, reading.time, arrival);
                if open.late {
                    open.content.completeness.late += 1;
                }
                open.content.fold(reading.time, value, gap);
            }
            Verdict::Duplicate => {
                if let Some(open) = group.open_at(summary.window.around(reading.time).0) {
                    let counts = &mut open.content.completeness;
                    counts.duplicates = counts.duplicates.saturating_add(1);
                }
            }
            // What is not counted never reopens a window: each redelivery would send its summary again.
            Verdict::Rejected(_) | Verdict::DeadLettered(_) => {
                let (start, end) = summary.window.around(reading.time);
                if end > group.closed_max || group.open_at(start).is_some() {
                    let open = window_for(&mut core.due, at, summary, group, reading.time, arrival);
                    let counts = &mut open.content.completeness;
                    counts.rejected = counts.rejected.saturating_add(1);
                }
            }
        }
    }
}

/// The open window of `time`; opens it if it is not open.
fn window_for<'g>(
    order: &mut BTreeSet<Due>,
    at: u32,
    summary: &SummaryPlan,
    group: &'g mut Group,
    time: Time,
    arrival: Time,
) -> &'g mut Open {
    let (start, end) = summary.window.around(time);
    // Readings come mostly for the youngest window.
    let before = group.open.iter().rposition(|open| open.start <= start);
    if let Some(found) = before
        && group.open[found].start == start
    {
        return &mut group.open[found];
    }
    let place = before.map_or(0, |before| before + 1);
    // A window that is past its time opens for `lateness` again, so that what comes late comes in one amendment.
    let regular = end.plus(summary.lateness);
    let due = if arrival <= regular { regular } else { arrival.plus(summary.lateness) };
    let late = end <= group.closed_max;
    order.insert(Due { due, group: at, start, late });
    group.open.insert(place, Open { start, end, due, late, content: Content::empty(summary) });
    &mut group.open[place]
}
