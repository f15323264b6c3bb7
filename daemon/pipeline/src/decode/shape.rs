//! A shape: all places that a stream asks for, as one tree, so that a document is read once and front to back.

use super::Scalar;
use crate::clean::Maps;
use crate::plan::{Fields, MetricPlan, Pointer, StreamPlan, TagPlan, Unique};
use crate::verdict::Reason;

/// Index of a slot in [`super::Found::slots`].
pub(super) type Slot = usize;

/// The places that one stream asks for.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    nodes: Vec<Node>,
    slots: usize,
    /// Where the one value of a stream goes that reads one.
    pub single: Option<Slot>,
    /// Whether leaves at other places are collected.
    pub leaves: bool,
    /// The slots of the values: one for a single value, else one per listed metric, in order.
    pub values: Vec<Slot>,
    /// The slot of the time stamp.
    pub time: Option<Slot>,
    /// The slot of the sequence number.
    pub sequence: Option<Slot>,
    /// The slot of the boot number.
    pub boot: Option<Slot>,
    /// Names and slots of tags from the payload.
    pub tags: Vec<(String, Slot)>,
    /// Texts that stand for numbers.
    pub(crate) maps: Maps,
}

#[derive(Clone, Debug, Default)]
struct Node {
    slot: Option<Slot>,
    children: Vec<(String, usize)>,
}

/// Where the reader stands in the tree; `None`: nothing is asked for below here.
pub(super) type Place = Option<usize>;

impl Shape {
    /// Everything that `stream` asks for.
    pub fn of(stream: &StreamPlan) -> Shape {
        let mut shape = Shape::of_fields(&stream.fields);
        shape.maps = Maps::of(&stream.clean);
        shape.time = stream.time.as_ref().map(|time| shape.add(&time.at));
        if let Unique::Sequence { at, boot, .. } = &stream.unique {
            shape.sequence = Some(shape.add(at));
            shape.boot = boot.as_ref().map(|boot| shape.add(boot));
        }
        for (name, tag) in &stream.tags {
            if let TagPlan::At(pointer) = tag {
                let slot = shape.add(pointer);
                shape.tags.push((name.clone(), slot));
            }
        }
        shape
    }

    /// Only the values.
    pub fn of_fields(fields: &Fields) -> Shape {
        let mut shape = Shape { nodes: vec![Node::default()], ..Shape::default() };
        match fields {
            Fields::Value { at, .. } => {
                let slot = shape.add(&at.clone().unwrap_or_default());
                shape.values.push(slot);
                shape.single = Some(slot);
            }
            Fields::Leaves { listed, rest } => {
                shape.leaves = *rest;
                for metric in listed {
                    let slot = shape.add(&place_of(metric));
                    shape.values.push(slot);
                }
            }
        }
        shape
    }

    /// `scalar` as a measured value of `metric`: as [`Scalar::value`] says, unless it is a text that the configuration maps.
    pub(crate) fn value(&self, metric: &str, scalar: &Scalar<'_>) -> Result<Option<f64>, Reason> {
        match scalar {
            Scalar::Text(text) => {
                self.maps.number(metric, text).map_or_else(|| scalar.value(), |n| Ok(Some(n)))
            }
            _ => scalar.value(),
        }
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn root(&self) -> Place {
        Some(0)
    }

    pub(super) fn child(&self, place: Place, name: &str) -> Place {
        let node = &self.nodes[place?];
        node.children.iter().find(|(child, _)| child == name).map(|(_, at)| *at)
    }

    pub(super) fn slot(&self, place: Place) -> Option<Slot> {
        self.nodes[place?].slot
    }

    /// Whether a reader that stands here can skip what it finds.
    pub(super) fn is_blank(&self, place: Place) -> bool {
        place.is_none() && !self.leaves
    }

    fn add(&mut self, pointer: &Pointer) -> Slot {
        let mut at = 0;
        for token in &pointer.0 {
            at = match self.child(Some(at), token) {
                Some(child) => child,
                None => {
                    let child = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].children.push((token.clone(), child));
                    child
                }
            };
        }
        *self.nodes[at].slot.get_or_insert_with(|| {
            self.slots += 1;
            self.slots - 1
        })
    }
}

/// A listed metric without a pointer is the leaf of its name.
fn place_of(metric: &MetricPlan) -> Pointer {
    metric.at.clone().unwrap_or_else(|| Pointer(metric.name.split('/').map(str::to_owned).collect()))
}
