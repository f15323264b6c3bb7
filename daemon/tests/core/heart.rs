//! The heart with its real thread and clock: acknowledgements only after the commit, everything written at the end.

use crate::rig::{Rig, plain, plan};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tidegate::clock::{Clock, System, TimeSource, Timekeeper, uptime};
use tidegate::config::model::{Buffer, WhenFull};
use tidegate::health::Health;
use tidegate::ingest::figures::Figures;
use tidegate::ingest::intake::{Input, Intake, Link, Message, Run};
use tidegate::ingest::mailbox::{LetterOrder, Mailbox};
use tidegate::ingest::{
    change::NewPlan,
    heart::{Heart, Parts},
};
use tidegate::pulse::Pulses;
use tidegate::store::{Medium, Opened, Shared, Store};
use tidegate_medium::Disk;
use tidegate_pipeline::ledger::Ledger;
use tidegate_pipeline::plan::Plan;
use tidegate_pipeline::time::Time;
use tokio::sync::mpsc;

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A heart, and one connection to it.
pub struct Body {
    pub intake: Arc<Intake>,
    pub mailbox: Arc<Mailbox>,
    pub figures: Arc<Figures>,
    pub link: Arc<Link>,
    pub health: Arc<Health>,
    pub pulses: Arc<Pulses>,
    pub plans: mpsc::Sender<NewPlan>,
    pub store: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Body {
    pub fn new(disk: &Disk, plan: Plan) -> Body {
        Body::with(disk, plan, u64::MAX)
    }

    /// One whose store is on this medium.
    pub fn on(medium: impl Medium + 'static, plan: Plan) -> Body {
        Body::start(medium, plan, u64::MAX, Timekeeper::new(System::new(), Time::MIN))
    }

    /// One that goes by another clock.
    pub fn by(disk: &Disk, plan: Plan, source: impl TimeSource + 'static) -> Body {
        Body::start(disk.opener(), plan, u64::MAX, Timekeeper::new(source, Time::MIN))
    }

    pub fn with(disk: &Disk, plan: Plan, bytes_max: u64) -> Body {
        Body::start(disk.opener(), plan, bytes_max, Timekeeper::new(System::new(), Time::MIN))
    }

    fn start(medium: impl Medium + 'static, plan: Plan, bytes_max: u64, clock: Timekeeper) -> Body {
        let Opened { store, pipeline } = Store::open("disk", medium, "x", |_| plan).unwrap();
        let buffer = Buffer { bytes_max, when_full: WhenFull::Refuse, ..Buffer::default() };
        let (mut parts, plans) = Parts::new(store, pipeline, clock, buffer);
        let pulses = Arc::new(Pulses::default());
        parts.figures = Arc::new(Figures::watched(pulses.part("the writer")));
        let mut body = Body {
            intake: Arc::clone(&parts.intake),
            mailbox: Arc::clone(&parts.mailbox),
            figures: Arc::clone(&parts.figures),
            link: Link::new(0, "sensor", 100),
            health: Arc::clone(&parts.health),
            pulses,
            plans,
            store: Arc::clone(parts.store.shared()),
            thread: None,
        };
        let heart = Heart::new(parts, Instant::now());
        body.thread = Some(std::thread::spawn(|| heart.run()));
        body.push(Input::Drained { source: 0 });
        body.push(Input::Opened(Arc::clone(&body.link)));
        body
    }

    pub fn ledger(&self) -> Ledger {
        self.figures.account(&self.intake).0.ledger
    }

    pub fn push(&self, input: Input) {
        assert!(self.intake.try_push(Some(input)).is_none(), "there is room");
    }

    /// One run of readings without numbers or with, as (topic, number).
    pub fn send(&mut self, run: u64, readings: &[(&str, u64)]) {
        let payloads: Vec<_> = readings
            .iter()
            // Long ago, so that windows close at once and are amended by the next run; but not too long.
            .map(|(topic, n)| {
                let ts = Clock.now().as_millis() - 1_800_000;
                (*topic, format!(r#"{{"v":1,"ts":{ts},"n":{n},"b":1}}"#))
            })
            .collect();
        self.push(Input::Run(run_of(&self.link, run + 1, &payloads)));
    }

    pub fn acknowledged(&self) -> u64 {
        self.link.committed()
    }

    pub fn failures(&self) -> u64 {
        self.figures.failures.load(Ordering::Relaxed)
    }

    pub fn wait_for_acknowledgement(&self, run: u64) {
        wait(|| self.acknowledged() >= run);
    }

    pub fn wait_for_failures(&self, count: u64) {
        wait(|| self.failures() >= count);
    }

    /// The figures follow the acknowledgement: whoever asks at once may still see those of the transaction before.
    pub fn wait_for_total(&self, readings: u64) {
        wait(|| self.ledger().total() >= readings);
        assert_eq!(self.ledger().total(), readings);
    }

    pub fn wait_for_windows(&self, count: u64) {
        wait(|| self.figures.windows.load(Ordering::Relaxed) == count);
    }

    pub fn wait_until(&self, done: impl Fn(&Body) -> bool) {
        wait(|| done(self));
    }

    /// Stops, as the daemon does: the heart writes what it has and ends.
    pub fn stop(&mut self) {
        self.intake.close();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Waits for something that other threads do.
fn wait(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "it does not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn run_of(link: &Arc<Link>, number: u64, messages: &[(&str, impl AsRef<[u8]>)]) -> Run {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    let mut put = |text: &[u8]| {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(text);
        start..u32::try_from(bytes.len()).unwrap()
    };
    for (topic, payload) in messages {
        let (topic, payload) = (put(topic.as_bytes()), put(payload.as_ref()));
        ranges.push(Message { topic, payload, retained: false, acknowledged: true, dup: false });
    }
    Run { link: Arc::clone(link), number, arrival: uptime(), bytes: Bytes::from(bytes), messages: ranges }
}

pub fn now_payload(value: u64) -> String {
    format!(r#"{{"v":{value},"ts":{}}}"#, Clock.now().as_millis())
}

/// The one promise: while the sync has not returned, nobody is told that anything is on disk.
#[test]
fn no_acknowledgement_before_the_sync() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plan());
    for run in 0..20 {
        disk.hold(true);
        body.send(run, &[("s/d1/t", run)]);
        disk.wait_for_sync();
        assert_eq!(body.acknowledged(), run);
        assert_eq!(body.ledger().counted, run, "nor is it in the ledger");
        disk.hold(false);
        body.wait_for_acknowledgement(run + 1);
        body.wait_for_total(run + 1);
    }
    body.stop();
}

/// Readings of a sensor whose value does not change, one for each connection. What its connections settle is written with
/// the next batch, and not by itself.
#[test]
fn a_sensor_that_says_the_same_again_is_counted_again() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plain());
    let text = now_payload(1);
    let say = |body: &Body, link: &Arc<Link>, dup: bool, settles: bool| {
        body.push(Input::Opened(Arc::clone(link)));
        let mut run = run_of(link, 1, &[("s/d1/t", &text)]);
        run.messages[0].dup = dup;
        body.push(Input::Run(run));
        wait(|| link.committed() == 1);
        if settles {
            body.push(Input::Settled { link: Arc::clone(link), but: 0 });
        }
        body.push(Input::Closed(Arc::clone(link)));
    };
    let new: fn(u16, &'static str, u16) -> Arc<Link> = Link::new;
    let marking: fn(u16, &'static str, u16) -> Arc<Link> =
        |source, session, max| Link::marking(source, session, max, max);
    for (session, link, dup, settles, counted) in [
        ("broker that settles", new, false, true, 4),
        ("broker", new, false, false, 1),
        ("client", marking, false, false, 4),
        ("client that sends again", marking, true, false, 1),
    ] {
        let before = body.ledger().total();
        let known = body.ledger().counted;
        for _ in 0..4 {
            say(&body, &link(0, session, 100), dup, settles);
        }
        body.wait_for_total(before + 4);
        assert_eq!(body.ledger().counted - known, counted, "{session}");
    }
    body.stop();
}

#[test]
fn stopping_drains_everything() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plan());
    disk.hold(true);
    let links: Vec<_> = (0..10).map(|n| Link::new(0, format!("c{n}"), 100)).collect();
    for number in 1..=50u64 {
        for (at, link) in (0u64..).zip(&links) {
            let text = format!(r#"{{"v":1,"ts":{},"n":{},"b":{at}}}"#, Clock.now().as_millis(), number);
            body.push(Input::Run(run_of(link, number, &[("s/d1/t", text)])));
        }
    }
    body.push(Input::Closed(Arc::clone(&links[0])));
    body.intake.close();
    disk.hold(false);
    body.stop();
    assert!(links.iter().all(|link| link.committed() == 50), "also a connection that has ended");
    let rig = Rig::open(disk, plan()).unwrap();
    assert_eq!(rig.pipeline.ledger().total(), 500);
}

/// What was committed and not acknowledged comes again after a restart: each counts as a duplicate, once.
#[test]
fn redelivered_after_a_restart() {
    let disk = Disk::default();
    let texts: Vec<_> = (0..10).map(|n| ("s/d1/t", now_payload(n / 2))).collect();
    for restart in 0..3u64 {
        let mut body = Body::new(&disk, plain());
        body.push(Input::Run(run_of(&body.link, 1, &texts)));
        body.wait_for_acknowledgement(1);
        body.wait_for_total(10 + 10 * restart);
        assert_eq!(body.ledger().counted, 10);
        body.stop();
    }
    let mut body = Body::new(&disk, plain());
    body.push(Input::Run(run_of(&body.link, 1, &texts)));
    body.push(Input::Run(run_of(&body.link, 2, &texts[..4])));
    body.wait_for_acknowledgement(2);
    body.wait_for_total(44);
    assert_eq!(body.ledger().counted, 14, "what comes a second time is new");
    body.stop();
}

/// A broker that stops after 20 unacknowledged messages is not kept waiting for the interval each time.
#[test]
fn a_window_of_20_does_not_stall() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plain());
    let start = Instant::now();
    const ROUNDS: u64 = 100;
    for round in 0..ROUNDS {
        let texts: Vec<_> = (0..20).map(|n| ("s/d1/t", now_payload(n))).collect();
        body.push(Input::Run(run_of(&body.link, round + 1, &texts)));
        body.wait_for_acknowledgement(round + 1);
    }
    // With the interval it would be 25 s, with a pause each time 1.5 s.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    body.stop();
}

