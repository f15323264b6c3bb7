//! Where a packet begins and ends, and what a PUBLISH holds: without allocation, straight from the read buffer.
//!
//! PUBLISH is parsed here and not by the codec: the codec allocates a string per topic, and gives nothing back when the
//! topic is not UTF-8. Such a message has to become a dead letter, not a dead connection.

use crate::config::model::Protocol;
use std::ops::Range;

/// What a peer did that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (reason code 0x{code:02x})")]
pub(crate) struct Fault {
    /// The reason code of the MQTT 5 DISCONNECT (section 3.14.2.1).
    pub(crate) code: u8,
    /// What happened, for the log.
    pub(crate) what: &'static str,
}

/// Reason codes that we send.
pub(crate) mod code {
    pub(crate) const MALFORMED: u8 = 0x81;
    pub(crate) const PROTOCOL_ERROR: u8 = 0x82;
    pub(crate) const UNSUPPORTED_VERSION: u8 = 0x84;
    pub(crate) const BAD_CLIENT_ID: u8 = 0x85;
    pub(crate) const BAD_LOGIN: u8 = 0x86;
    pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
    pub(crate) const SERVER_UNAVAILABLE: u8 = 0x88;
    pub(crate) const SHUTTING_DOWN: u8 = 0x8B;
    pub(crate) const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;
    pub(crate) const TAKEN_OVER: u8 = 0x8E;
    pub(crate) const RECEIVE_MAX_EXCEEDED: u8 = 0x93;
    pub(crate) const TOPIC_ALIAS_INVALID: u8 = 0x94;
    pub(crate) const PACKET_TOO_LARGE: u8 = 0x95;
    pub(crate) const QUOTA_EXCEEDED: u8 = 0x97;
    pub(crate) const QOS_NOT_SUPPORTED: u8 = 0x9B;
}

pub(crate) fn malformed(what: &'static str) -> Fault {
    Fault { code: code::MALFORMED, what }
}

/// Packet types (MQTT 5 section 2.1.2).
pub(crate) mod kind {
    pub(crate) const CONNECT: u8 = 1;
    pub(crate) const CONNACK: u8 = 2;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBACK: u8 = 4;
    pub(crate) const SUBSCRIBE: u8 = 8;
    pub(crate) const SUBACK: u8 = 9;
    pub(crate) const UNSUBSCRIBE: u8 = 10;
    pub(crate) const UNSUBACK: u8 = 11;
    pub(crate) const PINGREQ: u8 = 12;
    pub(crate) const PINGRESP: u8 = 13;
    pub(crate) const DISCONNECT: u8 = 14;
}

/// A fixed header (MQTT 5 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The packet type.
    pub(crate) kind: u8,
    /// The lower four bits of the first byte.
    pub(crate) flags: u8,
    /// Length of the fixed header itself, in bytes.
    pub(crate) length: usize,
    /// Bytes of the packet with its fixed header.
    pub(crate) total: usize,
}

/// Reads the fixed header at the beginning of `bytes`; `None` when more bytes are needed.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((remaining, digits)) = varint(rest)? else { return Ok(None) };
    let length = 1 + digits;
    Ok(Some(Header { kind: first >> 4, flags: first & 0x0F, length, total: length + remaining }))
}

/// Reads a variable byte integer (section 1.5.5): its value and its length; `None` when more bytes are needed.
pub(crate) fn varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(malformed("a length has more than four bytes")) }
}

/// Reads a big-endian number at the beginning of `bytes`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// What a PUBLISH holds, as ranges of its body (what follows the fixed header).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) topic: Range<usize>,
    pub(crate) payload: Range<usize>,
    /// `None` at QoS 0.
    pub(crate) packet_id: Option<u16>,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
}

/// Parses the body of a PUBLISH (section 3.3). The topic is not looked at.
pub(crate) fn publish(flags: u8, body: &[u8], version: Protocol) -> Result<Publish, Fault> {
    let (packet_id, topic, mut at) = publish_head(flags, body)?;
    if version == Protocol::V5 {
        let (length, digits) = varint(&body[at..])?.ok_or(malformed("a PUBLISH ends in its properties"))?;
        at += digits;
        let properties =
            body.get(at..at + length).ok_or(malformed("the properties are longer than the PUBLISH"))?;
        check_properties(properties)?;
        at += length;
    }
    Ok(Publish {
        topic,
        payload: at..body.len(),
        packet_id,
        dup: flags & 0b1000 != 0,
        retain: flags & 0b0001 != 0,
    })
}

/// Parses what stands before the properties: packet identifier, topic, and where the rest begins. `body` may be cut
/// anywhere behind that.
pub(crate) fn publish_head(flags: u8, body: &[u8]) -> Result<(Option<u16>, Range<usize>, usize), Fault> {
    let length = u16_at(body, 0).ok_or(malformed("a PUBLISH without a topic"))?;
    let topic = 2..2 + usize::from(length);
    if topic.end > body.len() {
        return Err(malformed("the topic is longer than the PUBLISH"));
    }
    match (flags >> 1) & 0b11 {
        0 => Ok((None, topic.clone(), topic.end)),
        1 => match u16_at(body, topic.end) {
            None => Err(malformed("a PUBLISH without its packet identifier")),
            Some(0) => Err(malformed("a PUBLISH with packet identifier 0")),
            id => Ok((id, topic.clone(), topic.end + 2)),
        },
        2 => Err(Fault { code: code::QOS_NOT_SUPPORTED, what: "a PUBLISH at QoS 2; QoS 0 and 1 are taken" }),
        _ => Err(malformed("a PUBLISH at QoS 3")),
    }
}

/// Walks the properties of a PUBLISH (section 3.3.2.3). None of them matters to us; a topic alias would, but nobody may
/// send one because we never offer to keep any.
fn check_properties(mut bytes: &[u8]) -> Result<(), Fault> {
    let text = |at: usize, bytes: &[u8]| u16_at(bytes, at).map(|length| at + 2 + usize::from(length));
    while let Some(&property) = bytes.first() {
        let end = match property {
            0x01 => Some(2),
            0x02 => Some(5),
            0x03 | 0x08 | 0x09 => text(1, bytes),
            0x0B => varint(&bytes[1..])?.map(|(_, digits)| 1 + digits),
            0x26 => text(1, bytes).and_then(|at| text(at, bytes)),
            0x23 => {
                let what = "a topic alias, though none was offered";
                return Err(Fault { code: code::TOPIC_ALIAS_INVALID, what });
            }
            _ => return Err(malformed("a PUBLISH with a property that it cannot have")),
        };
        bytes = end
            .and_then(|end| bytes.get(end..))
            .ok_or(malformed("a property is longer than the properties"))?;
    }
    Ok(())
}
