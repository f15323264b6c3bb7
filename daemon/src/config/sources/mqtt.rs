//! `type = "mqtt"`: a broker that we subscribe to.

use crate::config::broker;
use crate::config::field::Field;
use crate::config::model::{Mqtt, Protocol};
use crate::config::reader::Section;
use crate::config::units::duration_text;
use crate::limits::{PACKET_BYTES_LIMIT, PACKET_BYTES_MAX, RECEIVE_MAX};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The greatest session expiry that is not "never" (MQTT 5, 3.1.2.11.2), in seconds.
const SESSION_EXPIRY_MAX: Duration = Duration::from_secs(u32::MAX as u64 - 1);

/// The broker on this machine.
pub(super) fn default(name: &str, gateway: &str) -> Mqtt {
    Mqtt {
        host: "127.0.0.1".into(),
        port: 1883,
        tls: None,
        protocol: Protocol::V5,
        qos: 1,
        session_expiry: Some(Duration::from_secs(7 * 86_400)),
        client_id: format!("tidegate-{gateway}-{name}"),
        login: None,
        shared_group: None,
        keep_alive: Duration::from_secs(30),
        receive_max: RECEIVE_MAX,
        packet_bytes_max: PACKET_BYTES_MAX,
        rejects_backlog: false,
        filters: Vec::new(),
    }
}

pub(super) fn read(section: Section<'_>, name: &str, gateway: &str) -> Mqtt {
    let mut mqtt = default(name, gateway);
    if let Some((address, tls)) = broker::address(&section) {
        (mqtt.host, mqtt.port, mqtt.tls) = (address.host, address.port, tls);
    }
    mqtt.login = broker::login(&section);
    if let Some(protocol) = section.choice("protocol", &[("5", Protocol::V5), ("3.1.1", Protocol::V4)]) {
        mqtt.protocol = protocol;
    }
    if let Some(qos) = section.get("qos").and_then(|field| qos(&field)) {
        mqtt.qos = qos;
    }
    mqtt.session_expiry = session(&section, mqtt.session_expiry);
    if let Some(id) = broker::client_id(&section) {
        mqtt.client_id = id;
    }
    mqtt.shared_group = section.get("shared_group").and_then(|field| shared_group(&field));
    // Less than 5 s is refused by our client library, more than 65,535 s does not fit the protocol (MQTT 5, 3.1.2.10).
    let keep_alive = Duration::from_secs(5)..=Duration::from_secs(18 * 3_600);
    if let Some(span) = section.get("keep_alive").and_then(|field| whole_seconds(&field, keep_alive)) {
        mqtt.keep_alive = span;
    }
    if let Some(receive_max) = section.integer("receive_maximum", 1..=i64::from(u16::MAX)) {
        mqtt.receive_max = u16::try_from(receive_max).unwrap_or(u16::MAX);
    }
    if let Some(bytes) = section.size("max_packet", 1_024..=PACKET_BYTES_LIMIT) {
        mqtt.packet_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    let backlog = section.choice("backlog", &[("mark", false), ("reject", true)]);
    mqtt.rejects_backlog = backlog.unwrap_or_default();
    section.finish();
    mqtt
}

fn qos(field: &Field<'_>) -> Option<u8> {
    if field.value.as_integer().is_some_and(|qos| qos.as_str() == "2") {
        field.bad(
            "can be 0 or 1",
            "QoS 2 costs two more packets per message and protects only the way from the broker; tidegate counts \
             each message once at QoS 1 already. Sensors may publish at QoS 2",
        );
        return None;
    }
    field.integer(0..=1).and_then(|qos| u8::try_from(qos).ok())
}

/// `session` and `session_expiry`; `None` for a clean session.
fn session(section: &Section<'_>, default: Option<Duration>) -> Option<Duration> {
    let persistent = section.choice("session", &[("persistent", true), ("clean", false)]).unwrap_or(true);
    let expiry = section.get("session_expiry");
    if let (Some(expiry), false) = (&expiry, persistent) {
        expiry.bad("has no meaning with session = \"clean\"", "remove it, or write session = \"persistent\"");
        return None;
    }
    if !persistent {
        return None;
    }
    let given = expiry.and_then(|field| whole_seconds(&field, Duration::from_secs(1)..=SESSION_EXPIRY_MAX));
    given.or(default)
}

/// A length of time that MQTT sends as a number of seconds.
fn whole_seconds(field: &Field<'_>, allowed: RangeInclusive<Duration>) -> Option<Duration> {
    let span = field.duration(allowed)?;
    if span.subsec_nanos() != 0 {
        let nearest = duration_text(Duration::from_secs(span.as_secs()));
        field
            .bad("has to be whole seconds", &format!("MQTT knows no parts of a second: write \"{nearest}\""));
        return None;
    }
    Some(span)
}

/// A ShareName holds none of `/`, `+` and `#` (\[MQTT-4.8.2-1\], \[MQTT-4.8.2-2\]).
fn shared_group(field: &Field<'_>) -> Option<String> {
    let group = field.filled()?;
    if group.contains(['/', '+', '#']) || group.chars().any(char::is_control) {
        field.bad("cannot hold `/`, `+` or `#`", "write a plain name; the topics come from the streams");
        return None;
    }
    Some(group.to_owned())
}
