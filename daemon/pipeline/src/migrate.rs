//! Changing the plan: what goes on, what is closed, what is renumbered.
//!
//! A summary whose keys stay the same goes on, with its open windows; where its aggregates change, these are closed under
//! the old plan first, and what still comes for them amends. A summary whose keys change, or that is gone, closes its
//! windows under the old plan. So no reading is counted in both, and none in neither.

use crate::pipeline::Pipeline;
use crate::plan::Plan;
use crate::state::{NumberedGroup, State};
use crate::verdict::{Reason, Verdict};

impl Pipeline {
    /// The summaries (by index in the present plan) whose open windows must be closed before [`Pipeline::migrate`].
    pub fn closes_for(&self, new: &Plan) -> Vec<u16> {
        let changed = |at: &usize| {
            let old = &self.plan.summaries[*at];
            let heir = new.summaries.iter().find(|summary| summary.name == old.name);
            heir.is_none_or(|heir| {
                !old.same_keys(&self.plan.streams, heir, &new.streams) || old.aggregates != heir.aggregates
            })
        };
        (0..self.plan.summaries.len()).filter(changed).filter_map(|at| u16::try_from(at).ok()).collect()
    }

    /// The same pipeline under another plan. The windows that [`Pipeline::closes_for`] names are closed.
    pub fn migrate(self, new: Plan) -> Pipeline {
        let old = &self.plan;
        let streams = moved(&names(&old.streams, |s| &s.name), &names(&new.streams, |s| &s.name));
        let sources = moved(&names(&old.sources, |s| s), &names(&new.sources, |s| s));
        let summary = |at: u16| {
            let before = &old.summaries[usize::from(at)];
            let after = new.summaries.iter().position(|summary| summary.name == before.name)?;
            let same = before.same_keys(&old.streams, &new.summaries[after], &new.streams);
            same.then(|| u16::try_from(after).ok()).flatten()
        };
        let groups = self.state.groups.iter().filter_map(|numbered| {
            let mut group = numbered.group.clone();
            group.summary = summary(group.summary)?;
            group.streams = group.streams.iter().filter_map(|&at| streams[usize::from(at)]).collect();
            group.members.clear();
            Some(NumberedGroup { number: numbered.number, group })
        });
        let sessions = self.state.sessions.iter().filter_map(|(name, heard, session)| {
            let (source, client) = name.split_once('/')?;
            let source = sources.get(source.parse::<usize>().ok()?).copied().flatten()?;
            Some((format!("{source}/{client}"), *heard, session.clone()))
        });
        let counters = self.state.counters.iter().filter_map(|(name, counter)| {
            let (stream, rest) = name.split_once('\u{1}')?;
            let stream = streams.get(stream.parse::<usize>().ok()?).copied().flatten()?;
            Some((format!("{stream}\u{1}{rest}"), counter.clone()))
        });
        let mut ledger = self.state.ledger.clone();
        let mut gone = 0;
        let held =
            self.state.held.renumbered(|at| sources.get(usize::from(at)).copied().flatten(), &mut gone);
        if gone > 0 {
            ledger.add(Verdict::Rejected(Reason::Unmatched), gone);
        }
        let state = State {
            series: Vec::new(),
            groups: groups.collect(),
            next_group: self.state.next_group,
            counters: counters.collect(),
            sessions: sessions.collect(),
            ledger,
            forgotten: self.state.forgotten,
            clock: self.state.clock,
            held,
        };
        let mut pipeline = Pipeline::restore(new, state);
        for series in &self.state.series {
            let Some(stream) = streams[usize::from(series.stream)] else { continue };
            let at = pipeline.add_series(stream, &series.metric, &series.tags) as usize;
            let moved = &mut pipeline.state.series[at];
            moved.heard = series.heard;
            moved.latest = series.latest;
            if moved.times.is_some() && series.times.is_some() {
                moved.times.clone_from(&series.times);
            }
        }
        pipeline
    }
}

fn names<T>(items: &[T], name: impl Fn(&T) -> &String) -> Vec<&str> {
    items.iter().map(|item| name(item).as_str()).collect()
}

/// Where each of `before` stands in `after`.
fn moved(before: &[&str], after: &[&str]) -> Vec<Option<u16>> {
    let place =
        |name: &&str| after.iter().position(|other| other == name).and_then(|at| u16::try_from(at).ok());
    before.iter().map(place).collect()
}
