//! `tidegate deadletters`: what could not be used, and what to do with it.

use super::DaemonArgs;
use super::client::Client;
use super::exit::{self, Exit};
use super::print::{json, note, out, printable, table};
use super::tap::encoded;
use crate::limits::LETTERS_PER_PAGE_MAX;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::Path;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List them, oldest first
    List {
        /// Only those with this reason, or of this output
        #[arg(long)]
        reason: Option<String>,
        /// Begin after this number
        #[arg(long, default_value_t = 0, value_name = "ID")]
        after: u64,
        /// Show at most so many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Show one with its bytes
    Show {
        /// Its number
        id: u64,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Give them to the pipeline, or to their output, again
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
    /// Throw them away; the ledger counts them as dropped
    Drop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        daemon: DaemonArgs,
    },
}

/// Which of them.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Their numbers
    #[arg(required_unless_present = "all", value_name = "ID")]
    ids: Vec<u64>,
    /// All that there are
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// With --all: only those with this reason, or of this output
    #[arg(long, requires = "all", conflicts_with = "ids")]
    reason: Option<String>,
}

/// Does it, in the running daemon: nobody else may write to the store.
///
/// # Errors
/// How to end when the daemon cannot be asked or refuses.
pub(super) fn deadletters(config: Option<&Path>, command: &Command) -> Result<(), Exit> {
    match command {
        Command::List { reason, after, limit, daemon } => {
            let client = Client::new(config, daemon)?;
            list(&client, reason.as_deref(), *after, *limit, daemon.json)
        }
        Command::Show { id, daemon } => {
            let letter = Client::new(config, daemon)?.get(&format!("/api/deadletters/{id}"))?;
            if daemon.json { json(&letter) } else { out(&full(&letter)) }
        }
        Command::Retry { which, daemon } => order(&Client::new(config, daemon)?, "retry", which, daemon.json),
        Command::Drop { which, daemon } => order(&Client::new(config, daemon)?, "drop", which, daemon.json),
    }
}

fn list(client: &Client, reason: Option<&str>, after: u64, limit: usize, as_json: bool) -> Result<(), Exit> {
    let mut letters: Vec<Value> = Vec::new();
    let mut next = Some(after);
    let mut kept = 0;
    while let Some(after) = next
        && letters.len() < limit
    {
        // With a reason most of a page may fall out, so ask for whole ones.
        let page = if reason.is_some() { LETTERS_PER_PAGE_MAX } else { limit - letters.len() };
        let reason = reason.map(|reason| format!("&reason={}", encoded(reason))).unwrap_or_default();
        let page = page.min(LETTERS_PER_PAGE_MAX);
        let answer = client.get(&format!("/api/deadletters?after={after}&limit={page}{reason}"))?;
        letters.extend(answer["letters"].as_array().cloned().unwrap_or_default());
        next = answer["next"].as_u64();
        kept = answer["kept"].as_u64().unwrap_or(0);
    }
    if letters.len() > limit {
        letters.truncate(limit);
        next = letters.last().and_then(|letter| letter["id"].as_u64());
    }
    if as_json {
        return json(&json!({ "letters": letters, "next": next, "kept": kept }));
    }
    if letters.is_empty() {
        return out("no dead letters\n");
    }
    let mut rows = vec![["id", "at", "reason", "of", "what", "detail"].map(String::from).to_vec()];
    rows.extend(letters.iter().map(brief));
    out(&table(&rows))?;
    match next {
        Some(next) => out(&format!("\n{kept} in all; go on with --after {next}\n")),
        None => Ok(()),
    }
}

fn brief(letter: &Value) -> Vec<String> {
    let text = |name: &str| printable(letter[name].as_str().unwrap_or_default());
    let (of, what) = if letter["kind"] == "event" {
        (format!("outputs.{}", text("output")), text("event_id"))
    } else if letter["stream"].is_string() {
        (format!("streams.{}", text("stream")), text("topic"))
    } else {
        (format!("sources.{}", text("source")), text("topic"))
    };
    let detail = if letter["queued"] == true { "queued again".into() } else { text("detail") };
    vec![letter["id"].to_string(), text("at"), text("reason"), of, what, detail]
}

/// Every field in a line, the bytes last.
fn full(letter: &Value) -> String {
    let mut rows = Vec::new();
    let mut last = String::new();
    for (name, value) in letter.as_object().into_iter().flatten() {
        let shown = match value {
            Value::Null => continue,
            Value::String(text) if name == "payload" => {
                // Lines of the payload stay lines; a terminal's commands do not stay commands.
                last = text.lines().map(printable).collect::<Vec<_>>().join("\n");
                continue;
            }
            Value::Object(_) => {
                last = serde_json::to_string_pretty(value).unwrap_or_default();
                continue;
            }
            Value::String(text) => printable(text),
            value => value.to_string(),
        };
        rows.push(vec![name.clone(), shown]);
    }
    format!("{}\n{last}\n", table(&rows))
}

/// Orders in pages; what fails again gets a new number above `until` and is not tried again.
fn order(client: &Client, what: &str, which: &Which, as_json: bool) -> Result<(), Exit> {
    let path = format!("/api/deadletters/{what}");
    let (mut done, mut missing) = (0, Vec::new());
    if which.all {
        let mut until = Value::Null;
        loop {
            let answer =
                client.post(&path, &json!({ "all": true, "reason": which.reason, "until": until }))?;
            done += answer["done"].as_u64().unwrap_or(0);
            until = answer["until"].clone();
            if answer["more"] != true {
                break;
            }
        }
    } else {
        for ids in which.ids.chunks(LETTERS_PER_PAGE_MAX) {
            let answer = client.post(&path, &json!({ "ids": ids }))?;
            done += answer["done"].as_u64().unwrap_or(0);
            missing.extend(answer["missing"].as_array().cloned().unwrap_or_default());
        }
    }
    let verb = if what == "retry" { "retried" } else { "dropped" };
    if as_json {
        json(&json!({ "done": done, "missing": missing }))?;
    } else {
        out(&format!("{done} {verb}\n"))?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = missing.iter().map(Value::to_string).collect();
    note(&format!("no dead letter, or queued again already: {}", ids.join(", ")));
    Err(Exit(exit::NO_INPUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_for_people() {
        let message = json!({"id": 7, "kind": "message", "reason": "malformed", "detail": "at byte 3", "source": "local",
            "stream": "climate", "topic": "s/d1", "payload": "{\"a\"\n\u{1b}[2J", "at": "2026-11-22T10:00:00Z"});
        let row = brief(&message);
        assert_eq!(row[2..], ["malformed", "streams.climate", "s/d1", "at byte 3"]);
        let text = full(&message);
        assert!(text.ends_with("{\"a\"\n\u{fffd}[2J\n"), "{text}");
        let event = json!({"id": 8, "kind": "event", "reason": "refused", "detail": "400", "output": "ingest",
            "event_id": "minute/…/r0", "queued": true, "event": {"id": "x"}});
        assert_eq!(brief(&event)[3..], ["outputs.ingest", "minute/…/r0", "queued again"]);
        assert!(full(&event).contains("\"id\": \"x\""));
    }
}
