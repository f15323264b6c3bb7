//! The journal's row format: an [`Entry`] as columns of bytes, small enough for flash.
//!
//! Layout, version 1 (varints are LEB128, signed ones zigzag; postcard for the rare parts):
//! version byte · now · forgotten (0, or 1 and a time) · events (postcard) · closings (postcard) · held inputs
//! (postcard) · number of inputs released · clock (postcard) · time unit in µs · number of parts · per column over all
//! parts: flags, sessions, arrival deltas, reading counts above the flags' room, fingerprints (5 bytes), marks · per
//! column over all readings: series, verdicts, times as differences from the arrival of their part, value scales, value
//! mantissas. Checksum and compression are the store's.

use crate::dedupe::Mark;
use crate::entry::{Entry, Part, Reading};
use crate::time::Time;
use crate::verdict::{Reason, Verdict};

/// The version that [`encode`] writes.
pub const VERSION: u8 = 1;

const PRINT: u8 = 1;
const CANCELLED: u8 = 2;
const MARK: u8 = 4;
const BOOT: u8 = 8;
/// The upper four bits hold the number of readings; this value says that it stands in its own column.
const MANY: u32 = 15;
/// A value that is no short decimal: its eight bytes stand among the mantissas.
const RAW: u8 = 255;
/// The greatest number of decimals that is tried.
const DECIMALS_MAX: u8 = 9;

/// The row is not one that [`encode`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Written by a newer tidegate.
    #[error("journal row of version {0}; this tidegate reads up to {VERSION}")]
    Version(u8),
    /// Cut short or damaged in spite of its checksum.
    #[error("journal row is damaged")]
    Damaged,
}

/// The bytes of `entry`.
pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(64 + entry.parts.len() * 8 + entry.readings.len() * 8));
    out.0.push(VERSION);
    out.signed(entry.now.0);
    match entry.forgotten {
        None => out.0.push(0),
        Some(time) => {
            out.0.push(1);
            out.signed(time.0);
        }
    }
    out.rare(&entry.events);
    out.rare(&entry.closings);
    out.rare(&entry.held);
    out.unsigned(entry.released.into());
    out.rare(&entry.clock);
    let unit: i64 = if whole_millis(entry) { 1_000 } else { 1 };
    out.unsigned(unit.unsigned_abs());
    encode_parts(&mut out, entry, unit);
    encode_readings(&mut out, entry, unit);
    out.0
}

/// The entry that `bytes` hold.
///
/// # Errors
/// When they do not hold one.
pub fn decode(bytes: &[u8]) -> Result<Entry, JournalError> {
    let mut from = Reader(bytes);
    let version = from.byte()?;
    if version != VERSION {
        return Err(JournalError::Version(version));
    }
    let now = Time(from.signed()?);
    let forgotten = match from.byte()? {
        0 => None,
        _ => Some(Time(from.signed()?)),
    };
    let events = from.rare()?;
    let closings = from.rare()?;
    let held = from.rare()?;
    let released = from.small()?;
    let clock = from.rare()?;
    let unit = i64::try_from(from.unsigned()?).map_err(|_| JournalError::Damaged)?;
    let parts = decode_parts(&mut from, now, unit)?;
    let readings = decode_readings(&mut from, &parts, unit)?;
    if !from.0.is_empty() {
        return Err(JournalError::Damaged);
    }
    Ok(Entry { now, events, parts, readings, closings, forgotten, held, released, clock })
}

fn whole_millis(entry: &Entry) -> bool {
    let whole = |time: Time| time.0 % 1_000 == 0;
    whole(entry.now)
        && entry.parts.iter().all(|part| whole(part.arrival))
        && entry.readings.iter().all(|reading| whole(reading.time))
}

