//! The names that the standards give to what a broker says in a number.

/// The name of a reason code (MQTT 5 section 2.4). The return codes of 3.1.1 (its section 3.2.2.3) are read as these.
pub(crate) fn name(code: u8) -> Option<&'static str> {
    Some(match code {
        0x00 => "Success",
        0x01 => "Granted QoS 1",
        0x02 => "Granted QoS 2",
        0x04 => "Disconnect with Will Message",
        0x10 => "No matching subscribers",
        0x11 => "No subscription existed",
        0x18 => "Continue authentication",
        0x19 => "Re-authenticate",
        0x80 => "Unspecified error",
        0x81 => "Malformed Packet",
        0x82 => "Protocol Error",
        0x83 => "Implementation specific error",
        0x84 => "Unsupported Protocol Version",
        0x85 => "Client Identifier not valid",
        0x86 => "Bad User Name or Password",
        0x87 => "Not authorized",
        0x88 => "Server unavailable",
        0x89 => "Server busy",
        0x8A => "Banned",
        0x8B => "Server shutting down",
        0x8C => "Bad authentication method",
        0x8D => "Keep Alive timeout",
        0x8E => "Session taken over",
        0x8F => "Topic Filter invalid",
        0x90 => "Topic Name invalid",
        0x91 => "Packet Identifier in use",
        0x92 => "Packet Identifier not found",
        0x93 => "Receive Maximum exceeded",
        0x94 => "Topic Alias invalid",
        0x95 => "Packet too large",
        0x96 => "Message rate too high",
        0x97 => "Quota exceeded",
        0x98 => "Administrative action",
        0x99 => "Payload format invalid",
        0x9A => "Retain not supported",
        0x9B => "QoS not supported",
        0x9C => "Use another server",
        0x9D => "Server moved",
        0x9E => "Shared Subscriptions not supported",
        0x9F => "Connection rate exceeded",
        0xA0 => "Maximum connect time",
        0xA1 => "Subscription Identifiers not supported",
        0xA2 => "Wildcard Subscriptions not supported",
        _ => return None,
    })
}

/// Number and name, for a sentence: `code 0x87, Not authorized`.
pub(crate) fn shown(code: u8) -> String {
    match name(code) {
        Some(name) => format!("code 0x{code:02x}, {name}"),
        None => format!("code 0x{code:02x}, which MQTT 5 does not define"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as the table of section 2.4 has values.
    #[test]
    fn every_code_has_its_name() {
        assert_eq!((0..=u8::MAX).filter(|code| name(*code).is_some()).count(), 43);
        assert_eq!(shown(0x8E), "code 0x8e, Session taken over");
        assert_eq!(shown(0xEE), "code 0xee, which MQTT 5 does not define");
    }
}
