//! Devices that send frames, in the document of `status --json`.

use super::model::{DeviceClockEntry, clock};
use crate::ingest::figures::DeviceFigures;
use serde::Serialize;
use std::collections::BTreeMap;
use tidegate_pipeline::devices::{Device, Health};

/// Devices that send frames of firmware.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DevicesEntry {
    /// How many are known.
    pub known: u32,
    /// How many made room for others.
    pub evicted: u64,
    /// What all of them lost, those that made room included.
    pub lost: TotalsEntry,
    /// Those that lost the most.
    pub list: Vec<DeviceEntry>,
}

/// Readings by where they were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TotalsEntry {
    /// Given up by the devices, as they say.
    pub sensor: u64,
    /// Never came, and unexplained.
    pub air: u64,
    /// Came and were not counted.
    pub gateway: u64,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceEntry {
    /// Who it is, and its clock.
    #[serde(flatten)]
    pub snapshot: DeviceClockEntry,
    /// Milliseconds since its boot when it was heard last.
    pub uptime_ms: i64,
    /// Sequence numbers that came, each once.
    pub numbers: u64,
    /// Readings that were counted.
    pub counted: u64,
    /// Readings that came again.
    pub duplicate: u64,
    /// Readings that were lost, and where.
    pub lost: LostEntry,
    /// What it told last about itself.
    pub health: Option<HealthEntry>,
}

/// Readings of one device by where they were lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostEntry {
    /// Given up by the device, as it says.
    pub sensor: u64,
    /// Never came, and unexplained.
    pub air: u64,
    /// Came and were not counted, by reason.
    pub gateway: BTreeMap<&'static str, u32>,
}

/// How a device is, by its own word; `null` is what it did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HealthEntry {
    /// Readings that wait to be sent.
    pub queued: Option<u32>,
    /// Readings given up since its boot.
    pub dropped: Option<u32>,
    /// How often it has started.
    pub resets: Option<u32>,
    /// Strength of the radio signal.
    pub rssi_dbm: Option<i8>,
    /// Voltage of the battery.
    pub battery_mv: Option<u16>,
}

impl LostEntry {
    /// At the gateway, for whatever reason.
    pub fn at_gateway(&self) -> u64 {
        self.gateway.values().copied().map(u64::from).sum()
    }

    /// Wherever that was.
    pub fn total(&self) -> u64 {
        self.sensor.saturating_add(self.air).saturating_add(self.at_gateway())
    }
}

impl From<DeviceFigures> for DevicesEntry {
    fn from(figures: DeviceFigures) -> DevicesEntry {
        let count = |total: u128| u64::try_from(total).unwrap_or(u64::MAX);
        let lost = TotalsEntry {
            sensor: count(figures.totals.sensor),
            air: count(figures.totals.air),
            gateway: figures.totals.gateway,
        };
        let list = figures.shown.into_iter().map(DeviceEntry::from).collect();
        DevicesEntry { known: figures.known, evicted: figures.evicted, lost, list }
    }
}

impl From<Device> for DeviceEntry {
    fn from(device: Device) -> DeviceEntry {
        let health = |Health { queued, dropped, resets, rssi_dbm, battery_mv }| HealthEntry {
            queued,
            dropped,
            resets,
            rssi_dbm,
            battery_mv,
        };
        DeviceEntry {
            uptime_ms: device.estimate.uptime / 1_000,
            snapshot: clock(device.stream, device.sender, &device.estimate),
            numbers: device.numbers,
            counted: device.counted,
            duplicate: device.duplicate,
            lost: LostEntry {
                sensor: device.lost.sensor,
                air: device.lost.air,
                gateway: device.refused.iter().map(|(reason, count)| (reason.name(), *count)).collect(),
            },
            health: device.health.map(health),
        }
    }
}

/// One device of this name, which lost 8 readings on the sensor, 9 in the air and 7 at the gateway, for tests of those who
/// show it.
#[cfg(test)]
pub(crate) fn example(sender: &str) -> crate::ingest::figures::Lists {
    use tidegate_pipeline::devices::{Lost, Totals};
    use tidegate_pipeline::ticks::Estimate;
    use tidegate_pipeline::time::{Span, Time};
    use tidegate_pipeline::verdict::Reason;
    let booted = Time::from_millis(1_795_341_600_000);
    let uptime = 7_200_000_000;
    let (uncertainty, heard) = (Span::from_millis(4), booted.plus(Span(uptime)));
    let health = Health { queued: Some(3), battery_mv: Some(3_700), ..Health::default() };
    let device = Device {
        stream: "field".into(),
        sender: sender.into(),
        estimate: Estimate { boot: 12, booted, drift_ppm: -21.5, uncertainty, heard, uptime },
        numbers: 1_000,
        counted: 993,
        duplicate: 20,
        refused: vec![(Reason::Range, 7)],
        lost: Lost { sensor: 8, air: 9 },
        health: Some(health),
    };
    let totals = Totals { sensor: 8, air: 9, gateway: 7 };
    let devices = DeviceFigures { known: 1, evicted: 0, totals, shown: vec![device] };
    crate::ingest::figures::Lists { devices, ..Default::default() }
}
