//! Closing: windows that are due, late ones merged with what the store kept of them.

use super::Step;
use crate::changes::{Changes, Kept, Loaded, Stored};
use crate::definition::Definition;
use crate::entry::Closing;
use crate::event::{Closed, ClosedKey};
use crate::limits::CLOSINGS_PER_STEP_MAX;
use crate::pipeline::Due;
use crate::render::Rendering;
use crate::series::{Extra, Group};
use crate::take::Taken;
use crate::time::{Span, Time};
use crate::window::Content;

/// How coarse [`Changes::forgotten`] is: forgetting costs a journal field, not forgetting only room.
const FORGET_STEP: Span = Span::from_secs(60);

impl Step<'_> {
    /// The closed windows that [`Step::finish`] needs to amend.
    pub fn needs(&self, now: Time, held: &dyn Fn(u16) -> bool) -> Vec<ClosedKey> {
        if self.changes.entry.clock.is_some() {
            return self.needs_of(|group| self.closes_group(group));
        }
        let Some(now) = self.core.closing_time(now) else { return Vec::new() };
        self.due(now, held).filter(|due| due.late).flat_map(|due| self.late_keys(due)).collect()
    }

    /// Closes the windows that are due, and ends the step. `held(source)` says whether a source is still delivering
    /// what waited for us: windows that it reports to stay open. `loaded` holds what [`Step::needs`] asked for and the
    /// store had.
    ///
    /// Of very many it closes some: the others are due at once, and take readings until it is their turn. A change of the clock
    /// waits until all are closed that it closes.
    pub fn finish(mut self, now: Time, held: &dyn Fn(u16) -> bool, loaded: &Loaded) -> Changes {
        if let Some(clock) = self.changes.entry.clock {
            self.cut_all_raw();
            if self.close_some(now, |step, group| step.closes_group(group), loaded) {
                self.core.note_clock(&clock);
            } else {
                self.changes.entry.clock = None;
            }
            return self.changes;
        }
        self.cut_raw(now);
        let Some(now) = self.core.closing_time(now) else {
            self.changes.entry.now = now;
            return self.changes;
        };
        self.changes.entry.now = now;
        if !self.changes.is_empty() {
            self.sweep();
        }
        let due: Vec<_> = self.due(now, held).copied().collect();
        for due in &due {
            self.close(&self.closing(due, now), loaded);
        }
        for group in std::mem::take(&mut self.core.ripe) {
            if !self.is_held(group, held) {
                self.passed(group, loaded);
            }
        }
        // That windows were forgotten is not worth an entry, unless somebody waits for the room.
        if !self.changes.is_empty() || self.press.is_some() {
            self.forget(now);
        }
        self.changes
    }

    /// The windows that are due in this step.
    fn due(&self, now: Time, held: &dyn Fn(u16) -> bool) -> impl Iterator<Item = &Due> {
        let due = self.core.due.iter().take_while(move |due| due.due <= now);
        due.filter(move |due| !self.is_held(due.group, held)).take(CLOSINGS_PER_STEP_MAX)
    }

    /// What [`Step::finish_early`] needs.
    pub fn needs_early(&self, which: &dyn Fn(u16) -> bool) -> Vec<ClosedKey> {
        self.needs_of(|group| which(group.summary))
    }

    fn needs_of(&self, which: impl Fn(&Group) -> bool) -> Vec<ClosedKey> {
        let due = self.core.open(which).take(CLOSINGS_PER_STEP_MAX).filter(|due| due.late);
        due.flat_map(|due| self.late_keys(due)).collect()
    }

    /// Closes open windows of the summaries that `which` names, due or not, and ends the step. Of very many it closes some:
    /// [`Pipeline::has_open`](crate::Pipeline::has_open) says whether there are more.
    pub fn finish_early(mut self, now: Time, which: &dyn Fn(u16) -> bool, loaded: &Loaded) -> Changes {
        self.close_some(now, |_, group| which(group.summary), loaded);
        self.changes
    }

    /// Closes windows whatever the time. Says whether all are closed.
    fn close_some(&mut self, now: Time, which: impl Fn(&Self, &Group) -> bool, loaded: &Loaded) -> bool {
        self.changes.entry.now = now;
        let due: Vec<_> =
            self.core.open(|group| which(self, group)).take(CLOSINGS_PER_STEP_MAX).copied().collect();
        for due in &due {
            self.close(&self.closing(due, Time::MAX), loaded);
        }
        let filled = self.core.filled(|group| which(self, group)).take(CLOSINGS_PER_STEP_MAX - due.len());
        for number in filled.collect::<Vec<_>>() {
            self.close(&Closing { group: number, start: Time::MAX, late: false }, loaded);
        }
        self.core.ripe.clear();
        !self.core.has_any(|group| which(self, group))
    }

    /// What an open late window is to be merged with.
    fn late_keys(&self, due: &Due) -> Vec<ClosedKey> {
        let group = &self.core.state.groups[due.group as usize].group;
        let open = group.find(due.start, true).ok().map(|place| &group.open[place]);
        open.and_then(|open| open.late.as_deref()).unwrap_or_default().to_vec()
    }

    fn is_held(&self, group: u32, held: &dyn Fn(u16) -> bool) -> bool {
        let summary = self.core.state.groups[group as usize].group.summary;
        self.core.plan.is_held(&self.core.plan.summaries[usize::from(summary)], held)
    }

    /// How what is due is closed.
    fn closing(&self, due: &Due, now: Time) -> Closing {
        let numbered = &self.core.state.groups[due.group as usize];
        let summary = &self.core.plan.summaries[usize::from(numbered.group.summary)];
        let start = match &numbered.group.extra {
            Extra::Sorted(_) if now == Time::MAX => now,
            Extra::Sorted(sorted) => sorted.ripe(now, summary.lateness),
            _ => due.start,
        };
        Closing { group: numbered.number, start, late: due.late }
    }

    /// Closes what the watermark of a group has passed, all of its series agreeing.
    fn passed(&mut self, at: u32, loaded: &Loaded) {
        let numbered = &self.core.state.groups[at as usize];
        let (group, number) = (&numbered.group, numbered.number);
        let lateness = self.core.plan.summaries[usize::from(group.summary)].lateness;
        let marks = group.members.iter().map(|&series| self.core.state.series[series as usize].mark());
        let mark = marks.min().unwrap_or(Time::MIN).minus(lateness);
        let starts: Vec<_> = match &group.extra {
            Extra::Sorted(sorted) => {
                sorted.first().filter(|first| *first <= mark).map(|_| mark).into_iter().collect()
            }
            Extra::Hopping(waiting) => waiting.iter().filter(|w| w.end <= mark).map(|w| w.start).collect(),
            Extra::Nothing | Extra::Sessions(_) => {
                let open = group.open.iter().filter(|open| open.late.is_none() && open.end <= mark);
                open.map(|open| open.start).collect()
            }
        };
        for start in starts {
            self.close(&Closing { group: number, start, late: false }, loaded);
        }
    }

    fn close(&mut self, closing: &Closing, loaded: &Loaded) {
        let mut taken = std::mem::take(&mut self.core.taken);
        self.core.take_windows(closing, self.changes.entry.now, &mut taken);
        self.changes.entry.closings.push(*closing);
        for window in taken.drain(..) {
            self.closed(closing.group, window, loaded);
        }
        self.core.taken = taken;
    }

    fn closed(&mut self, number: u32, window: Taken, loaded: &Loaded) {
        let Taken { at, mut start, mut end, ordinal, late, mut content } = window;
        let group = &self.core.state.groups[at as usize].group;
        let definition = Definition::of(&self.core.plan, group);
        let Some(bases) = self.bases(late.as_deref().unwrap_or_default(), loaded) else { return };
        let bounds = (start, end);
        // What was merged into a coarser window amends that one.
        if let ([(key, kept)], true) = (bases.as_slice(), definition.cut.ends_by_time()) {
            (start, end) = (kept.start, key.end);
        }
        let coarse = (start, end) != bounds;
        let (revision, replaces) = amend(&definition, start, &bases, &mut content);
        for lane in content.lanes.iter_mut().filter(|lane| lane.is_ordered()) {
            lane.opening = group.opening(start, lane.metric).or(lane.opening);
            let last = lane.opening.map(|(time, _)| time);
            for gone in self.core.gone_between(group, lane.metric, (start, end), last) {
                lane.break_at(gone);
            }
        }
        // A window in which nothing was counted is no summary.
        if content.completeness.received == 0 {
            return;
        }
        // What was found when it closed first is not remembered for ever.
        let offline = self.core.offline_seconds(group, start, end);
        content.completeness.offline = content.completeness.offline.max(offline);
        let rendering = Rendering {
            definition: &definition,
            start,
            end,
            ordinal,
            revision,
            replaces: &replaces,
            content: &content,
        };
        let (record, id, event) = rendering.render();
        let to = self.core.plan.summaries[usize::from(group.summary)].to.clone();
        let key = ClosedKey { end, group: number };
        let retires = bases.iter().map(|(old, _)| *old).filter(|old| *old != key).collect();
        let closed =
            Closed { key, revision, replaces, retires, content, id, event, record, to, definition, coarse };
        if late.is_some() {
            self.amended.insert(key, Kept::of(&closed));
        }
        self.changes.closed.push(closed);
    }

    /// What a window is to be merged with, as this step has left it; `None` where nothing more is told of it.
    fn bases(&self, late: &[ClosedKey], loaded: &Loaded) -> Option<Vec<(ClosedKey, Kept)>> {
        let mut bases = Vec::new();
        for key in late {
            match loaded.get(key) {
                Some(Stored::Window(key, kept)) => {
                    let kept = self.amended.get(key).unwrap_or(kept);
                    bases.push((*key, kept.clone()));
                }
                Some(Stored::Silent) => return None,
                None => {}
            }
        }
        Some(bases)
    }

    fn forget(&mut self, now: Time) {
        let far = |upto: Time| {
            upto > Time::MIN
                && self.core.state.forgotten.is_none_or(|forgotten| upto >= forgotten.plus(FORGET_STEP))
        };
        let aged = self.may_forget().then(|| now.minus(self.core.horizon));
        // That is no matter of the clock: these windows are there, and have no room.
        let pressed = self.press.filter(|_| self.knows_time()).map(|upto| upto.min(now));
        let Some(horizon) = aged.max(pressed).filter(|upto| far(*upto)) else { return };
        // What is being amended must still be in the store when its window closes.
        let amending = self.core.due.iter().filter(|due| due.late);
        let first =
            amending.flat_map(|due| self.late_keys(due)).map(|key| key.end).min().unwrap_or(Time::MAX);
        let upto = horizon.min(first.minus(Span(1)));
        if far(upto) {
            self.changes.entry.forgotten = Some(upto);
            self.changes.forgotten = Some(upto);
            self.core.note_forgotten(Some(upto));
        }
    }
}

/// Makes `content` that of the whole, where this amends what was closed before: the revision, and the keys that it replaces.
fn amend(
    definition: &Definition,
    start: Time,
    bases: &[(ClosedKey, Kept)],
    content: &mut Content,
) -> (u32, Vec<String>) {
    let Some(((_, first), rest)) = bases.split_first() else { return (0, Vec::new()) };
    let mut whole = first.content.clone();
    rest.iter().for_each(|(_, base)| whole.merge(&base.content));
    whole.merge(content);
    *content = whole;
    let (mut revision, mut replaces) = (0, Vec::new());
    for (key, base) in bases {
        replaces.extend(base.replaces.iter().cloned());
        if base.start == start {
            revision = base.revision + 1;
        } else {
            replaces.push(definition.key(base.start, key.end, None));
        }
    }
    (revision, replaces)
}
