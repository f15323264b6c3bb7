//! What goes out, in both versions, over rumqttc's codecs; the packets of a few fixed bytes are written here.

use super::frame::{Fault, code};
use crate::config::model::Protocol;
use bytes::{BufMut, BytesMut};
use rumqttc::mqttbytes::{self, QoS as QoS4, v4};
use rumqttc::v5::mqttbytes::v5;
use rumqttc::v5::mqttbytes::{self as mqttbytes5, QoS as QoS5};

/// CONNECT, as our client sends it.
#[derive(Clone, Debug)]
pub(crate) struct Hello<'a> {
    pub(crate) version: Protocol,
    pub(crate) client_id: &'a str,
    pub(crate) clean: bool,
    /// Seconds.
    pub(crate) keep_alive: u16,
    pub(crate) login: Option<(&'a str, &'a str)>,
    /// Seconds.
    pub(crate) session_expiry: u32,
    pub(crate) receive_max: u16,
    pub(crate) packet_bytes_max: u32,
}

/// CONNACK, as the listener sends it on success.
#[derive(Clone, Debug)]
pub(crate) struct Welcome {
    pub(crate) receive_max: u16,
    pub(crate) packet_bytes_max: u32,
    pub(crate) assigned_client_id: Option<String>,
}

/// Appends a CONNECT.
///
/// # Errors
/// When a string is longer than MQTT allows (65,535 bytes).
pub(crate) fn connect(hello: &Hello<'_>, out: &mut BytesMut) -> Result<(), Fault> {
    let (user, password) = hello.login.unwrap_or_default();
    fits([hello.client_id, user, password])?;
    match hello.version {
        Protocol::V4 => {
            let mut packet = v4::Connect::new(hello.client_id);
            packet.keep_alive = hello.keep_alive;
            packet.clean_session = hello.clean;
            packet.login = hello.login.map(|(user, password)| v4::Login::new(user, password));
            packet.write(out).map_err(unwritable4)
        }
        Protocol::V5 => {
            let properties = v5::ConnectProperties {
                session_expiry_interval: Some(hello.session_expiry),
                receive_maximum: Some(hello.receive_max.max(1)),
                max_packet_size: Some(hello.packet_bytes_max.max(1)),
                ..v5::ConnectProperties::new()
            };
            let packet = v5::Connect {
                keep_alive: hello.keep_alive,
                client_id: hello.client_id.to_owned(),
                clean_start: hello.clean,
                properties: Some(properties),
            };
            let login = hello.login.map(|(user, password)| v5::Login::new(user, password));
            packet.write(&None, &login, out).map_err(unwritable5)
        }
    }
    .map(drop)
}

/// Appends a SUBSCRIBE. In MQTT 5 the broker sends what it retains only for a new subscription, not again when a session
/// is resumed.
///
/// # Errors
/// When a filter is longer than MQTT allows.
pub(crate) fn subscribe(
    version: Protocol,
    id: u16,
    filters: &[String],
    qos: u8,
    out: &mut BytesMut,
) -> Result<(), Fault> {
    fits(filters.iter().map(String::as_str))?;
    match version {
        Protocol::V4 => {
            let qos = if qos == 0 { QoS4::AtMostOnce } else { QoS4::AtLeastOnce };
            let filters = filters.iter().map(|filter| v4::SubscribeFilter::new(filter.clone(), qos));
            let mut packet = v4::Subscribe::new_many(filters);
            packet.pkid = id;
            packet.write(out).map_err(unwritable4)
        }
        Protocol::V5 => {
            let qos = if qos == 0 { QoS5::AtMostOnce } else { QoS5::AtLeastOnce };
            let filters = filters.iter().map(|filter| v5::Filter {
                retain_forward_rule: v5::RetainForwardRule::OnNewSubscribe,
                ..v5::Filter::new(filter, qos)
            });
            let mut packet = v5::Subscribe::new_many(filters, None);
            packet.pkid = id;
            packet.write(out).map_err(unwritable5)
        }
    }
    .map(drop)
}

/// Appends an UNSUBSCRIBE.
///
/// # Errors
/// When a filter is longer than MQTT allows.
pub(crate) fn unsubscribe(
    version: Protocol,
    id: u16,
    filters: &[String],
    out: &mut BytesMut,
) -> Result<(), Fault> {
    fits(filters.iter().map(String::as_str))?;
    let filters = filters.to_vec();
    match version {
        Protocol::V4 => v4::Unsubscribe { pkid: id, topics: filters }.write(out).map_err(unwritable4),
        Protocol::V5 => {
            v5::Unsubscribe { pkid: id, filters, properties: None }.write(out).map_err(unwritable5)
        }
    }
    .map(drop)
}

