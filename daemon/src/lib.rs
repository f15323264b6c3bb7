//! The tidegate daemon: the shell around [`tidegate_pipeline`].
//!
//! The modules stand in the order in which data meets them. `mqtt`, `store` and `forward` never use each other.

pub mod config;
pub mod forward;
pub mod clock;
pub mod health;
pub mod ingest;
pub mod store;
pub mod limits;
pub mod mqtt;
pub mod secret;
pub mod status;
pub mod tls;
