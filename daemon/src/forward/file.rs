//! The output `file`: one event per line (JSON Lines), appended; `-` is standard output.
//!
//! Events are settled after `fdatasync`, so a crash may write some of them a second time, under the same ids. A line
//! that a crash or a full disk cut off is ended by a line break before the next one, so that at most that line is not JSON.

use super::Destination;
use super::answer::Answer;
use super::outbox::Queued;
use super::state::OutputState;
use crate::directory;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A file of JSON lines, or standard output.
#[derive(Debug)]
pub struct Lines {
    path: Option<Arc<Path>>,
    state: Arc<OutputState>,
}

impl Lines {
    /// Appends to `path`, to standard output when there is none. The file is opened for each attempt, so that it may be
    /// rotated away at any time.
    pub fn new(path: Option<PathBuf>, state: Arc<OutputState>) -> Lines {
        Lines { path: path.map(Arc::from), state }
    }
}

impl Destination for Lines {
    /// A file is found out by writing to it.
    async fn test(&mut self) -> Option<Answer> {
        None
    }

    fn limit(&self) -> Option<Duration> {
        None
    }

    async fn send(&mut self, events: &[Queued]) -> Answer {
        let mut lines = Vec::with_capacity(events.iter().map(|queued| queued.event.len() + 1).sum());
        for queued in events {
            lines.extend_from_slice(&queued.event);
            lines.push(b'\n');
        }
        self.state.sent(lines.len());
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || match &path {
            Some(path) => append(path, &lines),
            None => print(&lines),
        });
        let result = written.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        match result {
            Ok(()) => Answer::Confirmed { failed: Vec::new() },
            Err(error) => Answer::DestinationProblem { why: why(self.path.as_deref(), &error) },
        }
    }
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    // A device or a pipe has no end to look at, and nothing that could be synced.
    let regular = file.metadata()?.is_file();
    if regular && ends_within_a_line(&mut file)? {
        file.write_all(b"\n")?;
    }
    file.write_all(lines)?;
    if !regular {
        return Ok(());
    }
    file.sync_data()?;
    if file.metadata()?.len() == lines.len() as u64 {
        // The first lines of a new file: its name must be on disk too.
        directory::sync_name(path)?;
    }
    Ok(())
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn print(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines)?;
    out.flush()
}

fn why(path: Option<&Path>, error: &io::Error) -> String {
    let place = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full: make room",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "allow the user that tidegate runs as to write there (under systemd also by `ReadWritePaths=`)"
        }
        ErrorKind::NotFound => "create the directory",
        ErrorKind::BrokenPipe => "whoever read it has left: start tidegate again with a reader",
        _ => "look into the system's log",
    };
    format!("cannot write to {place} ({error}): {advice}. Everything is kept")
}