/// Appends the CONNACK of a listener that takes the client in. It keeps no session, grants QoS 1, takes retained messages
/// (and ignores the flag: ESPHome sets it on everything), and has no shared subscriptions.
///
/// # Errors
/// When the assigned client id is longer than MQTT allows.
pub(crate) fn welcome(version: Protocol, welcome: &Welcome, out: &mut BytesMut) -> Result<(), Fault> {
    match version {
        Protocol::V4 => {
            v4::ConnAck::new(v4::ConnectReturnCode::Success, false).write(out).map_err(unwritable4)
        }
        Protocol::V5 => v5::ConnAck {
            session_present: false,
            code: v5::ConnectReturnCode::Success,
            properties: Some(v5::ConnAckProperties {
                session_expiry_interval: Some(0),
                receive_max: Some(welcome.receive_max.max(1)),
                max_qos: Some(1),
                retain_available: Some(1),
                max_packet_size: Some(welcome.packet_bytes_max),
                assigned_client_identifier: welcome.assigned_client_id.clone(),
                topic_alias_max: None,
                reason_string: None,
                user_properties: Vec::new(),
                wildcard_subscription_available: None,
                subscription_identifiers_available: Some(0),
                shared_subscription_available: Some(0),
                server_keep_alive: None,
                response_information: None,
                server_reference: None,
                authentication_method: None,
                authentication_data: None,
            }),
        }
        .write(out)
        .map_err(unwritable5),
    }
    .map(drop)
}

/// Appends a CONNACK that turns the client away, with a reason code of MQTT 5 or what comes nearest in 3.1.1.
pub(crate) fn refusal(version: Protocol, code: u8, out: &mut BytesMut) {
    match version {
        Protocol::V4 => out.put_slice(&[0x20, 2, 0, to_code4(code) as u8]),
        Protocol::V5 => out.put_slice(&[0x20, 3, 0, code, 0]),
    }
}

/// Appends a SUBACK with these codes. `codes` comes from a packet that fitted, and is not larger.
pub(crate) fn suback(version: Protocol, id: u16, codes: &[u8], out: &mut BytesMut) {
    answer(0x90, version, id, codes, out);
}

/// Appends an UNSUBACK for so many filters: nothing was subscribed (0x11), which is no error.
pub(crate) fn unsuback(version: Protocol, id: u16, filters: usize, out: &mut BytesMut) {
    match version {
        Protocol::V4 => answer(0xB0, version, id, &[], out),
        Protocol::V5 => answer(0xB0, version, id, &vec![0x11; filters], out),
    }
}

fn answer(first: u8, version: Protocol, id: u16, codes: &[u8], out: &mut BytesMut) {
    let properties = usize::from(version == Protocol::V5);
    out.put_u8(first);
    put_varint(2 + properties + codes.len(), out);
    out.put_u16(id);
    out.put_bytes(0, properties);
    out.put_slice(codes);
}

pub(super) fn put_varint(mut value: usize, out: &mut BytesMut) {
    while value > 0x7F {
        out.put_u8((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends a PINGREQ.
pub(crate) fn pingreq(out: &mut BytesMut) {
    out.put_slice(&[0xC0, 0]);
}

/// Appends a PINGRESP.
pub(crate) fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

/// Appends a DISCONNECT; 3.1.1 has no reason codes, and a server of 3.1.1 just closes.
pub(crate) fn disconnect(version: Protocol, code: u8, out: &mut BytesMut) {
    match (version, code) {
        (_, 0) => out.put_slice(&[0xE0, 0]),
        (Protocol::V5, code) => out.put_slice(&[0xE0, 1, code]),
        (Protocol::V4, _) => {}
    }
}

fn fits<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), Fault> {
    match texts.into_iter().all(|text| text.len() <= usize::from(u16::MAX)) {
        true => Ok(()),
        false => Err(unwritable()),
    }
}

fn unwritable4(_: mqttbytes::Error) -> Fault {
    unwritable()
}

fn unwritable5(_: mqttbytes5::Error) -> Fault {
    unwritable()
}

fn unwritable() -> Fault {
    Fault {
        code: code::PACKET_TOO_LARGE,
        what: "a client id, user, password or filter is longer than 65,535 bytes",
    }
}

/// And back; what has no code in 3.1.1 is "server unavailable".
fn to_code4(code: u8) -> v4::ConnectReturnCode {
    match code {
        code::UNSUPPORTED_VERSION => v4::ConnectReturnCode::RefusedProtocolVersion,
        code::BAD_CLIENT_ID => v4::ConnectReturnCode::BadClientId,
        code::BAD_LOGIN => v4::ConnectReturnCode::BadUserNamePassword,
        code::NOT_AUTHORIZED => v4::ConnectReturnCode::NotAuthorized,
        _ => v4::ConnectReturnCode::ServiceUnavailable,
    }
}
