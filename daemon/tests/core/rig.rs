//! Store and pipeline in one thread, driven as the heart drives them, with a clock that tests set.

use std::collections::{BTreeMap, BTreeSet};
use tidegate::store::{Commit, Medium, Opened, Store, StoreError, Waiting, Wanted};
use tidegate_medium::Disk;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::message::{DeadLetter, Message};
use tidegate_pipeline::plan::{
    Fields, Format, Plan, Pointer, StreamPlan, SummaryPlan, TimeFormat, TimePlan, Unique, Window,
};
use tidegate_pipeline::time::{Span, Time};
use tidegate_pipeline::topic::TopicPattern;
use tidegate_pipeline::verdict::Reason;
use tidegate_pipeline::{Changes, Pipeline, Step};

/// 2026-11-22T10:00:00Z; all seconds in tests count from here.
const TEN_MS: i64 = 1_795_341_600_000;

pub fn at(secs: i64) -> Time {
    Time::from_millis(TEN_MS + secs * 1_000)
}

/// `s/{device}/{metric}` with value `v`, time `ts` and sequence `n`; minutes without lateness, amended for an hour, to
/// the output `out`.
pub fn plan() -> Plan {
    let pointer = |text| Pointer::parse(text).unwrap();
    Plan {
        source: "/gateways/test/x".into(),
        sources: vec!["local".into()],
        rejects_backlog: vec![],
        streams: vec![StreamPlan {
            name: "climate".into(),
            sources: vec![0],
            topics: vec![TopicPattern::parse("s/{device}/{metric}").unwrap()],
            format: Format::Json,
            fields: Fields::Value { at: Some(pointer("/v")), metric: "v".into(), listed: vec![], rest: true },
            time: Some(TimePlan { at: pointer("/ts"), format: TimeFormat::Millis }),
            unique: Unique::Sequence { at: pointer("/n"), boot: Some(pointer("/b")), per: Some(vec![]) },
            ..StreamPlan::default()
        }],
        summaries: vec![SummaryPlan {
            name: "minute".into(),
            streams: vec![0],
            window: Window::Tumbling { length: Span::from_secs(60) },
            lateness: Span::ZERO,
            amend: Span::from_secs(3_600),
            aggregates: vec![Aggregate::Count, Aggregate::Sum],
            to: vec![0],
            ..SummaryPlan::default()
        }],
        outputs: vec!["out".into()],
        max_future: Span::from_secs(300),
        hold_max: None,
        timezone: "UTC".into(),
        series_max: 10_000,
        ..Plan::default()
    }
}

/// Minutes of at most a few metrics, by content: for readings without numbers.
pub fn plain() -> Plan {
    let mut plan = plan();
    plan.streams[0].unique = Unique::Content;
    plan
}

