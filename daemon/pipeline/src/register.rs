//! Registration: series and groups get their numbers, and are found by name.

use crate::pipeline::{Due, Pipeline, number};
use crate::plan::Unique;
use crate::series::{self, Extra, Group, Series};
use crate::state::NumberedGroup;
use crate::time::Time;
use crate::window::Cutter;

impl Pipeline {
    pub(crate) fn add_series(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) -> u32 {
        let at = number(self.state.series.len());
        let groups = self.groups_of(at, stream, metric, tags);
        let by_time = self.plan.streams[usize::from(stream)].unique == Unique::Time;
        self.name_series(stream, metric, tags);
        self.series_index.insert(self.name.as_str().into(), at);
        self.state.series.push(Series {
            stream,
            metric: metric.to_owned(),
            tags: tags.to_vec(),
            heard: Time::MIN,
            latest: (Time::MIN, Time::MIN),
            groups,
            times: by_time.then(Box::default),
        });
        at
    }

    pub(crate) fn name_series(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) {
        let tags = tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
        series::name(&mut self.name, stream, metric, tags);
    }

    /// The groups that a new series reports to; makes the ones that are missing.
    fn groups_of(&mut self, member: u32, stream: u16, metric: &str, tags: &[(String, String)]) -> Vec<u32> {
        let mut groups = Vec::new();
        for summary in 0..self.plan.summaries.len() {
            let plan = &self.plan.summaries[summary];
            let chosen = plan.metrics.as_ref().is_none_or(|metrics| metrics.iter().any(|m| m == metric));
            if !chosen || !plan.streams.contains(&stream) {
                continue;
            }
            let names = plan.key_tags(&self.plan.streams);
            let value =
                |name: &str| tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str());
            let pairs: Vec<_> = names.iter().map(|name| (*name, value(name))).collect();
            let summary = u16::try_from(summary).unwrap_or(u16::MAX);
            let epoch = self.state.clock.group_epoch();
            series::name(&mut self.name, summary, metric, pairs.iter().copied());
            series::name_epoch(&mut self.name, epoch);
            let extra = match self.cutters[usize::from(summary)] {
                Cutter::Aligned(_) => Extra::Nothing,
                Cutter::Session(_) => Extra::Sessions(Box::default()),
                Cutter::Sorted(_) => Extra::Sorted(Box::default()),
            };
            let at = match self.group_index.get(self.name.as_str()) {
                Some(&at) => at,
                None => {
                    let at = number(self.state.groups.len());
                    self.group_index.insert(self.name.as_str().into(), at);
                    self.group_places.insert(self.state.next_group, at);
                    let tags = pairs.iter().map(|(_, value)| value.map(str::to_owned)).collect();
                    self.state.groups.push(NumberedGroup {
                        number: self.state.next_group,
                        group: Group {
                            summary,
                            metric: metric.to_owned(),
                            epoch,
                            tags,
                            streams: Vec::new(),
                            members: Vec::new(),
                            closed_max: Time::MIN,
                            open: Vec::new(),
                            extra,
                        },
                    });
                    self.state.next_group += 1;
                    at
                }
            };
            let group = &mut self.state.groups[at as usize].group;
            group.members.push(member);
            if !group.streams.contains(&stream) {
                group.streams.push(stream);
            }
            groups.push(at);
        }
        groups
    }

    /// After the epoch that stands in keys has changed: gives each series the groups of this one, and lets those of any
    /// other but the synchronised go. Their windows are closed.
    pub(crate) fn regroup(&mut self) {
        let epoch = self.state.clock.group_epoch();
        self.state.groups.retain(|numbered| numbered.group.epoch.is_none_or(|of| Some(of) == epoch));
        for numbered in self.state.groups.iter_mut().filter(|numbered| numbered.group.epoch == epoch) {
            // All series come again; those of the other groups come back when these do.
            numbered.group.members.clear();
        }
        self.group_index.clear();
        self.group_places.clear();
        self.due.clear();
        self.ripe.clear();
        self.index();
        for at in 0..self.state.series.len() {
            let Series { stream, metric, tags, .. } = self.state.series[at].clone();
            self.state.series[at].groups = self.groups_of(number(at), stream, &metric, &tags);
        }
    }

    /// Rebuilds what is derived from the state.
    pub(crate) fn index(&mut self) {
        let mut name = String::new();
        for (at, series) in self.state.series.iter().enumerate() {
            let tags = series.tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
            series::name(&mut name, series.stream, &series.metric, tags);
            self.series_index.insert(name.as_str().into(), number(at));
        }
        for (at, numbered) in self.state.groups.iter().enumerate() {
            let group = &numbered.group;
            let names = self.plan.summaries[usize::from(group.summary)].key_tags(&self.plan.streams);
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
        for (at, (name, _)) in self.state.counters.iter().enumerate() {
            self.counter_index.insert(name.as_str().into(), number(at));
        }
        for (at, (name, _, _)) in self.state.sessions.iter().enumerate() {
            self.session_index.insert(name.as_str().into(), number(at));
        }
    }
}
