//! Whatever bytes come, every decoder gives readings or an error, within the limits. `./tests/run fuzz` looks longer.

use super::sparkplug::Births;
use super::{Found, Input, Shape};
use crate::limits::READINGS_PER_MESSAGE_MAX;
use crate::plan::{
    Csv, Fields, Format, MetricPlan, Pointer, PointerPattern, StreamPlan, TagPlan, TimeFormat,
};
use proptest::prelude::*;

/// A stream that asks for everything that can be asked for.
fn greedy(format: Format, each: bool) -> StreamPlan {
    let metric = |name: &str, at: &str| MetricPlan {
        name: name.into(),
        at: Some(PointerPattern::parse(at).unwrap()),
        ..MetricPlan::default()
    };
    StreamPlan {
        format,
        each: each.then(|| Pointer::parse("/readings").unwrap()),
        numbers_as_text: true,
        fields: Fields::Leaves {
            listed: vec![metric("a", "/t"), metric("b", "/{x}/{y}"), metric("c", "/a{x}")],
            rest: true,
        },
        tags: vec![("room".into(), TagPlan::At(Pointer::parse("/room").unwrap()))],
        ..StreamPlan::default()
    }
}

/// Decodes into buffers that were used before, and looks at all that was found.
fn read(stream: &StreamPlan, topic: &str, payload: &[u8], births: &mut Births) {
    let shape = Shape::of(stream);
    let mut found = Found::default();
    for _ in 0..2 {
        let input = Input { source: "local", topic, payload, arrival: super::table::ARRIVAL };
        if found.decode(&stream.format, &shape, input, births).is_ok() {
            let records = found.records(&shape);
            let count: usize = records.map(|record| record.candidates(stream, None).count()).sum();
            assert!(count <= READINGS_PER_MESSAGE_MAX);
        }
        if let Some(change) = found.change.take() {
            births.note(&change);
        }
        found = found.recycle();
    }
}

fn formats() -> Vec<Format> {
    let csv = |header| Csv { delimiter: b';', decimal: ',', columns: Vec::new(), header };
    vec![
        Format::Auto,
        Format::Json,
        Format::Text,
        Format::Csv(csv(true)),
        Format::Cbor,
        Format::Msgpack,
        Format::Senml,
        Format::Sparkplug,
        Format::Influx { unit: TimeFormat::Nanos },
    ]
}

/// The corpus of the fuzzer: real payloads of every format.
const SEEDS: &[&[u8]] = &[
    include_bytes!("../../../../tests/fuzz/corpus/json/readings"),
    include_bytes!("../../../../tests/fuzz/corpus/csv/plc"),
    include_bytes!("../../../../tests/fuzz/corpus/influx/telegraf"),
    include_bytes!("../../../../tests/fuzz/corpus/senml/pack"),
    include_bytes!("../../../../tests/fuzz/corpus/senml/cbor"),
    include_bytes!("../../../../tests/fuzz/corpus/cbor/map"),
    include_bytes!("../../../../tests/fuzz/corpus/msgpack/map"),
    include_bytes!("../../../../tests/fuzz/corpus/sparkplug/birth"),
    include_bytes!("../../../../tests/fuzz/corpus/sparkplug/data"),
];

fn all(payload: &[u8]) {
    let mut births = Births::default();
    for format in formats() {
        for topic in ["spBv1.0/g/NBIRTH/n", "spBv1.0/g/DDATA/n/d"] {
            read(&greedy(format.clone(), false), topic, payload, &mut births);
            read(&greedy(format.clone(), true), topic, payload, &mut births);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        all(&payload);
    }

    /// Real payloads with bytes changed, cut out and repeated: what gets past the first byte.
    #[test]
    fn broken_payloads(
        seed in 0..SEEDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..8),
    ) {
        let mut payload = SEEDS[seed].to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(payload.len());
            match kind {
                0 => payload[at] = byte,
                1 => drop(payload.drain(at..(at + usize::from(byte % 8)).min(payload.len() - 1))),
                _ => payload.extend_from_within(at..),
            }
        }
        all(&payload);
    }
}
