//! What holds for every frame, and for bytes that are none.

use proptest::prelude::*;
use tidegate_wire::{
    Channel, EncodeError, Encoder, FRAME_BYTES_MAX, FRAME_BYTES_MIN, Frame, FrameError, Head, READINGS_MAX,
    Status,
};

const CHANNEL: Channel = Channel { id: 1, decimals: 1 };
const HEAD: Head = Head { boot: 1, sequence: 0, hz: 1_000 };

fn channels() -> impl Strategy<Value = Channel> {
    (0u16..20, -12i8..=12).prop_map(|(id, decimals)| Channel { id: id * 3_000, decimals: decimals / 6 })
}

fn ticks() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..1 << 43, (0u64..100).prop_map(|n| 5_000_000 + n * 1_000)]
}

fn values() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), 0i64..4_096]
}

fn statuses() -> impl Strategy<Value = Option<Status>> {
    let status = (
        any::<Option<u32>>(),
        any::<Option<u32>>(),
        any::<Option<u32>>(),
        any::<Option<i8>>(),
        any::<Option<u16>>(),
    );
    proptest::option::of(status.prop_map(|(queued, dropped, resets, rssi_dbm, battery_mv)| Status {
        queued,
        dropped,
        resets,
        rssi_dbm,
        battery_mv,
    }))
}

/// What went in, and the frame that came out.
fn encode(
    head: Head,
    size: usize,
    readings: &[(Channel, u64, i64)],
    status: Option<&Status>,
) -> (Vec<(Channel, u64, i64)>, Vec<u8>) {
    let mut buffer = vec![0xaa; size];
    let mut frame = Encoder::new(&mut buffer, head).unwrap();
    let mut taken = Vec::new();
    for (channel, ticks, raw) in readings {
        match frame.push(*channel, *ticks, *raw) {
            Ok(()) => taken.push((*channel, *ticks, *raw)),
            Err(error) => assert_eq!(error, EncodeError::Full),
        }
    }
    let sent = taken.iter().map(|(_, ticks, _)| *ticks).max().unwrap() + 17;
    let bytes = frame.finish(sent, status).unwrap().to_vec();
    (taken, bytes)
}

proptest! {
    /// Whatever fits comes back, whatever was refused has left no trace.
    #[test]
    fn round_trip(
        boot in any::<u32>(),
        sequence in 0..u64::MAX - 255,
        size in FRAME_BYTES_MIN..2_000,
        readings in proptest::collection::vec((channels(), ticks(), values()), 1..400),
        status in statuses(),
    ) {
        let head = Head { boot, sequence, hz: 1_000 };
        let (taken, bytes) = encode(head, size, &readings, status.as_ref());
        prop_assert!(!taken.is_empty() && bytes.len() <= size.min(FRAME_BYTES_MAX));
        let frame = Frame::parse(&bytes).unwrap();
        prop_assert_eq!((frame.head, frame.status, frame.len()), (head, status, taken.len()));
        let found: Vec<_> = frame.readings().map(|r| (r.channel, r.ticks, r.raw)).collect();
        prop_assert_eq!(found, taken);
        prop_assert!(frame.readings().all(|r| r.ticks <= frame.sent()));
    }

    /// Any bytes are a frame or an error, also those whose checksum is right.
    #[test]
    fn hostile_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), known in any::<bool>()) {
        if known {
            let mut whole = b"TG\x01\x01".to_vec();
            whole.append(&mut bytes);
            bytes = whole;
        }
        let _ = Frame::parse(&bytes);
        bytes.extend(checksum(&bytes));
        if let Ok(frame) = Frame::parse(&bytes) {
            prop_assert_eq!(frame.readings().count(), frame.len());
            prop_assert!(frame.readings().all(|r| frame.micros(r.ticks) <= frame.micros(frame.sent())));
        }
    }

    /// Likewise a frame of which some bytes were changed, or that was cut, by somebody who can count checksums.
    #[test]
    fn changed_frames(
        readings in proptest::collection::vec((channels(), ticks(), values()), 1..40),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        let (_, mut bytes) = encode(HEAD, 2_000, &readings, None);
        bytes.truncate(bytes.len() - 4);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(2 * bytes.len()));
        bytes.extend(checksum(&bytes));
        if let Ok(frame) = Frame::parse(&bytes) {
            prop_assert_eq!(frame.readings().count(), frame.len());
        }
    }

    /// Damage of up to 32 neighbouring bits is always noticed (a property of the checksum), and so is a cut.
    #[test]
    fn damage_is_noticed(
        readings in proptest::collection::vec((channels(), ticks(), values()), 1..40),
        at in any::<proptest::sample::Index>(),
        flip in 1u8..,
        cut in any::<proptest::sample::Index>(),
    ) {
        let (_, bytes) = encode(HEAD, 2_000, &readings, None);
        let mut damaged = bytes.clone();
        let place = at.index(bytes.len());
        damaged[place] ^= flip;
        prop_assert!(Frame::parse(&damaged).is_err());
        prop_assert!(Frame::parse(&bytes[..cut.index(bytes.len())]).is_err());
    }
}

