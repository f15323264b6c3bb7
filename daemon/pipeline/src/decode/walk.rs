//! One pass through a document of any serde format: only asked-for places are kept, and no document is built.
//!
//! Of a key that occurs twice the last value counts.

use super::found::keep_match;
use super::shape::{Goal, Shape};
use super::{DecodeError, Found, Scalar};
use crate::verdict::Reason;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::borrow::Cow;
use std::fmt;
use std::io::Write;

/// A node of the shape that the place at hand is, among the others that it is too.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    node: usize,
    /// The state of the place above; a root's is itself.
    parent: usize,
    /// Where in the taken texts stands what a capture took.
    taken: Option<(usize, usize)>,
}

impl State {
    /// The root of a record, as the first of the states.
    pub(super) fn root(shape: &Shape) -> State {
        State { node: shape.element(), parent: 0, taken: None }
    }
}

/// Where the reader stands: a range of states. Empty: nothing is asked for here.
#[derive(Clone, Copy, Debug)]
struct Here {
    first: usize,
    end: usize,
    /// Whether this is in a record.
    inside: bool,
}

/// What a place is called within a record, where leaves are collected, and how to go back from there.
#[derive(Clone, Copy, Debug)]
struct Back {
    path: usize,
    states: usize,
    taken: usize,
}

/// Walks through the document that `deserializer` reads. The second part of the error is ours, where it was not the
/// parser that stopped.
pub(super) fn walk<'p, D: Deserializer<'p>>(
    shape: &Shape,
    found: &mut Found<'p>,
    deserializer: D,
) -> Result<(), (D::Error, Option<DecodeError>)> {
    let mut walk = Walk { shape, found, error: None };
    let (inside, root) = (!shape.has_each(), 0);
    walk.found.scratch.states.push(State { node: root, parent: 0, taken: None });
    let here = Here { first: 0, end: 1, inside };
    let begun = if inside { walk.found.record(shape) } else { Ok(()) };
    let read = match begun {
        Ok(()) => At { walk: &mut walk, here }.deserialize(deserializer),
        Err(error) => Err(walk.stop(error)),
    };
    walk.found.extend();
    read.map_err(|error| (error, walk.error))
}

/// Keeps `scalar` at the place that `path` leads to in the present record, for formats that are no documents. Says whether
/// the stream asks for that place.
pub(super) fn put<'p, 's>(
    shape: &Shape,
    found: &mut Found<'p>,
    path: impl IntoIterator<Item = &'s str>,
    scalar: Scalar<'p>,
) -> Result<bool, DecodeError> {
    found.scratch.states.push(State::root(shape));
    let mut walk = Walk { shape, found, error: None };
    let root = Here { first: 0, end: 1, inside: true };
    let here = path.into_iter().try_fold(root, |here, name| walk.enter(here, name).map(|(here, _)| here));
    let result = here.map_or(Ok(false), |Here { first, end, inside }| {
        let states = &found.scratch.states[first..end];
        let asked = states.iter().any(|state| shape.at(state.node).goal.is_some());
        keep(shape, found, (first, end), inside, scalar).map(|()| asked)
    });
    found.scratch.clear();
    result
}

struct Walk<'w, 'p> {
    shape: &'w Shape,
    found: &'w mut Found<'p>,
    /// Why we stopped, where it was not the parser that did.
    error: Option<DecodeError>,
}

impl Walk<'_, '_> {
    /// Goes to the child `name`. `None`: there is nothing to read there.
    fn enter(&mut self, here: Here, name: &str) -> Option<(Here, Back)> {
        let scratch = &mut self.found.scratch;
        let back =
            Back { path: scratch.path.len(), states: scratch.states.len(), taken: scratch.taken.len() };
        for parent in here.first..here.end {
            for (node, taken) in self.shape.children(scratch.states[parent].node, name) {
                let taken = taken.map(|text| {
                    let start = scratch.taken.len();
                    scratch.taken.push_str(text);
                    (start, scratch.taken.len())
                });
                scratch.states.push(State { node, parent, taken });
            }
        }
        let below = Here { first: back.states, end: scratch.states.len(), ..here };
        let leaves = self.shape.leaves && here.inside;
        if below.first == below.end && !leaves {
            return None;
        }
        if leaves {
            if back.path > 0 {
                scratch.path.push('/');
            }
            scratch.path.push_str(name);
        }
        Some((below, back))
    }

