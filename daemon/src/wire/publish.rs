//! PUBLISH, as our outputs send it. It is written here and not by the codec, which would copy topic and payload first.

use super::encode::put_varint;
use super::frame::{Fault, code};
use crate::config::model::Protocol;
use bytes::{BufMut, BytesMut};

/// A PUBLISH.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publish<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    /// The packet identifier at QoS 1; `None` at QoS 0.
    pub(crate) id: Option<u16>,
    pub(crate) retain: bool,
}

impl Publish<'_> {
    /// Bytes of the packet.
    pub(crate) fn length(&self, version: Protocol) -> usize {
        let remaining = self.remaining(version);
        // Seven bits of the length in each byte (MQTT 5 section 1.5.5).
        let digits = [0x80, 0x4000, 0x20_0000].iter().filter(|first| remaining >= **first).count() + 1;
        1 + digits + remaining
    }

    fn remaining(&self, version: Protocol) -> usize {
        let (id, properties) = (2 * usize::from(self.id.is_some()), usize::from(version == Protocol::V5));
        2 + self.topic.len() + id + properties + self.payload.len()
    }
}

/// Appends a PUBLISH.
///
/// # Errors
/// When the topic, or the whole, is longer than MQTT allows.
pub(crate) fn publish(version: Protocol, publish: &Publish<'_>, out: &mut BytesMut) -> Result<(), Fault> {
    const REMAINING_MAX: usize = (1 << 28) - 1;
    let too_long = Fault { code: code::PACKET_TOO_LARGE, what: "a PUBLISH is longer than MQTT allows" };
    let topic = u16::try_from(publish.topic.len()).map_err(|_| too_long)?;
    let remaining = publish.remaining(version);
    if remaining > REMAINING_MAX {
        return Err(too_long);
    }
    out.put_u8(0x30 | u8::from(publish.id.is_some()) << 1 | u8::from(publish.retain));
    put_varint(remaining, out);
    out.put_u16(topic);
    out.put_slice(publish.topic.as_bytes());
    if let Some(id) = publish.id {
        out.put_u16(id);
    }
    out.put_bytes(0, usize::from(version == Protocol::V5));
    out.put_slice(publish.payload);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{self, kind};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn what_is_written_can_be_read_and_is_as_long_as_it_says(
            topic in "[a-zé/]{1,200}",
            payload in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                prop::collection::vec(any::<u8>(), 16_000..17_000),
            ],
            id in prop::option::of(1..u16::MAX),
            retain in any::<bool>(),
            version in prop_oneof![Just(Protocol::V4), Just(Protocol::V5)],
        ) {
            let message = Publish { topic: &topic, payload: &payload, id, retain };
            let mut out = BytesMut::new();
            publish(version, &message, &mut out).unwrap();
            prop_assert_eq!(out.len(), message.length(version));
            let header = frame::header(&out).unwrap().unwrap();
            prop_assert_eq!((header.kind, header.total), (kind::PUBLISH, out.len()));
            let body = &out[header.length..];
            let read = frame::publish(header.flags, body, version).unwrap();
            prop_assert_eq!((read.packet_id, read.retain, read.dup), (id, retain, false));
            prop_assert_eq!((&body[read.topic], &body[read.payload]), (topic.as_bytes(), payload.as_slice()));
        }
    }

    #[test]
    fn a_topic_that_is_too_long_is_an_error() {
        let topic = "x".repeat(65_536);
        let message = Publish { topic: &topic, payload: b"", id: None, retain: false };
        let mut out = BytesMut::new();
        assert!(publish(Protocol::V5, &message, &mut out).is_err());
        assert!(out.is_empty());
    }
}
