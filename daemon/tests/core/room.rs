//! The heart while it makes room, on a time that the test sets.

use crate::heart::run_of;
use crate::rig::{payload, plan};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tidegate::clock::{TimeSource, Timekeeper};
use tidegate::config::model::{Buffer, WhenFull};
use tidegate::ingest::change::NewPlan;
use tidegate::ingest::heart::{Heart, Parts};
use tidegate::ingest::intake::{Input, Intake, Link, Run};
use tidegate::ingest::mailbox::Mailbox;
use tidegate::store::{Fate, Opened, Settlement, Shared, Store, Waiting, Wanted};
use tidegate_medium::Disk;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::plan::{Plan, Pointer, Unique, Window};
use tidegate_pipeline::time::{Span, Time};

/// µs since 1970, and since the machine began.
#[derive(Clone)]
struct Machine(Arc<AtomicI64>);

impl Machine {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TimeSource for Machine {
    fn uptime(&mut self) -> Span {
        Span(self.now())
    }
    fn wall(&mut self) -> Time {
        Time(self.now())
    }
    fn vouched(&mut self, _: Time) -> Option<&'static str> {
        Some("a test")
    }
    fn boot(&self) -> u64 {
        1
    }
}

/// A heart with one sensor, and its store.
struct Stage {
    heart: Heart,
    shared: Arc<Shared>,
    intake: Arc<Intake>,
    link: Arc<Link>,
    mailbox: Arc<Mailbox>,
    machine: Machine,
    now: Instant,
    _plans: tokio::sync::mpsc::Sender<NewPlan>,
}

impl Stage {
    fn new(plan: Plan, buffer: Buffer) -> Stage {
        let disk = Disk::default();
        let Opened { store, pipeline } = Store::open("disk", disk.opener(), "x", |_| plan).unwrap();
        let shared = Arc::clone(store.shared());
        let machine = Machine(Arc::new(AtomicI64::new(crate::rig::at(0).0)));
        let clock = Timekeeper::new(machine.clone(), Time::MIN);
        let (parts, plans) = Parts::new(store, pipeline, clock, buffer);
        let (intake, mailbox) = (Arc::clone(&parts.intake), Arc::clone(&parts.mailbox));
        let now = Instant::now();
        let heart = Heart::new(parts, now);
        let link = Link::new(0, "sensor", 100);
        let stage = Stage { heart, shared, intake, link, mailbox, machine, now, _plans: plans };
        stage.push(Input::Drained { source: 0 });
        stage.push(Input::Opened(Arc::clone(&stage.link)));
        stage
    }

    fn push(&self, input: Input) {
        assert!(self.intake.try_push(Some(input)).is_none());
    }

    fn send(&self, number: u64, messages: &[(&str, String)]) {
        let arrival = Span(self.machine.now());
        self.push(Input::Run(Run { arrival, ..run_of(&self.link, number, messages) }));
    }

    /// The output takes up to so many events, or asks for more.
    fn deliver(&self, events: usize) {
        let waiting = self.shared.waiting("out", &Wanted::first(events, usize::MAX)).unwrap();
        if waiting.is_empty() {
            self.mailbox.want_more("out", events);
        }
        let delivered = waiting.into_iter().map(|Waiting { priority, sequence, id, .. }| Settlement {
            output: "out".into(),
            priority,
            sequence,
            id,
            fate: Fate::Delivered,
        });
        self.mailbox.settle(delivered.collect(), self.now);
    }

    /// Turns for so many seconds.
    fn idle(&mut self, secs: u64) {
        for _ in 0..secs {
            self.now += Duration::from_secs(1);
            let _ = self.heart.turn(self.now);
            self.heart.rest(self.now);
        }
    }

    /// Turns until so many are acknowledged.
    fn wait(&mut self, committed: u64, most: Duration) {
        let until = self.now + most;
        while self.link.committed() < committed {
            let second = self.now + Duration::from_secs(1);
            let due = self.heart.rest(self.now).unwrap_or(second).min(second);
            self.now = due.max(self.now + Duration::from_millis(1));
            assert!(self.now < until, "message {committed} is not acknowledged");
            let _ = self.heart.turn(self.now);
        }
    }
}

