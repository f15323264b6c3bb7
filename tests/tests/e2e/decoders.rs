//! Each decoder from an MQTT publish to the event that a function receives.

use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::events::latest;
use tidegate_tests::function::{Function, now_ms};
use tidegate_tests::{port, wait};

const STREAMS: &str = r#"
[streams.json]
topic = "json/{device}"
each = "/readings"
time = { at = "/ts", format = "ms" }
numbers_as_text = true
rename = { device = { d1 = "kitchen" } }
[streams.json.metrics]
power = { at = "/switch:{channel}/power", unit = "W" }

[streams.text]
topic = "text/{device}/{metric}"
format = "text"

[streams.csv]
topic = "csv/{device}"
format = "csv"
csv = { delimiter = ";", decimal = "," }
time = { at = "/ts", format = "local", zone = "UTC" }

[streams.cbor]
topic = "cbor/{device}"
format = "cbor"

[streams.msgpack]
topic = "msgpack/{device}"
format = "msgpack"

[streams.influx]
topic = "influx"
format = "influx"
time = { format = "ms" }
tags = { host = { at = "/host" } }

[streams.senml]
topic = "senml"
format = "senml"

[streams.sparkplug]
topic = "spBv1.0/#"
format = "sparkplug"

[summaries.second]
window = "1s"
lateness = "1s"
"#;

/// What all windows of a series count together: how many readings, and their sum.
type Counted = BTreeMap<String, (f64, f64)>;

/// Topic, payload, and what it must give: `stream metric tag=value …`, count and sum.
type Case<'c> = (&'c str, Vec<u8>, &'c [(&'c str, f64, f64)]);

