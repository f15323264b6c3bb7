//! `tidegate query`: the summaries that the running daemon keeps.

use super::DaemonArgs;
use super::client::Client;
use super::exit::Exit;
use super::print::{json, note, out, printable, table};
use super::tap::encoded;
use crate::clock::Clock;
use crate::config::units;
use crate::limits::HISTORY_QUERY_MAX;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tidegate_pipeline::time::Span;

/// Which summaries.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those of this summary, by its name
    summary: Option<String>,
    /// Only those whose subject begins so: `minute/temperature/greenhouse`
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    subject: String,
    /// Those whose windows ended at most so long ago; the last minute may not be there yet
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = units::duration)]
    since: Duration,
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Prints the summaries, the newest last.
///
/// # Errors
/// How to end when the daemon cannot be asked or keeps no history.
pub(super) fn query(config: Option<&Path>, args: &Args) -> Result<(), Exit> {
    let since = Span(i64::try_from(args.since.as_micros()).unwrap_or(i64::MAX));
    let path = format!(
        "/api/history?summary={}&subject={}&from={}&limit={HISTORY_QUERY_MAX}",
        encoded(args.summary.as_deref().unwrap_or_default()),
        encoded(&args.subject),
        encoded(&Clock.now().minus(since).rfc3339()),
    );
    let answer = Client::new(config, &args.daemon)?.get(&path)?;
    if args.daemon.json {
        return json(&answer);
    }
    out(&human(&answer))?;
    if answer["truncated"] == true {
        note(
            "there are older ones: only the newest are shown; name a summary or a --subject, or a shorter --since",
        );
    }
    match answer["damaged"].as_u64() {
        None | Some(0) => {}
        Some(damaged) => note(&format!("{damaged} rows of the history are damaged and left out")),
    }
    Ok(())
}

/// A row per window, a column per aggregate that any of them has.
fn human(answer: &Value) -> String {
    let summaries = answer["summaries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if summaries.is_empty() {
        return "no summaries; those of the last minute may not be there yet\n".into();
    }
    let mut names: Vec<&str> = Vec::new();
    for name in summaries.iter().filter_map(|summary| summary["values"].as_object()).flat_map(|v| v.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let head = ["end", "subject", "unit"].into_iter().chain(names.iter().copied());
    let mut rows = vec![head.map(printable).collect::<Vec<_>>()];
    for summary in summaries {
        let text = |name: &str| printable(summary[name].as_str().unwrap_or_default());
        let mut row = vec![text("end"), text("subject"), text("unit")];
        row.extend(names.iter().map(|name| number(&summary["values"][*name])));
        rows.push(row);
    }
    table(&rows)
}

fn number(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Number(number) if number.is_f64() => {
            // Six decimals are more than sensors have; --json gives all there are.
            let text = format!("{:.6}", number.as_f64().unwrap_or_default());
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_with_all_aggregates() {
        let answer = json!({"summaries": [
            {"subject": "m/t/a", "unit": "°C", "end": "2026-11-22T10:00:00Z", "values": {"count": 6, "mean": 21.25}},
            {"subject": "m/t/\u{1b}", "unit": null, "end": "2026-11-22T10:01:00Z", "values": {"max": 3.0, "mean": null}},
        ]});
        let text = human(&answer);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["end", "subject", "unit", "count", "mean", "max"]);
        assert_eq!(lines[1], ["2026-11-22T10:00:00Z", "m/t/a", "°C", "6", "21.25"]);
        assert_eq!(lines[2], ["2026-11-22T10:01:00Z", "m/t/\u{fffd}", "3"]);
        assert!(human(&json!({})).starts_with("no summaries"));
    }
}
