//! A disk that is full and has room again, and one that loses what it had: on real files, with a real process.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::Function;
use tidegate_tests::publisher::Sensor;
use tidegate_tests::{events, field, oracle, port, wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// A small file system that is there for one test.
struct Small(PathBuf);

impl Small {
    /// `None` where this process may not mount.
    fn mount(place: PathBuf) -> Option<Small> {
        fs::create_dir_all(&place).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "none"]).arg(&place).output();
        match mount {
            Ok(done) if done.status.success() => Some(Small(place)),
            refused => {
                eprintln!("SKIPPED: a small file system cannot be mounted here: {refused:?}");
                None
            }
        }
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = File::create(self.0.join("ballast")).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn configuration(port: u16, url: &str) -> String {
    let (listener, seconds) = (field::listener(port), field::SECONDS);
    format!("{listener}{seconds}[outputs.function]\nurl = \"{url}\"\n[buffer]\nhistory = \"0s\"\n")
}

/// While the disk is full nothing is acknowledged that is not on it, and that is told once. When there is room the daemon
/// goes on by itself, and every reading is counted once.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_full_disk_that_has_room_again() {
    let (port, function) = (port::reserve(), Function::start());
    let mut daemon = Daemon::prepare(&configuration(port, &function.url()));
    let Some(disk) = Small::mount(daemon.file("data")) else { return };
    daemon.launch();
    let sensors: Vec<_> = (0..2).map(|n| sensor(n).start(port)).collect();
    daemon.wait_for("the first delivery", |s| s.output("function", "delivered") > 4);
    assert!(disk.0.join("reserve").exists());

    disk.fill();
    daemon.wait_for("the disk to be found full", |s| {
        s.state() == "degraded"
            && s.problems().contains("the disk is full")
            && s.problems().contains("Make room")
            // The file may have had pages to spare at first; then it is found full again.
            && s.ledger("pending") > 0
            && !disk.0.join("reserve").exists()
    });
    // What is acknowledged is on disk: a daemon that starts on this file system has it.
    let acknowledged: u64 = sensors.iter().map(|sensor| sensor.acknowledged()).sum();
    // The figures follow the acknowledgements.
    let status = daemon.wait_for("what is acknowledged", |s| s.ledger("counted") >= acknowledged);
    let counted = status.ledger("counted");

    daemon.kill();
    daemon.launch();
    daemon.wait_for("the disk to be found full again", |s| s.problems().contains("the disk is full"));
    let after = daemon.status().ledger("counted");
    assert!(after >= acknowledged, "{after} of {acknowledged}");

    disk.free();
    daemon.wait_for("room", |s| s.state() == "ok" && s.ledger("counted") > counted + 50);
    assert!(disk.0.join("reserve").exists(), "and room is kept again");
    let readings: Vec<_> = sensors.into_iter().flat_map(|sensor| sensor.finish()).collect();
    let expected = oracle::windows(&readings, 1_000);
    wait::until("every window", PATIENCE, || events::compare(&function.events(), &expected));
    events::check_ids(&function.events()).unwrap();
    let status = daemon.wait_for("an empty queue", |s| s.output("function", "queued") == 0);
    assert_eq!(status.ledger("counted"), readings.len() as u64, "{}", status.0["ledger"]);
    let told = daemon.log().lines().filter(|line| line.contains("the disk is full")).count();
    assert!((1..=6).contains(&told), "told {told} times");
    daemon.terminate();
}

