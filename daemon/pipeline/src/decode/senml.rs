//! SenML (RFC 8428) in JSON and CBOR: each record is one of ours, with its base fields resolved (section 4.6).
//!
//! A record's name is split at its last `/` or `:`: what follows is the metric, what precedes is the tag `name`.
//! `urn:dev:ow:10e2073a01080063:voltage` is `voltage` of `urn:dev:ow:10e2073a01080063`. A sum (`s`) is the metric with `/sum`
//! behind it. Data (`vd`) is no value.

use super::walk::put;
use super::{DecodeError, Found, Scalar, Shape, cbor};
use crate::time::{Span, Time};
use crate::verdict::Reason;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

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

/// A field by its label, in JSON and in CBOR (section 6, table 6).
#[derive(Clone, Copy)]
enum Label {
    BaseVersion,
    BaseName,
    BaseTime,
    BaseValue,
    BaseSum,
    Name,
    Time,
    /// `v`, `vs` or `vb`.
    Value,
    Sum,
    Other,
}

const LABELS: &[(&str, i64, Label)] = &[
    ("bver", -1, Label::BaseVersion),
    ("bn", -2, Label::BaseName),
    ("bt", -3, Label::BaseTime),
    ("bv", -5, Label::BaseValue),
    ("bs", -6, Label::BaseSum),
    ("n", 0, Label::Name),
    ("v", 2, Label::Value),
    ("vs", 3, Label::Value),
    ("vb", 4, Label::Value),
    ("s", 5, Label::Sum),
    ("t", 6, Label::Time),
];

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

impl<'p> DeserializeSeed<'p> for &mut Pack<'_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A pack is a list, and what the list holds are records.
impl<'p> Visitor<'p> for &mut Pack<'_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(RecordSeed(&mut *self))?.is_some() {}
        Ok(())
    }
}

struct RecordSeed<'s, 'a, 'p>(&'s mut Pack<'a, 'p>);

impl<'p> DeserializeSeed<'p> for RecordSeed<'_, '_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for RecordSeed<'_, '_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML record")
    }

    fn visit_map<A: MapAccess<'p>>(self, map: A) -> Result<(), A::Error> {
        self.0.record(map)
    }
}

struct LabelSeed;

impl<'p> DeserializeSeed<'p> for LabelSeed {
    type Value = Label;

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Label, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for LabelSeed {
    type Value = Label;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML label")
    }

