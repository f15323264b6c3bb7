//! Sparkplug B 3.0 as a host that only listens: births name metrics and their aliases, data refers to them.
//!
//! A message comes under `spBv1.0/GROUP/TYPE/NODE[/DEVICE]`. Its metrics are readings with a time of their own. What a
//! listener cannot do is ask for a birth that it missed: until the next one, data with aliases is `unknown_alias`.
//! What hosts say (STATE, NCMD, DCMD) holds no readings. `Node Control/…`, `Device Control/…` and `bdSeq` are none.

mod births;
mod proto;

pub use births::{Birth, Births, Change};

use super::found::Cycle;
use super::walk::put;
use super::{DecodeError, Found, Input, Scalar, Shape};
use crate::limits::{NAME_BYTES_MAX, READINGS_PER_MESSAGE_MAX};
use crate::time::Time;
use crate::verdict::Reason;
use proto::{Field, Metric, Value};
use std::borrow::Cow;

/// The tags that the topic gives.
pub(crate) const TAGS: [&str; 3] = ["device", "group", "node"];

/// The kinds of messages that say something to us (chapter 4.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Birth,
    Data,
    Death,
    /// For others.
    Other,
}

struct Topic<'t> {
    kind: Kind,
    group: &'t str,
    node: &'t str,
    device: Option<&'t str>,
}

pub(super) fn decode<'p>(
    shape: &Shape,
    input: Input<'p>,
    births: &Births,
    found: &mut Found<'p>,
) -> Result<(), DecodeError> {
    let malformed = |why: &str| DecodeError::Malformed("Sparkplug", why.to_owned());
    let topic = Topic::parse(input.topic).ok_or_else(|| malformed("the topic is not one of Sparkplug"))?;
    if topic.kind == Kind::Other {
        return Ok(());
    }
    let node = format!("{}/{}/{}", input.source, topic.group, topic.node);
    let name = topic.device.map_or_else(|| node.clone(), |device| format!("{node}/{device}"));
    let whole = Whole::read(input.payload)?;
    let mut reading = Reading {
        shape,
        found,
        topic: &topic,
        known: births.get(&name).filter(|_| topic.kind == Kind::Data),
        birth: Birth::default(),
        time: None,
    };
    for metric in whole.metrics {
        reading.metric(metric, whole.timestamp)?;
    }
    let mut birth = reading.birth;
    birth.sort();
    let start = birth.start;
    let is_node = topic.device.is_none();
    found.change = match topic.kind {
        // A death that a broker kept from an earlier start says nothing of this one (chapter 6.4.17).
        Kind::Death
            if is_node && start.is_some() && births.get(&name).is_some_and(|known| known.start != start) =>
        {
            None
        }
        Kind::Death => Some(Change::Death { name }),
        Kind::Birth => Some(Change::Birth { name, birth }),
        Kind::Data | Kind::Other => None,
    };
    if let Some(sequence) = whole.sequence.filter(|_| !(is_node && topic.kind == Kind::Death)) {
        let start = start.filter(|_| is_node && topic.kind == Kind::Birth);
        let restart = is_node && topic.kind == Kind::Birth;
        found.cycle = Some(Cycle { sender: node, sequence, start: restart.then_some(start.unwrap_or(0)) });
    }
    Ok(())
}

impl Topic<'_> {
    fn parse(topic: &str) -> Option<Topic<'_>> {
        let other = Topic { kind: Kind::Other, group: "", node: "", device: None };
        let mut levels = topic.split('/');
        match (levels.next()?, levels.next()?) {
            ("spBv1.0", "STATE") | ("STATE", _) => Some(other),
            ("spBv1.0", group) => {
                let (kind, of_device) = match levels.next()? {
                    "NBIRTH" => (Kind::Birth, false),
                    "NDATA" => (Kind::Data, false),
                    "NDEATH" => (Kind::Death, false),
                    "DBIRTH" => (Kind::Birth, true),
                    "DDATA" => (Kind::Data, true),
                    "DDEATH" => (Kind::Death, true),
                    "NCMD" | "DCMD" => return Some(other),
                    _ => return None,
                };
                let (node, device) = (levels.next()?, levels.next());
                (device.is_some() == of_device && levels.next().is_none()).then_some(Topic {
                    kind,
                    group,
                    node,
                    device,
                })
            }
            _ => None,
        }
    }
}

/// A payload; its fields come in any order.
struct Whole {
    timestamp: Option<u64>,
    sequence: Option<u8>,
    metrics: Vec<Metric>,
}

