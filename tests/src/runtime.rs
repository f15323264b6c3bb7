//! A cloud function in the runtime of its vendor, on this machine: `functions/run serve`, before a table that outlives it.

use crate::function::Received;
use crate::{port, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// The script that serves and looks into tables.
fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/run")
}

/// A running function, and its table: an SQLite file.
#[derive(Debug)]
pub struct Runtime {
    dir: TempDir,
    port: u16,
    options: Vec<String>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Runtime {
    /// Serves with these options of `functions/run serve`, of which `--kind` is needed, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(options: &[&str]) -> Runtime {
        Runtime::start_with(options, &[])
    }

    /// The same, with these environment variables.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_with(options: &[&str], environment: &[(&str, &str)]) -> Runtime {
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let dir = tempfile::tempdir().expect("a folder for a table");
        let mut runtime = Runtime { dir, port: port::reserve(), options, environment, child: None };
        runtime.launch();
        runtime
    }

    /// Starts it again, at the same port and before the same table.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn launch(&mut self) {
        let mut command = Command::new(script());
        command.arg("serve").arg("--database").arg(self.database()).args(["--port", &self.port.to_string()]);
        command
            .args(&self.options)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("functions/run");
        let mut line = String::new();
        let out = child.stdout.take().expect("what it prints");
        BufReader::new(out).read_line(&mut line).expect("a line of the function");
        assert_eq!(line.trim(), format!("listening on 127.0.0.1:{}", self.port));
        self.child = Some(child);
    }

    /// It is away. What it has stays.
    ///
    /// # Panics
    /// When it does not leave.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::TERM).expect("SIGTERM");
        wait::until("the function to leave", PATIENCE, || match child.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// Where it listens.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("table.db")
    }

    /// Merges the states of windows into hours and days, and gives the hours: of each series its values.
    ///
    /// # Panics
    /// When that fails.
    pub fn hours(&self) -> BTreeMap<String, Value> {
        let (from, until) = ("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
        self.table(&["run"]);
        let said = self.table(&["rollups", "--level", "hour", "--start", from, "--end", until]);
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).expect("an hour");
            (format!("{} {} {}", row["window"]["start"], row["metric"], row["tags"]), row["values"].clone())
        };
        said.lines().map(row).collect()
    }

    fn table(&self, arguments: &[&str]) -> String {
        let store = format!("sqlite:///{}", self.database().display());
        let said =
            Command::new(script()).args(["tidegate-functions", "--store", &store]).args(arguments).output();
        let said = said.expect("functions/run");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).expect("text")
    }

    /// What counts in the table, as events.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn rows(&self) -> Vec<Received> {
        let event = |line: &str| {
            let row: Value = serde_json::from_str(line).expect("a row");
            let id = format!("{}/r{}", row["key"].as_str().unwrap_or_default(), row["revision"]);
            let kind = "tidegate.summary.v1";
            let event = json!({"type": kind, "source": row["source"], "id": id, "data": row["data"]});
            Received { at_ms: 0, event }
        };
        self.table(&["rows"]).lines().map(event).collect()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // What it started itself ends with it only when it is asked to.
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
        }
    }
}
