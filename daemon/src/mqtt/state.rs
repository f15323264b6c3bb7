//! What status shows of a source: counters that cost an atomic addition per run, not per message.

use crate::config::model::Protocol;
use crate::pulse::Pulse;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The live numbers of one source, shared by its connections and the status page.
#[derive(Debug, Default)]
pub struct SourceState {
    connected: AtomicBool,
    protocol: AtomicU8,
    messages: AtomicU64,
    bytes: AtomicU64,
    acknowledged: AtomicU64,
    in_flight: AtomicU64,
    repeats: AtomicU64,
    too_large: AtomicU64,
    connections: AtomicU64,
    clients: AtomicU64,
    changed: Mutex<Option<Instant>>,
    /// Of the task that keeps it connected, or listens.
    pub(crate) pulse: Pulse,
    last_error: Mutex<Option<String>>,
}

/// One look at a [`SourceState`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceSnapshot {
    /// A client: there is a session with the broker. A listener: it is listening.
    pub connected: bool,
    /// The protocol in use, `"5"` or `"3.1.1"`; none while not connected, and for a listener, which speaks both.
    pub protocol: Option<&'static str>,
    /// Seconds since `connected` changed.
    pub since_s: Option<u64>,
    /// Messages received since the start.
    pub messages: u64,
    /// Bytes of packets received in them.
    pub bytes: u64,
    /// Acknowledgements (PUBACK) written.
    pub acknowledged: u64,
    /// Messages that wait for a commit to be acknowledged.
    pub in_flight: u64,
    /// Packets that a sender repeated on the same connection although they had arrived; not counted as messages.
    pub repeats: u64,
    /// Packets that were skipped because they are larger than `max_packet`.
    pub too_large: u64,
    /// Connections that were made after the first one.
    pub reconnects: u64,
    /// A listener's clients.
    pub clients: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
}

impl SourceState {
    /// The state of a source that is looked after.
    pub fn watched(pulse: Pulse) -> SourceState {
        SourceState { pulse, ..SourceState::default() }
    }

    /// What there is to show.
    pub fn snapshot(&self) -> SourceSnapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let since = *self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        SourceSnapshot {
            connected: self.connected.load(Ordering::Relaxed),
            protocol: match self.protocol.load(Ordering::Relaxed) {
                4 => Some("3.1.1"),
                5 => Some("5"),
                _ => None,
            },
            since_s: since.map(|since| since.elapsed().as_secs()),
            messages: get(&self.messages),
            bytes: get(&self.bytes),
            acknowledged: get(&self.acknowledged),
            in_flight: get(&self.in_flight),
            repeats: get(&self.repeats),
            too_large: get(&self.too_large),
            reconnects: get(&self.connections).saturating_sub(1),
            clients: get(&self.clients),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    pub(super) fn opened(&self, protocol: Protocol) {
        self.protocol.store(if protocol == Protocol::V5 { 5 } else { 4 }, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connected(true);
    }

    pub(super) fn closed(&self) {
        self.protocol.store(0, Ordering::Relaxed);
        self.connected(false);
    }

    pub(super) fn connected(&self, connected: bool) {
        if self.connected.swap(connected, Ordering::Relaxed) != connected {
            *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    pub(super) fn client_joined(&self) {
        self.clients.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn client_left(&self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, messages: usize, bytes: usize, to_acknowledge: usize) {
        self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.in_flight.fetch_add(to_acknowledge as u64, Ordering::Relaxed);
    }

    pub(super) fn repeated(&self, packets: u64) {
        self.repeats.fetch_add(packets, Ordering::Relaxed);
    }

    pub(super) fn too_large(&self, packets: u64) {
        self.too_large.fetch_add(packets, Ordering::Relaxed);
    }

    pub(super) fn acknowledged(&self, packets: usize) {
        self.acknowledged.fetch_add(packets as u64, Ordering::Relaxed);
        self.in_flight.fetch_sub(packets as u64, Ordering::Relaxed);
    }

    /// A connection ended: what it had in flight will not be acknowledged on it any more.
    pub(super) fn abandoned(&self, packets: usize) {
        self.in_flight.fetch_sub(packets as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, text: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }
}
