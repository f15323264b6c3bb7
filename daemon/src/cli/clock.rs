//! `tidegate clock`: who vouches for this machine's clock, without a daemon.

use super::exit::{self, Exit};
use super::print::{note, out};
use crate::clock::{System, TimeSource, kernel_vouches};
use std::path::PathBuf;
use std::time::Duration;
use tidegate_pipeline::time::Time;

/// How often the kernel is asked. An NTP client needs seconds for its first answer.
const LOOK: Duration = Duration::from_secs(1);

/// What to do about the clock.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Wait until the kernel says that the clock is synchronised, make this file, and end: for tidegate-clock.service
    #[arg(long, value_name = "FILE")]
    mark: Option<PathBuf>,
}

/// Says who vouches, or waits for the kernel.
///
/// # Errors
/// How to end when the answer or the file cannot be written.
pub(super) fn clock(args: &Args) -> Result<(), Exit> {
    let Some(path) = &args.mark else {
        // The daemon knows when its store last heard of a message, which a real-time clock must be later than; here nobody does.
        let answer = match System::new().vouched(Time::from_millis(0)) {
            Some(who) => format!("{who} vouches for the clock\n"),
            None => "nobody vouches for the clock: docs/clock.md says what to do\n".to_owned(),
        };
        return out(&answer);
    };
    if cfg!(target_pointer_width = "32") {
        note("on 32 bits the kernel is not asked; systemd-timesyncd and a real-time clock vouch");
        return Ok(());
    }
    while !kernel_vouches() {
        std::thread::sleep(LOOK);
    }
    std::fs::write(path, "")
        .map_err(|error| exit::failed(exit::IO, &format!("cannot make {}: {error}", path.display())))
}
