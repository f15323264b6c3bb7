//! The forwarder against real servers and files.

mod broker;
mod commands;
mod files;
mod budgets;
mod functions;
mod mqtt;
mod signing;
mod speed;
mod transport;

use super::memory::Memory;
use super::retry::Retry;
use super::run_output;
use super::state::OutputState;
use crate::config::model::{Auth, Batch, Compression, Content, Http, Output, OutputKind, Secret, Tls};
use crate::health::Health;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A request as a function got it.
#[derive(Clone)]
struct Received {
    method: Method,
    headers: HeaderMap,
    /// As it came.
    sent: Vec<u8>,
    /// After decompression.
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn ids(&self) -> Vec<String> {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let events = json.as_array().cloned().unwrap_or_else(|| vec![json]);
        events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a function answers; `None`: nothing, ever.
type Said = Option<Response>;

fn status(code: u16) -> Said {
    say(code, &[], "")
}

fn say(code: u16, headers: &[(&str, &str)], body: &str) -> Said {
    let mut response = Response::builder().status(StatusCode::from_u16(code).unwrap());
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Some(response.body(Body::from(body.to_owned())).unwrap())
}

/// A function that runs on this machine until it is dropped.
struct Server {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// `function` gets the number of the request, from 0, and the request.
    async fn start(function: impl Fn(usize, &Received) -> Said + Send + Sync + 'static) -> Server {
        Server::start_at("127.0.0.1:0".parse().unwrap(), function).await
    }

    async fn start_at(
        addr: SocketAddr,
        function: impl Fn(usize, &Received) -> Said + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (function, log) = (Arc::new(function), Arc::clone(&received));
        let app = Router::new()
            .fallback(move |request: Request| answer(request, Arc::clone(&log), Arc::clone(&function)));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Server { addr, received, task }
    }

    fn url(&self) -> String {
        format!("http://{}/ingest", self.addr)
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer<F: Fn(usize, &Received) -> Said>(
    request: Request,
    log: Arc<Mutex<Vec<Received>>>,
    function: Arc<F>,
) -> Response {
    let (parts, body) = request.into_parts();
    let sent = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut body = Vec::new();
    match parts.headers.get("content-encoding").map(|value| value.to_str().unwrap()) {
        Some("gzip") => flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut body).map(drop).unwrap(),
        Some(other) => {
            assert_eq!(other, "zstd");
            body = zstd::stream::decode_all(&sent[..]).unwrap();
        }
        None => body.extend_from_slice(&sent),
    }
    let request = Received { method: parts.method, headers: parts.headers, sent: sent.to_vec(), body };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    match function(number, &request) {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

/// A running output.
struct Running {
    outbox: Memory,
    health: Arc<Health>,
    state: Arc<OutputState>,
    leave: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(kind: OutputKind, outbox: Memory) -> Running {
        let (health, state) = (Arc::new(Health::default()), Arc::new(OutputState::default()));
        let (leave, shutdown) = watch::channel(false);
        let output = Output { name: "out".into(), kind };
        let retry = Retry { min: Duration::from_millis(2), max: Duration::from_millis(20) };
        let run =
            run_output(output, retry, outbox.clone(), Arc::clone(&health), Arc::clone(&state), shutdown);
        Running { outbox, health, state, leave, task: tokio::spawn(run) }
    }

    fn http(cfg: Http, events: u64) -> Running {
        Running::start(OutputKind::Http(Box::new(cfg)), Memory::with(events))
    }

    /// The problem at the output.
    fn problem(&self) -> Option<String> {
        let mut problems = self.health.problems();
        assert!(problems.iter().all(|problem| problem.at == "outputs.out"));
        problems.pop().map(|problem| problem.text)
    }

    /// Waits for a problem whose text holds `part`; meanwhile nothing may be given up.
    async fn has_problem(&self, part: &str) {
        eventually(
            || self.problem().is_some_and(|text| text.contains(part)),
            || format!("{part:?} in {:?}", self.problem()),
        )
        .await;
        assert!(self.outbox.refused().is_empty());
    }

    async fn stop(self) {
        self.leave.send_replace(true);
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("it leaves").unwrap();
        assert_eq!(self.health.problems(), []);
    }
}

/// Waits for something that can be seen but not awaited.
async fn eventually(mut seen: impl FnMut() -> bool, what: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !seen() {
        assert!(Instant::now() < deadline, "waited in vain for {}", what());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) fn http(url: String) -> Http {
    Http {
        url,
        auth: Auth::None,
        content: Content::Structured,
        batch: None,
        concurrency: 1,
        compression: Compression::None,
        budget: None,
        timeout: Duration::from_secs(10),
        tls: Tls::default(),
        commands: None,
    }
}

fn batched(url: String, events: usize) -> Http {
    Http { batch: Some(Batch { events, bytes: 256 << 10, linger: Duration::ZERO }), ..http(url) }
}

fn ids(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("e{n}")).collect()
}
