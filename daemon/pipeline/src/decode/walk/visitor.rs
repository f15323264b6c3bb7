//! The serde side of a walk: what stands at a place, and the way into objects and lists.

use super::super::{Scalar, number};
use super::{Back, Here, State, Walk, keep};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::borrow::Cow;
use std::fmt;
use std::io::Write;

/// The reader at one place of the document.
pub(super) struct At<'a, 'w, 'p> {
    pub(super) walk: &'a mut Walk<'w, 'p>,
    pub(super) here: Here,
}

impl<'p> At<'_, '_, 'p> {
    fn keep<E: Error>(self, scalar: Scalar<'p>) -> Result<(), E> {
        let Here { first, end, inside } = self.here;
        let walk = self.walk;
        keep(walk.shape, walk.found, (first, end), inside, scalar).map_err(|error| walk.stop(error))
    }

    /// An object or list stands where a value is asked for.
    fn nested<E: Error>(&mut self) -> Result<(), E> {
        let (first, end) = (self.here.first, self.here.end);
        let asked = (first..end).any(|at| {
            let node = self.walk.found.scratch.states[at].node;
            self.walk.shape.at(node).goal.is_some()
        });
        if !asked {
            return Ok(());
        }
        At { walk: &mut *self.walk, here: self.here }.keep(Scalar::Nested)
    }

    fn records<A: SeqAccess<'p>>(self, mut seq: A) -> Result<(), A::Error> {
        let walk = self.walk;
        loop {
            let root = walk.found.scratch.states.len();
            walk.found.scratch.states.push(State { node: walk.shape.element(), parent: root, taken: None });
            let mut seed = Element { walk: &mut *walk, root };
            let more = seq.next_element_seed(&mut seed)?.is_some();
            walk.found.scratch.states.truncate(root);
            if !more {
                return Ok(());
            }
        }
    }
}

/// One record of a list. It begins only once there is one.
struct Element<'a, 'w, 'p> {
    walk: &'a mut Walk<'w, 'p>,
    root: usize,
}

impl<'p> DeserializeSeed<'p> for &mut Element<'_, '_, 'p> {
    type Value = ();

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        let walk = &mut *self.walk;
        if let Err(error) = walk.found.record(walk.shape) {
            return Err(walk.stop(error));
        }
        let here = Here { first: self.root, end: self.root + 1, inside: true };
        At { walk: &mut *walk, here }.deserialize(deserializer)?;
        walk.found.extend();
        Ok(())
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
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.keep(Scalar::Null)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
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

    fn visit_i128<E: Error>(self, whole: i128) -> Result<(), E> {
        self.keep(Scalar::Int(whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.keep(Scalar::Float(number))
    }

    /// As many digits as its own type shows: `21.5`, and not what is nearest to it among numbers of 64 bits.
    fn visit_f32<E: Error>(self, number: f32) -> Result<(), E> {
        self.keep(Scalar::Float(number::widened(number)))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'p str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.keep(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    /// Bytes are no value.
    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<(), E> {
        self.keep(Scalar::Nested)
    }

    /// An extension type of MessagePack is no value.
    fn visit_newtype_struct<D: Deserializer<'p>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(IgnoredAny)?;
        self.keep(Scalar::Nested)
    }

    fn visit_enum<A: EnumAccess<'p>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("not a value"))
    }

    fn visit_map<A: MapAccess<'p>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.nested()?;
        let here = self.here;
        while let Some(child) = map.next_key_seed(Key { walk: &mut *self.walk, here })? {
            match child {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some((here, back)) => {
                    map.next_value_seed(At { walk: &mut *self.walk, here })?;
                    self.walk.leave(back);
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'p>>(mut self, mut seq: A) -> Result<(), A::Error> {
        if self.walk.is_each(self.here) {
            return self.records(seq);
        }
        self.nested()?;
        let here = self.here;
        for index in 0u64.. {
            let more = match with_digits(index.into(), |name| self.walk.enter(here, name)) {
                None => seq.next_element::<IgnoredAny>()?.is_some(),
                Some((here, back)) => {
                    let element = seq.next_element_seed(At { walk: &mut *self.walk, here })?;
                    self.walk.leave(back);
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

/// A key: goes straight to its place, so that not even one with escapes has to be kept.
struct Key<'a, 'w, 'p> {
    walk: &'a mut Walk<'w, 'p>,
    here: Here,
}

impl<'p> DeserializeSeed<'p> for Key<'_, '_, 'p> {
    type Value = Option<(Here, Back)>;

    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for Key<'_, '_, 'p> {
    type Value = Option<(Here, Back)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or whole number as key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.walk.enter(self.here, text))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<Self::Value, E> {
        Ok(with_digits(whole.into(), |name| self.walk.enter(self.here, name)))
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<Self::Value, E> {
        Ok(with_digits(whole.into(), |name| self.walk.enter(self.here, name)))
    }
}

/// Calls `then` with the decimal digits of `whole`, without an allocation.
fn with_digits<T>(whole: i128, then: impl FnOnce(&str) -> T) -> T {
    let mut digits = [0u8; 40];
    let mut rest = digits.as_mut_slice();
    // A number of 128 bits has at most 40 characters.
    let _ = write!(rest, "{whole}");
    let left = rest.len();
    then(std::str::from_utf8(&digits[..digits.len() - left]).unwrap_or_default())
}
