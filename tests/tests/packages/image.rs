//! An image in a container, as podman loads and starts it: no systemd, no shell, not root, nothing writable but a volume.

use crate::traffic::{Ports, Traffic};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;
use tidegate_tests::broker::Broker;
use tidegate_tests::{field, port};

const PATIENCE: Duration = Duration::from_secs(60);

/// Started, at work, killed and started again, stopped.
pub(crate) fn whole(archive: &Path) {
    let broker = Broker::start();
    let ports = Ports { broker: broker.port(), listener: port::reserve(), status: port::reserve() };
    let mut traffic = Traffic::new(ports, PATIENCE);
    let status = format!("[status]\nlisten = \"127.0.0.1:{}\"\n\n", ports.status);
    let clock = "[clock]\nunsynchronised = \"trust\"\n\n";
    let source = format!("[sources.local]\nurl = \"{}\"\n\n", broker.url());
    let output = format!("[outputs.function]\nurl = \"{}\"\n", traffic.function.url());
    let listener = field::listener(ports.listener);
    let image = Image::load(archive, &format!("{status}{clock}{source}{listener}{}{output}", field::SECONDS));

    let mut running = image.start();
    traffic.waits_until_it_is_ready();
    assert_ne!(image.podman(&["top", NAME, "user"]).lines().last(), Some("root"));
    traffic.flows();
    // As compose.yaml asks whether it is well.
    let address = format!("127.0.0.1:{}", ports.status);
    assert!(image.does(&["/usr/bin/tidegate", "status", "--health", "--address", &address]));
    assert!(!image.does(&["/bin/sh", "-c", "true"]), "there is no shell");

    let sensors = traffic.sensors();
    traffic.some_more();
    image.podman(&["kill", "--signal", "KILL", NAME]);
    running.wait().unwrap();
    let mut running = image.start();
    traffic.waits_until_it_is_ready();
    traffic.some_more();
    traffic.finish(sensors);
    traffic.holds_everything();

    image.podman(&["kill", "--signal", "TERM", NAME]);
    assert!(running.wait().unwrap().success(), "it stops by itself");
}

const NAME: &str = "gateway";

/// Loaded into a store of its own, with a volume for its data.
struct Image {
    dir: TempDir,
}

impl Image {
    fn load(archive: &Path, configuration: &str) -> Image {
        let image = Image { dir: tempfile::tempdir().unwrap() };
        image.podman(&["load", "--input", archive.to_str().unwrap()]);
        fs::write(image.configuration(), configuration).unwrap();
        image
    }

    fn configuration(&self) -> PathBuf {
        self.dir.path().join("tidegate.toml")
    }

    /// No service, no state beside what is thrown away afterwards.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("podman");
        for (option, folder) in [("--root", "store"), ("--runroot", "state"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.dir.path().join(folder));
        }
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        command.args(["--runtime", "runc"]).args(arguments);
        command
    }

    fn podman(&self, arguments: &[&str]) -> String {
        let mut command = self.command(arguments);
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// With what compose.yaml says, under the name that it has there; on the loopback of the test, where its broker and its function are.
    fn start(&self) -> Child {
        let version = env!("CARGO_PKG_VERSION");
        let configuration = format!("{}:/etc/tidegate/tidegate.toml:ro", self.configuration().display());
        let mut command = self.command(&["run", "--rm", "--name", NAME, "--network", "host", "--read-only"]);
        command.args(["--cap-drop", "all", "--security-opt", "no-new-privileges"]);
        command.args([
            "--memory",
            "256m",
            "--pids-limit",
            "64",
            "--ulimit",
            "nofile=4096:4096",
            "--ulimit",
            "nproc=1000:1000",
        ]);
        command.args(["--volume", &configuration, "--volume", "tidegate:/var/lib/tidegate"]);
        command.arg(format!("docker.io/library/tidegate:{version}")).spawn().expect("podman")
    }

    /// Runs a program in the container.
    fn does(&self, line: &[&str]) -> bool {
        self.command(&["exec", NAME]).args(line).output().unwrap().status.success()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        drop(self.command(&["rm", "--force", "--time", "0", NAME]).output());
    }
}
