//! Clients for HTTP/1.1.
//!
//! HTTP/2 is not offered: a request that timed out would leave its dead connection in use. Redirects are not followed: they
//! would turn a POST into a GET, or carry the token to a stranger. Proxies are those of the environment (`HTTPS_PROXY`,
//! `HTTP_PROXY`, `NO_PROXY`), as everywhere else.

use super::words;
use crate::config::model::Tls;
use crate::files::Files;
use crate::limits;
use crate::tls;
use reqwest::{Client, redirect};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// A client; without TLS where it is not `secure`.
///
/// # Errors
/// A sentence that says what is wrong with the settings or with what they name.
pub(super) async fn client(
    files: &Files,
    secure: bool,
    tls: &Tls,
    timeout: Duration,
) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(trust(files, secure, tls).await?)
        .user_agent(USER_AGENT)
        .http1_only()
        .referer(false)
        .redirect(redirect::Policy::none())
        .connect_timeout(limits::CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .pool_idle_timeout(limits::POOL_IDLE_MAX)
        .pool_max_idle_per_host(1)
        .tcp_keepalive(limits::TCP_KEEP_ALIVE)
        .build()
        .map_err(|error| format!("cannot set up HTTP: {}", words::chain(&error)))
}

/// Where no TLS is spoken nothing is read, so that plain HTTP works on a system without any authorities.
async fn trust(files: &Files, secure: bool, tls: &Tls) -> Result<ClientConfig, String> {
    if secure {
        let tls = tls.clone();
        let config = files.read(move || tls::client_config(&tls)).await;
        let config =
            config.map_err(|hung| format!("certificates cannot be read: {hung}. Everything is kept"))?;
        return config.map(Arc::unwrap_or_clone).map_err(|error| error.to_string());
    }
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
        .map_err(|error| format!("cannot set up TLS: {error}"))
}
