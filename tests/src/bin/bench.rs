//! The table of docs/benchmarks.md: each figure beside its yardstick from the same run.
#![allow(clippy::print_stdout, reason = "a command line tool")]
#![allow(clippy::expect_used, reason = "a bench ends at the first thing that should not have happened")]

#[path = "bench/core.rs"]
mod core;
#[path = "bench/delivery.rs"]
mod delivery;
#[path = "bench/fold.rs"]
mod fold;

use clap::Parser;
use std::time::{Duration, Instant};
use tidegate_tests::broker::Broker;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::Function;
use tidegate_tests::measure::{Tool, bottleneck, median, number, run};
use tidegate_tests::usage::{Usage, machine, rss_kib};
use tidegate_tests::{events, http, port};

/// Measures tidegate beside its yardsticks and prints a table in Markdown.
#[derive(Parser)]
struct Options {
    /// How often each figure is taken; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Only the yardsticks: what this machine can do without tidegate.
    #[arg(long)]
    yardsticks: bool,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// How long the row at 2 readings/s is watched, in seconds.
    #[arg(long, default_value_t = 120)]
    slow_seconds: u64,
}

/// One figure of one run.
struct Figure {
    value: f64,
    bottleneck: String,
}

struct Bench {
    options: Options,
}

fn main() {
    let bench = Bench { options: Options::parse() };
    println!("{}\n", machine(&std::env::temp_dir()));
    println!("Medians of {}; the command is `./tests/run bench`.\n", bench.options.runs);
    println!("| measured | figure | what held it up |\n|---|---:|---|");
    bench.yardsticks();
    if !bench.options.yardsticks {
        bench.throughput();
        bench.disk();
        bench.size_and_latency();
        bench.delivery();
        bench.core();
        bench.folding();
    }
}

impl Bench {
    /// Runs a measurement that gives several figures, and prints a row for each.
    fn rows(&self, names: &[(&str, usize)], measure: impl Fn() -> Vec<Figure>) {
        if !names.iter().any(|(name, _)| name.contains(&self.options.only)) {
            return;
        }
        let runs: Vec<Vec<Figure>> = (0..self.options.runs).map(|_| measure()).collect();
        for (at, (name, decimals)) in names.iter().enumerate() {
            let middle = median(runs.iter().map(|run| run[at].value).collect());
            let spread = runs.iter().map(|run| run[at].value);
            let (low, high) = spread.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
            let why =
                runs.iter().map(|run| &run[at]).find(|f| f.value == middle).map_or("", |f| &f.bottleneck);
            println!(
                "| {name} | {} ({}–{}) | {why} |",
                grouped(middle, *decimals),
                grouped(low, *decimals),
                grouped(high, *decimals)
            );
        }
    }

    fn yardsticks(&self) {
        for (kind, qos, count) in [("socket", 0, 500_000), ("socket", 1, 200_000), ("rumqttc", 1, 200_000)] {
            let rate = format!("mosquitto to a bare {kind}, QoS {qos}: messages/s");
            let cpu = format!("mosquitto to a bare {kind}, QoS {qos}: µs of the subscriber per message");
            self.rows(&[(&rate, 0), (&cpu, 2)], || bare_subscriber(kind, qos, count));
        }
        for qos in [0, 1] {
            let rate = format!("bare endpoint, QoS {qos}: messages/s");
            let cpu = format!("bare endpoint, QoS {qos}: µs per message");
            self.rows(&[(&rate, 0), (&cpu, 2)], || bare_endpoint(qos, 20_000_000));
        }
    }

    fn throughput(&self) {
        self.rows(
            &[
                ("**behind mosquitto, QoS 1: readings/s**", 0),
                ("**behind mosquitto, QoS 1: µs per reading**", 2),
            ],
            || behind_mosquitto(1_000_000),
        );
        for qos in [1, 0] {
            let rate = format!("**listener, QoS {qos}, 10 connections: readings/s**");
            let cpu = format!("**listener, QoS {qos}, 10 connections: µs per reading**");
            self.rows(&[(&rate, 0), (&cpu, 2)], || on_the_listener(qos, 2_000_000));
        }
    }

