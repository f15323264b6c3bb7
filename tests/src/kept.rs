//! Stores that versions of tidegate have left behind in the middle of their work, and what they would have sent next: `tests/stores`.
//!
//! Each is a folder, called after the version: the store as it was when the process was killed, compressed; the configuration, with
//! `PORT` and `URL` for what differs from run to run; and what the same version sent when it was started again, by the ids of the events.

use crate::client::Client;
use crate::daemon::Daemon;
use crate::function::{self, Function, Received};
use crate::{faketime, field, port, wait};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long everything may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
/// The clock goes on so long after the kill: every window is over.
const LATER_MS: i64 = 60_000;
/// How long nothing has to come before a new folder counts as whole.
const QUIET: Duration = Duration::from_secs(3);

/// What a store led to.
#[derive(Debug)]
pub struct Sent {
    /// When the process was killed, in milliseconds since 1970.
    pub killed_ms: i64,
    /// The ledger of the status page.
    pub ledger: Value,
    /// The data of each event, by its id.
    pub events: BTreeMap<String, Value>,
}

/// The folders of all versions.
///
/// # Panics
/// When there is none.
pub fn folders() -> Vec<PathBuf> {
    let all = fs::read_dir(root()).expect("tests/stores");
    all.map(|entry| entry.expect("a folder").path()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stores")
}

impl Sent {
    /// What the version itself sent.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(folder: &Path) -> Sent {
        let text = fs::read(folder.join("sent.json.gz")).expect("what was sent");
        let sent: Value = serde_json::from_reader(GzDecoder::new(&text[..])).expect("what was sent");
        let events = sent["events"].as_object().expect("events").clone();
        Sent {
            killed_ms: sent["killed_ms"].as_i64().expect("a time"),
            ledger: sent["ledger"].clone(),
            events: events.into_iter().collect(),
        }
    }

    fn write(&self, folder: &Path) {
        let sent = json!({"killed_ms": self.killed_ms, "ledger": self.ledger, "events": self.events});
        compress(&folder.join("sent.json.gz"), sent.to_string().as_bytes());
    }
}

/// Starts the daemon on the store, a minute after it was killed, and waits until `arrived` says of the events, and of how long there was
/// none, that they are all.
///
/// # Panics
/// When it does not start, or does not get there.
pub fn go_on(
    folder: &Path,
    killed_ms: i64,
    arrived: impl Fn(&BTreeMap<String, Value>) -> Result<(), String>,
) -> Sent {
    let function = Function::start();
    let mut daemon = Daemon::prepare(&configuration(folder, port::reserve(), &function.url()));
    let store = daemon.file("data").join("tidegate.redb");
    fs::create_dir_all(daemon.file("data")).expect("a folder");
    let mut kept = GzDecoder::new(File::open(folder.join("tidegate.redb.gz")).expect("the store"));
    std::io::copy(&mut kept, &mut File::create(store).expect("a file")).expect("the store");
    let offset = (killed_ms + LATER_MS - function::now_ms()) / 1_000;
    faketime::control(&mut daemon, &format!("{offset:+}"));
    daemon.launch();
    let events = wait::until("everything that was kept", PATIENCE, || {
        let events = by_id(&function.events());
        arrived(&events).map(|()| events)
    });
    let status = daemon.wait_for("an empty queue", |status| status.output("function", "queued") == 0);
    status.balance().unwrap_or_else(|problem| panic!("{problem}"));
    Sent { killed_ms, ledger: status.0["ledger"].clone(), events }
}

/// Makes the folder of a version with the binary under test: sensors publish, nothing is delivered, the process is killed.
///
/// # Panics
/// When a step fails.
pub fn keep(version: &str) {
    let folder = root().join(version);
    let port = port::reserve();
    let function = Function::start();
    function.go_away();
    let mut daemon = Daemon::start(&configuration(&folder, port, &function.url()));
    let sensors: Vec<_> = ["dev1", "dev2"].map(|device| field::sensor(device).start(port)).into();
    Client::connect(port, "dev3").publish(b"sensors/dev3/temperature", b"neither a number nor JSON");
    daemon.wait_for("readings, and windows that wait", |status| {
        status.ledger("counted") > 500
            && status.output("function", "queued") > 20
            && status.ledger("dead_lettered") == 1
    });
    daemon.kill();
    let killed_ms = function::now_ms();
    for sensor in &sensors {
        sensor.stop();
    }
    let mut store = Vec::new();
    let file = daemon.file("data").join("tidegate.redb");
    File::open(file).expect("the store").read_to_end(&mut store).expect("the store");
    compress(&folder.join("tidegate.redb.gz"), &store);
    let last = std::cell::Cell::new((0, std::time::Instant::now()));
    let sent = go_on(&folder, killed_ms, |events| {
        if events.len() != last.get().0 {
            last.set((events.len(), std::time::Instant::now()));
        }
        if last.get().1.elapsed() > QUIET { Ok(()) } else { Err("more may come".into()) }
    });
    sent.write(&folder);
}

fn configuration(folder: &Path, port: u16, url: &str) -> String {
    let text = fs::read_to_string(folder.join("tidegate.toml")).expect("tidegate.toml");
    text.replace("PORT", &port.to_string()).replace("URL", url)
}

fn by_id(received: &[Received]) -> BTreeMap<String, Value> {
    let pair = |event: &Value| (event["id"].as_str().unwrap_or_default().to_owned(), event["data"].clone());
    received.iter().map(|received| pair(&received.event)).collect()
}

fn compress(path: &Path, data: &[u8]) {
    let mut file = GzEncoder::new(File::create(path).expect("a file"), Compression::best());
    file.write_all(data).and_then(|()| file.finish().map(drop)).expect("a file");
}
