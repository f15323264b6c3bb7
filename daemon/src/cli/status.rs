//! `tidegate status`: how the running daemon is, in one screen or as JSON.

mod devices;

use super::DaemonArgs;
use super::client::Client;
use super::exit::Exit;
use super::print::{json, out, printable, table};
use crate::status::text::{bytes, duration, grouped};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Print nothing; end with 0 while every part turns, else with 69 and which part is stuck: for health checks
    #[arg(long, conflicts_with = "json")]
    health: bool,
}

/// Prints the status. It is read from JSON, not into a type: the daemon may be of another version.
///
/// # Errors
/// How to end when the daemon cannot be asked.
pub(super) fn status(config: Option<&Path>, args: &Args) -> Result<(), Exit> {
    let client = Client::new(config, &args.daemon)?;
    if args.health {
        return client.health();
    }
    let document = client.get("/api/status")?;
    if args.daemon.json { json(&document) } else { out(&human(&document)) }
}

fn human(document: &Value) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{}: {} (tidegate {}, up {}, events from {})",
        word(&document["gateway"]),
        word(&document["state"]),
        word(&document["version"]),
        duration(count(&document["uptime_s"])),
        word(&document["source"]),
    );
    let problems = document["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !problems.is_empty() {
        text.push_str("\nproblems\n");
        for problem in problems {
            let _ = writeln!(text, "  {}: {}", word(&problem["at"]), word(&problem["text"]));
        }
    }
    let _ = write!(text, "\nclock\n  {}\n", clock(&document["clock"]));
    alerts(&mut text, &document["alerts"]);
    text.push_str("\nreadings\n");
    text.push_str(&table(&ledger(&document["ledger"])));
    let worst = rejections(&document["rejections"]);
    if worst.len() > 1 {
        text.push_str("\nnot counted, by series\n");
        text.push_str(&table(&worst));
    }
    text.push_str("\nsources\n");
    text.push_str(&table(&sources(&document["sources"])));
    text.push_str("\noutputs\n");
    text.push_str(&table(&outputs(&document["outputs"])));
    devices::devices(&mut text, &document["devices"]);
    let (buffer, store) = (&document["buffer"], &document["store"]);
    let _ = write!(
        text,
        "\nstore\n  {} of {}, {} written in {} transactions and {} syncs since the start{}\n  {} series, {} open windows\n",
        bytes(count(&buffer["bytes"])),
        bytes(count(&buffer["max_bytes"])),
        bytes(count(&store["bytes_written"])),
        grouped(count(&store["commits"])),
        grouped(count(&store["syncs"])),
        if store["flash_overspent"] == true { ", more than buffer.flash_budget" } else { "" },
        grouped(count(&document["series"])),
        grouped(count(&document["open_windows"])),
    );
    text
}

fn alerts(text: &mut String, alerts: &Value) {
    let raised = alerts["raised"].as_array().map(Vec::as_slice).unwrap_or_default();
    if raised.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nalerts: {} raised", grouped(count(&alerts["active"])));
    for alert in raised {
        let tags: Vec<_> = entries(&alert["tags"]).map(|(_, tag)| word(tag)).collect();
        let parts = [word(&alert["alert"]), word(&alert["metric"]), tags.join(" "), word(&alert["reason"])];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "  {} since {}", parts.join(" · "), word(&alert["since"]));
    }
}

fn clock(clock: &Value) -> String {
    let epoch = count(&clock["epoch"]);
    match (clock["state"].as_str().unwrap_or_default(), clock["believed"] == true) {
        ("holding", _) => format!(
            "not synchronised: {} readings are held, for {} more at most",
            grouped(count(&clock["held_readings"])),
            duration(count(&clock["hold_left_s"]))
        ),
        ("unsynchronised", _) => format!("NOT SYNCHRONISED: keys with u{epoch}"),
        (_, true) => format!("believed as it is, epoch {epoch}"),
        (state, _) => match clock["vouched_by"].as_str() {
            Some(by) => format!("{}, says {}, epoch {epoch}", printable(state), printable(by)),
            None => format!("{}, epoch {epoch}", printable(state)),
        },
    }
}