    fn leave(&mut self, back: Back) {
        let scratch = &mut self.found.scratch;
        scratch.path.truncate(back.path);
        scratch.states.truncate(back.states);
        scratch.taken.truncate(back.taken);
    }

    /// Whether the elements of the list at this place are records.
    fn is_each(&self, here: Here) -> bool {
        let states = &self.found.scratch.states;
        !here.inside && states[here.first..here.end].iter().any(|state| self.shape.at(state.node).each)
    }

    fn stop<E: Error>(&mut self, error: DecodeError) -> E {
        let words = E::custom(&error);
        self.error = Some(error);
        words
    }
}

/// Keeps what stands at a place: in slots and matches, or among the leaves.
pub(super) fn keep<'p>(
    shape: &Shape,
    found: &mut Found<'p>,
    (first, end): (usize, usize),
    inside: bool,
    scalar: Scalar<'p>,
) -> Result<(), DecodeError> {
    let mut asked = false;
    for at in first..end {
        let state = found.scratch.states[at];
        match shape.at(state.node).goal {
            None => {}
            Some(Goal::Slot(slot)) => {
                asked = true;
                found.set_slot(shape, slot, scalar.clone(), inside);
            }
            Some(goal @ Goal::Match { .. }) => {
                asked = true;
                if let Some((metric, value)) = keep_match(shape, goal, &scalar) {
                    found.keep_taken(metric, value, at)?;
                }
            }
        }
    }
    if asked || !shape.leaves || !inside {
        return Ok(());
    }
    let whole = found.scratch.path.is_empty();
    let value = match (&scalar, scalar.value(shape.decimal)) {
        (_, Ok(Some(value))) => Ok(value),
        (_, Err(Reason::NotFinite)) if !whole => Err(Reason::NotFinite),
        // A document that is nothing but a scalar should have been a value.
        (_, Err(reason)) if whole && !matches!(scalar, Scalar::Nested) => {
            return Err(DecodeError::NoReading(reason));
        }
        // Among the leaves only numbers and truth values are readings; the rest is description.
        _ => return Ok(()),
    };
    let path = std::mem::take(&mut found.scratch.path);
    let added = found.add_leaf(&path, value);
    found.scratch.path = path;
    added
}

impl Found<'_> {
    /// A match of the place that the state `at` is, with what its captures took.
    fn keep_taken(&mut self, metric: u16, value: Result<f64, Reason>, at: usize) -> Result<(), DecodeError> {
        let scratch = std::mem::take(&mut self.scratch);
        let depth = scratch.depth(at);
        let captured = (0..depth).rev().filter_map(|up| {
            let (start, end) = scratch.states[scratch.above(at, up)].taken?;
            Some(&scratch.taken[start..end])
        });
        let added = self.add_match(metric, value, captured);
        self.scratch = scratch;
        added
    }
}

impl super::found::Scratch {
    /// How many places are above that of the state `at`, the root not counted, and itself.
    fn depth(&self, mut at: usize) -> usize {
        let mut depth = 0;
        while self.states[at].parent != at {
            depth += 1;
            at = self.states[at].parent;
        }
        depth
    }

    fn above(&self, at: usize, up: usize) -> usize {
        (0..up).fold(at, |at, _| self.states[at].parent)
    }
}

/// The reader at one place of the document.
struct At<'a, 'w, 'p> {
    walk: &'a mut Walk<'w, 'p>,
    here: Here,
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
        self.keep(Scalar::Float(super::number::widened(number)))
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
pub(super) fn with_digits<T>(whole: i128, then: impl FnOnce(&str) -> T) -> T {
    let mut digits = [0u8; 40];
    let mut rest = digits.as_mut_slice();
    // A number of 128 bits has at most 40 characters.
    let _ = write!(rest, "{whole}");
    let left = rest.len();
    then(std::str::from_utf8(&digits[..digits.len() - left]).unwrap_or_default())
}
