//! The configuration: one TOML file in, a [`Config`] or every error at once out.

pub mod model;

pub use model::Config;
