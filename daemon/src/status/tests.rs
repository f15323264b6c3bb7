//! The status endpoint over real sockets, around a real writer with a real store.

use super::{Running, View, serve};
use crate::clock::{System, Timekeeper, uptime};
use crate::config::model::Buffer;
use crate::config::{self, Environment};
use crate::forward::state::OutputState;
use crate::ingest::heart::{Heart, Parts};
use crate::ingest::intake::{Input, Intake, Link, Message, Run};
use crate::limits::TAPS_MAX;
use crate::mqtt::SourceState;
use crate::store::{self, Store};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tidegate_pipeline::verdict::Reason;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
[sources.field]
type = "listen"
[streams.climate]
topic = "s/{device}/{metric}"
format = "json"
clean = [{ range = { max = 1_000 } }]
[clock]
unsynchronised = "trust"
[summaries.minute]
window = "1m"
[outputs.out]
url = "http://127.0.0.1:1/"
"#;

/// A daemon without sources and outputs: what comes in is pushed by the test.
struct Bench {
    view: Arc<View>,
    intake: Arc<Intake>,
    link: Arc<Link>,
    runs: u64,
    address: SocketAddr,
    plans: mpsc::Sender<crate::ingest::change::NewPlan>,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
    heart: std::thread::JoinHandle<()>,
    _dir: TempDir,
}

impl Bench {
    async fn start() -> Bench {
        let bench = Bench::prepare().await;
        bench.0.view.show(bench.1);
        bench.0
    }

    /// A daemon that is about to be ready.
    async fn prepare() -> (Bench, Running) {
        let dir = tempfile::tempdir().unwrap();
        let loaded = config::parse(CONFIG, "test", Path::new("."), &Environment::from_system()).unwrap();
        let path = dir.path().join("store");
        let opened =
            Store::open("store", store::file(&path), "name", |_| loaded.config.plan.clone()).unwrap();
        let clock = Timekeeper::new(System::new(), tidegate_pipeline::time::Time::MIN);
        let buffer = Buffer { commit_interval: Duration::from_millis(1), ..Buffer::default() };
        let (parts, plans) = Parts::new(opened.store, opened.pipeline, clock, buffer);
        let intake = Arc::clone(&parts.intake);
        let running = Running {
            gateway: "bench".into(),
            bytes_max: buffer.bytes_max,
            sources: vec![("field".into(), Arc::new(SourceState::default()), None)],
            outputs: vec![("out".into(), Arc::new(OutputState::default()))],
            mailbox: Arc::clone(&parts.mailbox),
            intake: Arc::clone(&intake),
            store: Arc::clone(parts.store.shared()),
            history: None,
            health: Arc::clone(&parts.health),
            pulses: Arc::default(),
            figures: Arc::clone(&parts.figures),
            taps: parts.taps.clone(),
        };
        let heart = Heart::new(parts, Instant::now());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let view = View::new();
        let (stop, stopped) = watch::channel(false);
        let bench = Bench {
            server: tokio::spawn(serve(listener, Arc::clone(&view), stopped)),
            heart: std::thread::spawn(|| heart.run()),
            link: Link::new(0, "sensor", 100),
            runs: 0,
            view,
            intake,
            address,
            plans,
            stop,
            _dir: dir,
        };
        (bench, running)
    }

    /// One message, committed when this returns.
    async fn publish(&mut self, topic: &str, payload: &str) {
        self.runs += 1;
        let (end, all) = (topic.len() as u32, (topic.len() + payload.len()) as u32);
        let message =
            Message { topic: 0..end, payload: end..all, retained: false, acknowledged: true, dup: false };
        let run = Run {
            link: Arc::clone(&self.link),
            number: self.runs,
            arrival: uptime(),
            bytes: format!("{topic}{payload}").into(),
            messages: vec![message],
        };
        self.intake.push(Input::Run(run)).await;
        let committed = async {
            while self.link.committed() < self.runs {
                self.link.risen().await;
            }
        };
        tokio::time::timeout(PATIENCE, committed).await.expect("a commit");
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)).await
    }

    async fn json(&self, path: &str) -> Value {
        let (code, body) = self.get(path).await;
        assert_eq!(code, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (code, body) = self.ask(&request).await;
        (code, serde_json::from_str(&body).unwrap_or_default())
    }

    /// Status code and body; the body as it is, chunks and all.
    async fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        tokio::time::timeout(PATIENCE, read)
            .await
            .unwrap_or_else(|_| panic!("no answer to {request}"))
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (code.unwrap_or(0), body.to_owned())
    }

    async fn tap(&self, filter: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET /api/tap?filter={filter} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        BufReader::new(stream)
    }

    /// Ends everything, and sees that it ends.
    async fn stop(self) {
        self.stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE, self.server).await.expect("the server to end").unwrap();
        self.intake.close();
        drop(self.plans);
        self.heart.join().unwrap();
    }
}