fn encode_parts(out: &mut Writer, entry: &Entry, unit: i64) {
    let parts = &entry.parts;
    out.unsigned(parts.len() as u64);
    for part in parts {
        let mut flags = part.print.map_or(0, |(_, cancelled)| PRINT | if cancelled { CANCELLED } else { 0 });
        if let Some(mark) = &part.mark {
            flags |= MARK | mark.boot.map_or(0, |_| BOOT);
        }
        let count = part.readings.min(MANY) as u8;
        out.0.push(flags | count << 4);
    }
    parts.iter().for_each(|part| out.unsigned(part.session.into()));
    let mut before = entry.now;
    for part in parts {
        out.signed(part.arrival.0.wrapping_sub(before.0) / unit);
        before = part.arrival;
    }
    parts.iter().filter(|p| p.readings >= MANY).for_each(|part| out.unsigned(part.readings.into()));
    for (print, _) in parts.iter().filter_map(|part| part.print) {
        out.0.extend_from_slice(&print.to_le_bytes()[..5]);
    }
    for mark in parts.iter().filter_map(|part| part.mark) {
        out.unsigned(mark.counter.into());
        if let Some(boot) = mark.boot {
            out.unsigned(boot);
        }
        out.unsigned(mark.sequence);
        out.0.extend_from_slice(&mark.hash.to_le_bytes());
    }
}

fn decode_parts(from: &mut Reader<'_>, now: Time, unit: i64) -> Result<Vec<Part>, JournalError> {
    let count = from.count()?;
    let flags = from.take(count)?;
    let blank = Part { session: 0, arrival: now, readings: 0, print: None, mark: None };
    let mut parts = vec![blank; count];
    for part in &mut parts {
        part.session = from.small()?;
    }
    let mut before = now;
    for part in &mut parts {
        let delta = from.signed()?.checked_mul(unit).ok_or(JournalError::Damaged)?;
        part.arrival = Time(before.0.wrapping_add(delta));
        before = part.arrival;
    }
    for (part, flags) in parts.iter_mut().zip(flags) {
        part.readings = u32::from(flags >> 4);
        if part.readings == MANY {
            part.readings = from.small()?;
        }
    }
    for (part, flags) in parts.iter_mut().zip(flags).filter(|(_, flags)| *flags & PRINT != 0) {
        let mut print = [0; 8];
        print[..5].copy_from_slice(from.take(5)?);
        part.print = Some((u64::from_le_bytes(print), flags & CANCELLED != 0));
    }
    for (part, flags) in parts.iter_mut().zip(flags).filter(|(_, flags)| *flags & MARK != 0) {
        let counter = from.small()?;
        let boot = if flags & BOOT != 0 { Some(from.unsigned()?) } else { None };
        let sequence = from.unsigned()?;
        let hash = from.take(4)?.try_into().map(u32::from_le_bytes).map_err(|_| JournalError::Damaged)?;
        part.mark = Some(Mark { counter, boot, sequence, hash });
    }
    Ok(parts)
}

fn encode_readings(out: &mut Writer, entry: &Entry, unit: i64) {
    let readings = &entry.readings;
    readings.iter().for_each(|reading| out.unsigned(reading.series.into()));
    readings.iter().for_each(|reading| out.0.push(verdict_code(reading.verdict)));
    let arrivals = entry.parts.iter().flat_map(|p| std::iter::repeat_n(p.arrival, p.readings as usize));
    for (reading, arrival) in readings.iter().zip(arrivals) {
        out.signed(reading.time.0.wrapping_sub(arrival.0) / unit);
    }
    let mut decimals = 0;
    let scaled: Vec<_> = readings
        .iter()
        .map(|reading| {
            let short = shorten(reading.value, decimals);
            decimals = short.map_or(decimals, |(decimals, _)| decimals);
            short
        })
        .collect();
    scaled.iter().for_each(|short| out.0.push(short.map_or(RAW, |(decimals, _)| decimals)));
    for (short, reading) in scaled.iter().zip(readings) {
        match short {
            Some((_, mantissa)) => out.signed(*mantissa),
            None => out.0.extend_from_slice(&reading.value.to_bits().to_le_bytes()),
        }
    }
}

