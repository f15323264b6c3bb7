//! Reloads while sockets are real: who notices, and what becomes of a listener that cannot start.

use super::{Daemon, Options};
use crate::config::{self, Config, Environment};
use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(dir: &Path, a: u16, users: &str, b: u16) -> Config {
    let text = format!(
        "[gateway]\ndata_dir = {dir:?}\n[sources.a]\ntype = \"listen\"\nlisten = \"127.0.0.1:{a}\"\n{users}\n\
         [sources.b]\ntype = \"listen\"\nlisten = \"127.0.0.1:{b}\"\n[streams.s]\ntopic = \"a/{{metric}}\"\n\
         [summaries.m]\nwindow = \"1m\"\n[outputs.o]\nurl = \"http://127.0.0.1:1/\"\n[buffer]\nhistory = \"0s\"\n"
    );
    config::parse(&text, "test", dir, &Environment::from_system()).unwrap().config
}

/// A port that is taken for as long as the socket lives.
fn taken() -> (TcpListener, u16) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn free() -> u16 {
    taken().1
}

async fn connect(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    stream.write_all(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01x").await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0x20, 2, 0, 0]);
    stream
}

async fn ping(stream: &mut TcpStream) {
    stream.write_all(&[0xc0, 0]).await.unwrap();
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0xd0, 0]);
}

/// By name: whether it is there, and what is wrong with it.
fn source(daemon: &Daemon, name: &str) -> (bool, String) {
    let (_, state, _) = daemon.source_states().into_iter().find(|(known, ..)| known == name).unwrap();
    let problems = daemon.health.problems().into_iter();
    let problem =
        problems.filter(|problem| problem.at == format!("sources.{name}")).map(|problem| problem.text);
    (state.snapshot().connected, problem.collect())
}

async fn wait_until_connected(daemon: &Daemon, name: &str) {
    let connected = async {
        while source(daemon, name) != (true, String::new()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, connected).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_cannot_start_takes_no_other_down() {
    let dir = tempfile::tempdir().unwrap();
    let (b, (socket, busy)) = (free(), taken());
    let mut daemon = Daemon::start(config(dir.path(), free(), "", b), Options::default()).await.unwrap();
    let mut client = connect(b).await;
    daemon.reload(config(dir.path(), busy, "", b), pending()).await.unwrap();
    ping(&mut client).await;
    let (connected, problem) = source(&daemon, "a");
    assert!(!connected && problem.contains(&format!("cannot listen on 127.0.0.1:{busy}")), "{problem}");
    // Nobody needs to do anything when the port is free …
    drop(socket);
    wait_until_connected(&daemon, "a").await;
    connect(busy).await;
    ping(&mut client).await;
    // … and what is not in the configuration any more has no problems.
    let (_socket, busy) = taken();
    daemon.reload(config(dir.path(), busy, "", b), pending()).await.unwrap();
    assert_ne!(source(&daemon, "a").1, "");
    let mut without = config(dir.path(), busy, "", b);
    without.sources.remove(0);
    without.plan.sources.remove(0);
    without.plan.streams[0].sources = vec![0];
    daemon.reload(without, pending()).await.unwrap();
    assert!(daemon.health.problems().is_empty());
    ping(&mut client).await;
    daemon.stop().await;
}

/// A reload with the same file tries at once, however long the next try was away.
#[tokio::test]
async fn a_second_reload_starts_what_could_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (free(), free());
    let password = dir.path().join("password");
    std::fs::write(&password, "secret").unwrap();
    let users = "users = [{ username = \"u\", password = { file = \"password\" } }]";
    let mut daemon = Daemon::start(config(dir.path(), a, "", b), Options::default()).await.unwrap();
    let changed = config(dir.path(), a, users, b);
    std::fs::remove_file(&password).unwrap();
    daemon.reload(changed.clone(), pending()).await.unwrap();
    connect(b).await;
    let problem = source(&daemon, "a").1;
    assert!(problem.contains("the password of user `u`"), "{problem}");
    std::fs::write(&password, "secret").unwrap();
    daemon.reload(changed, pending()).await.unwrap();
    // Whoever connects now is not refused, or the next line would fail.
    connect(b).await;
    TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], a))).await.unwrap();
    wait_until_connected(&daemon, "a").await;
    daemon.stop().await;
}

/// What waits for an output that was renamed does so for good: somebody has to know of it.
#[tokio::test]
async fn what_waits_for_a_removed_output_is_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (free(), free());
    let named = |name: &str| {
        let text = std::fs::read_to_string(dir.path().join("o.toml")).unwrap().replace("NAME", name);
        config::parse(&text, "test", dir.path(), &Environment::from_system()).unwrap().config
    };
    let text = format!(
        "[gateway]\ndata_dir = {:?}\n[sources.a]\ntype = \"listen\"\nlisten = \"127.0.0.1:{a}\"\n[streams.s]\n\
         topic = \"a/{{metric}}\"\n[summaries.m]\nwindow = \"1s\"\n[outputs.NAME]\nurl = \"http://127.0.0.1:{b}/\"\n\
         [buffer]\nhistory = \"0s\"\n",
        dir.path()
    );
    std::fs::write(dir.path().join("o.toml"), text).unwrap();
    let mut daemon = Daemon::start(named("o"), Options::default()).await.unwrap();
    let mut client = connect(a).await;
    client.write_all(b"\x32\x08\0\x03a/b\0\x011").await.unwrap();
    let queued = async {
        while daemon.store.queued("o") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, queued).await.unwrap();
    let of = |daemon: &Daemon| {
        let problems = daemon.health.problems().into_iter().filter(|problem| problem.at == "outputs.o");
        problems.map(|problem| problem.text).find(|text| text.contains("--drop-output o"))
    };
    for restarts in [false, true] {
        daemon.reload(named("p"), pending()).await.unwrap();
        if restarts {
            daemon.stop().await;
            daemon = Daemon::start(named("p"), Options::default()).await.unwrap();
        }
        assert!(of(&daemon).is_some(), "{:?}", daemon.health.problems());
        daemon.reload(named("o"), pending()).await.unwrap();
        assert_eq!(of(&daemon), None);
    }
    daemon.stop().await;
}