/// The next line that is a JSON object.
async fn next_object(reader: &mut BufReader<TcpStream>) -> Value {
    let read = async {
        loop {
            let mut line = String::new();
            assert_ne!(reader.read_line(&mut line).await.unwrap(), 0, "the stream ended");
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("a line")
}

#[tokio::test]
async fn readiness_comes_with_the_daemon() {
    let (bench, running) = Bench::prepare().await;
    assert_eq!(bench.get("/readyz").await, (503, "waits for the store to open\n".into()));
    assert_eq!(bench.get("/healthz").await, (200, "alive\n".into()));
    for path in ["/api/status", "/metrics", "/api/deadletters", "/api/tap"] {
        assert_eq!(bench.get(path).await.0, 503, "{path}");
    }
    assert!(bench.get("/").await.1.contains("waits for the store"));
    bench.view.show(running);
    assert_eq!(bench.get("/readyz").await, (200, "ready\n".into()));
    let pulses = Arc::clone(&bench.view.running().unwrap().pulses);
    let writer = pulses.part("the writer");
    writer.does("takes and writes", Duration::ZERO);
    let (status, text) = bench.get("/healthz").await;
    assert!(status == 503 && text.starts_with("the writer is stuck: it takes and writes"), "{status} {text}");
    writer.waits("waits for the disk");
    assert_eq!(bench.get("/healthz").await, (200, "alive\n".into()));
    bench.view.not_ready("stopping");
    assert_eq!(bench.get("/readyz").await, (503, "stopping\n".into()));
    assert_eq!(bench.get("/api/status").await.0, 200);
    bench.stop().await;
}

#[tokio::test]
async fn status_shows_what_was_committed() {
    let mut bench = Bench::start().await;
    bench.publish("s/d1/t", "21.5").await;
    bench.publish("s/d1/t", "1001").await;
    bench.publish("elsewhere", "1").await;
    bench.publish("s/d1/t", "{").await;
    bench.intake.push(Input::Refused { reason: Reason::TooLarge, count: 3 }).await;
    let status = loop {
        let status = bench.json("/api/status").await;
        // Lists follow the ledger within a second.
        if status["ledger"]["pending"] == 0 && status["rejections"] != json!([]) {
            break status;
        }
    };
    assert_eq!(
        status["ledger"],
        json!({"received": 7, "counted": 1, "duplicate": 0,
               "rejected": {"range": 1, "unmatched": 1, "too_large": 3},
               "dead_lettered": 1, "pending": 0})
    );
    assert_eq!((&status["state"], &status["series"]), (&json!("ok"), &json!(1)));
    let series = &status["rejections"][0];
    assert_eq!((&series["metric"], &series["total"]), (&json!("t"), &json!(1)), "{status}");
    assert_eq!((&series["reasons"], &series["tags"]), (&json!({"range": 1}), &json!({"device": "d1"})));
    assert_eq!(status["source"], "/gateways/bench/name");
    assert_eq!(status["outputs"]["out"]["made"], 0);
    assert_eq!(status["sources"]["field"]["connected"], false);
    assert!(status["buffer"]["bytes"].as_u64() > Some(0), "{status}");
    let metrics = bench.get("/metrics").await.1;
    assert!(metrics.contains("tidegate_readings_total{term=\"counted\",reason=\"\"} 1\n"), "{metrics}");
    assert!(bench.get("/").await.1.contains("too_large"));
    bench.stop().await;
}

#[tokio::test]
async fn who_may_ask() {
    let bench = Bench::start().await;
    let check = async |request: &str, expected: u16| {
        let code = bench.ask(&format!("{request}\r\nConnection: close\r\n\r\n")).await.0;
        assert_eq!(code, expected, "{request}");
    };
    check("GET /readyz HTTP/1.1\r\nHost: localhost:1", 200).await;
    check("GET /readyz HTTP/1.1\r\nHost: [::1]:1", 200).await;
    check("GET /readyz HTTP/1.1\r\nHost: evil.example", 403).await;
    check("GET /readyz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example", 403).await;
    check("GET http://evil.example/readyz HTTP/1.1\r\nHost: localhost", 403).await;
    check("POST /api/deadletters/drop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0", 403).await;
    check(
        "POST /api/deadletters/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0",
        403,
    )
    .await;
    check(
        "POST /api/deadletters/drop HTTP/1.1\r\nHost: localhost\r\nX-Tidegate: 1\r\nContent-Length: 0",
        400,
    )
    .await;
    check("GET /nowhere HTTP/1.1\r\nHost: localhost", 404).await;
    check("GET /api/deadletters/x HTTP/1.1\r\nHost: localhost", 400).await;
    check("GET /api/deadletters/7 HTTP/1.1\r\nHost: localhost", 404).await;
    check(&format!("GET /readyz HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(100_000)), 431).await;
    bench.stop().await;
}

#[tokio::test]
async fn taps_show_what_they_were_asked_for() {
    let mut bench = Bench::start().await;
    let mut all = bench.tap("").await;
    let mut stream = bench.tap("climate").await;
    let mut topic = bench.tap("s%2F%2B%2Fh").await;
    while bench.view.running().unwrap().taps.receiver_count() < 3 {
        tokio::task::yield_now().await;
    }
    bench.publish("elsewhere", "1").await;
    bench.publish("s/d1/t", "21.5").await;
    bench.publish("s/d1/h", "40").await;
    let line = next_object(&mut all).await;
    assert_eq!(
        (&line["topic"], &line["reason"], &line["payload"]),
        (&json!("elsewhere"), &json!("unmatched"), &json!("1"))
    );
    let line = next_object(&mut stream).await;
    assert_eq!(
        (&line["metric"], &line["value"], &line["verdict"]),
        (&json!("t"), &json!(21.5), &json!("counted"))
    );
    assert_eq!(line["tags"], json!({"device": "d1"}));
    assert_eq!(next_object(&mut topic).await["metric"], "h");
    // Readers that leave make room for others, though nothing was said to them since.
    drop((all, stream, topic));
    while bench.view.running().unwrap().taps.receiver_count() > 0 {
        tokio::task::yield_now().await;
    }
    let mut taps = Vec::new();
    for _ in 0..TAPS_MAX {
        taps.push(bench.tap("").await);
    }
    while bench.view.running().unwrap().taps.receiver_count() < TAPS_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.get("/api/tap").await.0, 429);
    // Open taps do not keep the daemon from leaving.
    bench.stop().await;
}

#[tokio::test]
async fn dead_letters_are_listed_shown_retried_and_dropped() {
    let mut bench = Bench::start().await;
    for payload in ["{", "[", "\"\u{1}"] {
        bench.publish("s/d1/t", payload).await;
    }
    let list = bench.json("/api/deadletters?limit=2").await;
    assert_eq!(
        (list["letters"].as_array().map(Vec::len), &list["next"]),
        (Some(2), &list["letters"][1]["id"])
    );
    assert_eq!((&list["kept"], &list["letters"][0]["reason"]), (&json!(3), &json!("malformed")));
    let rest = bench.json(&format!("/api/deadletters?after={}", list["next"])).await;
    assert_eq!((rest["letters"].as_array().map(Vec::len), &rest["next"]), (Some(1), &json!(null)));
    assert_eq!(bench.json("/api/deadletters?reason=future").await["letters"], json!([]));
    let id = list["letters"][0]["id"].as_u64().unwrap();
    let letter = bench.json(&format!("/api/deadletters/{id}")).await;
    assert_eq!(
        (&letter["payload"], &letter["topic"], &letter["stream"]),
        (&json!("{"), &json!("s/d1/t"), &json!("climate"))
    );

    let (code, answer) = bench.post("/api/deadletters/drop", json!({"ids": [id, 999]})).await;
    assert_eq!((code, &answer["done"], &answer["missing"]), (200, &json!(1), &json!([999])));
    let ledger = bench.json("/api/status").await["ledger"].clone();
    assert_eq!((&ledger["dead_lettered"], &ledger["rejected"]["dropped"]), (&json!(2), &json!(1)));

    // What fails again is a dead letter again, and is not tried for ever.
    let (code, answer) = bench.post("/api/deadletters/retry", json!({"all": true})).await;
    assert_eq!((code, &answer["done"], &answer["more"]), (200, &json!(2), &json!(false)));
    let ledger = bench.json("/api/status").await["ledger"].clone();
    assert_eq!((&ledger["received"], &ledger["dead_lettered"]), (&json!(3), &json!(2)));

    let (_, answer) = bench.post("/api/deadletters/drop", json!({"all": true, "reason": "future"})).await;
    assert_eq!(answer["done"], 0);
    let (_, answer) = bench.post("/api/deadletters/drop", json!({"all": true, "reason": "malformed"})).await;
    assert_eq!(answer["done"], 2);
    for wrong in
        [json!({}), json!({"ids": []}), json!({"all": true, "ids": [1]}), json!({"id": 1}), json!([])]
    {
        assert_eq!(bench.post("/api/deadletters/drop", wrong.clone()).await.0, 400, "{wrong}");
    }
    bench.stop().await;
}
