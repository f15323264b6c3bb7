//! systemd in namespaces (systemd-nspawn), on this kernel. It shares the network of the test, which `./tests/run packages` has put
//! into a network namespace of its own.

use super::Machine;
use crate::wait;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take to boot or to leave.
const PATIENCE: Duration = Duration::from_secs(90);

/// A booted container. Ends with the value.
#[derive(Debug)]
pub struct Container {
    root: PathBuf,
    log: TempDir,
    nspawn: Child,
    init: u32,
}

impl Container {
    /// Boots the system in the folder `root`, which it changes.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn boot(root: &Path) -> Container {
        let log = tempfile::tempdir().expect("a folder for the log");
        let file = File::create(log.path().join("console")).expect("the console's log");
        let mut command = Command::new("systemd-nspawn");
        command.args(["--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe"]);
        command.args(["--machine=tidegate-test", "--link-journal=no", "--timezone=off", "--resolv-conf=off"]);
        command.arg("--directory").arg(root).stdin(Stdio::null());
        command.stdout(file.try_clone().expect("the log")).stderr(file);
        let nspawn = command.spawn().expect("systemd-nspawn must start: is systemd-container installed?");
        let mut container = Container { root: root.to_owned(), log, nspawn, init: 0 };
        container.init = wait::until("the container's first process", PATIENCE, || {
            first_child(container.nspawn.id()).ok_or_else(|| container.console())
        });
        wait::until("systemd to be up", PATIENCE, || {
            // `degraded` is up, too: some units of a minimal system have nothing to do in a container.
            let (_, said) = container.attempt("systemctl is-system-running");
            if matches!(said.trim(), "running" | "degraded") { Ok(()) } else { Err(said) }
        });
        container
    }

    fn console(&self) -> String {
        fs::read_to_string(self.log.path().join("console")).unwrap_or_default()
    }
}

impl Machine for Container {
    fn attempt(&self, line: &str) -> (bool, String) {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.init.to_string());
        command.args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd"]);
        command.args(["env", "-i", "PATH=/usr/sbin:/usr/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"]);
        command.args(["sh", "-c"]).arg(format!("exec 2>&1; {line}")).stdin(Stdio::null());
        let output = command.output().expect("nsenter");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn put(&self, file: &Path, path: &str) {
        fs::copy(file, self.root.join(path.trim_start_matches('/'))).expect("a file in the container");
    }

    fn host(&self) -> &str {
        "127.0.0.1"
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (_, journal) = self.attempt("journalctl --no-pager -n 60 -o cat -u tidegate");
            eprintln!("the daemon's journal:\n{journal}");
        }
        // The namespaces end with their first process, and everything in them.
        let _gone_already = Command::new("kill").args(["-KILL", &self.init.to_string()]).status();
        let _reaped = self.nspawn.wait();
    }
}

/// systemd-nspawn forks: its child is the first process of the container, or another fork of it.
fn first_child(parent: u32) -> Option<u32> {
    let of = |pid: u32| {
        let path = format!("/proc/{pid}/task/{pid}/children");
        fs::read_to_string(path).ok()?.split_ascii_whitespace().next()?.parse::<u32>().ok()
    };
    let mut found = of(parent)?;
    while let Ok(name) = fs::read_to_string(format!("/proc/{found}/comm")) {
        if name.trim() == "systemd" {
            return Some(found);
        }
        found = of(found)?;
    }
    None
}
