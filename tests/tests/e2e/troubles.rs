//! What people get wrong and what others change: each is one line in the log with the next step, *degraded* in the status,
//! a few attempts with growing waits, and well again by itself when it is mended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tidegate_tests::broker::Broker;
use tidegate_tests::certificates::Authority;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::{Function, Mode};
use tidegate_tests::https::Front;
use tidegate_tests::proxy::Proxy;
use tidegate_tests::usage::Usage;
use tidegate_tests::{port, wait};

/// Longer than the longest wait between two attempts.
const PATIENCE: Duration = Duration::from_secs(100);
/// So many attempts are neither idling nor spinning.
const ATTEMPTS: u64 = 3;
/// No two attempts are closer than this (`RETRY_MIN`). What comes on top grows, and is left to chance: most waits are longer,
/// and none has to be.
const WAIT_MIN: Duration = Duration::from_millis(200);

const STREAM: &str = "[streams.climate]\ntopic = \"sensors/{device}/{metric}\"\n";

/// Waits until the place is in trouble for this reason, and checks that it is told once and tried again with waits between.
fn check(daemon: &Daemon, place: &str, reason: &str, attempts: impl Fn() -> u64) {
    let told = |status: &tidegate_tests::status::Status| {
        let problems = status.0["problems"].as_array().cloned().unwrap_or_default();
        let at = |problem: &&serde_json::Value| problem["at"] == place;
        problems.iter().find(at).is_some_and(|problem| problem["text"].as_str().unwrap().contains(reason))
    };
    let status = wait::until(&format!("`{reason}` at {place}"), PATIENCE, || {
        let status = daemon.try_status()?;
        if told(&status) { Ok(status) } else { Err(status.problems()) }
    });
    assert_eq!(status.state(), "degraded");
    // In this order: what is tried after `before` was read is tried after `start`, however long this test is kept waiting here.
    let start = Instant::now();
    let before = attempts();
    wait::until_true("more attempts", PATIENCE, || attempts() >= before + ATTEMPTS);
    // The first of them may have been due at once.
    assert!(start.elapsed() >= 2 * WAIT_MIN, "{ATTEMPTS} attempts in {:?}", start.elapsed());
    assert!(told(&daemon.status()), "still the same: {}", daemon.status().problems());
    let lines = daemon.log().lines().filter(|line| line.contains(reason)).count();
    assert_eq!(lines, 1, "`{reason}` is told once:\n{}", daemon.log());
}

fn well(daemon: &Daemon) {
    wait::until("to be well again", PATIENCE, || {
        let status = daemon.try_status()?;
        if status.state() == "ok" && status.is_connected() { Ok(()) } else { Err(status.problems()) }
    });
}

fn source(url: &str, more: &str) -> String {
    format!("[sources.field]\nurl = \"{url}\"\n{more}{STREAM}[outputs.file]\npath = \"out.jsonl\"\n")
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_wrong_password() {
    let broker = Broker::guarded(|dir| {
        let file = dir.join("passwords");
        let made =
            Command::new("mosquitto_passwd").arg("-c").arg("-b").arg(&file).args(["tide", "right"]).status();
        assert!(made.expect("mosquitto_passwd").success());
        format!("allow_anonymous false\npassword_file {}\n", file.display())
    });
    for protocol in ["5", "3.1.1"] {
        let proxy = Proxy::to(broker.port());
        let more =
            format!("username = \"tide\"\npassword = {{ file = \"password\" }}\nprotocol = \"{protocol}\"\n");
        let url = format!("mqtt://127.0.0.1:{}", proxy.port());
        let mut daemon = Daemon::prepare(&source(&url, &more));
        std::fs::write(daemon.file("password"), "wrong\n").unwrap();
        daemon.launch();
        check(&daemon, "sources.field", "correct `username` and `password`", || proxy.connections());
        std::fs::write(daemon.file("password"), "right\n").unwrap();
        well(&daemon);
    }
}

fn plugin() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let mut found =
        folders.map(|folder| folder.join("mosquitto_dynamic_security.so")).filter(|path| path.is_file());
    found.next().expect("mosquitto comes with its plugin dynamic_security")
}

