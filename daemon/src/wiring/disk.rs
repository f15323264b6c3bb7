//! What is opened before anything runs: the store, and the history beside it.

use super::StartError;
use crate::config::Config;
use crate::directory;
use crate::health::Health;
use crate::pulse::Pulses;
use crate::store::{self, History, HistoryOptions, HistorySender, Opened, Reserve, Store};
use std::sync::Arc;
use std::thread::JoinHandle;
use tidegate_pipeline::plan::Plan;

/// The store in `gateway.data_dir`, made where there is none.
pub(super) fn open(config: &Config) -> Result<Opened, StartError> {
    directory::make(&config.data_dir)
        .map_err(|source| StartError::DataDir { path: config.data_dir.display().to_string(), source })?;
    let path = config.data_dir.join("tidegate.redb");
    let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(6).collect();
    let name = name.to_lowercase();
    let mut reserve = Reserve::new(&config.data_dir);
    let open = || {
        let plan = |name: &str| full_plan(config, name);
        Store::open(&path.display().to_string(), store::file(&path), &name, plan)
    };
    let opened = match open() {
        Err(error) if error.is_full() && reserve.release() => open(),
        opened => opened,
    };
    let mut opened = opened?;
    opened.store.set_reserve(reserve);
    Ok(opened)
}

/// The history's feed and thread; none where `[buffer] history` is zero.
pub(super) fn start_history(
    config: &Config,
    health: &Arc<Health>,
    pulses: &Arc<Pulses>,
) -> Result<Option<(HistorySender, RunningHistory)>, StartError> {
    if config.buffer.history.is_zero() {
        return Ok(None);
    }
    let options = HistoryOptions {
        path: config.data_dir.join("history.redb"),
        keep: config.buffer.history,
        bytes_max: config.buffer.bytes_max,
    };
    let (sender, thread) = History::start(options, Arc::clone(health), pulses.part("the history"))
        .map_err(StartError::Thread)?;
    let history = Arc::clone(sender.history());
    Ok(Some((sender, RunningHistory { history, thread })))
}

/// The plan with the events' `source`, which ends in the store's random name.
pub(super) fn full_plan(config: &Config, store: &str) -> Plan {
    Plan { source: format!("/gateways/{}/{store}", config.gateway), ..config.plan.clone() }
}

/// The history while its thread runs.
#[derive(Debug)]
pub(super) struct RunningHistory {
    pub(super) history: Arc<History>,
    thread: JoinHandle<()>,
}

impl RunningHistory {
    /// Waits until its last rows are on disk: it ends when nobody feeds it any more.
    pub(super) async fn stop(self) {
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use std::path::Path;

    #[test]
    fn no_history_no_file_and_no_thread() {
        let check = |history: &str, kept: bool| {
            let dir = tempfile::tempdir().unwrap();
            let text = format!(
                "[gateway]\ndata_dir = {:?}\n[streams.s]\ntopic = \"a/{{metric}}\"\n[outputs.o]\n\
                 url = \"http://127.0.0.1:1/\"\n[buffer]\nhistory = \"{history}\"\n",
                dir.path()
            );
            let config = config::parse(&text, "test", Path::new("."), &Environment::from_system());
            let started = start_history(&config.unwrap().config, &Arc::default(), &Arc::default()).unwrap();
            assert_eq!(started.is_some(), kept, "{history}");
            if let Some((sender, running)) = started {
                drop(sender);
                running.thread.join().unwrap();
            }
            assert_eq!(dir.path().join("history.redb").exists(), kept, "{history}");
        };
        check("0s", false);
        check("1h", true);
    }
}
