//! Every decoder of the pipeline behind one function, for fuzzers.

use crc::{CRC_32_ISO_HDLC, Crc};
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{
    Csv, Fields, Format, MetricPlan, Plan, Pointer, PointerPattern, StreamPlan, TagPlan, TickPlaces,
    TicksPlan, TimeFormat, Unique,
};
use tidegate_pipeline::ticks::TickUnit;
use tidegate_pipeline::time::Time;
use tidegate_pipeline::topic::TopicPattern;
use tidegate_pipeline::{Loaded, Pipeline, journal};
use tidegate_wire::MAGIC;

/// 2026-11-22T10:00:00Z: when every message arrives.
const ARRIVAL: Time = Time::from_millis(1_795_341_600_000);
/// Series that the pipeline takes, so that it stays small however long it is fed.
const SERIES_MAX: u32 = 1_000;

/// Where Sparkplug's messages come; each of them reads the payload in its own way.
const SPARKPLUG: [&str; 5] = [
    "spBv1.0/g/NBIRTH/n",
    "spBv1.0/g/NDATA/n",
    "spBv1.0/g/DBIRTH/n/d",
    "spBv1.0/g/DDATA/n/d",
    "spBv1.0/g/NDEATH/n",
];

/// A pipeline with a stream for each format, which asks for everything that can be asked for.
#[derive(Debug)]
pub struct Decoders {
    pipeline: Pipeline,
    topics: Vec<String>,
}

impl Default for Decoders {
    fn default() -> Decoders {
        let csv = Csv { delimiter: b';', decimal: ',', columns: Vec::new(), header: true };
        let documents = [Format::Auto, Format::Json, Format::Cbor, Format::Msgpack];
        let others = [
            Format::Text,
            Format::Csv(csv),
            Format::Senml,
            Format::Influx { unit: TimeFormat::Nanos },
            Format::Sparkplug,
            Format::Tidegate,
        ];
        let single = documents.iter().cloned().chain(others).map(|format| greedy(format, None));
        let listed = documents.iter().cloned().map(|format| greedy(format, Some("/readings")));
        let mut streams: Vec<StreamPlan> = single.chain(listed).collect();
        let mut topics: Vec<String> = SPARKPLUG.iter().map(|topic| (*topic).to_owned()).collect();
        for (at, stream) in streams.iter_mut().enumerate() {
            stream.name = format!("s{at}");
            let topic =
                if stream.format == Format::Sparkplug { "spBv1.0/#".into() } else { stream.name.clone() };
            stream.topics = vec![TopicPattern::parse(&topic).unwrap()];
            topics.push(topic);
        }
        topics.retain(|topic| !topic.contains('#'));
        let plan = Plan { sources: vec!["fuzz".into()], streams, series_max: SERIES_MAX, ..Plan::default() };
        Decoders { pipeline: Pipeline::new(plan), topics }
    }
}

fn greedy(format: Format, each: Option<&str>) -> StreamPlan {
    let pointer = |at: &str| Pointer::parse(at).unwrap();
    let metric = |name: &str, at: &str| MetricPlan {
        name: name.into(),
        at: Some(PointerPattern::parse(at).unwrap()),
        ..MetricPlan::default()
    };
    let unique = match format {
        Format::Tidegate => Unique::Numbered { per: None },
        _ => Unique::Sequence { at: pointer("/seq"), boot: None, per: None },
    };
    // Documents say their uptime here, or nothing that could be one.
    let places = || TickPlaces { at: pointer("/t"), boot: pointer("/seq"), unit: TickUnit::Millis };
    let uptime = match format {
        Format::Tidegate => Some(TicksPlan::default()),
        Format::Cbor | Format::Json => Some(TicksPlan { places: Some(places()), per: None }),
        _ => None,
    };
    StreamPlan {
        sources: vec![0],
        ticks: uptime,
        format,
        each: each.map(pointer),
        numbers_as_text: true,
        fields: Fields::Leaves {
            listed: vec![metric("a", "/t"), metric("b", "/{x}/{y}"), metric("c", "/a{x}")],
            rest: true,
        },
        unique,
        tags: vec![("room".into(), TagPlan::At(pointer("/room")))],
        ..StreamPlan::default()
    }
}

impl Decoders {
    /// Has every decoder read `payload`, twice as if it came again, and the journal take what they made of it.
    ///
    /// # Panics
    /// When one of them does, or the journal cannot be read back.
    pub fn read(&mut self, payload: &[u8]) {
        self.read_as_it_is(payload);
        // Behind the checksum, too.
        if let Some((body, _)) = payload.split_last_chunk::<4>().filter(|_| payload.starts_with(&MAGIC)) {
            let checksum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(body);
            self.read_as_it_is(&[body, &checksum.to_le_bytes()].concat());
        }
    }

    fn read_as_it_is(&mut self, payload: &[u8]) {
        let mut step = self.pipeline.step();
        for topic in self.topics.iter().chain(&self.topics) {
            step.message(&Message {
                source: 0,
                session: "fuzz",
                topic: topic.as_bytes(),
                payload,
                retained: false,
                acknowledged: true,
                may_repeat: true,
                arrival: ARRIVAL,
            });
        }
        let changes = step.finish(ARRIVAL, &|_| false, &Loaded::default());
        journal::decode(&journal::encode(&changes.entry)).expect("what was written can be read");
    }
}
