//! Logs: for journald under systemd, for people on a terminal, as JSON on request.
//!
//! Levels: WARN: nothing is lost, look some day. ERROR: something is lost, or a person is needed.

use std::io::IsTerminal;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// journald's format where the journal reads standard error, else human
    #[default]
    Auto,
    /// Fields by journald's own protocol
    Journald,
    /// Lines for people
    Human,
    /// One JSON object a line
    Json,
}

/// Starts logging to standard error. `TIDEGATE_LOG` sets levels (`debug`, `tidegate::mqtt=trace`); the default is `info`.
pub fn start(format: LogFormat) {
    let asked = std::env::var("TIDEGATE_LOG").ok().and_then(|text| text.parse().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let registry = tracing_subscriber::registry().with(filter);
    let journald = || tracing_journald::layer().ok();
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start, as tests do, keeps the first.
    let _ = match format {
        LogFormat::Json => registry.with(lines.json()).try_init(),
        LogFormat::Journald => match journald() {
            Some(layer) => registry.with(layer).try_init(),
            None => registry.with(lines.with_ansi(false)).try_init(),
        },
        LogFormat::Auto if under_systemd && journald().is_some() => registry.with(journald()).try_init(),
        LogFormat::Auto | LogFormat::Human => {
            let ansi = std::io::stderr().is_terminal();
            registry.with(lines.with_ansi(ansi).with_target(false)).try_init()
        }
    };
}
