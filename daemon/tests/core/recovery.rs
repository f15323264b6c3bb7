//! How long a start takes after a kill. `cargo test --release -p tidegate --test core recovery -- --ignored --nocapture`

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tidegate::clock::Clock;
use tidegate::config::{self, Environment};
use tidegate::store::{Commit, Opened, Store, file};
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::Plan;

const WINDOWS: u64 = 100_000;
const JOURNAL_BYTES: u64 = 16 << 20;
const RUNS: usize = 5;

/// A store with 100,000 open windows in its checkpoint and 16 MB of journal behind it, copied while it is open: what a kill
/// leaves. Then the process is started, from its first instruction until `/readyz` says yes.
#[test]
#[ignore = "a measurement: run it in a release build"]
fn recovery() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "[gateway]\nid = \"bench\"\ndata_dir = {data:?}\n[status]\nlisten = \"127.0.0.1:{port}\"\n[clock]\n\
         unsynchronised = \"trust\"\n[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:0\"\n[streams.s]\n\
         topic = \"s/{{device}}/{{metric}}\"\nformat = \"json\"\nvalue = \"/v\"\n[summaries.day]\nwindow = \"1d\"\n\
         [outputs.o]\nurl = \"http://127.0.0.1:1/\"\n[buffer]\nhistory = \"0s\"\n"
    );
    let configuration = dir.path().join("tidegate.toml");
    std::fs::write(&configuration, &text).unwrap();
    let config = config::parse(&text, "test", Path::new("."), &Environment::from_system()).unwrap().config;
    let plan = Plan { source: "/gateways/bench/abcdef".into(), ..config.plan };
    let (image, journal) = fill(&dir.path().join("store"), plan);
    println!("{} bytes of file, {journal} of journal", image.len());
    let mut busy = Duration::MAX;
    let mut took: Vec<Duration> = (0..RUNS)
        .map(|_| {
            std::fs::write(data.join("tidegate.redb"), &image).unwrap();
            let start = Instant::now();
            let mut process = Process::start(&configuration);
            while !is_ready(port) {
                assert!(start.elapsed() < Duration::from_secs(60) && process.0.try_wait().unwrap().is_none());
                std::thread::sleep(Duration::from_millis(2));
            }
            busy = busy.min(process.busy());
            start.elapsed()
        })
        .collect();
    took.sort();
    println!(
        "ready {} to {} ms after the start, {} in the middle; {} ms of processor time at least",
        took[0].as_millis(),
        took[RUNS - 1].as_millis(),
        took[RUNS / 2].as_millis(),
        busy.as_millis()
    );
    let opening = Instant::now();
    let path = dir.path().join("copy");
    std::fs::write(&path, &image).unwrap();
    let written = opening.elapsed();
    let Opened { pipeline, .. } = Store::open("copy", file(&path), "x", |_| Plan::default()).unwrap();
    println!("opening alone {} ms", (opening.elapsed() - written).as_millis());
    assert_eq!(pipeline.open_windows() as u64, WINDOWS);
    assert!(took[RUNS / 2] < Duration::from_secs(5), "{took:?}");
}

/// The bytes of the store after a kill, and how many of them are journal.
fn fill(path: &Path, plan: Plan) -> (Vec<u8>, u64) {
    let Opened { mut store, mut pipeline } = Store::open("store", file(path), "abcdef", |_| plan).unwrap();
    let (mut bytes, mut round) = (0, 0);
    // Now, so that the windows of today stay open.
    let now = Clock.now();
    let mut send = |store: &mut Store, pipeline: &mut tidegate_pipeline::Pipeline, from: u64, count: u64| {
        round += 1;
        let mut step = pipeline.step();
        for n in from..from + count {
            let topic = format!("s/d{}/t", n % WINDOWS);
            let payload = format!(r#"{{"v":{}.{}}}"#, (n * 7 + round * 13) % 97, (n * 31 + round) % 1_000);
            step.message(&Message {
                source: 0,
                session: "sensor",
                topic: topic.as_bytes(),
                payload: payload.as_bytes(),
                retained: false,
                acknowledged: true,
                may_repeat: true,
                arrival: now,
            });
        }
        let changes = step.finish(now, &|_| false, &Default::default());
        let before = store.live_bytes();
        store.commit(&Commit { changes, at: now, ..Commit::default() }).unwrap();
        store.live_bytes() - before
    };
    for from in (0..WINDOWS).step_by(10_000) {
        send(&mut store, &mut pipeline, from, 10_000);
    }
    store.checkpoint_now(&pipeline).unwrap();
    let mut from = 0;
    while bytes < JOURNAL_BYTES {
        bytes += send(&mut store, &mut pipeline, from, 4_000);
        from += 4_000;
    }
    (std::fs::read(path).unwrap(), bytes)
}

/// The daemon, killed at the end.
struct Process(Child);

impl Process {
    fn start(configuration: &Path) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(["run", "--config"]).arg(configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Process(command.spawn().unwrap())
    }
}

impl Process {
    /// Processor time so far, user and system: what it takes where nobody else wants the processor.
    fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = [11, 12].map(|field: usize| fields[field].parse::<u64>().unwrap());
        Duration::from_millis(ticks.iter().sum::<u64>() * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
        Ok(line.contains(" 200 "))
    };
    ask().unwrap_or(false)
}
