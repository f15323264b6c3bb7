//! The `tidegate` command.

pub mod check;
pub mod exit;
pub mod run;
