//! Bytes per reading, beside JSON and plain postcard: `cargo test -p tidegate-wire bytes_per -- --nocapture`.
//! docs/wire.md shows what it prints.

use serde::Serialize;
use tidegate_wire::{Channel, Encoder, Head};

/// As a careful firmware would send it with postcard: the same fields, no differences, no checksum.
#[derive(Serialize)]
struct Plain {
    boot: u32,
    sequence: u64,
    sent: u64,
    readings: Vec<(u16, u64, i64)>,
}

/// A device's readings: channel, ticks in ms, raw value.
type Readings = Vec<(Channel, u64, i64)>;

const HOUR_MS: u64 = 3_600_000;
const HEAD: Head = Head { boot: 0x9e37_79b9, sequence: 86_400, hz: 1_000 };

/// A value of a 12-bit sensor that moves by one now and then: a generator with a fixed seed.
fn walk(seed: u64) -> impl FnMut() -> i64 {
    let (mut state, mut value) = (seed, 2_048i64);
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value = (value + [-1, 0, 0, 0, 0, 0, 0, 1][(state >> 61) as usize]).clamp(0, 4_095);
        value
    }
}

fn one_channel(count: u64, jitter_ms: u64) -> Readings {
    let (mut value, mut jitter) = (walk(1), walk(2));
    let channel = Channel { id: 0, decimals: 2 };
    (0..count)
        .map(|n| (channel, HOUR_MS + n * 1_000 + jitter().unsigned_abs() % (jitter_ms + 1), value()))
        .collect()
}

fn three_channels(count: u64) -> Readings {
    let mut values = [walk(1), walk(2), walk(3)];
    let reading = |n: u64| {
        let channel = Channel { id: (n % 3) as u16, decimals: 2 };
        (channel, HOUR_MS + n / 3 * 10_000, values[(n % 3) as usize]())
    };
    (0..count).map(reading).collect()
}

fn wire(readings: &Readings) -> usize {
    let mut buffer = [0; 8_192];
    let mut frame = Encoder::new(&mut buffer, HEAD).unwrap();
    readings.iter().for_each(|(channel, ticks, raw)| frame.push(*channel, *ticks, *raw).unwrap());
    let sent = readings.iter().map(|(_, ticks, _)| *ticks).max().unwrap() + 30;
    frame.finish(sent, None).unwrap().len()
}

fn postcard(readings: &Readings) -> usize {
    let readings: Vec<_> = readings.iter().map(|(channel, ticks, raw)| (channel.id, *ticks, *raw)).collect();
    let sent = readings.iter().map(|(_, ticks, _)| *ticks).max().unwrap() + 30;
    let plain = Plain { boot: HEAD.boot, sequence: HEAD.sequence, sent, readings };
    postcard::to_allocvec(&plain).unwrap().len()
}

/// A message for each reading, as config/esp32-json.toml takes it.
fn json(readings: &Readings) -> usize {
    let message = |(at, (channel, ticks, raw)): (usize, &(Channel, u64, i64))| {
        let value = channel.value(*raw);
        let message = serde_json::json!({
            "value": value, "uptime": ticks, "boot": HEAD.boot, "seq": HEAD.sequence + at as u64,
        });
        message.to_string().len()
    };
    readings.iter().enumerate().map(message).sum()
}

#[test]
fn bytes_per_reading() {
    println!("| readings | tidegate | postcard | JSON |\n|---|---:|---:|---:|");
    let row = |name: &str, readings: Readings| {
        let per = |bytes: usize| bytes as f64 / readings.len() as f64;
        let sizes = [wire(&readings), postcard(&readings), json(&readings)].map(per);
        println!("| {name} | {:.2} | {:.2} | {:.1} |", sizes[0], sizes[1], sizes[2]);
        sizes
    };
    let [minute, plain, _] = row("60 of one channel, on the second", one_channel(60, 0));
    assert!(minute <= 2.0 && plain > 3.0 * minute, "{minute}");
    let [jittered, ..] = row("60 of one channel, up to 20 ms late", one_channel(60, 20));
    assert!(jittered <= 4.0, "{jittered}");
    let [three, ..] = row("60 of three channels", three_channels(60));
    assert!(three <= 4.0, "{three}");
    row("255 of one channel, on the second", one_channel(255, 0));
    row("10 of one channel, on the second", one_channel(10, 0));
    row("1", one_channel(1, 0));
}
