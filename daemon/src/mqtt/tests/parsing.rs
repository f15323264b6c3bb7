//! Hostile bytes: whatever comes, nothing panics, and what cannot be read ends the connection with its reason.

use super::broker::publish;
use crate::config::model::Protocol;
use crate::limits;
use crate::mqtt::acks::Acks;
use crate::mqtt::reader::Reader;
use crate::wire::decode::{ConnAck, Packet, Said};
use crate::wire::encode;
use crate::wire::frame::{self, code};
use bytes::BytesMut;
use proptest::prelude::*;

fn read(bytes: &[u8], version: Protocol, limit: usize) -> (usize, Vec<Packet>, Option<u8>) {
    let mut reader = Reader::new(limit);
    reader.room().extend_from_slice(bytes);
    let (mut messages, mut packets) = (0, Vec::new());
    loop {
        let taken = reader.take(version, &mut Acks::default(), usize::MAX);
        for message in &taken.messages {
            let _ = &taken.bytes[message.topic.start as usize..message.topic.end as usize];
            let _ = &taken.bytes[message.payload.start as usize..message.payload.end as usize];
        }
        messages += taken.messages.len();
        let done = taken.is_empty();
        packets.extend(taken.packets);
        if let Some(fault) = taken.fault {
            return (messages, packets, Some(fault.code));
        }
        if done {
            return (messages, packets, None);
        }
    }
}

fn check(bytes: &[u8], version: Protocol, expected: Result<Option<Packet>, u8>) {
    let (_, mut packets, fault) = read(bytes, version, 1 << 20);
    match expected {
        Ok(packet) => assert_eq!((packets.pop(), fault), (packet, None), "{bytes:?}"),
        Err(code) => assert_eq!(fault, Some(code), "{bytes:?}"),
    }
}

#[test]
fn packets() {
    use Protocol::{V4, V5};
    let left = |code| Ok(Some(Packet::Disconnect { code, said: Said::default() }));
    check(&[0xE0, 0], V4, left(0));
    check(&[0xE0, 0], V5, left(0));
    check(&[0xE0, 1, 0x8E], V5, left(0x8E));
    check(&[0xE0, 2, 0x8B, 0], V5, left(0x8B));
    let said = Said { reason: Some("bye".into()), server: None };
    check(b"\xE0\x08\x8B\x06\x1F\x00\x03bye", V5, Ok(Some(Packet::Disconnect { code: 0x8B, said })));
    // Who is responsible instead stands behind other properties, as brokers write them.
    let said = Said { reason: Some("bye".into()), server: Some("b.example".into()) };
    let moved = b"\xE0\x1F\x9D\x1D\x26\x00\x01k\x00\x01v\x11\0\0\0\x05\x1F\x00\x03bye\x1C\x00\x09b.example";
    let moved =
        &[&moved[..1], &[(moved.len() - 2) as u8], &moved[2..3], &[(moved.len() - 4) as u8], &moved[4..]]
            .concat();
    check(moved, V5, Ok(Some(Packet::Disconnect { code: 0x9D, said: said.clone() })));
    let connack = b"\x20\x19\x00\x9C\x16\x12\x00\x01x\x1F\x00\x03bye\x1C\x00\x09b.example";
    let expected = ConnAck { code: 0x9C, said, ..ConnAck::default() };
    check(connack, V5, Ok(Some(Packet::ConnAck(expected))));
    // What cannot be read hides no more than itself.
    let said = Said { reason: Some("bye".into()), server: None };
    check(
        b"\xE0\x0C\x9D\x0A\x1F\x00\x03bye\x1C\x00\x09b",
        V5,
        Ok(Some(Packet::Disconnect { code: 0x9D, said })),
    );
    let puback =
        |code, reason: Option<&str>| Packet::PubAck { id: 1, code, reason: reason.map(str::to_owned) };
    check(&[0x40, 2, 0, 1], V5, Ok(Some(puback(0, None))));
    check(&[0x40, 2, 0, 1], V4, Ok(Some(puback(0, None))));
    check(&[0x40, 3, 0, 1, 0], V5, Ok(Some(puback(0, None))));
    check(&[0x40, 3, 0, 1, 0x87], V5, Ok(Some(puback(0x87, None))));
    check(&[0x40, 4, 0, 1, 0x97, 0], V5, Ok(Some(puback(0x97, None))));
    check(&[0x40, 9, 0, 1, 0x97, 5, 0x1F, 0, 2, b'n', b'o'], V5, Ok(Some(puback(0x97, Some("no")))));
    check(&[0x50, 2, 0, 1], V5, Ok(Some(Packet::Stray)));
    check(&[0x90, 3, 0, 1, 0x99], V4, Ok(Some(Packet::SubAck { id: 1, codes: vec![0x99] })));
    check(&[0x90, 4, 0, 1, 0, 0x99], V5, Ok(Some(Packet::SubAck { id: 1, codes: vec![0x99] })));
    check(&[0xB0, 2, 0, 9], V4, Ok(Some(Packet::UnsubAck { id: 9 })));
    check(&[0xC0, 0], V4, Ok(Some(Packet::PingReq)));
    check(&[0xC0], V4, Ok(None));
    check(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1], V5, Err(code::MALFORMED));
    check(&[0x34, 5, 0, 1, b'a', 0, 1], V5, Err(code::QOS_NOT_SUPPORTED));
    check(&[0x36, 5, 0, 1, b'a', 0, 1], V5, Err(code::MALFORMED));
    check(&[0x32, 5, 0, 1, b'a', 0, 0], V4, Err(code::MALFORMED));
    check(&[0x30, 3, 0, 9, b'a'], V4, Err(code::MALFORMED));
    check(&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 1], V5, Err(code::TOPIC_ALIAS_INVALID));
    check(&[0x30, 6, 0, 1, b'a', 2, 0x01], V5, Ok(None));
    check(&[0x30, 6, 0, 1, b'a', 2, 0x11, 0], V5, Err(code::MALFORMED));
    check(&[0x82, 2, 0, 1], V5, Err(code::MALFORMED));
    check(&[0x80, 6, 0, 1, 0, 1, b'a', 0], V4, Err(code::MALFORMED));
    check(&[0xF0, 0], V5, Err(code::MALFORMED));
    check(&[0x00, 0], V4, Err(code::MALFORMED));
    check(&[0x82, 0xFF, 0xFF, 0xFF, 0x7F], V4, Err(code::PACKET_TOO_LARGE));
}

