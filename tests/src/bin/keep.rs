//! Makes `tests/stores/VERSION` with the daemon under test, from the configuration that is there: once for each version that is released.

use clap::Parser;

/// Keeps a store as this version leaves it behind, for later ones to go on from.
#[derive(Parser)]
struct Options {
    /// The version, and the name of its folder, which holds `tidegate.toml`.
    version: String,
}

fn main() {
    tidegate_tests::kept::keep(&Options::parse().version);
}