/// A source that still delivers its backlog holds its windows open, and does not make each message a transaction.
#[test]
fn a_backlog_is_committed_in_batches() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plain());
    body.push(Input::Backlog { source: 0 });
    let texts = [("s/d1/t", format!(r#"{{"v":1,"ts":{}}}"#, Clock.now().as_millis() - 60_000))];
    body.push(Input::Run(run_of(&body.link, 1, &texts)));
    body.wait_for_acknowledgement(1);
    let before = body.figures.commits.load(Ordering::Relaxed);
    for number in 2..=200 {
        body.push(Input::Run(run_of(&body.link, number, &texts)));
        wait(|| body.intake.messages() == 0);
    }
    body.wait_for_acknowledgement(200);
    let commits = body.figures.commits.load(Ordering::Relaxed) - before;
    assert!(commits <= 40, "{commits} transactions for 200 messages");
    assert_eq!(body.figures.windows.load(Ordering::Relaxed), 1, "held open");
    body.push(Input::Drained { source: 0 });
    body.intake.wake();
    body.wait_for_windows(0);
    body.stop();
}

#[test]
fn orders_and_plans_are_answered_when_they_are_on_disk() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plain());
    body.push(Input::Run(run_of(&body.link, 1, &[("s/d1/t", "junk".into()), ("s/d1/t", now_payload(1))])));
    body.wait_for_acknowledgement(1);
    let start = Instant::now();
    body.mailbox.order(vec![LetterOrder::Retry(1), LetterOrder::Drop(7)]).blocking_recv().unwrap();
    body.mailbox.want_more("nobody", 1);
    wait(|| body.mailbox.deadline(Instant::now()).is_none());
    assert!(start.elapsed() < Duration::from_secs(5), "at once: {:?}", start.elapsed());
    let mut renamed = plain();
    renamed.summaries[0].name = "renamed".into();
    let (done, answer) = tokio::sync::oneshot::channel();
    body.mailbox.remember([("gateway@broker:1883".to_owned(), vec!["s/+/+".to_owned()])].into());
    body.plans.blocking_send(NewPlan { plan: renamed.clone(), heartbeat: None, done }).unwrap();
    body.intake.wake();
    answer.blocking_recv().unwrap();
    body.push(Input::Run(run_of(&body.link, 2, &[("s/d1/t", now_payload(2))])));
    body.wait_for_acknowledgement(2);
    body.stop();
    let rig = Rig::open(disk, plan()).unwrap();
    assert_eq!(*rig.pipeline.plan(), renamed);
    assert_eq!(rig.store.shared().subscriptions().unwrap()["gateway@broker:1883"], ["s/+/+"]);
    let ledger = rig.pipeline.ledger();
    let letters = rig.store.shared().letter_counts();
    assert_eq!((ledger.counted, ledger.total() - letters.retried, letters.retried), (2, 3, 1));
}

