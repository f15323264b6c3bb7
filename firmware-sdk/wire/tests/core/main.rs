//! Frames as firmware makes them and the daemon reads them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod golden;
mod laws;
mod size;
