//! Writes the manual pages and shell completions of the `tidegate` command below a folder, where Debian has them.
//!
//!     cargo run -p tidegate-pages -- FOLDER
//!
//! A program of its own, so that the daemon on the gateway carries neither generator.

use clap_complete::{Shell, generate_to};
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;

/// Where completions belong, below `usr/share`, and what the file is called there.
const COMPLETIONS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "bash-completion/completions", "tidegate"),
    (Shell::Zsh, "zsh/vendor-completions", "_tidegate"),
    (Shell::Fish, "fish/vendor_completions.d", "tidegate.fish"),
];

fn main() -> Result<()> {
    let root = std::env::args_os().nth(1).map(PathBuf::from);
    let root = root.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "say into which folder"))?;
    let share = root.join("usr/share");
    let folder = share.join("man/man1");
    fs::create_dir_all(&folder)?;
    // One for the command, and one for each of its commands, as `git` has them.
    clap_mangen::generate_to(tidegate::cli::command(), &folder)?;
    for (shell, folder, name) in COMPLETIONS {
        let folder = share.join(folder);
        fs::create_dir_all(&folder)?;
        let written = generate_to(shell, &mut tidegate::cli::command(), "tidegate", &folder)?;
        fs::rename(written, folder.join(name))?;
    }
    Ok(())
}
