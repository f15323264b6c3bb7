//! A clock that the test sets: libfaketime stands between a daemon and the system's clock. Its uptime the daemon asks the
//! kernel for, so that stays what it is.

use crate::daemon::Daemon;
use std::fs;
use std::path::PathBuf;

/// Puts the clocks of the processes that `daemon` starts from here on under the test's control, and sets them.
///
/// # Panics
/// When libfaketime is not installed.
pub fn control(daemon: &mut Daemon, offset: &str) {
    let file = daemon.file("time").display().to_string();
    for (name, value) in [
        ("LD_PRELOAD", library().display().to_string().as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ] {
        daemon.set_env(name, value);
    }
    set(daemon, offset);
}

/// Sets the clock to the system's with this many seconds more or less: `+200`, `-1780000000`.
///
/// # Panics
/// When the file cannot be written.
pub fn set(daemon: &Daemon, offset: &str) {
    let (new, file) = (daemon.file("time.new"), daemon.file("time"));
    fs::write(&new, format!("{offset}\n")).expect("the file of the clock");
    fs::rename(new, file).expect("the file of the clock");
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib").filter_map(|entry| Some(entry.ok()?.path()));
    folders
        .chain([PathBuf::from("/usr/lib")])
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.is_file())
        .expect("libfaketime is missing: apt-get install libfaketime, or let ./tests/run do it")
}
