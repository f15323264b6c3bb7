//! Connections of the status endpoint: how many, how long, how large.

use super::api;
use super::view::View;
use crate::limits::{
    HANDSHAKE_TIMEOUT, STATUS_CONNECTION_AGE_MAX, STATUS_CONNECTIONS_MAX, STATUS_REQUEST_BYTES_MAX,
    STATUS_REQUEST_TIMEOUT, STOP_TIMEOUT,
};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// What a handler can say about the connection that its request came on.
#[derive(Debug, Default)]
pub(super) struct Connection(AtomicBool);

impl Connection {
    /// The answer has no end: the connection lives as long as its reader.
    pub(super) fn endless(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers requests until `shutdown` turns true or its sender is gone, then finishes those under way.
///
/// Browsers are kept out where they are somebody else's tool: while `listener` is on a loopback address, requests must
/// name a loopback host or an address (DNS rebinding), and orders must carry a header that a foreign page cannot set.
pub async fn serve(listener: TcpListener, view: Arc<View>, mut shutdown: watch::Receiver<bool>) {
    let local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let router = api::router(view, local, shutdown.clone());
    let places = Arc::new(Semaphore::new(STATUS_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            stream = accept(&listener) => stream,
        };
        // Whoever finds no place is closed: monitoring comes again, and a queue of silent connections would help nobody.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            connection(stream, router, shutdown).await;
            drop(place);
        });
    }
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                // Out of file descriptors, most likely: trying at once would only burn the processor.
                tracing::debug!(%error, "the status endpoint cannot accept a connection");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, mut shutdown: watch::Receiver<bool>) {
    let known = Arc::new(Connection::default());
    let service = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&known));
        hyper::service::Service::call(&service, request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT);
    builder.max_buf_size(STATUS_REQUEST_BYTES_MAX);
    let mut conn = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let grown_old = async {
        tokio::time::sleep(STATUS_CONNECTION_AGE_MAX).await;
        if known.0.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    // An error is the client's: there is nobody to tell.
    tokio::select! {
        _ = conn.as_mut() => return,
        () = grown_old => {}
        _ = shutdown.wait_for(|stop| *stop) => {}
    }
    conn.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(STATUS_REQUEST_TIMEOUT, conn).await;
}
