//! The core by itself: what a reading costs from its payload to the journal's row, by format, cleaning and window, and what an
//! open series takes in memory.

use super::{Figure, figure};
use std::hint::black_box;
use std::time::Instant;
use tidegate_pipeline::clean::{Range, RateLimit, Scale, Spike, Step};
use tidegate_pipeline::ledger::Ledger;
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{
    CalendarUnit, CleanStep, Fields, Format, Layout, Plan, Pointer, StreamPlan, SummaryPlan, TimeFormat,
    TimePlan, Unique, Window,
};
use tidegate_pipeline::time::{Span, Time};
use tidegate_pipeline::topic::TopicPattern;
use tidegate_pipeline::verdict::Verdict;
use tidegate_pipeline::{Loaded, Pipeline, journal};

const START: Time = Time::from_millis(1_795_341_600_000);
/// Messages of a step; as many as come in a quarter of a second of a busy gateway.
const STEP: usize = 1_000;
const STEPS: usize = 300;
const DEVICES: usize = 100;

/// One row: a name, a plan, and what the devices send.
pub(super) struct Case {
    pub(super) name: String,
    plan: Plan,
    payload: fn(usize) -> Vec<u8>,
    /// What comes may come again: it is looked for among what came before.
    doubted: bool,
}

/// By format; then JSON by cleaning step and by kind of window.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("JSON by pointer", json(), |n| {
            format!(r#"{{"id":"a7","value":{},"seq":{n}}}"#, value(n)).into()
        }),
        case("JSON, every leaf", leaves(Format::Json), |n| format!(r#"{{"t":{}}}"#, value(n)).into()),
        case("text", stream(Format::Text), |n| value(n).to_string().into()),
        case("line protocol", leaves(Format::Influx { unit: TimeFormat::Nanos }), |n| {
            format!("air t={}", value(n)).into()
        }),
        case("SenML", leaves(Format::Senml), |n| format!(r#"[{{"n":"t","v":{}}}]"#, value(n)).into()),
        case("CBOR", leaves(Format::Cbor), |n| {
            [b"\xa1\x61t\xfb", value(n).to_be_bytes().as_slice()].concat()
        }),
        case("MessagePack", leaves(Format::Msgpack), |n| {
            [b"\x81\xa1t\xcb", value(n).to_be_bytes().as_slice()].concat()
        }),
    ];
    for (name, step) in [
        ("range", Step::Range(Range { min: Some(-40.0), max: Some(85.0) })),
        ("scale", Step::Scale(Scale { factor: 0.1, offset: 3.0 })),
        ("spike", Step::Spike(Spike { window: 7, sigma: 3.0, min_deviation: 100.0 })),
        ("rate_limit", Step::RateLimit(RateLimit { per_second: 1e9 })),
    ] {
        let mut cleaned = json();
        cleaned.clean = vec![CleanStep { step, metrics: None }];
        cases.push(case(&format!("JSON, `{name}`"), cleaned, cases[0].payload));
    }
    let minute = Span::from_secs(60);
    for (name, window) in [
        ("hopping, 5 of a minute", Window::Hopping { length: Span::from_secs(300), every: minute }),
        ("calendar day", Window::Calendar { unit: CalendarUnit::Day, zone: "Europe/Amsterdam".into() }),
        ("session", Window::Session { gap: minute }),
        ("count of 100", Window::Count { readings: 100 }),
    ] {
        let mut windowed = case(&format!("JSON, {name}"), json(), cases[0].payload);
        windowed.plan.summaries[0].window = window;
        cases.push(windowed);
    }
    cases.extend(guards());
    let mut wide = case("JSON, wide", json(), cases[0].payload);
    wide.plan.summaries[0].layout = Layout::Wide;
    cases.push(wide);
    cases
}

/// What it costs to know a reading again: one payload, without a check and with each.
fn guards() -> Vec<Case> {
    let payload = |n| {
        let ts = START.as_millis() + n as i64 / 4;
        format!(r#"{{"value":{},"seq":{n},"boot":1,"ts":{ts}}}"#, value(n)).into()
    };
    let pointer = |text| Pointer::parse(text).unwrap_or_default();
    let (at, boot) = (pointer("/seq"), Some(pointer("/boot")));
    let kinds = [
        ("not looked for (QoS 0)", Unique::Content),
        ("by content", Unique::Content),
        ("by sequence", Unique::Sequence { at: at.clone(), boot: None, per: None }),
        ("by boot and sequence", Unique::Sequence { at, boot, per: None }),
        ("by time stamp", Unique::Time),
    ];
    let guarded = |(at, (name, unique)): (usize, (&str, Unique))| {
        let time = Some(TimePlan { at: pointer("/ts"), format: TimeFormat::Millis });
        let stream = StreamPlan { unique, time, ..json() };
        Case { doubted: at > 0, ..case(&format!("JSON, repeats {name}"), stream, payload) }
    };
    kinds.into_iter().enumerate().map(guarded).collect()
}

fn case(name: &str, stream: StreamPlan, payload: fn(usize) -> Vec<u8>) -> Case {
    Case { name: name.to_owned(), plan: plan(stream), payload, doubted: true }
}

/// What the account of a reading costs.
pub(super) fn ledger() -> Figure {
    const TIMES: usize = 10_000_000;
    let (mut ledger, start) = (Ledger::default(), Instant::now());
    for _ in 0..TIMES {
        black_box(&mut ledger).add(black_box(Verdict::Counted), 1);
    }
    figure(start.elapsed().as_nanos() as f64 / TIMES as f64, &format!("{} counted", ledger.counted))
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn value(n: usize) -> f64 {
    21.5 + (n * 7_919 % 1_009) as f64 / 100.0
}

fn stream(format: Format) -> StreamPlan {
    let topics = TopicPattern::parse("sensors/{device}").ok().into_iter().collect();
    let fields = Fields::Value { at: None, metric: "t".into(), listed: vec![], rest: true };
    StreamPlan { name: "bench".into(), sources: vec![0], topics, format, fields, ..StreamPlan::default() }
}

fn json() -> StreamPlan {
    let at = Pointer::parse("/value").ok();
    let fields = Fields::Value { at, metric: "t".into(), listed: vec![], rest: true };
    StreamPlan { fields, ..stream(Format::Json) }
}

fn leaves(format: Format) -> StreamPlan {
    StreamPlan { fields: Fields::default(), ..stream(format) }
}

fn plan(stream: StreamPlan) -> Plan {
    let aggregates = SummaryPlan::default().aggregates;
    let summary =
        SummaryPlan { name: "minute".into(), streams: vec![0], aggregates, ..SummaryPlan::default() };
    Plan {
        sources: vec!["bench".into()],
        streams: vec![stream],
        summaries: vec![summary],
        timezone: "UTC".into(),
        max_future: Span::from_secs(300),
        series_max: 100_000,
        ..Plan::default()
    }
}

/// Nanoseconds and allocations per reading, once everything is warm: decoding, deciding, folding, closing, encoding the row.
pub(super) fn measure(case: &Case) -> Figure {
    let mut pipeline = Pipeline::new(case.plan.clone());
    let topics: Vec<String> = (0..DEVICES).map(|device| format!("sensors/d{device}")).collect();
    let (mut now, mut sent) = (START, 0);
    let mut steps = |pipeline: &mut Pipeline, count: usize| {
        let mut nanos = 0;
        for _ in 0..count {
            now = now.plus(Span::from_millis(250));
            let payloads: Vec<Vec<u8>> = (sent..sent + STEP).map(case.payload).collect();
            sent += STEP;
            let start = Instant::now();
            let mut step = pipeline.step();
            for (n, payload) in payloads.iter().enumerate() {
                step.message(&Message {
                    source: 0,
                    session: "bench",
                    topic: topics[n % DEVICES].as_bytes(),
                    payload,
                    retained: false,
                    acknowledged: case.doubted,
                    may_repeat: case.doubted,
                    arrival: now,
                });
            }
            let changes = step.finish(now, &|_| false, &Loaded::new());
            black_box(journal::encode(&changes.entry));
            nanos += start.elapsed().as_nanos();
        }
        nanos
    };
    steps(&mut pipeline, 20);
    let mut nanos = 0;
    // The payloads are the bench's: as many are made without a pipeline.
    let own =
        allocation_counter::measure(|| (0..STEP * STEPS).map(case.payload).for_each(|p| drop(black_box(p))));
    let heap = allocation_counter::measure(|| nanos = steps(&mut pipeline, STEPS));
    let readings = (STEP * STEPS) as f64;
    let counted = pipeline.ledger().counted;
    let each = heap.count_total.saturating_sub(own.count_total) as f64 / readings;
    figure(nanos as f64 / readings, &format!("{each:.2} allocations per reading, {counted} counted"))
}

/// Bytes of memory per open series, everything that the core keeps of it included.
pub(super) fn memory() -> Vec<Figure> {
    const SERIES: usize = 10_000;
    let mut kept = None;
    let heap = allocation_counter::measure(|| {
        let mut pipeline = Pipeline::new(plan(json()));
        for device in 0..SERIES {
            let mut step = pipeline.step();
            step.message(&Message {
                source: 0,
                session: "bench",
                topic: format!("sensors/d{device}").as_bytes(),
                payload: br#"{"value":21.5}"#,
                retained: false,
                acknowledged: true,
                may_repeat: true,
                arrival: START,
            });
            drop(step.finish(START, &|_| false, &Loaded::new()));
        }
        kept = Some(pipeline);
    });
    let windows = kept.as_ref().map_or(0, Pipeline::open_windows);
    let bytes = heap.bytes_current as f64 / SERIES as f64;
    vec![figure(
        bytes,
        &format!("{windows} open windows of count, mean, min and max; topic and series names included"),
    )]
}