pub fn payload(value: i64, secs: i64, number: u64) -> String {
    format!(r#"{{"v":{value},"ts":{},"n":{number},"b":1}}"#, at(secs).as_millis())
}

pub fn message<'m>(secs: i64, topic: &'m str, payload: &'m str) -> Message<'m> {
    Message {
        source: 0,
        session: "sensor",
        topic: topic.as_bytes(),
        payload: payload.as_bytes(),
        retained: false,
        acknowledged: true,
        may_repeat: true,
        arrival: at(secs),
    }
}

pub fn letter(detail: &str) -> DeadLetter {
    DeadLetter {
        reason: Reason::Malformed,
        detail: detail.into(),
        source: "local".into(),
        stream: None,
        topic: b"s/d/t".to_vec(),
        payload: b"junk".to_vec(),
        arrival: at(0),
        readings: 1,
    }
}

pub struct Rig {
    pub disk: Disk,
    pub store: Store,
    pub pipeline: Pipeline,
    /// Every event that any output was ever given, by id: one id has one content.
    pub seen: BTreeMap<String, Vec<u8>>,
}

impl Rig {
    pub fn open(disk: Disk, plan: Plan) -> Result<Rig, StoreError> {
        let opener = disk.opener();
        Rig::on(disk, opener, "x", plan)
    }

    /// The store on this medium, which `disk` is somehow part of.
    pub fn on(disk: Disk, medium: impl Medium + 'static, name: &str, plan: Plan) -> Result<Rig, StoreError> {
        let Opened { store, pipeline } = Store::open("disk", medium, name, |_| plan)?;
        Ok(Rig { disk, store, pipeline, seen: BTreeMap::new() })
    }

    pub fn new(plan: Plan) -> Rig {
        Rig::open(Disk::default(), plan).unwrap()
    }

    /// One transaction that ends at `secs`; `more` adds what is not the pipeline's.
    pub fn commit(
        &mut self,
        secs: i64,
        inputs: impl FnOnce(&mut Step<'_>),
        more: impl FnOnce(&mut Commit),
    ) -> Result<(), StoreError> {
        let mut step = self.pipeline.step();
        inputs(&mut step);
        step.watch(at(secs), &|_| Some(Time::MIN));
        let loaded = self.store.shared().load(&step.needs(at(secs), &|_| false))?;
        let changes = step.finish(at(secs), &|_| false, &loaded);
        self.write(secs, changes, more)
    }

    /// Writes changes, as the heart does.
    pub fn write(
        &mut self,
        secs: i64,
        changes: Changes,
        more: impl FnOnce(&mut Commit),
    ) -> Result<(), StoreError> {
        let outputs = self.pipeline.plan().outputs.clone();
        let mut commit = Commit { changes, outputs, at: at(secs), ..Commit::default() };
        more(&mut commit);
        if !commit.is_empty() {
            self.store.commit(&commit)?;
        }
        self.store.checkpoint_if_due(&self.pipeline);
        Ok(())
    }

    /// One reading in a transaction of its own, which must succeed.
    pub fn send(&mut self, secs: i64, device: &str, value: i64, time: i64) {
        let (topic, payload) = (format!("s/{device}/t"), payload(value, time, 0));
        self.commit(secs, |step| step.message(&message(secs, &topic, &payload)), |_| {}).unwrap();
    }

    /// Lets time pass.
    pub fn tick(&mut self, secs: i64) {
        self.with(secs, |_| {});
    }

    /// A transaction without messages.
    pub fn with(&mut self, secs: i64, more: impl FnOnce(&mut Commit)) {
        self.commit(secs, |_| {}, more).unwrap();
        self.check_accounts();
    }

    /// What an output may be sent.
    pub fn waiting(&mut self, output: &str) -> Vec<Waiting> {
        self.look(output).unwrap()
    }

    /// The same, where reading may fail.
    pub fn look(&mut self, output: &str) -> Result<Vec<Waiting>, StoreError> {
        let waiting = self.store.shared().waiting(output, &Wanted::first(usize::MAX, usize::MAX))?;
        for event in &waiting {
            let before = self.seen.insert(event.id.clone(), event.event.clone());
            assert!(before.is_none_or(|before| before == event.event), "{} has two contents", event.id);
        }
        Ok(waiting)
    }

    /// The same, all of it: what may be sent is raised as far as it goes.
    pub fn reached(&mut self, secs: i64, output: &str) -> Vec<Waiting> {
        while self.store.shared().has_unreached(output) {
            self.with(secs, |commit| {
                commit.reach.insert(output.into(), 512);
            });
        }
        self.waiting(output)
    }

    /// What is queued by the accounts is what stands in the outboxes.
    pub fn check_accounts(&self) {
        let queued: u64 = self.store.shared().outputs().values().map(|row| row.counts.queued()).sum();
        assert_eq!(queued, self.store.shared().counts().unwrap().1, "{:?}", self.store.shared().outputs());
    }

    /// As after a restart: everything from the file.
    pub fn restart(self) -> Rig {
        let Rig { disk, store, pipeline, seen } = self;
        let (plan, state) = (pipeline.plan().clone(), pipeline.state().clone());
        drop((store, pipeline));
        let rig = Rig::open(disk, plan).unwrap();
        assert_eq!(*rig.pipeline.state(), state, "the file says what the memory said");
        Rig { seen, ..rig }
    }

    /// The ids of what waits, shortened.
    pub fn ids(&mut self, output: &str) -> Vec<String> {
        let waiting = self.waiting(output);
        waiting.iter().map(|event| event.id.replace("minute/t/", "").replace("2026-11-22T", "")).collect()
    }
}

/// The outputs that wait for something to send.
pub fn idle(outputs: &[&str]) -> BTreeSet<String> {
    outputs.iter().map(|name| (*name).to_owned()).collect()
}
