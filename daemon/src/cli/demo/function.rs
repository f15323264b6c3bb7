//! The function of the demo: takes CloudEvents over HTTP and remembers what it saw last.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// A function on this machine.
#[derive(Debug)]
pub(super) struct Function {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    events: u64,
    latest: Vec<serde_json::Value>,
}

impl Function {
    pub(super) async fn start() -> std::io::Result<Function> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let router = Router::new().route("/ingest", post(ingest)).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Function { address, seen })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many events came, repeated deliveries included.
    pub(super) fn events(&self) -> u64 {
        lock(&self.seen).events
    }

    /// The events since the last call.
    pub(super) fn take_latest(&self) -> Vec<serde_json::Value> {
        std::mem::take(&mut lock(&self.seen).latest)
    }
}

async fn ingest(State(seen): State<Arc<Mutex<Seen>>>, body: Bytes) -> StatusCode {
    let events = match serde_json::from_slice(&body) {
        Ok(serde_json::Value::Array(events)) => events,
        Ok(event) => vec![event],
        Err(_) => return StatusCode::BAD_REQUEST,
    };
    let mut seen = lock(&seen);
    seen.events += events.len() as u64;
    seen.latest.extend(events);
    StatusCode::NO_CONTENT
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