    fn disk(&self) {
        let names = [
            ("**listener, 10,000/s: bytes to disk per reading**", 2),
            ("**listener, 10,000/s: syncs/s**", 1),
            ("**listener, 10,000/s: µs per reading**", 2),
        ];
        self.rows(&names, || paced(10_000.0, 20.0).to_vec_per_reading());
        let names = [
            ("**listener, 2/s, defaults: GB to disk per day**", 3),
            ("**listener, 2/s, defaults: syncs/s**", 2),
        ];
        let seconds = self.options.slow_seconds as f64;
        self.rows(&names, || paced(2.0, seconds).to_vec_per_day());
    }

    fn size_and_latency(&self) {
        self.rows(&[("**ready after, ms**", 0), ("**idle: MiB resident**", 1)], ready_and_idle);
        self.rows(&[("**10,000 open series: MiB resident**", 1)], with_series);
        let names = [
            ("**from the window's end to the function, ms, median**", 0),
            ("**from the window's end to the function, ms, slowest**", 0),
        ];
        self.rows(&names, latency);
    }
}

impl Bench {
    /// A backlog that drains.
    fn delivery(&self) {
        for (summaries, compression) in
            [(200_000, "none"), (200_000, "gzip"), (200_000, "zstd"), (1_000_000, "gzip")]
        {
            let what = format!("**{} summaries to a function, {compression}", grouped(summaries as f64, 0));
            let names = [
                ": summaries/s**",
                ": µs per summary**",
                ": MiB resident before**",
                ": MiB resident at most**",
                ": the plain loop, times**",
            ]
            .map(|name| format!("{what}{name}"));
            let rows: Vec<(&str, usize)> = names.iter().map(String::as_str).zip([0, 1, 1, 1, 2]).collect();
            self.rows(&rows, || delivery::drained(summaries, compression));
        }
    }
}

impl Bench {
    /// What a reading costs in the core, from its payload to the row of the journal.
    fn core(&self) {
        for case in core::cases() {
            let row = format!("core, {}: ns per reading", case.name);
            self.rows(&[(&row, 0)], || vec![core::measure(&case)]);
        }
        self.rows(&[("core, the ledger: ns per reading", 1)], || vec![core::ledger()]);
        self.rows(&[("core: B of memory per open series", 0)], core::memory);
    }
}

impl Bench {
    /// What a reading costs in each aggregate, by itself.
    fn folding(&self) {
        for (name, aggregates) in fold::cases() {
            let row = format!("fold, {name}: ns per reading");
            self.rows(&[(&row, 1)], || vec![fold::measure(&aggregates)]);
        }
    }
}

fn figure(value: f64, bottleneck: &str) -> Figure {
    Figure { value, bottleneck: bottleneck.to_owned() }
}

fn bare_subscriber(kind: &str, qos: u8, count: u64) -> Vec<Figure> {
    let broker = Broker::in_memory();
    let (address, qos, count) = (format!("127.0.0.1:{}", broker.port()), qos.to_string(), count.to_string());
    let mut subscriber =
        Tool::start("bare", &["--kind", kind, "--address", &address, "--qos", &qos, "--count", &count]);
    subscriber.line();
    let before = Usage::of(broker.pid());
    let start = Instant::now();
    let load = run("load", &["--address", &address, "--qos", &qos, "--count", &count]);
    let counted = subscriber.result();
    let broker_us = Usage::of(broker.pid()).since(before).cpu_us as f64;
    let seconds = start.elapsed().as_secs_f64();
    let parts =
        [("mosquitto", broker_us), (kind, number(&counted, "cpu_us")), ("load", number(&load, "cpu_us"))];
    let why = bottleneck(&parts, seconds);
    vec![figure(number(&counted, "rate"), &why), figure(number(&counted, "cpu_us_per_message"), "")]
}

fn bare_endpoint(qos: u8, count: u64) -> Vec<Figure> {
    let (qos, count) = (qos.to_string(), count.to_string());
    let mut endpoint =
        Tool::start("bare", &["--kind", "listener", "--address", "127.0.0.1:0", "--count", &count]);
    let ready = endpoint.line();
    let address = format!("127.0.0.1:{}", ready.rsplit(' ').next().unwrap_or_default());
    let load = run("load", &["--address", &address, "--qos", &qos, "--count", &count]);
    let counted = endpoint.result();
    let parts = [("endpoint", number(&counted, "cpu_us")), ("load", number(&load, "cpu_us"))];
    let why = bottleneck(&parts, number(&load, "seconds"));
    vec![figure(number(&load, "rate"), &why), figure(number(&counted, "cpu_us_per_message"), "")]
}

