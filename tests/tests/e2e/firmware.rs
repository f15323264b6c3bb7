//! The sensor side from end to end: the firmware of an emulated board, its wire cut, its power cut, the daemon killed; and at the
//! end every reading that the board said was queued, once, at its time, or counted as given up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tidegate_tests::board::{Board, Sample, boards};
use tidegate_tests::daemon::Daemon;
use tidegate_tests::events::{check_ids, latest, moment_ms};
use tidegate_tests::function::Function;
use tidegate_tests::image::{Image, budget};
use tidegate_tests::proxy::{Flow, Proxy};
use tidegate_tests::{port, wait};

/// Emulators are slow where machines are busy.
const PATIENCE: Duration = Duration::from_secs(120);

fn configuration(port: u16, url: &str) -> String {
    format!(
        r#"
[sources.field]
type = "listen"
listen = "127.0.0.1:{port}"

[streams.field]
topic = "field/{{device}}"
format = "tidegate"
[streams.field.metrics]
count = {{ at = "/channel/0" }}
mean = {{ at = "/channel/1", unit = "°C" }}
least = {{ at = "/channel/2", unit = "°C" }}
greatest = {{ at = "/channel/3", unit = "°C" }}
dropped = {{ at = "/status/dropped" }}

[summaries.second]
window = "1s"
lateness = "2s"
amend = "1h"

[raw.all]
every = "1s"

[outputs.function]
url = "{url}"
"#
    )
}

/// What the function has of the board.
#[derive(Debug, Default)]
struct Seen {
    /// By metric and value, how often it came and when it was measured.
    raw: BTreeMap<(String, i64), Vec<i64>>,
    /// Readings in the windows, by metric, and numbers that were missing before them.
    in_windows: BTreeMap<String, u64>,
    gaps: u64,
}

fn seen(function: &Function) -> Seen {
    let events = function.events();
    check_ids(&events).unwrap();
    let mut seen = Seen::default();
    let mut known = BTreeSet::new();
    for event in events.iter().map(|received| &received.event) {
        let data = &event["data"];
        if event["type"] != "tidegate.raw.v1" || !known.insert(data["key"].to_string()) {
            continue;
        }
        for row in data["readings"].as_array().unwrap() {
            assert_eq!(row[3], "counted");
            let series = &data["series"][row[0].as_u64().unwrap() as usize];
            assert_eq!(series["tags"]["device"], "mps2");
            let metric = series["metric"].as_str().unwrap().to_owned();
            // In hundredths, as the board measures.
            let value =
                (row[2].as_f64().unwrap() * if metric == "count" { 1.0 } else { 100.0 }).round() as i64;
            seen.raw.entry((metric, value)).or_default().push(moment_ms(&row[1]).unwrap());
        }
    }
    for (key, summary) in latest(&events) {
        if !key.contains("second/") {
            continue;
        }
        let data = &summary.event["data"];
        let count = data["values"]["count"].as_u64().unwrap_or(0);
        *seen.in_windows.entry(data["metric"].as_str().unwrap().to_owned()).or_default() += count;
        seen.gaps += data["completeness"]["gaps"].as_u64().unwrap();
    }
    seen
}

impl Seen {
    fn samples(&self) -> BTreeMap<i64, &Vec<i64>> {
        self.raw
            .iter()
            .filter(|((metric, _), _)| metric == "count")
            .map(|((_, value), at)| (*value, at))
            .collect()
    }
}

fn name(sample: &Sample) -> i64 {
    i64::from(sample.boot) * 100_000 + i64::from(sample.number)
}

/// Waits until the board has queued `more` samples.
fn until_sampled(board: &Board, more: usize) {
    let now = board.samples().len();
    wait::until("more samples", PATIENCE, || match board.samples().len() - now {
        count if count >= more => Ok(()),
        count => Err(format!("{count} of {more}")),
    });
}

/// Waits until the function has all samples that the board queued until now.
fn until_received(board: &Board, function: &Function, what: &str) {
    let queued: Vec<i64> = board.samples().iter().map(name).collect();
    wait::until(what, PATIENCE, || {
        let seen = seen(function);
        let samples = seen.samples();
        let missing: Vec<i64> = queued.iter().filter(|name| !samples.contains_key(name)).copied().collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(format!("{} are missing, from {:?}", missing.len(), missing.first()))
        }
    });
}

