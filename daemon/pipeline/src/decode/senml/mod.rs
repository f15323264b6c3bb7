//! SenML (RFC 8428) in JSON and CBOR: each record is one of ours, with its base fields resolved (section 4.6).
//!
//! A record's name is split at its last `/` or `:`: what follows is the metric, what precedes is the tag `name`.
//! `urn:dev:ow:10e2073a01080063:voltage` is `voltage` of `urn:dev:ow:10e2073a01080063`. A sum (`s`) is the metric with `/sum`
//! behind it. Data (`vd`) is no value.

mod reader;

use self::reader::{Label, LabelSeed, Value};
use super::walk::put;
use super::{DecodeError, Found, Scalar, Shape, cbor};
use crate::time::{Span, Time};
use crate::verdict::Reason;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess};
use std::borrow::Cow;

/// The tag of what names have before their metric.
pub(crate) const NAME: &str = "name";

/// The latest version that we know (section 4.4); `bver` above it is refused.
const VERSION: f64 = 10.0;

/// Times below this are relative to now (section 4.5.3), in seconds.
const RELATIVE_BELOW: f64 = 268_435_456.0;

pub(super) fn decode<'p>(
    shape: &Shape,
    payload: &'p [u8],
    arrival: Time,
    found: &mut Found<'p>,
) -> Result<(), DecodeError> {
    let mut pack = Pack { shape, arrival, found, base: Base::default(), error: None };
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    // In CBOR an array begins with a byte of the major type 4.
    if matches!(first, Some(0x80..=0x9f)) {
        let mut reader = cbor::Reader::new(payload);
        let read = (&mut pack).deserialize(&mut reader).and_then(|()| reader.end());
        read.map_err(|error| pack.error.unwrap_or_else(|| cbor::malformed(&error)))
    } else {
        let mut reader = serde_json::Deserializer::from_slice(payload);
        let read = (&mut pack).deserialize(&mut reader).and_then(|()| reader.end());
        let malformed = |error: serde_json::Error| DecodeError::Malformed("SenML", error.to_string());
        read.map_err(|error| pack.error.unwrap_or_else(|| malformed(error)))
    }
}

struct Pack<'a, 'p> {
    shape: &'a Shape,
    arrival: Time,
    found: &'a mut Found<'p>,
    base: Base<'p>,
    /// Why we stopped, where it was not the parser that did.
    error: Option<DecodeError>,
}

/// Base fields, in force until the next record that has them.
#[derive(Default)]
struct Base<'p> {
    name: Cow<'p, str>,
    time: f64,
    value: f64,
    sum: f64,
}

/// The fields of one record that are its own.
#[derive(Default)]
struct Own<'p> {
    name: Cow<'p, str>,
    time: f64,
    value: Scalar<'p>,
    sum: Option<f64>,
}

impl<'p> Pack<'_, 'p> {
    fn record<A: MapAccess<'p>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let mut own = Own::default();
        while let Some(label) = map.next_key_seed(LabelSeed)? {
            if matches!(label, Label::Other) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value_seed(Value)?;
            self.take(label, value, &mut own).map_err(A::Error::custom)?;
        }
        self.finish(own).map_err(|error| {
            let words = A::Error::custom(&error);
            self.error = Some(error);
            words
        })
    }

    fn take(&mut self, label: Label, value: Scalar<'p>, own: &mut Own<'p>) -> Result<(), &'static str> {
        let number = || match &value {
            Scalar::Int(_) | Scalar::Float(_) => value.value(None).ok().flatten(),
            _ => None,
        };
        let number = || number().ok_or("a number of SenML is not one");
        match label {
            Label::BaseVersion if number()? > VERSION => return Err("a version of SenML that is not known"),
            Label::BaseVersion | Label::Other => {}
            Label::BaseTime => self.base.time = number()?,
            Label::BaseValue => self.base.value = number()?,
            Label::BaseSum => self.base.sum = number()?,
            Label::Time => own.time = number()?,
            Label::Sum => own.sum = Some(number()?),
            Label::Value => own.value = value,
            Label::BaseName | Label::Name => {
                let Scalar::Text(text) = value else { return Err("a name of SenML is not text") };
                *(if matches!(label, Label::Name) { &mut own.name } else { &mut self.base.name }) = text;
            }
        }
        Ok(())
    }

    fn finish(&mut self, own: Own<'p>) -> Result<(), DecodeError> {
        if own.value == Scalar::Absent && own.sum.is_none() {
            return Ok(());
        }
        let name = format!("{}{}", self.base.name, own.name);
        let (device, metric) = match name.rfind(['/', ':']) {
            Some(at) => (&name[..at], &name[at + 1..]),
            None => ("", name.as_str()),
        };
        if metric.is_empty() {
            return Err(DecodeError::Malformed("SenML", "a record has no name".into()));
        }
        let (shape, base) = (self.shape, &self.base);
        self.found.record(shape)?;
        let value = match own.value {
            Scalar::Int(_) | Scalar::Float(_) if base.value != 0.0 => {
                Scalar::Float(own.value.value(None).unwrap_or_default().unwrap_or(f64::NAN) + base.value)
            }
            value => value,
        };
        if value != Scalar::Absent {
            put(shape, self.found, [metric], value)?;
        }
        if let Some(sum) = own.sum {
            put(shape, self.found, [metric, "sum"], Scalar::Float(base.sum + sum))?;
        }
        if !device.is_empty() {
            self.found.add_tag(NAME, device);
        }
        self.found.extend();
        let time = resolve(base.time + own.time, self.arrival);
        self.found.set_time(time.ok_or(Reason::BadTime));
        Ok(())
    }
}

/// Seconds since 1970, or relative to now.
fn resolve(seconds: f64, now: Time) -> Option<Time> {
    let micros = (seconds * 1e6).round();
    if !(-9.0e18..=9.0e18).contains(&micros) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and whole")]
    let micros = micros as i64;
    let time = if seconds < RELATIVE_BELOW { now.plus(Span(micros)) } else { Time(micros) };
    jiff::Timestamp::from_microsecond(time.0).ok().map(|_| time)
}

#[cfg(test)]
mod tests;