    /// Labels that end in `_` must be understood (section 4.4); other unknown ones are passed over.
    fn visit_str<E: Error>(self, text: &str) -> Result<Label, E> {
        match LABELS.iter().find(|(name, _, _)| *name == text) {
            Some((_, _, label)) => Ok(*label),
            None if text.ends_with('_') => {
                Err(E::custom(format!("the field `{text}` is not known, and has to be")))
            }
            None => Ok(Label::Other),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Label, E> {
        let label = LABELS.iter().find(|(_, known, _)| *known == number);
        Ok(label.map_or(Label::Other, |(_, _, label)| *label))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Label, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A scalar, or [`Scalar::Nested`] for what is none.
struct Value;

impl<'p> DeserializeSeed<'p> for Value {
    type Value = Scalar<'p>;

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Scalar<'p>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for Value {
    type Value = Scalar<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or a truth value")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Bool(truth))
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Int(whole.into()))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Int(whole.into()))
    }

    fn visit_f32<E: Error>(self, number: f32) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Float(super::number::widened(number)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'p str) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar<'p>, E> {
        Ok(Scalar::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Expected, check, everything, listed};
    use crate::plan::Format;

    fn senml(payload: &[u8], expected: Expected<'_>) {
        check(&everything(Format::Senml), payload, expected);
    }

    /// The examples of RFC 8428, sections 5.1.1 to 5.1.5, and what they resolve to.
    #[test]
    fn examples_of_the_rfc() {
        senml(
            br#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#,
            Ok("10e2073a01080063=23.1 [name=urn:dev:ow] @2026-11-22T10:00:00Z"),
        );
        senml(
            br#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]"#,
            Ok("voltage=120.1 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z | \
                current=1.2 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z"),
        );
        senml(
            br#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
                {"n":"current","t":-5,"v":1.2},{"n":"current","v":1.7}]"#,
            Ok("voltage=120.1 [name=urn:dev:ow:10e2073a0108006] @2010-06-08T18:01:16.001Z | \
                current=1.2 [name=urn:dev:ow:10e2073a0108006] @2010-06-08T18:01:11.001Z | \
                current=1.7 [name=urn:dev:ow:10e2073a0108006] @2010-06-08T18:01:16.001Z"),
        );
        senml(
            br#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"label","vs":"Machine Room"},
                {"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]"#,
            Ok("temp=23.1 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z |  [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z | \
                open=0 [name=urn:dev:ow:10e2073a01080063] @2026-11-22T10:00:00Z"),
        );
    }

    /// Section 6: {-2: "urn:dev:mac:1/", -3: 1795341600, 0: "t", 2: 21.5}, {0: "t", 6: -10, 2: 21.25 (half)}.
    #[test]
    fn in_cbor() {
        senml(
            b"\x82\xa4\x21\x6eurn:dev:mac:1/\x22\x1a\x6b\x02\xbd\x20\x00\x61t\x02\xfb\x40\x35\x80\x00\x00\x00\x00\x00\
              \xa3\x00\x61t\x06\x29\x02\xf9\x4d\x50",
            Ok("t=21.5 [name=urn:dev:mac:1] @2026-11-22T10:00:00Z | t=21.25 [name=urn:dev:mac:1] @2026-11-22T09:59:50Z"),
        );
        senml(b"\x81\xa1\x02\x01", Err("a record has no name"));
        senml(b"\x81\xa2\x00\x61t\x02", Err("CBOR"));
        senml(b"\x80\x00", Err("trailing"));
    }

    #[test]
    fn base_fields_and_sums() {
        senml(
            br#"[{"bn":"a:","bv":20,"n":"t","v":1.5},{"n":"t","v":-0.5}]"#,
            Ok("t=21.5 [name=a] @2026-11-22T10:00:00Z | t=19.5 [name=a] @2026-11-22T10:00:00Z"),
        );
        senml(br#"[{"bs":100,"n":"water","s":5,"v":2}]"#, Ok("water=2 water/sum=105 @2026-11-22T10:00:00Z"));
        // Seconds from now, in both directions; 2^28 and more is a moment.
        senml(br#"[{"n":"t","t":-60,"v":1}]"#, Ok("t=1 @2026-11-22T09:59:00Z"));
        senml(br#"[{"n":"t","t":60,"v":1}]"#, Ok("t=1 @2026-11-22T10:01:00Z"));
        senml(br#"[{"n":"t","t":268435456,"v":1}]"#, Ok("t=1 @1978-07-04T21:24:16Z"));
        senml(br#"[{"n":"t","t":1e300,"v":1}]"#, Ok("t=1 @bad_time"));
        senml(
            br#"[{"bn":"a:","bt":5},{"n":"t","v":1,"x":[1,{}]}]"#,
            Ok("t=1 [name=a] @2026-11-22T10:00:05Z"),
        );
        senml(b"[]", Ok("no records"));
        let listed = listed(Format::Senml, &[("power", Some("/p")), ("energy", Some("/p/sum"))], false);
        check(
            &listed,
            br#"[{"n":"p","v":5,"s":7},{"n":"q","v":1},{"n":"p","vs":"off"}]"#,
            Ok(
                "power=5 energy=7 @2026-11-22T10:00:00Z |  @2026-11-22T10:00:00Z | power!not_a_number @2026-11-22T10:00:00Z",
            ),
        );
    }

    #[test]
    fn what_is_refused() {
        senml(b"{}", Err("list of records"));
        senml(b"[1]", Err("a SenML record"));
        senml(br#"[{"v":1}]"#, Err("a record has no name"));
        senml(br#"[{"bn":"a:","v":1}]"#, Err("a record has no name"));
        senml(br#"[{"bver":11,"n":"t","v":1}]"#, Err("version"));
        senml(br#"[{"n":"t","v":1,"new_":1}]"#, Err("`new_` is not known"));
        senml(br#"[{"n":7,"v":1}]"#, Err("a name of SenML is not text"));
        senml(br#"[{"n":"t","t":"now","v":1}]"#, Err("a number of SenML is not one"));
        senml(br#"[{"n":"t","v":[1]}]"#, Err("a number, a text or a truth value"));
        senml(br#"[{"n":"t","v":1}] x"#, Err("trailing"));
        senml(b"", Err("SenML"));
        senml(
            format!("[{}{}]", r#"{"n":"t","v":1},"#.repeat(1_000), r#"{"n":"t","v":1}"#).as_bytes(),
            Err("more readings"),
        );
    }
}
