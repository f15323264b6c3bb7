//! MQTT 3.1.1 and 5: the client of a broker ([`client`]) and the endpoint for sensors ([`listener`]).
//!
//! Terms: a *connection* is one network connection, with one [`Link`](crate::ingest::intake::Link) for the
//! acknowledgements. A *run* is what one read brought. Both ends share `connection.rs`: read as much as there is, hand
//! over all complete publishes as one run, and write all acknowledgements that a commit released in one go.
//!
//! Why not a client library's event loop: `docs/decisions/0001-own-mqtt-session.md`.
//!
//! The modules stand in the order in which bytes meet them.

pub mod acks;
mod backoff;
pub mod client;
mod connection;
mod inherited;
mod late;
pub mod listener;
mod proofs;
mod reader;
mod registry;
mod session;
pub mod state;
mod transport;
mod unfinished;

#[cfg(test)]
mod tests;

pub use client::run_source;
pub use inherited::Inherited;
pub use late::listen_later;
pub use listener::{BindError, Listener};
pub use state::{SourceSnapshot, SourceState};

use crate::health::Health;
use crate::ingest::intake::Intake;
use crate::ingest::sessions::Sessions;
use std::sync::Arc;

/// What a source needs of the daemon.
#[derive(Clone, Debug)]
pub struct Context {
    /// Its name in the configuration; problems stand at `sources.NAME`.
    pub name: String,
    /// Its number, see [`Sources`](crate::ingest::sources::Sources).
    pub index: u16,
    /// Where messages go.
    pub intake: Arc<Intake>,
    /// Where problems go.
    pub health: Arc<Health>,
    /// What the sessions at brokers may hold.
    pub sessions: Arc<Sessions>,
    /// What status shows of it.
    pub state: Arc<SourceState>,
}

impl Context {
    /// Says what is wrong with this source: in the status at once, in the log once.
    fn trouble(&self, text: &str) {
        self.state.failed(text);
        if self.health.raise(&self.place(), text) {
            tracing::warn!(source = self.name, "{text}");
        }
    }

    /// Nothing is wrong with this source any more.
    fn well(&self) {
        if self.health.clear(&self.place()) {
            tracing::info!(source = self.name, "the source is well again");
        }
    }

    fn place(&self) -> String {
        format!("sources.{}", self.name)
    }
}

/// Waits until the daemon stops; at once when nobody is left to say so.
async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the daemon.
    let _ = stop.wait_for(|stop| *stop).await;
}
