//! A cloud function on this machine: takes CloudEvents over HTTP, remembers them, and misbehaves on request.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// The largest body that it takes, before and after decompression, in bytes.
const BODY_BYTES_MAX: usize = 16 << 20;

/// How the function answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Takes events and says 204.
    #[default]
    Accept,
    /// Takes nothing and says so with this status.
    Status(u16),
    /// Takes nothing; answers 200 with a web page, as a captive portal does.
    Html,
    /// Takes events, but only after so long.
    Slow(Duration),
    /// Takes events, but refuses each request that holds this text, for ever: 422.
    RefuseHolding(&'static str),
    /// Takes events and answers 200 with this document.
    Say(&'static str),
    /// Takes events, but its answer is 503, as when a gateway in between gives up.
    LoseAnswers,
}

impl Mode {
    /// From the words of the control endpoint: `accept`, `status 503`, `html`, `slow 500` (milliseconds), `lose`.
    pub fn parse(text: &str) -> Option<Mode> {
        let mut words = text.split_ascii_whitespace();
        let word = words.next()?;
        let number = words.next().map(str::parse::<u16>);
        match (word, number) {
            ("accept", None) => Some(Mode::Accept),
            ("html", None) => Some(Mode::Html),
            ("lose", None) => Some(Mode::LoseAnswers),
            ("status", Some(Ok(code))) => StatusCode::from_u16(code).ok().map(|_| Mode::Status(code)),
            ("slow", Some(Ok(ms))) => Some(Mode::Slow(Duration::from_millis(ms.into()))),
            _ => None,
        }
    }
}

/// An event that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The CloudEvent.
    pub event: Value,
}

/// What the function has seen.
#[derive(Debug, Default)]
struct Seen {
    mode: Mode,
    events: Vec<Received>,
    requests: u64,
    turned_away: u64,
    malformed: Vec<String>,
    file: Option<File>,
}

type Shared = Arc<Mutex<Seen>>;

/// A running function. What it received survives its being away.
#[derive(Debug)]
pub struct Function {
    address: SocketAddr,
    seen: Shared,
    server: Mutex<Option<Server>>,
}

#[derive(Debug)]
struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Function {
    /// Starts one on a port of its own.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start() -> Function {
        Function::at(SocketAddr::from(([127, 0, 0, 1], crate::port::reserve())), None)
    }

    /// Starts one at `address` that appends each event as a line of JSON to `file`.
    ///
    /// # Panics
    /// When it cannot listen, or the file cannot be opened.
    pub fn at(address: SocketAddr, file: Option<&Path>) -> Function {
        let open =
            |path: &Path| File::options().create(true).append(true).open(path).expect("the file for events");
        let seen = Seen { file: file.map(open), ..Seen::default() };
        let function = Function { address, seen: Arc::new(Mutex::new(seen)), server: Mutex::new(None) };
        function.come_back();
        function
    }

    /// What belongs into `url`.
    pub fn url(&self) -> String {
        format!("http://{}/ingest", self.address)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes how it answers.
    pub fn set(&self, mode: Mode) {
        self.seen().mode = mode;
    }

    /// Closes the port and every connection, as when the uplink is gone.
    ///
    /// # Panics
    /// When the server's thread has panicked.
    pub fn go_away(&self) {
        if let Some(server) = self.server.lock().expect("server").take() {
            let _gone_already = server.stop.send(());
            server.thread.join().expect("the function's thread");
        }
    }

    /// Listens again.
    ///
    /// # Panics
    /// When the port was taken meanwhile.
    pub fn come_back(&self) {
        let mut server = self.server.lock().expect("server");
        if server.is_none() {
            *server = Some(serve(self.address, router(&self.seen)));
        }
    }

    /// All events so far, in order of arrival, repetitions included.
    pub fn events(&self) -> Vec<Received> {
        self.seen().events.clone()
    }

    /// How many events so far.
    pub fn event_count(&self) -> usize {
        self.seen().events.len()
    }

    /// How many requests so far, whatever the answer.
    pub fn requests(&self) -> u64 {
        self.seen().requests
    }

    /// How many requests were answered without taking their events.
    pub fn turned_away(&self) -> u64 {
        self.seen().turned_away
    }

    /// What was wrong with requests that were no CloudEvents: a mistake of the sender.
    pub fn malformed(&self) -> Vec<String> {
        self.seen().malformed.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("what the function has seen")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        if let Ok(server) = self.server.get_mut()
            && let Some(server) = server.take()
        {
            let _gone_already = server.stop.send(());
            let _panicked = server.thread.join();
        }
    }
}

fn router(seen: &Shared) -> Router {
    Router::new().fallback(take).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(seen.clone())
}

/// A server on a runtime of its own: dropping that runtime drops its connections too, which is what "away" means.
fn serve(address: SocketAddr, router: Router) -> Server {
    let (stop, stopped) = oneshot::channel::<()>();
    let (bound, is_bound) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind(address).await;
            let problem = listener.as_ref().err().map(|e| format!("{address}: {e}"));
            let _waiting = bound.send(problem);
            let Ok(listener) = listener else { return };
            tokio::select! {
                _ = axum::serve(listener, router) => {}
                _ = stopped => {}
            }
        });
        // Without a time-out for slow answers: they are dropped where they wait.
        runtime.shutdown_background();
    });
    match is_bound.recv() {
        Ok(None) => Server { stop, thread },
        Ok(Some(problem)) => panic!("the function cannot listen on {problem}"),
        Err(_) => panic!("the function's thread ended before it listened"),
    }
}

