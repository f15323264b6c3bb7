//! What documents ask users to run, run. Tools that are not installed are not missed.

use super::read;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use tidegate_tests::{port, wait};

/// The first code block of this language.
fn block(document: &str, language: &str) -> String {
    let text = read(document);
    let rest = text.split(&format!("```{language}\n")).nth(1).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

fn post(port: u16, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head =
        "POST /ingest HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Type: application/cloudevents+json";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The README's function keeps the highest revision of each window and answers 204 to every event.
#[test]
fn the_function_in_the_readme_works() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("not checked: there is no python3");
        return;
    }
    let port = port::reserve();
    let code = block("README.md", "python");
    assert!(code.contains("8080"));
    let mut function = Command::new("python3")
        .args(["-c", &code.replace("8080", &port.to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    wait::until_true("the function", Duration::from_secs(30), listens);
    let mut event: Value = serde_json::from_str(&block("docs/events.md", "json")).unwrap();
    for (revision, count) in [(0, 5), (0, 5), (1, 6), (0, 5)] {
        event["data"]["revision"] = revision.into();
        event["data"]["values"]["count"] = count.into();
        let answer = post(port, &event.to_string());
        assert!(answer.contains(" 204 "), "{answer}");
    }
    function.kill().unwrap();
    function.wait().unwrap();
    let lines: Vec<String> = BufReader::new(function.stdout.unwrap()).lines().map(Result::unwrap).collect();
    let counts: Vec<_> = lines.iter().map(|line| line.contains("'count': 6")).collect();
    assert_eq!(counts, [false, true], "{lines:?}");
    assert!(lines[0].starts_with(event["data"]["key"].as_str().unwrap()), "{lines:?}");
}

/// The units are ones that systemd understands, and are locked down.
#[test]
fn systemd_takes_the_units() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("not checked: there is no systemd-analyze");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let units = ["tidegate.service", "tidegate-clock.service", "tidegate.socket"];
    for unit in units {
        // The binary need not be installed here.
        let text = read(&format!("systemd/{unit}")).replace("/usr/bin/tidegate", "/bin/true");
        std::fs::write(folder.path().join(unit), text).unwrap();
    }
    let paths = units.map(|unit| folder.path().join(unit));
    let verify = Command::new("systemd-analyze").args(["--man=no", "verify"]).args(&paths).output().unwrap();
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    assert!(verify.status.success() && !said.contains("tidegate"), "{said}");
    // `security --offline` came with version 250; the threshold is in tenths.
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let number = version.split_whitespace().nth(1).and_then(|number| number.parse::<u32>().ok());
    if number.is_some_and(|number| number >= 250) {
        for path in &paths[..2] {
            let security = Command::new("systemd-analyze")
                .args(["security", "--offline=yes", "--no-pager", "--threshold=12"])
                .arg(path)
                .output()
                .unwrap();
            assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
        }
    }
}
