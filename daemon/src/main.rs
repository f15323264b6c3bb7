//! The `tidegate` command.

use std::path::Path;
use tidegate::cli;

fn main() -> std::process::ExitCode {
    tidegate::telemetry::start(tidegate::telemetry::LogFormat::Auto);
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|a| a == "--config").unwrap_or(1);
    let path = Path::new(&args[at + 1]).to_owned();
    match args[1].as_str() {
        "check" => cli::check::check(&path, false).into(),
        _ => cli::run::run(&path, vec![]).into(),
    }
}
