//! The sensor side of tidegate: sample, queue through outages, publish. `no_std`, no allocation, on any embassy HAL.
//!
//! ```text
//!  Sampler ── reads every so often ──▶ Outbox ── frames ──▶ Publisher ── MQTT 5, QoS 1 ──▶ broker or tidegate
//!                                        │ ▲                     │
//!                                 Storage keeps it        a reading leaves it only when it
//!                                 over a reset            was acknowledged
//! ```
//!
//! Readings have an identity from the boot on, a number and an uptime, and keep it however often they are sent: so the
//! gateway counts each once, sees which are missing, and puts the right time on readings of a chip that does not know the
//! date. What is promised, and a first sensor in thirty lines, is in docs/firmware.md.
//!
//! In the order in which data meets them:

#![no_std]

mod channel;
mod fold;
mod sampler;
mod health;
mod identity;
mod queue;
mod storage;
mod report;
mod outbox;
mod backoff;
mod network;
mod publisher;

pub use channel::{Channel, Merge};
pub use fold::Input;
pub use health::Health;
pub use identity::Identity;
pub use network::Network;
pub use outbox::{Outbox, OutboxMemory};
pub use publisher::{Publisher, Settings, Trouble};
pub use queue::{Outgoing, QUEUE_BYTES_MIN, Queue, SEALED_BYTES_MAX, TooSmall, WhenFull};
pub use report::Report;
pub use sampler::Sampler;
pub use storage::{Keep, NoStorage, Storage};
pub use tidegate_wire as wire;

/// Ticks of the frames in a second: uptimes are milliseconds, whatever embassy's clock counts.
pub const HZ: u32 = 1_000;