/// Everybody may do everything but subscribe to what begins with `forbidden`. The log tells of each SUBSCRIBE.
fn rules(file: &Path, forbidden: &str) -> String {
    let rules = serde_json::json!({
        "defaultACLAccess": {
            "publishClientSend": true, "publishClientReceive": true, "subscribe": true, "unsubscribe": true
        },
        "anonymousGroup": "all",
        "groups": [{"groupname": "all", "roles": [{"rolename": "guest"}]}],
        "roles": [{"rolename": "guest", "acls": [
            {"acltype": "subscribePattern", "topic": format!("{forbidden}/#"), "priority": 1, "allow": false}
        ]}],
    });
    std::fs::write(file, rules.to_string()).unwrap();
    format!(
        "allow_anonymous true\nlog_type debug\nplugin {}\nplugin_opt_config_file {}\n",
        plugin().display(),
        file.display()
    )
}

/// The rest flows meanwhile, on the same connection.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_refused_subscription() {
    for (protocol, code) in [("5", "0x87"), ("3.1.1", "0x80")] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.json");
        let mut broker = Broker::guarded(|_| rules(&file, "secret"));
        let proxy = Proxy::to(broker.port());
        let url = format!("mqtt://127.0.0.1:{}", proxy.port());
        let secret = "[streams.secret]\ntopic = \"secret/{device}/{metric}\"\n";
        let more = format!("protocol = \"{protocol}\"\n{secret}");
        let daemon = Daemon::start(&source(&url, &more));
        let reason = format!("the broker refused the subscription to `secret/+/+` (code {code}, ");
        let asked = || broker.log().matches("secret/+/+").count() as u64;
        let mut sensor = Client::connect(broker.port(), "sensor");
        daemon.wait_for("the refusal", |status| status.problems().contains(&reason));
        sensor.publish(b"sensors/dev/t", b"1");
        daemon.wait_for("the rest to flow", |status| status.ledger("counted") == 1);
        check(&daemon, "sources.field", &reason, asked);
        assert_eq!(proxy.connections(), 1, "no reason to connect again");
        drop(sensor);
        broker.stop();
        rules(&file, "other");
        broker.launch();
        well(&daemon);
        let mut sensor = Client::connect(broker.port(), "sensor2");
        sensor.publish(b"secret/dev/t", b"1");
        daemon.wait_for("what was refused to flow", |status| status.ledger("counted") == 2);
    }
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn certificates_of_a_broker() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let (cert, key) = authority.certify("localhost", 2_020);
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let mut broker = Broker::guarded(|_| format!("allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n"));
    let proxy = Proxy::to(broker.port());
    let url = format!("mqtts://localhost:{}", proxy.port());
    let mut daemon = Daemon::prepare(&source(&url, "ca = \"trusted.pem\"\n"));
    std::fs::write(daemon.file("trusted.pem"), authority.pem()).unwrap();
    daemon.launch();
    check(&daemon, "sources.field", "its certificate has expired", || proxy.connections());
    broker.stop();
    authority.certify("localhost", 4_000);
    broker.launch();
    well(&daemon);

    std::fs::write(daemon.file("trusted.pem"), stranger.pem()).unwrap();
    assert!(daemon.terminate().success());
    daemon.launch();
    check(&daemon, "sources.field", "nobody we trust has signed its certificate", || proxy.connections());
    std::fs::write(daemon.file("trusted.pem"), authority.pem()).unwrap();
    well(&daemon);
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_broker_that_is_not_there() {
    let broker = Broker::start();
    let proxy = Proxy::to(broker.port());
    proxy.close();
    let daemon = Daemon::start(&format!(
        "[sources.nowhere]\nurl = \"mqtt://no-such-host.invalid\"\n[sources.closed]\nurl = \"mqtt://127.0.0.1:{}\"\n{STREAM}\
         [outputs.file]\npath = \"out.jsonl\"\n",
        proxy.port()
    ));
    // Nobody is there to count attempts: some seconds instead, and what the processor did in them.
    let (before, start) = (Usage::of(daemon.pid()), Instant::now());
    let seconds = || start.elapsed().as_secs();
    check(&daemon, "sources.closed", "refuses connections", seconds);
    check(&daemon, "sources.nowhere", "the name no-such-host.invalid cannot be resolved", seconds);
    let used = Duration::from_micros(Usage::of(daemon.pid()).since(before).cpu_us);
    assert!(used < start.elapsed() / 4, "it does not spin: {used:?} in {:?}", start.elapsed());
    proxy.open();
    let status =
        daemon.wait_for("the broker to be found", |status| !status.problems().contains("sources.closed"));
    assert!(status.problems().contains("sources.nowhere"), "{}", status.problems());
}