#[test]
fn publish_properties_are_walked() {
    let properties = b"\x01\x00\x02\x00\x00\x00\x09\x03\x00\x01x\x08\x00\x00\x09\x00\x01y\x0B\x80\x01\x26\x00\x01k\x00\x01v";
    let mut body = vec![0, 1, b't', 0, 5, properties.len() as u8];
    body.extend(properties);
    body.extend(b"payload");
    let publish = frame::publish(0b1011, &body, Protocol::V5).unwrap();
    assert_eq!(&body[publish.topic], b"t");
    assert_eq!(&body[publish.payload], b"payload");
    assert_eq!((publish.packet_id, publish.dup, publish.retain), (Some(5), true, true));
    for end in 3..6 + properties.len() {
        // Cut anywhere inside, with the lengths left as they were.
        assert!(frame::publish(0b1011, &body[..end], Protocol::V5).is_err(), "{end}");
    }
}

#[test]
fn what_we_write_can_be_read() {
    for version in [Protocol::V4, Protocol::V5] {
        let hello = encode::Hello {
            version,
            client_id: "me",
            clean: false,
            keep_alive: 60,
            login: Some(("user", "word")),
            session_expiry: 9,
            receive_max: 10,
            packet_bytes_max: 1_000,
        };
        let mut out = BytesMut::new();
        encode::connect(&hello, &mut out).unwrap();
        encode::subscribe(version, 2, &["a/#".into(), "b".into()], 1, &mut out).unwrap();
        encode::unsubscribe(version, 3, &["c".into(), "d".into()], &mut out).unwrap();
        encode::suback(version, 4, &[1, 0x80], &mut out);
        encode::unsuback(version, 5, 2, &mut out);
        encode::pingreq(&mut out);
        let (_, packets, fault) = read(&out, version, 1 << 20);
        assert_eq!(fault, None);
        assert!(matches!(&packets[0], Packet::Connect(c)
            if c.version == version && c.user == "user" && c.password == "word" && !c.clean && c.keep_alive == 60));
        assert_eq!(packets[1], Packet::Subscribe { id: 2, qos: vec![1, 1] });
        assert_eq!(packets[2], Packet::Unsubscribe { id: 3, filters: 2 });
        assert_eq!(packets[3], Packet::SubAck { id: 4, codes: vec![1, 0x80] });
        assert_eq!(packets[4], Packet::UnsubAck { id: 5 });
        assert_eq!(packets[5], Packet::PingReq);
    }
}