/// Acknowledgements are lost. The wire is cut, in the midst of that the power, and before it is mended the daemon is killed. Then the power is cut with
/// everything connected. Nothing that was queued is missing or double, and times are right throughout.
#[test]
#[ignore = "end to end, with an emulator: ./tests/run firmware"]
fn wire_power_and_daemon() {
    let (port, function) = (port::reserve(), Function::start());
    let mut daemon = Daemon::start(&configuration(port, &function.url()));
    let wire = Proxy::to(port);
    let mut board = Board::wired_to(wire.port());
    board.start();
    until_sampled(&board, 60);
    until_received(&board, &function, "the first samples");

    // What is sent arrives, and no acknowledgement comes back, until the connection is gone.
    wire.set(Flow::Pass, Flow::Stall);
    until_sampled(&board, 60);
    wire.cut();
    wire.mend();
    until_received(&board, &function, "what was sent again");
    daemon.wait_for("readings that came twice", |status| status.ledger("duplicate") > 0);

    wire.close();
    until_sampled(&board, 120);
    board.cut_power();
    board.start();
    until_sampled(&board, 80);
    assert!(board.counters().restored > 0, "{:?}", board.counters());
    daemon.kill();
    daemon.launch();
    wire.open();
    until_received(&board, &function, "what was queued while the wire was cut");

    for _ in 0..3 {
        until_sampled(&board, 25);
        board.cut_power();
        board.start();
    }
    until_sampled(&board, 40);
    daemon.terminate();
    until_sampled(&board, 40);
    daemon.launch();
    until_received(&board, &function, "what was queued while the daemon was away");
    board.cut_power();

    let (queued, arrived) = (board.samples(), seen(&function));
    let samples = arrived.samples();
    let twice: Vec<_> = samples.iter().filter(|(_, times)| times.len() != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    // A sample may have been queued and saved when the power went, before the board could say so.
    let said: BTreeSet<i64> = queued.iter().map(name).collect();
    let unsaid: Vec<_> = samples.keys().filter(|name| !said.contains(name)).collect();
    assert!(unsaid.len() <= 6, "{unsaid:?}");
    assert_eq!(queued.iter().map(|sample| sample.boot).max(), Some(4));
    // No number is missing, and the windows hold what came raw.
    wait::until("the last windows", PATIENCE, || {
        let windows = seen(&function);
        let counted = windows.in_windows.get("count").copied().unwrap_or(0);
        let samples = windows.samples().len() as u64;
        if counted == samples { Ok(()) } else { Err(format!("{counted} of {samples} in windows")) }
    });
    let last = seen(&function);
    assert_eq!(last.gaps, 0);
    assert_eq!(board.counters().storage_failures, 0);
    assert!(board.counters().stack_unused > 512, "{:?}", board.counters());

    let mut off: Vec<i64> = queued
        .iter()
        .filter_map(|sample| Some((last.samples().get(&name(sample))?[0] - sample.at_ms).abs()))
        .collect();
    off.sort_unstable();
    let (median, worst) = (off[off.len() / 2], off[off.len() - 1]);
    println!("{} samples of 5 starts; off by {median} ms in the middle, {worst} ms at worst", off.len());
    assert!(median < 150 && worst < 1_500, "off by {median} ms in the middle, {worst} ms at worst");
}

/// The wire is cut for longer than the queue lasts: what is missing at the function is what the board gave up, to the reading.
#[test]
#[ignore = "end to end, with an emulator: ./tests/run firmware"]
fn a_queue_that_is_too_small() {
    let (port, function) = (port::reserve(), Function::start());
    let daemon = Daemon::start(&configuration(port, &function.url()));
    let wire = Proxy::to(port);
    let mut board = Board::wired_to(wire.port());
    board.start();
    until_sampled(&board, 40);
    until_received(&board, &function, "the first samples");
    wire.close();
    let full = wait::until("a full queue", PATIENCE, || match board.counters() {
        counters if counters.dropped >= 64 => Ok(counters),
        counters => Err(format!("{counters:?}")),
    });
    wire.open();
    wait::until("an empty queue", PATIENCE, || match board.counters() {
        counters if counters.delivered > full.delivered + 500 && counters.queued < 60 => Ok(()),
        counters => Err(format!("{counters:?}")),
    });
    until_sampled(&board, 60);
    board.cut_power();
    let dropped = u64::from(board.counters().dropped);
    daemon.wait_for("what was delivered", |status| status.ledger("pending") == 0);
    let told = |seen: &Seen| {
        seen.raw.keys().filter(|(metric, _)| metric == "dropped").map(|(_, value)| *value as u64 / 100).max()
    };
    wait::until("the windows around the gap", PATIENCE, || {
        let seen = seen(&function);
        if seen.gaps == dropped && told(&seen) == Some(dropped) {
            return Ok(());
        }
        Err(format!("{dropped} given up, {} missing, {:?} told", seen.gaps, told(&seen)))
    });
    daemon.wait_for("the gateway to tell where", |status| {
        let lost = &status.0["devices"]["lost"];
        (lost["sensor"].as_u64(), lost["air"].as_u64()) == (Some(dropped), Some(0))
    });
    let seen = seen(&function);
    let samples = seen.samples();
    assert!(samples.values().all(|times| times.len() == 1));
    let queued: Vec<i64> = board.samples().iter().map(name).collect();
    let arrived = *samples.keys().max().unwrap();
    let missing: Vec<i64> =
        queued.iter().filter(|name| **name <= arrived && !samples.contains_key(name)).copied().collect();
    let (first, last) = (missing[0], missing[missing.len() - 1]);
    assert_eq!(last - first + 1, missing.len() as i64, "one gap, from {first} to {last}");
    let unused = board.counters().stack_unused;
    println!("image mps2-an386: {} bytes of stack at most, with a full queue", stack(unused));
    assert!(unused > 512, "{} bytes of stack", stack(unused));
    println!("{} readings given up, {} of them samples; all others arrived once", dropped, missing.len());
}

/// Images of the boards, by the folder of each.
const IMAGES: [(&str, &str); 2] = [
    ("mps2-an386", "thumbv7em-none-eabihf/release/tidegate-mps2-an386"),
    ("pico-w", "thumbv6m-none-eabi/release/tidegate-pico-w"),
];

fn open(board: &str, target: &str) -> Image {
    Image::open(&boards().join(board).join("target").join(target))
}

/// Each image keeps to the budget in its board's manifest. How deep the stack goes, the board says when its queue is full.
#[test]
#[ignore = "end to end, with an emulator: ./tests/run firmware"]
fn budgets_are_kept() {
    for (board, target) in IMAGES {
        let (size, budget) = (open(board, target).size(), budget(&boards().join(board)));
        println!("image {board}: {} bytes of flash, {} of static RAM", size.flash, size.ram);
        assert!(size.flash <= budget.flash && size.ram <= budget.ram, "{board}: {size:?} of {budget:?}");
    }
}

/// Bytes of stack. The linker script gives the emulated board as much RAM as its budget; what is not static is stack.
fn stack(unused: u32) -> u64 {
    let (board, target) = IMAGES[0];
    budget(&boards().join(board)).ram - open(board, target).size().ram - u64::from(unused)
}

/// No line of the SDK or of the frames can panic. Of others some can, where their own sums were wrong: docs/firmware.md.
#[test]
#[ignore = "end to end, with an emulator: ./tests/run firmware"]
fn nothing_of_ours_panics() {
    for (board, target) in IMAGES {
        let panics = open(board, target).panics();
        println!("panics {board}: {panics:?}");
        assert!(panics.contains_key("minimq-0.13.5"), "none in minimq: is this still the way to find them?");
        let ours =
            |name: &str| ["firmware-sdk/src/", "firmware-sdk/wire/"].iter().any(|of| name.contains(of));
        let ours: Vec<_> = panics.iter().filter(|(name, _)| ours(name)).collect();
        assert!(ours.is_empty(), "{board}: {ours:?}");
    }
}

/// A program of `firmware-sdk/boards/linux`, which ends with the value.
struct Process(std::process::Child);

impl Process {
    fn start(program: &str, dir: &std::path::Path, port: u16) -> Process {
        let path = boards().join("linux/target/release").join(program).canonicalize();
        let path = path.unwrap_or_else(|error| {
            panic!(
                "{program}: {error}: `cargo build --release --bins --examples` in firmware-sdk/boards/linux"
            )
        });
        let mut command = std::process::Command::new(path);
        Process(command.arg(format!("127.0.0.1:{port}")).current_dir(dir).spawn().expect("the sensor"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The same code on Linux: the first sensor of docs/firmware.md, and one that keeps its queue in a file, killed while the
/// daemon is away.
#[test]
#[ignore = "end to end, with an emulator: ./tests/run firmware"]
fn sensors_on_linux() {
    let (port, function) = (port::reserve(), Function::start());
    let mut daemon = Daemon::start(&format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n[streams.field]\ntopic = \"field/{{device}}\"\n\
         format = \"tidegate\"\n[summaries.second]\nwindow = \"1s\"\namend = \"1h\"\n[outputs.function]\nurl = \"{}\"\n",
        function.url()
    ));
    let dir = tempfile::tempdir().unwrap();
    let first = Process::start("examples/first_sensor", dir.path(), port);
    let sensor = Process::start("tidegate-linux", dir.path(), port);
    let counted = |device: &str| {
        let of = |summary: &tidegate_tests::events::Summary| {
            let data = &summary.event["data"];
            let whose = data["tags"]["device"] == device && data["metric"] == "channel/0";
            (data["values"]["count"].as_u64().unwrap_or(0), whose)
        };
        let events = latest(&function.events());
        let seconds: Vec<u64> =
            events.values().map(of).filter(|(_, whose)| *whose).map(|(count, _)| count).collect();
        // One reading a second; a second may begin between two of them, and then has two or none.
        assert!(seconds.iter().all(|count| *count <= 2), "{seconds:?}");
        seconds.iter().sum::<u64>()
    };
    let until = |count: u64| {
        wait::until("readings of both", PATIENCE, || match (counted("first"), counted("linux")) {
            (first, linux) if first >= count && linux >= count => Ok((first, linux)),
            seen => Err(format!("{seen:?} of {count}")),
        })
    };
    let (_, before) = until(8);
    daemon.terminate();
    let image = dir.path().join("queue.image");
    let len = || std::fs::metadata(&image).map_or(0, |metadata| metadata.len());
    let (small, start) = (len(), std::time::Instant::now());
    wait::until("some seconds in the file", PATIENCE, || {
        // Eight readings more are eight seconds more, and some bytes.
        if start.elapsed() > Duration::from_secs(9) && len() > small {
            Ok(())
        } else {
            Err(format!("{} bytes", len()))
        }
    });
    drop(sensor);
    let again = Process::start("tidegate-linux", dir.path(), port);
    daemon.launch();
    let (_, after) = until(before + 12);
    assert!(after >= before + 12);
    drop((first, again));
    let status = daemon.wait_for("what was delivered", |status| status.ledger("pending") == 0);
    assert_eq!(status.rejected_in_all() + status.ledger("dead_lettered"), 0, "{}", status.0["ledger"]);
}

/// What writing, reading and queueing cost, counted by the emulator: the same each time.
#[test]
#[ignore = "end to end, with an emulator: ./tests/run firmware"]
fn instructions() {
    let image = boards().join("mps2-an386/target/thumbv7em-none-eabihf/release/cost");
    let mut qemu = tidegate_tests::board::command(&image);
    let output = qemu.args(["-serial", "null", "-icount", "shift=0"]).output().expect("qemu-system-arm");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    said.lines().for_each(|line| println!("{line}"));
    assert!(output.status.success(), "{said}");
    let of = |what: &str| -> u32 {
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix(what))
            .unwrap_or_else(|| panic!("no `{what}` in {said}"));
        line.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok()).unwrap()
    };
    // A fifth more than in docs/firmware.md.
    assert!(of("instructions to write a frame of 60 readings: ") < 36_000, "{said}");
    assert!(of("instructions to read it: ") < 22_000, "{said}");
    assert!(of("instructions to queue a reading: ") < 800, "{said}");
}
