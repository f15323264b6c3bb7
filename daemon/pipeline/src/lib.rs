//! The pure core of tidegate: `(state, batch, now) → changes`.
//!
//! No I/O, no tokio, no clock, no randomness, no order that differs between runs. What it needs of the world comes in
//! as an argument; that is why it can be simulated, replayed and trusted. The wall is this crate: what is missing
//! from its dependencies cannot be used by accident, and `clippy.toml` bans what `std` still offers.
//!
//! The modules stand in the order in which data meets them.

pub mod time;
pub mod clock;
pub mod limits;
pub mod plan;
pub mod topic;
pub mod message;
pub mod verdict;
pub mod expr;

mod route;
mod tags;
pub mod decode;
pub mod dedupe;
pub mod clean;
pub mod rejections;
pub mod series;
pub mod presence;
pub mod ticks;
pub mod devices;
mod fold;
mod take;
pub mod window;
pub mod aggregate;
pub mod partial;
pub mod event;
pub mod definition;
mod render;
pub mod rollup;
pub mod alert;
mod listing;
pub mod raw;
pub mod ledger;

pub mod retired;
pub mod state;
pub mod checkpoint;
pub mod pipeline;
mod note;
mod changes;
pub mod step;
mod register;
mod forget;
mod migrate;
mod salvage;
pub mod entry;
pub mod journal;

pub mod mutant;

pub use changes::{Changes, Kept, Loaded, Stored};
pub use pipeline::Pipeline;
pub use salvage::GivenUp;
pub use step::Step;