#[test]
fn strings_that_do_not_fit_are_errors() {
    let long = "x".repeat(70_000);
    assert!(encode::subscribe(Protocol::V5, 1, &[long], 1, &mut BytesMut::new()).is_err());
}

/// Bytes that look like packets: the types and lengths are right more often than by chance.
fn packetish() -> impl Strategy<Value = Vec<u8>> {
    let packet = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(first, body)| {
        let mut packet = vec![first, body.len() as u8];
        packet.extend(body);
        packet
    });
    proptest::collection::vec(packet, 0..6).prop_map(|packets| packets.concat())
}

/// The room for a large packet is not kept for small ones.
#[test]
fn a_large_packet_leaves_no_large_buffer() {
    let mut reader = Reader::new(2 << 20);
    let bytes = [publish(true, 1, b"a/b", &vec![b'x'; 1 << 20]), publish(true, 2, b"a/b", b"x")].concat();
    let (mut rest, mut messages) = (&bytes[..], 0);
    while !rest.is_empty() {
        let room = reader.room();
        let (read, left) = rest.split_at(rest.len().min(room.capacity() - room.len()));
        room.extend_from_slice(read);
        reader.filled(!left.is_empty());
        rest = left;
        messages += reader.take(Protocol::V5, &mut Acks::default(), usize::MAX).messages.len();
    }
    assert_eq!(messages, 2);
    let room = reader.room().capacity();
    assert!(room <= 2 * limits::READ_BYTES_MAX, "{room} B");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), v5: bool, small: bool) {
        read(&bytes, if v5 { Protocol::V5 } else { Protocol::V4 }, if small { 20 } else { 1 << 20 });
        let _ = Reader::new(1 << 16).take_one(None);
    }

    #[test]
    fn things_like_packets_never_panic(bytes in packetish(), v5: bool) {
        read(&bytes, if v5 { Protocol::V5 } else { Protocol::V4 }, 1 << 20);
        let mut reader = Reader::new(1 << 16);
        reader.room().extend_from_slice(&bytes);
        while let Ok(Some(_)) = reader.take_one(None) {}
    }

    /// A CONNECT with one byte changed or cut off anywhere: the packet with the most parts.
    #[test]
    fn damaged_connects_never_panic(at in 0usize..80, byte: u8, v5: bool) {
        let connect: &[u8] = if v5 {
            b"\x10\x33\0\x04MQTT\x05\xC6\0\x3C\x05\x11\0\0\0\x09\0\x02me\x05\x18\0\0\0\x01\0\x02wt\0\x02wp\0\x04user\0\x04word"
        } else {
            b"\x10\x22\0\x04MQTT\x04\xC6\0\x3C\0\x02me\0\x02wt\0\x02wp\0\x04user\0\x02pw"
        };
        let mut damaged = connect.to_vec();
        let at = at % damaged.len();
        damaged[at] = byte;
        let mut reader = Reader::new(1 << 16);
        reader.room().extend_from_slice(&damaged);
        let _ = reader.take_one(None);
    }

    /// However the bytes are cut into reads, the same messages come, and as many acknowledgements.
    #[test]
    fn cuts_make_no_difference(cut in 1usize..40, v5: bool) {
        let version = if v5 { Protocol::V5 } else { Protocol::V4 };
        let bytes: Vec<u8> = (1..=9u16)
            .flat_map(|id| publish(v5, id % 4, b"a/b", &vec![b'x'; usize::from(id) * 9]))
            .collect();
        // The packets with a payload of 72 bytes and more are too large.
        let mut reader = Reader::new(75);
        let (mut messages, mut ids, mut large) = (0, Vec::<u16>::new(), 0);
        for part in bytes.chunks(cut) {
            reader.room().extend_from_slice(part);
            loop {
                let taken = reader.take(version, &mut Acks::default(), usize::MAX);
                prop_assert_eq!(taken.fault, None);
                messages += taken.messages.len();
                ids.extend(taken.owed.iter().map(|owed| owed.id));
                large += taken.too_large;
                if taken.is_empty() {
                    break;
                }
            }
        }
        prop_assert_eq!((messages, large), (7, 2));
        prop_assert_eq!(ids, vec![1, 2, 3, 1, 2, 3, 1]);
    }
}
