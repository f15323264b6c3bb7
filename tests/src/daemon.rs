//! The daemon under test, as a process with a configuration file and a folder of its own.

use crate::status::Status;
use crate::{http, port, wait};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long the daemon may take for a step: far more than it should need, because test machines are busy, and longer than the
/// minute that it may wait between two attempts.
const PATIENCE: Duration = Duration::from_secs(100);
/// Lines of its log that a failed test shows.
const LOG_LINES: usize = 60;

/// A daemon that is started and ended by its test. Its store outlives its process.
#[derive(Debug)]
pub struct Daemon {
    dir: TempDir,
    status: SocketAddr,
    child: Option<Child>,
    environment: Vec<(String, String)>,
}

impl Daemon {
    /// Starts it with `sections` behind `[gateway]` and `[status]`, and waits until it is ready.
    ///
    /// # Panics
    /// When there is no binary, or it does not become ready.
    pub fn start(sections: &str) -> Daemon {
        let mut daemon = Daemon::prepare(sections);
        daemon.launch();
        daemon
    }

    /// Writes the configuration only.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn prepare(sections: &str) -> Daemon {
        let dir = tempfile::tempdir().expect("a folder for the daemon");
        let status = SocketAddr::from(([127, 0, 0, 1], port::reserve()));
        let daemon = Daemon { dir, status, child: None, environment: Vec::new() };
        daemon.configure(sections);
        daemon
    }

    /// Sets an environment variable of the processes that are started from here on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// A file in the folder of the configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces the configuration file. The clock is believed where `sections` says nothing of it: machines that run tests
    /// often have nobody who vouches for it. A running daemon reads it at [`Daemon::reload`].
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, sections: &str) {
        let data = self.dir.path().join("data");
        let clock = if sections.contains("[clock]") { "" } else { "[clock]\nunsynchronised = \"trust\"\n\n" };
        let text = format!(
            "[gateway]\nid = \"test\"\ndata_dir = \"{}\"\n\n[status]\nlisten = \"{}\"\n\n{clock}{sections}",
            data.display(),
            self.status
        );
        fs::write(self.config(), text).expect("the configuration");
    }

    /// Starts the process and waits until `/readyz` says yes.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn launch(&mut self) {
        self.spawn();
        self.wait_until_ready();
    }

    /// Starts the process and does not wait.
    ///
    /// # Panics
    /// When there is no binary.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the daemon runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the daemon's log");
        let mut command = Command::new(binary());
        command
            .arg("run")
            .arg("--config")
            .arg(self.config())
            .current_dir(self.dir.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command.stdout(log.try_clone().expect("the daemon's log")).stderr(log);
        self.child = Some(command.spawn().expect("the daemon must start"));
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Panics
    /// When it does not, or the process has ended.
    pub fn wait_until_ready(&mut self) {
        let (address, child) = (self.status, self.child.as_mut().expect("a daemon that was started"));
        wait::until("the daemon to be ready", PATIENCE, || {
            if let Ok(Some(ended)) = child.try_wait() {
                panic!("the daemon ended instead of becoming ready: {ended}");
            }
            match http::get(address, "/readyz")? {
                (200, _) => Ok(()),
                (code, body) => Err(format!("{code} {body}")),
            }
        });
    }

    /// SIGKILL: it gets no chance to tidy up. Waits until the process is gone.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running daemon");
        child.kill().expect("SIGKILL");
        child.wait().expect("the end of the daemon");
    }

    /// SIGTERM. Waits until it has left.
    ///
    /// # Panics
    /// When it does not leave.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running daemon");
        signal(&child, Signal::TERM);
        wait::until("the daemon to leave", PATIENCE, || match child.try_wait() {
            Ok(Some(ended)) => Ok(ended),
            other => Err(format!("{other:?}")),
        })
    }

    /// SIGHUP: read the configuration again.
    ///
    /// # Panics
    /// When it does not run.
    pub fn reload(&self) {
        signal(self.child.as_ref().expect("a running daemon"), Signal::HUP);
    }

    /// What it says of itself; `Err` while it does not run.
    ///
    /// # Errors
    /// When it cannot be asked.
    ///
    /// # Panics
    /// When its answer is not JSON.
    pub fn try_status(&self) -> Result<Status, String> {
        status_at(self.status)
    }

    /// What it says of itself, as soon as it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn status(&self) -> Status {
        wait::until("the daemon's status", PATIENCE, || self.try_status())
    }

    /// Waits until its status is as wanted, and gives that status. It balances.
    ///
    /// # Panics
    /// When it never is, or does not balance.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        wait::until(what, PATIENCE, || {
            let status = self.try_status()?;
            status.balance().unwrap_or_else(|problem| panic!("{problem}"));
            if wanted(&status) { Ok(status) } else { Err(status.0.to_string()) }
        })
    }

    /// Where the status page is.
    pub fn status_address(&self) -> SocketAddr {
        self.status
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running daemon").id()
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("tidegate.toml")
    }

    /// Its log so far, over all its processes.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            eprintln!("the end of the daemon's log:\n{tail}\n");
        }
        if let Some(child) = &mut self.child {
            let _gone_already = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Asks a status page.
///
/// # Errors
/// When nobody answers, or not with 200.
///
/// # Panics
/// When the answer is not JSON.
pub fn status_at(address: SocketAddr) -> Result<Status, String> {
    match http::get(address, "/api/status")? {
        (200, body) => {
            Ok(Status(serde_json::from_str(&body).unwrap_or_else(|e| panic!("status: {e}: {body}"))))
        }
        (code, body) => Err(format!("status answered {code}: {body}")),
    }
}

/// Sends a signal to a child that has not been waited for, so that its id still belongs to it.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("a signal to our own child");
}

/// `$TIDEGATE_BIN`, or the binary that was built beside this test.
///
/// # Panics
/// When there is none; says how to build it.
pub fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("TIDEGATE_BIN") {
        return given.into();
    }
    let own = std::env::current_exe().expect("the path of this program");
    let beside = own.ancestors().skip(1).take(2).map(|dir| dir.join("tidegate")).find(|path| path.is_file());
    beside.expect("there is no tidegate binary: run `cargo build -p tidegate` with the same profile, or set TIDEGATE_BIN")
}
