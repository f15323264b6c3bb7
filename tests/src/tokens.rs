//! A server that gives out tokens, to service accounts of Google and to clients of OAuth 2.0.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// `{"alg":"none"}` and `{"iat":0,"exp":3600}`: nobody here looks into it but the daemon, for how long it lives.
const JWT: &str = "eyJhbGciOiJub25lIn0.eyJpYXQiOjAsImV4cCI6MzYwMH0";

/// A running server.
#[derive(Debug)]
pub struct Tokens {
    address: SocketAddr,
    token: String,
    granted: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Tokens {
    /// Grants a token that ends in `secret` to whoever asks for one as the standards say.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start(secret: &str) -> Tokens {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (token, granted) = (format!("{JWT}.{secret}"), Arc::new(AtomicU64::new(0)));
        let state = (token.clone(), granted.clone());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let router = Router::new().route("/token", post(grant)).with_state(state);
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        Tokens { address, token, granted, stop: Some(stop), thread: Some(thread) }
    }

    /// Where tokens are asked for.
    pub fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// The token that everybody gets.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// How many were given out.
    pub fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// A key file of a service account that asks here. The key is that of RFC 7515, appendix A.2.
    pub fn service_account(&self) -> String {
        let key = include_str!("../../daemon/src/forward/http/sign/rfc7515-a2.pem");
        json!({
            "type": "service_account",
            "client_email": "gateway@test.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": key,
            "token_uri": self.url(),
        })
        .to_string()
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn grant(
    State((token, granted)): State<(String, Arc<AtomicU64>)>,
    headers: HeaderMap,
    form: String,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let by_assertion = form.contains("grant-type%3Ajwt-bearer") && form.contains("assertion=eyJ");
    let by_secret =
        form.contains("grant_type=client_credentials") && headers.contains_key(header::AUTHORIZATION);
    if kind != Some("application/x-www-form-urlencoded") || !(by_assertion || by_secret) {
        let refusal = json!({"error": "invalid_request"});
        return (StatusCode::BAD_REQUEST, refusal.to_string()).into_response();
    }
    granted.fetch_add(1, Ordering::Relaxed);
    json!({"access_token": token, "id_token": token, "token_type": "Bearer", "expires_in": 3600})
        .to_string()
        .into_response()
}
