//! The uplink of the demo: a TCP relay between gateway and function that can be cut like a cable.

use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The way to the function.
#[derive(Debug)]
pub(super) struct Uplink {
    address: SocketAddr,
    function: SocketAddr,
    relay: Option<JoinHandle<()>>,
}

impl Uplink {
    pub(super) async fn open(function: SocketAddr) -> std::io::Result<Uplink> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Uplink { address, function, relay: Some(tokio::spawn(relay(listener, function))) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and refuses new ones.
    pub(super) async fn cut(&mut self) {
        if let Some(relay) = self.relay.take() {
            relay.abort();
            // The listener is closed once the task is gone.
            let _ = relay.await;
        }
    }

    /// Takes connections again, at the same address.
    pub(super) async fn mend(&mut self) {
        if self.relay.is_some() {
            return;
        }
        match TcpListener::bind(self.address).await {
            Ok(listener) => self.relay = Some(tokio::spawn(relay(listener, self.function))),
            Err(error) => tracing::error!(%error, "the demo's uplink cannot be mended"),
        }
    }
}

async fn relay(listener: TcpListener, function: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((mut near, _)) = accepted else { continue };
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(function).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
