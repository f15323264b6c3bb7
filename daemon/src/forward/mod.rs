//! Forwarding: from the outbox on disk to functions, whenever there is a connection.

pub mod outbox;
