//! The pure core of tidegate: `(state, batch, now) → changes`.
//!
//! No I/O, no tokio, no clock, no randomness, no order that differs between runs. What it needs of the world comes in
//! as an argument; that is why it can be simulated, replayed and trusted. The wall is this crate: what is missing
//! from its dependencies cannot be used by accident, and `clippy.toml` bans what `std` still offers.
//!
//! The modules stand in the order in which data meets them.

pub mod aggregate;
pub mod clean;
pub mod plan;
pub mod time;
pub mod topic;
pub mod verdict;
