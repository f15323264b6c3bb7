//! From a sensor's publish to a row in a table, by each vendor's runtime: daemon, runtime, handler, table. What is in the table in the
//! end is compared with what the oracle computes from everything that was published.

use std::process::Command;
use std::time::Duration;
use tidegate_tests::broker::Broker;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::oracle::Reading;
use tidegate_tests::publisher::{Running, Sensor};
use tidegate_tests::runtime::Runtime;
use tidegate_tests::tokens::Tokens;
use tidegate_tests::{events, field, oracle, port, wait};

/// Longer than the longest wait between two attempts.
const PATIENCE: Duration = Duration::from_secs(100);
/// Stands in every secret here, and nowhere else.
const PLANTED: &str = "pl4nted-s3cret";

fn sensor(device: &str) -> Sensor {
    // Out of order by more than the lateness: there are revisions.
    Sensor { interval: Duration::from_millis(40), disorder_ms: 400, ..field::sensor(device) }
}

fn configuration(port: u16, output: &str) -> String {
    let listener = field::listener(port);
    let seconds = field::SECONDS.replace("lateness = \"1s\"", "lateness = \"50ms\"\nstate = true");
    format!("{listener}{seconds}[outputs.function]\ntimeout = \"5s\"\n{output}")
}

/// No secret is where people and backups find it.
fn check_nothing_leaked(daemon: &Daemon) {
    let check = Command::new(tidegate_tests::daemon::binary())
        .args(["check", "--config"])
        .arg(daemon.config())
        .output()
        .unwrap();
    let said = [&check.stdout, &check.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    for (place, text) in [("log", daemon.log()), ("status", daemon.status().0.to_string()), ("check", said)] {
        assert!(!text.contains(PLANTED), "a secret is in the {place}:\n{text}");
    }
    for entry in std::fs::read_dir(daemon.file("data")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(PLANTED.len()).any(|part| part == PLANTED.as_bytes());
        assert!(!found, "a secret is in {}", path.display());
    }
    // A core dump would hold them all: there is none.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
}

/// Lost answers, a function that is away for a while, and revisions; the same table as if nothing had been.
fn check(options: &[&str], output: impl Fn(&Runtime) -> String, secrets: &[(&str, &str)]) {
    let mut runtime = Runtime::start(&[options, &["--lose-answers", "2"]].concat());
    let port = port::reserve();
    let mut daemon = Daemon::prepare(&configuration(port, &output(&runtime)));
    for (name, text) in secrets {
        std::fs::write(daemon.file(name), text).unwrap();
    }
    daemon.launch();
    let sensors: Vec<Running> =
        ["dev1", "dev2"].into_iter().map(|device| sensor(device).start(port)).collect();
    let delivered = |daemon: &Daemon, more: u64| {
        let before = daemon.status().output("function", "delivered");
        daemon.wait_for("deliveries", |status| status.output("function", "delivered") >= before + more);
    };
    delivered(&daemon, 10);
    runtime.stop();
    daemon.wait_for("a queue", |status| status.output("function", "queued") > 10);
    daemon.kill();
    daemon.launch();
    runtime.launch();
    delivered(&daemon, 10);
    let readings: Vec<Reading> = sensors.into_iter().flat_map(Running::finish).collect();
    daemon.wait_for("an empty queue", |status| {
        status.output("function", "queued") == 0
            && status.ledger("pending") == 0
            && status.ledger("counted") > 0
    });
    let expected = oracle::windows(&readings, 1_000);
    wait::until("every window in the table", PATIENCE, || events::compare(&runtime.rows(), &expected));
    let status = daemon.status();
    status.balance().unwrap();
    assert_eq!(status.output("function", "refused"), 0, "{}", status.0);
    let revised =
        runtime.rows().iter().filter(|row| row.event["data"]["revision"].as_u64() > Some(0)).count();
    assert!(revised > 0, "there were revisions");
    check_nothing_leaked(&daemon);
}

#[test]
#[ignore = "end to end: ./tests/run functions"]
fn lambda_by_its_own_address() {
    check(
        &["--kind", "aws", "--sign", &format!("AKIATEST:{PLANTED}")],
        |runtime| {
            format!(
                "type = \"aws-lambda\"\nurl = \"{}\"\nregion = \"eu-west-1\"\nbatch = {{ linger = \"50ms\" }}\ncompression = \"gzip\"\n\
                 auth = {{ access_key_id = \"AKIATEST\", secret_access_key = {{ file = \"secret\" }} }}\n",
                runtime.url("/")
            )
        },
        &[("secret", PLANTED)],
    );
}

#[test]
#[ignore = "end to end: ./tests/run functions"]
fn lambda_by_the_invoke_api() {
    let keys = format!("[default]\naws_access_key_id = AKIATEST\naws_secret_access_key = {PLANTED}\n");
    check(
        &["--kind", "aws", "--sign", &format!("AKIATEST:{PLANTED}")],
        |runtime| {
            format!(
                "type = \"aws-lambda\"\nfunction = \"ingest:live\"\nendpoint = \"{}\"\nregion = \"eu-west-1\"\nbatch = {{ linger = \"50ms\" }}\n\
                 auth = {{ credentials_file = \"aws\" }}\n",
                runtime.url("")
            )
        },
        &[("aws", &keys)],
    );
}

#[test]
#[ignore = "end to end: ./tests/run functions"]
fn google_with_identity_tokens() {
    let tokens = Tokens::start(PLANTED);
    let key = tokens.service_account();
    check(
        &["--kind", "google", "--require", &format!("authorization=Bearer {}", tokens.token())],
        |runtime| {
            format!(
                "type = \"google\"\nurl = \"{}\"\nbatch = {{ linger = \"50ms\" }}\ncompression = \"zstd\"\n\
                 auth = {{ service_account = {{ file = \"key.json\" }} }}\n",
                runtime.url("/")
            )
        },
        &[("key.json", &key)],
    );
    assert!(tokens.granted() > 0);
}

#[test]
#[ignore = "end to end: ./tests/run functions"]
fn azure_with_a_function_key() {
    check(
        &["--kind", "azure", "--require", &format!("x-functions-key={PLANTED}")],
        |runtime| {
            format!(
                "type = \"azure\"\nurl = \"{}\"\nbatch = {{ linger = \"50ms\" }}\nauth = {{ function_key = {{ file = \"key\" }} }}\n",
                runtime.url("/api/ingest")
            )
        },
        &[("key", PLANTED)],
    );
}

#[test]
#[ignore = "end to end: ./tests/run functions"]
fn aliyun_with_a_signature() {
    check(
        &["--kind", "aliyun"],
        |runtime| {
            format!(
                "type = \"aliyun\"\nurl = \"{}\"\nbatch = {{ linger = \"50ms\" }}\n\
                 auth = {{ access_key_id = \"LTAITEST\", access_key_secret = {{ file = \"secret\" }} }}\n",
                runtime.url("/")
            )
        },
        &[("secret", PLANTED)],
    );
}

/// Any function: a token for a name and a secret, and one event a request in binary mode.
#[test]
#[ignore = "end to end: ./tests/run functions"]
fn http_with_oauth2_and_binary_mode() {
    let tokens = Tokens::start(PLANTED);
    check(
        &["--kind", "google", "--require", &format!("authorization=Bearer {}", tokens.token())],
        |runtime| {
            format!(
                "url = \"{}\"\nmode = \"binary\"\n\
                 auth = {{ oauth2 = {{ token_url = \"{}\", client_id = \"gateway\", client_secret = {{ file = \"secret\" }} }} }}\n",
                runtime.url("/"),
                tokens.url()
            )
        },
        &[("secret", PLANTED)],
    );
}

/// The function of `functions/README.md`, unchanged: one event a request, and `OK` as `text/html`.
#[test]
#[ignore = "end to end: ./tests/run functions"]
fn the_simplest_function() {
    let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let code = readme.split("```python\n").find(|block| block.starts_with("import contextlib")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (source, table) = (dir.path().join("function.py"), dir.path().join("windows.db"));
    std::fs::write(&source, code.split("```").next().unwrap()).unwrap();
    let options = ["--kind", "google", "--signature", "cloudevent", "--source", source.to_str().unwrap()];
    let runtime = Runtime::start_with(&options, &[("DATABASE", table.to_str().unwrap())]);
    let port = port::reserve();
    let daemon = Daemon::start(&configuration(port, &format!("url = \"{}\"\n", runtime.url("/"))));
    let sensors = sensor("dev1").start(port);
    daemon.wait_for("deliveries", |status| status.output("function", "delivered") >= 10);
    let readings = sensors.finish();
    daemon.wait_for("an empty queue", |status| {
        status.output("function", "queued") == 0 && status.ledger("pending") == 0
    });
    let expected = oracle::windows(&readings, 1_000).len();
    wait::until("every window in the table", PATIENCE, || {
        let rows = Command::new("python3").arg("-c").arg(COUNT).arg(&table).output().unwrap();
        let rows = String::from_utf8_lossy(&rows.stdout).trim().to_owned();
        if rows == expected.to_string() { Ok(()) } else { Err(format!("{rows} rows of {expected}")) }
    });
}

/// How many windows count in the table of the simplest function.
const COUNT: &str = "import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM windows WHERE data IS NOT NULL').fetchone()[0])";

/// Two gateways share a subscription: each has some of the readings, and the function merges what they say to what one gateway says
/// that hears them all.
#[test]
#[ignore = "end to end: ./tests/run functions"]
fn two_gateways_are_one() {
    const READINGS: u64 = 3_000;
    let broker = Broker::start();
    let gateway = |name: &str, share: &str, runtime: &Runtime| {
        Daemon::start(&format!(
            "[sources.field]\nurl = \"{}\"\nclient_id = \"{name}\"\n{share}\n[streams.climate]\ntopic = \"sensors/{{device}}/{{metric}}\"\nformat = \"json\"\n\
             value = \"/value\"\ntime = {{ at = \"/ts\", format = \"ms\" }}\nunique = \"time\"\n\
             [summaries.second]\nwindow = \"1s\"\nlateness = \"1s\"\nstate = true\n\
             aggregates = [\"count\", \"sum\", \"mean\", \"min\", \"max\", \"stddev\", \"p50\", \"p95\", \"distinct\", \"slope\"]\n\
             [outputs.function]\nurl = \"{}\"\nbatch = {{ linger = \"100ms\" }}\n",
            broker.url(),
            runtime.url("/")
        ))
    };
    let (both, alone) = (Runtime::start(&["--kind", "google"]), Runtime::start(&["--kind", "google"]));
    let shared = "shared_group = \"gateways\"";
    let daemons =
        [gateway("one", shared, &both), gateway("two", shared, &both), gateway("alone", "", &alone)];
    for daemon in &daemons {
        daemon.wait_for("a connection", |status| status.is_connected());
    }
    let mut client = Client::connect(broker.port(), "sensors");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    for n in 0..READINGS {
        let (device, at) = (n % 3, now - READINGS + n);
        let payload = format!("{{\"value\": {}, \"ts\": {at}}}", (n * 7_919 % 1_000) as f64 / 8.0);
        client.publish(format!("sensors/dev{device}/temperature").as_bytes(), payload.as_bytes());
    }
    let counted = |daemon: &Daemon| daemon.status().ledger("counted");
    wait::until("every reading", PATIENCE, || match counted(&daemons[0]) + counted(&daemons[1]) {
        READINGS => Ok(()),
        _ => Err(daemons.iter().map(|daemon| daemon.status().0["ledger"].to_string()).collect()),
    });
    wait::until_true("every reading, alone", PATIENCE, || counted(&daemons[2]) == READINGS);
    assert!(daemons[..2].iter().all(|daemon| counted(daemon) > READINGS / 10), "the load is shared");
    for daemon in &daemons {
        daemon.wait_for("all windows", |status| {
            status.output("function", "made") > 0 && status.output("function", "queued") == 0
        });
    }
    // Windows close when their lateness is over: until the hours have all readings.
    let total = |runtime: &Runtime| {
        let hours = runtime.hours();
        let counts: u64 = hours.values().filter_map(|values| values["count"].as_u64()).sum();
        if counts == READINGS { Ok(hours) } else { Err(format!("{counts} readings")) }
    };
    let merged = wait::until("the hours of both", PATIENCE, || total(&both));
    let single = wait::until("the hours of one", PATIENCE, || total(&alone));
    assert_eq!(merged.keys().collect::<Vec<_>>(), single.keys().collect::<Vec<_>>());
    for (series, values) in &single {
        for (name, value) in values.as_object().unwrap() {
            let (one, two) = (value.as_f64().unwrap(), merged[series][name].as_f64().unwrap());
            // Additions in another order differ in their last digits; sketches do not depend on the order at all.
            assert!(oracle::is_close(one, two), "{series} {name}: {one} and {two}");
            assert!(
                one == two || !["count", "min", "max", "p50", "p95", "distinct"].contains(&name.as_str())
            );
        }
    }
}

/// A key that has expired while ten thousand events wait: one line says so, nothing is lost, and a new key is found by itself.
#[test]
#[ignore = "end to end: ./tests/run functions"]
fn an_expired_key_empties_no_queue() {
    const DEVICES: usize = 10_000;
    let runtime = Runtime::start(&["--kind", "azure", "--require", &format!("x-functions-key={PLANTED}")]);
    let port = port::reserve();
    let output = format!(
        "type = \"azure\"\nurl = \"{}\"\nbatch = {{}}\nauth = {{ function_key = {{ file = \"key\" }} }}\n",
        runtime.url("/api/ingest")
    );
    let mut daemon = Daemon::prepare(&configuration(port, &output));
    std::fs::write(daemon.file("key"), "expired").unwrap();
    daemon.launch();
    // Found out before there is anything to send.
    daemon.wait_for("a problem", |status| status.problems().contains("answered 401"));
    let mut client = Client::connect(port, "many");
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let messages: Vec<(String, String)> = (0..DEVICES)
        .map(|n| {
            (format!("sensors/d{n}/temperature"), format!("{{\"value\": {n}, \"ts\": {at}, \"seq\": 1}}"))
        })
        .collect();
    for chunk in messages.chunks(50) {
        let chunk: Vec<(&[u8], &[u8])> =
            chunk.iter().map(|(topic, payload)| (topic.as_bytes(), payload.as_bytes())).collect();
        client.publish_all(&chunk);
    }
    let all = DEVICES as u64;
    let status = daemon.wait_for("a long queue", |status| status.output("function", "queued") == all);
    assert!(status.problems().contains("outputs.function"));
    let before = daemon.log();
    let retried =
        |status: &tidegate_tests::status::Status| status.0["outputs"]["function"]["requests"].as_u64();
    let first = retried(&status);
    daemon.wait_for("more attempts", |status| retried(status) > first);
    let lines = daemon.log().lines().filter(|line| line.contains("answered 401")).count();
    assert_eq!(lines, 1, "{before}");
    std::fs::write(daemon.file("key"), PLANTED).unwrap();
    let status = wait::until("an empty queue", PATIENCE, || {
        let status = daemon.try_status()?;
        if status.output("function", "queued") == 0 {
            Ok(status)
        } else {
            Err(status.0["outputs"].to_string())
        }
    });
    assert_eq!(status.output("function", "delivered"), all);
    assert_eq!((status.output("function", "refused"), status.ledger("dead_lettered")), (0, 0));
    assert_eq!(runtime.rows().len(), DEVICES);
    check_nothing_leaked(&daemon);
}
