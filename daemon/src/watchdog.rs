//! The watchdog's feeder: a thread of its own, so that it can tell of any other, and so that a slow reload starves nobody.
//!
//! systemd restarts the daemon when it is not fed for `WatchdogSec`. It is fed while every part turns, or waits for somebody
//! outside (`pulse.rs`); where systemd grants no watchdog the same is looked at for the log.

use crate::limits::{RUNTIME_TURN, WATCHDOG_LATE, WEDGED_AFTER};
use crate::pulse::{Pulse, Pulses};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The running thread. It ends with the value.
#[derive(Debug)]
pub struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Looks at all parts once in each `period`, and calls `feed` while none of them is wedged.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        pulses: Arc<Pulses>,
        period: Duration,
        feed: impl Fn() + Send + 'static,
    ) -> std::io::Result<Watchdog> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            let mut judge = Judge::new(period, Instant::now());
            loop {
                if judge.look(&pulses, Instant::now()) {
                    feed();
                }
                if stopped.recv_timeout(period) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Watchdog { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // It wakes when the sender is gone.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Shows that the runtime's thread turns. Never ends.
pub async fn turn(pulse: Pulse) {
    loop {
        pulse.does("runs its tasks", RUNTIME_TURN + WEDGED_AFTER);
        tokio::time::sleep(RUNTIME_TURN).await;
    }
}

/// Decides, and says so once.
#[derive(Debug)]
struct Judge {
    period: Duration,
    looked: Instant,
    accused: Option<String>,
}

impl Judge {
    fn new(period: Duration, now: Instant) -> Judge {
        Judge { period, looked: now, accused: None }
    }

    /// Whether to feed.
    fn look(&mut self, pulses: &Pulses, now: Instant) -> bool {
        let slept = now.saturating_duration_since(std::mem::replace(&mut self.looked, now));
        // Who was stopped himself (a debugger, a suspended machine) cannot blame others for being late: they were stopped too.
        if slept > self.period + WATCHDOG_LATE {
            return true;
        }
        let Some(wedged) = pulses.wedged(now) else {
            if let Some(part) = self.accused.take() {
                tracing::info!("{part} turns again");
            }
            return true;
        };
        if self.accused.as_ref() != Some(&wedged.part) {
            tracing::error!(
                part = wedged.part,
                "{wedged}. systemd's watchdog is not fed, so that it restarts the daemon"
            );
            self.accused = Some(wedged.part);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    const S: Duration = Duration::from_secs(1);

    /// `slept` seconds since the look before, `expected` to feed.
    #[test]
    fn feeds_while_nobody_is_wedged() {
        let pulses = Arc::new(Pulses::default());
        let (writer, output) = (pulses.part("the writer"), pulses.part("the output a"));
        let mut now = Instant::now();
        let mut judge = Judge::new(10 * S, now);
        let mut check = |slept: u32, expected: bool, accused: Option<&str>| {
            now += slept * S;
            assert_eq!(judge.look(&pulses, now), expected, "after {slept} s");
            assert_eq!(judge.accused.as_deref(), accused);
        };
        output.waits("waits for events");
        writer.does("takes and writes", 25 * S);
        check(10, true, None);
        check(10, true, None);
        check(10, false, Some("the writer"));
        check(10, false, Some("the writer"));
        // The machine slept, and everybody with it.
        check(3_600, true, Some("the writer"));
        check(10, false, Some("the writer"));
        writer.does("takes and writes", 86_400 * S);
        check(10, true, None);
        output.does("sends", 30 * S);
        drop(writer);
        check(10, false, Some("the output a"));
    }

    #[test]
    fn the_thread_starves_whoever_does_not_come_back() {
        let pulses = Arc::new(Pulses::default());
        let part = pulses.part("the output a");
        part.waits("waits for events");
        let fed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&fed);
        let period = Duration::from_millis(2);
        let watchdog = Watchdog::start(Arc::clone(&pulses), period, move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let watchdog = watchdog.unwrap();
        let count = || fed.load(Ordering::Relaxed);
        let more_than = |seen: u64| {
            let start = Instant::now();
            while count() <= seen {
                assert!(start.elapsed() < 20 * S, "not fed");
                std::thread::sleep(period);
            }
        };
        more_than(10);
        part.does("sends", Duration::ZERO);
        // One look may have been under way.
        let (before, start) = (count() + 1, Instant::now());
        while start.elapsed() < 50 * period {
            assert!(count() <= before, "fed though a part is wedged");
            std::thread::sleep(period);
        }
        part.waits("waits for events");
        more_than(before + 3);
        drop(watchdog);
        let end = count();
        assert!(end > before);
    }
}
