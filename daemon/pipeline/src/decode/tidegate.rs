//! `tidegate`: frames of firmware (docs/wire.md). Each reading is a record with its own number and uptime; its place is
//! `/channel/N`. The status of the device belongs to the last one, at places such as `/status/battery`.

use super::found::{Own, Sent};
use super::shape::Shape;
use super::walk::{put, with_digits};
use super::{DecodeError, Found, Scalar};
use crate::devices::Health;
use crate::time::Span;
use tidegate_wire::{Frame, Status};

pub(super) fn decode(shape: &Shape, payload: &[u8], found: &mut Found<'_>) -> Result<(), DecodeError> {
    let frame = Frame::parse(payload)
        .map_err(|error| DecodeError::Malformed("frame of tidegate firmware", error.to_string()))?;
    let uptime = |ticks: u64| frame.micros(ticks).cast_signed();
    found.sent = Some(Sent {
        boot: frame.head.boot.into(),
        uptime: uptime(frame.sent()),
        resolution: Span((1_000_000 / i64::from(frame.head.hz)).max(1)),
        health: frame.status.map(health),
    });
    let last = frame.len() - 1;
    for (at, reading) in frame.readings().enumerate() {
        found.record(shape)?;
        found.set_own(Own { sequence: reading.sequence, uptime: uptime(reading.ticks) });
        let value = Scalar::Float(reading.value());
        with_digits(reading.channel.id.into(), |id| put(shape, found, ["channel", id], value))?;
        for (name, value) in frame.status.iter().filter(|_| at == last).flat_map(|status| status.values()) {
            put(shape, found, ["status", name], Scalar::Float(value))?;
        }
        found.extend();
    }
    Ok(())
}

/// Field by field: what another version of frames adds has to be thought of here.
fn health(Status { queued, dropped, resets, rssi_dbm, battery_mv }: Status) -> Health {
    Health { queued, dropped, resets, rssi_dbm, battery_mv }
}

#[cfg(test)]
mod tests {
    use super::super::sparkplug::Births;
    use super::super::table::{ARRIVAL, check, everything, listed};
    use super::*;
    use crate::decode::Input;
    use crate::plan::Format;
    use tidegate_wire::{Channel, Encoder, Head};

    fn frame(readings: &[(u16, i8, u64, i64)], status: Option<Status>) -> Vec<u8> {
        let mut buffer = [0; 512];
        let mut frame = Encoder::new(&mut buffer, Head { boot: 7, sequence: 100, hz: 1_000 }).unwrap();
        for (id, decimals, ticks, raw) in readings {
            frame.push(Channel { id: *id, decimals: *decimals }, *ticks, *raw).unwrap();
        }
        frame.finish(9_000, status.as_ref()).unwrap().to_vec()
    }

    const READINGS: &[(u16, i8, u64, i64)] =
        &[(0, 2, 5_000, 2_150), (300, 0, 5_000, -7), (0, 2, 6_000, 2_151)];

    #[test]
    fn readings_are_records() {
        let all = everything(Format::Tidegate);
        check(&all, &frame(READINGS, None), Ok("channel/0=21.5 | channel/300=-7 | channel/0=21.51"));
        let status = Status { battery_mv: Some(3_700), rssi_dbm: Some(-60), ..Status::default() };
        check(
            &all,
            &frame(&READINGS[..2], Some(status)),
            Ok("channel/0=21.5 | channel/300=-7 status/rssi=-60 status/battery=3700"),
        );
        let some = |rest| listed(Format::Tidegate, &[("temperature", Some("/channel/0"))], rest);
        check(&some(false), &frame(READINGS, None), Ok("temperature=21.5 |  | temperature=21.51"));
        check(
            &some(true),
            &frame(READINGS, None),
            Ok("temperature=21.5 | channel/300=-7 | temperature=21.51"),
        );
    }

    #[test]
    fn what_is_no_frame() {
        let all = everything(Format::Tidegate);
        check(&all, b"{}", Err("does not begin with `TG`"));
        let mut newer = frame(READINGS, None);
        newer[3] = 2;
        check(&all, &newer, Err("its version is 2"));
        let mut damaged = frame(READINGS, None);
        damaged[9] ^= 1;
        check(&all, &damaged, Err("checksum"));
    }

    #[test]
    fn numbers_and_uptimes() {
        let stream = everything(Format::Tidegate);
        let (shape, payload) = (Shape::of(&stream), frame(READINGS, None));
        let mut found = Found::default();
        let input = Input { source: "local", topic: "t", payload: &payload, arrival: ARRIVAL };
        found.decode(&stream.format, &shape, input, &Births::default()).unwrap();
        let own: Vec<_> = found.records(&shape).map(|record| record.numbered().unwrap()).collect();
        let own: Vec<_> = own.iter().map(|own| (own.sequence, own.uptime)).collect();
        assert_eq!(own, [(100, 5_000_000), (101, 5_000_000), (102, 6_000_000)]);
        let sent = Sent { boot: 7, uptime: 9_000_000, resolution: Span::from_millis(1), health: None };
        assert_eq!(found.sent, Some(sent));
    }
}
