//! Firmware that knows no time of day, from its frames to the summaries that a function receives.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};
use tidegate_tests::client::Client;
use tidegate_tests::daemon::{Daemon, binary};
use tidegate_tests::events::latest;
use tidegate_tests::function::{Function, now_ms};
use tidegate_tests::{port, wait};
use tidegate_wire::{Channel, Encoder, Head, Status};

const STREAM: &str = r#"
[streams.field]
topic = "field/{device}"
format = "tidegate"
[streams.field.metrics]
temperature = { at = "/channel/0", unit = "°C" }
pressure = { at = "/channel/1", unit = "hPa" }
battery = { at = "/status/battery", unit = "mV" }

[summaries.second]
window = "1s"
lateness = "1s"
amend = "1h"
"#;

const PATIENCE: Duration = Duration::from_secs(60);
/// Of the windows of firmware without a clock.
const WINDOW_MS: i64 = 10_000;

/// One boot of a device: its uptime is 0 at `start_ms`, and in each second of its own it measures two channels.
struct Device {
    boot: u32,
    start_ms: i64,
    /// How long its seconds are, in milliseconds.
    second_ms: u64,
}

impl Device {
    fn value(&self, second: i64) -> i64 {
        2_000 + i64::from(self.boot) * 100 + second
    }

    /// The readings of some seconds, sent at an uptime of `sent_ms`.
    fn frame(&self, seconds: std::ops::Range<i64>, sent_ms: u64) -> Vec<u8> {
        self.frame_saying(seconds, sent_ms, &Status { battery_mv: Some(3_700), ..Status::default() })
    }

    fn frame_saying(&self, seconds: std::ops::Range<i64>, sent_ms: u64, status: &Status) -> Vec<u8> {
        let (temperature, pressure) = (Channel { id: 0, decimals: 2 }, Channel { id: 1, decimals: 0 });
        let mut buffer = [0; 1_024];
        let sequence = 2 * seconds.start as u64;
        let mut frame = Encoder::new(&mut buffer, Head { boot: self.boot, sequence, hz: 1_000 }).unwrap();
        for second in seconds {
            // In the middle of each second: a delay of less than half of one moves no reading into another window.
            let ticks = second as u64 * self.second_ms + self.second_ms / 2;
            frame.push(temperature, ticks, self.value(second)).unwrap();
            frame.push(pressure, ticks, 1_013).unwrap();
        }
        frame.finish(sent_ms, Some(status)).unwrap().to_vec()
    }
}

/// By metric and second since 1970: how many readings, and their mean.
type Summaries = BTreeMap<(String, i64), (f64, f64)>;

fn received(function: &Function) -> Summaries {
    latest(&function.events())
        .into_values()
        .map(|summary| {
            let data = &summary.event["data"];
            assert_eq!(data["tags"]["device"], "d1");
            let start: jiff::Timestamp = data["window"]["start"].as_str().unwrap().parse().unwrap();
            let number = |name: &str| data["values"][name].as_f64().unwrap();
            let metric = data["metric"].as_str().unwrap().to_owned();
            ((metric, start.as_second()), (number("count"), number("mean")))
        })
        .collect()
}

/// Frames that are lost on the way, late, given up by the device, refused and damaged; then a kill, which changes nothing of
/// what is known of it, and what still comes is counted on.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn what_a_device_lost_and_where() {
    let port = port::reserve();
    let mut daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n{}",
        STREAM.replace(
            "[streams.field.metrics]",
            "clean = [{ range = { max = 5_000 } }]\n[streams.field.metrics]"
        )
    ));
    let device = Device { boot: 7, start_ms: now_ms() - 300_000, second_ms: 1_000 };
    let publish = |payload: &[u8]| Client::connect(port, "d1").publish(b"field/d1", payload);
    let make = |device: &Device, seconds: std::ops::Range<i64>, dropped: u32| {
        let status =
            Status { dropped: Some(dropped), queued: Some(2), rssi_dbm: Some(-61), ..Status::default() };
        device.frame_saying(seconds, (now_ms() - device.start_ms) as u64, &status)
    };
    let send = |device: &Device, seconds: std::ops::Range<i64>, dropped: u32| {
        publish(&make(device, seconds, dropped));
    };
    let told = |daemon: &Daemon| {
        // The one device is shown as it is when it accounts for all that the ledger does.
        let status = daemon.wait_for("what came", |status| {
            let device = &status.0["devices"]["list"][0];
            let refused =
                device["lost"]["gateway"].as_object().into_iter().flat_map(|reasons| reasons.values());
            let counts = [&device["counted"], &device["duplicate"]].into_iter().chain(refused);
            let decided: u64 = counts.filter_map(serde_json::Value::as_u64).sum();
            status.ledger("pending") == 0 && decided == status.ledger("received")
        });
        let devices = status.0["devices"].clone();
        let lost = &devices["list"][0]["lost"];
        let [sensor, air] = ["sensor", "air"].map(|at| lost[at].as_u64().unwrap());
        assert_eq!(
            (devices["lost"]["sensor"].as_u64(), devices["lost"]["air"].as_u64()),
            (Some(sensor), Some(air))
        );
        (devices, sensor, air)
    };
    // Two numbers a second. Ten seconds are lost, for five the device had no room.
    send(&device, 0..10, 0);
    let [early, later] = [make(&device, 10..15, 0), make(&device, 15..20, 0)];
    send(&device, 20..30, 0);
    let again = make(&device, 35..40, 10);
    [&again, &again].into_iter().for_each(|frame| publish(frame));
    let (_, sensor, air) = told(&daemon);
    assert_eq!((sensor, air), (10, 20));
    // Half of those come late. One frame is damaged, and a pressure of 1,013,000 hPa is none.
    publish(&early);
    let mut damaged = again.clone();
    damaged[20] ^= 1;
    publish(&damaged);
    let mut buffer = [0; 256];
    let mut frame = Encoder::new(&mut buffer, Head { boot: 7, sequence: 80, hz: 1_000 }).unwrap();
    frame.push(Channel { id: 1, decimals: 0 }, 40_500, 1_013_000).unwrap();
    publish(frame.finish(300_500, None).unwrap());
    let (before, sensor, air) = told(&daemon);
    assert_eq!((sensor, air), (10, 10), "{before}");
    let one = &before["list"][0];
    assert_eq!(one["lost"]["gateway"], serde_json::json!({"malformed": 1, "range": 1}), "{one}");
    assert_eq!((one["sender"].as_str(), one["boot"].as_u64()), (Some("field/d1"), Some(7)), "{one}");
    assert_eq!((one["numbers"].as_u64(), one["duplicate"].as_u64()), (Some(61), Some(10)), "{one}");
    let health =
        serde_json::json!({"queued": 2, "dropped": 10, "resets": null, "rssi_dbm": -61, "battery_mv": null});
    assert_eq!(one["health"], health);

    daemon.kill();
    daemon.launch();
    assert_eq!(daemon.status().0["devices"], before);
    // The rest of the gap comes, and a restart of the device of which the first frame is lost.
    publish(&later);
    assert_eq!(told(&daemon).2, 0);
    send(&Device { boot: 8, start_ms: now_ms() - 20_000, second_ms: 1_000 }, 4..8, 0);
    let (after, sensor, air) = told(&daemon);
    assert_eq!((sensor, air, after["list"][0]["boot"].as_u64()), (10, 8, Some(8)), "{after}");

    let shown =
        Command::new(binary()).args(["--config"]).arg(daemon.config()).arg("status").output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let line = shown.lines().find(|line| line.contains("field/d1")).unwrap_or_default();
    assert!(line.split_whitespace().skip(2).take(5).eq(["78", "10", "8", "2", "2"]), "{shown}");
}

