//! What the status endpoint gets to see of the daemon.

use super::Daemon;
use crate::status::{Running, serve};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The status endpoint while it listens.
#[derive(Debug)]
pub(super) struct StatusServer {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl StatusServer {
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

impl Daemon {
    /// Listens on `address` for the rest of the daemon's life: the address, with the port that port 0 became.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn serve_status(&mut self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, Arc::clone(&self.view), stopped));
        self.status = Some(StatusServer { stop, task });
        Ok(address)
    }

    /// What `status --json` shows.
    pub fn status_document(&self) -> Value {
        self.view.document().and_then(|document| serde_json::to_value(document).ok()).unwrap_or_default()
    }

    /// Shows the status endpoint what runs now.
    pub(super) fn show(&self) {
        self.view.show(Running {
            gateway: self.config.gateway.clone(),
            bytes_max: self.config.buffer.bytes_max,
            sources: self.source_states(),
            outputs: self.output_states(),
            intake: Arc::clone(&self.intake),
            mailbox: Arc::clone(&self.mailbox),
            store: Arc::clone(&self.store),
            history: self.history.as_ref().map(|running| Arc::clone(&running.history)),
            health: Arc::clone(&self.health),
            pulses: Arc::clone(&self.pulses),
            figures: Arc::clone(&self.figures),
            taps: self.taps.clone(),
        });
    }
}
