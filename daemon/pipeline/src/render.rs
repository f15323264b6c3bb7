//! Rendering: the event and the record of one window, from its definition and what it holds.

use crate::aggregate::{Aggregate, Shown, State, Value};
use crate::definition::Definition;
use crate::event::{Envelope, Record, Tags};
use crate::partial::Partial;
use crate::time::Time;
use crate::window::{Completeness, Content, Lane};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Everything that an event is made of.
pub(crate) struct Rendering<'r> {
    pub(crate) definition: &'r Definition,
    pub(crate) start: Time,
    pub(crate) end: Time,
    /// Which window of its group it is, where that names it.
    pub(crate) ordinal: Option<u64>,
    pub(crate) revision: u32,
    pub(crate) replaces: &'r [String],
    pub(crate) content: &'r Content,
}

impl<'r> Rendering<'r> {
    /// Record, id and event.
    pub(crate) fn render(&self) -> (Record, String, Vec<u8>) {
        let definition = self.definition;
        let lanes: Vec<_> = self.content.lanes.iter().filter_map(|lane| self.lane(lane)).collect();
        let key = definition.key(self.start, self.end, self.ordinal);
        let id = format!("{key}/r{}", self.revision);
        let wide = definition.is_wide();
        let unit = definition.lanes.first().filter(|_| !wide).and_then(|lane| lane.unit.as_deref());
        let event = Envelope {
            specversion: "1.0",
            r#type: "tidegate.summary.v1",
            source: &definition.source,
            id: &id,
            subject: &definition.subject,
            time: self.end.rfc3339(),
            datacontenttype: "application/json",
            data: Data {
                key: &key,
                revision: self.revision,
                replaces: self.replaces,
                summary: &definition.summary,
                stream: &definition.stream,
                metric: definition.metric.as_deref(),
                unit,
                units: if wide { Units::of(&lanes) } else { Units::default() },
                tags: Tags(&definition.tags),
                window: Window { start: self.start.rfc3339(), end: self.end.rfc3339() },
                values: AllValues { lanes: &lanes, wide },
                approximate: lanes.iter().flat_map(|lane| lane.approximate(wide)).collect(),
                completeness: self.completeness(),
                clock: if definition.epoch.is_some() { "unsynchronised" } else { "synchronised" },
                state: definition.state.then(|| self.state()),
            },
        };
        let event = event.render();
        let named = |lane: LaneValues<'r>| {
            let prefix = if wide { format!("{}/", lane.metric) } else { String::new() };
            let name = move |aggregate: &Aggregate| format!("{prefix}{}", aggregate.name());
            lane.values.into_iter().map(move |(aggregate, value)| (name(aggregate), value))
        };
        let unit = unit.map(str::to_owned);
        let values = lanes.into_iter().flat_map(named).collect();
        (Record { start: self.start, subject: definition.subject.clone(), unit, values }, id, event)
    }

    fn completeness(&self) -> Complete {
        let counts = self.content.completeness;
        Complete::new(counts, self.definition.expected(self.start, self.end, counts.offline))
    }

    /// The mergeable content.
    fn state(&self) -> String {
        let named = |lane: &'r Lane| Some((self.definition.lane(lane.metric)?.metric.as_str(), lane));
        let lanes = self.content.lanes.iter().filter_map(named);
        Partial::encode(self.start, self.end, self.content.completeness, lanes)
    }

    /// What is told of one metric.
    fn lane(&self, lane: &'r Lane) -> Option<LaneValues<'r>> {
        let told = self.definition.lane(lane.metric)?;
        let context = lane.context(self.start, self.end);
        let value = |aggregate: &'r Aggregate| Some((aggregate, aggregate.value(&lane.states, &context)?));
        Some(LaneValues {
            metric: &told.metric,
            unit: told.unit.as_deref(),
            values: told.wanted.iter().filter_map(value).collect(),
            states: &lane.states,
        })
    }
}

/// The values of one metric.
struct LaneValues<'r> {
    metric: &'r str,
    unit: Option<&'r str>,
    values: Vec<(&'r Aggregate, Value)>,
    states: &'r [State],
}

impl LaneValues<'_> {
    /// The names of the values that are approximate.
    fn approximate(&self, wide: bool) -> impl Iterator<Item = String> {
        let approximate = self.values.iter().filter(|(aggregate, _)| aggregate.is_approximate(self.states));
        approximate.map(move |(aggregate, _)| match wide {
            true => format!("{}/{}", self.metric, aggregate.name()),
            false => aggregate.name().into_owned(),
        })
    }
}

#[derive(Serialize)]
struct Data<'e> {
    key: &'e str,
    revision: u32,
    replaces: &'e [String],
    summary: &'e str,
    stream: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'e str>,
    #[serde(skip_serializing_if = "Units::is_empty")]
    units: Units<'e>,
    tags: Tags<'e>,
    window: Window,
    values: AllValues<'e>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approximate: Vec<String>,
    completeness: Complete,
    clock: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

#[derive(Serialize)]
struct Window {
    start: String,
    end: String,
}

/// Units by metric, where a summary has several.
#[derive(Default)]
struct Units<'e>(Vec<(&'e str, &'e str)>);

impl<'e> Units<'e> {
    fn of(lanes: &[LaneValues<'e>]) -> Units<'e> {
        Units(lanes.iter().filter_map(|lane| Some((lane.metric, lane.unit?))).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Units<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(metric, unit)| (metric, unit)))
    }
}

/// Values by aggregate; where the layout is wide, by metric and then aggregate.
struct AllValues<'e> {
    lanes: &'e [LaneValues<'e>],
    wide: bool,
}

impl Serialize for AllValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.wide, self.lanes) {
            (false, []) => Values(&[]).serialize(serializer),
            (false, [lane, ..]) => Values(&lane.values).serialize(serializer),
            (true, lanes) => {
                serializer.collect_map(lanes.iter().map(|lane| (lane.metric, Values(&lane.values))))
            }
        }
    }
}

struct Values<'e>(&'e [(&'e Aggregate, Value)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (aggregate, value) in self.0 {
            map.serialize_entry(&aggregate.name(), &Shown(value))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Complete {
    received: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    rejected: u32,
    duplicates: u32,
    late: u32,
    gaps: u32,
    #[serde(skip_serializing_if = "is_zero")]
    backlog: u32,
    #[serde(skip_serializing_if = "is_zero")]
    flagged: u32,
    #[serde(skip_serializing_if = "is_zero")]
    offline: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Complete {
    fn new(counts: Completeness, expected: Option<u64>) -> Complete {
        let Completeness { received, rejected, duplicates, late, gaps, backlog, flagged, offline } = counts;
        Complete { received, expected, rejected, duplicates, late, gaps, backlog, flagged, offline }
    }
}
