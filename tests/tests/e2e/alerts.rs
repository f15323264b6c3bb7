//! Alerts from a sensor's publish to the function: raised and cleared once, ahead of everything that waits.

use serde_json::Value;
use std::time::Duration;
use tidegate_tests::broker::Broker;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::Function;
use tidegate_tests::{events, wait};

const PATIENCE: Duration = Duration::from_secs(90);

fn start(broker: &Broker, function: &Function, alert: &str) -> Daemon {
    let daemon = Daemon::start(&format!(
        "[sources.field]\nurl = \"{}\"\n[streams.climate]\ntopic = \"sensors/{{device}}/{{metric}}\"\nformat = \"text\"\n\
         [summaries.second]\nwindow = \"1s\"\n[alerts.hot]\nmetric = \"t\"\n{alert}\n[outputs.function]\nurl = \"{}\"\n",
        broker.url(),
        function.url()
    ));
    broker.wait_for_subscription("sensors/+/+");
    daemon
}

fn raised(daemon: &Daemon, count: u64) -> Value {
    let status = daemon.wait_for("alerts", |status| status.0["alerts"]["active"] == count);
    status.balance().unwrap();
    status.0["alerts"]["raised"].clone()
}

/// The alerts that the function was told of, as `device state reason`, each once, in the order of the first time.
fn told(function: &Function) -> Vec<String> {
    let mut ids = Vec::new();
    let mut told = Vec::new();
    for received in function.events() {
        let (event, data) = (&received.event, &received.event["data"]);
        if event["type"] == "tidegate.alert.v1" && !ids.contains(&event["id"]) {
            ids.push(event["id"].clone());
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            told.push(format!(
                "{} {} {}",
                text(&data["tags"]["device"]),
                text(&data["state"]),
                text(&data["reason"])
            ));
        }
    }
    told
}

/// The uplink is gone, summaries queue, the daemon is killed: what is raised meanwhile is the first thing to be told
/// when the uplink is back, and is told once.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_raise_overtakes_what_queued_while_the_uplink_was_gone() {
    let (broker, function) = (Broker::start(), Function::start());
    let mut daemon = start(&broker, &function, "when = \"value > 60\"\nclear = \"value < 55\"");
    function.go_away();
    let mut sensors = Client::connect(broker.port(), "sensors");
    wait::until_true("a queue", PATIENCE, || {
        for device in 0..20 {
            sensors.publish(format!("sensors/cold{device}/t").as_bytes(), b"20.5");
        }
        daemon.status().output("function", "queued") >= 60
    });
    sensors.publish(b"sensors/oven/t", b"61.5");
    let alert = raised(&daemon, 1)[0].clone();
    assert_eq!(
        (&alert["reason"], &alert["tags"]["device"], &alert["value"]),
        (&"condition".into(), &"oven".into(), &61.5.into())
    );
    daemon.kill();
    daemon.launch();
    sensors.publish(b"sensors/oven/t", b"58");
    assert_eq!(raised(&daemon, 1)[0]["key"], alert["key"], "between the two nothing changes");
    sensors.publish(b"sensors/oven/t", b"54");
    raised(&daemon, 0);
    let queued = daemon.status().output("function", "queued");
    assert!(queued >= 60, "{queued}");
    function.come_back();
    daemon.wait_for("an empty queue", |status| status.output("function", "queued") == 0);
    let received = function.events();
    let first: Vec<_> = received.iter().take(2).map(|received| &received.event["data"]["state"]).collect();
    assert_eq!(first, ["raised", "cleared"], "ahead of {} events", received.len());
    assert_eq!(told(&function), ["oven raised condition", "oven cleared condition"]);
    events::check_ids(&received).unwrap();
}

/// The readings around a raise come after it, through a kill in between.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn the_readings_around_a_raise_follow_it() {
    let (broker, function) = (Broker::start(), Function::start());
    let mut daemon =
        start(&broker, &function, "when = \"value > 60\"\nclear = \"value < 55\"\ncapture = \"20s\"");
    let mut sensors = Client::connect(broker.port(), "sensors");
    for value in ["20", "unavailable", "61.5"] {
        sensors.publish(b"sensors/oven/t", value.as_bytes());
    }
    sensors.publish(b"sensors/cold/t", b"3");
    raised(&daemon, 1);
    daemon.kill();
    daemon.launch();
    daemon.wait_for("the broker", |status| status.is_connected());
    sensors.publish(b"sensors/oven/t", b"63");
    let captured = || {
        let events = function.events();
        let of_type =
            |received: &&tidegate_tests::function::Received| received.event["type"] == "tidegate.capture.v1";
        events.iter().find(of_type).map(|received| received.event.clone())
    };
    wait::until_true("the capture", PATIENCE, || captured().is_some());
    let data = captured().unwrap()["data"].clone();
    let rows: Vec<String> = data["readings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row[2], row[3].as_str().unwrap()))
        // The kill may have come before the broker had the acknowledgements.
        .filter(|row| !row.ends_with(" duplicate"))
        .collect();
    assert_eq!(rows, ["20.0 counted", "null no_value", "61.5 counted", "63.0 counted"], "{data}");
    assert_eq!((&data["series"][0]["tags"]["device"], &data["incomplete"]), (&"oven".into(), &false.into()));
    assert_eq!(told(&function), ["oven raised condition"]);
    events::check_ids(&function.events()).unwrap();
    daemon.status().balance().unwrap();
}

/// A sensor that stops is told of, and told to be back; that the broker or the daemon was away is no silence.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn silence_is_the_sensors_and_not_the_brokers() {
    let (mut broker, function) = (Broker::start(), Function::start());
    let told_so_far = |expected: &[&str]| {
        wait::until("alerts", PATIENCE, || {
            let told = told(&function);
            if told == expected { Ok(()) } else { Err(format!("{told:?}")) }
        });
    };
    let mut daemon = start(&broker, &function, "silent_for = \"6s\"");
    let mut sensor = Client::connect(broker.port(), "sensor");
    sensor.publish(b"sensors/pump/t", b"1");
    assert_eq!(raised(&daemon, 1)[0]["reason"], "silence");
    sensor.publish(b"sensors/pump/t", b"2");
    // What the function was told stays; what status shows is over when the sensor is silent for as long again.
    told_so_far(&["pump raised silence", "pump cleared silence"]);
    sensor.publish(b"sensors/pump/t", b"3");
    drop(sensor);
    // For longer than `silent_for` nobody can hear anything.
    broker.stop();
    daemon.wait_for("the loss of the broker", |status| !status.is_connected());
    let before = daemon.status().0["uptime_s"].as_u64().unwrap();
    let later = daemon.wait_for("some time", |status| status.0["uptime_s"].as_u64().unwrap() > before + 8);
    assert_eq!(later.0["alerts"]["active"], 0);
    daemon.kill();
    broker.launch();
    daemon.launch();
    let status = daemon.wait_for("the broker", |status| status.is_connected());
    assert_eq!(status.0["alerts"]["active"], 0);
    raised(&daemon, 1);
    told_so_far(&["pump raised silence", "pump cleared silence", "pump raised silence"]);
}