/// A Protocol Buffers field: a number, or bytes behind their length.
fn field(tag: u8, value: Result<u64, &[u8]>) -> Vec<u8> {
    let varint = |mut number: u64| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    match value {
        Ok(number) => [vec![tag << 3], varint(number)].concat(),
        Err(bytes) => [vec![tag << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat(),
    }
}

/// A Sparkplug payload with one metric: its name or its alias or both, and a whole number.
fn sparkplug(sequence: u64, now_ms: u64, name: Option<&str>, value: u64) -> Vec<u8> {
    let metric = [
        name.map_or_else(Vec::new, |name| field(1, Err(name.as_bytes()))),
        field(2, Ok(7)),
        field(4, Ok(4)),
        field(11, Ok(value)),
    ];
    [field(1, Ok(now_ms)), field(2, Err(&metric.concat())), field(3, Ok(sequence))].concat()
}

fn cases(now: i64) -> Vec<Case<'static>> {
    let sent = u64::try_from(now).unwrap_or(0);
    let local = format!("{}", jiff::Timestamp::from_millisecond(now).unwrap_or_default()).replace('Z', "");
    vec![
        (
            "json/d1",
            format!(
                r#"{{"ts":{now},"readings":[{{"switch:0":{{"power":"21.5"}}}},{{"switch:0":{{"power":22}},"switch:1":{{"power":1}}}}]}}"#
            )
            .into_bytes(),
            &[("json power channel=0 device=kitchen W", 2.0, 43.5), ("json power channel=1 device=kitchen W", 1.0, 1.0)],
        ),
        ("text/d2/pump", b"ON".to_vec(), &[("text pump device=d2", 1.0, 1.0)]),
        (
            "csv/d3",
            format!("ts;t;note\n{local};21,5;\"a;b\"\n{local};22,5;\n").into_bytes(),
            &[("csv t device=d3", 2.0, 44.0)],
        ),
        // {"t": 21.5 of 16 bits, "n": {"h": -7}}
        ("cbor/d4", b"\xa2\x61t\xf9\x4d\x60\x61n\xa1\x61h\x26".to_vec(), &[
            ("cbor t device=d4", 1.0, 21.5),
            ("cbor n/h device=d4", 1.0, -7.0),
        ]),
        // {"t": 21.5 of 32 bits, "on": true}
        ("msgpack/d5", b"\x82\xa1t\xca\x41\xac\x00\x00\xa2on\xc3".to_vec(), &[
            ("msgpack t device=d5", 1.0, 21.5),
            ("msgpack on device=d5", 1.0, 1.0),
        ]),
        (
            "influx",
            format!("cpu,host=pi,cpu=cpu0 idle=98.5,user=3i {now}\ncpu,host=pi,cpu=cpu1 idle=97.5 {now}\n").into_bytes(),
            &[
                ("influx cpu/idle host=pi labels=cpu=cpu0", 1.0, 98.5),
                ("influx cpu/user host=pi labels=cpu=cpu0", 1.0, 3.0),
                ("influx cpu/idle host=pi labels=cpu=cpu1", 1.0, 97.5),
            ],
        ),
        (
            "senml",
            br#"[{"bn":"urn:dev:mac:1:","bv":20,"n":"t","v":1.5},{"n":"t","t":-0.5,"v":2},{"n":"w","s":7}]"#.to_vec(),
            &[("senml t name=urn:dev:mac:1", 2.0, 43.5), ("senml w/sum name=urn:dev:mac:1", 1.0, 7.0)],
        ),
        ("spBv1.0/plant/NDATA/press", sparkplug(4, sent, None, 1), &[]),
        (
            "spBv1.0/plant/NBIRTH/press",
            sparkplug(0, sent, Some("Line/Count"), 40),
            &[("sparkplug Line/Count group=plant node=press", 1.0, 40.0)],
        ),
        (
            "spBv1.0/plant/NDATA/press",
            sparkplug(3, sent, None, 42),
            &[("sparkplug Line/Count group=plant node=press", 1.0, 42.0)],
        ),
    ]
}

/// What the function holds, added up over windows; and the gaps that were noticed.
fn counted(function: &Function) -> (Counted, u64) {
    let (mut counted, mut gaps) = (Counted::new(), 0);
    for summary in latest(&function.events()).into_values() {
        let data = &summary.event["data"];
        let tags = data["tags"].as_object().into_iter().flatten();
        let tags = tags.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("?")));
        let names = ["stream", "metric"].map(|key| data[key].as_str().unwrap_or("?").to_owned());
        let unit = data["unit"].as_str().map(str::to_owned);
        let series: Vec<_> = names.into_iter().chain(tags).chain(unit).collect();
        let number = |name: &str| data["values"][name].as_f64().unwrap_or(f64::NAN);
        let total = counted.entry(series.join(" ")).or_default();
        total.0 += number("count");
        total.1 += number("count") * number("mean");
        gaps += data["completeness"]["gaps"].as_u64().unwrap_or(0);
    }
    (counted, gaps)
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn from_a_publish_to_an_event() {
    let (port, function) = (port::reserve(), Function::start());
    let url = function.url();
    let mut daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n{STREAMS}\n[outputs.function]\nurl = \"{url}\"\n"
    ));
    let cases = cases(now_ms());
    let mut expected = Counted::new();
    for (at, (topic, payload, readings)) in cases.iter().enumerate() {
        // Aliases outlive the daemon: it is killed between the birth and the data.
        if at + 1 == cases.len() {
            daemon.wait_for("what came so far", |status| status.ledger("pending") == 0);
            daemon.kill();
            daemon.launch();
        }
        Client::connect(port, "sensor").publish(topic.as_bytes(), payload);
        for (series, count, sum) in *readings {
            let total = expected.entry((*series).to_owned()).or_default();
            (total.0, total.1) = (total.0 + count, total.1 + sum);
        }
    }
    wait::until("the events of all decoders", Duration::from_secs(30), || match counted(&function) {
        (found, gaps) if found == expected && gaps == 2 => Ok(()),
        found => Err(format!("{found:?}\nexpected {expected:?} and 2 gaps")),
    });
    let status = daemon.status();
    assert_eq!(status.ledger("counted"), expected.values().map(|(count, _)| *count as u64).sum::<u64>());
    assert_eq!(
        (status.rejected("unknown_alias"), status.ledger("dead_lettered")),
        (1, 0),
        "{}",
        status.0["ledger"]
    );
    assert!(function.malformed().is_empty());
}
