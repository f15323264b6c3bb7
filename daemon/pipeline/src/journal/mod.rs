//! The journal's row format: an [`Entry`] as columns of bytes, small enough for flash.
//!
//! Layout, version 1 (varints are LEB128, signed ones zigzag; postcard for the rare parts):
//! version byte · now · forgotten (0, or 1 and a time) · events (postcard) · closings (postcard) · held inputs
//! (postcard) · number of inputs released · clock (postcard) · time unit in µs · number of parts · per column over all
//! parts: flags, sessions, arrival deltas, reading counts above the flags' room, fingerprints (5 bytes), marks · per
//! column over all readings: series, verdicts, times as differences from the arrival of their part, value scales, value
//! mantissas. Checksum and compression are the store's.

mod bytes;
mod decimal;
#[cfg(test)]
mod tests;

use crate::dedupe::Mark;
use crate::entry::{Entry, Part, Reading};
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use bytes::{Reader, Writer};
use decimal::{lengthen, shorten};

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
            decimals => lengthen(decimals, from.signed()?).ok_or(JournalError::Damaged)?,
        };
    }
    Ok(readings)
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
