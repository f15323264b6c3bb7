//! Nothing lost and nothing counted twice, whatever is pulled out. `SEED=n` replays a schedule.

use std::time::Duration;
use tidegate_tests::outage::{Outage, Source};

const SHORT: Outage = Outage {
    source: Source::Mosquitto,
    sequence: true,
    length: Duration::from_secs(20),
    kills: 3,
    broker_restarts: 0,
    away: Duration::from_secs(6),
};

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn behind_mosquitto_with_everything_pulled_out() {
    let length = Duration::from_secs(60);
    Outage { length, kills: 5, broker_restarts: 1, away: Duration::from_secs(20), ..SHORT }.run();
}

/// No broker restart here: a sensor that repeats a message to its broker makes two messages of it, and without a
/// sequence number nobody can tell.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn behind_mosquitto_without_sequence_numbers() {
    Outage { sequence: false, ..SHORT }.run();
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn on_the_listener() {
    Outage { source: Source::Listener, ..SHORT }.run();
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn on_the_listener_without_sequence_numbers() {
    Outage { source: Source::Listener, sequence: false, ..SHORT }.run();
}

/// Ten minutes of the first test, `SOAK_MINUTES` of it where that is set.
#[test]
#[ignore = "soak: ./tests/run soak"]
fn soak() {
    let minutes = std::env::var("SOAK_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(10_u32);
    let kills = 5 * minutes as usize;
    let restarts = minutes.div_ceil(3) as usize;
    let length = Duration::from_secs(60) * minutes;
    Outage { length, kills, broker_restarts: restarts, away: length / 3, ..SHORT }.run();
}
