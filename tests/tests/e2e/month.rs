//! Long times, without waiting for them: the daemon's own heart, store and pipeline are driven minute by minute by a clock
//! that this test sets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidegate::clock::{TimeSource, Timekeeper};
use tidegate::config::model::Buffer;
use tidegate::health::Health;
use tidegate::ingest::heart::{Heart, Parts};
use tidegate::ingest::intake::{Input, Intake, Link, Message, Run};
use tidegate::ingest::mailbox::Mailbox;
use tidegate::store::{Fate, Opened, Settlement, Shared, Store, Waiting, Wanted};
use tidegate_medium::Disk;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::plan::{
    Fields, Format, Plan, Pointer, StreamPlan, SummaryPlan, TimeFormat, TimePlan, Unique, Window,
};
use tidegate_pipeline::time::{Span, Time};
use tidegate_pipeline::topic::TopicPattern;
use tokio::sync::mpsc;

/// 2026-11-22T10:00:00Z.
const START: Time = Time::from_millis(1_795_341_600_000);
const MINUTE: i64 = 60_000_000;

/// Microseconds since the start.
#[derive(Clone, Default)]
struct Hands(Arc<Mutex<i64>>);

impl TimeSource for Hands {
    fn uptime(&mut self) -> Span {
        Span(*self.0.lock().unwrap())
    }
    fn wall(&mut self) -> Time {
        START.plus(self.uptime())
    }
    fn vouched(&mut self, _: Time) -> Option<&'static str> {
        Some("the test")
    }
    fn boot(&self) -> u64 {
        1
    }
}

/// A gateway in one thread.
struct Gateway {
    heart: Heart,
    hands: Hands,
    began: Instant,
    intake: Arc<Intake>,
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared>,
    health: Arc<Health>,
    link: Arc<Link>,
    runs: u64,
    _plans: mpsc::Sender<tidegate::ingest::change::NewPlan>,
}

fn plan(window: Span) -> Plan {
    let pointer = |text| Pointer::parse(text).unwrap();
    Plan {
        source: "/gateways/test/x".into(),
        sources: vec!["local".into()],
        streams: vec![StreamPlan {
            name: "climate".into(),
            sources: vec![0],
            topics: vec![TopicPattern::parse("s/{device}/{metric}").unwrap()],
            format: Format::Json,
            fields: Fields::Value { at: Some(pointer("/v")), metric: "v".into(), listed: vec![], rest: true },
            time: Some(TimePlan { at: pointer("/ts"), format: TimeFormat::Millis }),
            unique: Unique::Sequence { at: pointer("/n"), boot: Some(pointer("/b")), per: None },
            ..StreamPlan::default()
        }],
        summaries: vec![SummaryPlan {
            name: "minute".into(),
            streams: vec![0],
            window: Window::Tumbling { length: window },
            lateness: Span::ZERO,
            amend: Span::from_secs(3_600),
            aggregates: vec![Aggregate::Count, Aggregate::Mean, Aggregate::Min, Aggregate::Max],
            to: vec![0],
            ..SummaryPlan::default()
        }],
        outputs: vec!["out".into()],
        max_future: Span::from_secs(300),
        timezone: "UTC".into(),
        series_max: 10_000,
        ..Plan::default()
    }
}

impl Gateway {
    fn new(plan: Plan, bytes_max: u64) -> Gateway {
        let disk = Disk::default();
        let Opened { store, pipeline } = Store::open("store", disk.opener(), "x", |_| plan).unwrap();
        let (hands, began) = (Hands::default(), Instant::now());
        let clock = Timekeeper::new(hands.clone(), Time::MIN);
        let buffer = Buffer { bytes_max, flash_bytes_per_day: u64::MAX, ..Buffer::default() };
        let (parts, plans) = Parts::new(store, pipeline, clock, buffer);
        let mut gateway = Gateway {
            intake: Arc::clone(&parts.intake),
            mailbox: Arc::clone(&parts.mailbox),
            shared: Arc::clone(parts.store.shared()),
            health: Arc::clone(&parts.health),
            heart: Heart::new(parts, began),
            hands,
            began,
            link: Link::new(0, "sensor", 1_000),
            runs: 0,
            _plans: plans,
        };
        gateway.push(Input::Drained { source: 0 });
        gateway.push(Input::Opened(Arc::clone(&gateway.link)));
        gateway
    }