/// One read brings many messages: the last of them is the last, and not the one with the greatest value.
#[test]
fn messages_of_one_read_stay_in_their_order() {
    let mut plan = plan();
    plan.streams[0].time = None;
    plan.streams[0].unique = Unique::Content;
    plan.summaries[0].window = Window::Tumbling { length: Span::from_secs(1) };
    plan.summaries[0].aggregates = vec![Aggregate::First, Aggregate::Last, Aggregate::Count];
    let buffer = Buffer { bytes_max: 64 << 20, flash_bytes_per_day: u64::MAX, ..Buffer::default() };
    let mut stage = Stage::new(plan, buffer);
    for number in 1..=2 {
        let readings: Vec<_> = [5, 0, 9, 1].map(|value| ("s/d/t", payload(value, 0, 0))).into();
        stage.send(number, &readings);
    }
    let _ = stage.heart.turn(stage.now);
    stage.wait(2, Duration::from_secs(60));
    stage.machine.0.store(crate::rig::at(2).0, Ordering::Relaxed);
    stage.mailbox.want_more("out", 1);
    stage.idle(3);
    let waiting = stage.shared.waiting("out", &Wanted::first(10, 1 << 20)).unwrap();
    let values = waiting.iter().map(|waiting| {
        let event: serde_json::Value = serde_json::from_slice(&waiting.event).unwrap();
        event["data"]["values"].clone()
    });
    assert_eq!(values.collect::<Vec<_>>(), [serde_json::json!({"first": 5.0, "last": 1.0, "count": 8})]);
}

/// What is remembered of numbers takes no more than its part of the buffer: there is none for whom it could make room. However
/// soon it is full: before that is seen, and before a checkpoint that is smaller is written.
#[test]
fn numbers_leave_room_for_readings() {
    for pause in [100, 20, 0] {
        let mut plan = plan();
        let at = Pointer::parse("/n").unwrap();
        plan.streams[0].unique = Unique::Sequence { at, boot: None, per: None };
        let buffer = Buffer { bytes_max: 4 << 20, flash_bytes_per_day: u64::MAX, ..Buffer::default() };
        let mut stage = Stage::new(plan, buffer);
        let topics: Vec<_> = (0..200).map(|n| format!("s/d{n}/t")).collect();
        for number in 1..=1_500 {
            let numbered = topics.iter().zip(1..);
            let readings: Vec<_> =
                numbered.map(|(topic, value)| (topic.as_str(), payload(value, 0, number))).collect();
            stage.send(number, &readings);
            let _ = stage.heart.turn(stage.now);
            stage.wait(number, Duration::from_secs(60));
            stage.now += Duration::from_millis(pause);
        }
    }
}

