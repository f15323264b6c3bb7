//! Whoever looks at the status all the time.

use crate::daemon::{Daemon, status_at};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Looks at the status again and again while the test runs: the ledger balances at every moment, not only at the end.
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Result<(), String>>,
}

impl Watcher {
    pub(super) fn start(daemon: &Daemon) -> Watcher {
        let address = daemon.status_address();
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counter) = (stop.clone(), looks.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // It does not answer while it is down; what it answers must balance.
                if let Ok(status) = status_at(address) {
                    status.balance()?;
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        });
        Watcher { stop, looks, thread }
    }

    pub(super) fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher").unwrap_or_else(|problem| panic!("{problem}"));
        self.looks.load(Ordering::Relaxed)
    }
}
