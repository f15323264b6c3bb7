//! Taking windows away because they close. The same live and in a replay.

use crate::aggregate::Aggregate;
use crate::clean;
use crate::entry::{Closing, Reading};
use crate::event::ClosedKey;
use crate::fold::Frame;
use crate::pipeline::Pipeline;
use crate::plan::{Retained, SummaryPlan};
use crate::series::{Extra, Group, Series};
use crate::state::NumberedGroup;
use crate::time::Time;
use crate::window::{Aligned, Bounds, Content, Cutter, Open, Waiting};

/// A window taken away from its group.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Place of the group.
    pub(crate) at: u32,
    pub(crate) start: Time,
    pub(crate) end: Time,
    /// Which one it is, where that is what names it.
    pub(crate) ordinal: Option<u64>,
    /// What the store may have of it.
    pub(crate) late: Option<Box<[ClosedKey]>>,
    pub(crate) content: Content,
}

impl Pipeline {
    /// Takes the windows away that `closing` closes at `now`: one, or as many as are full.
    pub(crate) fn take_windows(&mut self, closing: &Closing, now: Time, taken: &mut Vec<Taken>) {
        let Some(&at) = self.group_places.get(&closing.group) else { return };
        let NumberedGroup { number, group } = &mut self.state.groups[at as usize];
        let summary = &self.plan.summaries[usize::from(group.summary)];
        let template = group.template(&self.plan, &group.metric);
        let forgotten = group.forgotten(self.state.forgotten);
        let (number, order) = (*number, &mut self.due);
        let mut frame = Frame { summary, at, number, forgotten, arrival: now, template, order };
        let ordinal = None;
        match &self.cutters[usize::from(group.summary)] {
            Cutter::Sorted(rule) => {
                let Extra::Sorted(sorted) = &mut group.extra else { return };
                rule.release(&mut frame, sorted, closing.start, |ended| {
                    let (start, end, ordinal) = (ended.start, ended.end, Some(ended.ordinal));
                    taken.push(Taken { at, start, end, ordinal, late: None, content: ended.content });
                });
            }
            Cutter::Aligned(cut) if cut.shares_panes() && !closing.late => {
                let Some((bounds, content)) = frame.take_hopping(cut, group, closing.start) else { return };
                group.closed_max = group.closed_max.max(bounds.1);
                taken.push(Taken { at, start: bounds.0, end: bounds.1, ordinal, late: None, content });
            }
            cutter => {
                let Ok(place) = group.find(closing.start, closing.late) else { return };
                let Open { start, end, due, late, content } = group.open.remove(place);
                frame.forget_due(due, start, late.is_some());
                group.closed_max = group.closed_max.max(end);
                match (cutter, &mut group.extra) {
                    (Cutter::Session(_), Extra::Sessions(sessions)) => {
                        sessions.close(start, end, forgotten);
                        group.carry.swallow(start, end);
                        frame.carry(group, start, &content);
                    }
                    (Cutter::Aligned(cut), _) if !cut.shares_panes() => {
                        if let Some(next) = frame.carry(group, start, &content) {
                            frame.reopen(cut, group, next);
                        }
                    }
                    _ => {}
                }
                taken.push(Taken { at, start, end, ordinal, late, content });
            }
        }
    }
}

impl Pipeline {
    /// Takes a value that the broker kept for what the next windows begin with, where nothing newer is known.
    pub(crate) fn seed(&mut self, reading: &Reading) {
        let series = &self.state.series[reading.series as usize];
        if !reading.value.is_finite() || !self.seeds(series.stream, &series.metric) {
            return;
        }
        // The steps remember nothing of it.
        let mut memory = series.cleaning.clone();
        let Series { stream, metric, tags, .. } = series;
        let sample = clean::Sample { value: reading.value, time: reading.time, zone: &self.zone, tags };
        let steps = &self.plan.streams[usize::from(*stream)].clean;
        let Ok(value) = clean::run(steps, metric, &mut memory, sample) else { return };
        for &at in &series.groups {
            let group = &mut self.state.groups[at as usize].group;
            let template = group.template(&self.plan, metric);
            if template.wanted.iter().any(Aggregate::needs_order) {
                group.carry.seed(template.metric, (reading.time, value));
            }
        }
    }

    /// Whether a value that the broker kept for a series is of use.
    pub(crate) fn seeds(&self, stream: u16, metric: &str) -> bool {
        let ordered = |summary: &SummaryPlan| {
            let kind = self.plan.kind_of(summary, metric);
            summary.chooses(stream, metric)
                && summary.aggregates_for(metric, kind).iter().any(Aggregate::needs_order)
        };
        let latest = self.plan.streams[usize::from(stream)].retained == Retained::Latest;
        latest && self.plan.summaries.iter().any(ordered)
    }
}

impl Frame<'_> {
    /// Puts a window together from its panes, and drops those that no other window waits for.
    fn take_hopping(&mut self, cut: &Aligned, group: &mut Group, start: Time) -> Option<(Bounds, Content)> {
        let Extra::Hopping(waiting) = &mut group.extra else { return None };
        let place = waiting.iter().position(|waiting| waiting.start == start)?;
        let Waiting { end, due, .. } = waiting.remove(place);
        let (first, next) = (waiting.first().map(|waiting| waiting.start), cut.after(start));
        self.forget_due(due, start, false);
        let mut content = Content::default();
        let panes = group.open.iter().filter(|open| open.late.is_none());
        for pane in panes.filter(|pane| pane.start < end) {
            if pane.start >= start {
                content.merge(&pane.content);
            }
            for lane in pane.content.lanes.iter().filter(|lane| lane.is_ordered()) {
                lane.last_sample().and_then(|last| group.carry.note(pane.start, lane.metric, last));
            }
        }
        let keep = first.map_or(next, |first| first.min(next));
        group.open.retain(|open| open.late.is_some() || open.start >= keep);
        self.forget_carried(group);
        Some(((start, end), content))
    }

    /// Carries the last readings of a window that closes into the next: the start of one that was closed before and now
    /// began with something else.
    fn carry(&self, group: &mut Group, start: Time, content: &Content) -> Option<Time> {
        let mut next = None;
        for lane in content.lanes.iter().filter(|lane| lane.is_ordered()) {
            if let Some(last) = lane.last_sample() {
                next = group.carry.note(start, lane.metric, last).or(next);
            }
        }
        self.forget_carried(group);
        next
    }

    fn forget_carried(&self, group: &mut Group) {
        if let Some(forgotten) = self.forgotten {
            group.carry.forget(forgotten);
        }
    }

    /// Opens a closed window again, since what it began with has changed. Nothing is added to it.
    fn reopen(&mut self, cut: &Aligned, group: &mut Group, start: Time) {
        let end = cut.after(start);
        let gone = self.forgotten.is_some_and(|forgotten| end <= forgotten);
        if gone || end > group.closed_max || group.find(start, false).is_ok() {
            return;
        }
        if let Err(place) = group.find(start, true) {
            let due = self.due(end);
            self.note_due(due, start, true);
            let late: Option<Box<[ClosedKey]>> = Some([ClosedKey { end, group: self.number }].into());
            group.open.insert(place, Open { start, end, due, late, content: Content::default() });
        }
    }
}
