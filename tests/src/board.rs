//! A sensor board in an emulator: the image of `firmware-sdk/boards/mps2-an386`, whose second UART QEMU wires to a TCP port.

use crate::function::now_ms;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// A sample that the board said was queued and saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The start in which it was taken.
    pub boot: u32,
    /// Its number in that start.
    pub number: u32,
    /// When the board said so, by this machine's clock, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The counters of the SDK, as the board tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Readings that wait.
    pub queued: u32,
    /// Readings that were acknowledged in this start.
    pub delivered: u32,
    /// Readings that were given up in this start.
    pub dropped: u32,
    /// Readings of earlier starts that were brought back.
    pub restored: u32,
    /// Frames that were sent again.
    pub resent: u32,
    /// Times that storage failed.
    pub storage_failures: u32,
    /// Bytes of stack that were never used.
    pub stack_unused: u32,
}

/// The board. What it stores outlives its process, as flash does a power cut.
#[derive(Debug)]
pub struct Board {
    dir: TempDir,
    port: u16,
    running: Option<(Child, JoinHandle<()>)>,
    lines: Arc<Mutex<Vec<(i64, String)>>>,
}

impl Board {
    /// A board whose wire leads to this port. It is off.
    ///
    /// # Panics
    /// When there is no folder for what it stores.
    pub fn wired_to(port: u16) -> Board {
        let dir = tempfile::tempdir().expect("a folder for the board's storage");
        Board { dir, port, running: None, lines: Arc::default() }
    }

    /// Power on.
    ///
    /// # Panics
    /// When there is no emulator or no image; says how to get them.
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "the board runs already");
        let wire = format!("socket,id=wire,host=127.0.0.1,port={},{}", self.port, every_second());
        let mut qemu = command(&image());
        qemu.args(["-chardev", &wire, "-serial", "stdio", "-serial", "chardev:wire"])
            .current_dir(self.dir.path());
        let mut child = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("qemu-system-arm cannot be started ({error}): sudo apt install qemu-system-arm")
        });
        let mut output = BufReader::new(child.stdout.take().expect("the board's first UART"));
        let lines = self.lines.clone();
        let reader = std::thread::spawn(move || {
            let mut line = String::new();
            // A line without its end was cut off with the power.
            while output.read_line(&mut line).is_ok_and(|_| line.ends_with('\n')) {
                lines.lock().expect("lines").push((now_ms(), line.trim_end().to_owned()));
                line.clear();
            }
        });
        self.running = Some((child, reader));
    }

    /// Power off, at whatever it was just doing.
    ///
    /// # Panics
    /// When it is off, or panicked before.
    pub fn cut_power(&mut self) {
        let (mut child, reader) = self.running.take().expect("a board that runs");
        child.kill().expect("SIGKILL");
        child.wait().expect("the end of the emulator");
        reader.join().expect("the reader of the first UART");
        assert!(!self.lines().iter().any(|(_, line)| line.starts_with('!')), "the firmware panicked");
    }

    /// All samples that were queued, over all starts.
    pub fn samples(&self) -> Vec<Sample> {
        let sample = |(at_ms, line): &(i64, String)| {
            let [boot, number] = numbers(line.strip_prefix('+')?)[..] else { return None };
            Some(Sample { boot, number, at_ms: *at_ms })
        };
        self.lines().iter().filter_map(sample).collect()
    }

    /// The counters as it told them last.
    pub fn counters(&self) -> Counters {
        let counters = |(_, line): &(i64, String)| {
            let numbers = numbers(line.strip_prefix('=')?);
            let [queued, delivered, dropped, _, restored, resent, _, _, storage_failures, stack_unused] =
                numbers[..]
            else {
                return None;
            };
            Some(Counters { queued, delivered, dropped, restored, resent, storage_failures, stack_unused })
        };
        self.lines().iter().rev().find_map(counters).unwrap_or_default()
    }

    fn lines(&self) -> Vec<(i64, String)> {
        self.lines.lock().expect("lines").clone()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.lines();
            let tail: Vec<&str> =
                lines[lines.len().saturating_sub(12)..].iter().map(|(_, line)| line.as_str()).collect();
            eprintln!("what the board said last:\n{}", tail.join("\n"));
        }
        if let Some((mut child, _)) = self.running.take() {
            let _gone_already = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// How QEMU is told to try the wire again every second: the word for it changed in version 9.2.
fn every_second() -> &'static str {
    let asked = Command::new("qemu-system-arm").arg("--version").output();
    let said = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = said.split("version ").nth(1).unwrap_or_default();
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < (9, 2) { "reconnect=1" } else { "reconnect-ms=1000" }
}

/// The emulator with an image, without its UARTs.
pub fn command(image: &Path) -> Command {
    let mut command = Command::new("qemu-system-arm");
    command.args(["-M", "mps2-an386", "-cpu", "cortex-m4", "-display", "none", "-monitor", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image);
    command
}

/// Where the boards are.
pub fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-sdk/boards")
}

/// The image of the emulated board.
///
/// # Panics
/// When it was not built; says how.
pub fn image() -> PathBuf {
    let image = boards().join("mps2-an386/target/thumbv7em-none-eabihf/release/tidegate-mps2-an386");
    assert!(
        image.is_file(),
        "there is no image of the board: `cargo build --release` in firmware-sdk/boards/mps2-an386"
    );
    image
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}
