//! The tidegate daemon: the shell around [`tidegate_pipeline`].
//!
//! The modules stand in the order in which data meets them. `mqtt`, `store` and `forward` never use each other; `wiring`
//! is the one place that knows them all. `wire` is what `mqtt` and `forward` both need to speak MQTT.

pub mod config;
pub mod secret;
pub mod status;
pub mod tls;
mod wire;
pub mod mqtt;
pub mod ingest;
pub mod store;
pub mod forward;

pub mod clock;
pub mod directory;
pub mod files;
pub mod health;
pub mod limits;
pub mod pulse;
pub mod report;
pub mod telemetry;
pub mod watchdog;

pub mod wiring;
pub mod cli;
