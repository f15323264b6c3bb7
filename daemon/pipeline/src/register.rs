//! Registration: series and groups get their numbers, and are found by name.

use crate::alert::Watch;
use crate::clean;
use crate::dedupe::{Counter, CounterKind};
use crate::limits::WIDE_METRICS_MAX;
use crate::pipeline::{Due, Pipeline, number};
use crate::plan::{Keys, Layout, SummaryPlan, Unique};
use crate::rejections::{Rejections, Worst};
use crate::series::{self, Extra, Group, Series};
use crate::state::{Heard, KnownClock, KnownCounter, NumberedGroup};
use crate::ticks::Clock;
use crate::time::{Span, Time};
use crate::window::Cutter;
use std::sync::Arc;

impl Pipeline {
    pub(crate) fn add_series(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) -> u32 {
        let at = self.next_series();
        let groups = self.groups_of(at, stream, metric, tags);
        let watches = self.watches_of(stream, metric, tags);
        let presence = self.join_presence(at, stream, tags);
        let plan = &self.plan.streams[usize::from(stream)];
        let by_time = plan.unique == Unique::Time;
        let cleaning = clean::memories(&plan.clean, metric);
        self.name_series(stream, metric, tags);
        self.series_index.insert(self.name.as_str().into(), at);
        let series = Series {
            stream,
            metric: metric.to_owned(),
            tags: tags.to_vec(),
            heard: Heard::default(),
            latest: (Time::MIN, Time::MIN),
            groups,
            watches,
            presence,
            times: by_time.then(Box::default),
            cleaning,
            rejections: Rejections::default(),
        };
        match self.state.vacant_series.pop() {
            Some(at) => self.state.series[at as usize] = series,
            None => push(&mut self.state.series, series),
        }
        if let Some(since) = self.offline_since(at) {
            self.mark_watches(at, true, since);
        }
        at
    }

    /// The number that the next new series gets.
    pub(crate) fn next_series(&self) -> u32 {
        self.state.vacant_series.last().copied().unwrap_or_else(|| number(self.state.series.len()))
    }

    /// The number that the next new counter gets.
    pub(crate) fn next_counter(&self) -> u32 {
        self.state.vacant_counters.last().copied().unwrap_or_else(|| number(self.state.counters.len()))
    }

    pub(crate) fn add_counter(&mut self, name: &str, kind: CounterKind) {
        self.counter_index.insert(name.into(), self.next_counter());
        self.last_counter = None;
        let counter = Counter::new(kind);
        let known = KnownCounter { name: name.to_owned(), heard: Heard::default(), counter };
        match self.state.vacant_counters.pop() {
            Some(at) => self.state.counters[at as usize] = known,
            None => self.state.counters.push(known),
        }
    }

    pub(crate) fn name_series(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) {
        let tags = tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
        series::name(&mut self.name, stream, metric, tags);
    }

    /// The groups that a new series reports to; makes the ones that are missing.
    fn groups_of(&mut self, member: u32, stream: u16, metric: &str, tags: &[(String, String)]) -> Vec<u32> {
        let plan = Arc::clone(&self.plan);
        let mut groups = Vec::new();
        for (index, summary) in plan.summaries.iter().enumerate().filter(|(_, s)| s.chooses(stream, metric)) {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let at = match self.group_named(index, metric, tags) {
                Some(at) => at,
                None => self.add_group(index, metric, tags),
            };
            let group = &mut self.state.groups[at as usize].group;
            group.members.push(member);
            if !group.streams.contains(&stream) {
                group.streams.push(stream);
            }
            if summary.layout == Layout::Wide && !group.metrics.iter().any(|known| known == metric) {
                group.metrics.push(metric.to_owned());
            }
            groups.push(at);
        }
        groups
    }