/// A queue of twenty minutes, a frame that comes twice, one that is cut anew, a restart of the device and one of the daemon.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn firmware_without_a_clock() {
    let (port, function) = (port::reserve(), Function::start());
    let url = function.url();
    // What is on its way for less than five seconds counts where it belongs.
    let stream = STREAM.replace("window = \"1s\"", "window = \"10s\"");
    let mut daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n{stream}\n[outputs.function]\nurl = \"{url}\"\n"
    ));
    let now = now_ms() / WINDOW_MS * WINDOW_MS;
    let device = |boot, ago| Device { boot, start_ms: now - ago * WINDOW_MS, second_ms: WINDOW_MS as u64 };
    let (first, second) = (device(7, 120), device(8, 20));
    // What is sent is sent now: the uptime at sending says how long ago the boot was.
    let send = |device: &Device, seconds: std::ops::Range<i64>| {
        let frame = device.frame(seconds, (now_ms() - device.start_ms) as u64);
        Client::connect(port, "d1").publish(b"field/d1", &frame);
        frame
    };
    send(&first, 0..40);
    let again = send(&first, 40..60);
    Client::connect(port, "d1").publish(b"field/d1", &again);
    send(&first, 50..90);
    daemon.wait_for("what came so far", |status| status.ledger("pending") == 0);
    daemon.kill();
    daemon.launch();
    // The daemon knows the boot still, and which of its readings it has.
    send(&first, 80..95);
    let before = Instant::now();
    send(&second, 0..10);
    let took = i64::try_from(before.elapsed().as_millis()).unwrap();

    let mut expected = Summaries::new();
    for (device, seconds, ends) in [(&first, 0..95, vec![39, 59, 89, 94]), (&second, 0..10, vec![9])] {
        for second in seconds {
            let at = (device.start_ms + second * WINDOW_MS) / 1_000;
            expected.insert(("temperature".into(), at), (1.0, device.value(second) as f64 / 100.0));
            expected.insert(("pressure".into(), at), (1.0, 1_013.0));
            if ends.contains(&second) {
                expected.insert(("battery".into(), at), (1.0, 3_700.0));
            }
        }
    }
    wait::until("every reading in its window", PATIENCE, || {
        let found = received(&function);
        if found == expected {
            return Ok(());
        }
        let wrong = expected.iter().filter(|(key, value)| found.get(key) != Some(value));
        let more = found.keys().filter(|key| !expected.contains_key(key));
        Err(format!("missing {:?}; unexpected {:?}", wrong.collect::<Vec<_>>(), more.collect::<Vec<_>>()))
    });
    let status = daemon.wait_for("the clock of the second boot", |status| {
        status.0["clocks"]["devices"][0]["boot"].as_u64() == Some(8)
    });
    assert_eq!(status.ledger("counted"), expected.len() as u64, "{}", status.0["ledger"]);
    // 20 windows sent twice, 10 cut anew, 10 sent again after the restart; two readings each, and the status of the first.
    assert_eq!(status.ledger("duplicate"), 81, "{}", status.0["ledger"]);
    let clock = &status.0["clocks"]["devices"][0];
    assert_eq!(clock["stream"].as_str(), Some("field"), "{clock}");
    let off = clock["offset_ms"].as_i64().unwrap() - second.start_ms;
    // Later by what the frame was on its way. Ours and the device's count in whole milliseconds.
    assert!((-1..=took + 1).contains(&off), "{off} ms, of {took}: {clock}");
}
