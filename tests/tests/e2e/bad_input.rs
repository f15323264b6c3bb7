//! Bad input: each message moves one counter, under a reason, and the good ones around it are counted.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tidegate_tests::broker::Broker;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::{Function, now_ms};
use tidegate_tests::packet::{self, Connect, Version};
use tidegate_tests::{port, usage};

const STREAMS: &str = r#"
[streams.climate]
topic = "sensors/{device}/{metric}"
format = "json"
value = "/value"
time = { at = "/ts", format = "ms" }
sequence = "/seq"

[streams.words]
topic = "words/{device}/{metric}"
format = "text"

[summaries.second]
window = "1s"
lateness = "1s"
amend = "1m"
"#;

fn on_the_listener(port: u16, function: &Function) -> String {
    let url = function.url();
    format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n{STREAMS}\n[outputs.function]\nurl = \"{url}\"\n"
    )
}

/// Topic, payload, and the reason under which it is rejected; `None` where its bytes are kept as a dead letter.
type Case = (Vec<u8>, Vec<u8>, Option<&'static str>);

fn cases() -> Vec<Case> {
    let now = now_ms();
    let json = |text: &str, reason| {
        (b"sensors/dev/t".to_vec(), text.replace("NOW", &now.to_string()).into_bytes(), reason)
    };
    let words = |text: &str, reason| (b"words/dev/t".to_vec(), text.as_bytes().to_vec(), reason);
    let big =
        |len: usize| format!(r#"{{"value":1,"seq":20,"ts":{now},"pad":"{}"#, "x".repeat(len)).into_bytes();
    vec![
        json(r#"{"value":21.5,"seq":2,"ts":NOW"#, Some("malformed")),
        json("", Some("malformed")),
        json(r#"{"value":NaN,"seq":3,"ts":NOW}"#, Some("malformed")),
        json(r#"{"value":"warm","seq":4,"ts":NOW}"#, Some("not_a_number")),
        json(r#"{"value":{},"seq":5,"ts":NOW}"#, Some("not_a_number")),
        json(r#"{"value":null,"seq":6,"ts":NOW}"#, Some("no_value")),
        json(r#"{"value":1e999,"seq":7,"ts":NOW}"#, Some("not_finite")),
        json(r#"{"value":1,"seq":8,"ts":0}"#, Some("too_late")),
        json(r#"{"value":1,"seq":9,"ts":4070908800000}"#, Some("future")),
        json(r#"{"value":1,"seq":10,"ts":"soon"}"#, Some("bad_time")),
        json(r#"{"value":1,"seq":"eleven","ts":NOW}"#, Some("bad_sequence")),
        words("NaN", Some("not_finite")),
        words("-inf", Some("not_finite")),
        words("1e999", Some("not_finite")),
        words("unavailable", Some("no_value")),
        words("twenty", Some("not_a_number")),
        (b"elsewhere/dev/t".to_vec(), b"1".to_vec(), Some("unmatched")),
        (b"sensors/\xff\xfe/t".to_vec(), b"{\"value\":1}".to_vec(), Some("bad_topic")),
        (format!("sensors/{}/t", "d".repeat(10_000)).into_bytes(), b"{}".to_vec(), Some("name_too_long")),
        (b"sensors/dev/t".to_vec(), big(1_000_000), Some("malformed")),
        (b"sensors/dev/t".to_vec(), big(1 << 20), Some("too_large")),
        (b"sensors/dev/t".to_vec(), b"[".repeat(50_000), Some("malformed")),
    ]
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn each_bad_message_has_a_reason() {
    let (port, function) = (port::reserve(), Function::start());
    let daemon = Daemon::start(&on_the_listener(port, &function));
    let mut client = Client::connect(port, "bad-input");
    let good =
        |sequence: u32| format!(r#"{{"value":{sequence},"seq":{sequence},"ts":{}}}"#, now_ms()).into_bytes();
    client.publish(b"sensors/good/t", &good(1));
    let mut problems = Vec::new();
    for (topic, payload, reason) in cases() {
        let before = daemon.wait_for("a quiet ledger", |s| s.ledger("pending") == 0);
        client.publish(&topic, &payload);
        let moved = before.ledger("received") + 1;
        let after = daemon.wait_for("the message in the ledger", |s| {
            s.ledger("received") == moved && s.ledger("pending") == 0
        });
        let rejected = reason.map_or(0, |reason| after.rejected(reason) - before.rejected(reason));
        let kept = after.ledger("dead_lettered") - before.ledger("dead_lettered");
        if rejected + kept != 1 {
            let start = String::from_utf8_lossy(&payload[..payload.len().min(60)]).into_owned();
            problems.push(format!(
                "{start}: expected {reason:?}: {} then {}",
                before.0["ledger"], after.0["ledger"]
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    client.publish(b"sensors/good/t", &good(2));
    let last = daemon.wait_for("the good readings", |s| s.ledger("counted") == 2);
    assert_eq!(last.ledger("received"), 2 + cases().len() as u64);
    daemon.wait_for("the good windows", |s| {
        s.output("function", "delivered") >= 1 && s.output("function", "queued") == 0
    });
}

/// What the unit lets it take. Memory that is only a copy of files is not counted here, and is given back under pressure there.
fn memory_max_kib() -> u64 {
    let unit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/tidegate.service")).unwrap();
    let limit = unit.lines().find_map(|line| line.strip_prefix("MemoryMax=")?.strip_suffix('M'));
    limit.unwrap().parse::<u64>().unwrap() << 10
}

/// More than it takes, again and again, with nobody who takes the summaries: all windows of all series end at once.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_hundred_thousand_device_names() {
    const NAMES: u64 = 101_000;
    let (port, function) = (port::reserve(), Function::start());
    function.go_away();
    let streams = "[streams.words]\ntopic = \"words/{device}/{metric}\"\nformat = \"text\"\n\n\
                   [summaries.ten]\nwindow = \"10s\"\n";
    let url = function.url();
    let daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n\n{streams}\n[outputs.function]\nurl = \"{url}\"\n"
    ));
    let mut client = Client::connect(port, "bad-input");
    let mut sent = 0;
    for value in ["1", "2"] {
        for start in (0..NAMES).step_by(1_000) {
            let topics: Vec<Vec<u8>> =
                (start..start + 1_000).map(|n| format!("words/flood{n}/t").into_bytes()).collect();
            let messages: Vec<(&[u8], &[u8])> =
                topics.iter().map(|topic| (&topic[..], value.as_bytes())).collect();
            client.publish_all(&messages);
        }
        sent += NAMES;
        let status = daemon.wait_for("all of them, and their windows", |s| {
            s.ledger("received") == sent
                && s.ledger("pending") == 0
                && s.output("function", "queued") >= s.ledger("counted")
        });
        let refused = status.rejected("series_limit");
        assert!(refused >= NAMES - 100_000, "{}", status.0["ledger"]);
        assert_eq!(status.ledger("counted") + refused, sent, "{}", status.0["ledger"]);
    }
    let (peak, limit) = (usage::peak_rss_kib(daemon.pid()), memory_max_kib());
    assert!(peak < limit, "{peak} KiB resident, of {limit}");
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn retained_messages_are_not_counted() {
    let (broker, function) = (Broker::start(), Function::start());
    let mut client = Client::connect(broker.port(), "bad-input");
    let payload = format!(r#"{{"value":1,"seq":1,"ts":{}}}"#, now_ms()).into_bytes();
    client.publish_retained(b"sensors/old/t", &payload);
    let url = function.url();
    let mut daemon = Daemon::start(&format!(
        "[sources.field]\nurl = \"{}\"\n{STREAMS}\n[outputs.function]\nurl = \"{url}\"\n",
        broker.url()
    ));
    daemon.wait_for("the retained message", |s| s.rejected("retained") == 1 && s.ledger("counted") == 0);
    client.publish(b"sensors/new/t", &payload);
    daemon.wait_for("the new one", |s| s.ledger("counted") == 1);
    daemon.kill();
    daemon.launch();
    client.publish(b"sensors/other/t", &payload);
    daemon.wait_for("what came after the restart", |s| s.ledger("counted") == 2);
}

/// Bytes that are no MQTT end their connection, and nothing else.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn garbage_on_the_socket() {
    let (port, function) = (port::reserve(), Function::start());
    let daemon = Daemon::start(&on_the_listener(port, &function));
    let mut good = Client::connect(port, "bad-input");
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut bytes = Vec::new();
        if round % 2 == 0 {
            let client = format!("garbage{round}");
            packet::connect(
                &mut bytes,
                &Connect { version: Version::V5, client: &client, clean: true, receive_max: 10 },
            );
        }
        bytes.extend((0..rng.usize(1..2_000)).map(|_| rng.u8(..)));
        let _it_may_close_first =
            stream.write_all(&bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut sink = Vec::new();
        let ended = stream.read_to_end(&mut sink);
        assert!(
            !ended.is_err_and(|e| e.kind() == ErrorKind::WouldBlock),
            "round {round}: the connection stays open"
        );
    }
    let now = now_ms();
    good.publish(b"sensors/good/t", format!(r#"{{"value":1,"seq":1,"ts":{now}}}"#).as_bytes());
    daemon.wait_for("the good reading", |s| s.ledger("counted") >= 1);
}
