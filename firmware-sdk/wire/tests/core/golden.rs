//! The bytes of frames, as they are for ever: firmware in the field does not change with the daemon.
//!
//! A row that has to change is another version of the format, not another row.

use tidegate_wire::{Channel, Encoder, Frame, Head, Status};

const CELSIUS: Channel = Channel { id: 0, decimals: 2 };
const PASCAL: Channel = Channel { id: 300, decimals: -1 };

struct Golden {
    name: &'static str,
    head: Head,
    readings: &'static [(Channel, u64, i64)],
    sent: u64,
    status: Option<Status>,
    hex: &'static str,
}

const HEAD: Head = Head { boot: 7, sequence: 100, hz: 1_000 };

const TABLE: &[Golden] = &[
    Golden {
        name: "one reading",
        head: HEAD,
        readings: &[(CELSIUS, 60_000, 2_150)],
        sent: 60_020,
        status: None,
        hex: "54470101 01 00 07 64 e807 e0d403 | 00 00 02 00 cc21 | 14 | 576d3f1d",
    },
    Golden {
        name: "as expected, late, and small and great changes",
        head: HEAD,
        readings: &[
            (CELSIUS, 60_000, 2_150),
            (CELSIUS, 61_000, 2_151),
            (CELSIUS, 62_000, 2_147),
            (CELSIUS, 63_001, 2_147),
            (CELSIUS, 64_002, 2_150),
        ],
        sent: 64_002,
        status: None,
        hex: "54470101 05 00 07 64 e807 e0d403 | 00 00 02 00 cc21 | 90 d00f | e0 07 | 70 02 | c0 | a21f | a5022b4e",
    },
    Golden {
        name: "two channels that are sampled together",
        head: HEAD,
        readings: &[
            (CELSIUS, 60_000, -5),
            (PASCAL, 60_000, 10_132),
            (CELSIUS, 61_000, -5),
            (PASCAL, 61_000, 10_131),
            (CELSIUS, 62_000, -5),
            (PASCAL, 62_000, 10_131),
        ],
        sent: 62_100,
        status: None,
        hex: "54470101 06 00 07 64 e807 e0d403 | 00 00 02 00 09 | 01 ac02 ff 00 a89e01 | 70 d00f | 41 | 60 | 61 | b410 | 114cf106",
    },
    Golden {
        name: "a whole status",
        head: Head { boot: u32::MAX, sequence: u64::MAX - 255, hz: 1_000_000_000 },
        readings: &[(CELSIUS, 0, i64::MIN), (CELSIUS, 1, i64::MAX)],
        sent: 1,
        status: Some(Status {
            queued: Some(3),
            dropped: Some(300),
            resets: Some(0),
            rssi_dbm: Some(-71),
            battery_mv: Some(3_712),
        }),
        hex: "54470101 02 01 ffffffff0f 80feffffffffffffff01 8094ebdc03 00 | 00 00 02 00 ffffffffffffffffff01 | 50 02 | 01 | 1f 03 ac02 00 b9 801d | e5a99363",
    },
    Golden {
        name: "a part of a status",
        head: HEAD,
        readings: &[(CELSIUS, 60_000, 0)],
        sent: 60_000,
        status: Some(Status { rssi_dbm: Some(-71), ..EMPTY }),
        hex: "54470101 01 01 07 64 e807 e0d403 | 00 00 02 00 00 | 00 | 08 b9 | 3aaea6d8",
    },
];

const EMPTY: Status = Status { queued: None, dropped: None, resets: None, rssi_dbm: None, battery_mv: None };

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn frames_are_these_bytes() {
    for Golden { name, head, readings, sent, status, hex: expected } in TABLE {
        let mut buffer = [0; 256];
        let mut frame = Encoder::new(&mut buffer, *head).unwrap();
        for (channel, ticks, raw) in *readings {
            frame.push(*channel, *ticks, *raw).unwrap();
        }
        let bytes = frame.finish(*sent, status.as_ref()).unwrap();
        assert_eq!(hex(bytes), hex(&unhex(expected)), "{name}");
    }
}

#[test]
fn these_bytes_are_frames() {
    for Golden { name, head, readings, sent, status, hex } in TABLE {
        let bytes = unhex(hex);
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(
            (frame.head, frame.sent(), frame.status, frame.len()),
            (*head, *sent, *status, readings.len()),
            "{name}"
        );
        let found: Vec<_> = frame.readings().map(|r| (r.channel, r.ticks, r.raw)).collect();
        assert_eq!(found, *readings, "{name}");
        let numbers: Vec<_> = frame.readings().map(|r| r.sequence - head.sequence).collect();
        assert_eq!(numbers, (0..readings.len() as u64).collect::<Vec<_>>(), "{name}");
    }
}

/// The example of docs/wire.md.
#[test]
fn the_documented_example() {
    let document = include_str!("../../../../docs/wire.md");
    let example = document.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let bytes: Vec<u8> = example.lines().flat_map(|line| unhex(line.split("  ").next().unwrap())).collect();
    let frame = Frame::parse(&bytes).unwrap();
    let readings: Vec<_> = frame.readings().map(|r| (r.sequence, r.ticks, r.value())).collect();
    assert_eq!((frame.head, frame.sent()), (HEAD, 61_020));
    assert_eq!(readings, [(100, 60_000, 21.5), (101, 61_000, 21.51)]);
}
