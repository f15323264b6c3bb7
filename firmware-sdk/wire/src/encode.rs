//! Making frames.

use crate::bytes::{Chunk, Writer};
use crate::channel::Channel;
use crate::predict::Channels;
use crate::status::Status;
use crate::{
    CHANNELS_MAX, CHECKSUM, FRAME_BYTES_MIN, HAS_STATUS, HZ_MAX, Head, MAGIC, READING_BYTES_MAX,
    READINGS_MAX, SCHEMA_READINGS, TAIL_BYTES_MAX, VERSION, micros, status,
};
use core::fmt;

/// The longest beginning: six bytes, boot, sequence, ticks per second, ticks of the first reading.
pub(crate) const HEAD_BYTES_MAX: usize = 6 + 5 + 10 + 5 + 10;
/// Where the number of readings stands, and after it which blocks follow them.
const COUNT_AT: usize = 4;
const BLOCKS_AT: usize = 5;
/// Set in a control byte: the ticks are not as expected, and their difference follows.
pub(crate) const TICKS_FOLLOW: u8 = 0x10;
/// The upper three bits of a control byte: the value's difference plus this, or [`VALUE_FOLLOWS`].
pub(crate) const VALUE_BIAS: i64 = 3;
pub(crate) const VALUE_FOLLOWS: u8 = 7;

/// Why a reading or an end was not taken. The frame is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// No more readings fit. Finish this frame, and put the reading into the next.
    Full,
    /// The buffer is smaller than [`FRAME_BYTES_MIN`].
    Buffer,
    /// Ticks per second are 0 or more than [`HZ_MAX`], or the numbers would go past 2^64.
    Head,
    /// The channel has more than [`crate::DECIMALS_MAX`] decimals.
    Channel,
    /// An uptime of more than 285 years, or one of 2^62 ticks.
    Ticks,
    /// A frame holds at least one reading.
    Empty,
    /// It would be sent before its last reading was taken.
    Sent,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::Full => "the frame is full: finish it and begin another",
            EncodeError::Buffer => "the buffer is too small for any frame",
            EncodeError::Head => "ticks per second or sequence number are out of range",
            EncodeError::Channel => "a channel has more decimals than 12",
            EncodeError::Ticks => "the uptime is out of range",
            EncodeError::Empty => "a frame needs a reading",
            EncodeError::Sent => "the frame is sent before its last reading was taken",
        })
    }
}

impl core::error::Error for EncodeError {}

/// A frame under construction in a buffer of fixed size.
pub struct Encoder<'b> {
    out: Writer<'b>,
    head: Head,
    count: u8,
    channels: Channels,
    /// Ticks of the first reading.
    base: u64,
    latest: u64,
}

