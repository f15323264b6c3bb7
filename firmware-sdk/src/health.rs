//! How the device is, as far as only its firmware knows. It goes with every frame.

use tidegate_wire::Status;

/// What the firmware knows of its device. The queue adds how many readings wait and how many it had to give up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How often the device has started. Where the boot number is counted ([`crate::Identity::Counted`]) it is known without
    /// being said.
    pub resets: Option<u32>,
    /// Strength of the radio signal, in dBm.
    pub rssi_dbm: Option<i8>,
    /// Voltage of the battery, in millivolts.
    pub battery_mv: Option<u16>,
}

impl Health {
    pub(crate) fn status(&self, queued: u32, dropped: u32) -> Status {
        Status {
            queued: Some(queued),
            dropped: Some(dropped),
            resets: self.resets,
            rssi_dbm: self.rssi_dbm,
            battery_mv: self.battery_mv,
        }
    }
}