impl Whole {
    fn read(mut payload: &[u8]) -> Result<Whole, DecodeError> {
        let mut whole = Whole { timestamp: None, sequence: None, metrics: Vec::new() };
        let malformed = |error: prost::DecodeError| DecodeError::Malformed("Sparkplug", error.to_string());
        while let Some(field) = proto::next(&mut payload).map_err(malformed)? {
            match field {
                Field::Timestamp(time) => whole.timestamp = Some(time),
                Field::Sequence(number) => whole.sequence = u8::try_from(number).ok(),
                Field::Metric(_) if whole.metrics.len() > READINGS_PER_MESSAGE_MAX => {
                    return Err(DecodeError::TooMany);
                }
                Field::Metric(metric) => whole.metrics.push(metric),
            }
        }
        Ok(whole)
    }
}

struct Reading<'r, 'p> {
    shape: &'r Shape,
    found: &'r mut Found<'p>,
    topic: &'r Topic<'r>,
    /// Where aliases are looked up, and types that data leaves out.
    known: Option<&'r Birth>,
    /// What this birth says.
    birth: Birth,
    /// Of the present record, once there is one.
    time: Option<Option<u64>>,
}

impl Reading<'_, '_> {
    fn metric(&mut self, metric: Metric, sent: Option<u64>) -> Result<(), DecodeError> {
        let name = match (&metric.name, metric.alias) {
            (Some(name), _) => Cow::Borrowed(name.as_str()),
            (None, Some(alias)) => match self.known.and_then(|known| known.by_alias(alias)) {
                Some((name, _)) => Cow::Owned(name.to_owned()),
                None => {
                    self.at(metric.timestamp.or(sent))?;
                    self.found.add_leaf(&format!("alias {alias}"), Err(Reason::UnknownAlias))?;
                    self.found.extend();
                    return Ok(());
                }
            },
            (None, None) => return Err(DecodeError::Malformed("Sparkplug", "a metric has no name".into())),
        };
        let known = self.known.and_then(|known| match metric.alias {
            Some(alias) => known.by_alias(alias).map(|(_, kind)| kind),
            None => known.by_name(&name),
        });
        let kind = metric.datatype.and_then(|kind| u8::try_from(kind).ok()).or(known).unwrap_or(0);
        if name == "bdSeq" {
            let Scalar::Int(start) = scalar(&metric, kind) else { return Ok(()) };
            self.birth.start = u8::try_from(start).ok();
            return Ok(());
        }
        // Longer names are refused as readings too.
        if self.topic.kind == Kind::Birth && name.len() <= NAME_BYTES_MAX {
            match metric.alias {
                Some(alias) => self.birth.aliases.push((alias, name.clone().into_owned(), kind)),
                None => self.birth.names.push((name.clone().into_owned(), kind)),
            }
        }
        if self.topic.kind == Kind::Death
            || name.starts_with("Node Control/")
            || name.starts_with("Device Control/")
        {
            return Ok(());
        }
        self.at(metric.timestamp.or(sent))?;
        put(self.shape, self.found, name.split('/'), scalar(&metric, kind))?;
        self.found.extend();
        Ok(())
    }

    /// Metrics of one moment that follow each other are one record.
    fn at(&mut self, millis: Option<u64>) -> Result<(), DecodeError> {
        if self.time == Some(millis) {
            return Ok(());
        }
        self.time = Some(millis);
        self.found.record(self.shape)?;
        let own = [self.topic.device, Some(self.topic.group), Some(self.topic.node)];
        for (name, value) in TAGS.into_iter().zip(own) {
            if let Some(value) = value {
                self.found.add_tag(name, value);
            }
        }
        self.found.extend();
        if let Some(millis) = millis {
            self.found.set_time(moment(millis).ok_or(Reason::BadTime));
        }
        Ok(())
    }
}

fn moment(millis: u64) -> Option<Time> {
    let millis = i64::try_from(millis).ok()?;
    jiff::Timestamp::from_millisecond(millis).ok().map(|time| Time(time.as_microsecond()))
}

/// The value by its data type (chapter 6.4.16): signed numbers stand in unsigned fields, as their two's complement.
fn scalar(metric: &Metric, kind: u8) -> Scalar<'static> {
    if metric.is_null == Some(true) {
        return Scalar::Null;
    }
    let whole = |bits: u64| {
        #[expect(clippy::cast_possible_truncation, reason = "the type says how many bits count")]
        let whole: i128 = match kind {
            1 => i128::from(bits as i8),
            2 => i128::from(bits as i16),
            3 => i128::from(bits as i32),
            4 => i128::from(bits.cast_signed()),
            _ => i128::from(bits),
        };
        Scalar::Int(whole)
    };
    match &metric.value {
        None => Scalar::Null,
        Some(Value::Int(bits)) => whole((*bits).into()),
        Some(Value::Long(bits)) => whole(*bits),
        Some(Value::Float(number)) => Scalar::Float(super::number::widened(*number)),
        Some(Value::Double(number)) => Scalar::Float(*number),
        Some(Value::Boolean(truth)) => Scalar::Bool(*truth),
        Some(Value::Text(text)) => Scalar::Text(Cow::Owned(text.clone())),
        Some(Value::Bytes(_)) => Scalar::Nested,
    }
}

#[cfg(test)]
mod tests;
