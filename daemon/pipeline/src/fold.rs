//! Folding: what a decided reading does to ledger, series and windows. The same live and in a replay.

use crate::clean;
use crate::entry::Reading;
use crate::event::ClosedKey;
use crate::pipeline::{Due, Pipeline};
use crate::plan::SummaryPlan;
use crate::series::{Extra, Group};
use crate::state::NumberedGroup;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use crate::window::{Aligned, Bounds, Content, Cutter, Open, Template, Waiting};
use std::collections::BTreeSet;

/// A reading as a window sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) time: Time,
    /// Cleaned; of no meaning where the reading is not counted.
    pub(crate) value: f64,
    /// Sequence numbers that were skipped before it.
    pub(crate) gap: u32,
    pub(crate) fate: Fate,
    /// It waited somewhere before it was stamped.
    pub(crate) backlog: bool,
    /// A cleaning step doubts it.
    pub(crate) flagged: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Counted,
    Duplicate,
    Rejected,
}

/// What folding into a group's windows needs beside the group.
#[derive(Debug)]
pub(crate) struct Frame<'f> {
    pub(crate) summary: &'f SummaryPlan,
    /// Place and number of the group.
    pub(crate) at: u32,
    pub(crate) number: u32,
    pub(crate) forgotten: Option<Time>,
    pub(crate) arrival: Time,
    pub(crate) template: Template<'f>,
    pub(crate) order: &'f mut BTreeSet<Due>,
}

/// Whether `group` can still count a reading of `time` that arrived at `arrival`.
pub(crate) fn takes(
    cutter: &Cutter,
    summary: &SummaryPlan,
    group: &Group,
    forgotten: Option<Time>,
    time: Time,
    arrival: Time,
) -> bool {
    match cutter {
        Cutter::Aligned(cut) => {
            let takes = |bounds| takes_window(summary, group, forgotten, bounds, arrival);
            cut.windows(cut.pane(time)).any(takes)
        }
        Cutter::Session(gap) => gap.takes(group, forgotten, time, arrival.minus(summary.horizon())),
        Cutter::Sorted(_) => match &group.extra {
            Extra::Sorted(sorted) => sorted.takes(time),
            _ => true,
        },
    }
}

fn takes_window(
    summary: &SummaryPlan,
    group: &Group,
    forgotten: Option<Time>,
    (start, end): Bounds,
    arrival: Time,
) -> bool {
    if forgotten.is_some_and(|forgotten| end <= forgotten) {
        return false;
    }
    end.plus(summary.horizon()) > arrival
        || group.waiting().iter().any(|waiting| waiting.start == start)
        || group.open.iter().any(|open| open.start == start && open.end == end)
}

pub(crate) fn fold(core: &mut Pipeline, reading: &Reading, value: f64, gap: u32, arrival: Time) {
    core.state.ledger.add(reading.verdict, 1);
    let series = &mut core.state.series[reading.series as usize];
    series.heard = core.heard;
    if reading.verdict == Verdict::Rejected(Reason::Retained) {
        // Of no window: it was measured some time before it was sent again.
        return core.seed(reading);
    }
    let fate = match reading.verdict {
        Verdict::Counted => Fate::Counted,
        Verdict::Duplicate => Fate::Duplicate,
        Verdict::Rejected(_) | Verdict::DeadLettered(_) => Fate::Rejected,
    };
    let mut moved = false;
    if fate == Fate::Counted {
        moved = series.note_time(reading.time);
        for &at in &series.watches {
            if core.state.watches[at as usize].note(reading.time, value, arrival, core.heard.source) {
                core.timers.soon(at);
            }
        }
        if let Some(times) = &mut series.times {
            // As long as a window can take a reading, its time must be known: also while it is held open.
            let open =
                series.groups.iter().filter_map(|&at| core.state.groups[at as usize].group.open.first());
            let held = open.map(|open| open.start).min().unwrap_or(Time::MAX);
            times.note(reading.time, held.min(arrival.minus(core.reach)));
        }
    }
    // A reading that is stamped on arrival and comes out of a backlog is older than it seems.
    let stream = &core.plan.streams[usize::from(series.stream)];
    let stamped = reading.time == arrival && stream.time.is_none() && stream.ticks.is_none();
    let source = core.state.sources.get(usize::from(core.heard.source));
    let backlog = stamped && source.is_some_and(|source| source.backlog);
    let steps = &core.plan.streams[usize::from(series.stream)].clean;
    let flagged =
        fate == Fate::Counted && clean::is_flagged(steps, &series.metric, &series.cleaning, reading.time);
    let sample = Sample { time: reading.time, value, gap, fate, backlog, flagged };
    for &at in &series.groups {
        let NumberedGroup { number, group } = &mut core.state.groups[at as usize];
        let cutter = &core.cutters[usize::from(group.summary)];
        let summary = &core.plan.summaries[usize::from(group.summary)];
        let forgotten = group.forgotten(core.state.forgotten);
        if !takes(cutter, summary, group, forgotten, sample.time, arrival) {
            continue;
        }
        let (order, template) = (&mut core.due, group.template(&core.plan, &series.metric));
        let mut frame = Frame { summary, at, number: *number, forgotten, arrival, template, order };
        match cutter {
            Cutter::Aligned(cut) => frame.aligned(cut, group, &sample),
            Cutter::Session(gap) => gap.fold(&mut frame, group, &sample),
            Cutter::Sorted(rule) => rule.fold(&mut frame, group, &sample),
        }
        if moved && group.first_end().is_some_and(|end| end.plus(summary.lateness) <= series.latest.1) {
            core.ripe.insert(at);
        }
    }
}