/// A full buffer takes nothing more, says so, and loses nothing that it took.
#[test]
fn a_full_buffer_takes_nothing_more() {
    let disk = Disk::default();
    let mut body = Body::with(&disk, plain(), 20_000);
    let mut number = 0;
    while !body.health.has("buffer") {
        number += 1;
        let texts: Vec<_> = (0..20).map(|n| (format!("s/d{number}/t{n}"), now_payload(n))).collect();
        let texts: Vec<_> = texts.iter().map(|(topic, text)| (topic.as_str(), text.clone())).collect();
        body.push(Input::Run(run_of(&body.link, number, &texts)));
        wait(|| body.acknowledged() == number || body.health.has("buffer"));
        assert!(number < 1_000, "it never fills");
    }
    let acknowledged = body.acknowledged();
    body.push(Input::Run(run_of(&body.link, number + 1, &[("s/d1/t", now_payload(7))])));
    // Orders are still done: they show that the writer turns, and that the run behind is not taken.
    body.mailbox.order(vec![LetterOrder::Drop(1)]).blocking_recv().unwrap();
    assert_eq!(body.acknowledged(), acknowledged);
    assert!(body.intake.messages() > 0);
    body.stop();
    let rig = Rig::open(disk, plain()).unwrap();
    assert_eq!(rig.pipeline.ledger().counted, 20 * acknowledged);
}
