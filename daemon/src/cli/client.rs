//! The least HTTP/1.1 client that the status endpoint needs: plain, one request, one connection.

use super::DaemonArgs;
use super::exit::{self, Exit};
use crate::config::{self, Config};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use futures_util::StreamExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// Where `[status] listen` is when there is no configuration to read.
const ADDRESS: &str = "127.0.0.1:8380";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An order about dead letters waits for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// A daemon that turns says so at once.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The running daemon, as a command asks it.
#[derive(Debug)]
pub(super) struct Client {
    address: String,
    runtime: Runtime,
}

impl Client {
    /// A client for the daemon that `args` or the configuration name. Nothing is sent yet.
    ///
    /// # Errors
    /// How to end when nobody says where the daemon is.
    pub(super) fn new(config: Option<&Path>, args: &DaemonArgs) -> Result<Client, Exit> {
        let address = match &args.address {
            Some(address) => address.clone(),
            None => configured(config)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| exit::failed(exit::OS, &format!("cannot start the runtime: {error}")))?;
        Ok(Client { address, runtime })
    }

    /// GET, for a JSON document.
    ///
    /// # Errors
    /// How to end when the daemon does not answer, or not with that.
    pub(super) fn get(&self, path: &str) -> Result<Value, Exit> {
        self.ask(Method::GET, path, None)
    }

    /// POST of a JSON document, for another.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Exit> {
        self.ask(Method::POST, path, Some(body))
    }

    /// GET of a document that is made while it is read, line by line, until it ends or `each` fails.
    ///
    /// # Errors
    /// As [`Client::get`], or what `each` gives.
    pub(super) fn lines(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        self.runtime.block_on(async {
            let body = self.send(Method::GET, path, None).await?;
            let mut chunks = body.into_data_stream();
            let mut rest = Vec::new();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|error| self.cut_off(&error))?;
                rest.extend_from_slice(&chunk);
                if rest.len() > ANSWER_BYTES_MAX {
                    return Err(exit::failed(exit::IO, "the daemon sent a line without an end"));
                }
                let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else { continue };
                for line in rest[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    each(line)?;
                }
                rest.drain(..=end);
            }
            Ok(())
        })
    }

    /// Whether every part of the daemon turns.
    ///
    /// # Errors
    /// How to end when one does not, or the daemon does not answer.
    pub(super) fn health(&self) -> Result<(), Exit> {
        self.runtime.block_on(async {
            let answer = tokio::time::timeout(HEALTH_TIMEOUT, self.answer(Method::GET, "/healthz", None));
            let (status, body) = answer.await.map_err(|_| self.silent())??;
            let bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|e| self.cut_off(&e))?;
            match status {
                StatusCode::OK => Ok(()),
                StatusCode::SERVICE_UNAVAILABLE => {
                    let why = super::print::printable(String::from_utf8_lossy(&bytes).trim());
                    Err(exit::failed(exit::UNAVAILABLE, &why))
                }
                _ => Err(self.no_tidegate()),
            }
        })
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Exit> {
        self.runtime.block_on(async {
            let body = self.send(method, path, body).await?;
            let bytes = tokio::time::timeout(ANSWER_TIMEOUT, axum::body::to_bytes(body, ANSWER_BYTES_MAX));
            let bytes = bytes.await.map_err(|_| self.silent())?.map_err(|error| self.cut_off(&error))?;
            serde_json::from_slice(&bytes).map_err(|_| self.no_tidegate())
        })
    }

    /// The body of a good answer.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Body, Exit> {
        let (status, body) = self.answer(method, path, body).await?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let bytes = axum::body::to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|e| self.cut_off(&e))?;
        let why = serde_json::from_slice::<Value>(&bytes).ok();
        match why.as_ref().and_then(|why| why["error"].as_str()) {
            Some(why) => Err(exit::failed(code(status), &super::print::printable(why))),
            None => Err(self.no_tidegate()),
        }
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Body), Exit> {
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(&error.to_string())),
            Err(_) => return Err(self.unreachable("no answer")),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.cut_off(&e))?;
        tokio::spawn(connection);
        let json = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .header("X-Tidegate", "1")
            .body(Body::from(json))
            .map_err(|_| exit::failed(exit::USAGE, &format!("`{}` is no HOST:PORT", self.address)))?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request)).await;
        let answer = answer.map_err(|_| self.silent())?.map_err(|error| self.cut_off(&error))?;
        Ok((answer.status(), Body::new(answer.into_body())))
    }

    fn unreachable(&self, why: &str) -> Exit {
        exit::failed(
            exit::UNAVAILABLE,
            &format!(
                "no tidegate answers on {}: {why}. Start it with `tidegate run` or `systemctl start tidegate`; if it \
                 runs with another configuration, name that with --config or its status address with --address",
                self.address
            ),
        )
    }

    fn cut_off(&self, error: &dyn std::error::Error) -> Exit {
        let text = format!("the connection to {} ended before the answer did: {error}", self.address);
        exit::failed(exit::UNAVAILABLE, &text)
    }

    fn silent(&self) -> Exit {
        let text = format!("{} accepts connections but does not answer: see the daemon's log", self.address);
        exit::failed(exit::UNAVAILABLE, &text)
    }

    fn no_tidegate(&self) -> Exit {
        let text = format!("what answers on {} is not this version's tidegate: see --address", self.address);
        exit::failed(exit::UNAVAILABLE, &text)
    }
}

fn code(status: StatusCode) -> u8 {
    match status {
        StatusCode::BAD_REQUEST => exit::USAGE,
        StatusCode::NOT_FOUND => exit::NO_INPUT,
        _ => exit::UNAVAILABLE,
    }
}

/// The address in the configuration. Whoever names no file and may read none gets the default.
fn configured(named: Option<&Path>) -> Result<String, Exit> {
    let path = super::config_path(named);
    if named.is_none() && std::fs::File::open(&path).is_err() {
        return Ok(ADDRESS.to_owned());
    }
    let config = match config::load(&path) {
        Ok(loaded) => loaded.config,
        Err(report) => {
            super::print::note("the configuration does not say where the daemon is; name it with --address");
            return Err(exit::config(&report));
        }
    };
    address_of(&config).map_err(|why| exit::failed(exit::UNAVAILABLE, &format!("{}: {why}", path.display())))
}

fn address_of(config: &Config) -> Result<String, &'static str> {
    let Some(status) = config.status else {
        return Err(
            "status is off, so that a running daemon cannot be asked: set `[status] listen` and restart it",
        );
    };
    let ip = match status.listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    match status.listen.port() {
        0 => Err("`[status] listen` takes any free port: name the one that the daemon took with --address"),
        port => Ok(SocketAddr::new(ip, port).to_string()),
    }
}
