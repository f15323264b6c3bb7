//! The frames in which firmware sends readings to tidegate. `no_std`, no allocation, no clock, no panic.
//!
//! One frame holds the boot number of the device, the sequence number of its first reading, the uptime at which it was
//! sent, up to 255 readings of up to 16 channels, and perhaps how the device is. Firmware and daemon use this one crate;
//! docs/wire.md gives the layout to the byte for those who cannot.
//!
//! ```
//! use tidegate_wire::{Channel, Encoder, Frame, Head};
//!
//! const TEMPERATURE: Channel = Channel { id: 0, decimals: 2 };
//! let mut buffer = [0; 256];
//! let mut frame = Encoder::new(&mut buffer, Head { boot: 7, sequence: 100, hz: 1_000 }).unwrap();
//! frame.push(TEMPERATURE, 60_000, 2_150).unwrap();
//! frame.push(TEMPERATURE, 61_000, 2_151).unwrap();
//! let bytes = frame.finish(61_020, None).unwrap();
//!
//! let frame = Frame::parse(bytes).unwrap();
//! let values: Vec<_> = frame.readings().map(|reading| (reading.sequence, reading.value())).collect();
//! assert_eq!(values, [(100, 21.5), (101, 21.51)]);
//! ```

#![no_std]

mod bytes;
mod channel;
mod status;
mod predict;
mod encode;
mod decode;

pub use channel::{Channel, DECIMALS_MAX};
pub use decode::{Frame, FrameError, Reading, Readings};
pub use encode::{EncodeError, Encoder};
pub use status::Status;

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The first two bytes of every frame.
pub const MAGIC: [u8; 2] = *b"TG";
/// What a frame holds: readings. There is nothing else yet.
pub const SCHEMA_READINGS: u8 = 1;
/// The version of that schema. Its layout is frozen; another layout is another version.
pub const VERSION: u8 = 1;
/// Readings in one frame.
pub const READINGS_MAX: usize = u8::MAX as usize;
/// Channels in one frame.
pub const CHANNELS_MAX: usize = 16;
/// No frame is longer, in bytes.
pub const FRAME_BYTES_MAX: usize = encode::HEAD_BYTES_MAX + READINGS_MAX * READING_BYTES_MAX + TAIL_BYTES_MAX;
/// A buffer of this size holds at least one reading, whatever it is, in bytes.
pub const FRAME_BYTES_MIN: usize = encode::HEAD_BYTES_MAX + READING_BYTES_MAX + TAIL_BYTES_MAX;
/// Ticks per second.
pub const HZ_MAX: u32 = 1_000_000_000;
/// Uptimes are below this, in microseconds: 285 years.
pub const UPTIME_MICROS_MAX: u64 = 1 << 53;

/// The longest reading: control byte, channel, decimals, ticks, value.
const READING_BYTES_MAX: usize = 1 + 3 + 1 + 10 + 10;
/// The longest end: uptime at sending, status, checksum.
const TAIL_BYTES_MAX: usize = 10 + status::BYTES_MAX + CHECKSUM_BYTES;
const CHECKSUM_BYTES: usize = 4;

/// Set in the sixth byte of a frame that ends with a status block.
const HAS_STATUS: u8 = 1;

/// CRC-32 as in Ethernet, zip and PNG (ISO/IEC 13239), with a table of 1 KiB.
static CHECKSUM: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// Who sends a frame, and where its readings stand in his numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Another one after each start of the device: a counter in flash, or a random number.
    pub boot: u32,
    /// The number of the first reading. Readings are numbered one by one since the boot, over all channels; one that is
    /// sent again, in whatever frame, keeps its number.
    pub sequence: u64,
    /// Ticks of the device's clock in a second, 1 to [`HZ_MAX`].
    pub hz: u32,
}

/// Ticks as microseconds, `None` when they are too many.
const fn micros(ticks: u64, hz: u32) -> Option<u64> {
    let hz = hz as u64;
    // None of 0 Hz, either: no division here can panic.
    let (Some(seconds), Some(rest)) = (ticks.checked_div(hz), ticks.checked_rem(hz)) else { return None };
    let (Some(whole), Some(rest)) = (seconds.checked_mul(1_000_000), (rest * 1_000_000).checked_div(hz))
    else {
        return None;
    };
    // Below 10^9 · 10^6: fits.
    let Some(micros) = whole.checked_add(rest) else { return None };
    if micros < UPTIME_MICROS_MAX && ticks <= predict::TICKS_MAX { Some(micros) } else { None }
}
