//! The part of Sparkplug B's Protocol Buffers that we read (Sparkplug 3.0, chapter 6.4 and `sparkplug_b.proto`).
//!
//! A payload is read field by field and its metrics one at a time: a list of empty metrics would take many times its size
//! in memory.

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// One metric. Metadata, properties, data sets and templates are passed over.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    /// Milliseconds since 1970.
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15, 16")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    Text(String),
    #[prost(bytes = "vec", tag = "16")]
    Bytes(Vec<u8>),
}

/// What a payload holds, one after the other.
pub(super) enum Field {
    /// Milliseconds since 1970: when the message was sent.
    Timestamp(u64),
    Metric(Metric),
    /// The message's number among those of its node, 0 to 255.
    Sequence(u64),
}

/// The next field of a payload that we know.
///
/// # Errors
/// When the bytes are no Protocol Buffers.
pub(super) fn next(payload: &mut &[u8]) -> Result<Option<Field>, prost::DecodeError> {
    while payload.has_remaining() {
        match decode_key(payload)? {
            (1, WireType::Varint) => return decode_varint(payload).map(|time| Some(Field::Timestamp(time))),
            (2, WireType::LengthDelimited) => {
                let metric = Metric::decode_length_delimited(&mut *payload)?;
                return Ok(Some(Field::Metric(metric)));
            }
            (3, WireType::Varint) => {
                return decode_varint(payload).map(|number| Some(Field::Sequence(number)));
            }
            (tag, kind) => skip_field(kind, tag, payload, DecodeContext::default())?,
        }
    }
    Ok(None)
}
