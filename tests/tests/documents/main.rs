//! Documents that must say what the code says.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod examples;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tidegate_pipeline::verdict::Reason;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The cells of all table rows whose first cell begins with code: the code, and the other cells.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| `")?.trim_end_matches(" |").split(" | ").collect();
        let name = cells[0].split('`').next()?.to_owned();
        Some((name, cells[1..].iter().map(|cell| (*cell).to_owned()).collect()))
    };
    text.lines().filter_map(row).collect()
}

fn names(text: &str) -> BTreeSet<String> {
    rows(text).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let declared: BTreeSet<String> =
        section.lines().filter_map(|line| line.split_once(" =")).map(|(name, _)| name.to_owned()).collect();
    assert!(!declared.is_empty());
    assert_eq!(declared, names(&read("docs/dependencies.md")));
}

#[test]
fn every_reason_is_explained() {
    let text = read("docs/ledger.md");
    let section = text.split("## Reasons").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let reasons: BTreeSet<String> = Reason::ALL.iter().map(|reason| reason.name().to_owned()).collect();
    assert_eq!(reasons, names(section));
}

/// A constant's value as a person writes it: `1 << 20` bytes are `1 MiB`, `Duration::from_millis(200)` is `200 ms`.
fn written(name: &str, value: &str) -> String {
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().unwrap();
    let duration = |unit: &str| value.strip_prefix(unit).and_then(|rest| rest.strip_suffix(')')).map(number);
    let count = |number: u64| {
        let digits = number.to_string();
        let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group));
        groups.collect::<Vec<_>>().join(",")
    };
    if let Some(seconds) = duration("Duration::from_secs(").or_else(|| duration("Span::from_secs(")) {
        return format!("{} s", count(seconds));
    }
    if let Some(millis) = duration("Duration::from_millis(") {
        return format!("{} ms", count(millis));
    }
    let value = value.split_once("<<").map_or_else(|| number(value), |(a, b)| number(a) << number(b));
    match value {
        value if name.contains("BYTES") && value % (1 << 20) == 0 => format!("{} MiB", value >> 20),
        value if name.contains("BYTES") && value % (1 << 10) == 0 => format!("{} KiB", value >> 10),
        value => count(value),
    }
}

#[test]
fn every_limit_has_its_row() {
    let document = read("docs/limits.md");
    for section in document.split("\n## ").skip(1) {
        let path = section.split('`').nth(1).unwrap();
        let code = read(path);
        let constants: BTreeMap<String, String> = code
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix(';')?.split_once(": "))
            .filter_map(|(name, rest)| Some((name.to_owned(), written(name, rest.split_once(" = ")?.1))))
            .collect();
        let rows = rows(section).into_iter().map(|(name, cells)| (name, cells[0].clone())).collect();
        assert_eq!(constants, rows, "{path}");
    }
    assert_eq!(document.matches("\n## ").count(), 2);
}

/// The names of the fields of structs that are shown, in the text of `path`.
fn fields(path: &str) -> BTreeSet<String> {
    let code = read(path);
    let shown = code.split("derive(").filter(|part| part.split(')').next().unwrap().contains("Serialize"));
    shown
        .filter_map(|part| part.split("\n}").next())
        .flat_map(str::lines)
        .filter_map(|line| Some(line.strip_prefix("    pub ")?.split_once(':')?.0.to_owned()))
        .filter(|name| name != "snapshot" && name != "account")
        .collect()
}

#[test]
fn status_and_metrics_are_explained() {
    let document = read("docs/status.md");
    for path in [
        "daemon/src/status/model.rs",
        "daemon/src/status/devices.rs",
        "daemon/src/report.rs",
        "daemon/src/mqtt/state.rs",
        "daemon/src/forward/state.rs",
    ] {
        let fields = fields(path);
        assert!(!fields.is_empty(), "{path}");
        for field in fields {
            assert!(document.contains(&format!("`{field}`")), "{field} of {path} is not in docs/status.md");
        }
    }
    let code = read("daemon/src/status/metrics/devices.rs") + &read("daemon/src/status/metrics.rs");
    let code = code.split("#[cfg(test)]").next().unwrap();
    let metrics: BTreeSet<String> =
        code.split('"').filter(|text| text.starts_with("tidegate_")).map(str::to_owned).collect();
    let explained = names(&document).into_iter().filter(|name| name.starts_with("tidegate_")).collect();
    assert_eq!(metrics, explained);
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "cross", "docs", "docs/decisions"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 10);
    found
}

/// The anchor that a heading gets: lower case, spaces as dashes, code and punctuation gone.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target} does not exist", document.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&path).unwrap();
                let found = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(found, "{}: {target} has no such heading", document.display());
            }
        }
    }
}

/// What a document names as code and looks like a path is there: from the root, or from the room that it speaks of.
#[test]
fn paths_exist() {
    let places = ["daemon/", "tests/", "docs/", "config/", "systemd/"];
    let rooms = ["", "daemon", "daemon/src", "daemon/src/ingest", "daemon/src/mqtt", "daemon/pipeline/src"];
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for name in text.split('`').skip(1).step_by(2).filter(|name| !name.contains(['*', ' ', '\n'])) {
            let is_path = places.iter().any(|place| name.starts_with(place))
                || (name.ends_with(".rs") && name.contains('/'));
            let exists = rooms.iter().any(|room| root().join(room).join(name).exists());
            assert!(!is_path || exists, "{}: {name}", document.display());
        }
    }
}

/// The first sensor of the tutorial is the example that is compiled, and run end to end.
#[test]
fn the_tutorial_is_an_example() {
    let tutorial = read("docs/firmware.md");
    let shown = tutorial.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(shown, read("firmware-sdk/boards/linux/examples/first_sensor.rs"));
}

#[test]
fn every_field_of_the_event_is_explained() {
    let document = read("docs/events.md");
    let example = document.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let event: serde_json::Value = serde_json::from_str(example).unwrap();
    let explained = names(&document);
    let expect =
        |name: String| assert!(explained.contains(&name), "{name} is not explained in docs/events.md");
    event.as_object().unwrap().keys().filter(|name| *name != "data").for_each(|name| expect(name.clone()));
    event["data"].as_object().unwrap().keys().for_each(|name| expect(format!("data.{name}")));
    event["data"]["completeness"].as_object().unwrap().keys().for_each(|name| expect(name.clone()));
    let id = format!("{}/r{}", event["data"]["key"].as_str().unwrap(), event["data"]["revision"]);
    assert_eq!(event["id"].as_str(), Some(id.as_str()));
}
