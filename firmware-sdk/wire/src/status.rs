//! How the device is: the status block at the end of a frame.

use crate::FrameError;
use crate::bytes::{Chunk, Reader};

/// The longest block: which are given, then all of them.
pub(crate) const BYTES_MAX: usize = 1 + 3 * 5 + 1 + 3;

const QUEUED: u8 = 1;
const DROPPED: u8 = 2;
const RESETS: u8 = 4;
const RSSI: u8 = 8;
const BATTERY: u8 = 16;

/// How the device is when it takes the last reading of the frame. What it does not know it leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Readings that wait to be sent.
    pub queued: Option<u32>,
    /// Readings since the boot that were given up because the queue was full.
    pub dropped: Option<u32>,
    /// How often the device has started.
    pub resets: Option<u32>,
    /// Strength of the radio signal, in dBm.
    pub rssi_dbm: Option<i8>,
    /// Voltage of the battery, in millivolts.
    pub battery_mv: Option<u16>,
}

impl Status {
    pub(crate) fn encode(&self, out: &mut Chunk<BYTES_MAX>) {
        let given = [
            (self.queued.is_some(), QUEUED),
            (self.dropped.is_some(), DROPPED),
            (self.resets.is_some(), RESETS),
            (self.rssi_dbm.is_some(), RSSI),
            (self.battery_mv.is_some(), BATTERY),
        ];
        out.byte(given.iter().filter(|(given, _)| *given).fold(0, |mask, (_, bit)| mask | bit));
        [self.queued, self.dropped, self.resets].into_iter().flatten().for_each(|n| out.unsigned(n.into()));
        if let Some(rssi) = self.rssi_dbm {
            out.byte(rssi.cast_unsigned());
        }
        if let Some(battery) = self.battery_mv {
            out.unsigned(battery.into());
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Status, FrameError> {
        let mask = from.byte()?;
        if mask & !(QUEUED | DROPPED | RESETS | RSSI | BATTERY) != 0 {
            return Err(FrameError::Malformed("its status has what this version does not know"));
        }
        let mut count = |bit| if mask & bit == 0 { Ok(None) } else { from.small().map(Some) };
        let (queued, dropped, resets) = (count(QUEUED)?, count(DROPPED)?, count(RESETS)?);
        let rssi_dbm = if mask & RSSI == 0 { None } else { Some(from.byte()?.cast_signed()) };
        let battery_mv = if mask & BATTERY == 0 { None } else { Some(from.small()?) };
        Ok(Status { queued, dropped, resets, rssi_dbm, battery_mv })
    }

    /// What is given, by name: `queued`, `dropped`, `resets`, `rssi` in dBm, `battery` in mV.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("queued", self.queued.map(f64::from)),
            ("dropped", self.dropped.map(f64::from)),
            ("resets", self.resets.map(f64::from)),
            ("rssi", self.rssi_dbm.map(f64::from)),
            ("battery", self.battery_mv.map(f64::from)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}
