//! The ingest heart: from what the sources received to a transaction, and from the transaction to acknowledgements.

mod batch;
mod clock;
pub mod change;
pub mod figures;
pub mod heart;
mod heartbeat;
pub mod intake;
mod links;
mod listening;
pub mod mailbox;
pub mod pace;
pub mod sessions;
pub mod sources;
pub mod standing;
