//! Firmware that knows no time of day, from its frames to the summaries that a function receives.

use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
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

/// One boot of a device: its uptime is 0 at `start_ms`, and each second it measures two channels.
struct Device {
    boot: u32,
    start_ms: i64,
}

impl Device {
    fn value(&self, second: i64) -> i64 {
        2_000 + i64::from(self.boot) * 100 + second
    }

    /// The readings of some seconds, sent at an uptime of `sent_ms`.
    fn frame(&self, seconds: std::ops::Range<i64>, sent_ms: u64) -> Vec<u8> {
        let (temperature, pressure) = (Channel { id: 0, decimals: 2 }, Channel { id: 1, decimals: 0 });
        let mut buffer = [0; 1_024];
        let sequence = 2 * seconds.start as u64;
        let mut frame = Encoder::new(&mut buffer, Head { boot: self.boot, sequence, hz: 1_000 }).unwrap();
        for second in seconds {
            // In the middle of each second: a few milliseconds of delay move no reading into another window.
            let ticks = second as u64 * 1_000 + 500;
            frame.push(temperature, ticks, self.value(second)).unwrap();
            frame.push(pressure, ticks, 1_013).unwrap();
        }
        let status = Status { battery_mv: Some(3_700), ..Status::default() };
        frame.finish(sent_ms, Some(&status)).unwrap().to_vec()
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

/// A queue of two minutes, a frame that comes twice, one that is cut anew, a restart of the device and one of the daemon.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn firmware_without_a_clock() {
    let (port, function) = (port::reserve(), Function::start());
    let url = function.url();
    let mut daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n{STREAM}\n[outputs.function]\nurl = \"{url}\"\n"
    ));
    let now = now_ms() / 1_000 * 1_000;
    let (first, second) =
        (Device { boot: 7, start_ms: now - 120_000 }, Device { boot: 8, start_ms: now - 20_000 });
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
    send(&second, 0..10);

    let mut expected = Summaries::new();
    for (device, seconds, ends) in [(&first, 0..95, vec![39, 59, 89, 94]), (&second, 0..10, vec![9])] {
        for second in seconds {
            let at = device.start_ms / 1_000 + second;
            expected.insert(("temperature".into(), at), (1.0, device.value(second) as f64 / 100.0));
            expected.insert(("pressure".into(), at), (1.0, 1_013.0));
            if ends.contains(&second) {
                expected.insert(("battery".into(), at), (1.0, 3_700.0));
            }
        }
    }
    wait::until("every reading in its second", Duration::from_secs(30), || {
        let found = received(&function);
        if found == expected {
            return Ok(());
        }
        let wrong = expected.iter().filter(|(key, value)| found.get(key) != Some(value));
        let more = found.keys().filter(|key| !expected.contains_key(key));
        Err(format!("missing {:?}; unexpected {:?}", wrong.collect::<Vec<_>>(), more.collect::<Vec<_>>()))
    });
    let status = daemon.status();
    assert_eq!(status.ledger("counted"), expected.len() as u64, "{}", status.0["ledger"]);
    // 20 seconds sent twice, 10 cut anew, 10 sent again after the restart; two readings each, and the status of the first.
    assert_eq!(status.ledger("duplicate"), 81, "{}", status.0["ledger"]);
    let clock = &status.0["clocks"]["devices"][0];
    assert_eq!((clock["boot"].as_u64(), clock["stream"].as_str()), (Some(8), Some("field")), "{clock}");
    let off = clock["offset_ms"].as_i64().unwrap() - second.start_ms;
    assert!((0..1_000).contains(&off), "{off} ms: {clock}");
}
