//! The `tidegate` command.

use std::path::Path;
use tidegate::cli;

fn main() -> std::process::ExitCode {
    tidegate::telemetry::start(tidegate::telemetry::LogFormat::Auto);
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|a| a == "--config").unwrap_or(1);
    let path = Path::new(&args.get(at + 1).cloned().unwrap_or_default()).to_owned();
    match args[1].as_str() {
        "check" => cli::check::check(&path, false).into(),
        "demo" => cli::demo::demo(Some(std::time::Duration::from_secs(24)), false).into(),
        _ => cli::run::run(&path, vec![]).into(),
    }
}
