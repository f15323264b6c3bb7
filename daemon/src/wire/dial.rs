//! From the address of a broker to a stream of bytes: name, TCP, TLS.

use super::reasons;
use crate::config::model::{Login, Tls};
use crate::files::Files;
use crate::limits;
use crate::secret::{self, SecretText};
use crate::tls;
use std::fmt::Display;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A byte stream: TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The way to one broker.
pub(crate) struct Dialer {
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// Read once: the files of the system's authorities do not change often.
    ready: Option<Arc<rustls::ClientConfig>>,
    files: Files,
}

impl Dialer {
    /// Nothing is read or opened yet.
    pub(crate) fn new(host: &str, port: u16, tls: Option<Tls>) -> Dialer {
        Dialer { host: host.to_owned(), port, tls, ready: None, files: Files::default() }
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// Says what is wrong and what to do; the same text for the same cause.
    pub(crate) async fn dial(&mut self) -> Result<Box<dyn Stream>, String> {
        let (host, port) = (self.host.clone(), self.port);
        let found = timeout(limits::LOOKUP_TIMEOUT, lookup_host((host.as_str(), port))).await;
        let addresses: Vec<_> = match found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                // What the system says changes with its mood, and would make each attempt a new problem.
                tracing::debug!(host, %error, "no address");
                return Err(format!(
                    "the name {host} cannot be resolved: check the network and its DNS, and the name in `url`"
                ));
            }
        };
        let tcp = TcpStream::connect(addresses.as_slice()).await;
        let tcp = tcp.map_err(|error| reasons::unreachable(&format!("{host}:{port}"), &error))?;
        // Without it an acknowledgement could wait for the answer to the one before.
        let _ = tcp.set_nodelay(true);
        match self.tls.clone() {
            None => Ok(Box::new(tcp)),
            // Read again after a failure: the files may have changed.
            Some(settings) => {
                Ok(Box::new(self.secure(tcp, settings).await.inspect_err(|_| self.ready = None)?))
            }
        }
    }

    /// The password of `login`: read for each connection, so that a new one needs no restart.
    ///
    /// # Errors
    /// Where it should be, and what is wrong there.
    pub(crate) async fn password(&self, login: Option<&Login>) -> Result<Option<SecretText>, String> {
        match login.and_then(|login| login.password.clone()) {
            Some(password) => self.read("the password", move || secret::read(&password)).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads files where that holds nobody up.
    async fn read<T: Send + 'static, E: Display + Send + 'static>(
        &self,
        what: &str,
        job: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, String> {
        let read = self.files.read(job).await.map_err(|hung| format!("{what} cannot be read: {hung}"))?;
        read.map_err(|error| error.to_string())
    }

    async fn secure(&mut self, tcp: TcpStream, settings: Tls) -> Result<TlsStream<TcpStream>, String> {
        let (host, port) = (self.host.as_str(), self.port);
        let config = match &self.ready {
            Some(config) => Arc::clone(config),
            None => {
                let config = self.read("certificates", move || tls::client_config(&settings)).await?;
                Arc::clone(self.ready.insert(config))
            }
        };
        let name = rustls::pki_types::ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` cannot be the name in a certificate"))?;
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| {
            let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match cause {
                Some(cause) => {
                    format!("TLS with {host}:{port} failed{}", tls::why(cause, "mqtt", "mqtts"))
                }
                None => format!("TLS with {host}:{port} failed ({error}): check that this port speaks TLS"),
            }
        })
    }
}
