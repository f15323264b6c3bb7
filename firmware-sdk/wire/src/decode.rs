//! Reading frames, whoever made them.

use crate::bytes::Reader;
use crate::channel::Channel;
use crate::encode::{TICKS_FOLLOW, VALUE_BIAS, VALUE_FOLLOWS};
use crate::predict::{Channels, TICKS_MAX};
use crate::status::Status;
use crate::{
    CHANNELS_MAX, CHECKSUM, CHECKSUM_BYTES, HAS_STATUS, HZ_MAX, Head, MAGIC, SCHEMA_READINGS, VERSION, micros,
};
use core::fmt;

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// They do not begin like one.
    NotAFrame,
    /// A frame of something else, by a newer firmware.
    Schema(u8),
    /// A frame of another version.
    Version(u8),
    /// Damaged or cut short.
    Checksum,
    /// The checksum is right and the content is not: whoever made it does not follow docs/wire.md.
    Malformed(&'static str),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::NotAFrame => f.write_str("it does not begin with `TG`"),
            FrameError::Schema(schema) => write!(f, "its schema is {schema}, and {SCHEMA_READINGS} is known"),
            FrameError::Version(version) => write!(f, "its version is {version}, and {VERSION} is known"),
            FrameError::Checksum => f.write_str("its checksum is wrong: damaged or cut short"),
            FrameError::Malformed(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for FrameError {}

/// A frame that was read to its end and found right.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'b> {
    /// Who sent it.
    pub head: Head,
    /// How the device is.
    pub status: Option<Status>,
    sent: u64,
    count: u8,
    base: i64,
    readings: Reader<'b>,
}

/// One reading of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its number since the boot.
    pub sequence: u64,
    /// What was measured.
    pub channel: Channel,
    /// The uptime at which it was, in ticks.
    pub ticks: u64,
    /// The value in units of 10^-decimals.
    pub raw: i64,
}

impl Reading {
    /// The value.
    pub fn value(&self) -> f64 {
        self.channel.value(self.raw)
    }
}

impl<'b> Frame<'b> {
    /// Reads a frame. Takes time by its length, and no memory.
    ///
    /// # Errors
    /// When `bytes` are not exactly one frame of a version that is known.
    pub fn parse(bytes: &'b [u8]) -> Result<Frame<'b>, FrameError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(FrameError::NotAFrame)?;
        match *rest {
            [SCHEMA_READINGS, VERSION, ..] => {}
            [SCHEMA_READINGS, version, ..] => return Err(FrameError::Version(version)),
            [schema, ..] => return Err(FrameError::Schema(schema)),
            [] => return Err(FrameError::NotAFrame),
        }
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(FrameError::Checksum)?;
        if CHECKSUM.checksum(body) != u32::from_le_bytes(*checksum) {
            return Err(FrameError::Checksum);
        }
        Frame::body(Reader(body.get(4..).unwrap_or_default()))
    }

    fn body(mut from: Reader<'b>) -> Result<Frame<'b>, FrameError> {
        let (count, blocks) = (from.byte()?, from.byte()?);
        if count == 0 || blocks & !HAS_STATUS != 0 {
            return Err(FrameError::Malformed(
                "it has no readings, or blocks that this version does not know",
            ));
        }
        let head = Head { boot: from.small()?, sequence: from.unsigned()?, hz: from.small()? };
        let past = head.sequence.checked_add(count.into());
        if head.hz == 0 || head.hz > HZ_MAX || past.is_none() {
            return Err(FrameError::Malformed("ticks per second or sequence number are out of range"));
        }
        let base = ticks(Some(from.unsigned()?.cast_signed()))?;
        let mut readings =
            Readings { from, channels: Channels::new(base), left: count, sequence: head.sequence };
        let mut latest = base;
        while readings.left > 0 {
            latest = latest.max(readings.read()?.ticks.cast_signed());
        }
        let (readings, mut from) = (from, readings.from);
        let sent = ticks(base.checked_add_unsigned(from.unsigned()?))?;
        if sent < latest {
            return Err(FrameError::Malformed("it was sent before its last reading was taken"));
        }
        let sent = sent.cast_unsigned();
        micros(sent, head.hz).ok_or(FrameError::Malformed("its uptime is out of range"))?;
        let status = if blocks & HAS_STATUS == 0 { None } else { Some(Status::decode(&mut from)?) };
        if !from.0.is_empty() {
            return Err(FrameError::Malformed("something follows its end"));
        }
        Ok(Frame { head, status, sent, count, base, readings })
    }

    /// How many readings it holds: at least one.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// The uptime at which it was sent, in ticks. No reading is later.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Its readings, in the order of their numbers.
    pub fn readings(&self) -> Readings<'b> {
        let channels = Channels::new(self.base);
        Readings { from: self.readings, channels, left: self.count, sequence: self.head.sequence }
    }

    /// Ticks of one of its readings, or those at which it was sent, in microseconds.
    pub fn micros(&self, ticks: u64) -> u64 {
        micros(ticks, self.head.hz).unwrap_or(crate::UPTIME_MICROS_MAX)
    }
}

/// The readings of a frame.
#[derive(Clone, Debug)]
pub struct Readings<'b> {
    from: Reader<'b>,
    channels: Channels,
    left: u8,
    sequence: u64,
}

impl Readings<'_> {
    fn read(&mut self) -> Result<Reading, FrameError> {
        let control = self.from.byte()?;
        let (slot, code) = (usize::from(control & 0x0f), control >> 5);
        let (channel, ticks, raw) = match self.channels.channel(slot) {
            Some(channel) => {
                let (expected, value) = self.channels.expect(slot);
                let late = if control & TICKS_FOLLOW == 0 { 0 } else { self.from.signed()? };
                let small = i64::from(code) - VALUE_BIAS;
                let change = if code == VALUE_FOLLOWS { self.from.signed()? } else { small };
                let ticks = ticks(expected.checked_add(late))?;
                let raw = value.wrapping_add(change);
                self.channels.note(slot, ticks, raw);
                (channel, ticks, raw)
            }
            None => self.new_channel(control)?,
        };
        let sequence = self.sequence;
        self.left -= 1;
        self.sequence += 1;
        Ok(Reading { sequence, channel, ticks: ticks.cast_unsigned(), raw })
    }

    fn new_channel(&mut self, control: u8) -> Result<(Channel, i64, i64), FrameError> {
        if usize::from(control) != self.channels.count() || self.channels.count() == CHANNELS_MAX {
            return Err(FrameError::Malformed("a reading is of no channel"));
        }
        let channel = Channel { id: self.from.small()?, decimals: self.from.byte()?.cast_signed() };
        if !channel.is_valid() || self.channels.find(channel).is_some() {
            return Err(FrameError::Malformed("a channel comes up twice, or has too many decimals"));
        }
        let ticks = ticks(self.channels.before().checked_add(self.from.signed()?))?;
        let raw = self.from.signed()?;
        self.channels.add(channel, ticks, raw);
        Ok((channel, ticks, raw))
    }
}

impl Iterator for Readings<'_> {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        if self.left == 0 {
            return None;
        }
        // It was read to its end once, when the frame was.
        self.read().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Readings<'_> {}

fn ticks(ticks: Option<i64>) -> Result<i64, FrameError> {
    ticks
        .filter(|ticks| (0..=TICKS_MAX.cast_signed()).contains(ticks))
        .ok_or(FrameError::Malformed("an uptime is out of range"))
}
