//! Raw readings from the sensor to the function: each that was acknowledged is in one event, through kills, an outage of the
//! function, a changed configuration, and sensors that send again what arrived.

use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::events::{check_ids, moment_ms};
use tidegate_tests::function::{Function, Mode, Received};
use tidegate_tests::oracle::Reading;
use tidegate_tests::packet::Version;
use tidegate_tests::publisher::{Running, Sensor};
use tidegate_tests::{port, wait};

const PATIENCE: Duration = Duration::from_secs(90);

fn configuration(port: u16, url: &str, raw: &str) -> String {
    format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n[streams.climate]\n\
         topic = \"sensors/{{device}}/{{metric}}\"\nvalue = \"/value\"\ntime = {{ at = \"/ts\", format = \"ms\" }}\n\
         sequence = {{ at = \"/seq\", per = [\"device\"] }}\n\
         [summaries.second]\nwindow = \"1s\"\nlateness = \"1s\"\nto = [\"function\"]\n{raw}\n[outputs.function]\nurl = \"{url}\"\n"
    )
}

fn sensor(device: &str, seed: u64, port: u16) -> Running {
    let sensor = Sensor {
        device: device.into(),
        metrics: vec!["temperature".into(), "humidity".into()],
        version: Version::V5,
        sequence: true,
        interval: Duration::from_millis(6),
        disorder_ms: 300,
        seed,
    };
    sensor.start(port)
}

/// The events of raw readings, each once, in the order of their numbers.
fn raw(received: Vec<Received>) -> BTreeMap<u64, serde_json::Value> {
    let events = received.into_iter().map(|received| received.event);
    let events = events.filter(|event| event["type"] == "tidegate.raw.v1");
    let number = |event: &serde_json::Value| {
        event["data"]["key"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
    };
    events.map(|event| (number(&event), event)).collect()
}

/// A reading as it can be compared: whose, of what, when, and the bits of how much.
type Known = (String, String, i64, u64);

/// How often each reading is in one of the events.
fn count(events: &BTreeMap<u64, serde_json::Value>) -> BTreeMap<Known, u32> {
    let mut count = BTreeMap::new();
    for event in events.values() {
        let data = &event["data"];
        for row in data["readings"].as_array().unwrap() {
            assert_eq!(row[3], "counted");
            let series = &data["series"][usize::try_from(row[0].as_u64().unwrap()).unwrap()];
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let (device, metric) = (text(&series["tags"]["device"]), text(&series["metric"]));
            let key = (device, metric, moment_ms(&row[1]).unwrap(), row[2].as_f64().unwrap().to_bits());
            *count.entry(key).or_default() += 1;
        }
    }
    count
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn every_reading_is_in_one_raw_event() {
    let (port, function) = (port::reserve(), Function::start());
    let plain = configuration(port, &function.url(), "[raw.all]\nevery = \"1s\"");
    let mut daemon = Daemon::start(&plain);
    let sensors: Vec<_> = (1..4).map(|n| sensor(&format!("dev{n}"), n, port)).collect();
    // Three events by this table that are not there yet.
    let more = |name: &str| {
        let of_name = || {
            let events = raw(function.events()).into_values();
            events.filter(|event| event["data"]["raw"] == name).count()
        };
        let before = of_name();
        wait::until_true("more raw events", PATIENCE, || of_name() >= before + 3);
    };
    more("all");
    // Killed while something waits for its event, at no chosen moment.
    daemon.kill();
    sensors.iter().for_each(Running::send_again);
    daemon.launch();
    more("all");
    // The function is away, and then loses its answers; killed meanwhile.
    function.go_away();
    daemon.wait_for("a queue", |status| status.output("function", "queued") >= 10);
    daemon.kill();
    daemon.launch();
    function.set(Mode::LoseAnswers);
    function.come_back();
    let before = function.requests();
    wait::until_true("events that come again", PATIENCE, || function.requests() >= before + 2);
    function.set(Mode::Accept);
    more("all");
    // The table changes its name and back, and the numbers go on where they were.
    let some = "[raw.some]\nevery = \"2s\"\nmetrics = [\"temperature\", \"humidity\"]";
    for (name, text) in [("some", some), ("all", "[raw.all]\nevery = \"1s\"")] {
        daemon.configure(&configuration(port, &function.url(), text));
        daemon.reload();
        more(name);
        daemon.kill();
        sensors.iter().for_each(Running::send_again);
        daemon.launch();
    }
    let readings: Vec<Reading> = sensors.into_iter().flat_map(Running::finish).collect();
    let of = |reading: &Reading| {
        let Reading { device, metric, time_ms, value } = reading;
        ((device.clone(), metric.clone(), *time_ms, value.to_bits()), 1)
    };
    let expected: BTreeMap<Known, u32> = readings.iter().map(of).collect();
    assert_eq!(expected.len(), readings.len());
    wait::until("every reading", PATIENCE, || {
        let found = count(&raw(function.events()));
        if found.len() >= expected.len() {
            Ok(())
        } else {
            Err(format!("{} of {}", found.len(), expected.len()))
        }
    });
    let status = daemon.wait_for("an empty queue", |status| status.output("function", "queued") == 0);
    assert_eq!(status.ledger("counted"), readings.len() as u64);
    assert!(status.ledger("duplicate") > 0, "some came again: {}", status.0);
    let events = raw(function.events());
    assert!(count(&events) == expected, "{} readings, {} in events", expected.len(), count(&events).len());
    // Every event that was made has arrived: no number is missing.
    let numbers: Vec<u64> = events.keys().copied().collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let names: Vec<_> = events.values().map(|event| event["data"]["raw"].as_str().unwrap()).collect();
    assert!(names.contains(&"all") && names.contains(&"some"), "{names:?}");
    check_ids(&function.events()).unwrap();
    eprintln!("{} readings in {} events, {}", readings.len(), events.len(), status.0["ledger"]);
}
