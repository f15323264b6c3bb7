//! Closing: windows that are due, late ones merged with what the store kept of them.

use super::Step;
use crate::event::{Closed, ClosedKey, Rendering};
use crate::pipeline::{Changes, Kept, Loaded};
use crate::time::{Span, Time};

/// How coarse [`Changes::forgotten`] is: forgetting costs a journal field, not forgetting only room.
const FORGET_STEP: Span = Span::from_secs(60);

impl Step<'_> {
    /// The closed windows that [`Step::finish`] needs to amend.
    pub fn needs(&self, now: Time, held: &dyn Fn(u16) -> bool) -> Vec<ClosedKey> {
        let due = self.core.due.iter().take_while(|due| due.due <= now);
        due.filter(|due| due.late && !self.is_held(due.group, held))
            .map(|due| self.key(due.group, due.start))
            .collect()
    }

    /// Closes the windows that are due, and ends the step. `held(source)` says whether a source is still delivering
    /// what waited for us: windows that it reports to stay open. `loaded` holds what [`Step::needs`] asked for and the
    /// store had.
    pub fn finish(mut self, now: Time, held: &dyn Fn(u16) -> bool, loaded: &Loaded) -> Changes {
        self.changes.entry.now = now;
        let due: Vec<_> = self.core.due.iter().take_while(|due| due.due <= now).copied().collect();
        for due in due {
            if !self.is_held(due.group, held) {
                self.close(due.group, due.start, loaded);
            }
        }
        if !self.changes.is_empty() {
            self.forget(now);
        }
        self.changes
    }

    /// All open late windows: what [`Step::finish_all`] needs.
    pub fn needs_all(&self) -> Vec<ClosedKey> {
        self.core.due.iter().filter(|due| due.late).map(|due| self.key(due.group, due.start)).collect()
    }

    /// Closes every open window of the summaries that `which` names, due or not, and ends the step.
    pub fn finish_all(mut self, now: Time, which: &dyn Fn(u16) -> bool, loaded: &Loaded) -> Changes {
        self.changes.entry.now = now;
        let due: Vec<_> = self.core.due.iter().copied().collect();
        for due in due {
            if which(self.core.state.groups[due.group as usize].group.summary) {
                self.close(due.group, due.start, loaded);
            }
        }
        self.changes
    }

    fn key(&self, group: u32, start: Time) -> ClosedKey {
        let numbered = &self.core.state.groups[group as usize];
        let summary = &self.core.plan.summaries[usize::from(numbered.group.summary)];
        ClosedKey { end: summary.window.around(start).1, group: numbered.number }
    }

    fn is_held(&self, group: u32, held: &dyn Fn(u16) -> bool) -> bool {
        let summary = self.core.state.groups[group as usize].group.summary;
        self.core.plan.is_held(&self.core.plan.summaries[usize::from(summary)], held)
    }

    fn close(&mut self, group: u32, start: Time, loaded: &Loaded) {
        let key = self.key(group, start);
        let closing = crate::entry::Closing { group: key.group, start };
        let Some((_, open)) = self.core.take_window(&closing) else { return };
        self.changes.entry.closings.push(closing);
        let base = open.late.then(|| loaded.get(&key)).flatten();
        let (revision, content) = match base {
            Some(Kept { revision, content }) => {
                let mut whole = content.clone();
                whole.merge(&open.content);
                (revision + 1, whole)
            }
            None => (0, open.content),
        };
        // A window in which nothing was counted is no summary.
        if content.completeness.received == 0 {
            return;
        }
        let group = &self.core.state.groups[group as usize].group;
        let rendering =
            Rendering { plan: &self.core.plan, group, start, end: open.end, revision, content: &content };
        let (record, id, event) = rendering.render();
        let to = self.core.plan.summaries[usize::from(group.summary)].to.clone();
        self.changes.closed.push(Closed { key, revision, content, id, event, record, to });
    }

    fn forget(&mut self, now: Time) {
        let far = |upto: Time| {
            upto > Time::MIN
                && self.core.state.forgotten.is_none_or(|forgotten| upto >= forgotten.plus(FORGET_STEP))
        };
        let horizon = now.minus(self.core.horizon);
        if !far(horizon) {
            return;
        }
        // What is being amended must still be in the store when its window closes.
        let amending = self.core.due.iter().filter(|due| due.late);
        let first = amending.map(|due| self.key(due.group, due.start).end).min().unwrap_or(Time::MAX);
        let upto = horizon.min(first.minus(Span(1)));
        if far(upto) {
            self.changes.entry.forgotten = Some(upto);
            self.changes.forgotten = Some(upto);
            self.core.note_forgotten(Some(upto));
        }
    }
}