    fn push(&mut self, input: Input) {
        assert!(self.intake.try_push(Some(input)).is_none(), "there is room");
    }

    fn now(&self) -> i64 {
        *self.hands.0.lock().unwrap()
    }

    /// One reading of each of `series` series, at this moment.
    fn send(&mut self, series: usize) {
        self.runs += 1;
        let (number, now) = (self.runs, self.now());
        let ts = START.plus(Span(now)).as_millis();
        let (mut bytes, mut messages) = (Vec::new(), Vec::new());
        for device in 0..series {
            let start = u32::try_from(bytes.len()).unwrap();
            bytes.extend_from_slice(format!("s/d{device}/t").as_bytes());
            let middle = u32::try_from(bytes.len()).unwrap();
            // Readings of sensors do not repeat themselves.
            let value = (number * 37 + device as u64 * 11) % 1_000;
            bytes.extend_from_slice(format!(r#"{{"v":{value}.5,"ts":{ts},"n":{number},"b":1}}"#).as_bytes());
            let end = u32::try_from(bytes.len()).unwrap();
            messages.push(Message {
                topic: start..middle,
                payload: middle..end,
                retained: false,
                acknowledged: true,
                dup: false,
            });
        }
        let link = Arc::clone(&self.link);
        self.push(Input::Run(Run { link, number, arrival: Span(now), bytes: bytes.into(), messages }));
    }

    /// Turns until `end`, whenever something is due.
    fn until(&mut self, end: i64) {
        loop {
            let now = self.began + Duration::from_micros(self.now().unsigned_abs());
            assert!(self.heart.turn(now).is_continue());
            let due = self.heart.rest(now).map_or(end, |due| {
                i64::try_from(due.saturating_duration_since(self.began).as_micros()).unwrap().max(self.now())
            });
            if due >= end {
                *self.hands.0.lock().unwrap() = end;
                return;
            }
            *self.hands.0.lock().unwrap() = due;
        }
    }

    /// Hands over everything that waits, as an output does that is there again.
    fn drain(&mut self, mut take: impl FnMut(&Waiting)) {
        loop {
            let waiting = self.shared.waiting("out", &Wanted::first(500, 1 << 20)).unwrap();
            waiting.iter().for_each(&mut take);
            let settlement = |waiting: Waiting| Settlement {
                output: "out".into(),
                priority: waiting.priority,
                sequence: waiting.sequence,
                id: waiting.id,
                fate: Fate::Delivered,
            };
            let more = !waiting.is_empty() || self.shared.has_unreached("out");
            let now = self.began + Duration::from_micros(self.now().unsigned_abs());
            self.mailbox.settle(waiting.into_iter().map(settlement).collect(), now);
            if self.shared.has_unreached("out") {
                self.mailbox.want_more("out", 500);
            }
            self.until(self.now() + 6_000_000);
            if !more {
                return;
            }
        }
    }
}

/// What an event says: key of the series, start, end, readings.
fn span_of(waiting: &Waiting) -> (String, Time, Time, u64) {
    let event: serde_json::Value = serde_json::from_slice(&waiting.event).unwrap();
    let data = &event["data"];
    let time = |text: &serde_json::Value| {
        Time(text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond())
    };
    assert_eq!(data["replaces"], serde_json::json!([]), "nothing was ever sent before");
    (
        event["subject"].as_str().unwrap().into(),
        time(&data["window"]["start"]),
        time(&data["window"]["end"]),
        data["values"]["count"].as_u64().unwrap(),
    )
}

/// Days without uplink: one-minute windows fit into 64 KiB for each series, and no interval is missing. `./tests/run month` runs
/// it at full size, a month of 1,000 series in 64 MiB, which takes some thirty times as long.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_month_offline_fits_and_nothing_is_missing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let (series, days) = (number("SERIES").unwrap_or(250_usize), number("DAYS").unwrap_or(4));
    let bytes_max = (64 << 20) * series as u64 / 1_000;
    let minutes = i64::try_from(days).unwrap() * 24 * 60;
    let mut gateway = Gateway::new(plan(Span(MINUTE)), bytes_max);
    let began = Instant::now();
    let mut largest = 0;
    for minute in 0..minutes {
        gateway.until(minute * MINUTE + 1_000_000);
        gateway.send(series);
        largest = largest.max(gateway.shared.wear().size());
        let live = gateway.shared.live_bytes();
        assert!(
            largest <= bytes_max,
            "the file grew to {largest} of {bytes_max} in minute {minute}, with {live} in it"
        );
    }
    gateway.until(minutes * MINUTE + 1_000_000);
    let written = gateway.shared.wear().bytes();
    let took = began.elapsed();
    assert!(gateway.health.has("buffer"), "an operator is told");
    let counts = gateway.shared.outputs()["out"].counts.clone();
    assert_eq!(counts.dropped.values().sum::<u64>(), 0);
    let mut spans: BTreeMap<String, Vec<(Time, Time, u64)>> = BTreeMap::new();
    gateway.drain(|waiting| {
        let (subject, start, end, count) = span_of(waiting);
        spans.entry(subject).or_default().push((start, end, count));
    });
    assert_eq!(spans.len(), series);
    let mut longest = Span::ZERO;
    for (subject, spans) in &spans {
        assert_eq!(spans[0].0, START, "{subject}");
        assert_eq!(spans.last().unwrap().1, START.plus(Span(minutes * MINUTE)), "{subject}");
        for pair in spans.windows(2) {
            assert_eq!(pair[0].1, pair[1].0, "{subject}: no gap, no overlap, in order");
        }
        for (start, end, count) in spans {
            let length = end.since(*start);
            longest = longest.max(length);
            assert_eq!(*count, (length.0 / MINUTE).unsigned_abs(), "{subject}: a reading each minute");
        }
    }
    assert!(!gateway.health.has("buffer"), "and told that it is over");
    let windows = spans.values().map(Vec::len).sum::<usize>();
    eprintln!(
        "{series} series, {minutes} minutes in {took:.1?}: file {largest} of {bytes_max} bytes, {written} bytes written, \
         {windows} windows left, the longest of {} minutes",
        longest.0 / MINUTE
    );
}

/// A year with an output that takes everything: what is allocated at the end of a month is what was allocated at the
/// end of the one before.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn memory_is_flat_over_a_year() {
    const STEP: i64 = 10 * MINUTE;
    let mut gateway = Gateway::new(plan(Span(STEP)), 512 << 20);
    let mut month = || {
        for _ in 0..30 * 24 * 6 {
            let next = gateway.now() / STEP * STEP + STEP + 1_000_000;
            gateway.until(next);
            gateway.send(20);
            gateway.mailbox.standing("out").looked(true, false);
            let due = gateway.now() + 1_000_000;
            gateway.until(due);
            let waiting = gateway.shared.waiting("out", &Wanted::first(500, 1 << 20)).unwrap();
            let settled = waiting.into_iter().map(|waiting| Settlement {
                output: "out".into(),
                priority: waiting.priority,
                sequence: waiting.sequence,
                id: waiting.id,
                fate: Fate::Delivered,
            });
            gateway.mailbox.settle(settled.collect(), gateway.began);
        }
    };
    let grown: Vec<i64> = (0..12).map(|_| allocation_counter::measure(&mut month).bytes_current).collect();
    eprintln!("bytes that each month left behind: {grown:?}");
    // Caches fill and are emptied, a checkpoint comes and goes: what counts is that the highest level does not rise.
    let level = |months: &[i64]| {
        let mut sum = 0;
        let levels = months.iter().map(|month| {
            sum += month;
            sum
        });
        levels.collect::<Vec<i64>>()
    };
    let levels = level(&grown);
    // The first three months fill what is only ever used again.
    let (first, second) = levels[3..].split_at(5);
    assert!(second.iter().max() <= first.iter().max().map(|max| max + (512 << 10)).as_ref(), "{levels:?}");
}
