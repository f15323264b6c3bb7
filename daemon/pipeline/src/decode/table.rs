//! How the tables of decoders are written: a stream, a payload, and the readings in one line.

use super::sparkplug::Births;
use super::{Found, Input, Shape};
use crate::plan::{Fields, Format, MetricPlan, Pointer, PointerPattern, StreamPlan};
use crate::time::Time;

/// Readings as `metric{captures}=value` or `metric!reason`, then ` [tags]` and ` @time` of the record where it has any,
/// records parted by ` | `; or a part of the error's text.
pub(super) type Expected<'e> = Result<&'e str, &'e str>;

/// 2026-11-22T10:00:00Z: when all messages of the tables arrive.
pub(super) const ARRIVAL: Time = Time(1_795_341_600_000_000);

/// Every number of the document.
pub(super) fn everything(format: Format) -> StreamPlan {
    StreamPlan { format, ..StreamPlan::default() }
}

/// One value, called `v`.
pub(super) fn value(format: Format, at: &str) -> StreamPlan {
    let at = Some(Pointer::parse(at).unwrap());
    let fields = Fields::Value { at, metric: "v".into(), listed: vec![], rest: true };
    StreamPlan { fields, ..everything(format) }
}

/// These metrics, and with `rest` all others too.
pub(super) fn listed(format: Format, metrics: &[(&str, Option<&str>)], rest: bool) -> StreamPlan {
    let plan = |(name, at): &(&str, Option<&str>)| MetricPlan {
        name: (*name).into(),
        at: at.map(|at| PointerPattern::parse(at).unwrap()),
        unit: None,
        ..MetricPlan::default()
    };
    StreamPlan {
        fields: Fields::Leaves { listed: metrics.iter().map(plan).collect(), rest },
        ..everything(format)
    }
}

/// Reads `payload` as a message that `stream` gets.
pub(super) fn check(stream: &StreamPlan, payload: &[u8], expected: Expected<'_>) {
    let shown = read(stream, "topic", payload, &mut Births::default());
    let text = String::from_utf8_lossy(payload);
    match (shown, expected) {
        (Ok(line), Ok(expected)) => assert_eq!(line, expected, "{text:.300}"),
        (Err(error), Err(part)) => assert!(error.contains(part), "{error}: {text:.300}"),
        (found, expected) => panic!("{text:.300}: {found:?}, expected {expected:?}"),
    }
}

/// What [`check`] compares.
pub(super) fn read(
    stream: &StreamPlan,
    topic: &str,
    payload: &[u8],
    births: &mut Births,
) -> Result<String, String> {
    let shape = Shape::of(stream);
    let mut found = Found::default();
    let input = Input { source: "local", topic, payload, arrival: ARRIVAL };
    found.decode(&stream.format, &shape, input, births).map_err(|error| error.to_string())?;
    if let Some(change) = &found.change {
        births.note(change);
    }
    Ok(line(stream, &shape, &found))
}

fn line(stream: &StreamPlan, shape: &Shape, found: &Found<'_>) -> String {
    let records = found.records(shape).map(|record| {
        let readings = record.candidates(stream, None).map(|candidate| {
            let captured: Vec<_> = candidate.captured.iter().map(|(n, v)| format!("{n}={v}")).collect();
            let captured =
                if captured.is_empty() { String::new() } else { format!("{{{}}}", captured.join(",")) };
            match candidate.value {
                Ok(value) => format!("{}{captured}={value}", candidate.metric),
                Err(reason) => format!("{}{captured}!{}", candidate.metric, reason.name()),
            }
        });
        let mut line = readings.collect::<Vec<_>>().join(" ");
        let own = record.tags().map(|(name, value)| format!("{name}={value}"));
        let from_places = shape
            .tags
            .iter()
            .filter_map(|(name, slot)| record.slot(*slot).tag().map(|value| format!("{name}={value}")));
        let tags: Vec<_> = own.chain(from_places).collect();
        if !tags.is_empty() {
            line += &format!(" [{}]", tags.join(","));
        }
        match record.time() {
            Some(Ok(time)) => line += &format!(" @{}", time.rfc3339()),
            Some(Err(reason)) => line += &format!(" @{}", reason.name()),
            None => {}
        }
        line
    });
    if found.len() == 0 { "no records".into() } else { records.collect::<Vec<_>>().join(" | ") }
}
