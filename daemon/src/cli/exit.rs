//! Exit codes, after sysexits.h, and last words.
#![expect(clippy::print_stderr, reason = "the last words of a command")]

use crate::config::Report;
use crate::store::StoreError;
use crate::wiring::StartError;
use std::io::IsTerminal;
use std::process::ExitCode;

/// The command line is wrong.
pub const USAGE: u8 = 64;
/// An input file cannot be read.
pub const NO_INPUT: u8 = 66;
/// A service is not there: no daemon, or an address is taken.
pub const UNAVAILABLE: u8 = 69;
/// A programmer's error.
pub const SOFTWARE: u8 = 70;
/// The system refuses something basic.
pub const OS: u8 = 71;
/// Reading or writing failed.
pub const IO: u8 = 74;
/// The configuration is wrong, or the store is of a newer version.
pub const CONFIG: u8 = 78;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Well.
    pub const OK: Exit = Exit(0);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.0)
    }
}

/// Says what is wrong and ends with `code`.
pub fn failed(code: u8, text: &str) -> Exit {
    eprintln!("tidegate: {text}");
    Exit(code)
}

/// Says all that is wrong with the configuration.
pub fn config(report: &Report) -> Exit {
    eprintln!("{}", report.render(std::io::stderr().is_terminal()));
    Exit(CONFIG)
}

/// Says why the daemon cannot start. Restarting mends some causes; those that it does not end with [`CONFIG`], which the
/// unit does not restart.
pub fn start(error: &StartError) -> Exit {
    let code = match error {
        StartError::Store(StoreError::Newer { .. } | StoreError::Older { .. }) => CONFIG,
        StartError::Listen(_) | StartError::Store(StoreError::Locked(_)) => UNAVAILABLE,
        StartError::DataDir { .. } | StartError::Store(_) => IO,
        StartError::Thread(_) => OS,
    };
    tracing::error!("{error}");
    failed(code, &error.to_string())
}