/// The configuration of all rows: device time, sequence numbers, one summary. `more` goes into the summary.
fn configuration(source: &str, function: &Function, window: &str) -> String {
    format!(
        "[sources.bench]\n{source}\n
[streams.readings]
topic = \"sensors/{{device}}/{{metric}}\"
value = \"/value\"
sequence = \"/seq\"

[summaries.all]
window = \"{window}\"

[outputs.function]
url = \"{}\"
batch = {{ events = 500, bytes = \"256KiB\", linger = \"20ms\" }}
",
        function.url()
    )
}

/// A daemon with a listener, its address, and its function.
fn listening(window: &str) -> (Daemon, String, Function) {
    let function = Function::start();
    let address = format!("127.0.0.1:{}", port::reserve());
    let source = format!("type = \"listen\"\nlisten = \"{address}\"");
    (Daemon::start(&configuration(&source, &function, window)), address, function)
}

fn behind_mosquitto(count: u64) -> Vec<Figure> {
    let (broker, function) = (Broker::in_memory(), Function::start());
    let source = format!("type = \"mqtt\"\nurl = \"{}\"", broker.url());
    let daemon = Daemon::start(&configuration(&source, &function, "1m"));
    broker.wait_for_subscription("sensors/+/+");
    let address = format!("127.0.0.1:{}", broker.port());
    let before = (Usage::of(broker.pid()), Usage::of(daemon.pid()));
    let start = Instant::now();
    let load = Tool::start("load", &["--address", &address, "--qos", "1", "--count", &count.to_string()]);
    wait_for_readings(&daemon, count);
    let seconds = start.elapsed().as_secs_f64();
    let load = load.result();
    let daemon_us = Usage::of(daemon.pid()).since(before.1).cpu_us as f64;
    let broker_us = Usage::of(broker.pid()).since(before.0).cpu_us as f64;
    let parts = [("mosquitto", broker_us), ("tidegate", daemon_us), ("load", number(&load, "cpu_us"))];
    vec![figure(count as f64 / seconds, &bottleneck(&parts, seconds)), figure(daemon_us / count as f64, "")]
}

fn on_the_listener(qos: u8, count: u64) -> Vec<Figure> {
    let (daemon, address, _function) = listening("1m");
    let before = Usage::of(daemon.pid());
    let (qos, messages) = (qos.to_string(), count.to_string());
    let start = Instant::now();
    let load = run("load", &["--address", &address, "--qos", &qos, "--count", &messages]);
    wait_for_readings(&daemon, count);
    let seconds = if qos == "1" { number(&load, "seconds") } else { start.elapsed().as_secs_f64() };
    let daemon_us = Usage::of(daemon.pid()).since(before).cpu_us as f64;
    let parts = [("tidegate", daemon_us), ("load", number(&load, "cpu_us"))];
    vec![figure(count as f64 / seconds, &bottleneck(&parts, seconds)), figure(daemon_us / count as f64, "")]
}

/// Waits until all are counted, without asking so often that it would show. Nothing may be lost or refused.
fn wait_for_readings(daemon: &Daemon, count: u64) {
    let start = Instant::now();
    loop {
        let status = daemon.status();
        if status.ledger("received") >= count && status.ledger("pending") == 0 {
            assert_eq!(status.ledger("counted"), count, "{}", status.0["ledger"]);
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(300), "readings are missing: {}", status.0["ledger"]);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a steady rate cost.
struct Paced {
    readings: f64,
    seconds: f64,
    used: Usage,
    syncs: Option<f64>,
}

impl Paced {
    fn to_vec_per_reading(&self) -> Vec<Figure> {
        vec![
            figure(self.used.written_bytes as f64 / self.readings, "/proc/PID/io"),
            self.syncs_per_second(),
            figure(self.used.cpu_us as f64 / self.readings, ""),
        ]
    }

    fn to_vec_per_day(&self) -> Vec<Figure> {
        let per_day = self.used.written_bytes as f64 / self.seconds * 86_400.0 / 1e9;
        vec![figure(per_day, "/proc/PID/io, extrapolated"), self.syncs_per_second()]
    }

    fn syncs_per_second(&self) -> Figure {
        match self.syncs {
            Some(syncs) => figure(syncs / self.seconds, "tidegate_store_syncs_total"),
            None => figure(f64::NAN, "not in the metrics"),
        }
    }
}

/// Publishes at a rate, and takes what the daemon used until all was counted. The first second does not count: it makes
/// the series.
fn paced(rate: f64, seconds: f64) -> Paced {
    let (daemon, address, _function) = listening("1m");
    let (series, connections) = if rate < 1_000.0 { ("4", "1") } else { ("1000", "10") };
    let publish = |seconds: f64, first: &str| {
        let (rate, seconds) = (rate.to_string(), seconds.to_string());
        let arguments = ["--address", &address, "--rate", &rate, "--seconds", &seconds, "--series", series];
        run("load", &[&arguments[..], &["--connections", connections, "--first-sequence", first]].concat())
    };
    let warm = number(&publish(1.0, "1"), "sent");
    wait_for_readings(&daemon, warm as u64);
    let (before, syncs_before, start) = (Usage::of(daemon.pid()), syncs(&daemon), Instant::now());
    let readings = number(&publish(seconds, "1000000"), "sent");
    wait_for_readings(&daemon, (warm + readings) as u64);
    let syncs = syncs(&daemon).zip(syncs_before).map(|(after, before)| after - before);
    let used = Usage::of(daemon.pid()).since(before);
    Paced { readings, seconds: start.elapsed().as_secs_f64(), used, syncs }
}

fn syncs(daemon: &Daemon) -> Option<f64> {
    let (_, metrics) = http::get(daemon.status_address(), "/metrics").ok()?;
    let line = metrics.lines().find(|line| line.starts_with("tidegate_store_syncs_total"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn ready_and_idle() -> Vec<Figure> {
    let function = Function::start();
    let source = format!("type = \"listen\"\nlisten = \"127.0.0.1:{}\"", port::reserve());
    let mut daemon = Daemon::prepare(&configuration(&source, &function, "1m"));
    let start = Instant::now();
    daemon.launch();
    let ready_ms = start.elapsed().as_secs_f64() * 1e3;
    std::thread::sleep(Duration::from_secs(5));
    let resident = rss_kib(daemon.pid()) as f64 / 1024.0;
    vec![figure(ready_ms, "a new store; asked every 5 ms"), figure(resident, "after 5 s")]
}

fn with_series() -> Vec<Figure> {
    let (daemon, address, _function) = listening("1h");
    let load =
        run("load", &["--address", &address, "--series", "10000", "--count", "100000", "--rate", "20000"]);
    wait_for_readings(&daemon, number(&load, "sent") as u64);
    vec![figure(rss_kib(daemon.pid()) as f64 / 1024.0, "after 10 readings each")]
}

fn latency() -> Vec<Figure> {
    let (daemon, address, function) = listening("1s");
    run(
        "load",
        &["--address", &address, "--series", "20", "--connections", "1", "--rate", "200", "--seconds", "20"],
    );
    daemon.wait_for("the last window", |s| s.output("function", "queued") == 0);
    let late = |event: &tidegate_tests::function::Received| {
        let end_ms = events::moment_ms(&event.event["data"]["window"]["end"]).expect("the window's end");
        (event.at_ms - end_ms) as f64
    };
    let delays: Vec<f64> = function.events().iter().map(late).collect();
    let slowest = delays.iter().copied().fold(0.0, f64::max);
    vec![figure(median(delays), "arrival time, lateness 0"), figure(slowest, "")]
}

/// With a comma between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    if !whole.bytes().all(|b| b.is_ascii_digit()) {
        return text;
    }
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas() {
        for (value, decimals, text) in
            [(0.5, 1, "0.5"), (999.0, 0, "999"), (1_000.0, 0, "1,000"), (1_234_567.8, 1, "1,234,567.8")]
        {
            assert_eq!(grouped(value, decimals), text);
        }
    }
}
