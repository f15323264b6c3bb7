//! What comes in: one set of packets for both versions, over rumqttc's codecs. PUBLISH is not here, it never becomes a value
//! (see [`frame`](super::frame)).
//!
//! What the codecs of rumqttc 0.25.1 cannot do is done here: a DISCONNECT of two or three bytes (its v5 codec fails), a
//! CONNACK in the 3.1.1 form as the answer to a CONNECT of version 5 (the same), SUBACK with codes that it does not know.

use super::frame::{Fault, Header, code, kind, malformed, u16_at, varint};
use crate::config::model::Protocol;
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{self, v4};
use rumqttc::v5::mqttbytes as mqttbytes5;
use rumqttc::v5::mqttbytes::v5;

/// A packet that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connect(Box<Connect>),
    /// A CONNECT of a version that nobody here speaks.
    ConnectUnknown,
    ConnAck(ConnAck),
    Subscribe {
        id: u16,
        /// The QoS asked for, per filter.
        qos: Vec<u8>,
    },
    SubAck {
        id: u16,
        codes: Vec<u8>,
    },
    Unsubscribe {
        id: u16,
        filters: usize,
    },
    UnsubAck {
        id: u16,
    },
    PingReq,
    PingResp,
    Disconnect {
        code: u8,
        said: Said,
    },
    /// The answer to a PUBLISH of ours at QoS 1, with a reason code of MQTT 5.
    PubAck {
        id: u16,
        code: u8,
        reason: Option<String>,
    },
    /// An answer to something that we never send (PUBREC, PUBREL, PUBCOMP).
    Stray,
}

/// What a broker adds to a code for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The reason string.
    pub(crate) reason: Option<String>,
    /// The server reference: who is responsible instead (section 4.11).
    pub(crate) server: Option<String>,
}

/// CONNECT, as the listener sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) version: Protocol,
    pub(crate) client_id: String,
    pub(crate) clean: bool,
    /// Seconds; 0 is never.
    pub(crate) keep_alive: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) will: Option<Will>,
}

/// The message that a client leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
}

/// CONNACK, as the client sees it; refusals have the codes of MQTT 5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnAck {
    pub(crate) session_present: bool,
    pub(crate) code: u8,
    pub(crate) said: Said,
    /// Seconds; what the broker wants instead of what we asked for.
    pub(crate) keep_alive: Option<u16>,
    /// Seconds; how long the broker keeps the session, if not as long as we asked.
    pub(crate) session_expiry: Option<u32>,
    /// Our publishes at QoS 1 that the broker takes before it acknowledges the first.
    pub(crate) receive_max: Option<u16>,
    /// Bytes of the largest packet that it takes.
    pub(crate) packet_bytes_max: Option<u32>,
    /// The highest QoS that it takes, if not all of them.
    pub(crate) qos_max: Option<u8>,
    /// It keeps no messages for later subscribers.
    pub(crate) retains_nothing: bool,
}

/// Decodes a whole packet, fixed header included. `version` is known but for CONNECT.
pub(crate) fn decode(header: &Header, packet: &[u8], version: Option<Protocol>) -> Result<Packet, Fault> {
    let body = &packet[header.length..];
    let v5 = version == Some(Protocol::V5);
    match header.kind {
        kind::CONNECT => decode_connect(body, packet),
        kind::CONNACK => decode_connack(body, packet, v5),
        kind::SUBSCRIBE | kind::UNSUBSCRIBE if header.flags != 0b0010 => {
            Err(malformed("a SUBSCRIBE or UNSUBSCRIBE with wrong flags"))
        }
        kind::SUBSCRIBE | kind::UNSUBSCRIBE if v5 => match read5(packet)? {
            v5::Packet::Subscribe(p) => {
                Ok(Packet::Subscribe { id: p.pkid, qos: p.filters.iter().map(|f| f.qos as u8).collect() })
            }
            v5::Packet::Unsubscribe(p) => Ok(Packet::Unsubscribe { id: p.pkid, filters: p.filters.len() }),
            _ => Err(malformed("a packet of another type than it says")),
        },
        kind::SUBSCRIBE | kind::UNSUBSCRIBE => match read4(packet)? {
            v4::Packet::Subscribe(p) => {
                Ok(Packet::Subscribe { id: p.pkid, qos: p.filters.iter().map(|f| f.qos as u8).collect() })
            }
            v4::Packet::Unsubscribe(p) => Ok(Packet::Unsubscribe { id: p.pkid, filters: p.topics.len() }),
            _ => Err(malformed("a packet of another type than it says")),
        },
        kind::SUBACK => {
            let id = u16_at(body, 0).ok_or(malformed("a SUBACK without its packet identifier"))?;
            Ok(Packet::SubAck { id, codes: behind_properties(&body[2..], v5)?.to_vec() })
        }
        kind::UNSUBACK => {
            let id = u16_at(body, 0).ok_or(malformed("an UNSUBACK without its packet identifier"))?;
            Ok(Packet::UnsubAck { id })
        }
        kind::PINGREQ => Ok(Packet::PingReq),
        kind::PINGRESP => Ok(Packet::PingResp),
        kind::DISCONNECT => Ok(decode_disconnect(body)),
        kind::PUBACK => {
            let id = u16_at(body, 0).ok_or(malformed("a PUBACK without its packet identifier"))?;
            // Success may be left out, and so may the properties (MQTT 5 section 3.4.2.1).
            let (code, reason) = (body.get(2).copied().unwrap_or(0), body.get(3..).and_then(reason_string));
            Ok(Packet::PubAck { id, code, reason })
        }
        5..=7 => Ok(Packet::Stray),
        _ => Err(malformed("a packet of a type that does not exist, or AUTH")),
    }
}

