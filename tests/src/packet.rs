//! The few MQTT packets that a load generator needs, in both versions, written straight into a buffer.
//!
//! Section numbers are those of the MQTT 5.0 specification (OASIS, 2019); 3.1.1 differs only by having no properties.

/// Which MQTT to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// Asks whether the other side is alive (3.12).
pub const PINGREQ: [u8; 2] = [0xc0, 0];
/// Says goodbye (3.14); in both versions the short form means a normal end.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

/// Packet types as they stand in the upper half of the first byte (2.1.2).
pub mod kind {
    /// The answer to CONNECT.
    pub const CONNACK: u8 = 2;
    /// A message.
    pub const PUBLISH: u8 = 3;
    /// The answer to a QoS 1 message.
    pub const PUBACK: u8 = 4;
    /// The answer to SUBSCRIBE.
    pub const SUBACK: u8 = 9;
    /// The server ends the connection.
    pub const DISCONNECT: u8 = 14;
}

/// What a connection asks for.
#[derive(Clone, Debug)]
pub struct Connect<'a> {
    /// The version.
    pub version: Version,
    /// The client id.
    pub client: &'a str,
    /// Forget the session (a clean start, and no expiry).
    pub clean: bool,
    /// Messages that the server may have in flight towards us (MQTT 5).
    pub receive_max: u16,
}

/// A message to publish.
#[derive(Clone, Copy, Debug, Default)]
pub struct Publish<'a> {
    /// The topic; bytes, because some tests send what is not UTF-8.
    pub topic: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// The packet id of a QoS 1 message; `None` is QoS 0.
    pub id: Option<u16>,
    /// Sent before.
    pub dup: bool,
    /// To be kept by the broker.
    pub retain: bool,
}

/// CONNECT (3.1), without keep-alive.
pub fn connect(out: &mut Vec<u8>, ask: &Connect<'_>) {
    let mut body = Vec::with_capacity(64);
    text(&mut body, b"MQTT");
    body.push(if ask.version == Version::V5 { 5 } else { 4 });
    body.push(if ask.clean { 0x02 } else { 0 });
    body.extend([0, 0]);
    if ask.version == Version::V5 {
        let expiry: u32 = if ask.clean { 0 } else { 3_600 };
        let mut properties = vec![0x11];
        properties.extend(expiry.to_be_bytes());
        properties.push(0x21);
        properties.extend(ask.receive_max.to_be_bytes());
        length(&mut body, properties.len());
        body.extend(properties);
    }
    text(&mut body, ask.client.as_bytes());
    packet(out, 0x10, &body);
}

/// PUBLISH (3.3).
pub fn publish(out: &mut Vec<u8>, version: Version, message: &Publish<'_>) {
    let flags = u8::from(message.retain) | u8::from(message.id.is_some()) << 1 | u8::from(message.dup) << 3;
    let id_len = if message.id.is_some() { 2 } else { 0 };
    let properties_len = usize::from(version == Version::V5);
    out.push(0x30 | flags);
    length(out, 2 + message.topic.len() + id_len + properties_len + message.payload.len());
    text(out, message.topic);
    if let Some(id) = message.id {
        out.extend(id.to_be_bytes());
    }
    if version == Version::V5 {
        out.push(0);
    }
    out.extend_from_slice(message.payload);
}

/// PUBACK (3.4): success, which may leave out reason and properties in both versions.
pub fn puback(out: &mut Vec<u8>, id: [u8; 2]) {
    out.extend([0x40, 2, id[0], id[1]]);
}

/// SUBSCRIBE (3.8) to one filter, packet id 1.
pub fn subscribe(out: &mut Vec<u8>, version: Version, filter: &str, qos: u8) {
    let mut body = vec![0, 1];
    if version == Version::V5 {
        body.push(0);
    }
    text(&mut body, filter.as_bytes());
    body.push(qos);
    packet(out, 0x82, &body);
}

fn packet(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    length(out, body.len());
    out.extend_from_slice(body);
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    let len = u16::try_from(text.len()).expect("a text in MQTT has at most 65,535 bytes");
    out.extend(len.to_be_bytes());
    out.extend_from_slice(text);
}

/// A variable byte integer (1.5.5).
fn length(out: &mut Vec<u8>, mut len: usize) {
    loop {
        let byte = (len % 128) as u8;
        len /= 128;
        out.push(if len > 0 { byte | 0x80 } else { byte });
        if len == 0 {
            return;
        }
    }
}

/// A whole packet in a read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The first byte: type and flags.
    pub first: u8,
    /// What follows the length.
    pub body: &'a [u8],
    /// How many bytes the packet takes in the buffer.
    pub len: usize,
}