async fn take(State(seen): State<Shared>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    // A sender may try the connection before it has anything to send; that brings no event.
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let mode = {
        let mut seen = seen.lock().expect("what the function has seen");
        seen.requests += 1;
        if matches!(seen.mode, Mode::Status(_) | Mode::Html) {
            seen.turned_away += 1;
        }
        seen.mode
    };
    match mode {
        Mode::Status(code) => return StatusCode::from_u16(code).expect("a status code").into_response(),
        Mode::Html => return page(),
        Mode::Slow(delay) => tokio::time::sleep(delay).await,
        Mode::Accept | Mode::LoseAnswers | Mode::RefuseHolding(_) | Mode::Say(_) => {}
    }
    let events = match decode(&headers, &body) {
        Ok(events) => events,
        Err(problem) => {
            seen.lock().expect("what the function has seen").malformed.push(problem.clone());
            return (StatusCode::BAD_REQUEST, problem).into_response();
        }
    };
    if let Mode::RefuseHolding(text) = mode
        && events.iter().any(|event| event.to_string().contains(text))
    {
        seen.lock().expect("what the function has seen").turned_away += 1;
        return (StatusCode::UNPROCESSABLE_ENTITY, "this one I do not like").into_response();
    }
    remember(&mut seen.lock().expect("what the function has seen"), events);
    match mode {
        Mode::LoseAnswers => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::Say(document) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

fn remember(seen: &mut Seen, events: Vec<Value>) {
    let at_ms = now_ms();
    if let Some(file) = &mut seen.file {
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        file.write_all(lines.as_bytes()).expect("the file for events");
    }
    seen.events.extend(events.into_iter().map(|event| Received { at_ms, event }));
}

fn page() -> Response {
    let login = Body::from("<!doctype html><title>Welcome</title><p>Please log in to use this network.");
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], login).into_response()
}

/// CloudEvents over HTTP, structured and batched mode (CloudEvents HTTP binding 1.0, sections 3.2 and 3.3).
fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Value>, String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut plain = Vec::new();
    match text(header::CONTENT_ENCODING) {
        "" | "identity" => plain.extend_from_slice(body),
        "gzip" => {
            let mut reader = GzDecoder::new(body).take(BODY_BYTES_MAX as u64);
            reader.read_to_end(&mut plain).map_err(|e| format!("the body is not gzip: {e}"))?;
        }
        other => return Err(format!("Content-Encoding {other} is not known")),
    }
    let value: Value = serde_json::from_slice(&plain).map_err(|e| format!("the body is not JSON: {e}"))?;
    let kind = text(header::CONTENT_TYPE);
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let events = match (kind, value) {
        ("application/cloudevents+json", event @ Value::Object(_)) => vec![event],
        ("application/cloudevents-batch+json", Value::Array(events)) => events,
        (other, _) => return Err(format!("Content-Type {other:?} does not fit the body")),
    };
    for event in &events {
        for name in ["specversion", "type", "source", "id"] {
            if !event[name].is_string() {
                return Err(format!("an event without `{name}`: {event}"));
            }
        }
    }
    Ok(events)
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (text, expected) in [
            ("accept", Some(Mode::Accept)),
            ("status 404", Some(Mode::Status(404))),
            ("slow 250\n", Some(Mode::Slow(Duration::from_millis(250)))),
            ("html", Some(Mode::Html)),
            ("lose", Some(Mode::LoseAnswers)),
            ("status 7", None),
            ("status", None),
            ("", None),
        ] {
            assert_eq!(Mode::parse(text), expected, "{text:?}");
        }
    }

    fn post(function: &Function, kind: &str, body: &str) -> Option<u16> {
        use std::net::TcpStream;
        let mut stream = TcpStream::connect(function.address).ok()?;
        let len = body.len();
        write!(stream, "POST / HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\r\n{body}")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    #[test]
    fn takes_goes_away_and_comes_back() {
        let function = Function::start();
        let event = r#"{"specversion":"1.0","type":"t","source":"s","id":"1"}"#;
        let single = |function| post(function, "application/cloudevents+json", event);
        assert_eq!(single(&function), Some(204));
        let batch = format!("[{event},{event}]");
        assert_eq!(post(&function, "application/cloudevents-batch+json", &batch), Some(204));
        assert_eq!(post(&function, "application/json", event), Some(400));
        function.set(Mode::Status(500));
        assert_eq!(single(&function), Some(500));
        function.set(Mode::LoseAnswers);
        assert_eq!(single(&function), Some(503));
        function.go_away();
        assert_eq!(single(&function), None);
        function.set(Mode::Accept);
        function.come_back();
        assert_eq!(single(&function), Some(204));
        assert_eq!((function.event_count(), function.malformed().len(), function.turned_away()), (5, 1, 1));
    }
}