/// A changed configuration waits for the disk, and nothing else waits for it: the listener that it changes stays open, and the
/// daemon can be stopped.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_reload_while_the_disk_is_full() {
    let (port, function) = (port::reserve(), Function::start());
    let before = configuration(port, &function.url());
    let mut daemon = Daemon::prepare(&before);
    let Some(disk) = Small::mount(daemon.file("data")) else { return };
    daemon.launch();
    let sensor = sensor(0).start(port);
    daemon.wait_for("the first delivery", |s| s.output("function", "delivered") > 4);
    disk.fill();
    // The store may have pages to spare at first, and would write the changed configuration to them.
    let stands = Cell::new((u64::MAX, 0));
    daemon.wait_for("the disk to stay full", |s| {
        let (counted, uptime_s) = (s.ledger("counted"), s.0["uptime_s"].as_u64().unwrap());
        if !s.problems().contains("the disk is full") || s.ledger("pending") == 0 || counted != stands.get().0
        {
            stands.set((counted, uptime_s));
        }
        uptime_s >= stands.get().1 + 3
    });

    let changed = before.replacen("[sources.field]\n", "[sources.field]\nmax_clients = 17\n", 1)
        + "[outputs.second]\ntype = \"file\"\npath = \"events.jsonl\"\n";
    assert!(changed.contains("max_clients"));
    daemon.configure(&changed);
    daemon.reload();
    daemon.wait_for("the reload to say that it waits", |s| {
        s.problems().contains("the changed configuration is not in force before the disk takes it")
    });
    drop(Client::connect(port, "another"));
    assert!(!daemon.status().outputs().contains(&"second"));
    assert!(daemon.terminate().success(), "SIGTERM is a clean end");

    daemon.configure(&before);
    daemon.launch();
    daemon.wait_for("the disk to be found full again", |s| s.problems().contains("the disk is full"));
    daemon.configure(&changed);
    daemon.reload();
    disk.free();
    daemon.wait_for("the new output", |s| s.state() == "ok" && s.outputs().contains(&"second"));
    let readings = sensor.finish();
    let expected = oracle::windows(&readings, 1_000);
    wait::until("every window", PATIENCE, || events::compare(&function.events(), &expected));
    daemon.terminate();
}

/// By POSIX a file whose name was not synced may be gone after a power cut, with everything in it that was.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn names_are_on_disk_before_the_first_acknowledgement() {
    let port = port::reserve();
    let mut daemon = Daemon::prepare(&configuration(port, "http://127.0.0.1:1/"));
    let (library, log) = (daemon.file("syncs.so"), daemon.file("syncs"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/syncs.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(built.unwrap().success());
    daemon.set_env("LD_PRELOAD", library.to_str().unwrap());
    daemon.set_env("SYNCS", log.to_str().unwrap());
    daemon.launch();
    Client::connect(port, "sensor").publish(b"sensors/a/b", b"1");
    let synced = fs::read_to_string(&log).unwrap();
    let synced: Vec<_> = synced.lines().collect();
    let data = daemon.file("data").canonicalize().unwrap();
    for name in [data.join("tidegate.redb"), data.clone(), data.parent().unwrap().to_owned()] {
        assert!(synced.contains(&name.to_str().unwrap()), "{} is not among {synced:?}", name.display());
    }
    daemon.terminate();
}

/// A store that is damaged while the daemon is away is salvaged when it starts: it says so, and goes on.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_damaged_store() {
    let (port, function) = (port::reserve(), Function::start());
    let mut daemon = Daemon::start(&configuration(port, &function.url()));
    let store = daemon.file("data/tidegate.redb");
    for round in 0..3 {
        let sensor = sensor(round).start(port);
        let delivered = daemon.status().output("function", "delivered");
        daemon.wait_for("deliveries", |s| s.output("function", "delivered") > delivered + 4);
        sensor.finish();
        daemon.kill();
        let mut bytes = fs::read(&store).unwrap();
        match round {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes.chunks_mut(4_096).skip(1).step_by(3).for_each(|page| page.fill(0x55)),
            _ => bytes = b"no store at all".to_vec(),
        }
        fs::write(&store, &bytes).unwrap();
        daemon.launch();
        let status =
            daemon.wait_for("the damage to be told", |s| s.problems().contains("the store was damaged"));
        assert_eq!(status.state(), "degraded");
        status.balance().unwrap();
    }
    assert!(daemon.log().lines().filter(|line| line.contains("the store was damaged")).count() >= 3);
    let names = fs::read_dir(daemon.file("data")).unwrap().map(|entry| entry.unwrap().file_name());
    let kept = names.filter(|name| name.to_string_lossy().starts_with("tidegate.redb.damaged-")).count();
    assert_eq!(kept, 2, "the last two");
    daemon.terminate();
    daemon.launch();
    daemon.wait_for("a healthy daemon", |s| s.state() == "ok");
    events::check_ids(&function.events()).unwrap();
    let sensor = sensor(9).start(port);
    daemon.wait_for("readings", |s| s.ledger("counted") > 20 && s.output("function", "delivered") > 0);
    sensor.finish();
}

fn sensor(number: u64) -> Sensor {
    Sensor { seed: number, ..field::sensor(&format!("dev{number}")) }
}
