//! Registration: series and groups get their numbers, and are found by name.

use crate::alert::Watch;
use crate::pipeline::{Due, Pipeline, number};
use crate::plan::Unique;
use crate::series::{self, Group, Series};
use crate::state::NumberedGroup;
use crate::time::Time;
use std::sync::Arc;

impl Pipeline {
    pub(crate) fn add_series(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) -> u32 {
        let at = number(self.state.series.len());
        let groups = self.groups_of(stream, metric, tags);
        let watches = self.watches_of(stream, metric, tags);
        let by_time = self.plan.streams[usize::from(stream)].unique == Unique::Time;
        self.name_series(stream, metric, tags);
        self.series_index.insert(self.name.as_str().into(), at);
        self.state.series.push(Series {
            stream,
            metric: metric.to_owned(),
            tags: tags.to_vec(),
            heard: Time::MIN,
            groups,
            watches,
            times: by_time.then(Box::default),
        });
        at
    }

    pub(crate) fn name_series(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) {
        let tags = tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
        series::name(&mut self.name, stream, metric, tags);
    }

    /// The groups that a new series reports to; makes the ones that are missing.
    fn groups_of(&mut self, stream: u16, metric: &str, tags: &[(String, String)]) -> Vec<u32> {
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
            series::name(&mut self.name, summary, metric, pairs.iter().copied());
            let at = match self.group_index.get(self.name.as_str()) {
                Some(&at) => at,
                None => {
                    let at = number(self.state.groups.len());
                    self.group_index.insert(self.name.as_str().into(), at);
                    let tags = pairs.iter().map(|(_, value)| value.map(str::to_owned)).collect();
                    self.state.groups.push(NumberedGroup {
                        number: self.state.next_group,
                        group: Group {
                            summary,
                            metric: metric.to_owned(),
                            tags,
                            streams: Vec::new(),
                            members: 0,
                            closed_max: Time::MIN,
                            open: Vec::new(),
                        },
                    });
                    self.state.next_group += 1;
                    at
                }
            };
            let group = &mut self.state.groups[at as usize].group;
            group.members += 1;
            if !group.streams.contains(&stream) {
                group.streams.push(stream);
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
                    let at = number(self.state.watches.len());
                    self.watch_index.insert(self.name.as_str().into(), at);
                    let tags = pairs.iter().map(|(_, value)| value.map(str::to_owned)).collect();
                    self.state.watches.push(Watch::new(index, metric.map(str::to_owned), tags));
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
            self.group_index.insert(name.as_str().into(), number(at));
            for open in &group.open {
                self.due.insert(Due { due: open.due, group: number(at), start: open.start, late: open.late });
            }
        }
        for (at, watch) in self.state.watches.iter().enumerate() {
            let names = self.plan.alerts[usize::from(watch.alert)].key_tags(&self.plan.streams);
            let tags = names.iter().copied().zip(watch.tags.iter().map(Option::as_deref));
            series::name(&mut name, watch.alert, watch.metric.as_deref().unwrap_or_default(), tags);
            self.watch_index.insert(name.as_str().into(), number(at));
            self.timers.soon(number(at));
            if watch.raised().next().is_some() {
                self.raised.insert(number(at));
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