impl Frame<'_> {
    /// One of [`kind`].
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The packet id of a PUBLISH at QoS 1; `None` at QoS 0 or when the packet is cut short.
    pub fn publish_id(&self) -> Option<[u8; 2]> {
        if self.first & 0x06 == 0 {
            return None;
        }
        let topic = usize::from(u16::from_be_bytes([*self.body.first()?, *self.body.get(1)?]));
        Some([*self.body.get(2 + topic)?, *self.body.get(3 + topic)?])
    }
}

/// The next whole packet; `None` when more bytes are needed.
///
/// # Errors
/// When the length is longer than MQTT allows, so that nothing after it can be understood.
pub fn next(bytes: &[u8]) -> Result<Option<Frame<'_>>, String> {
    let mut len = 0_usize;
    for at in 0..4 {
        let Some(&byte) = bytes.get(1 + at) else { return Ok(None) };
        len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let start = 2 + at;
            let frame = bytes.get(start..start + len);
            return Ok(frame.map(|body| Frame { first: bytes[0], body, len: start + len }));
        }
    }
    Err("a packet's length takes more than four bytes".into())
}

/// What CONNACK (3.2) said: the server's receive maximum, 65,535 where it did not say.
///
/// # Errors
/// The reason code, when the connection was refused.
pub fn connack(frame: &Frame<'_>, version: Version) -> Result<u16, String> {
    if frame.kind() != kind::CONNACK || frame.body.len() < 2 {
        return Err(format!("the server answered CONNECT with a packet of type {}", frame.kind()));
    }
    if frame.body[1] != 0 {
        return Err(format!("the server refused the connection with code {:#04x}", frame.body[1]));
    }
    Ok(if version == Version::V5 { receive_max(&frame.body[2..]).unwrap_or(u16::MAX) } else { u16::MAX })
}

/// Walks the properties of a CONNACK (3.2.2.3). Their block is short, so that its length takes one byte.
fn receive_max(properties: &[u8]) -> Option<u16> {
    let mut rest = properties.get(1..)?;
    while let Some((&id, value)) = rest.split_first() {
        let text =
            |at: usize| Some(2 + usize::from(u16::from_be_bytes([*value.get(at)?, *value.get(at + 1)?])));
        let len = match id {
            0x21 => return Some(u16::from_be_bytes([*value.first()?, *value.get(1)?])),
            0x24 | 0x25 | 0x28..=0x2a => 1,
            0x13 | 0x22 => 2,
            0x11 | 0x27 => 4,
            0x26 => text(0)? + text(text(0)?)?,
            _ => text(0)?,
        };
        rest = value.get(len..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &Publish<'_>, version: Version) -> Vec<u8> {
        let mut out = Vec::new();
        publish(&mut out, version, message);
        out
    }

    #[test]
    fn messages() {
        let plain = Publish { topic: b"a/b", payload: b"42", ..Publish::default() };
        assert_eq!(written(&plain, Version::V4), b"\x30\x07\x00\x03a/b42");
        assert_eq!(written(&plain, Version::V5), b"\x30\x08\x00\x03a/b\x0042");
        let again = Publish { id: Some(258), dup: true, retain: true, ..plain };
        let bytes = written(&again, Version::V4);
        assert_eq!(bytes, b"\x3b\x09\x00\x03a/b\x01\x0242");
        assert_eq!(next(&bytes).unwrap().unwrap().publish_id(), Some([1, 2]));
    }

    #[test]
    fn frames() {
        let check = |bytes: &[u8], expected: Option<(u8, usize)>| {
            let frame = next(bytes).unwrap();
            assert_eq!(frame.map(|f| (f.kind(), f.len)), expected, "{bytes:02x?}");
        };
        check(b"", None);
        check(b"\x40", None);
        check(b"\x40\x02\x00", None);
        check(b"\x40\x02\x00\x01\x40", Some((kind::PUBACK, 4)));
        check(&[&[0x30, 0x80, 0x01][..], &[0; 128]].concat(), Some((kind::PUBLISH, 131)));
        assert!(next(&[0x30, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn receive_maxima() {
        let check = |body: &[u8], expected: Result<u16, ()>| {
            let frame = Frame { first: 0x20, body, len: 0 };
            assert_eq!(connack(&frame, Version::V5).map_err(|_| ()), expected, "{body:02x?}");
        };
        check(b"\x00\x00\x00", Ok(65_535));
        check(b"\x00\x00\x06\x22\x00\x0a\x21\x00\x14", Ok(20));
        check(b"\x00\x00\x0a\x26\x00\x01a\x00\x01b\x21\x01\x00", Ok(256));
        check(b"\x00\x87\x00", Err(()));
    }
}
