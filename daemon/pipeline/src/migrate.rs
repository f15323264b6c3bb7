//! Changing the plan: what goes on, what is closed, what is renumbered.
//!
//! A summary whose keys stay the same goes on, with its open windows; where its aggregates change, these are closed under
//! the old plan first, and what still comes for them amends. A summary whose keys change, or that is gone, closes its
//! windows under the old plan. So no reading is counted in both, and none in neither.

use crate::alert::Watch;
use crate::pipeline::{Pipeline, number};
use crate::plan::{Keys, Plan, SummaryPlan};
use crate::raw::Raw;
use crate::rejections::Worst;
use crate::state::{Heard, KnownClock, KnownCounter, KnownSession, NumberedGroup, SourceState, State};
use crate::time::Span;
use crate::verdict::{Reason, Verdict};

impl Pipeline {
    /// The summaries (by index in the present plan) whose open windows must be closed before [`Pipeline::migrate`].
    pub fn closes_for(&self, new: &Plan) -> Vec<u16> {
        let changed = |at: &usize| {
            let old = &self.plan.summaries[*at];
            let heir = new.summaries.iter().find(|summary| summary.name == old.name);
            heir.is_none_or(|heir| {
                !old.same_keys(&self.plan.streams, heir, &new.streams)
                    || old.samples_max() != heir.samples_max()
                    || computes_otherwise(&self.plan, old, new, heir)
            })
        };
        (0..self.plan.summaries.len()).filter(changed).filter_map(|at| u16::try_from(at).ok()).collect()
    }

