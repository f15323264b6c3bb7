//! Nothing lost and nothing counted twice, whatever is pulled out. `SEED=n` replays a schedule.

use std::time::Duration;
use tidegate_tests::outage::{Outage, Source};

const SHORT: Outage = Outage {
    kills: 3,
    away: Duration::from_secs(6),
    ..Outage::calm(Source::Mosquitto, Duration::from_secs(20))
};

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn behind_mosquitto_with_everything_pulled_out() {
    let (length, away) = (Duration::from_secs(60), Duration::from_secs(20));
    Outage { length, kills: 5, broker_restarts: 1, networks: 6, away, ..SHORT }.run();
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
    Outage { source: Source::Listener, networks: 5, ..SHORT }.run();
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn on_the_listener_without_sequence_numbers() {
    Outage { source: Source::Listener, sequence: false, ..SHORT }.run();
}

/// Dozens of times, at any moment of its life, and of its start.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn killed_again_and_again() {
    let length = Duration::from_secs(40);
    Outage { source: Source::Listener, length, kills: 20, starts: 5, ..SHORT }.run();
}

/// It has saved nearly everything.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_broker_that_is_killed() {
    Outage { length: Duration::from_secs(30), kills: 2, broker_kills: 3, ..SHORT }.run();
}

/// It forgets everything: messages, sessions and subscriptions.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_broker_without_persistence_that_is_killed() {
    let length = Duration::from_secs(30);
    Outage { source: Source::Forgetful, length, kills: 2, broker_kills: 3, ..SHORT }.run();
}

/// By minutes, forwards and backwards, while readings come and the daemon is killed.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_clock_that_is_set_under_load() {
    let length = Duration::from_secs(30);
    Outage { source: Source::Listener, length, clock_steps: 8, ..SHORT }.run();
}
