//! `tidegate try`: what this configuration makes of one payload. No daemon, no store, nothing changes.

use super::exit::{self, Exit};
use super::print::{json, out, printable};
use super::tap::human;
use crate::clock::Clock;
use crate::config::Config;
use crate::limits::PACKET_BYTES_MAX;
use crate::status::TraceLine;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::message::{Message, Trace};
use tidegate_pipeline::plan::{Fields, Plan, StreamPlan};
use tidegate_pipeline::time::Time;
use tidegate_pipeline::verdict::Verdict;
use tidegate_pipeline::window::windows_around;

/// What to try.
#[derive(Debug, Args)]
pub(super) struct Try {
    /// The topic that the payload came on
    #[arg(long)]
    topic: String,
    /// The source that it came from [default: the first that a matching stream listens to]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// It was replayed by the broker at subscription
    #[arg(long)]
    retained: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The file with the payload; `-` is standard input
    #[arg(value_name = "FILE|-")]
    file: String,
}

/// What became of the payload.
#[derive(Debug, PartialEq, Serialize)]
struct Tried<'t> {
    topic: &'t str,
    source: &'t str,
    readings: Vec<TriedReading<'t>>,
    /// The streams that made nothing of it.
    without: Vec<Without<'t>>,
}

#[derive(Debug, PartialEq, Serialize)]
struct TriedReading<'t> {
    #[serde(flatten)]
    line: TraceLine<'t>,
    /// The windows that it falls into, where it is counted.
    windows: Vec<TriedWindow<'t>>,
}

#[derive(Debug, PartialEq, Serialize)]
struct TriedWindow<'t> {
    summary: &'t str,
    /// Absent where what else is read decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Without<'t> {
    stream: &'t str,
    why: String,
}

/// Tries it under the configuration at `path`.
///
/// # Errors
/// How to end when configuration or payload cannot be read.
pub(super) fn try_run(path: &Path, args: &Try) -> Result<(), Exit> {
    let config = super::load(path)?;
    let source = source(&config, args).map_err(|why| exit::failed(exit::USAGE, &why))?;
    let payload = payload(&args.file)
        .map_err(|error| exit::failed(exit::NO_INPUT, &format!("cannot read {}: {error}", args.file)))?;
    let traces = traces(&config.plan, source, args, &payload, Clock.now());
    let tried = explain(&config.plan, source, &args.topic, &traces);
    if args.json { json(&tried) } else { out(&text(&tried)) }
}

/// The index of the source.
fn source(config: &Config, args: &Try) -> Result<u16, String> {
    let plan = &config.plan;
    if let Some(name) = &args.source {
        let at = plan.sources.iter().position(|source| source == name);
        return at.and_then(|at| u16::try_from(at).ok()).ok_or_else(|| {
            format!("there is no source `{name}` in the configuration, only {}", plan.sources.join(", "))
        });
    }
    let listens = plan.streams.iter().find(|stream| matches(stream, &args.topic));
    Ok(listens.and_then(|stream| stream.sources.first().copied()).unwrap_or(0))
}

/// At most one byte more than the largest packet: enough to be told that it is too large.
fn payload(file: &str) -> std::io::Result<Vec<u8>> {
    let limit = PACKET_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    match file {
        "-" => std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?,
        file => std::fs::File::open(file)?.take(limit).read_to_end(&mut bytes)?,
    };
    match bytes.len() > PACKET_BYTES_MAX {
        true => Err(std::io::Error::other(format!("it is larger than {PACKET_BYTES_MAX} bytes"))),
        false => Ok(bytes),
    }
}

fn traces(plan: &Plan, source: u16, args: &Try, payload: &[u8], now: Time) -> Vec<Trace> {
    let mut pipeline = Pipeline::new(plan.clone());
    let mut step = pipeline.step();
    step.trace();
    step.message(&Message {
        source,
        session: "try",
        topic: args.topic.as_bytes(),
        payload,
        retained: args.retained,
        acknowledged: true,
        may_repeat: true,
        arrival: now,
    });
    step.traces()
}

