//! A pipeline with a store in memory that forgets as soon as it may, and a clock that tests set.

use std::collections::BTreeMap;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::alert::Outgoing;
use tidegate_pipeline::clock::ClockNow;
use tidegate_pipeline::entry::{Entry, Reading};
use tidegate_pipeline::event::{Closed, ClosedKey};
use tidegate_pipeline::message::{DeadLetter, Message, Trace};
use tidegate_pipeline::plan::{
    Fields, Format, Plan, Pointer, StreamPlan, SummaryPlan, TimeFormat, TimePlan, Unique, Window,
};
use tidegate_pipeline::time::{Span, Time};
use tidegate_pipeline::topic::TopicPattern;
use tidegate_pipeline::verdict::Verdict;
use tidegate_pipeline::{Changes, Kept, Loaded, Pipeline, Step, Stored};

/// 2026-11-22T10:00:00Z in milliseconds; all seconds in tests count from here.
pub const TEN: i64 = 1_795_341_600_000;

pub fn at(secs: f64) -> Time {
    #[expect(clippy::cast_possible_truncation, reason = "tests stay near")]
    Time::from_millis(TEN + (secs * 1_000.0).round() as i64)
}

pub fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

/// `s/{device}/{metric}` with `{"v": value, "ts": milliseconds}`.
pub fn stream(name: &str) -> StreamPlan {
    StreamPlan {
        name: name.into(),
        sources: vec![0],
        topics: vec![TopicPattern::parse("s/{device}/{metric}").unwrap()],
        format: Format::Json,
        fields: Fields::Value { at: Some(pointer("/v")), metric: "v".into(), listed: vec![], rest: true },
        time: Some(TimePlan { at: pointer("/ts"), format: TimeFormat::Millis }),
        unique: Unique::Content,
        ..StreamPlan::default()
    }
}

/// Minutes of everything, 10 s late, amended for an hour.
pub fn summary(name: &str) -> SummaryPlan {
    SummaryPlan {
        name: name.into(),
        streams: vec![0],
        window: Window::Tumbling { length: Span::from_secs(60) },
        lateness: Span::from_secs(10),
        amend: Span::from_secs(3_600),
        aggregates: vec![Aggregate::Count, Aggregate::Sum, Aggregate::Min, Aggregate::Max],
        to: vec![0],
        ..SummaryPlan::default()
    }
}

pub fn plan() -> Plan {
    Plan {
        source: "/gateways/test/x".into(),
        sources: vec!["local".into()],
        rejects_backlog: vec![],
        streams: vec![stream("climate")],
        summaries: vec![summary("minute")],
        outputs: vec!["out".into()],
        max_future: Span::from_secs(300),
        hold_max: Some(Span::from_secs(600)),
        timezone: "Europe/Amsterdam".into(),
        series_max: 100,
        ..Plan::default()
    }
}

