//! The ingest heart: from what the sources received to a transaction, and from the transaction to acknowledgements.

pub mod intake;
