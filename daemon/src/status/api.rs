//! What is where, and who may ask.

use super::view::{Running, View};
use super::{history, letters, metrics, page, tap};
use crate::limits::{STATUS_REQUEST_BYTES_MAX, STATUS_REQUEST_TIMEOUT};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// A form on a foreign page cannot set this header; a script there would have to ask first, and is not allowed to.
const OURS: &str = "x-tidegate";

/// All routes. `local`: the endpoint is bound to a loopback address.
pub(super) fn router(view: Arc<View>, local: bool, shutdown: watch::Receiver<bool>) -> Router {
    let mut router = Router::new()
        .route("/", get(human))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(prometheus))
        .route("/api/status", get(status))
        .route("/api/deadletters", get(letters::list))
        .route("/api/deadletters/{id}", get(letters::show))
        .route("/api/deadletters/retry", post(letters::retry))
        .route("/api/deadletters/drop", post(letters::discard))
        .route("/api/history", get(history::query))
        .route("/api/tap", get(tap::tap).with_state((Arc::clone(&view), shutdown)))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "there is nothing here; see / for a start"))
        .with_state(view)
        .layer(DefaultBodyLimit::max(STATUS_REQUEST_BYTES_MAX))
        .layer(from_fn(in_time))
        .layer(from_fn(no_forgery));
    if local {
        router = router.layer(from_fn(no_rebinding));
    }
    router.layer(from_fn(careful_answers))
}

/// An answer that is none: the code, and what to do instead. The body is `{"error": …}`.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// See [`Refusal`].
pub(super) fn refusal(code: StatusCode, why: impl Into<String>) -> Refusal {
    Refusal(code, why.into())
}

/// The running daemon, or why there is none yet.
pub(super) fn running(view: &View) -> Result<Arc<Running>, Refusal> {
    view.running().ok_or_else(|| {
        let why = view.unready().unwrap_or_default();
        refusal(StatusCode::SERVICE_UNAVAILABLE, format!("tidegate is not ready: {why}"))
    })
}

async fn healthz(State(view): State<Arc<View>>) -> (StatusCode, String) {
    match view.alive() {
        Ok(()) => (StatusCode::OK, "alive\n".into()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn readyz(State(view): State<Arc<View>>) -> (StatusCode, String) {
    match view.unready() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn status(State(view): State<Arc<View>>) -> Result<Response, Refusal> {
    let running = running(&view)?;
    Ok(Json(view.document_of(&running)).into_response())
}

async fn prometheus(State(view): State<Arc<View>>) -> Result<Response, Refusal> {
    let running = running(&view)?;
    let text = metrics::exposition(&view.document_of(&running), &running.account().0);
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn human(State(view): State<Arc<View>>) -> Html<String> {
    Html(match view.document() {
        Some(document) => page::page(&document),
        None => page::waiting(&view.unready().unwrap_or_default()),
    })
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(STATUS_REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refusal(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response(),
    }
}

/// Orders come from our own command or from a script of the operator, never from a form on somebody's page.
async fn no_forgery(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || is_deliberate(request.headers()) {
        return next.run(request).await;
    }
    refusal(StatusCode::FORBIDDEN, "send `Content-Type: application/json` or `X-Tidegate: 1` with an order")
        .into_response()
}

fn is_deliberate(headers: &HeaderMap) -> bool {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    });
    json || headers.contains_key(OURS)
}

/// A page whose name was pointed at 127.0.0.1 sends that name as `Host`. Addresses cannot be pointed anywhere.
async fn no_rebinding(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST);
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let named = hosts.iter().map(|host| host.to_str().unwrap_or_default()).chain(authority);
    if named.into_iter().all(is_local_name) {
        return next.run(request).await;
    }
    refusal(
        StatusCode::FORBIDDEN,
        "ask for http://127.0.0.1 or http://localhost: on a loopback address other host names are not answered",
    )
    .into_response()
}

fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

async fn careful_answers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let set: [(_, &'static str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'",
        ),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names() {
        for (host, expected) in [
            ("127.0.0.1:8380", true),
            ("127.0.0.1", true),
            ("[::1]:8380", true),
            ("localhost", true),
            ("LOCALHOST:80", true),
            ("192.168.1.7:8380", true),
            ("evil.example", false),
            ("localhost.evil.example:8380", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
            ("[", false),
        ] {
            assert_eq!(is_local_name(host), expected, "{host}");
        }
    }
}
