//! The ingest heart: from what the sources received to a transaction, and from the transaction to acknowledgements.

pub mod figures;
pub mod heart;
pub mod intake;
pub mod mailbox;
pub mod pace;
