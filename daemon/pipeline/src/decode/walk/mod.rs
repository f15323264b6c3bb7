//! One pass through a document of any serde format: only asked-for places are kept, and no document is built.
//!
//! Of a key that occurs twice the last value counts.

mod visitor;

use self::visitor::At;
use super::found::keep_match;
use super::shape::{Goal, Shape};
use super::{DecodeError, Found, ROOT_NAME, Scalar};
use crate::verdict::Reason;
use serde::de::{DeserializeSeed, Deserializer, Error};

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
    let name = if whole { ROOT_NAME } else { found.scratch.path.as_str() };
    let value = match (&scalar, shape.value(name, &scalar)) {
        (_, Ok(Some(value))) => Ok(value),
        (_, Err(Reason::NotFinite)) if !whole => Err(Reason::NotFinite),
        // A document that is nothing but a scalar should have been a value.
        (_, Err(reason)) if whole && !matches!(scalar, Scalar::Nested) => {
            return Err(DecodeError::NoReading(reason));
        }
        // Among the leaves only numbers, truth values and texts that stand for numbers are readings; the rest is
        // description.
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
