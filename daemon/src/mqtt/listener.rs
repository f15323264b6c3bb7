//! The source `type = "listen"`: an endpoint that sensors publish to directly.
//!
//! It takes messages in; it is not a broker. A PUBACK means *on the gateway's disk*. Nothing is ever sent to a client but
//! answers: subscriptions are accepted and ignored, or refused.

use super::inherited::Inherited;
use super::registry::Registry;
use super::session;
use super::unfinished::Unfinished;
use super::{Context, stopped};
use crate::config::model::Listen;
use crate::ingest::intake::Input;
use crate::limits;
use crate::secret::{self, SecretError, SecretText};
use crate::tls::{self, TlsError};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Connections that the system may hold for us until we accept them.
const BACKLOG: u32 = 1_024;

/// How often a listener looks after itself, whoever comes.
const TICK: Duration = Duration::from_secs(10);

/// Why the endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {at}: {error}; is another broker running there? Set `listen` to a free address and port"
    )]
    Bind {
        /// Where.
        at: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// A password cannot be read.
    #[error("the password of user `{user}`: {error}")]
    Password {
        /// Whose.
        user: String,
        /// Why.
        error: SecretError,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A bound endpoint: clients can connect, and wait until it is served.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    door: Door,
}

/// What decides who comes in and what they may do.
pub(super) struct Door {
    pub(super) cfg: Listen,
    pub(super) tls: Option<TlsAcceptor>,
    /// Users and passwords; no password means that any will do.
    pub(super) users: Vec<(String, Option<SecretText>)>,
}

/// What all clients of one listener share.
pub(super) struct House {
    pub(super) door: Door,
    pub(super) context: Context,
    pub(super) registry: Registry,
    pub(super) unfinished: Arc<Unfinished>,
    /// The same of those who have not said who they are: they take no room from those who have.
    pub(super) connecting: Arc<Unfinished>,
    trouble: Mutex<Option<Instant>>,
}

impl House {
    /// A client is in trouble: shown for a while, as nothing tells when its cause is gone.
    pub(super) fn trouble(&self, text: &str) {
        let last = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
        // Whoever can connect could fill the log otherwise.
        if last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1)) {
            self.context.trouble(text);
        }
    }

    fn forget_trouble(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_some_and(|since| since.elapsed() >= limits::CLIENT_TROUBLE_SHOWN) {
            *trouble = None;
            self.context.well();
        }
    }
}

impl Listener {
    /// Reads passwords and certificates, and opens the port, unless it was `inherited`.
    ///
    /// # Errors
    /// What cannot be read or opened, and what to do.
    pub async fn bind(cfg: Listen, inherited: &Inherited) -> Result<Listener, BindError> {
        let mut users = Vec::with_capacity(cfg.users.len());
        for login in &cfg.users {
            let password = login.password.as_ref().map(secret::read).transpose();
            let password =
                password.map_err(|error| BindError::Password { user: login.user.clone(), error })?;
            users.push((login.user.clone(), password));
        }
        let tls = cfg.tls.as_ref().map(tls::server_config).transpose()?.map(TlsAcceptor::from);
        let at = cfg.listen;
        let (socket, address) = open(at, inherited).map_err(|error| BindError::Bind { at, error })?;
        Ok(Listener { socket, address, door: Door { cfg, tls, users } })
    }

    /// Where it listens: the port is known even if the configuration said 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves clients until `stop` says so; then leaves once all that was received is committed and acknowledged, or
    /// after `STOP_TIMEOUT`.
    pub async fn serve(self, context: Context, mut stop: watch::Receiver<bool>) {
        let Listener { socket, address, door } = self;
        // Beyond its clients there is room for some that are connecting, or being refused in a polite way.
        let places = Arc::new(Semaphore::new(door.cfg.clients_max.saturating_add(limits::CONNECTING_MAX)));
        let registry = Registry::new(door.cfg.clients_max);
        let unfinished = Unfinished::new(door.cfg.packet_bytes_max);
        let connecting = Unfinished::of_connects();
        let trouble = Mutex::new(None);
        let house = Arc::new(House { door, context, registry, unfinished, connecting, trouble });
        tracing::info!(source = house.context.name, %address, "listening");
        house.context.state.connected(true);
        house.context.state.pulse.waits("waits for room in the intake");
        // Nothing waits for us anywhere: sensors keep what they could not publish.
        tokio::select! {
            () = house.context.intake.push(Input::Drained { source: house.context.index }) => {}
            () = stopped(&mut stop) => {}
        }
        let mut sessions = JoinSet::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            house.context.state.pulse.sleeps("waits for clients", std::time::Instant::now() + TICK);
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                            house.trouble("too many connections at once: one was closed without an answer");
                            continue;
                        };
                        tracing::debug!(%peer, "accepted");
                        let (house, stop) = (Arc::clone(&house), stop.clone());
                        prepare(&stream);
                        sessions.spawn(async move {
                            session::run(stream, peer, house, stop).await;
                            drop(place);
                        });
                    }
                    // Out of file descriptors, mostly: waiting helps, asking again at once does not.
                    Err(error) => {
                        house.trouble(&format!("cannot accept connections: {error}; raise LimitNOFILE"));
                        tokio::time::sleep(limits::RETRY_MIN).await;
                    }
                },
                Some(_) = sessions.join_next() => {}
                _ = tick.tick() => house.forget_trouble(),
                () = stopped(&mut stop) => break,
            }
        }
        drop(socket);
        house.context.state.pulse.waits("waits until what it received is taken");
        let all = async { while sessions.join_next().await.is_some() {} };
        // Each session bounds its own end; this bounds those that do not come to it.
        let _ = tokio::time::timeout(limits::STOP_TIMEOUT * 2, all).await;
        house.context.state.connected(false);
    }
}

fn open(at: SocketAddr, inherited: &Inherited) -> std::io::Result<(TcpListener, SocketAddr)> {
    if let Some(socket) = inherited.at(at) {
        let socket = socket?;
        socket.set_nonblocking(true)?;
        return Ok((TcpListener::from_std(socket)?, at));
    }
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    let socket = socket.listen(BACKLOG)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

fn prepare(stream: &TcpStream) {
    // Neither is needed to work: a client without MQTT keep-alive that lost its power would stay for ever without TCP's.
    let _ = stream.set_nodelay(true);
    let keep_alive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(120));
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keep_alive);
}
