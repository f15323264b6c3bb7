//! Simulated and real outages for as long as one wants, and what they took as a table.
#![allow(clippy::print_stdout, reason = "a command line tool")]

use clap::Parser;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tidegate_tests::outage::{Outage, Source};
use tidegate_tests::sim;
use tidegate_tests::toll::Toll;

/// One round: long enough for the function to be away while windows are amended, short enough to be replayed.
const ROUND: Duration = Duration::from_secs(120);

/// The part of the time that the simulation gets: it is the faster of the two by far.
const SIMULATED: f64 = 0.2;

/// The simulation for a part of the time, then the real thing: kills, cuts, stalls and steps of the clock while sensors
/// publish, round after round. Every reading is accounted for after each.
#[derive(Parser)]
struct Options {
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// The seed of the first round; the others follow from it. $SEED, or random, unless given here.
    #[arg(long)]
    seed: Option<u64>,
    /// The round to begin with, without the simulation: with the seed that a round printed, it is replayed.
    #[arg(long)]
    round: Option<u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let given = options.seed.or_else(|| std::env::var("SEED").ok()?.parse().ok());
    let mut seed = given.unwrap_or_else(|| fastrand::u64(..));
    let (length, start) = (Duration::from_secs(60 * options.minutes), Instant::now());
    let mut toll = Toll::default();
    if options.round.is_none() {
        let totals = sim::soak(seed >> 1, start + length.mul_f64(SIMULATED));
        println!(
            "simulated {} seeds from {} on: {} readings",
            totals.seeds,
            seed >> 1,
            totals.toll.acknowledged
        );
        if let Some((seed, why)) = totals.failed.first() {
            println!("the simulation failed: SEED={seed} replays it: {why}");
            return ExitCode::FAILURE;
        }
        toll.add(totals.toll);
    }
    for round in options.round.unwrap_or(0).. {
        let left = length.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        println!("round {round} by seed {seed}");
        toll.add(outage(round, left.min(ROUND)).run_with(seed));
        println!("after {} s: {} readings, nothing lost", start.elapsed().as_secs(), toll.acknowledged);
        seed = fastrand::Rng::with_seed(seed).u64(..);
    }
    println!("{toll}");
    if toll.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each round stands on another foot.
fn outage(round: u64, length: Duration) -> Outage {
    let rate = |every: u64| usize::try_from(length.as_secs() / every).unwrap_or(0);
    let all = Outage {
        kills: rate(6),
        starts: rate(30),
        networks: rate(10),
        away: length / 3,
        ..Outage::calm(Source::Listener, length)
    };
    match round % 4 {
        0 => Outage { source: Source::Mosquitto, broker_restarts: rate(40), broker_kills: rate(30), ..all },
        1 => all,
        2 => Outage { source: Source::Forgetful, broker_kills: rate(20), ..all },
        _ => Outage { clock_steps: rate(6), ..all },
    }
}