fn decode_readings(from: &mut Reader<'_>, parts: &[Part], unit: i64) -> Result<Vec<Reading>, JournalError> {
    let count = parts.iter().map(|part| part.readings as usize).sum::<usize>();
    // Each reading takes at least five bytes: a damaged count must not allocate.
    if count > from.0.len() {
        return Err(JournalError::Damaged);
    }
    let blank = Reading { series: 0, time: Time(0), value: 0.0, verdict: Verdict::Counted };
    let mut readings = vec![blank; count];
    for reading in &mut readings {
        reading.series = from.small()?;
    }
    for reading in &mut readings {
        reading.verdict = verdict_of(from.byte()?).ok_or(JournalError::Damaged)?;
    }
    let arrivals = parts.iter().flat_map(|p| std::iter::repeat_n(p.arrival, p.readings as usize));
    for (reading, arrival) in readings.iter_mut().zip(arrivals) {
        let delta = from.signed()?.checked_mul(unit).ok_or(JournalError::Damaged)?;
        reading.time = Time(arrival.0.wrapping_add(delta));
    }
    let decimals = from.take(count)?;
    for (reading, &decimals) in readings.iter_mut().zip(decimals) {
        reading.value = match decimals {
            RAW => f64::from_bits(from.raw()?),
            decimals if decimals <= DECIMALS_MAX => lengthen(decimals, from.signed()?),
            _ => return Err(JournalError::Damaged),
        };
    }
    Ok(readings)
}

