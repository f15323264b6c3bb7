//! Heartbeats from the writer to the function: they balance, one at most waits, and their revisions outlive the process.

use serde_json::Value;
use std::time::Duration;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::Function;
use tidegate_tests::packet::Version;
use tidegate_tests::publisher::Sensor;
use tidegate_tests::status::Status;
use tidegate_tests::{events, port, wait};

const PATIENCE: Duration = Duration::from_secs(90);

fn configuration(port: u16, url: &str, heartbeat: &str) -> String {
    format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n[streams.climate]\n\
         topic = \"sensors/{{device}}/{{metric}}\"\nvalue = \"/value\"\nsequence = \"/seq\"\n[summaries.second]\nwindow = \"1s\"\n\
         to = [\"summaries\"]\n[outputs.summaries]\ntype = \"file\"\npath = \"summaries.jsonl\"\n[outputs.function]\n\
         url = \"{url}\"\n{heartbeat}"
    )
}

/// Of all heartbeats so far, in the order of arrival, each once.
fn beats(function: &Function) -> Vec<Value> {
    let mut beats: Vec<Value> = Vec::new();
    for received in function.events() {
        assert_eq!(received.event["type"], "tidegate.heartbeat.v1", "{}", received.event);
        if beats.last().is_none_or(|last| last["id"] != received.event["id"]) {
            beats.push(received.event);
        }
    }
    beats
}

fn revision(beat: &Value) -> u64 {
    beat["data"]["revision"].as_u64().unwrap()
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn heartbeats_tell_the_ledger_through_an_outage_and_a_kill() {
    let (port, function) = (port::reserve(), Function::start());
    let every = "[heartbeat]\nevery = \"1s\"\nto = [\"function\"]\n";
    let mut daemon = Daemon::start(&configuration(port, &function.url(), every));
    let sensor = Sensor {
        device: "dev".into(),
        metrics: vec!["temperature".into()],
        version: Version::V5,
        sequence: true,
        interval: Duration::from_millis(20),
        disorder_ms: 0,
        seed: 1,
    };
    let sensor = sensor.start(port);
    wait::until_true("some heartbeats", PATIENCE, || beats(&function).len() >= 3);

    function.go_away();
    let status = daemon
        .wait_for("heartbeats that nobody takes", |status| status.output("function", "superseded") >= 3);
    assert!(status.output("function", "queued") <= 2, "one waits, one may be on its way: {}", status.0);
    daemon.kill();
    daemon.launch();
    let before = beats(&function).len();
    let away = daemon.status().output("function", "superseded");
    daemon.wait_for("more of them", |status| status.output("function", "superseded") >= away + 2);
    function.come_back();
    wait::until_true("heartbeats again", PATIENCE, || beats(&function).len() >= before + 3);
    let readings = sensor.finish().len() as u64;
    daemon.wait_for("all counted", |status| status.ledger("counted") == readings);
    wait::until_true("one that tells of all", PATIENCE, || {
        beats(&function).last().is_some_and(|beat| beat["data"]["ledger"]["counted"] == readings)
    });

    let beats = beats(&function);
    for pair in beats.windows(2) {
        assert!(revision(&pair[0]) < revision(&pair[1]), "{} after {}", pair[1]["id"], pair[0]["id"]);
        assert_eq!(pair[0]["data"]["key"], pair[1]["data"]["key"]);
        let counted = |beat: &Value| beat["data"]["ledger"]["counted"].as_u64().unwrap();
        assert!(counted(&pair[0]) <= counted(&pair[1]), "counters never fall");
    }
    for beat in &beats {
        Status(beat["data"].clone()).balance().unwrap_or_else(|problem| panic!("{problem}: {beat}"));
    }
    let sum = |beat: &Value| {
        let output = &beat["data"]["outputs"]["function"];
        (output["made"].as_u64().unwrap(), output["superseded"].as_u64().unwrap())
    };
    let (made, superseded) = sum(beats.last().unwrap());
    assert_eq!(made, revision(beats.last().unwrap()), "each revision was made once, those before this one");
    assert!(superseded >= 5, "{}", beats.last().unwrap());
    events::check_ids(&function.events()).unwrap();
}

/// Without the table a function gets what it always got; with it, from the next reload on.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn heartbeats_come_when_they_are_asked_for() {
    let (port, function) = (port::reserve(), Function::start());
    let without = configuration(port, &function.url(), "");
    let daemon = Daemon::start(&without);
    assert_eq!(daemon.status().output("function", "made"), 0);
    let every = "[heartbeat]\nevery = \"1s\"\nto = [\"function\"]\n";
    daemon.configure(&configuration(port, &function.url(), every));
    daemon.reload();
    wait::until_true("heartbeats", PATIENCE, || beats(&function).len() >= 2);
    let beat = beats(&function).remove(0);
    let data = &beat["data"];
    assert_eq!((&data["state"], &data["every_s"]), (&"ok".into(), &1.into()), "{beat}");
    assert_eq!(data["outputs"]["function"]["made"], 0, "there was none before it");
    daemon.configure(&without);
    daemon.reload();
    let reloads = || daemon.log().matches("configuration reloaded").count();
    wait::until_true("the second reload to be in force", PATIENCE, || reloads() == 2);
    let quiet = daemon.wait_for("the last of them", |status| status.output("function", "queued") == 0);
    let after = daemon.wait_for("some seconds more", |status| {
        status.0["uptime_s"].as_u64() >= quiet.0["uptime_s"].as_u64().map(|seconds| seconds + 3)
    });
    assert_eq!(after.output("function", "made"), quiet.output("function", "made"), "{}", after.0);
}
