//! `[heartbeat]`: what the gateway says of itself, and to whom.

use super::model::{Heartbeat, Output};
use super::reader::Section;
use super::schema;
use super::streams::references;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Nothing without the table: a function that expects summaries must not be surprised.
pub(super) fn read(root: &Section<'_>, outputs: &[Output]) -> Option<Heartbeat> {
    let section = root.get("heartbeat")?.section(&schema::HEARTBEAT, "[heartbeat]")?;
    let every = section.duration("every", Duration::from_secs(1)..=DAY);
    let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
    let to = references(section.get("to"), &names, "output");
    let to: Vec<String> = to.iter().map(|&at| names[usize::from(at)].to_owned()).collect();
    if outputs.is_empty() {
        section
            .cx
            .warning(section.span.clone(), "no output gets the heartbeat")
            .label("goes nowhere")
            .help("add [outputs.NAME], or remove it")
            .report();
    }
    section.finish();
    Some(Heartbeat { every: every.unwrap_or(Duration::from_secs(300)), to })
}
