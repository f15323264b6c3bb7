//! The devices that lost the most, in `tidegate status`.

use super::{count, entries, grouped, head, table, word};
use crate::limits::DEVICES_LISTED_MAX;
use serde_json::Value;
use std::cmp::Reverse;
use std::fmt::Write;
use tidegate_pipeline::time::Time;

pub(super) fn devices(text: &mut String, devices: &Value) {
    let known = count(&devices["known"]);
    if known == 0 {
        return;
    }
    let _ = writeln!(text, "\ndevices: {} known", grouped(known));
    let mut rows =
        vec![head(&["sender", "heard", "counted", "lost: sensor", "air", "gateway", "queued", "clock"])];
    let mut list: Vec<&Value> = devices["list"].as_array().into_iter().flatten().collect();
    list.sort_by_key(|device| Reverse(lost(device).into_iter().fold(0, u64::saturating_add)));
    rows.extend(list.iter().take(DEVICES_LISTED_MAX).map(|device| {
        let mut row = vec![word(&device["sender"]), heard(&device["heard_ms"])];
        row.push(grouped(count(&device["counted"])));
        row.extend(lost(device).map(grouped));
        let queued = &device["health"]["queued"];
        row.push(if queued.is_null() { String::new() } else { grouped(count(queued)) });
        row.push(clock(device));
        row
    }));
    text.push_str(&table(&rows));
    if known as usize > DEVICES_LISTED_MAX {
        let total = &devices["lost"];
        let total = ["sensor", "air", "gateway"].map(|at| grouped(count(&total[at])));
        let _ = writeln!(
            text,
            "  all: {} lost on sensors, {} in the air, {} at the gateway; see --json",
            total[0], total[1], total[2]
        );
    }
}

/// On the sensor, in the air, at the gateway.
fn lost(device: &Value) -> [u64; 3] {
    let lost = &device["lost"];
    let gateway = entries(&lost["gateway"]).map(|(_, value)| count(value)).fold(0, u64::saturating_add);
    [count(&lost["sensor"]), count(&lost["air"]), gateway]
}

fn heard(ms: &Value) -> String {
    ms.as_i64().map(|ms| Time::from_millis(ms / 1_000 * 1_000).rfc3339()).unwrap_or_default()
}

fn clock(device: &Value) -> String {
    match (device["drift_ppm"].as_f64(), device["uncertainty_ms"].as_f64()) {
        (Some(drift), Some(uncertainty)) => format!("{drift:+.1} ppm ± {:.0} ms", uncertainty.ceil()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::devices::example;
    use crate::status::model::{Inputs, assemble};
    use serde_json::json;

    fn shown(value: &Value) -> String {
        let mut text = String::new();
        devices(&mut text, value);
        text
    }

    #[test]
    fn a_device_in_a_line() {
        let document = assemble(Inputs { lists: example("field/d1\u{1b}"), ..Inputs::default() });
        let mut value = serde_json::to_value(document).unwrap()["devices"].clone();
        let text = shown(&value);
        let line = "field/d1\u{fffd}  2026-11-22T12:00:00Z      993             8    9        7       3  -21.5 ppm ± 4 ms";
        assert!(text.contains(line), "{line} is not in\n{text}");
        // Those that lost the most come first, and there is an end.
        let mut worse = value["list"][0].clone();
        (worse["sender"], worse["lost"]["air"]) = (json!("worse"), json!(10));
        value["list"].as_array_mut().unwrap().extend(std::iter::repeat_n(worse, DEVICES_LISTED_MAX));
        value["known"] = json!(DEVICES_LISTED_MAX + 1);
        let text = shown(&value);
        assert!(!text.contains("field/d1") && text.contains("8 lost on sensors, 9 in the air"), "{text}");
        // Of another version, or none.
        assert_eq!(shown(&json!({})), "");
        assert!(shown(&json!({"known": 2, "list": [{}, null]})).contains("2 known"));
    }
}
