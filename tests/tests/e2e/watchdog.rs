//! systemd's watchdog: fed through everything that a restart would not mend, and not when a part is stuck.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::{Function, Mode};
use tidegate_tests::systemd::Systemd;
use tidegate_tests::{port, wait};

const PATIENCE: Duration = Duration::from_secs(60);
/// Fed twice in this time.
const GRANTED: Duration = Duration::from_secs(1);
/// Longer than a part may be late (`WEDGED_AFTER`) after the longest of its waits here.
const QUIET: usize = 2 * 20;

/// A quiet night, no broker, a function that takes a request and never answers, and a certificate where reading hangs: in a pipe
/// that nobody writes to, as on a network share that is gone.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn nobody_outside_is_a_reason_to_restart() {
    let (listener, nobody, function) = (port::reserve(), port::reserve(), Function::start());
    function.set(Mode::Slow(Duration::from_secs(600)));
    let mut daemon = Daemon::prepare(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{listener}\"\n[sources.away]\n\
         url = \"mqtt://127.0.0.1:{nobody}\"\n[sources.remote]\nurl = \"mqtts://127.0.0.1:{}\"\nca = \"share.pem\"\n\
         [streams.climate]\ntopic = \"sensors/{{device}}/{{metric}}\"\n\
         [outputs.hangs]\nurl = \"{}\"\ntimeout = \"2s\"\n[outputs.share]\nurl = \"https://127.0.0.1:{nobody}\"\n\
         ca = \"share.pem\"\n[outputs.quiet]\ntype = \"file\"\npath = \"out.jsonl\"\n\
         [heartbeat]\nevery = \"1s\"\nto = [\"hangs\", \"share\"]\n",
        function.port(),
        function.url()
    ));
    pipe(&daemon.file("share.pem"));
    let systemd = Systemd::over(&mut daemon, GRANTED);
    daemon.launch();
    wait::until_true("to be fed all the time", PATIENCE, || systemd.feeds() >= QUIET);
    assert!(systemd.longest_gap() < Duration::from_secs(5), "{:?}", systemd.longest_gap());
    let status = daemon.wait_for("all troubles to be told", |status| {
        let told = status.problems();
        let hang = told.matches("certificates cannot be read: the file system did not answer").count();
        told.contains("sources.away") && told.contains("outputs.hangs") && hang == 2
    });
    assert_eq!(status.state(), "degraded");
    assert_eq!(health(&daemon), Some(0));
    assert!(!daemon.log().contains("is stuck"), "{}", daemon.log());
    assert!(systemd.was_told("READY=1"));
    assert!(daemon.terminate().success());
    wait::until_true("the end to be announced", PATIENCE, || systemd.was_told("STOPPING=1"));
}

/// What a health check sees.
fn health(daemon: &Daemon) -> Option<i32> {
    let mut command = Command::new(tidegate_tests::daemon::binary());
    command.args(["status", "--health", "--address", &daemon.status_address().to_string()]);
    command.status().unwrap().code()
}

/// Reloading reads the configuration on the thread of the runtime. In a pipe that nobody writes to that holds it: nothing but a
/// restart could help, had the pipe no other end.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_stuck_thread_is_named_and_the_watchdog_starves() {
    let (listener, function) = (port::reserve(), Function::start());
    let mut daemon = Daemon::prepare(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{listener}\"\n[streams.climate]\n\
         topic = \"sensors/{{device}}/{{metric}}\"\n[outputs.function]\nurl = \"{}\"\n[heartbeat]\nevery = \"1s\"\n",
        function.url()
    ));
    let systemd = Systemd::over(&mut daemon, GRANTED);
    daemon.launch();
    let text = std::fs::read(daemon.config()).unwrap();
    std::fs::remove_file(daemon.config()).unwrap();
    pipe(&daemon.config());
    daemon.reload();
    // All that runs on it is; whatever was due first is named.
    wait::until_true("a stuck part to be named", PATIENCE, || daemon.log().contains(" is stuck: it "));
    assert_eq!(health(&daemon), Some(69));
    let before = systemd.feeds();
    wait::until_true("the watchdog to starve", PATIENCE, || systemd.longest_gap() > 3 * GRANTED);
    assert!(systemd.feeds() <= before + 1, "one may have been on its way");
    // While it turns again others on it may be named before their turn comes.
    assert_eq!(daemon.log().matches("is stuck").count(), 1, "told once: {}", daemon.log());

    // Whoever opens it waits for the reader, which is there.
    let seen = function.event_count();
    std::fs::write(daemon.config(), text).unwrap();
    wait::until_true("to be fed again", PATIENCE, || systemd.feeds() > before + 3);
    wait::until_true("a heartbeat", PATIENCE, || function.event_count() > seen);
    assert!(daemon.log().contains(" turns again"), "{}", daemon.log());
}

fn pipe(at: &Path) {
    assert!(Command::new("mkfifo").arg(at).status().unwrap().success());
}