const POWERS: [f64; DECIMALS_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The value as a whole number of so many decimals, where that is exact to the bit. `guess` is tried first.
fn shorten(value: f64, guess: u8) -> Option<(u8, i64)> {
    std::iter::once(guess).chain(0..=DECIMALS_MAX).find_map(|decimals| {
        let scaled = (value * POWERS[usize::from(decimals)]).round();
        if scaled.is_nan() || scaled.abs() > 9.0e15 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        let mantissa = scaled as i64;
        (lengthen(decimals, mantissa).to_bits() == value.to_bits()).then_some((decimals, mantissa))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a mantissa written by `shorten` is below 2^53")]
fn lengthen(decimals: u8, mantissa: i64) -> f64 {
    mantissa as f64 / POWERS[usize::from(decimals)]
}

fn verdict_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Counted => 0,
        Verdict::Duplicate => 1,
        Verdict::Rejected(reason) => 2 + 2 * reason as u8,
        Verdict::DeadLettered(reason) => 3 + 2 * reason as u8,
    }
}

fn verdict_of(code: u8) -> Option<Verdict> {
    let reason = || Reason::ALL.get(usize::from(code - 2) / 2).copied();
    match code {
        0 => Some(Verdict::Counted),
        1 => Some(Verdict::Duplicate),
        _ if code.is_multiple_of(2) => reason().map(Verdict::Rejected),
        _ => reason().map(Verdict::DeadLettered),
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        self.0.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// Something rare, by postcard, with its length before it.
    fn rare<T: serde::Serialize>(&mut self, value: &T) {
        // Serialising to memory fails only for types that postcard cannot hold, and these it can.
        let bytes = postcard::to_stdvec(value).unwrap_or_default();
        self.unsigned(bytes.len() as u64);
        self.0.extend_from_slice(&bytes);
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], JournalError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(JournalError::Damaged)?;
        self.0 = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, JournalError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn raw(&mut self) -> Result<u64, JournalError> {
        self.take(8)?.try_into().map(u64::from_le_bytes).map_err(|_| JournalError::Damaged)
    }

    fn unsigned(&mut self) -> Result<u64, JournalError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(JournalError::Damaged)
    }

    fn signed(&mut self) -> Result<i64, JournalError> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn small(&mut self) -> Result<u32, JournalError> {
        u32::try_from(self.unsigned()?).map_err(|_| JournalError::Damaged)
    }

    /// A number of things of which each takes at least one byte.
    fn count(&mut self) -> Result<usize, JournalError> {
        let count = usize::try_from(self.unsigned()?).map_err(|_| JournalError::Damaged)?;
        if count > self.0.len() { Err(JournalError::Damaged) } else { Ok(count) }
    }

    fn rare<T: for<'d> serde::Deserialize<'d>>(&mut self) -> Result<T, JournalError> {
        let length = self.count()?;
        postcard::from_bytes(self.take(length)?).map_err(|_| JournalError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Closing, Event};
    use proptest::prelude::*;

    fn verdicts() -> impl Strategy<Value = Verdict> {
        let reason = || (0..Reason::ALL.len()).prop_map(|at| Reason::ALL[at]);
        prop_oneof![
            Just(Verdict::Counted),
            Just(Verdict::Duplicate),
            reason().prop_map(Verdict::Rejected),
            reason().prop_map(Verdict::DeadLettered),
        ]
    }

    fn values() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>(), (-100_000i32..100_000).prop_map(|n| f64::from(n) / 100.0), Just(-0.0)]
    }

    fn readings(unit: i64) -> impl Strategy<Value = Reading> {
        (any::<u32>(), -1_000_000_000i64..1_000_000_000, values(), verdicts()).prop_map(
            move |(series, time, value, verdict)| Reading { series, time: Time(time * unit), value, verdict },
        )
    }

    fn marks() -> impl Strategy<Value = Mark> {
        (any::<u32>(), any::<Option<u64>>(), any::<u64>(), any::<u32>())
            .prop_map(|(counter, boot, sequence, hash)| Mark { counter, boot, sequence, hash })
    }

    fn entries() -> impl Strategy<Value = Entry> {
        prop_oneof![Just(1i64), Just(1_000)].prop_flat_map(|unit| {
            let print = proptest::option::of((0u64..1 << 40, any::<bool>()));
            let part = (
                any::<u32>(),
                -1_000_000_000i64..1_000_000_000,
                print,
                proptest::option::of(marks()),
                proptest::collection::vec(readings(unit), 0..20),
            );
            let closing = (any::<u32>(), any::<i64>(), any::<bool>())
                .prop_map(|(group, start, late)| Closing { group, start: Time(start), late });
            let event = (any::<u32>(), verdicts(), any::<u64>())
                .prop_map(|(at, verdict, count)| (at, Event::Account { verdict, count }));
            (
                -1_000_000_000i64..1_000_000_000,
                proptest::collection::vec(part, 0..20),
                proptest::collection::vec(closing, 0..4),
                proptest::collection::vec(event, 0..4),
                proptest::option::of(any::<i64>().prop_map(Time)),
            )
                .prop_map(move |(now, parts, closings, events, forgotten)| {
                    let mut entry =
                        Entry { now: Time(now * unit), closings, events, forgotten, ..Entry::default() };
                    for (session, arrival, print, mark, readings) in parts {
                        let readings_count = readings.len() as u32;
                        let arrival = Time(arrival * unit);
                        entry.parts.push(Part { session, arrival, readings: readings_count, print, mark });
                        entry.readings.extend(readings);
                    }
                    entry
                })
        })
    }

    proptest! {
        #[test]
        fn round_trip_is_exact(entry in entries()) {
            let back = decode(&encode(&entry)).unwrap();
            // NaN is not equal to itself: values are compared as bits.
            let bits = |entry: &Entry| entry.readings.iter().map(|r| r.value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&entry));
            let blank = |mut entry: Entry| {
                entry.readings.iter_mut().for_each(|r| r.value = 0.0);
                entry
            };
            prop_assert_eq!(blank(back), blank(entry));
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn a_usual_reading_is_small() {
        let mut entry = Entry { now: Time::from_millis(1_795_341_600_000), ..Entry::default() };
        for n in 0..1_000u32 {
            let arrival = Time::from_millis(1_795_341_600_000 + i64::from(n / 10));
            entry.parts.push(Part {
                session: 0,
                arrival,
                readings: 1,
                print: Some((u64::from(n), false)),
                mark: None,
            });
            let value = f64::from(2_000 + n % 500) / 100.0;
            entry.readings.push(Reading { series: n, time: arrival, value, verdict: Verdict::Counted });
        }
        let bytes = encode(&entry).len();
        assert!(bytes <= 15_000, "{bytes} bytes for 1,000 readings before compression");
    }
}