impl<'b> Encoder<'b> {
    /// An empty frame. A buffer of 200 to 1,000 bytes is usual; what fits into one packet of the network costs least.
    ///
    /// # Errors
    /// When the buffer is too small, or `head` is out of range.
    pub fn new(buffer: &'b mut [u8], head: Head) -> Result<Encoder<'b>, EncodeError> {
        if buffer.len() < FRAME_BYTES_MIN {
            return Err(EncodeError::Buffer);
        }
        if head.hz == 0 || head.hz > HZ_MAX || head.sequence.checked_add(READINGS_MAX as u64).is_none() {
            return Err(EncodeError::Head);
        }
        let mut out = Writer::new(buffer);
        let mut chunk = Chunk::<HEAD_BYTES_MAX>::new();
        MAGIC.into_iter().chain([SCHEMA_READINGS, VERSION, 0, 0]).for_each(|byte| chunk.byte(byte));
        chunk.unsigned(head.boot.into());
        chunk.unsigned(head.sequence);
        chunk.unsigned(head.hz.into());
        out.bytes(chunk.get());
        Ok(Encoder { out, head, count: 0, channels: Channels::new(0), base: 0, latest: 0 })
    }

    /// Adds a reading, `raw` in units of 10^-decimals of its channel, taken at an uptime of `ticks`. It gets the number
    /// after that of the reading before it. Ticks may go back: channels need not take turns.
    ///
    /// # Errors
    /// [`EncodeError::Full`] when it has to go into the next frame, others when it is out of range.
    pub fn push(&mut self, channel: Channel, ticks: u64, raw: i64) -> Result<(), EncodeError> {
        if !channel.is_valid() {
            return Err(EncodeError::Channel);
        }
        micros(ticks, self.head.hz).ok_or(EncodeError::Ticks)?;
        let (first, now) = (self.count == 0, ticks.cast_signed());
        if first {
            self.channels = Channels::new(now);
        }
        let channels = &mut self.channels;
        let mut chunk = Chunk::<{ READING_BYTES_MAX + 10 }>::new();
        if first {
            chunk.unsigned(ticks);
        }
        let slot = channels.find(channel);
        match slot {
            Some(slot) => known(&mut chunk, channels, slot, now, raw),
            None if channels.count() < CHANNELS_MAX => new(&mut chunk, channels, channel, now, raw),
            None => return Err(EncodeError::Full),
        }
        let room = self.out.room().saturating_sub(TAIL_BYTES_MAX);
        if usize::from(self.count) == READINGS_MAX || chunk.get().len() > room {
            return Err(EncodeError::Full);
        }
        self.out.bytes(chunk.get());
        match slot {
            Some(slot) => channels.note(slot, now, raw),
            None => channels.add(channel, now, raw),
        }
        if first {
            self.base = ticks;
        }
        self.count += 1;
        self.latest = self.latest.max(ticks);
        Ok(())
    }

    /// How many readings it holds. The next frame begins with the sequence number that is so many higher.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether it holds no reading.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its length so far, in bytes, without its end.
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// The finished frame. `sent` is the uptime at this moment, in ticks: tidegate learns from it and from the time of
    /// arrival what the ticks mean. So finish a frame when it is about to be sent, however old its readings are.
    ///
    /// # Errors
    /// When it is empty, or `sent` is out of range or before a reading.
    pub fn finish(mut self, sent: u64, status: Option<&Status>) -> Result<&'b [u8], EncodeError> {
        if self.count == 0 {
            return Err(EncodeError::Empty);
        }
        micros(sent, self.head.hz).ok_or(EncodeError::Ticks)?;
        if sent < self.latest {
            return Err(EncodeError::Sent);
        }
        let mut chunk = Chunk::<10>::new();
        chunk.unsigned(sent - self.base);
        self.out.bytes(chunk.get());
        self.out.patch(COUNT_AT, self.count);
        if let Some(status) = status {
            self.out.patch(BLOCKS_AT, HAS_STATUS);
            let mut chunk = Chunk::<{ status::BYTES_MAX }>::new();
            status.encode(&mut chunk);
            self.out.bytes(chunk.get());
        }
        let checksum = CHECKSUM.checksum(self.out.written());
        self.out.bytes(&checksum.to_le_bytes());
        Ok(self.out.into_written())
    }
}

/// A reading of a channel that came up before: how it differs from what is expected.
fn known<const N: usize>(out: &mut Chunk<N>, channels: &Channels, slot: usize, ticks: i64, raw: i64) {
    let (expected, value) = channels.expect(slot);
    let (late, change) = (ticks - expected, raw.wrapping_sub(value));
    #[expect(clippy::cast_possible_truncation, reason = "fewer than 16 slots, and 0 to 6 of seven codes")]
    let (slot, code) = (slot as u8, (change.saturating_add(VALUE_BIAS)) as u8);
    let small = (-VALUE_BIAS..=VALUE_BIAS).contains(&change);
    let code = if small { code } else { VALUE_FOLLOWS };
    out.byte(slot | if late == 0 { 0 } else { TICKS_FOLLOW } | code << 5);
    if late != 0 {
        out.signed(late);
    }
    if !small {
        out.signed(change);
    }
}

/// A reading of a new channel: written out.
fn new<const N: usize>(out: &mut Chunk<N>, channels: &Channels, channel: Channel, ticks: i64, raw: i64) {
    #[expect(clippy::cast_possible_truncation, reason = "fewer than 16")]
    out.byte(channels.count() as u8);
    out.unsigned(channel.id.into());
    out.byte(channel.decimals.cast_unsigned());
    out.signed(ticks - channels.before());
    out.signed(raw);
}
