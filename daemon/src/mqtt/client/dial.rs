//! From an address to a session: TCP, TLS, CONNECT, CONNACK.

use super::Client;
use crate::config::model::Tls;
use crate::limits;
use crate::mqtt::connection::{Stream, Wire};
use crate::mqtt::encode::{self, Hello};
use crate::mqtt::reasons;
use crate::mqtt::wire::{ConnAck, Packet};
use crate::secret::{self, SecretText};
use crate::tls;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why there is no connection (any more).
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) kind: FailureKind,
    /// After CONNACK.
    pub(super) opened: bool,
    /// How long, after CONNACK.
    pub(super) lived: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The broker does not speak this version.
    Version,
    /// The broker closed the connection without a word.
    Closed,
    Other,
}

impl Failure {
    /// A failure before CONNACK.
    pub(super) fn before(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), kind: FailureKind::Other, opened: false, lived: Duration::ZERO }
    }
}

impl Client {
    /// From nothing to CONNACK.
    pub(super) async fn open(&mut self) -> Result<(Wire, ConnAck), Failure> {
        let stream = self.dial().await?;
        let mut wire = Wire::new(stream, self.cfg.packet_bytes_max);
        let password = self.password().await?;
        let login = self
            .cfg
            .login
            .as_ref()
            .map(|login| (login.user.as_str(), password.as_ref().map_or("", SecretText::reveal)));
        let hello = Hello {
            version: self.version,
            client_id: &self.cfg.client_id,
            clean: self.cfg.session_expiry.is_none(),
            keep_alive: u16::try_from(self.cfg.keep_alive.as_secs()).unwrap_or(u16::MAX),
            login,
            session_expiry: self
                .cfg
                .session_expiry
                .map_or(0, |expiry| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX)),
            receive_max: self.cfg.receive_max,
            packet_bytes_max: u32::try_from(self.cfg.packet_bytes_max).unwrap_or(u32::MAX),
        };
        encode::connect(&hello, &mut wire.out).map_err(|fault| Failure::before(fault.to_string()))?;
        match wire.packet(Some(self.version)).await {
            Ok(Packet::ConnAck(connack)) if connack.code == 0 => Ok((wire, connack)),
            Ok(Packet::ConnAck(connack)) => Err(Failure {
                kind: if connack.code == 0x84 { FailureKind::Version } else { FailureKind::Other },
                ..Failure::before(reasons::connack(
                    connack.code,
                    connack.reason.as_deref(),
                    &self.cfg,
                    self.version,
                ))
            }),
            Ok(Packet::Disconnect { code, reason }) => {
                Err(Failure::before(reasons::disconnect(code, reason.as_deref(), &self.cfg)))
            }
            Ok(_) => Err(Failure::before(
                "what answers there is not an MQTT broker: it answered CONNECT with another packet",
            )),
            Err(over) if over.is_end() => Err(Failure {
                kind: FailureKind::Closed,
                ..Failure::before(
                    "the broker closed the connection instead of answering CONNECT: look into its log",
                )
            }),
            Err(over) => Err(Failure::before(format!("no session with the broker: {over}"))),
        }
    }

    async fn dial(&mut self) -> Result<Box<dyn Stream>, Failure> {
        let (host, port) = (self.cfg.host.clone(), self.cfg.port);
        let found = timeout(limits::LOOKUP_TIMEOUT, lookup_host((host.as_str(), port))).await;
        let addresses: Vec<_> = match found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                // What the system says changes with its mood, and would make each attempt a new problem.
                tracing::debug!(source = self.context.name, %error, "no address");
                return Err(Failure::before(format!(
                    "the name {host} cannot be resolved: check the network and its DNS, and the name in `url`"
                )));
            }
        };
        let tcp = TcpStream::connect(addresses.as_slice()).await;
        let tcp =
            tcp.map_err(|error| Failure::before(reasons::unreachable(&format!("{host}:{port}"), &error)))?;
        // Without it an acknowledgement could wait for the answer to the one before.
        let _ = tcp.set_nodelay(true);
        match self.cfg.tls.clone() {
            None => Ok(Box::new(tcp)),
            // Read again after a failure: the files may have changed.
            Some(settings) => {
                Ok(Box::new(self.secure(tcp, settings).await.inspect_err(|_| self.tls = None)?))
            }
        }
    }

    async fn secure(&mut self, tcp: TcpStream, settings: Tls) -> Result<TlsStream<TcpStream>, Failure> {
        let (host, port) = (self.cfg.host.as_str(), self.cfg.port);
        let config = match &self.tls {
            Some(config) => Arc::clone(config),
            None => {
                let config = blocking(move || tls::client_config(&settings)).await?;
                Arc::clone(self.tls.insert(config))
            }
        };
        let name = rustls::pki_types::ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::before(format!("`{host}` cannot be the name in a certificate")))?;
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| {
            let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            Failure::before(match cause {
                Some(cause) => {
                    format!("TLS with {host}:{port} failed{}", tls::why(cause, "mqtt", "mqtts"))
                }
                None => format!("TLS with {host}:{port} failed ({error}): check that this port speaks TLS"),
            })
        })
    }

    /// Read for each connection, so that a new password needs no restart.
    async fn password(&self) -> Result<Option<SecretText>, Failure> {
        match self.cfg.login.as_ref().and_then(|login| login.password.clone()) {
            Some(password) => blocking(move || secret::read(&password)).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Runs something that touches the file system where it holds nobody up.
async fn blocking<T, E>(job: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    match tokio::task::spawn_blocking(job).await {
        Ok(result) => result.map_err(|error| Failure::before(error.to_string())),
        Err(error) => Err(Failure::before(format!("a task was cancelled: {error}"))),
    }
}
