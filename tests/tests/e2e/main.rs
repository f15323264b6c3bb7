//! End to end: the daemon as users get it, with a real broker, real HTTP and real `kill -9`. `./tests/run e2e` runs them.
//!
//! One program for all of them: each would be linked with the whole daemon.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says why")]

mod alerts;
mod bad_input;
mod clock;
mod decoders;
mod disk;
mod firmware;
mod frames;
mod functions;
mod heartbeat;
mod month;
mod operation;
mod outage;
mod raw;
mod republish;
mod stage;
mod troubles;
mod upgrade;
mod watchdog;
