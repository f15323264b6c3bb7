//! A Debian system that a test boots, installs packages on and breaks: in a container here, or in an emulator of another processor.
//!
//! Its network is this machine's loopback: brokers, status pages and functions are reached by port.

pub mod container;
pub mod emulator;

use std::path::Path;
use std::time::Duration;

/// What a test does with such a system.
pub trait Machine {
    /// Runs a line of shell as root; gives whether it succeeded, and what it printed.
    fn attempt(&self, line: &str) -> (bool, String);

    /// Makes a file of this machine one of that one, at an absolute path.
    ///
    /// # Panics
    /// When that cannot be done.
    fn put(&self, file: &Path, path: &str);

    /// How a server on 127.0.0.1 of this machine is reached from there.
    fn host(&self) -> &str;

    /// How long a step may take there.
    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    /// Runs a line of shell as root and gives what it printed, without the last line end.
    ///
    /// # Panics
    /// When it fails: says what it printed.
    fn run(&self, line: &str) -> String {
        let (good, said) = self.attempt(line);
        assert!(good, "{line}: {said}");
        said.trim_end().to_owned()
    }

    /// Writes a text file. One that is there stays whose it is.
    ///
    /// # Panics
    /// When it cannot be written.
    fn write(&self, path: &str, text: &str) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("a file");
        self.put(file.path(), "/root/written");
        self.run(&format!("cat /root/written >{path} && rm /root/written"));
    }
}
