//! Presence: which sensors are known to be offline, from the messages that say so (a birth and a will, mostly).
//!
//! A *presence* is what shares one availability topic: all series of the stream whose tags agree with that topic's. It
//! exists as long as one of them does. A message about anybody else changes nothing: whoever is first heard of by a
//! reading is online.

use crate::limits::{AVAILABILITY_BYTES_MAX, OFFLINE_SPANS_MAX};
use crate::pipeline::{Pipeline, number};
use crate::plan::Availability;
use crate::series::{self, Group};
use crate::time::{Span, Time};
use crate::window::Bounds;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known of the sensors behind one availability topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    /// The name under which it is found; empty where the place is vacant.
    pub name: String,
    /// Its series.
    pub members: Vec<u32>,
    /// Since when it is offline, by the gateway's clock.
    pub offline: Option<Time>,
    /// When it was offline before, the latest last; at most [`OFFLINE_SPANS_MAX`].
    pub spans: Vec<(Time, Time)>,
}

impl Presence {
    /// For how long of this time it was offline, as far as that is remembered.
    fn offline_between(&self, start: Time, end: Time) -> Span {
        let running = self.offline.map(|since| (since, Time::MAX));
        let each = self.spans.iter().copied().chain(running);
        Span(each.map(|(from, to)| to.min(end).since(from.max(start)).0.max(0)).sum())
    }
}

impl Availability {
    /// Whether a payload says online; `None` where it says neither.
    pub fn read(&self, payload: &[u8]) -> Option<bool> {
        if payload.len() > AVAILABILITY_BYTES_MAX {
            return None;
        }
        match &self.at {
            None => self.says(std::str::from_utf8(payload).ok()?.trim()),
            Some(pointer) => {
                let document: Value = serde_json::from_slice(payload).ok()?;
                let found = pointer.0.iter().try_fold(&document, |value, token| match value {
                    Value::Array(list) => list.get(token.parse::<usize>().ok()?),
                    value => value.get(token),
                })?;
                match found {
                    Value::String(word) => self.says(word),
                    Value::Bool(_) | Value::Number(_) => self.says(&found.to_string()),
                    Value::Null | Value::Array(_) | Value::Object(_) => None,
                }
            }
        }
    }

    fn says(&self, word: &str) -> Option<bool> {
        let online = word == self.online;
        (online || word == self.offline).then_some(online)
    }
}

impl Pipeline {
    /// The presence of a stream's sensors with these tags, which are sorted by name.
    pub(crate) fn presence(&mut self, stream: u16, tags: &[(String, String)]) -> Option<u32> {
        self.name_presence(stream, tags);
        self.presence_index.get(self.name.as_str()).copied()
    }

    fn name_presence(&mut self, stream: u16, tags: &[(String, String)]) {
        let tags = tags.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
        series::name(&mut self.name, stream, "", tags);
    }

    /// The presence that a new series belongs to; makes it if it is missing.
    pub(crate) fn join_presence(&mut self, at: u32, stream: u16, tags: &[(String, String)]) -> Option<u32> {
        let availability = self.plan.streams[usize::from(stream)].availability.as_ref()?;
        let names: Vec<&str> = availability.topic.names().collect();
        let shared: Vec<_> =
            tags.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect();
        if shared.len() < names.len() {
            return None;
        }
        self.name_presence(stream, &shared);
        let presence = match self.presence_index.get(self.name.as_str()) {
            Some(&presence) => presence,
            None => {
                let presence =
                    self.state.vacant_presences.pop().unwrap_or(number(self.state.presences.len()));
                let new = Presence { name: self.name.clone(), ..Presence::default() };
                match self.state.presences.get_mut(presence as usize) {
                    Some(place) => *place = new,
                    None => self.state.presences.push(new),
                }
                self.presence_index.insert(self.name.as_str().into(), presence);
                presence
            }
        };
        self.state.presences[presence as usize].members.push(at);
        Some(presence)
    }

    /// A series is forgotten.
    pub(crate) fn leave_presence(&mut self, at: u32, presence: u32) {
        let known = &mut self.state.presences[presence as usize];
        known.members.retain(|member| *member != at);
        if known.members.is_empty() {
            let known = std::mem::take(known);
            self.presence_index.remove(known.name.as_str());
            self.state.vacant_presences.push(presence);
        }
    }

    /// What was known of the sensor of a series before the plan changed.
    pub(crate) fn keep_presence(&mut self, series: u32, before: Option<&Presence>) {
        let presence = self.state.series[series as usize].presence;
        let (Some(presence), Some(before)) = (presence, before) else { return };
        self.state.presences[presence as usize].spans.clone_from(&before.spans);
        if let Some(since) = before.offline {
            self.note_presence(presence, false, since);
        }
    }

    /// Whether a series is known to be offline, and since when.
    pub(crate) fn offline_since(&self, series: u32) -> Option<Time> {
        self.state.presences[self.state.series[series as usize].presence? as usize].offline
    }

    /// Notes that a sensor came or went.
    pub(crate) fn note_presence(&mut self, presence: u32, online: bool, at: Time) {
        let Some(known) = self.state.presences.get_mut(presence as usize) else { return };
        match known.offline {
            Some(since) if online => {
                if known.spans.len() == OFFLINE_SPANS_MAX {
                    known.spans.remove(0);
                }
                known.spans.push((since, at.max(since)));
                known.offline = None;
            }
            None if !online => known.offline = Some(at),
            _ => return,
        }
        for member in known.members.clone() {
            self.mark_watches(member, !online, at);
        }
    }

    /// Counts a series among the ones that are offline in its watches, or no more.
    pub(crate) fn mark_watches(&mut self, series: u32, offline: bool, at: Time) {
        for &watch in &self.state.series[series as usize].watches {
            self.state.watches[watch as usize].mark(offline, at);
            self.timers.soon(watch);
        }
    }

    /// When within a window the sensor behind a metric of a group went offline: at the start where it did so after `last`, its
    /// last reading before. Of several sensors none speaks for all of them.
    pub(crate) fn gone_between(
        &self,
        group: &Group,
        metric: u16,
        (start, end): Bounds,
        last: Option<Time>,
    ) -> Vec<Time> {
        let name = group.metrics.get(usize::from(metric));
        let series = group.members.iter().map(|&member| &self.state.series[member as usize]);
        let mut series = series.filter(|series| name.is_none_or(|name| series.metric == *name));
        let (Some(only), None) = (series.next(), series.next()) else { return Vec::new() };
        let Some(presence) = only.presence else { return Vec::new() };
        let presence = &self.state.presences[presence as usize];
        let went = presence.spans.iter().map(|(from, _)| *from).chain(presence.offline);
        let matters = |from: &Time| *from < end && (*from >= start || last.is_some_and(|last| *from >= last));
        went.filter(matters).map(|from| from.max(start)).collect()
    }

    /// For how many seconds of this time the series of a group were offline, added up.
    pub(crate) fn offline_seconds(&self, group: &Group, start: Time, end: Time) -> u32 {
        let presence = |member: &u32| self.state.series[*member as usize].presence;
        let known = group.members.iter().filter_map(presence);
        let spans = known.map(|at| self.state.presences[at as usize].offline_between(start, end).0);
        u32::try_from(spans.sum::<i64>() / 1_000_000).unwrap_or(u32::MAX)
    }
}
