//! Yardsticks: receives messages, counts and acknowledges them, keeps nothing, and says what that cost.
#![allow(clippy::print_stdout, reason = "a command line tool")]

use clap::{Parser, ValueEnum};
use std::process::ExitCode;
use std::time::Duration;
use tidegate_tests::bare::{self, Counted, Until};

/// Receives messages, counts and acknowledges them, keeps nothing, and says what that cost.
#[derive(Parser)]
struct Options {
    /// What receives.
    #[arg(long, value_enum, default_value_t = Kind::Socket)]
    kind: Kind,
    /// The broker to subscribe at; for a listener: where to listen (port 0 takes a free one).
    #[arg(long, default_value = "127.0.0.1:1883")]
    address: String,
    /// Quality of service of the subscription: 0 or 1.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// Stop after so many messages.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// Stop when nothing came for so many seconds after the first message.
    #[arg(long, default_value_t = 2.0)]
    idle: f64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A subscriber on a raw socket: batched reads and acknowledgements.
    Socket,
    /// A subscriber on the client library rumqttc 0.25, MQTT 5.
    Rumqttc,
    /// An endpoint that publishers connect to.
    Listener,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match count(&options) {
        Ok(counted) if options.json => println!("{}", counted.json()),
        Ok(counted) => println!(
            "{} messages in {:.2} s: {:.0} a second, {:.2} µs of processor time each",
            counted.messages,
            counted.seconds,
            counted.rate(),
            counted.cpu_us_per_message()
        ),
        Err(problem) => {
            println!("{problem}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn count(options: &Options) -> Result<Counted, String> {
    let until = Until { count: options.count, idle: Duration::from_secs_f64(options.idle) };
    let ready = || println!("ready");
    match options.kind {
        Kind::Socket => bare::socket(&options.address, options.qos, until, ready),
        Kind::Listener => bare::listener(&options.address, until, |port| println!("ready on port {port}")),
        Kind::Rumqttc => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?
            .block_on(bare::rumqttc(&options.address, options.qos, until, ready)),
    }
}
