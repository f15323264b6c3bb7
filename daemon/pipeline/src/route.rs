//! Routes: which streams a topic belongs to and what it says, found once per topic and remembered.

use crate::limits::{NAME_BYTES_MAX, ROUTES_MAX};
use crate::plan::{METRIC, Plan, StreamPlan, TagPlan};
use hashbrown::HashMap;

/// What is known of a topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    /// One part per matching stream, in the order of the plan.
    pub(crate) parts: Vec<RoutePart>,
    /// The streams whose sensors say here whether they are there, and whose. Then it is no data to any stream.
    pub(crate) presence: Vec<(u16, Vec<(String, String)>)>,
}

/// A topic as one stream sees it.
#[derive(Clone, Debug)]
pub(crate) struct RoutePart {
    pub(crate) stream: u16,
    /// The topic's `{metric}`.
    pub(crate) metric: Option<String>,
    /// Tags from the topic and constants, sorted by name.
    pub(crate) tags: Vec<(String, String)>,
    /// Some name is longer than names may be.
    pub(crate) too_long: bool,
    /// Series found here before, by metric. Only where no tag comes from the payload.
    pub(crate) series: Vec<(Box<str>, u32)>,
    /// The sequence counter, once known. Only where no tag of it comes from the payload.
    pub(crate) counter: Option<u32>,
}

/// The cache of routes, by source and topic. Never iterated.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    known: Vec<Route>,
    index: HashMap<Box<[u8]>, u32, foldhash::fast::FixedState>,
    scratch: Vec<u8>,
}

impl Routes {
    /// Takes the route of `topic` out, made when not known; `None` when no stream matches. Give it back with
    /// [`Routes::give_back`].
    pub(crate) fn take(&mut self, plan: &Plan, source: u16, topic: &str) -> Option<(usize, Route)> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&source.to_le_bytes());
        self.scratch.extend_from_slice(topic.as_bytes());
        if let Some(&at) = self.index.get(self.scratch.as_slice()) {
            let at = at as usize;
            return Some((at, std::mem::take(&mut self.known[at])));
        }
        let route = Route::find(plan, source, topic);
        // Topics that nothing matches are not remembered: there is no end of them.
        if route.parts.is_empty() && route.presence.is_empty() {
            return None;
        }
        if self.known.len() == ROUTES_MAX {
            self.known.clear();
            self.index.clear();
        }
        let at = self.known.len();
        self.known.push(Route::default());
        self.index.insert(self.scratch.as_slice().into(), u32::try_from(at).unwrap_or(u32::MAX));
        Some((at, route))
    }

    pub(crate) fn give_back(&mut self, at: usize, route: Route) {
        if let Some(place) = self.known.get_mut(at) {
            *place = route;
        }
    }
}

impl Route {
    fn find(plan: &Plan, source: u16, topic: &str) -> Route {
        let presence = Route::presence(plan, source, topic);
        if !presence.is_empty() {
            return Route { parts: Vec::new(), presence };
        }
        let streams = plan.streams.iter().enumerate();
        let parts = streams
            .filter(|(_, stream)| stream.sources.contains(&source))
            .filter_map(|(index, stream)| RoutePart::find(u16::try_from(index).ok()?, stream, topic));
        // There is a route for every topic, mostly of one part.
        let mut parts: Vec<_> = parts.collect();
        parts.shrink_to_fit();
        Route { parts, presence }
    }

    fn presence(plan: &Plan, source: u16, topic: &str) -> Vec<(u16, Vec<(String, String)>)> {
        let streams = plan.streams.iter().zip(0u16..).filter(|(stream, _)| stream.sources.contains(&source));
        let says = |(stream, index): (&StreamPlan, u16)| {
            let mut tags = Vec::new();
            let renamed = |name: &str, value: &str| (name.to_owned(), stream.renamed(name, value).to_owned());
            let pattern = &stream.availability.as_ref()?.topic;
            let found = pattern.matches(topic, |name, value| tags.push(renamed(name, value)));
            tags.sort();
            tags.shrink_to_fit();
            found.then_some((index, tags))
        };
        streams.filter_map(says).collect()
    }
}

impl RoutePart {
    fn find(index: u16, stream: &StreamPlan, topic: &str) -> Option<RoutePart> {
        if stream.exclude.iter().any(|pattern| pattern.covers(topic)) {
            return None;
        }
        let mut metric = None;
        let mut tags: Vec<(String, String)> = Vec::new();
        let matched = stream.topics.iter().any(|pattern| {
            pattern.matches(topic, |name, value| match name {
                METRIC => metric = Some(value.to_owned()),
                _ => tags.push((name.to_owned(), value.to_owned())),
            })
        });
        if !matched {
            return None;
        }
        for (name, tag) in &stream.tags {
            if let TagPlan::Constant(value) = tag {
                tags.push((name.clone(), value.clone()));
            }
        }
        tags.sort();
        for (name, value) in &mut tags {
            let renamed = stream.renamed(name, value);
            if renamed != value {
                *value = renamed.to_owned();
            }
        }
        let too_long = tags.iter().map(|(_, value)| value).chain(&metric).any(|v| v.len() > NAME_BYTES_MAX);
        Some(RoutePart { stream: index, metric, tags, too_long, series: Vec::new(), counter: None })
    }
}