fn ledger(ledger: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["received".to_owned(), grouped(count(&ledger["received"]))]];
    let mut row = |name: String, value: &Value| rows.push(vec![name, grouped(count(value))]);
    row("= counted".into(), &ledger["counted"]);
    row("+ duplicate".into(), &ledger["duplicate"]);
    for (reason, value) in entries(&ledger["rejected"]) {
        row(format!("+ rejected: {}", printable(reason)), value);
    }
    row("+ dead-lettered".into(), &ledger["dead_lettered"]);
    row("+ pending".into(), &ledger["pending"]);
    rows
}

/// A few of those with the most; `--json` has more.
fn rejections(rejections: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head(&["stream", "metric", "tags", "readings", "by reason"])];
    for series in rejections.as_array().into_iter().flatten().take(5) {
        let pairs = |value: &Value, show: fn(&Value) -> String| {
            let pairs = entries(value).map(|(name, value)| format!("{}={}", printable(name), show(value)));
            pairs.collect::<Vec<_>>().join(" ")
        };
        rows.push(vec![
            word(&series["stream"]),
            word(&series["metric"]),
            pairs(&series["tags"], word),
            grouped(count(&series["total"])),
            pairs(&series["reasons"], |value| grouped(count(value))),
        ]);
    }
    rows
}

fn sources(sources: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![head(&["name", "state", "messages", "in flight", "clients"])];
    for (name, source) in entries(sources) {
        let state = match (source["connected"] == true, source["address"].as_str()) {
            (true, Some(address)) => format!("listens on {}", printable(address)),
            (true, None) => match source["protocol"].as_str() {
                Some(version) => format!("connected, MQTT {}", printable(version)),
                None => "connected".into(),
            },
            (false, _) => "NOT CONNECTED".into(),
        };
        let clients =
            if source["address"].is_null() { "0".into() } else { grouped(count(&source["clients"])) };
        rows.push(vec![
            printable(name),
            state,
            grouped(count(&source["messages"])),
            grouped(count(&source["in_flight"])),
            clients,
        ]);
    }
    rows
}

fn outputs(outputs: &Value) -> Vec<Vec<String>> {
    const TERMS: [&str; 6] = ["made", "delivered", "queued", "merged", "superseded", "refused"];
    let mut rows = vec![head(&[
        "name",
        "made",
        "delivered",
        "queued",
        "merged",
        "superseded",
        "refused",
        "dropped",
        "",
    ])];
    for (name, output) in entries(outputs) {
        let mut row = vec![printable(name)];
        row.extend(TERMS.iter().map(|term| grouped(count(&output[*term]))));
        row.push(grouped(entries(&output["dropped"]).map(|(_, value)| count(value)).sum()));
        row.push(match output["configured"] == false {
            true => "not in the configuration".into(),
            false if count(&output["queued"]) > 0 && output["budget"]["until"].is_string() => {
                format!("waits for its budget until {}", word(&output["budget"]["until"]))
            }
            false if count(&output["queued"]) > 0 => word(&output["last_error"]),
            false => String::new(),
        });
        rows.push(row);
    }
    rows
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn word(value: &Value) -> String {
    printable(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::model::{Inputs, OutputEntry, SourceEntry, assemble};
    use serde_json::json;

    #[test]
    fn a_document_of_another_version_is_no_reason_to_fail() {
        for document in [json!({}), json!(null), json!({"ledger": 7, "sources": [], "outputs": {"a": null}})]
        {
            assert!(human(&document).contains("readings"));
        }
    }

    #[test]
    fn everything_has_its_line() {
        let mut inputs = Inputs { gateway: "greenhouse-7".into(), pending: 1_234, ..Inputs::default() };
        inputs.outputs.insert("ingest".into(), Default::default());
        let mut document = serde_json::to_value(assemble(inputs)).unwrap();
        let snapshot = crate::mqtt::SourceState::default().snapshot();
        let source = SourceEntry { address: None, snapshot };
        document["sources"]["local"] = serde_json::to_value(source).unwrap();
        document["outputs"]["old"] = serde_json::to_value(OutputEntry::default()).unwrap();
        document["rejections"] = json!([{"stream": "climate", "metric": "t", "tags": {"device": "d1"}, "total": 1_200,
                                         "reasons": {"spike": 1_199, "range": 1}}]);
        document["problems"] = json!([{"at": "store", "text": "full\u{1b}[2J"}]);
        let text = human(&document);
        for part in [
            "greenhouse-7: ok",
            "store: full\u{fffd}",
            "received         1,234",
            "NOT CONNECTED",
            "climate  t       device=d1     1,200  range=1 spike=1,199",
            "ingest",
            "not in the configuration",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
