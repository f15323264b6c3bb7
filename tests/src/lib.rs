//! What the end-to-end tests and the load tools share. Nothing here but `decoders` and `sim` uses the daemon's
//! code: it sees the daemon as a user does, through its configuration, its sockets and its status.
//!
//! In the order in which data meets them: readings are published, a broker may pass them on, the daemon folds them, a
//! function receives events, and an oracle says what those should have been.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends at the first thing that should not have happened; panicking is how it says so"
)]
#![allow(
    clippy::print_stderr,
    reason = "a test says which seed it runs under, and shows the daemon's log when it fails"
)]

pub mod bare;
pub mod board;
pub mod broker;
pub mod certificates;
pub mod client;
pub mod daemon;
pub mod decoders;
pub mod events;
pub mod faketime;
pub mod field;
pub mod function;
pub mod http;
pub mod https;
pub mod image;
pub mod kept;
pub mod load;
pub mod machine;
pub mod measure;
pub mod oracle;
pub mod outage;
pub mod packet;
pub mod port;
pub mod proxy;
pub mod publisher;
pub mod runtime;
pub mod sim;
pub mod status;
pub mod subscriber;
pub mod systemd;
pub mod tokens;
pub mod toll;
pub mod usage;
pub mod wait;