/// A value with its time in seconds.
pub fn payload(value: f64, secs: f64) -> String {
    format!(r#"{{"v":{value},"ts":{}}}"#, at(secs).as_millis())
}

pub struct World {
    pub pipeline: Pipeline,
    /// What a store would have, where every event is delivered at once.
    pub kept: BTreeMap<ClosedKey, Kept>,
    pub closed: Vec<Closed>,
    pub alerts: Vec<Outgoing>,
    pub captures: Vec<Outgoing>,
    pub raw: Vec<Outgoing>,
    /// Since when the source is listened to.
    pub listening: Option<Time>,
    pub letters: Vec<DeadLetter>,
    pub entries: Vec<Entry>,
}

impl World {
    pub fn new(plan: Plan) -> World {
        World {
            pipeline: Pipeline::new(plan),
            kept: BTreeMap::new(),
            closed: vec![],
            alerts: vec![],
            captures: vec![],
            raw: vec![],
            listening: Some(Time::MIN),
            letters: vec![],
            entries: vec![],
        }
    }

    /// One step that ends at `secs`.
    pub fn step(&mut self, secs: f64, inputs: impl FnOnce(&mut Step<'_>)) -> Vec<Trace> {
        self.step_held(secs, &|_| false, inputs)
    }

    pub fn step_held(
        &mut self,
        secs: f64,
        held: &dyn Fn(u16) -> bool,
        inputs: impl FnOnce(&mut Step<'_>),
    ) -> Vec<Trace> {
        let mut step = self.pipeline.step();
        step.trace();
        inputs(&mut step);
        let traces = step.traces();
        step.watch(at(secs), &|_| self.listening);
        let loaded = load(&self.kept, &step.needs(at(secs), held));
        let changes = step.finish(at(secs), held, &loaded);
        self.keep(changes);
        traces
    }

    /// What the daemon does at a time: the steps that the clock asks for, and then one with `inputs`.
    pub fn at(&mut self, now: &ClockNow, inputs: impl FnOnce(&mut Step<'_>)) {
        while self.pipeline.clock_is_due(now) {
            assert!(self.one(now, |_| {}), "a step about the clock alone");
        }
        assert!(!self.one(now, inputs), "a step for inputs");
    }

    /// One step: whether it was about the clock alone.
    fn one(&mut self, now: &ClockNow, inputs: impl FnOnce(&mut Step<'_>)) -> bool {
        let mut step = self.pipeline.step();
        let turns = step.clock(now);
        inputs(&mut step);
        let loaded = load(&self.kept, &step.needs(now.now(), &|_| false));
        let changes = step.finish(now.now(), &|_| false, &loaded);
        self.keep(changes);
        turns
    }

    /// One message in a step of its own, at `secs`: what became of it.
    pub fn send(&mut self, secs: f64, topic: &str, payload: &str) -> Vec<String> {
        let traces = self.step(secs, |step| step.message(&message(secs, topic, payload)));
        traces.iter().map(|trace| name(trace.verdict)).collect()
    }

    /// Lets time pass until everything is closed.
    pub fn settle(&mut self) {
        self.step(1e6, |_| {});
        // What was corrected by what closed last.
        for more in 1..100 {
            if self.pipeline.open_windows() > 0 {
                self.step(1e6 + 100.0 * f64::from(more), |_| {});
            }
        }
        assert_eq!(self.pipeline.open_windows(), 0);
    }

    /// Another plan, as the daemon does it.
    pub fn change(&mut self, secs: f64, plan: Plan) {
        let closes = self.pipeline.closes_for(&plan);
        let closes = |summary| closes.contains(&summary);
        loop {
            let mut step = self.pipeline.step();
            step.retire(at(secs), &plan);
            let loaded = load(&self.kept, &step.needs_early(&closes));
            let changes = step.finish_early(at(secs), &closes, &loaded);
            self.keep(changes);
            if !self.pipeline.has_open(&closes) {
                break;
            }
        }
        let old = std::mem::replace(&mut self.pipeline, Pipeline::new(Plan::default()));
        self.pipeline = old.migrate(plan);
    }

    fn keep(&mut self, changes: Changes) {
        for closed in &changes.closed {
            self.kept.insert(closed.key, Kept::of(closed));
        }
        if let Some(forgotten) = changes.forgotten {
            self.kept.retain(|key, _| key.end > forgotten);
        }
        self.closed.extend(changes.closed);
        self.alerts.extend(changes.alerts);
        self.captures.extend(changes.captures);
        self.raw.extend(changes.raw);
        self.letters.extend(changes.dead_letters);
        if !changes.entry.is_empty() {
            self.entries.push(changes.entry);
        }
    }

    /// How many readings were made of others.
    pub fn derived(&self) -> u64 {
        let series = &self.pipeline.state().series;
        let derived = |reading: &&Reading| series[reading.series as usize].metric.starts_with("derived");
        self.entries.iter().flat_map(|entry| &entry.readings).filter(derived).count() as u64
    }

    /// All events, as `id count sum` with the id less its year to hour.
    pub fn lines(&self) -> Vec<String> {
        self.closed
            .iter()
            .map(|closed| {
                let values: Vec<_> =
                    closed.record.values.iter().take(2).map(|(_, value)| value.to_string()).collect();
                format!("{} {}", closed.id.replace("2026-11-22T", ""), values.join(" "))
            })
            .collect()
    }

    /// By key: the values of the last revision. One id never has two contents, and revisions only rise.
    pub fn last(&self) -> BTreeMap<String, Vec<f64>> {
        let mut last: BTreeMap<String, (u32, Vec<f64>)> = BTreeMap::new();
        for closed in &self.closed {
            let key = closed.id.rsplit_once("/r").unwrap().0.to_owned();
            let before = last.get(&key).map(|(revision, _)| *revision);
            assert_eq!(closed.revision, before.map_or(0, |before| before + 1), "revisions of {key}");
            last.insert(
                key,
                (
                    closed.revision,
                    closed.record.values.iter().map(|(_, value)| value.number().unwrap()).collect(),
                ),
            );
        }
        last.into_iter().map(|(key, (_, values))| (key, values)).collect()
    }

    pub fn json(&self, index: usize) -> serde_json::Value {
        serde_json::from_slice(&self.closed[index].event).unwrap()
    }
}

fn load(kept: &BTreeMap<ClosedKey, Kept>, keys: &[ClosedKey]) -> Loaded {
    let found = |key: &ClosedKey| Some((*key, Stored::Window(*key, kept.get(key)?.clone())));
    keys.iter().filter_map(found).collect()
}

/// A QoS 1 message of the one session, arriving at `secs`.
pub fn message<'m>(secs: f64, topic: &'m str, payload: &'m str) -> Message<'m> {
    Message {
        source: 0,
        session: "broker",
        topic: topic.as_bytes(),
        payload: payload.as_bytes(),
        retained: false,
        acknowledged: true,
        may_repeat: true,
        arrival: at(secs),
    }
}

pub fn name(verdict: Verdict) -> String {
    match verdict {
        Verdict::Counted => "counted".into(),
        Verdict::Duplicate => "duplicate".into(),
        Verdict::Rejected(reason) => format!("rejected {}", reason.name()),
        Verdict::DeadLettered(reason) => format!("dead {}", reason.name()),
    }
}
