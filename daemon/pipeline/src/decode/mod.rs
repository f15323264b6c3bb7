//! Decoding: payload bytes to scalars at the places that a stream asks for.
//!
//! To add a format: a file here, a variant of [`Format`], an arm in [`Found::decode`], a row in the reference.

mod json;
mod number;
mod shape;
mod stamp;
mod text;

pub use shape::Shape;
pub use stamp::parse as parse_time;

use crate::limits::READINGS_PER_MESSAGE_MAX;
use crate::plan::Format;
use crate::verdict::Reason;
use std::borrow::Cow;

/// What stands at a place in a payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar<'p> {
    /// Nothing: the place does not exist.
    #[default]
    Absent,
    /// JSON null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number, exact.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'p, str>),
    /// An object or array.
    Nested,
}

/// What decoding one payload gave. Reused from message to message.
#[derive(Debug, Default)]
pub struct Found<'p> {
    /// By slot of the [`Shape`].
    pub slots: Vec<Scalar<'p>>,
    /// Other numeric or boolean leaves, when the shape asks for them.
    pub leaves: Leaves,
}

/// Leaves with their names, in the order of the document.
#[derive(Debug, Default)]
pub struct Leaves {
    names: String,
    ends: Vec<(usize, f64)>,
}

impl Leaves {
    fn clear(&mut self) {
        self.names.clear();
        self.ends.clear();
    }

    fn push(&mut self, name: &str, value: f64) {
        self.names.push_str(name);
        self.ends.push((self.names.len(), value));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&(end, value)| {
            let name = &self.names[start..end];
            start = end;
            (name, value)
        })
    }
}

/// The payload is not what the format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, not one document, or nested too deeply. The text says where.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// More leaves than one message may carry.
    #[error("more readings than one message may carry")]
    TooMany,
    /// The document is a single scalar that is no reading.
    #[error("the payload is no reading")]
    NoReading(Reason),
}

impl<'p> Found<'p> {
    /// The same buffers, empty, for a payload that lives differently long.
    pub fn recycle<'q>(mut self) -> Found<'q> {
        self.leaves.clear();
        self.slots.clear();
        // Collecting an emptied vector into one of the same layout keeps its allocation.
        Found { slots: self.slots.into_iter().map(|_| Scalar::Absent).collect(), leaves: self.leaves }
    }

    /// Decodes `payload` into these buffers.
    ///
    /// # Errors
    /// When the payload is not of the format; the buffers then hold nothing of use.
    pub fn decode(&mut self, format: Format, shape: &Shape, payload: &'p [u8]) -> Result<(), DecodeError> {
        self.leaves.clear();
        self.slots.clear();
        self.slots.resize(shape.slots(), Scalar::Absent);
        match format {
            Format::Json => json::decode(shape, payload, self),
            Format::Text => text::decode(shape, payload, self),
            Format::Auto if looks_like_json(payload) => json::decode(shape, payload, self),
            Format::Auto => text::decode(shape, payload, self),
        }
    }
}

/// The metric of a leaf that is the whole document.
const ROOT_NAME: &str = "value";

/// Keeps what stands at `place`: in its slot, or among the leaves under the name `path`.
fn keep<'p>(
    shape: &Shape,
    place: shape::Place,
    path: &str,
    scalar: Scalar<'p>,
    found: &mut Found<'p>,
) -> Result<(), DecodeError> {
    if let Some(slot) = shape.slot(place) {
        found.slots[slot] = scalar;
        return Ok(());
    }
    if !shape.leaves {
        return Ok(());
    }
    let name = if path.is_empty() { ROOT_NAME } else { path };
    let value = match shape.value(name, &scalar) {
        // A document that is nothing but a scalar should have been a value.
        Err(reason) if path.is_empty() => return Err(DecodeError::NoReading(reason)),
        // Among the leaves only numbers, truth values and texts that stand for numbers are readings; the rest is
        // description.
        Ok(Some(value)) => value,
        _ => return Ok(()),
    };
    if found.leaves.len() == READINGS_PER_MESSAGE_MAX {
        return Err(DecodeError::TooMany);
    }
    found.leaves.push(name, value);
    Ok(())
}

fn looks_like_json(payload: &[u8]) -> bool {
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | b'"'))
}

impl Scalar<'_> {
    /// As a measured value.
    ///
    /// # Errors
    /// The reason to reject it; `Ok(None)` when there is nothing and nothing is wrong.
    pub fn value(&self) -> Result<Option<f64>, Reason> {
        match self {
            Scalar::Absent => Ok(None),
            Scalar::Null => Err(Reason::NoValue),
            Scalar::Bool(truth) => Ok(Some(f64::from(u8::from(*truth)))),
            #[expect(clippy::cast_precision_loss, reason = "measured values are 64-bit floating point")]
            Scalar::Int(whole) => Ok(Some(*whole as f64)),
            Scalar::Float(number) if number.is_finite() => Ok(Some(*number)),
            Scalar::Float(_) => Err(Reason::NotFinite),
            Scalar::Text(text) if number::is_no_value(text) => Err(Reason::NoValue),
            Scalar::Text(_) | Scalar::Nested => Err(Reason::NotANumber),
        }
    }

    /// As a sequence or boot number.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Scalar::Int(whole) => u64::try_from(*whole).ok(),
            Scalar::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// As the value of a tag.
    pub fn tag(&self) -> Option<Cow<'_, str>> {
        match self {
            Scalar::Text(text) => Some(Cow::Borrowed(text)),
            Scalar::Bool(truth) => Some(Cow::Owned(truth.to_string())),
            Scalar::Int(whole) => Some(Cow::Owned(whole.to_string())),
            Scalar::Float(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Absent | Scalar::Null | Scalar::Nested => None,
        }
    }
}
