//! The `tidegate` command.

pub mod check;
mod clock;
mod deadletters;
mod query;
pub mod demo;
pub mod exit;
pub mod run;
mod status;
mod tap;
mod try_run;

mod client;
mod print;

use crate::config;
use crate::telemetry::{self, LogFormat};
use clap::{Args, Parser, Subcommand};
use exit::Exit;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the configuration is looked for when nobody says, in this order.
const CONFIG_PLACES: [&str; 2] = ["./tidegate.toml", "/etc/tidegate/tidegate.toml"];

/// A durable edge gateway: MQTT sensor readings in, windows on disk, summaries to cloud functions.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    /// The configuration file [default: ./tidegate.toml, then /etc/tidegate/tidegate.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM; SIGHUP reloads the configuration
    Run {
        /// Give up what waits for this output, which the configuration does not have any more
        #[arg(long, value_name = "NAME")]
        drop_output: Vec<String>,
        /// How log lines are written
        #[arg(long, value_enum, default_value = "auto", value_name = "FORMAT")]
        log_format: LogFormat,
    },
    /// Check the configuration: every error at once, and what is promised per stream
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the configuration makes of a payload; needs no daemon
    Try(try_run::Try),
    /// Show live what becomes of readings in the running daemon
    Tap {
        /// Only those of this stream or topic (`+`, `#` and `{name}` as in the configuration)
        #[arg(value_name = "STREAM|TOPIC")]
        filter: Option<String>,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// See it work: simulated sensors, a local function, a cut uplink; needs nothing and leaves nothing behind
    Demo {
        /// End after so long with the ledger; a full round takes 12 s at least [default: until Ctrl-C]
        #[arg(long = "for", value_name = "DURATION", value_parser = config::units::duration)]
        length: Option<Duration>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show who vouches for this machine's clock
    Clock(clock::Args),
    /// Show how the running daemon is
    Status(status::Args),
    /// Show summaries that the running daemon keeps (`[buffer] history`)
    Query(query::Args),
    /// List, show, retry or drop what could not be used
    #[command(name = "deadletters")]
    DeadLetters {
        #[command(subcommand)]
        command: deadletters::Command,
    },
}

/// How the running daemon is asked, and how its answer is printed.
#[derive(Clone, Debug, Args)]
struct DaemonArgs {
    /// Where the daemon's status endpoint is [default: `[status] listen` of the configuration]
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads the command line and does what it says.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes. Who closed our output does not want to know either way.
            let code = if error.use_stderr() { exit::USAGE } else { 0 };
            let _ = error.print();
            return Exit(code);
        }
    };
    let path = cli.config.as_deref();
    match cli.command {
        Command::Run { drop_output, log_format } => {
            telemetry::start(log_format);
            run::run(&config_path(path), drop_output)
        }
        Command::Check { json } => check::check(&config_path(path), json),
        Command::Try(args) => ended(try_run::try_run(&config_path(path), &args)),
        Command::Tap { filter, daemon } => ended(tap::tap(path, &daemon, filter.as_deref().unwrap_or(""))),
        Command::Clock(args) => ended(clock::clock(&args)),
        Command::Demo { length, json } => demo::demo(length, json),
        Command::Status(args) => ended(status::status(path, &args)),
        Command::Query(args) => ended(query::query(path, &args)),
        Command::DeadLetters { command } => ended(deadletters::deadletters(path, &command)),
    }
}

/// The command line, for what describes it elsewhere: manual pages and completions.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn ended(result: Result<(), Exit>) -> Exit {
    result.err().unwrap_or(Exit::OK)
}

/// The file that was named, else the first of the usual places that exists, else the last of them.
fn config_path(named: Option<&Path>) -> PathBuf {
    let usual = || CONFIG_PLACES.iter().map(Path::new).find(|path| path.exists());
    named.or_else(usual).unwrap_or(Path::new(CONFIG_PLACES[1])).to_owned()
}

/// Reads the configuration, or says all that is wrong with it.
fn load(path: &Path) -> Result<config::Config, Exit> {
    config::load(path).map(|loaded| loaded.config).map_err(|report| exit::config(&report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines() {
        let check = |line: &str, valid: bool| {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert_eq!(parsed.is_ok(), valid, "{line}: {:?}", parsed.err().map(|e| e.to_string()));
        };
        check("tidegate run", true);
        check("tidegate run --config x.toml --drop-output a --drop-output b --log-format json", true);
        check("tidegate --config x.toml check --json", true);
        check("tidegate try --topic a/b -", true);
        check("tidegate try -", false);
        check("tidegate tap climate --address 127.0.0.1:1 --json", true);
        check("tidegate tap", true);
        check("tidegate clock", true);
        check("tidegate clock --mark /run/mark", true);
        check("tidegate demo --for 30s --json", true);
        check("tidegate demo --for 30", false);
        check("tidegate status --json", true);
        check("tidegate query minute --subject minute/t --since 2h --json", true);
        check("tidegate query --since yesterday", false);
        check("tidegate deadletters list --reason malformed", true);
        check("tidegate deadletters show 7", true);
        check("tidegate deadletters retry 7 8", true);
        check("tidegate deadletters retry --all --reason malformed", true);
        check("tidegate deadletters retry", false);
        check("tidegate deadletters drop 7 --all", false);
        check("tidegate deadletters drop 7 --reason x", false);
        check("tidegate deadletters show x", false);
        check("tidegate fly", false);
    }

    /// What documents tell users to type is a command line; in a sentence the command may stand alone.
    #[test]
    fn commands_in_documents_are_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let command = Cli::command();
        let mut typed = 0;
        for path in [
            "README.md",
            "docs/configuration.md",
            "docs/durability.md",
            "docs/ledger.md",
            "docs/raspberry-pi.md",
            "docs/status.md",
        ] {
            let text = std::fs::read_to_string(root.join(path)).unwrap();
            let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
            for line in blocks.flat_map(str::lines) {
                let line = line.trim_start_matches("sudo ").replace("cargo run --release -- ", "tidegate ");
                if line.starts_with("tidegate ") {
                    let parsed = Cli::try_parse_from(line.split(' '));
                    assert!(parsed.is_ok(), "{path}: {line}");
                    typed += 1;
                }
            }
            for rest in text.split("`tidegate ").skip(1) {
                let name = rest.split([' ', '`']).next().unwrap();
                assert!(command.find_subcommand(name).is_some(), "{path}: tidegate {name}");
            }
        }
        assert!(typed >= 3, "{typed} command lines");
    }
}
