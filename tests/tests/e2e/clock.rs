//! A machine without a clock: the daemon lives in 1970, and learns the time later. libfaketime stands between it and the
//! system's clock.

use std::time::Duration;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::{Function, now_ms};
use tidegate_tests::{events, faketime, field, oracle, port, wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// Seconds from 1970 to the noon of a day in that year, where a lost clock begins: no day ends during a test.
const NOON_1970_S: i64 = 182 * 86_400 + 43_200;
const RIGHT: &str = "+0";

fn configuration(clock: &str, function: &Function, source: &str, summary: &str) -> String {
    let url = function.url();
    format!("[clock]\nunsynchronised = \"{clock}\"\n\n{source}{summary}[outputs.function]\nurl = \"{url}\"\n")
}

/// A daemon whose clock the test sets.
fn lost(sections: &str) -> Daemon {
    let mut daemon = Daemon::prepare(sections);
    faketime::control(&mut daemon, &format!("{:+}", NOON_1970_S - now_ms() / 1_000));
    daemon.launch();
    daemon
}

/// Readings that came while the clock was in 1970 are acknowledged and held, through a SIGKILL; when the time is known each
/// is in the window that it belongs to. Here an operator says that it is known: no test can make the kernel say so.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn what_came_in_1970_is_counted_where_it_belongs() {
    let (port, function) = (port::reserve(), Function::start());
    let configuration = |clock| configuration(clock, &function, &field::listener(port), field::SECONDS);
    let mut daemon = lost(&configuration("hold"));
    if daemon.status().0["clock"]["vouched_by"].is_string() {
        eprintln!("not checked: this machine's kernel vouches for the clock, whatever it says");
        return;
    }
    let sensors = field::sensor("dev").start(port);
    let held = |daemon: &Daemon, count: u64| {
        daemon.wait_for("held readings", |s| s.0["clock"]["held_readings"].as_u64() >= Some(count))
    };
    let status = held(&daemon, 50);
    assert_eq!((status.ledger("counted"), status.state()), (0, "degraded"), "{}", status.0);
    assert!(status.problems().contains("not synchronised"), "{}", status.problems());
    wait::until_true("acknowledgements of what is on disk", PATIENCE, || sensors.acknowledged() > 0);
    daemon.kill();
    daemon.launch();
    held(&daemon, 100);
    faketime::set(&daemon, RIGHT);
    daemon.configure(&configuration("trust"));
    daemon.reload();
    daemon.wait_for("nothing held", |s| s.0["clock"]["held_readings"] == 0 && s.ledger("counted") > 100);
    let readings = sensors.finish();
    let expected = oracle::windows(&readings, 1_000);
    wait::until("every window", PATIENCE, || events::compare(&function.events(), &expected));
    let status = daemon.wait_for("all counted", |s| s.ledger("pending") == 0 && s.state() == "ok");
    assert_eq!(status.ledger("counted"), readings.len() as u64, "{}", status.0["ledger"]);
    assert_eq!(
        status.ledger("received"),
        status.ledger("counted") + status.ledger("duplicate"),
        "{}",
        status.0["ledger"]
    );
}

/// A believed clock that steps by decades: what was stamped by arrival closes at once, under the old time.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_step_closes_what_was_stamped_by_arrival() {
    let (port, function) = (port::reserve(), Function::start());
    let source = field::listener(port).replace("time = { at = \"/ts\", format = \"ms\" }\n", "");
    let summary = field::SECONDS.replace("window = \"1s\"\nlateness = \"1s\"", "window = \"1d\"");
    let daemon = lost(&configuration("trust", &function, &source, &summary));
    let sensors = field::sensor("dev").start(port);
    daemon.wait_for("a reading", |s| s.ledger("counted") > 0);
    assert!(!sensors.finish().is_empty());
    assert_eq!(function.event_count(), 0, "its window lasts a day");
    faketime::set(&daemon, RIGHT);
    wait::until_true("its summary", PATIENCE, || function.event_count() > 0);
    let id = function.events()[0].event["id"].to_string();
    assert!(id.contains("/1970-"), "{id}");
    let status = daemon.wait_for("a new epoch", |s| s.0["clock"]["epoch"] == 1);
    assert_eq!(status.0["clock"]["state"], "synchronised", "{}", status.0);
}