/// CRC-32 bit by bit, from its definition: written differently from what it checks.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let step = |crc: u32, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step));
    (!crc).to_le_bytes()
}

#[test]
fn what_is_no_frame_says_why() {
    let (_, good) = encode(HEAD, 200, &[(CHANNEL, 5, 1), (CHANNEL, 6, 1)], None);
    let check = |name: &str, change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = good[..good.len() - 4].to_vec();
        change(&mut bytes);
        bytes.extend(checksum(&bytes));
        let error = Frame::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    };
    check("magic", &|b| b[1] = b'H', "begin with `TG`");
    check("nothing", &|b| b.clear(), "begin with `TG`");
    check("schema", &|b| b[2] = 9, "schema is 9");
    check("version", &|b| b[3] = 2, "version is 2");
    check("no readings", &|b| b[4] = 0, "no readings");
    check("unknown blocks", &|b| b[5] = 2, "blocks that this version does not know");
    check("more readings than there are", &|b| b[4] = 3, "no channel");
    check("fewer readings than there are", &|b| b[4] = 1, "something follows");
    check("something after the end", &|b| b.push(0), "something follows");
    check("a status that is missing", &|b| b[5] = 1, "ends too early");
    check("no clock", &|b| drop(b.splice(8..10, [0])), "out of range");
    assert_eq!(Frame::parse(&good[..good.len() - 1]).unwrap_err(), FrameError::Checksum);
}

#[test]
fn what_cannot_be_sent_says_why() {
    let mut buffer = [0; FRAME_BYTES_MIN];
    let new = |head: Head, buffer: &mut [u8]| Encoder::new(buffer, head).map(drop);
    assert_eq!(new(HEAD, &mut buffer[1..]), Err(EncodeError::Buffer));
    assert_eq!(new(Head { hz: 0, ..HEAD }, &mut buffer), Err(EncodeError::Head));
    assert_eq!(new(Head { sequence: u64::MAX, ..HEAD }, &mut buffer), Err(EncodeError::Head));
    let mut frame = Encoder::new(&mut buffer, HEAD).unwrap();
    assert_eq!(frame.push(Channel { id: 0, decimals: 13 }, 0, 0), Err(EncodeError::Channel));
    assert_eq!(frame.push(CHANNEL, u64::MAX, 0), Err(EncodeError::Ticks));
    assert!(frame.is_empty());
    frame.push(CHANNEL, 1_000, 0).unwrap();
    assert_eq!(frame.finish(999, None), Err(EncodeError::Sent));
    assert_eq!(Encoder::new(&mut buffer, HEAD).unwrap().finish(0, None), Err(EncodeError::Empty));
}

#[test]
fn a_frame_is_full_by_readings_and_by_channels() {
    let mut buffer = [0; FRAME_BYTES_MAX];
    let mut frame = Encoder::new(&mut buffer, HEAD).unwrap();
    for at in 0..READINGS_MAX as u64 {
        frame.push(CHANNEL, at, 0).unwrap();
    }
    assert_eq!(frame.push(CHANNEL, 255, 0), Err(EncodeError::Full));
    let mut frame = Encoder::new(&mut buffer, HEAD).unwrap();
    for id in 0..16 {
        frame.push(Channel { id, decimals: 0 }, 0, 0).unwrap();
    }
    assert_eq!(frame.push(Channel { id: 16, decimals: 0 }, 0, 0), Err(EncodeError::Full));
    frame.push(Channel { id: 15, decimals: 0 }, 0, 0).unwrap();
    assert_eq!(Frame::parse(frame.finish(0, None).unwrap()).unwrap().len(), 17);
}

#[test]
fn values_are_the_nearest_numbers() {
    for (decimals, raw, value) in
        [(2, 2_150, 21.5), (1, -1, -0.1), (0, 7, 7.0), (-3, 5, 5_000.0), (12, 1, 1e-12)]
    {
        assert_eq!(Channel { id: 0, decimals }.value(raw), value);
    }
}
