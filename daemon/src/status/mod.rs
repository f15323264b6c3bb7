//! The status endpoint: what the daemon does, for people, monitoring and the `tidegate` command.
//!
//! It reads and never decides; the only thing that it can order is what becomes of dead letters. [`view`] is what it is
//! given, [`model`] what it says, [`server`] how much of it anybody gets.

pub mod model;
pub mod devices;
pub mod view;
pub mod text;
pub mod trace;

mod api;
mod history;
mod letters;
mod metrics;
mod page;
pub mod server;
mod tap;

#[cfg(test)]
mod tests;

pub use model::Document;
pub use server::serve;
pub use trace::TraceLine;
pub use view::{Running, View};
