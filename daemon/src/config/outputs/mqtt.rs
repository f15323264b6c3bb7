//! `type = "mqtt"`: a broker that events are published at.

use super::topic;
use crate::config::broker;
use crate::config::field::Field;
use crate::config::model::{Broker, Payload, Protocol, Republish};
use crate::config::reader::Section;
use std::time::Duration;

/// Whether an output without `type` is one of these.
pub(super) fn is_meant(entry: &Field<'_>) -> bool {
    let url =
        entry.value.as_table().and_then(|table| table.get("url")).and_then(|url| url.get_ref().as_str());
    url.is_some_and(|url| url.starts_with("mqtt://") || url.starts_with("mqtts://"))
}

pub(super) fn read(section: Section<'_>, name: &str, gateway: &str) -> Option<Republish> {
    section.get("type");
    section.require("url", "url = \"mqtt://127.0.0.1\"");
    let address = broker::address(&section);
    let login = broker::login(&section);
    let client_id = broker::client_id(&section);
    let protocol = section.choice("protocol", &[("5", Protocol::V5), ("3.1.1", Protocol::V4)]);
    let topic = match section.get("topic") {
        Some(field) => topic::read(&field, gateway),
        None => topic::parse(topic::DEFAULT, gateway).ok(),
    };
    let payload = section.choice("payload", &[("values", Payload::Values), ("event", Payload::Event)]);
    let qos = section.get("qos").and_then(|field| qos(&field));
    let retain = section.get("retain").and_then(|field| field.flag());
    let discovery = section.get("discovery").and_then(|field| prefix(&field));
    let timeout = section.duration("timeout", Duration::from_millis(100)..=Duration::from_secs(900));
    section.finish();
    let (address, tls) = address?;
    Some(Republish {
        broker: Broker {
            host: address.host,
            port: address.port,
            tls,
            protocol: protocol.unwrap_or(Protocol::V5),
            client_id: client_id.unwrap_or_else(|| format!("tidegate-{gateway}-{name}-out")),
            login,
        },
        gateway: gateway.to_owned(),
        topic: topic?,
        payload: payload.unwrap_or(Payload::Values),
        qos: qos.unwrap_or(1),
        retain: retain.unwrap_or(false),
        discovery,
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
    })
}

fn qos(field: &Field<'_>) -> Option<u8> {
    if field.value.as_integer().is_some_and(|qos| qos.as_str() == "2") {
        field.bad(
            "can be 0 or 1",
            "QoS 2 costs two more packets per message; at QoS 1 a message may come twice, with the same `key` and `revision`",
        );
        return None;
    }
    field.integer(0..=1).and_then(|qos| u8::try_from(qos).ok())
}

/// Levels of a topic that stand before others.
fn prefix(field: &Field<'_>) -> Option<String> {
    let text = field.filled()?;
    if text.contains(['+', '#', '{', '}']) || text.starts_with('/') || text.ends_with('/') {
        field.bad(
            "is not the beginning of a topic",
            "write what Home Assistant's MQTT integration has as discovery prefix: discovery = \"homeassistant\"",
        );
        return None;
    }
    Some(text.to_owned())
}