    /// The watches of a new series; makes the ones that are missing.
    fn watches_of(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) -> Vec<u32> {
        let plan = Arc::clone(&self.plan);
        let mut watches = Vec::new();
        for (alert, index) in
            plan.alerts.iter().zip(0u16..).filter(|(alert, _)| alert.watches(stream, metric))
        {
            let metric = alert.by_metric().then_some(metric);
            let value =
                |name: &str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str());
            let pairs: Vec<_> =
                alert.key_tags(&plan.streams).into_iter().map(|name| (name, value(name))).collect();
            series::name(&mut self.name, index, metric.unwrap_or_default(), pairs.iter().copied());
            let at = match self.watch_index.get(self.name.as_str()) {
                Some(&at) => at,
                None => {
                    let tags = pairs.iter().map(|(_, value)| value.map(str::to_owned)).collect();
                    let watch = Watch::new(index, metric.map(str::to_owned), tags);
                    let at = self.state.vacant_watches.pop().unwrap_or(number(self.state.watches.len()));
                    match self.state.watches.get_mut(at as usize) {
                        Some(place) => *place = watch,
                        None => self.state.watches.push(watch),
                    }
                    self.watch_index.insert(self.name.as_str().into(), at);
                    at
                }
            };
            let watch = &mut self.state.watches[at as usize];
            watch.members += 1;
            if !watch.streams.contains(&stream) {
                watch.streams.push(stream);
            }
            self.timers.soon(at);
            watches.push(at);
        }
        watches
    }

    /// After the epoch that stands in keys has changed: gives each series the groups of this one, and lets those of any
    /// other but the synchronised go. Their windows are closed.
    pub(crate) fn regroup(&mut self) {
        let epoch = self.state.clock.group_epoch();
        for at in 0..self.state.groups.len() {
            let group = &mut self.state.groups[at].group;
            if group.epoch == epoch {
                // All series come again; those of other groups do when these come back.
                group.members.clear();
            } else if group.epoch.is_some() {
                self.forget_group(number(at));
            }
        }
        self.state.retired.forget_other_epochs(epoch);
        self.ripe.clear();
        for at in 0..self.state.series.len() {
            if !self.state.series[at].is_vacant() {
                let Series { stream, metric, tags, .. } = self.state.series[at].clone();
                self.state.series[at].groups = self.groups_of(number(at), stream, &metric, &tags);
            }
        }
        // Their series were forgotten in the meantime.
        for at in 0..self.state.groups.len() {
            let group = &self.state.groups[at].group;
            if !group.is_vacant() && group.epoch == epoch && group.members.is_empty() && group.is_idle() {
                self.forget_group(number(at));
            }
        }
    }

    /// Whether every summary that puts a device into one event has room for another metric.
    pub(crate) fn has_room_for(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) -> bool {
        let plan = Arc::clone(&self.plan);
        let wide = |summary: &SummaryPlan| summary.layout == Layout::Wide && summary.chooses(stream, metric);
        let mut wide = plan.summaries.iter().enumerate().filter(|(_, summary)| wide(summary));
        wide.all(|(index, _)| {
            let at = self.group_named(u16::try_from(index).unwrap_or(u16::MAX), metric, tags);
            let metrics = at.map(|at| &self.state.groups[at as usize].group.metrics);
            metrics.is_none_or(|known| {
                known.len() < WIDE_METRICS_MAX || known.iter().any(|known| known == metric)
            })
        })
    }

    /// The group of a series in a summary; leaves its name in the scratch.
    fn group_named(&mut self, index: u16, metric: &str, tags: &[(String, String)]) -> Option<u32> {
        let summary = &self.plan.summaries[usize::from(index)];
        let names = summary.key_tags(&self.plan.streams);
        let value = |name: &str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str());
        let pairs = names.iter().map(|name| (*name, value(name)));
        series::name(&mut self.name, index, summary.metric_of_key(metric), pairs);
        series::name_epoch(&mut self.name, self.state.clock.group_epoch());
        self.group_index.get(self.name.as_str()).copied()
    }

    /// Makes the group whose name is in the scratch.
    fn add_group(&mut self, index: u16, metric: &str, tags: &[(String, String)]) -> u32 {
        let summary = &self.plan.summaries[usize::from(index)];
        let value = |name: &&str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.clone());
        let group = Group {
            summary: index,
            metric: summary.metric_of_key(metric).to_owned(),
            epoch: self.state.clock.group_epoch(),
            tags: summary.key_tags(&self.plan.streams).iter().map(value).collect(),
            kind: self.plan.kind_of(summary, metric),
            extra: match self.cutters[usize::from(index)] {
                Cutter::Aligned(_) => Extra::Nothing,
                Cutter::Session(_) => Extra::Sessions(Box::default()),
                Cutter::Sorted(_) => Extra::Sorted(Box::default()),
            },
            ..Group::vacant()
        };
        let numbered = self.numbered(group);
        let id = numbered.number;
        let at = match self.state.vacant_groups.pop() {
            Some(at) => {
                self.state.groups[at as usize] = numbered;
                at
            }
            None => {
                push(&mut self.state.groups, numbered);
                number(self.state.groups.len() - 1)
            }
        };
        self.group_index.insert(self.name.as_str().into(), at);
        self.group_places.insert(id, at);
        at
    }

    /// A new group under its number, or the one that rests under its name and goes on.
    fn numbered(&mut self, new: Group) -> NumberedGroup {
        if !self.state.retired.is_empty() {
            let keys = Keys::of(&self.plan.summaries[usize::from(new.summary)], &self.plan.streams);
            let name = (new.epoch, new.metric.clone(), new.tags.clone());
            if let Some(NumberedGroup { number, group }) = self.state.retired.take(&keys, &name) {
                return NumberedGroup {
                    number,
                    group: Group { summary: new.summary, kind: new.kind, ..group },
                };
            }
        }
        let number = self.state.next_group;
        self.state.next_group += 1;
        NumberedGroup { number, group: new }
    }

    /// The name under which a group is found.
    pub(crate) fn name_group(&mut self, group: &Group) {
        let names = self.plan.summaries[usize::from(group.summary)].key_tags(&self.plan.streams);
        let tags = names.iter().copied().zip(group.tags.iter().map(Option::as_deref));
        series::name(&mut self.name, group.summary, &group.metric, tags);
        series::name_epoch(&mut self.name, group.epoch);
    }

    /// Gives a device's clock its number, which may have been another's.
    pub(crate) fn add_clock(&mut self, slot: u32, name: &str, resolution: Span) {
        let known = KnownClock { name: name.to_owned(), clock: Clock::new(resolution) };
        match self.state.clocks.get_mut(slot as usize) {
            Some(place) => {
                self.clock_index.remove(place.name.as_str());
                *place = known;
            }
            None => self.state.clocks.push(known),
        }
        self.clock_index.insert(name.into(), slot);
        self.state.devices.met(slot);
        self.last_counter = None;
    }

    /// Rebuilds what is derived from the state.
    pub(crate) fn index(&mut self) {
        self.worst = Worst::of(&self.state);
        let mut name = String::new();
        for (at, series) in self.state.series.iter().enumerate().filter(|(_, series)| !series.is_vacant()) {
            let tags = series.tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
            series::name(&mut name, series.stream, &series.metric, tags);
            self.series_index.insert(name.as_str().into(), number(at));
        }
        let groups = self.state.groups.iter_mut().enumerate();
        for (at, numbered) in groups.filter(|(_, numbered)| !numbered.group.is_vacant()) {
            let group = &mut numbered.group;
            let summary = &self.plan.summaries[usize::from(group.summary)];
            group.kind = self.plan.kind_of(summary, &group.metric);
            let names = summary.key_tags(&self.plan.streams);
            let tags = names.iter().copied().zip(group.tags.iter().map(Option::as_deref));
            series::name(&mut name, group.summary, &group.metric, tags);
            series::name_epoch(&mut name, group.epoch);
            self.group_index.insert(name.as_str().into(), number(at));
            self.group_places.insert(numbered.number, number(at));
            let mut wait = |due, start, late| {
                self.due.insert(Due { due, group: number(at), start, late });
            };
            // A pane that is shared is due in the windows that it belongs to.
            for open in group.open.iter().filter(|open| open.due < Time::MAX) {
                wait(open.due, open.start, open.late.is_some());
            }
            match &group.extra {
                Extra::Hopping(waiting) => waiting.iter().for_each(|w| wait(w.due, w.start, false)),
                Extra::Sorted(sorted) => sorted.due().into_iter().for_each(|due| wait(due, Time::MIN, false)),
                Extra::Nothing | Extra::Sessions(_) => {}
            }
        }
        for (at, known) in self.state.counters.iter().enumerate().filter(|(_, known)| !known.name.is_empty())
        {
            self.counter_index.insert(known.name.as_str().into(), number(at));
        }
        for (at, known) in self.state.clocks.iter().enumerate() {
            self.clock_index.insert(known.name.as_str().into(), number(at));
        }
        for (at, known) in self.state.sessions.iter().enumerate() {
            self.session_index.insert(known.name.as_str().into(), number(at));
        }
        for (at, presence) in self.state.presences.iter().enumerate().filter(|(_, p)| !p.name.is_empty()) {
            self.presence_index.insert(presence.name.as_str().into(), number(at));
        }
        self.index_watches();
    }

    fn index_watches(&mut self) {
        let watches = std::mem::take(&mut self.state.watches);
        for (at, watch) in watches.iter().enumerate().filter(|(_, watch)| !watch.is_vacant()) {
            self.name_watch(watch);
            self.watch_index.insert(self.name.as_str().into(), number(at));
            self.timers.soon(number(at));
            if watch.raised().next().is_some() {
                self.raised.insert(number(at));
            }
        }
        self.state.watches = watches;
    }

    /// The name under which a watch is found.
    pub(crate) fn name_watch(&mut self, watch: &Watch) {
        let names = self.plan.alerts[usize::from(watch.alert)].key_tags(&self.plan.streams);
        let tags = names.iter().copied().zip(watch.tags.iter().map(Option::as_deref));
        series::name(&mut self.name, watch.alert, watch.metric.as_deref().unwrap_or_default(), tags);
    }
}

/// Pushes with little room to spare: there are many of these, and they are large.
fn push<T>(into: &mut Vec<T>, item: T) {
    if into.len() == into.capacity() {
        into.reserve_exact(into.len() / 8 + 16);
    }
    into.push(item);
}