fn decode_connect(body: &[u8], packet: &[u8]) -> Result<Packet, Fault> {
    let length = usize::from(u16_at(body, 0).ok_or(malformed("a CONNECT without a protocol name"))?);
    let name = body.get(2..2 + length).ok_or(malformed("a CONNECT that ends in the protocol name"))?;
    let level = body.get(2 + length).ok_or(malformed("a CONNECT without a protocol version"))?;
    let flags = body.get(3 + length).ok_or(malformed("a CONNECT without flags"))?;
    if flags & 1 != 0 {
        return Err(malformed("a CONNECT with its reserved flag set"));
    }
    match (name, level) {
        (b"MQTT", 4) => match read4(packet)? {
            v4::Packet::Connect(p) => Ok(Packet::Connect(Box::new(from_connect4(p)))),
            _ => Err(malformed("a packet of another type than it says")),
        },
        (b"MQTT", 5) => match read5(packet)? {
            v5::Packet::Connect(p, will, login) => {
                Ok(Packet::Connect(Box::new(from_connect5(p, will, login))))
            }
            _ => Err(malformed("a packet of another type than it says")),
        },
        (b"MQTT" | b"MQIsdp", _) => Ok(Packet::ConnectUnknown),
        _ => Err(Fault { code: code::UNSUPPORTED_VERSION, what: "a CONNECT of another protocol" }),
    }
}

fn from_connect4(p: v4::Connect) -> Connect {
    let (user, password) = p.login.map(|login| (login.username, login.password)).unwrap_or_default();
    Connect {
        version: Protocol::V4,
        client_id: p.client_id,
        clean: p.clean_session,
        keep_alive: p.keep_alive,
        user,
        password,
        will: p.last_will.map(|will| Will {
            topic: will.topic.into_bytes().into(),
            payload: will.message,
            qos: will.qos as u8,
        }),
    }
}

fn from_connect5(p: v5::Connect, will: Option<v5::LastWill>, login: Option<v5::Login>) -> Connect {
    let (user, password) = login.map(|login| (login.username, login.password)).unwrap_or_default();
    Connect {
        version: Protocol::V5,
        client_id: p.client_id,
        clean: p.clean_start,
        keep_alive: p.keep_alive,
        user,
        password,
        will: will.map(|will| Will { topic: will.topic, payload: will.message, qos: will.qos as u8 }),
    }
}

