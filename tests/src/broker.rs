//! A real mosquitto in a folder of its own.

use crate::{port, wait};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything goes to disk once a second, and when it is told to leave.
const SAVING: &str = "autosave_interval 1\npersistence true\n";

/// A broker that forgets nothing when it is stopped. Ends with the value.
#[derive(Debug)]
pub struct Broker {
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Broker {
    /// Starts one that saves once a second.
    ///
    /// # Panics
    /// When mosquitto is not installed or does not start.
    pub fn start() -> Broker {
        Broker::configured(SAVING, |_| "allow_anonymous true\n".into())
    }

    /// Starts one with these lines in its configuration, which say who may do what. They may name files in its folder, which
    /// `access` gets to know.
    ///
    /// # Panics
    /// When mosquitto is not installed or does not start.
    pub fn guarded(access: impl FnOnce(&Path) -> String) -> Broker {
        Broker::configured(SAVING, access)
    }

    /// Starts one that keeps everything in memory, for measuring.
    ///
    /// # Panics
    /// When mosquitto is not installed or does not start.
    pub fn in_memory() -> Broker {
        Broker::configured("persistence false\n", |_| "allow_anonymous true\n".into())
    }

    fn configured(persistence: &str, access: impl FnOnce(&Path) -> String) -> Broker {
        let dir = tempfile::tempdir().expect("a folder for the broker");
        let port = port::reserve();
        let path = dir.path().display();
        let access = access(dir.path());
        // `user root` only matters to root: mosquitto would otherwise give up the right to its own folder.
        let text = format!(
            "listener {port} 127.0.0.1\n{access}user root\n{persistence}persistence_location {path}/\n\
             max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nlog_dest file {path}/log\n\
             log_type error\nlog_type warning\nlog_type notice\nlog_type subscribe\n"
        );
        fs::write(dir.path().join("mosquitto.conf"), text).expect("the broker's configuration");
        let mut broker = Broker { port, dir, child: None };
        broker.launch();
        broker
    }

    /// Starts it again at the same port with what it kept.
    ///
    /// # Panics
    /// When it does not start.
    pub fn launch(&mut self) {
        let mut command = Command::new(program());
        command.arg("-c").arg(self.dir.path().join("mosquitto.conf"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("mosquitto must start: is it installed?"));
        let port = self.port;
        wait::until("mosquitto to listen", PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("{e}; its log: {}", self.log()))
        });
    }

    /// Asks it to leave, as a system does on a restart, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        crate::daemon::signal(&child, rustix::process::Signal::TERM);
        wait::until_true("mosquitto to stop", PATIENCE, || matches!(child.try_wait(), Ok(Some(_))));
    }

    /// SIGKILL: what it has not saved is gone, as when its power is cut. Waits until the process is gone.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running broker");
        child.kill().expect("SIGKILL");
        child.wait().expect("the end of the broker");
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What belongs into `url`.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it is stopped.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running broker").id()
    }

    /// Waits until somebody has subscribed to exactly this filter.
    ///
    /// # Panics
    /// When nobody does.
    pub fn wait_for_subscription(&self, filter: &str) {
        let ending = format!(" {filter}");
        wait::until("a subscription", PATIENCE, || {
            let log = self.log();
            if log.lines().any(|line| line.ends_with(&ending)) { Ok(()) } else { Err(log) }
        });
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _gone_already = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Debian installs it where only root's search path leads.
fn program() -> PathBuf {
    let usual = PathBuf::from("/usr/sbin/mosquitto");
    if usual.exists() { usual } else { PathBuf::from("mosquitto") }
}
