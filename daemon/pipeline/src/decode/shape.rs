//! A shape: all places that a stream asks for, as one tree, so that a document is read once and front to back.

use super::Scalar;
use super::stamp::Stamp;
use crate::clean::Maps;
use crate::plan::{Fields, MetricPlan, Pointer, PointerPattern, StreamPlan, TagPlan, Token, Unique};
use crate::verdict::Reason;

/// Index of a slot among those of a record.
pub(super) type Slot = usize;

/// The places that one stream asks for.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The first is the root of the message.
    nodes: Vec<Node>,
    slots: usize,
    /// The root of an element, where a message carries a list of records; else the root of the message.
    element: usize,
    /// Where the one value of a stream goes that reads one.
    pub single: Option<Slot>,
    /// Whether leaves at other places are collected.
    pub leaves: bool,
    /// Whether text that holds a number is one, and which character its decimals begin with.
    pub(super) decimal: Option<char>,
    /// The slots of the values: one for a single value, else one per listed metric, in order; `None` for a metric at places
    /// with captures.
    pub values: Vec<Option<Slot>>,
    /// The slot of the time stamp, and how it is written.
    pub time: Option<(Slot, Stamp)>,
    /// The slot of the sequence number.
    pub sequence: Option<Slot>,
    /// The slot of the boot number.
    pub boot: Option<Slot>,
    /// Names and slots of tags from the payload.
    pub tags: Vec<(String, Slot)>,
    /// Texts that stand for numbers.
    pub(super) maps: Maps,
    /// The names of the listed metrics.
    names: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Where what stands here goes.
    pub(super) goal: Option<Goal>,
    /// The list whose elements are records.
    pub(super) each: bool,
    children: Vec<(Token, usize)>,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Slot(Slot),
    /// Among the matches of the listed metric of this index. `loose`: the place is any of its kind, so that what is no
    /// number there is description.
    Match {
        metric: u16,
        loose: bool,
    },
}

impl Shape {
    /// Everything that `stream` asks for.
    pub fn of(stream: &StreamPlan) -> Shape {
        let mut shape = Shape { nodes: vec![Node::default()], ..Shape::default() };
        if let Some(each) = &stream.each {
            let list = shape.node(0, each.0.iter().map(|token| Token::Exact(token.clone())));
            shape.nodes[list].each = true;
            shape.element = shape.nodes.len();
            shape.nodes.push(Node::default());
        }
        shape.decimal = stream.format.decimal().or(stream.numbers_as_text.then_some('.'));
        shape.maps = Maps::of(&stream.clean);
        shape.names = stream.fields.listed().iter().map(|metric| metric.name.clone()).collect();
        shape.add_fields(&stream.fields);
        shape.time = stream.time.as_ref().map(|time| (shape.add(&time.at), Stamp::of(&time.format)));
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

    fn add_fields(&mut self, fields: &Fields) {
        match fields {
            Fields::Value { at, .. } => {
                let slot = self.add(&at.clone().unwrap_or_default());
                self.values.push(Some(slot));
                self.single = Some(slot);
            }
            Fields::Leaves { listed, rest } => {
                self.leaves = *rest;
                for (index, metric) in (0..).zip(listed) {
                    let slot = self.add_metric(index, &place_of(metric));
                    self.values.push(slot);
                }
            }
        }
    }

    /// `scalar` as a measured value of `metric`: as [`Scalar::value`] says, unless it is a text that the configuration maps.
    pub(super) fn value(&self, metric: &str, scalar: &Scalar<'_>) -> Result<Option<f64>, Reason> {
        let mapped = match scalar {
            Scalar::Text(text) => self.maps.number(metric, text),
            _ => None,
        };
        mapped.map_or_else(|| scalar.value(self.decimal), |number| Ok(Some(number)))
    }

    /// The same for the listed metric of this index.
    pub(super) fn value_of_listed(&self, metric: u16, scalar: &Scalar<'_>) -> Result<Option<f64>, Reason> {
        self.value(self.names.get(usize::from(metric)).map_or("", String::as_str), scalar)
    }

    /// How many slots a record has.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Whether a message carries a list of records.
    pub(super) fn has_each(&self) -> bool {
        self.element > 0
    }

    /// The root of a record.
    pub(super) fn element(&self) -> usize {
        self.element
    }

    pub(super) fn at(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// Where `name` below `node` leads to, and what of it a capture took.
    pub(super) fn children<'s, 'n>(
        &'s self,
        node: usize,
        name: &'n str,
    ) -> impl Iterator<Item = (usize, Option<&'n str>)> + use<'s, 'n> {
        self.nodes[node].children.iter().filter_map(move |(token, child)| match token {
            Token::Exact(text) => (text == name).then_some((*child, None)),
            Token::Capture { before, after, .. } => {
                let inner = name.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                (!inner.is_empty()).then_some((*child, Some(inner)))
            }
        })
    }

    /// Time stamp, numbers and tags may stand around the list of records as well as in its elements; a value only in the
    /// elements.
    fn add(&mut self, pointer: &Pointer) -> Slot {
        let tokens = || pointer.0.iter().map(|token| Token::Exact(token.clone()));
        let inner = self.node(self.element, tokens());
        let slot = match self.nodes[inner].goal {
            Some(Goal::Slot(slot)) => slot,
            _ => {
                self.slots += 1;
                self.slots - 1
            }
        };
        self.nodes[inner].goal = Some(Goal::Slot(slot));
        if self.has_each() {
            let outer = self.node(0, tokens());
            self.nodes[outer].goal = Some(Goal::Slot(slot));
        }
        slot
    }

    fn add_metric(&mut self, metric: u16, place: &PointerPattern) -> Option<Slot> {
        if let Some(exact) = place.exact() {
            return Some(self.add(&exact));
        }
        let node = self.node(self.element, place.0.iter().cloned());
        let loose = matches!(place.0.last(), Some(Token::Capture { .. }));
        self.nodes[node].goal = Some(Goal::Match { metric, loose });
        None
    }

    /// The node at the end of a path, made if need be.
    fn node(&mut self, from: usize, path: impl Iterator<Item = Token>) -> usize {
        path.fold(from, |at, token| {
            let known = self.nodes[at].children.iter().find(|(other, _)| *other == token);
            if let Some((_, child)) = known {
                return *child;
            }
            let child = self.nodes.len();
            self.nodes.push(Node::default());
            self.nodes[at].children.push((token, child));
            child
        })
    }
}

/// A listed metric without a pointer is the leaf of its name.
fn place_of(metric: &MetricPlan) -> PointerPattern {
    metric.at.clone().unwrap_or_else(|| {
        PointerPattern(metric.name.split('/').map(|token| Token::Exact(token.to_owned())).collect())
    })
}
