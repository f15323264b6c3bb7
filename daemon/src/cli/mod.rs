//! The `tidegate` command.

pub mod check;
pub mod demo;
pub mod exit;
pub mod run;
