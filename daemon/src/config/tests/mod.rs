//! Tables of configurations and what becomes of them.

mod cleaning;
mod alerts;
mod documents;
mod errors;
mod functions;
mod newcomers;
mod places;
mod promises;
mod republish;
mod raw;
mod samples;
mod synonyms;
mod values;
mod warnings;

use super::{Config, Environment, Loaded, Report, parse};
use std::path::Path;

/// A machine that is the same in every test.
fn machine() -> Environment {
    Environment {
        hostname: Some("pi".into()),
        machine_id: Some("0123456789abcdef0123456789abcdef".into()),
        state_directory: None,
        timezone: Some("Europe/Amsterdam".into()),
    }
}

fn read(text: &str) -> Result<Loaded, Report> {
    parse(text, "tidegate.toml", Path::new("/etc/tidegate"), &machine())
}

/// Streams and outputs that are right, for tests about something else.
const BASE: &str = "[streams.climate]\ntopic = \"sensors/{device}/{metric}\"\n[outputs.ingest]\nurl = \"https://f.example/\"\n";

/// The configuration that `text` means; it has to be valid.
fn valid(text: &str) -> Config {
    read(text).unwrap_or_else(|report| panic!("{text}\n{report}")).config
}