/// The same of time stamps, which are remembered for as long as a window can be amended: a full buffer would never forget them,
/// since it takes nothing.
#[test]
fn time_stamps_leave_room_for_readings() {
    let mut plan = plan();
    plan.streams[0].unique = Unique::Time;
    let buffer = Buffer { bytes_max: 4 << 20, flash_bytes_per_day: u64::MAX, ..Buffer::default() };
    let mut stage = Stage::new(plan, buffer);
    let topics: Vec<_> = (0..500).map(|n| format!("s/d{n}/t")).collect();
    // Clocks of their own: what is alike would be compressed.
    let mut random = fastrand::Rng::with_seed(3);
    for (number, secs) in (1..=500).zip(0..) {
        let now = crate::rig::at(secs);
        stage.machine.0.store(now.0, Ordering::Relaxed);
        let mut own = || format!(r#"{{"v":1,"ts":{}}}"#, now.as_millis() - random.i64(0..1_000));
        let readings: Vec<_> = topics.iter().map(|topic| (topic.as_str(), own())).collect();
        stage.send(number, &readings);
        let _ = stage.heart.turn(stage.now);
        stage.wait(number, Duration::from_secs(60));
        stage.deliver(1_000);
        stage.now += Duration::from_millis(200);
    }
}

/// Windows of a second, which nobody takes, until the oldest are dropped for new ones; all are closed before the next
/// message comes, so that nothing else makes the heart write. A message that comes in a turn that makes room is
/// acknowledged as soon as any other.
#[test]
fn what_comes_while_room_is_made_is_acknowledged_in_time() {
    let mut seconds = plan();
    seconds.summaries[0].window = Window::Tumbling { length: Span::from_secs(1) };
    seconds.summaries[0].amend = Span::ZERO;
    let buffer = Buffer {
        bytes_max: 400_000,
        when_full: WhenFull::DropOldest,
        // Nothing waits for that.
        flash_bytes_per_day: u64::MAX,
        ..Buffer::default()
    };
    let mut stage = Stage::new(seconds, buffer);
    let shared = Arc::clone(&stage.shared);
    let dropped = || shared.outputs().get("out").map_or(0, |out| out.counts.dropped.values().sum::<u64>());
    let mut while_shedding = 0;
    for number in 1..=200u64 {
        let secs = 3 * i64::try_from(number).unwrap();
        stage.machine.0.store(crate::rig::at(secs).0, Ordering::Relaxed);
        stage.now += Duration::from_secs(1);
        let topics: Vec<_> = (0..10).map(|n| format!("s/d{n}/t")).collect();
        let numbered = topics.iter().zip(10 * number..);
        let readings: Vec<_> = numbered.map(|(topic, n)| (topic.as_str(), payload(1, secs, n))).collect();
        let before = dropped();
        stage.send(number, &readings);
        let _ = stage.heart.turn(stage.now);
        while_shedding += u32::from(dropped() > before && stage.link.committed() < number);
        stage.wait(number, Duration::from_millis(500));
        // Its windows close.
        stage.machine.0.store(crate::rig::at(secs + 2).0, Ordering::Relaxed);
        stage.now += Duration::from_millis(100);
        let _ = stage.heart.turn(stage.now);
        stage.heart.rest(stage.now);
    }
    assert!(while_shedding > 5, "{while_shedding} came while room was made");
}

/// Where there are so many senders that the few numbers which each keeps are too many together, that is tried once, and not
/// written again and again.
#[test]
fn what_cannot_be_made_less_is_not_written_again() {
    let mut plan = plan();
    let at = Pointer::parse("/n").unwrap();
    plan.streams[0].unique = Unique::Sequence { at, boot: None, per: None };
    let buffer = Buffer { bytes_max: 16 << 20, flash_bytes_per_day: u64::MAX, ..Buffer::default() };
    let mut stage = Stage::new(plan, buffer);
    let topics: Vec<_> = (0..10_000).map(|n| format!("s/d{n}/t")).collect();
    let runs = (0..20).flat_map(|number| topics.chunks(1_000).map(move |topics| (number, topics)));
    for ((number, topics), run) in runs.zip(1..) {
        let numbered = topics.iter().zip(1..);
        let readings: Vec<_> =
            numbered.map(|(topic, value)| (topic.as_str(), payload(value, 0, number))).collect();
        stage.send(run, &readings);
        let _ = stage.heart.turn(stage.now);
        stage.wait(run, Duration::from_secs(60));
    }
    stage.idle(60);
    let before = stage.shared.wear().bytes();
    stage.idle(60);
    assert_eq!(stage.shared.wear().bytes(), before, "nobody sends anything");
}

/// An output that takes less than comes empties the buffer only just: it is full again and again, and a checkpoint is not
/// written each time. It makes no room, and takes four times of what is written without.
#[test]
fn a_buffer_that_is_full_again_and_again_is_not_written_anew() {
    let mut plan = plan();
    let at = Pointer::parse("/n").unwrap();
    plan.streams[0].unique = Unique::Sequence { at, boot: None, per: None };
    plan.summaries[0].window = Window::Tumbling { length: Span::from_secs(1) };
    plan.summaries[0].amend = Span::ZERO;
    let buffer = Buffer {
        bytes_max: 8 << 20,
        when_full: WhenFull::Refuse,
        flash_bytes_per_day: u64::MAX,
        ..Buffer::default()
    };
    let mut stage = Stage::new(plan, buffer);
    let topics: Vec<_> = (0..60).map(|n| format!("s/d{n}/t")).collect();
    let send = |stage: &Stage, number, secs| {
        let numbered = topics.iter().zip(1..);
        let readings: Vec<_> =
            numbered.map(|(topic, value)| (topic.as_str(), payload(value, secs, number))).collect();
        stage.send(number, &readings);
    };
    let mut number = 1_000;
    for number in 1..=number {
        send(&stage, number, 0);
        let _ = stage.heart.turn(stage.now);
        stage.wait(number, Duration::from_secs(60));
    }
    let (mut refused, mut before) = (0, 0);
    for secs in 1..=480 {
        stage.machine.0.store(crate::rig::at(secs).0, Ordering::Relaxed);
        if stage.link.committed() == number {
            number += 1;
            send(&stage, number, secs);
        } else {
            refused += 1;
        }
        for _ in 0..4 {
            let _ = stage.heart.turn(stage.now);
            stage.heart.rest(stage.now);
            stage.now += Duration::from_millis(250);
        }
        stage.deliver(30);
        if secs == 180 {
            (refused, before) = (0, stage.shared.wear().bytes());
        }
    }
    let written = stage.shared.wear().bytes() - before;
    assert!(refused > 200 && number > 1_000, "{refused} of 300, up to {number}");
    assert!(written < 8 << 20, "{written} B in five minutes");
}
