//! The SDK on the host: a clock that stands still until it is told to go on, a broker that does as it is told, storage that
//! fails. What a gateway makes of the frames is worked out by a small gateway of our own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod broker;
mod gateway;
mod laws;
mod outages;
mod queue;
mod sampling;
mod shelf;
mod storage;
mod world;