    /// The same pipeline under another plan. The windows that [`Pipeline::closes_for`] names are closed.
    pub fn migrate(self, new: Plan) -> Pipeline {
        let old = &self.plan;
        let streams = moved(&names(&old.streams, |s| &s.name), &names(&new.streams, |s| &s.name));
        let sources = moved(&names(&old.sources, |s| s), &names(&new.sources, |s| s));
        let [before, after] = [old, &new].map(|plan| {
            plan.summaries.iter().map(|summary| Keys::of(summary, &plan.streams)).collect::<Vec<_>>()
        });
        let place = |keys: &Keys| u16::try_from(after.iter().position(|other| other == keys)?).ok();
        let heirs: Vec<Option<u16>> = before.iter().map(place).collect();
        let mut retired = self.state.retired.clone();
        let groups = self.state.groups.iter().filter(|n| !n.group.is_vacant()).filter_map(|numbered| {
            let mut group = numbered.group.clone();
            let Some(at) = heirs[usize::from(group.summary)] else {
                retired.retire(&before[usize::from(group.summary)], numbered);
                return None;
            };
            group.summary = at;
            group.streams = group.streams.iter().filter_map(|&at| streams[usize::from(at)]).collect();
            group.members.clear();
            Some(NumberedGroup { number: numbered.number, group })
        });
        let source = |at: u16| sources.get(usize::from(at)).copied().flatten();
        let sessions = self.state.sessions.iter().filter_map(|known| {
            let (_, client) = known.name.split_once('/')?;
            let source = source(known.source)?;
            Some(KnownSession { name: format!("{source}/{client}"), source, ..known.clone() })
        });
        let mut known = vec![SourceState::default(); new.sources.len()];
        for (at, state) in self.state.sources.iter().enumerate() {
            if let Some(place) = u16::try_from(at).ok().and_then(source) {
                known[usize::from(place)] = *state;
            }
        }
        // What was heard from a source that is gone counts as heard just now from the first that there is.
        let first = Heard { source: 0, connected: known.first().map_or(Span::ZERO, |state| state.connected) };
        let heard = |heard: Heard| source(heard.source).map_or(first, |source| Heard { source, ..heard });
        let counters = self.state.counters.iter().filter_map(|known| {
            let (stream, rest) = known.name.split_once('\u{1}')?;
            let stream = streams.get(stream.parse::<usize>().ok()?).copied().flatten()?;
            let name = format!("{stream}\u{1}{rest}");
            Some(KnownCounter { name, heard: heard(known.heard), ..known.clone() })
        });
        let clocks = self.state.clocks.iter().zip(0..).filter_map(|(known, at)| {
            let (stream, rest) = known.name.split_once('\u{1}')?;
            let stream = streams.get(stream.parse::<usize>().ok()?).copied().flatten()?;
            Some((at, KnownClock { name: format!("{stream}\u{1}{rest}"), ..known.clone() }))
        });
        let (places, clocks): (Vec<u32>, Vec<_>) = clocks.unzip();
        let watches = self.state.watches.iter().filter(|watch| !watch.is_vacant()).filter_map(|watch| {
            let streams = watch.streams.iter().filter_map(|&at| streams[usize::from(at)]).collect();
            let alert = self.heir(watch.alert, &new)?;
            let sources = watch.sources.iter().filter_map(|&at| source(at)).collect();
            Some(Watch { alert, streams, sources, members: 0, offline: 0, ..watch.clone() })
        });
        let mut ledger = self.state.ledger.clone();
        let mut gone = 0;
        let held =
            self.state.held.renumbered(|at| sources.get(usize::from(at)).copied().flatten(), &mut gone);
        if gone > 0 {
            ledger.add(Verdict::Rejected(Reason::Unmatched), gone);
        }
        let state = State {
            sources: known,
            watches: watches.collect(),
            clocks,
            devices: self.state.devices.of(places.into_iter()),
            groups: groups.collect(),
            next_group: self.state.next_group,
            counters: counters.collect(),
            sessions: sessions.collect(),
            births: self.state.births.clone(),
            ledger,
            forgotten: self.state.forgotten,
            clock: self.state.clock,
            held,
            // Nothing waits: it became events under the old plan.
            raw: Raw { made: self.state.raw.made, ..Raw::default() },
            ..State::default()
        };
        retired.forget(state.forgotten);
        retired.shrink();
        let state = State { retired, ..state };
        let mut pipeline = Pipeline::restore(new, state);
        let mut numbers = vec![None; self.state.series.len()];
        for (series, number_now) in
            self.state.series.iter().zip(&mut numbers).filter(|(series, _)| !series.is_vacant())
        {
            let Some(stream) = streams[usize::from(series.stream)] else { continue };
            let at = pipeline.add_series(stream, &series.metric, &series.tags) as usize;
            *number_now = Some(number(at));
            let moved = &mut pipeline.state.series[at];
            moved.heard = heard(series.heard);
            moved.latest = series.latest;
            moved.rejections.clone_from(&series.rejections);
            // What other steps remember means nothing to new ones.
            if pipeline.plan.streams[usize::from(stream)].clean
                == old.streams[usize::from(series.stream)].clean
            {
                moved.cleaning.clone_from(&series.cleaning);
            }
            pipeline.keep_presence(number(at), series.presence.map(|at| &self.state.presences[at as usize]));
            let moved = &mut pipeline.state.series[at];
            if moved.times.is_some() && series.times.is_some() {
                moved.times.clone_from(&series.times);
            }
        }
        let number_of = |old: u32| numbers.get(old as usize).copied().flatten();
        pipeline.state.recorder = self.state.recorder.renumbered(pipeline.recording, number_of);
        pipeline.worst = Worst::of(&pipeline.state);
        for at in 0..pipeline.state.watches.len() {
            if pipeline.state.watches[at].members == 0 {
                pipeline.forget_watch(number(at));
            }
        }
        pipeline
    }
}

/// Whether `heir` computes something else than `old` of any metric.
fn computes_otherwise(plan: &Plan, old: &SummaryPlan, new: &Plan, heir: &SummaryPlan) -> bool {
    let named = |plan: &Plan, summary: &SummaryPlan| {
        let streams = summary.streams.iter().filter_map(|&at| plan.streams.get(usize::from(at)));
        let listed = streams.flat_map(|stream| stream.fields.listed()).map(|metric| metric.name.clone());
        let own = summary.by_metric.iter().map(|(metric, _)| metric.clone());
        listed.chain(own).collect::<Vec<_>>()
    };
    // The empty name stands for all metrics that nobody names.
    let metrics = named(plan, old).into_iter().chain(named(new, heir)).chain([String::new()]);
    metrics.into_iter().any(|metric| {
        let before = old.aggregates_for(&metric, plan.kind_of(old, &metric));
        before != heir.aggregates_for(&metric, new.kind_of(heir, &metric))
    })
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