fn decode_connack(body: &[u8], packet: &[u8], v5: bool) -> Result<Packet, Fault> {
    let [flags, code, ..] = *body else { return Err(malformed("a CONNACK without a reason code")) };
    let session_present = flags & 1 != 0;
    // A broker that speaks only 3.1.1 answers in its own form, without properties, and with its own codes.
    if !v5 || body.len() == 2 {
        let code = if code < 0x80 { from_code4(code) } else { code };
        return Ok(Packet::ConnAck(ConnAck { session_present, code, ..ConnAck::default() }));
    }
    // Properties of a refusal that cannot be read should not hide the refusal.
    let properties = match read5(packet) {
        Ok(v5::Packet::ConnAck(p)) => p.properties,
        Err(fault) if code == 0 => return Err(fault),
        _ => None,
    };
    let mut connack = ConnAck { session_present, code, said: said(&body[2..]), ..ConnAck::default() };
    if let Some(told) = properties {
        connack.keep_alive = told.server_keep_alive;
        connack.session_expiry = told.session_expiry_interval;
        connack.receive_max = told.receive_max;
        connack.packet_bytes_max = told.max_packet_size;
        connack.qos_max = told.max_qos;
        connack.retains_nothing = told.retain_available == Some(0);
    }
    Ok(Packet::ConnAck(connack))
}

/// The return codes of 3.1.1 (section 3.2.2.3) as reason codes of 5.
fn from_code4(code: u8) -> u8 {
    match code {
        0 => 0,
        1 => code::UNSUPPORTED_VERSION,
        2 => code::BAD_CLIENT_ID,
        3 => code::SERVER_UNAVAILABLE,
        4 => code::BAD_LOGIN,
        5 => code::NOT_AUTHORIZED,
        _ => 0x80,
    }
}

fn decode_disconnect(body: &[u8]) -> Packet {
    let code = body.first().copied().unwrap_or(0);
    // The connection ends whatever else the packet says: properties that cannot be read are no reason.
    let said = body.get(1..).map(said).unwrap_or_default();
    Packet::Disconnect { code, said }
}

fn reason_string(bytes: &[u8]) -> Option<String> {
    said(bytes).reason
}

/// Reason string (property 0x1F) and server reference (0x1C), as far as the properties can be read.
fn said(bytes: &[u8]) -> Said {
    let mut said = Said::default();
    let properties =
        varint(bytes).ok().flatten().and_then(|(length, digits)| bytes.get(digits..digits + length));
    let mut rest = properties.unwrap_or_default();
    let text = |bytes: &[u8]| {
        let end = 2 + usize::from(u16_at(bytes, 0)?);
        Some((std::str::from_utf8(bytes.get(2..end)?).ok()?.to_owned(), end))
    };
    while let Some((&property, value)) = rest.split_first() {
        // The lengths of all properties that a broker can send with a code (section 2.2.2.2).
        let length = match property {
            0x24 | 0x25 | 0x28..=0x2A => Some(1),
            0x13 | 0x21 | 0x22 => Some(2),
            0x11 | 0x27 => Some(4),
            0x12 | 0x15 | 0x16 | 0x1A => u16_at(value, 0).map(|length| 2 + usize::from(length)),
            0x1C => text(value).map(|(text, length)| {
                said.server = Some(text);
                length
            }),
            0x1F => text(value).map(|(text, length)| {
                said.reason = Some(text);
                length
            }),
            // A user property is a pair.
            0x26 => text(value).and_then(|(_, first)| Some(first + text(value.get(first..)?)?.1)),
            _ => None,
        };
        rest = length.and_then(|length| value.get(length..)).unwrap_or_default();
    }
    said
}

fn behind_properties(bytes: &[u8], v5: bool) -> Result<&[u8], Fault> {
    if !v5 {
        return Ok(bytes);
    }
    let (length, digits) = varint(bytes)?.ok_or(malformed("a packet ends in its properties"))?;
    bytes.get(digits + length..).ok_or(malformed("the properties are longer than their packet"))
}

// The frame is complete and its length was checked: the codecs' own limits are not needed.
fn read4(packet: &[u8]) -> Result<v4::Packet, Fault> {
    v4::Packet::read(&mut BytesMut::from(packet), usize::MAX).map_err(|error| match error {
        mqttbytes::Error::InvalidQoS(_) => malformed("a QoS that does not exist"),
        mqttbytes::Error::TopicNotUtf8 => malformed("a string that is not UTF-8"),
        _ => malformed("a packet that cannot be read"),
    })
}

fn read5(packet: &[u8]) -> Result<v5::Packet, Fault> {
    v5::Packet::read(&mut BytesMut::from(packet), None).map_err(|error| match error {
        mqttbytes5::Error::InvalidQoS(_) => malformed("a QoS that does not exist"),
        mqttbytes5::Error::TopicNotUtf8 => malformed("a string that is not UTF-8"),
        _ => malformed("a packet that cannot be read"),
    })
}
