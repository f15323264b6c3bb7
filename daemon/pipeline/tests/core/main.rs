//! The pipeline from outside: what it decides, what it sends, and the laws that hold for every script.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test crate has no outside")]

mod aggregates;
mod cleaning;
mod alerts;
mod captures;
mod clocks;
mod devices;
mod events;
mod forgetting;
mod kinds;
mod laws;
mod layout;
mod many;
mod memory;
mod migration;
mod products;
mod raw;
mod readings;
mod records;
mod rollup;
mod samples;
mod script;
mod uniqueness;
mod uptime;
mod vectors;
mod verdicts;
mod windows;
mod world;
