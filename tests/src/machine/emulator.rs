//! A 64-bit ARM board with half a gigabyte of memory, in QEMU: another processor, another kernel, and a power plug.
//!
//! `tests/pi` makes its disk. A service there gives a shell to whoever connects to a port, which only this machine can.

use super::Machine;
use crate::{port, wait};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take to boot: some 30 s where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a line of shell may be silent.
const SILENCE: Duration = Duration::from_secs(300);
/// The port of the shell, on the board.
const SHELL: u16 = 7_777;

/// A board. Ends with the value.
#[derive(Debug)]
pub struct Emulator {
    folder: PathBuf,
    dir: TempDir,
    shell: SocketAddr,
    forwards: Vec<(u16, u16)>,
    qemu: Mutex<Option<Child>>,
}

impl Emulator {
    /// Boots what is in `folder` (`kernel`, `initrd` and `disk`), and changes the disk. Each of `ports` of the board is reached at the
    /// port beside it on 127.0.0.1.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn boot(folder: &Path, ports: &[(u16, u16)]) -> Emulator {
        let here = port::reserve();
        let emulator = Emulator {
            folder: folder.to_owned(),
            dir: tempfile::tempdir().expect("a folder for the console"),
            shell: SocketAddr::from(([127, 0, 0, 1], here)),
            forwards: ports.iter().copied().chain([(SHELL, here)]).collect(),
            qemu: Mutex::new(None),
        };
        emulator.power_on();
        emulator
    }

    /// Boots it again, with the disk as it was left.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn power_on(&self) {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let forwards =
            self.forwards.iter().map(|(there, here)| format!(",hostfwd=tcp:127.0.0.1:{here}-:{there}"));
        let mut command = Command::new("qemu-system-aarch64");
        command.args(["-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512", "-netdev"]);
        command.arg(format!("user,id=net{}", forwards.collect::<String>()));
        // Without the program that boots from a network, which not every QEMU brings.
        command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
        command.args(["-kernel", &file("kernel"), "-initrd", &file("initrd")]);
        command.args(["-append", "console=ttyAMA0 panic=-1 systemd.mask=serial-getty@ttyAMA0.service"]);
        command.arg("-drive").arg(format!("file={},format=raw,if=virtio", file("disk")));
        command.args(["-no-reboot", "-display", "none", "-monitor", "none", "-serial"]);
        command.arg(format!("file:{}", self.console().display())).stdin(Stdio::null());
        let log = File::create(self.dir.path().join("qemu")).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        *self.qemu.lock().expect("qemu") =
            Some(command.spawn().expect("QEMU must start: is qemu-system-arm installed?"));
        wait::until("systemd to be up", PATIENCE, || {
            self.has_power();
            let (_, said) = self.attempt("systemctl is-system-running");
            if matches!(said.trim(), "running" | "degraded") { Ok(()) } else { Err(said) }
        });
    }

    /// # Panics
    /// When QEMU has ended: says why.
    fn has_power(&self) {
        let mut qemu = self.qemu.lock().expect("qemu");
        if let Some(Ok(Some(ended))) = qemu.as_mut().map(Child::try_wait) {
            panic!(
                "QEMU ended: {ended}: {}",
                fs::read_to_string(self.dir.path().join("qemu")).unwrap_or_default()
            );
        }
    }

    /// Pulls the plug: what is not on the disk is gone.
    ///
    /// # Panics
    /// When it is off already.
    pub fn cut_power(&self) {
        let mut qemu = self.qemu.lock().expect("qemu").take().expect("a board that is on");
        qemu.kill().expect("SIGKILL");
        qemu.wait().expect("the end of QEMU");
    }

    fn console(&self) -> PathBuf {
        self.dir.path().join("console")
    }

    fn ask(&self, script: &[u8]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.shell)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(script)?;
        stream.shutdown(Shutdown::Write)?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

impl Machine for Emulator {
    fn attempt(&self, line: &str) -> (bool, String) {
        let environment = "export PATH=/usr/sbin:/usr/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive\n";
        // The shell reads the script from where the line would read, too.
        let script = format!("{environment}exec 2>&1\n( {line}\n) </dev/null\necho \"=$?\"\n");
        match self.ask(script.as_bytes()) {
            Ok(said) => match said.trim_end().rsplit_once('=') {
                Some((said, status)) => (status == "0", said.to_owned()),
                None => (false, format!("no answer: {said}")),
            },
            Err(error) => (false, format!("no shell: {error}")),
        }
    }

    fn put(&self, file: &Path, path: &str) {
        use std::fmt::Write;
        let content = fs::read(file).expect("a file");
        let mut script = String::with_capacity(content.len() * 4);
        script.push_str("/bin/busybox xxd -r -p <<'END' >");
        script.push_str(path);
        for line in content.chunks(64) {
            script.push('\n');
            for byte in line {
                let _ = write!(script, "{byte:02x}");
            }
        }
        script.push_str("\nEND\n");
        self.ask(script.as_bytes()).expect("a file on the board");
        let (_, size) = self.attempt(&format!("stat -c %s {path}"));
        assert_eq!(size.trim(), content.len().to_string(), "{path}");
    }

    fn host(&self) -> &str {
        // Where QEMU's network has the machine that it runs on.
        "10.0.2.2"
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (_, journal) = self.attempt("journalctl --no-pager -n 60 -o cat -u tidegate");
            let console = fs::read_to_string(self.console()).unwrap_or_default();
            let lines: Vec<&str> = console.lines().collect();
            let end = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("the daemon's journal:\n{journal}\nthe end of the console:\n{end}");
        }
        if let Some(mut qemu) = self.qemu.lock().ok().and_then(|mut qemu| qemu.take()) {
            let _gone_already = qemu.kill();
            let _reaped = qemu.wait();
        }
    }
}