/// Three functions with three troubles, which are not each other's.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn functions_that_cannot_be_had() {
    let authority = Authority::new("ours");
    let files = authority.certify("localhost", 2_020);
    let (function, guarded) = (Function::start(), Function::start());
    guarded.set(Mode::Status(401));
    let mut front = Front::of(function.port(), (&files.0, &files.1));
    let proxy = Proxy::to(front.port());
    let daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{}\"\n{STREAM}[heartbeat]\nevery = \"1s\"\n\
         [outputs.expired]\nurl = \"https://localhost:{}/\"\nca = \"{}\"\n[outputs.guarded]\nurl = \"{}\"\n\
         [outputs.nowhere]\nurl = \"https://no-such-host.invalid/\"\n",
        port::reserve(),
        proxy.port(),
        authority.ca().display(),
        guarded.url(),
    ));
    check(&daemon, "outputs.expired", "its certificate has expired", || proxy.connections());
    check(&daemon, "outputs.guarded", "the token is missing, wrong or expired", || guarded.requests());
    let start = Instant::now();
    check(&daemon, "outputs.nowhere", "no-such-host.invalid:443 cannot be resolved", || {
        start.elapsed().as_secs()
    });
    assert_eq!(function.event_count() + guarded.event_count(), 0);

    let files = authority.certify("localhost", 4_000);
    front.show((&files.0, &files.1));
    guarded.set(Mode::Accept);
    wait::until_true("both to get events", PATIENCE, || {
        function.event_count() > 0 && guarded.event_count() > 0
    });
    let status = daemon.wait_for("only one trouble to be left", |status| {
        status.0["problems"].as_array().is_some_and(|problems| problems.len() == 1)
    });
    assert!(status.problems().contains("outputs.nowhere"), "{}", status.problems());
}

/// The function refuses one event for ever. It is a dead letter, with the function's words; the others are delivered, in order.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_poisonous_event_does_not_hold_up_the_rest() {
    let (port, function) = (port::reserve(), Function::start());
    function.set(Mode::RefuseHolding("poison"));
    let daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n{STREAM}[summaries.second]\nwindow = \"1s\"\n\
         [outputs.function]\nurl = \"{}\"\nbatch = {{ events = 10 }}\n",
        function.url()
    ));
    let mut sensor = Client::connect(port, "sensor");
    for round in 0..3 {
        for device in ["a", "b", "poison", "c"] {
            if device != "poison" || round == 1 {
                sensor.publish(format!("sensors/{device}/t").as_bytes(), b"1");
            }
        }
        let made = 3 * (round + 1) + u64::from(round >= 1);
        daemon.wait_for("these windows", |status| status.output("function", "made") == made);
    }
    let status = daemon.wait_for("an empty queue", |status| status.output("function", "queued") == 0);
    let account = |term| status.output("function", term);
    assert_eq!((account("delivered"), account("refused")), (9, 1), "{}", status.0["outputs"]);
    assert_eq!(status.state(), "ok", "{}", status.problems());
    let letters = tidegate_tests::http::get(daemon.status_address(), "/api/deadletters").unwrap().1;
    assert!(letters.contains("this one I do not like") && letters.contains("poison"), "{letters}");
    tidegate_tests::events::check_order(&function.events()).unwrap();
    let poisoned =
        function.events().iter().filter(|received| received.event.to_string().contains("poison")).count();
    assert_eq!(poisoned, 0);
}
