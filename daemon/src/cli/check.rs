//! `tidegate check`: every error at once, and what the configuration promises.
#![expect(clippy::print_stdout, reason = "the answer of a command")]

use super::exit::{self, Exit};
use crate::config;
use std::io::IsTerminal;
use std::path::Path;

/// Checks the configuration at `path`.
pub fn check(path: &Path, json: bool) -> Exit {
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(report) if json => {
            let problems: Vec<_> = report.diagnostics.iter().map(config::Diagnostic::one_line).collect();
            println!("{}", serde_json::json!({ "valid": false, "problems": problems }));
            return Exit(exit::CONFIG);
        }
        Err(report) => return exit::config(&report),
    };
    let promises = config::promises(&loaded.config);
    let alerts = config::alert_promises(&loaded.config);
    if json {
        let warnings: Vec<_> = loaded.warnings.iter().map(config::Diagnostic::one_line).collect();
        let document =
            serde_json::json!({ "valid": true, "warnings": warnings, "streams": promises, "alerts": alerts });
        println!("{document}");
        return Exit::OK;
    }
    let colour = std::io::stdout().is_terminal();
    for warning in &loaded.warnings {
        println!("{}\n", warning.render(colour));
    }
    println!("{} is valid. What it promises:\n", path.display());
    for promise in &promises {
        println!("  {}", promise.text);
        for line in promise.overlaps.iter().chain(&promise.warnings) {
            println!("    - {line}");
        }
    }
    for alert in &alerts {
        println!("  {}", alert.text);
    }
    Exit::OK
}
