//! A stand-in for systemd: the socket that a daemon reports to (sd_notify(3)), and what arrived on it.

use crate::daemon::Daemon;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a service manager would have heard. Ends with the value.
#[derive(Debug)]
pub struct Systemd {
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Systemd {
    /// Listens to the processes that `daemon` starts from here on, and grants them a watchdog of this length.
    ///
    /// # Panics
    /// When there can be no such socket.
    pub fn over(daemon: &mut Daemon, watchdog: Duration) -> Systemd {
        let path = daemon.file("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket for notifications");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
        daemon.set_env("NOTIFY_SOCKET", &path.display().to_string());
        daemon.set_env("WATCHDOG_USEC", &watchdog.as_micros().to_string());
        let (heard, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, stopped) = (heard.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while !stopped.load(Ordering::Relaxed) {
                let Ok(len) = socket.recv(&mut buffer) else { continue };
                let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                log.lock().expect("what was heard").push((Instant::now(), text));
            }
        });
        Systemd { heard, stop, thread: Some(thread) }
    }

    /// How often the watchdog was fed.
    pub fn feeds(&self) -> usize {
        self.times().len()
    }

    /// The longest time between two feeds so far, and since the last.
    pub fn longest_gap(&self) -> Duration {
        let mut times = self.times();
        times.push(Instant::now());
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Whether it was told so: `READY=1`, `STOPPING=1`.
    pub fn was_told(&self, state: &str) -> bool {
        let heard = self.heard.lock().expect("what was heard");
        heard.iter().any(|(_, text)| text.lines().any(|line| line == state))
    }

    fn times(&self) -> Vec<Instant> {
        let heard = self.heard.lock().expect("what was heard");
        heard.iter().filter(|(_, text)| text.contains("WATCHDOG=1")).map(|(at, _)| *at).collect()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
