//! The foundation: the store and the ingest heart over a medium that fails, tears and loses power.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test crate has no outside")]

mod alerts;
mod clock;
mod cuts;
mod devices;
mod failures;
mod files;
mod fixtures;
mod heart;
mod heartbeat;
mod letters;
mod lists;
mod matrix;
mod measure;
mod recovery;
mod remembered;
mod outbox;
mod raw;
mod rig;
mod rollup;
mod room;
mod salvage;
mod shelf;
