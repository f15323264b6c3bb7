//! Decoding: payload bytes to records, and scalars at the places that a stream asks for.
//!
//! A message holds one record or several. A document (JSON and its like) is one, or a list of them; a self-describing
//! format says itself where each record begins, and may bring times and tags along. Both end in [`Found`]: whatever a
//! format calls its parts, they have places such as `/params/apower`, which the [`Shape`] asks for.
//!
//! To add a format: a file here, a variant of [`Format`], an arm in [`Found::decode`], a row in the reference.

mod cbor;
mod csv;
mod found;
#[cfg(test)]
mod hostile;
mod influx;
mod json;
mod msgpack;
mod number;
mod senml;
mod shape;
pub mod sparkplug;
mod stamp;
#[cfg(test)]
mod table;
mod text;
mod tidegate;
mod walk;

pub(crate) use found::{Candidate, Cycle, Sent};
pub use found::{Found, Record};
pub(crate) use influx::LABELS;
pub(crate) use senml::NAME;
pub use shape::Shape;
pub use stamp::Stamp;

use self::sparkplug::Births;
use crate::plan::Format;
use crate::time::Time;
use crate::verdict::Reason;
use std::borrow::Cow;

/// What a decoder gets to see.
#[derive(Clone, Copy, Debug)]
pub struct Input<'p> {
    /// The name of the source that it came from.
    pub source: &'p str,
    /// The topic that the payload came under.
    pub topic: &'p str,
    /// The payload.
    pub payload: &'p [u8],
    /// When it arrived: what times "ten seconds ago" count from.
    pub arrival: Time,
}

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
    /// An object or array, or bytes.
    Nested,
}

/// The payload is not what the format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not of the format that the first part names, or nested too deeply. The second part says where.
    #[error("not valid {0}: {1}")]
    Malformed(&'static str, String),
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// More readings or records than one message may carry.
    #[error("more readings than one message may carry")]
    TooMany,
    /// The document is a single scalar that is no reading.
    #[error("the payload is no reading: {}", .0.name())]
    NoReading(Reason),
}

/// The metric of a leaf that is the whole document.
const ROOT_NAME: &str = "value";

impl<'p> Found<'p> {
    /// Decodes a message into these buffers. `births` are those that Sparkplug messages refer to.
    ///
    /// # Errors
    /// When the payload is not of the format; the buffers then hold nothing of use.
    pub fn decode(
        &mut self,
        format: &Format,
        shape: &Shape,
        input: Input<'p>,
        births: &Births,
    ) -> Result<(), DecodeError> {
        self.begin(shape);
        let payload = input.payload;
        let decoded = match format {
            Format::Json => json::decode(shape, payload, self),
            Format::Text => text::decode(shape, payload, self),
            Format::Auto if looks_like_json(payload) => json::decode(shape, payload, self),
            Format::Auto => text::decode(shape, payload, self),
            Format::Csv(csv) => csv::decode(csv, shape, payload, self),
            Format::Cbor => cbor::decode(shape, payload, self),
            Format::Msgpack => msgpack::decode(shape, payload, self),
            Format::Senml => senml::decode(shape, payload, input.arrival, self),
            Format::Sparkplug => sparkplug::decode(shape, input, births, self),
            Format::Tidegate => tidegate::decode(shape, payload, self),
            Format::Influx { unit } => influx::decode(&Stamp::of(unit), shape, payload, self),
        };
        decoded.and_then(|()| self.check_size(shape))
    }
}

fn looks_like_json(payload: &[u8]) -> bool {
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | b'"'))
}

impl Scalar<'_> {
    /// As a measured value. With `decimal` a text that holds a number is one.
    ///
    /// # Errors
    /// The reason to reject it; `Ok(None)` when there is nothing and nothing is wrong.
    pub fn value(&self, decimal: Option<char>) -> Result<Option<f64>, Reason> {
        match self {
            Scalar::Absent => Ok(None),
            Scalar::Null => Err(Reason::NoValue),
            Scalar::Bool(truth) => Ok(Some(f64::from(u8::from(*truth)))),
            #[expect(clippy::cast_precision_loss, reason = "measured values are 64-bit floating point")]
            Scalar::Int(whole) => Ok(Some(*whole as f64)),
            Scalar::Float(number) if number.is_finite() => Ok(Some(*number)),
            Scalar::Float(_) => Err(Reason::NotFinite),
            Scalar::Text(text) => match decimal.and_then(|decimal| number::read(text, decimal)) {
                Some(number) => number.value(None),
                None if number::is_no_value(text) => Err(Reason::NoValue),
                None => Err(Reason::NotANumber),
            },
            Scalar::Nested => Err(Reason::NotANumber),
        }
    }

    /// As a sequence or boot number.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Scalar::Int(whole) => u64::try_from(*whole).ok(),
            Scalar::Text(text) => text.trim().parse().ok(),
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
