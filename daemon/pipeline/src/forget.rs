//! Forgetting: series and counters that were idle for long enough make room for new ones.
//!
//! Idle is counted in connected time: while a source is away its sensors may well go on. What is forgotten must not be
//! missed by anything that can still come: the windows of a series are closed and past their amendment, and what a broker
//! kept for us was delivered when it connected.

use crate::alert::Watch;
use crate::entry::Event;
use crate::pipeline::Pipeline;
use crate::series::{Group, Series};
use crate::state::Heard;
use crate::step::Step;
use crate::time::Span;

/// Nothing is forgotten sooner.
const IDLE_MIN: Span = Span::from_secs(86_400);
/// Series and counters that are looked at in one step.
const LOOKS: usize = 32;

impl Step<'_> {
    /// Looks at a few series and counters, and forgets those that were idle for long enough.
    pub(crate) fn sweep(&mut self) {
        let core = &*self.core;
        let reach = Span(core.reach.0.saturating_add(core.plan.max_future.0)).max(IDLE_MIN);
        let idle = |heard: &Heard| {
            let source = core.state.sources.get(usize::from(heard.source));
            source.is_none_or(|source| source.connected.0 - heard.connected.0 > reach.0)
        };
        let all = core.state.series.len().max(core.state.counters.len());
        let looks: Vec<usize> = (0..LOOKS.min(all)).map(|n| (core.sweep + n) % all).collect();
        let series = looks.iter().filter(|&&at| {
            let series = core.state.series.get(at).filter(|series| !series.is_vacant());
            series.is_some_and(|series| {
                let group = |at: &u32| &core.state.groups[*at as usize].group;
                let watch = |at: &u32| &core.state.watches[*at as usize];
                let alert = |at: &u32| &core.plan.alerts[usize::from(watch(at).alert)];
                idle(&series.heard)
                    && !core.state.raw.holds(crate::pipeline::number(at))
                    && series.watches.iter().all(|at| watch(at).lets_go(alert(at)))
                    && series.groups.iter().all(|at| group(at).members.len() > 1 || group(at).is_idle())
            })
        });
        let counters = looks.iter().filter(|&&at| {
            core.state.counters.get(at).is_some_and(|known| !known.name.is_empty() && idle(&known.heard))
        });
        let number = |at: &usize| crate::pipeline::number(*at);
        let mut events: Vec<_> = series.map(|at| Event::ForgetSeries { series: number(at) }).collect();
        events.extend(counters.map(|at| Event::ForgetCounter { counter: number(at) }));
        self.core.sweep = looks.last().map_or(0, |at| at + 1);
        events.into_iter().for_each(|event| self.event(event));
    }
}

impl Pipeline {
    pub(crate) fn forget_series(&mut self, at: u32) {
        if let Some(since) = self.offline_since(at) {
            self.mark_watches(at, false, since);
        }
        if let Some(presence) = self.state.series[at as usize].presence {
            self.leave_presence(at, presence);
        }
        let series = std::mem::replace(&mut self.state.series[at as usize], Series::vacant());
        self.name_series(series.stream, &series.metric, &series.tags);
        self.series_index.remove(self.name.as_str());
        self.state.vacant_series.push(at);
        self.state.recorder.forget(at);
        self.worst.forget(at, &self.state);
        for group in series.groups {
            let members = &mut self.state.groups[group as usize].group.members;
            members.retain(|member| *member != at);
            if members.is_empty() {
                self.forget_group(group);
            }
        }
        for watch in series.watches {
            let known = &mut self.state.watches[watch as usize];
            known.members -= 1;
            if known.members == 0 {
                self.forget_watch(watch);
            }
        }
        // Routes remember series and counters by number.
        self.routes = Default::default();
    }

    pub(crate) fn forget_watch(&mut self, at: u32) {
        let watch = std::mem::replace(&mut self.state.watches[at as usize], Watch::vacant());
        self.name_watch(&watch);
        self.watch_index.remove(self.name.as_str());
        self.timers.set(at, None);
        self.raised.remove(&at);
        self.state.vacant_watches.push(at);
    }

    pub(crate) fn forget_group(&mut self, at: u32) {
        let place = &mut self.state.groups[at as usize];
        let group = std::mem::replace(&mut place.group, Group::vacant());
        self.group_places.remove(&place.number);
        self.name_group(&group);
        self.group_index.remove(self.name.as_str());
        self.state.vacant_groups.push(at);
    }

    pub(crate) fn forget_counter(&mut self, at: u32) {
        if let Some(device) = self.device_of(at) {
            self.state.devices.settle(device);
        }
        self.last_counter = None;
        let known = &mut self.state.counters[at as usize];
        self.counter_index.remove(known.name.as_str());
        known.name = String::new();
        // What it remembered can be large.
        known.counter = crate::dedupe::Counter::new(crate::dedupe::CounterKind::Boots);
        self.state.vacant_counters.push(at);
        self.routes = Default::default();
    }
}
