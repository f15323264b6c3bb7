//! The devices that lost the most, on the page.

use super::{escaped, row, share};
use crate::limits::DEVICES_LISTED_MAX;
use crate::status::devices::{DeviceEntry, HealthEntry};
use crate::status::model::Document;
use crate::status::text::{duration, grouped};
use std::cmp::Reverse;
use std::fmt::Write;
use tidegate_pipeline::time::Time;

pub(super) fn section(body: &mut String, document: &Document) {
    let devices = &document.devices;
    if devices.known == 0 {
        return;
    }
    let known = grouped(devices.known.into());
    let _ = write!(body, "<section><h2>Devices</h2><p class=\"big\">{known}<small>known</small></p><dl>");
    row(body, "lost on the sensor", "other", devices.lost.sensor);
    row(body, "lost in the air", "bad", devices.lost.air);
    row(body, "refused at the gateway", "wait", devices.lost.gateway);
    body.push_str("</dl>");
    let mut list: Vec<&DeviceEntry> = devices.list.iter().collect();
    list.sort_by_key(|device| Reverse(device.lost.total()));
    for device in list.iter().take(DEVICES_LISTED_MAX) {
        one(body, device);
    }
    if devices.known as usize > DEVICES_LISTED_MAX {
        body.push_str(
            "<p class=\"faint\">those that lost the most; <code>tidegate status --json</code> has more</p>",
        );
    }
    body.push_str("</section>");
}

fn one(body: &mut String, device: &DeviceEntry) {
    let lost = &device.lost;
    let _ = write!(body, "<h3>{}</h3>", escaped(&device.snapshot.sender));
    share(
        body,
        &[
            ("counted", device.counted),
            ("other", lost.sensor),
            ("bad", lost.air),
            ("wait", lost.at_gateway()),
        ],
    );
    let _ = write!(body, "<p class=\"faint\">{}</p>", escaped(&about(device)));
    if lost.total() == 0 {
        return;
    }
    body.push_str("<dl>");
    let mut rows = vec![("on the sensor", "other", lost.sensor), ("in the air", "bad", lost.air)];
    rows.extend(lost.gateway.iter().map(|(reason, count)| (*reason, "wait", u64::from(*count))));
    for (name, class, count) in rows.into_iter().filter(|(.., count)| *count > 0) {
        row(body, name, class, count);
    }
    body.push_str("</dl>");
}

fn about(device: &DeviceEntry) -> String {
    let clock = &device.snapshot;
    let mut parts = vec![
        format!("heard {}", Time::from_millis(clock.heard_ms).rfc3339()),
        format!("up {}", duration(device.uptime_ms.unsigned_abs() / 1_000)),
        format!("boot {}", clock.boot),
        format!("clock {:+.1} ppm ± {:.0} ms", clock.drift_ppm, clock.uncertainty_ms.ceil()),
    ];
    if let Some(HealthEntry { queued, resets, rssi_dbm, battery_mv, .. }) = device.health {
        parts.extend(queued.map(|queued| format!("{} queued", grouped(queued.into()))));
        parts.extend(resets.map(|resets| format!("{} starts", grouped(resets.into()))));
        parts.extend(rssi_dbm.map(|rssi| format!("{rssi} dBm")));
        parts.extend(battery_mv.map(|mv| format!("{:.2} V", f64::from(mv) / 1e3)));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use crate::status::devices::example;
    use crate::status::model::{Inputs, assemble};

    #[test]
    fn a_device_on_the_page() {
        let page = super::super::page(&assemble(Inputs { lists: example("field/d1"), ..Inputs::default() }));
        for part in [
            "<h3>field/d1</h3>",
            "heard 2026-11-22T12:00:00Z · up 2 h 0 min · boot 12 · clock -21.5 ppm ± 4 ms · 3 queued · 3.70 V",
            "<dt class=\"bad\">in the air</dt><dd>9</dd>",
            "<dt class=\"wait\">range</dt><dd>7</dd>",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(!super::super::page(&assemble(Inputs::default())).contains("Devices"));
    }
}