fn explain<'t>(plan: &'t Plan, source: u16, topic: &'t str, traces: &'t [Trace]) -> Tried<'t> {
    let readings = traces
        .iter()
        .map(|trace| TriedReading { line: TraceLine::of(trace), windows: windows(plan, trace) })
        .collect();
    let silent = |stream: &&StreamPlan| !traces.iter().any(|t| t.stream.as_ref() == Some(&stream.name));
    let without = plan
        .streams
        .iter()
        .filter(silent)
        .map(|stream| Without { stream: &stream.name, why: why_not(plan, stream, source, topic) })
        .collect();
    let source = plan.sources.get(usize::from(source)).map_or("", String::as_str);
    Tried { topic, source, readings, without }
}

fn windows<'t>(plan: &'t Plan, trace: &Trace) -> Vec<TriedWindow<'t>> {
    let (Verdict::Counted, Some(time), Some(stream), Some(metric)) =
        (trace.verdict, trace.time, &trace.stream, &trace.metric)
    else {
        return Vec::new();
    };
    let stream = plan.streams.iter().position(|plan| plan.name == *stream);
    let folds = |&at: &u16| Some(usize::from(at)) == stream;
    plan.summaries
        .iter()
        .filter(|summary| summary.streams.iter().any(folds))
        .filter(|summary| summary.metrics.as_ref().is_none_or(|metrics| metrics.contains(metric)))
        .flat_map(|summary| {
            let bounds = windows_around(summary, time);
            // Where windows end by what was read, one reading does not say which.
            let known = bounds.into_iter().map(|(start, end)| (Some(start.rfc3339()), Some(end.rfc3339())));
            let shown: Vec<_> = known.collect();
            let shown = if shown.is_empty() { vec![(None, None)] } else { shown };
            shown.into_iter().map(|(start, end)| TriedWindow { summary: &summary.name, start, end })
        })
        .collect()
}

fn matches(stream: &StreamPlan, topic: &str) -> bool {
    stream.topics.iter().any(|pattern| pattern.covers(topic))
        && !stream.exclude.iter().any(|pattern| pattern.covers(topic))
}

/// Why a stream has no reading, in words that lead to the line of the configuration.
fn why_not(plan: &Plan, stream: &StreamPlan, source: u16, topic: &str) -> String {
    if !stream.topics.iter().any(|pattern| pattern.covers(topic)) {
        let wanted: Vec<String> = stream.topics.iter().map(|pattern| pattern.filter()).collect();
        return format!("the topic does not match {}", wanted.join(" or "));
    }
    if let Some(pattern) = stream.exclude.iter().find(|pattern| pattern.covers(topic)) {
        return format!("the topic is excluded by {}", pattern.filter());
    }
    if !stream.sources.contains(&source) {
        let name = |&at: &u16| plan.sources.get(usize::from(at)).cloned().unwrap_or_default();
        let names: Vec<String> = stream.sources.iter().map(name).collect();
        return format!("it listens to {} only", names.join(", "));
    }
    match &stream.fields {
        Fields::Value { at: Some(at), .. } => {
            format!("there is no value at /{} in the payload", at.0.join("/"))
        }
        Fields::Value { .. } => "the payload has no value, or its metric is not listed".to_owned(),
        Fields::Leaves { listed, rest: false } => {
            let names: Vec<&str> = listed.iter().map(|metric| metric.name.as_str()).collect();
            format!("the payload has none of the listed metrics: {}", names.join(", "))
        }
        Fields::Leaves { .. } => "the payload has no number and no boolean".to_owned(),
    }
}

