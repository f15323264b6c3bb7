//! Publishes readings over MQTT as fast as the other side takes them, or at a rate.
#![allow(clippy::print_stdout, reason = "a command line tool")]

use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;
use tidegate_tests::load::Load;
use tidegate_tests::packet::Version;

/// Publishes readings over MQTT as fast as the other side takes them, or at a rate.
#[derive(Parser)]
struct Options {
    /// Where to connect.
    #[arg(long, default_value = "127.0.0.1:1883")]
    address: String,
    /// MQTT version: 4 (3.1.1) or 5.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(4..=5))]
    mqtt: u8,
    /// Quality of service: 0 or 1.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// Connections; each publishes its own share of the series.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Series in all; topics are sensors/dev{n}/{metric}, four metrics to a device.
    #[arg(long, default_value_t = 1_000)]
    series: u32,
    /// Messages a second in all; full speed unless given.
    #[arg(long)]
    rate: Option<f64>,
    /// Unacknowledged messages per connection at QoS 1; the server's receive maximum limits it too.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// Stop after so many messages. Unless given, after --seconds.
    #[arg(long)]
    count: Option<u64>,
    /// Stop after so many seconds. 10 unless given here or by --count.
    #[arg(long)]
    seconds: Option<f64>,
    /// The first sequence number of each topic.
    #[arg(long, default_value_t = 1)]
    first_sequence: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let seconds = options.seconds.or(options.count.is_none().then_some(10.0));
    let connections = options.connections as usize;
    let load = Load {
        address: options.address,
        version: if options.mqtt == 5 { Version::V5 } else { Version::V4 },
        qos: options.qos,
        connections,
        series: (options.series as usize).max(connections),
        rate: options.rate,
        window: options.window,
        count: options.count,
        duration: seconds.map(Duration::from_secs_f64),
        first_sequence: options.first_sequence,
    };
    match load.run().await {
        Ok(report) if options.json => println!("{}", report.json()),
        Ok(report) => println!(
            "sent {}, acknowledged {} in {:.2} s: {:.0} a second, {:.2} µs of processor time each",
            report.sent,
            report.acknowledged,
            report.seconds,
            report.rate(),
            report.cpu_us as f64 / report.sent.max(1) as f64
        ),
        Err(problem) => {
            println!("{problem}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
