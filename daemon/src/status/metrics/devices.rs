//! Devices that send frames: all of them together, and each of those that status shows.

use super::Text;
use crate::status::devices::{DeviceEntry, DevicesEntry, HealthEntry};

pub(super) fn devices(text: &mut Text, devices: &DevicesEntry) {
    text.one("tidegate_devices", "gauge", "Devices that send frames.", devices.known.into());
    text.one("tidegate_devices_evicted_total", "counter", "Devices that made room.", devices.evicted);
    const ALL: &str = "tidegate_devices_lost_readings";
    text.head(ALL, "gauge", "Readings of all devices by where they were lost. Less when some come late.");
    let lost = devices.lost;
    for (at, count) in [("sensor", lost.sensor), ("air", lost.air), ("gateway", lost.gateway)] {
        text.sample(ALL, &[("at", at)], count);
    }
    const EACH: &str = "tidegate_device_lost_readings";
    text.head(EACH, "gauge", "The same of each device that is shown.");
    for device in &devices.list {
        let lost = &device.lost;
        for (at, count) in [("sensor", lost.sensor), ("air", lost.air), ("gateway", lost.at_gateway())] {
            text.sample(EACH, &[labels(device)[0], labels(device)[1], ("at", at)], count);
        }
    }
    each(text, devices, "tidegate_device_heard_timestamp_seconds", "When it was heard last.", |device| {
        Some(thousandth(device.snapshot.heard_ms))
    });
    each(text, devices, "tidegate_device_uptime_seconds", "Since its boot, then.", |device| {
        Some(thousandth(device.uptime_ms))
    });
    each(text, devices, "tidegate_device_clock_drift_ppm", "By how much our clock gains on its.", |device| {
        Some(device.snapshot.drift_ppm)
    });
    each(
        text,
        devices,
        "tidegate_device_clock_uncertainty_seconds",
        "How far its times can be off.",
        |device| Some(device.snapshot.uncertainty_ms / 1e3),
    );
    let health =
        |of: fn(&HealthEntry) -> Option<f64>| move |device: &DeviceEntry| of(device.health.as_ref()?);
    each(
        text,
        devices,
        "tidegate_device_queued_readings",
        "Readings that wait on it.",
        health(|health| health.queued.map(f64::from)),
    );
    each(
        text,
        devices,
        "tidegate_device_rssi_dbm",
        "Strength of its radio signal.",
        health(|health| health.rssi_dbm.map(f64::from)),
    );
    each(
        text,
        devices,
        "tidegate_device_battery_volts",
        "Voltage of its battery.",
        health(|health| health.battery_mv.map(|mv| f64::from(mv) / 1e3)),
    );
}

fn each(
    text: &mut Text,
    devices: &DevicesEntry,
    name: &str,
    help: &str,
    of: impl Fn(&DeviceEntry) -> Option<f64>,
) {
    text.head(name, "gauge", help);
    for device in &devices.list {
        if let Some(value) = of(device) {
            text.sample(name, &labels(device), value);
        }
    }
}

fn labels(device: &DeviceEntry) -> [(&str, &str); 2] {
    [("stream", &device.snapshot.stream), ("sender", &device.snapshot.sender)]
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in a double")]
fn thousandth(count: i64) -> f64 {
    count as f64 / 1e3
}
