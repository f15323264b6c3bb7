//! `tidegate run`: the daemon, from start to SIGTERM.

use super::exit::{self, Exit};
use crate::config;
use crate::limits::WATCHDOG_LOOK;
use crate::mqtt::Inherited;
use crate::watchdog::{self, Watchdog};
use crate::wiring::{Daemon, Options, ReloadError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs until SIGTERM or SIGINT.
pub fn run(path: &Path, drop_outputs: Vec<String>) -> Exit {
    // Before anything else is opened.
    let inherited = Inherited::take();
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(report) => return exit::config(&report),
    };
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{}", warning.one_line()));
    forbid_core_dumps();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failed(exit::OS, &format!("cannot start the runtime: {error}")),
    };
    let options = Options { drop_outputs, inherited, ..Options::default() };
    let exit = runtime.block_on(serve(path, loaded.config, options));
    // A reader of standard output that does not read may hold a thread for ever; all that matters is on disk.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

/// A core dump would hold every password and key. Who needs one can raise the limit again (prlimit).
fn forbid_core_dumps() {
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    if let Err(error) = setrlimit(Resource::Core, limit) {
        tracing::warn!("cannot forbid core dumps, which would hold passwords and keys ({error})");
    }
}

async fn serve(path: &Path, config: config::Config, options: Options) -> Exit {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return exit::failed(exit::OS, &format!("cannot receive signals: {error}")),
    };
    let status = config.status;
    let mut daemon = match Daemon::start(config, options).await {
        Ok(daemon) => daemon,
        Err(error) => return exit::start(&error),
    };
    if let Some(status) = status
        && let Err(error) = daemon.serve_status(status.listen).await
    {
        daemon.stop().await;
        let text = format!("cannot listen on {} for status: {error}. Set status.listen", status.listen);
        return exit::failed(exit::UNAVAILABLE, &text);
    }
    let watchdog = match watch(&daemon) {
        Ok(watchdog) => watchdog,
        Err(error) => {
            daemon.stop().await;
            return exit::failed(exit::OS, &format!("cannot start the watchdog's thread: {error}"));
        }
    };
    tracing::info!(config = %path.display(), gateway = daemon.config.gateway, "running");
    say(&[NotifyState::Ready]);
    loop {
        match signals.next().await {
            Event::Stop => break,
            Event::Reload if reload(path, &mut daemon, signals.leave()).await.is_break() => break,
            Event::Reload => {}
            Event::Look if daemon.has_lost_writer() => {
                return exit::failed(
                    exit::SOFTWARE,
                    "the writer has ended: this is a bug, please report the lines above",
                );
            }
            Event::Look => {}
        }
    }
    tracing::info!("stopping: committing and acknowledging what was received");
    say(&[NotifyState::Stopping]);
    daemon.stop().await;
    drop(watchdog);
    tracing::info!("stopped");
    Exit::OK
}

/// Breaks when told to leave before it is in force.
async fn reload(path: &Path, daemon: &mut Daemon, leave: impl Future<Output = ()>) -> ControlFlow<()> {
    // systemd wants the time with the announcement (sd_notify(3), Type=notify-reload).
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        say(&[NotifyState::Reloading, now]);
    }
    let result = match config::load(path) {
        Ok(loaded) => match daemon.reload(loaded.config, leave).await {
            Err(ReloadError::Leaving) => return ControlFlow::Break(()),
            done => done.map_err(|error| error.to_string()),
        },
        Err(report) => Err(report.render(false)),
    };
    match result {
        Ok(()) => {
            daemon.health.clear("configuration");
            tracing::info!(config = %path.display(), "configuration reloaded");
        }
        Err(error) => {
            let text = format!("the changed configuration is not in force, the old one is: {error}");
            tracing::error!("{text}");
            daemon.health.raise("configuration", text);
        }
    }
    say(&[NotifyState::Ready]);
    ControlFlow::Continue(())
}

/// Feeds systemd's watchdog while every part turns, from a thread of its own. Half of what systemd grants, as
/// sd_watchdog_enabled(3) advises.
fn watch(daemon: &Daemon) -> std::io::Result<Watchdog> {
    let period = sd_notify::watchdog_enabled().map_or(WATCHDOG_LOOK, |granted| granted / 2);
    let period = period.max(Duration::from_millis(100));
    tokio::spawn(watchdog::turn(daemon.pulses.part("the runtime")));
    Watchdog::start(Arc::clone(&daemon.pulses), period, || say(&[NotifyState::Watchdog]))
}

/// Tells systemd, where it listens. Elsewhere nothing happens.
fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

enum Event {
    Stop,
    Reload,
    Look,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    look: tokio::time::Interval,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            look: tokio::time::interval(WATCHDOG_LOOK),
        })
    }

    /// Waits until the daemon is told to stop.
    async fn leave(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.hangup.recv() => Event::Reload,
            _ = self.look.tick() => Event::Look,
        }
    }
}
