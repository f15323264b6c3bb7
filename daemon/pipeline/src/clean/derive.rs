//! `derive = { metric, from, unit }`: a new metric, computed from others of the same message.
//!
//! It is computed from cleaned values that were counted, so that a spike in an input makes no derived reading. It is a
//! reading like any other then: in the journal, in the ledger, in its own series.

use crate::expr::Expr;
use serde::{Deserialize, Serialize};

/// A metric that no sensor sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Derive {
    /// Its name.
    pub metric: String,
    /// A formula over metrics of the same message, the parts of the time and tags.
    pub from: Expr,
    /// For people and functions.
    pub unit: Option<String>,
}
