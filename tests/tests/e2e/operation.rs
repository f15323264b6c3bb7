//! What operators do and what uplinks do: stop, reload, captive portals, redeployed functions.

use std::time::Duration;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::{Function, Mode};
use tidegate_tests::oracle::Reading;
use tidegate_tests::publisher::{Running, Sensor};
use tidegate_tests::{events, field, oracle, port, wait};

/// Longer than the longest wait between two attempts at a destination that was wrong.
const PATIENCE: Duration = Duration::from_secs(100);

fn sensor(device: &str, sequence: bool) -> Sensor {
    Sensor { sequence, ..field::sensor(device) }
}

fn configuration(port: u16, url: &str, more: &str) -> String {
    let (listener, seconds) = (field::listener(port), field::SECONDS);
    format!("{listener}{seconds}[outputs.function]\nurl = \"{url}\"\n{more}")
}

/// Waits until the function holds what the oracle says, and nothing is on its way.
fn check_everything_arrives(daemon: &Daemon, function: &Function, readings: &[Reading]) {
    let expected = oracle::windows(readings, 1_000);
    wait::until("every window", PATIENCE, || events::compare(&function.events(), &expected));
    events::check_ids(&function.events()).unwrap();
    let status = daemon
        .wait_for("an empty queue", |s| s.output("function", "queued") == 0 && s.ledger("pending") == 0);
    assert_eq!(status.ledger("counted"), readings.len() as u64, "{}", status.0["ledger"]);
    assert_eq!(status.ledger("dead_lettered") + status.output("function", "refused"), 0, "{}", status.0);
}

/// A captive portal answers with its login page, then a redeployment forgets the route: neither is the events' fault.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_destination_that_is_wrong_keeps_its_queue() {
    let (port, function) = (port::reserve(), Function::start());
    let daemon = Daemon::start(&configuration(port, &function.url(), ""));
    let sensors = sensor("dev", true).start(port);
    daemon.wait_for("the first delivery", |s| s.output("function", "delivered") > 0);
    for mode in [Mode::Html, Mode::Status(404), Mode::Status(401)] {
        function.set(mode);
        let before = function.turned_away();
        let queued = daemon.wait_for("a problem at the output", |s| {
            s.state() == "degraded"
                && s.problems().contains("outputs.function")
                && s.output("function", "queued") > 0
        });
        assert_eq!(queued.output("function", "refused"), 0, "{mode:?}");
        for attempts in 1..=3 {
            wait::until_true("one more attempt", PATIENCE, || function.turned_away() >= before + attempts);
        }
    }
    let readings = sensors.finish();
    function.set(Mode::Accept);
    check_everything_arrives(&daemon, &function, &readings);
    daemon.wait_for("to be well again", |s| s.state() == "ok");
}

/// The environment names a proxy, as for any other program: the name of the function is for it to resolve.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn an_uplink_through_a_proxy() {
    let (port, function) = (port::reserve(), Function::start());
    let mut daemon = Daemon::prepare(&configuration(port, "http://functions.invalid/ingest", ""));
    let proxy = function.url();
    daemon.set_env("HTTP_PROXY", proxy.strip_suffix("/ingest").unwrap_or(&proxy));
    daemon.launch();
    let sensors = sensor("dev", true).start(port);
    daemon.wait_for("the first delivery", |s| s.output("function", "delivered") > 0);
    check_everything_arrives(&daemon, &function, &sensors.finish());
}

/// Batched and compressed, the same.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn batches_through_storms() {
    let (port, function) = (port::reserve(), Function::start());
    let more = "batch = { events = 50, bytes = \"64KiB\", linger = \"100ms\" }\ncompression = \"gzip\"\n";
    let daemon = Daemon::start(&configuration(port, &function.url(), more));
    let sensors: Vec<Running> = (0..5).map(|n| sensor(&format!("dev{n}"), true).start(port)).collect();
    for mode in [
        Mode::LoseAnswers,
        Mode::Accept,
        Mode::Status(500),
        Mode::Slow(Duration::from_millis(300)),
        Mode::Status(429),
    ] {
        function.set(mode);
        let before = function.requests();
        wait::until_true("some requests", PATIENCE, || function.requests() > before + 3);
    }
    let readings: Vec<Reading> = sensors.into_iter().flat_map(Running::finish).collect();
    function.set(Mode::Accept);
    check_everything_arrives(&daemon, &function, &readings);
    assert_eq!(function.malformed(), Vec::<String>::new());
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn leaving_loses_nothing_that_was_acknowledged() {
    let (port, function) = (port::reserve(), Function::start());
    let mut daemon = Daemon::start(&configuration(port, &function.url(), ""));
    let sensors: Vec<Running> = (0..5).map(|n| sensor(&format!("dev{n}"), true).start(port)).collect();
    for round in 1..=3 {
        wait::until_true("acknowledgements", PATIENCE, || {
            sensors.iter().all(|s| s.acknowledged() > round * 100)
        });
        assert!(daemon.terminate().success(), "SIGTERM is a clean end");
        let acknowledged: u64 = sensors.iter().map(Running::acknowledged).sum();
        daemon.launch();
        let counted = daemon.status().ledger("counted");
        assert!(counted >= acknowledged, "{acknowledged} acknowledged, {counted} counted");
    }
    let readings: Vec<Reading> = sensors.into_iter().flat_map(Running::finish).collect();
    check_everything_arrives(&daemon, &function, &readings);
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn reloading_loses_nothing() {
    let (port, function) = (port::reserve(), Function::start());
    let before = configuration(port, &function.url(), "");
    let daemon = Daemon::start(&before);
    let sensors = sensor("dev", true).start(port);
    daemon.wait_for("the first delivery", |s| s.output("function", "delivered") > 0);

    daemon.configure(&format!("{before}\n[summaries.broken]\nwindow = {{ tubling = \"5s\" }}\n"));
    daemon.reload();
    daemon
        .wait_for("the mistake to be told", |s| s.state() == "degraded" && s.problems().contains("tumbling"));
    let counted = daemon.status().ledger("counted");
    daemon.wait_for("the old configuration to stay in force", |s| s.ledger("counted") > counted + 20);

    let more = "\n[streams.other]\ntopic = \"other/{device}/{metric}\"\n\n[summaries.other]\nstreams = [\"other\"]\nwindow = \"1s\"\n\
                \n[outputs.second]\ntype = \"file\"\npath = \"events.jsonl\"\n";
    daemon.configure(&format!("{before}{more}"));
    daemon.reload();
    daemon.wait_for("the new output", |s| s.state() == "ok" && s.outputs().contains(&"second"));
    let made = daemon.status().output("function", "made");
    daemon.wait_for("windows under the new configuration", |s| s.output("function", "made") > made + 2);

    let readings = sensors.finish();
    check_everything_arrives(&daemon, &function, &readings);
}
