//! Listening sockets that were opened before the process: socket activation (sd_listen_fds(3)).
//!
//! Whoever opened them keeps them open while the daemon is restarted, so that a client that comes in between waits instead of
//! being refused. Which socket is whose is told by its address.

use listenfd::ListenFd;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Listening sockets that this process was given.
#[derive(Clone, Debug, Default)]
pub struct Inherited(Arc<Vec<(SocketAddr, TcpListener)>>);

impl Inherited {
    /// Those that the environment names. To be called before the process opens anything itself, and once.
    pub fn take() -> Inherited {
        let mut given = ListenFd::from_env();
        let sockets = (0..given.len()).filter_map(|index| match given.take_tcp_listener(index) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!("a socket that this process was given cannot be listened at: {error}");
                None
            }
        });
        Inherited::from_iter(sockets.collect::<Vec<_>>())
    }

    /// Where they listen.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|(address, _)| *address)
    }

    /// A duplicate of the one at `address`: when it is closed, the socket goes on to take connections.
    pub(super) fn at(&self, address: SocketAddr) -> Option<std::io::Result<TcpListener>> {
        self.0.iter().find(|(at, _)| *at == address).map(|(_, socket)| socket.try_clone())
    }
}

impl FromIterator<TcpListener> for Inherited {
    fn from_iter<T: IntoIterator<Item = TcpListener>>(sockets: T) -> Inherited {
        let with_address = |socket: TcpListener| socket.local_addr().ok().map(|address| (address, socket));
        Inherited(Arc::new(sockets.into_iter().filter_map(with_address).collect()))
    }
}