impl Frame<'_> {
    fn aligned(&mut self, cut: &Aligned, group: &mut Group, sample: &Sample) {
        let (pane, shared) = (cut.pane(sample.time), cut.shares_panes());
        let mut in_time = false;
        for bounds in cut.windows(pane) {
            if shared && !takes_window(self.summary, group, self.forgotten, bounds, self.arrival) {
                continue;
            }
            if self.is_late(group, shared, bounds) {
                self.late(group, bounds, sample);
            } else {
                in_time = true;
                if shared && sample.fate != Fate::Duplicate {
                    self.wait_for(group, bounds);
                }
            }
        }
        if !in_time {
            return;
        }
        let place = match group.find(pane.0, false) {
            Ok(place) => place,
            // A duplicate opens nothing.
            Err(_) if sample.fate == Fate::Duplicate => return,
            Err(place) => {
                let mut due = Time::MAX;
                if !shared {
                    let (before, after) = group.open.split_at(place);
                    due = self.due_among(before, after, pane.1);
                    self.note_due(due, pane.0, false);
                }
                self.open(group, place, pane, due, None);
                place
            }
        };
        group.open[place].content.note(sample, self.template);
    }

    /// Whether the window was closed before and is not waiting to be closed for the first time.
    fn is_late(&self, group: &Group, shared: bool, (start, end): Bounds) -> bool {
        let waits = || match shared {
            true => group.waiting().iter().any(|waiting| waiting.start == start),
            false => group.find(start, false).is_ok(),
        };
        end <= group.closed_max && !waits()
    }

    /// Folds into what came late for a closed window.
    fn late(&mut self, group: &mut Group, bounds: Bounds, sample: &Sample) {
        let place = match group.find(bounds.0, true) {
            Ok(place) => place,
            // What is not counted never reopens a window: each redelivery would send its summary again.
            Err(_) if sample.fate != Fate::Counted => return,
            Err(place) => {
                let due = self.due(bounds.1);
                self.note_due(due, bounds.0, true);
                let key = ClosedKey { end: bounds.1, group: self.number };
                self.open(group, place, bounds, due, Some([key].into()));
                place
            }
        };
        let content = &mut group.open[place].content;
        content.note(sample, self.template);
        if sample.fate == Fate::Counted {
            content.completeness.late = content.completeness.late.saturating_add(1);
        }
    }

    fn open(
        &self,
        group: &mut Group,
        place: usize,
        (start, end): Bounds,
        due: Time,
        late: Option<Box<[ClosedKey]>>,
    ) {
        // Mostly there is one, and another while it waits for what is late.
        if group.open.len() < 2 {
            group.open.reserve_exact(1);
        }
        group.open.insert(place, Open { start, end, due, late, content: Content::default() });
    }

    fn wait_for(&mut self, group: &mut Group, (start, end): Bounds) {
        if !matches!(group.extra, Extra::Hopping(_)) {
            group.extra = Extra::Hopping(Vec::new());
        }
        let Extra::Hopping(waiting) = &mut group.extra else { return };
        if let Err(place) = waiting.binary_search_by_key(&start, |waiting| waiting.start) {
            let (before, after) = (waiting[..place].last(), waiting.get(place));
            let due = in_turn(self.due(end), before.map(|w| w.due), after.map(|w| w.due));
            waiting.insert(place, Waiting { start, end, due });
            self.note_due(due, start, false);
        }
    }

    /// When a window that ends at `end` closes by the wall clock. One that is past its time opens for `lateness` again, so
    /// that what comes late comes in one amendment.
    pub(crate) fn due(&self, end: Time) -> Time {
        let regular = end.plus(self.summary.lateness);
        if self.arrival <= regular { regular } else { self.arrival.plus(self.summary.lateness) }
    }

    /// The same for one between others, in its turn: no earlier than the one before it, no later than the one after.
    fn due_among(&self, before: &[Open], after: &[Open], end: Time) -> Time {
        let in_time = |open: &&Open| open.late.is_none();
        let (before, after) = (before.iter().rev().find(in_time), after.iter().find(in_time));
        in_turn(self.due(end), before.map(|open| open.due), after.map(|open| open.due))
    }

    /// That of an open window. A late one amends, and has no turn.
    pub(crate) fn due_of(&self, open: &Open, before: &[Open], after: &[Open]) -> Time {
        if open.late.is_some() { self.due(open.end) } else { self.due_among(before, after, open.end) }
    }

    pub(crate) fn note_due(&mut self, due: Time, start: Time, late: bool) {
        self.order.insert(Due { due, group: self.at, start, late });
    }

    pub(crate) fn forget_due(&mut self, due: Time, start: Time, late: bool) {
        self.order.remove(&Due { due, group: self.at, start, late });
    }
}

/// Windows of a group close in the order of their starts, also those whose time is extended.
fn in_turn(due: Time, before: Option<Time>, after: Option<Time>) -> Time {
    due.max(before.unwrap_or(due)).min(after.unwrap_or(Time::MAX))
}
