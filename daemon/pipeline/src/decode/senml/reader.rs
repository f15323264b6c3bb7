//! The bytes of a pack: records one after the other, fields by their labels, without a document in between.

use super::super::{Scalar, number};
use super::Pack;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A field by its label, in JSON and in CBOR (section 6, table 6).
#[derive(Clone, Copy)]
pub(super) enum Label {
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

pub(super) struct LabelSeed;

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
pub(super) struct Value;

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
        Ok(Scalar::Float(number::widened(number)))
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
