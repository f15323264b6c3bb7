//! `tidegate check`: every error at once, and what the configuration promises.
#![expect(clippy::print_stdout, reason = "the answer of a command")]

use super::exit::{self, Exit};
use crate::clock::{System, TimeSource};
use crate::config;
use crate::config::model::Config;
use crate::config::units::duration_text;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;
use tidegate_pipeline::time::Time;

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
    let raw = config::raw_promises(&loaded.config);
    let outputs = config::output_promises(&loaded.config);
    let clock = clock(&loaded.config);
    if json {
        let warnings: Vec<_> = loaded.warnings.iter().map(config::Diagnostic::one_line).collect();
        let document = serde_json::json!({
            "valid": true, "warnings": warnings, "streams": promises, "alerts": alerts, "raw": raw,
            "outputs": outputs, "clock": clock
        });
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
    for raw in &raw {
        println!("  {}", raw.text);
    }
    for output in &outputs {
        println!("  {}", output.text);
    }
    println!("\n  {clock}");
    Exit::OK
}

/// What is believed of this machine's clock, and what is done while nothing is.
fn clock(config: &Config) -> String {
    let Some(max) = config.plan.hold_max else {
        return "clock: this machine's clock is believed as it is".to_owned();
    };
    let max = duration_text(Duration::from_micros(max.0.unsigned_abs()));
    match System::new().vouched(Time::MIN) {
        Some(by) => {
            format!("clock: vouched for by {by}; while nobody does, readings are held for {max} at most")
        }
        None => format!(
            "clock: nobody vouches for this machine's clock now: readings would be held for {max}, and then counted in \
             summaries that are marked. On a machine without NTP write unsynchronised = \"trust\" under [clock]"
        ),
    }
}
