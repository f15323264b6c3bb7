//! JSON, read in one pass without building a document: only asked-for places are kept.
//!
//! The parser is `serde_json` (RFC 8259; at most 128 levels deep). Of a key that occurs twice the last value counts.

use super::shape::{Place, Shape};
use super::{DecodeError, Found, Scalar};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

pub(super) fn decode<'p>(shape: &Shape, payload: &'p [u8], found: &mut Found<'p>) -> Result<(), DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let mut walk = Walk { shape, found, path: String::new(), error: None };
    let read = At { walk: &mut walk, place: shape.root() }.deserialize(&mut reader);
    let stopped = walk.error;
    match read.and_then(|()| reader.end()) {
        Ok(()) => Ok(()),
        Err(error) => Err(stopped.unwrap_or_else(|| DecodeError::Json(error.to_string()))),
    }
}

struct Walk<'w, 'p> {
    shape: &'w Shape,
    found: &'w mut Found<'p>,
    /// The names from the root to here, joined by `/`; kept only where leaves are collected.
    path: String,
    /// Why we stopped, where it was not the parser that did.
    error: Option<DecodeError>,
}

impl Walk<'_, '_> {
    /// Goes to the child `name` of `place`: where that is, and the length that the path had. `None`: nothing to read
    /// there.
    fn enter(&mut self, place: Place, name: &str) -> Option<(Place, usize)> {
        let child = self.shape.child(place, name);
        if self.shape.is_blank(child) {
            return None;
        }
        let back = self.path.len();
        if self.shape.leaves {
            if back > 0 {
                self.path.push('/');
            }
            self.path.push_str(name);
        }
        Some((child, back))
    }
}

/// The reader at one place of the document.
struct At<'a, 'w, 'p> {
    walk: &'a mut Walk<'w, 'p>,
    place: Place,
}

impl<'p> At<'_, '_, 'p> {
    fn keep<E: Error>(self, scalar: Scalar<'p>) -> Result<(), E> {
        let walk = self.walk;
        super::keep(walk.shape, self.place, &walk.path, scalar, walk.found).map_err(|error| {
            let words = E::custom(&error);
            walk.error = Some(error);
            words
        })
    }

    fn mark_nested(&mut self) {
        if let Some(slot) = self.walk.shape.slot(self.place) {
            self.walk.found.slots[slot] = Scalar::Nested;
        }
    }
}

impl<'p> DeserializeSeed<'p> for At<'_, '_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for At<'_, '_, 'p> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.keep(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.keep(Scalar::Bool(truth))
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<(), E> {
        self.keep(Scalar::Int(whole.into()))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<(), E> {
        self.keep(Scalar::Int(whole.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.keep(Scalar::Float(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'p str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'p>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.mark_nested();
        while let Some(key) = map.next_key_seed(Key)? {
            match self.walk.enter(self.place, &key) {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some((place, back)) => {
                    map.next_value_seed(At { walk: self.walk, place })?;
                    self.walk.path.truncate(back);
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'p>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.mark_nested();
        for index in 0u32.. {
            let more = match self.walk.enter(self.place, &index.to_string()) {
                None => seq.next_element::<IgnoredAny>()?.is_some(),
                Some((place, back)) => {
                    let element = seq.next_element_seed(At { walk: self.walk, place })?;
                    self.walk.path.truncate(back);
                    element.is_some()
                }
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

/// Keys are borrowed from the payload unless they hold escapes.
struct Key;

impl<'p> DeserializeSeed<'p> for Key {
    type Value = Cow<'p, str>;

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Cow<'p, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'p> for Key {
    type Value = Cow<'p, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'p str) -> Result<Cow<'p, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'p, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::READINGS_PER_MESSAGE_MAX;
    use crate::plan::{Fields, Format, MetricPlan, Pointer};

    fn metric(name: &str, at: Option<&str>) -> MetricPlan {
        MetricPlan {
            name: name.into(),
            at: at.map(|at| Pointer::parse(at).unwrap()),
            unit: None,
            ..MetricPlan::default()
        }
    }

    /// Slots as debug text, then the leaves; or a part of the error.
    type Expected<'e> = Result<(&'e str, &'e [(&'e str, f64)]), &'e str>;

    fn check(fields: &Fields, payload: &str, expected: Expected<'_>) {
        let shape = Shape::of_fields(fields);
        let mut found = Found::default();
        let result = found.decode(Format::Json, &shape, payload.as_bytes());
        match (result, expected) {
            (Ok(()), Ok((slots, leaves))) => {
                assert_eq!(format!("{:?}", found.slots), slots, "{payload}");
                assert_eq!(found.leaves.iter().collect::<Vec<_>>(), leaves, "{payload}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (result, expected) => panic!("{payload}: {result:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn one_value() {
        let at = |at: &str| Fields::Value {
            at: Some(Pointer::parse(at).unwrap()),
            metric: "v".into(),
            listed: vec![],
            rest: true,
        };
        check(&at("/value"), r#"{"x":[1,{"y":2}],"value":21.5}"#, Ok(("[Float(21.5)]", &[])));
        check(&at("/a/1/b"), r#"{"a":[0,{"b":7}]}"#, Ok(("[Int(7)]", &[])));
        check(&at("/value"), r#"{"other":1}"#, Ok(("[Absent]", &[])));
        check(&at("/value"), r#"{"value":{"deep":1}}"#, Ok(("[Nested]", &[])));
        check(
            &at("/value"),
            r#"{"value":1,"value":"un\u0061vailable"}"#,
            Ok((r#"[Text("unavailable")]"#, &[])),
        );
        check(&at("/value"), r#"{"value":18446744073709551615}"#, Ok(("[Int(18446744073709551615)]", &[])));
        check(&at(""), "[1]", Ok(("[Nested]", &[])));
        check(&at("/value"), r#"{"value":1e999}"#, Err("number out of range"));
        check(&at("/value"), r#"{"value":NaN}"#, Err("not valid JSON"));
        check(&at("/value"), r#"{"value":1} x"#, Err("trailing"));
        check(&at("/value"), r#"{"value":"#, Err("EOF"));
        check(&at("/value"), &"[".repeat(1_000), Err("EOF"));
    }

    #[test]
    fn all_leaves() {
        let all = Fields::Leaves { listed: vec![], rest: true };
        check(
            &all,
            r#"{"t":21.5,"on":true,"name":"x","none":null,"ENERGY":{"Total":[3,4]}}"#,
            Ok(("[]", &[("t", 21.5), ("on", 1.0), ("ENERGY/Total/0", 3.0), ("ENERGY/Total/1", 4.0)])),
        );
        check(&all, &"[".repeat(1_000), Err("recursion"));
        check(&all, &format!("[{}0]", "0,".repeat(READINGS_PER_MESSAGE_MAX)), Err("more readings"));
    }

    #[test]
    fn a_bare_scalar_is_called_value() {
        check(&Fields::Leaves { listed: vec![], rest: true }, " 21.5", Ok(("[]", &[("value", 21.5)])));
    }

    #[test]
    fn listed_metrics_and_the_rest() {
        let listed = vec![metric("temp", Some("/t")), metric("ENERGY/Total", None)];
        let payload = r#"{"t":1,"h":2,"ENERGY":{"Total":3}}"#;
        let only = Fields::Leaves { listed: listed.clone(), rest: false };
        check(&only, payload, Ok(("[Int(1), Int(3)]", &[])));
        let rest = Fields::Leaves { listed, rest: true };
        check(&rest, payload, Ok(("[Int(1), Int(3)]", &[("h", 2.0)])));
    }
}