fn text(tried: &Tried<'_>) -> String {
    let mut text = format!("{} from {}\n", printable(tried.topic), tried.source);
    // Writing to a String cannot fail.
    for reading in &tried.readings {
        let line = serde_json::to_value(&reading.line).unwrap_or_default();
        let _ = writeln!(text, "  {}", human(&line));
        for window in &reading.windows {
            let _ = match (&window.start, &window.end) {
                (Some(start), Some(end)) => writeln!(text, "    → {}: {start} to {end}", window.summary),
                _ => writeln!(text, "    → {}: the window that is open then", window.summary),
            };
        }
        if reading.windows.is_empty() && reading.line.verdict == "counted" {
            let _ = writeln!(text, "    → no summary counts it");
        }
    }
    for without in &tried.without {
        let _ = writeln!(text, "  nothing for {}: {}", without.stream, printable(&without.why));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    const CONFIG: &str = r#"
[sources.field]
type = "listen"
[sources.other]
type = "listen"
listen = "127.0.0.1:1884"
[streams.climate]
sources = ["field"]
topic = "s/{device}/{metric}"
exclude = ["s/+/debug"]
format = "json"
value = "/value"
time = { at = "/ts", format = "s" }
clean = [{ range = { min = 0, max = 50 } }]
[streams.meter]
topic = "m/{device}"
[streams.meter.metrics]
power = { at = "/p" }
[summaries.minute]
streams = ["climate"]
window = "1m"
[outputs.out]
url = "http://127.0.0.1:1/"
"#;

    fn check(topic: &str, payload: &str, expected: &[&str]) {
        let loaded = config::parse(CONFIG, "test", Path::new("."), &Environment::from_system());
        let config = loaded.map_err(|report| report.render(false)).unwrap().config;
        let args =
            Try { topic: topic.into(), source: None, retained: false, json: false, file: String::new() };
        let source = source(&config, &args).unwrap();
        let now = Time::from_millis(1_000_000_000_000);
        let traces = traces(&config.plan, source, &args, payload.as_bytes(), now);
        let shown = text(&explain(&config.plan, source, topic, &traces));
        let lines: Vec<String> =
            shown.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines, expected, "{topic} {payload}");
    }

    #[test]
    fn everything_is_explained() {
        const METER: &str = "nothing for meter: the topic does not match m/+";
        const CLIMATE: &str = "nothing for climate: the topic does not match s/+/+";
        check(
            "s/d1/t",
            r#"{"value": 21.5, "ts": 1000000000}"#,
            &[
                "2001-09-09T01:46:40Z counted climate/t{device=d1} 21.5 (s/d1/t)",
                "→ minute: 2001-09-09T01:46:00Z to 2001-09-09T01:47:00Z",
                METER,
            ],
        );
        check(
            "s/d1/t",
            r#"{"value": 99, "ts": 1000000000}"#,
            &[
                r#"2001-09-09T01:46:40Z rejected: range climate/t{device=d1} 99 (s/d1/t) {"value": 99, "ts": 1000000000}"#,
                METER,
            ],
        );
        check(
            "s/d1/t",
            r#"{"other": 1, "ts": 1000000000}"#,
            &["nothing for climate: there is no value at /value in the payload", METER],
        );
        check(
            "s/d1/debug",
            "{}",
            &[
                "rejected: unmatched s/d1/debug {}",
                "nothing for climate: the topic is excluded by s/+/debug",
                METER,
            ],
        );
        check(
            "m/d1",
            r#"{"q": 1}"#,
            &[CLIMATE, "nothing for meter: the payload has none of the listed metrics: power"],
        );
        check(
            "m/d1",
            r#"{"p": 1}"#,
            &[
                "2001-09-09T01:46:40Z counted meter/power{device=d1} 1 (m/d1)",
                "→ no summary counts it",
                CLIMATE,
            ],
        );
    }

    #[test]
    fn sources_by_name() {
        let loaded = config::parse(CONFIG, "test", Path::new("."), &Environment::from_system()).unwrap();
        let args = |name: &str| Try {
            topic: "s/d/t".into(),
            source: Some(name.into()),
            retained: false,
            json: false,
            file: String::new(),
        };
        assert_eq!(source(&loaded.config, &args("other")), Ok(1));
        assert!(source(&loaded.config, &args("nowhere")).unwrap_err().contains("field, other"));
    }
}
