//! The samples and the document say what the reader accepts, and nothing else.

use super::{machine, read};
use crate::config::{parse, promises, schema};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn samples_are_valid() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository().join("config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let loaded = parse(&text, &path.display().to_string(), Path::new("/etc/tidegate"), &machine());
        let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings[0]);
        seen += 1;
    }
    assert!(seen >= 5, "{seen} samples");
}

/// In a container the status page listens to the network of the container, which is warned of.
#[test]
fn the_container_s_configuration_is_valid() {
    let text = include_str!("../../../../cross/container/tidegate/tidegate.toml");
    parse(text, "tidegate.toml", Path::new("/etc/tidegate"), &machine())
        .unwrap_or_else(|report| panic!("{report}"));
}

/// A commented line of a sample is there to be used.
#[test]
fn commented_lines_are_valid_too() {
    let text = include_str!("../../../../config/tidegate.toml");
    let setting = |line: &str| {
        line.strip_prefix("# ").is_some_and(|rest| {
            rest.split_once(" = ")
                .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        })
    };
    let on: String = text
        .lines()
        .map(|line| if setting(line) { &line[2..] } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    let loaded = read(&on).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings[0]);
}

fn document(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

/// In the document each table of keys follows a line `<!-- keys of PLACE -->`, with the type where there is one.
fn documented() -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut place: Option<String> = None;
    for line in document("docs/configuration.md").lines() {
        if let Some(name) = line.strip_prefix("<!-- keys of ") {
            let name = name.trim_end_matches(" -->").to_owned();
            assert!(tables.insert(name.clone(), Vec::new()).is_none(), "{name} twice");
            place = Some(name);
        } else if line.is_empty() && place.as_ref().is_some_and(|place| !tables[place].is_empty()) {
            place = None;
        } else if let (Some(place), true) = (&place, line.starts_with("| `")) {
            let keys = line.split(" | ").next().unwrap().split('`').skip(1).step_by(2);
            tables.get_mut(place).unwrap().extend(keys.map(str::to_owned));
        }
    }
    tables
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let known: BTreeMap<String, Vec<String>> = schema::ALL
        .iter()
        .map(|table| {
            let place = if table.place.is_empty() { "the file" } else { table.place };
            let kind = table.kind.map(|kind| format!(", type {kind}")).unwrap_or_default();
            (format!("{place}{kind}"), table.keys.iter().map(|key| (*key).to_owned()).collect())
        })
        .collect();
    let documented = documented();
    for (place, keys) in &known {
        let mut expected = keys.clone();
        let mut found = documented.get(place).cloned().unwrap_or_default();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "keys of {place} in docs/configuration.md");
    }
    let unknown: Vec<_> = documented.keys().filter(|place| !known.contains_key(*place)).collect();
    assert!(unknown.is_empty(), "tables that do not exist: {unknown:?}");
}

/// Every example stands by itself, or with the smallest stream and output beside it.
#[test]
fn examples_in_documents_are_valid() {
    for (path, least) in [("docs/configuration.md", 8), ("docs/listener.md", 5), ("README.md", 1)] {
        let document = document(path);
        let blocks: Vec<&str> =
            document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(blocks.len() >= least, "{path}: {} examples", blocks.len());
        for block in blocks {
            let stream = "[streams.climate]\ntopic = \"sensors/{device}/{metric}\"\n";
            let stream = if block.contains("[streams.") { "" } else { stream };
            let output = "[outputs.ingest]\nurl = \"https://f.example/\"\n";
            let output = if block.contains("[outputs.") { "" } else { output };
            if let Err(report) = read(&format!("{block}\n{stream}{output}")) {
                panic!("{path}: {report}");
            }
        }
    }
}

#[test]
fn the_readme_shows_what_check_says() {
    let document = document("README.md");
    let block = document.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let loaded = read(block).unwrap_or_else(|report| panic!("{report}"));
    for promise in promises(&loaded.config) {
        assert!(document.contains(&promise.text), "{}", promise.text);
    }
}
