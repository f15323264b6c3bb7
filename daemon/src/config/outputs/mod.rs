//! `[outputs.NAME]`: where events go. Each kind of function is a file of its own; what they have in common is in
//! [`function`].

mod aliyun;
mod auth;
mod aws;
mod azure;
mod commands;
mod function;
mod google;
mod http;
pub(super) mod loops;
mod mqtt;
pub(super) mod tags;
mod topic;

use super::gateway::Gateway;
use super::model::{Output, OutputKind, Source};
use super::reader::{Named, Section};
use super::schema;

#[derive(Clone, Copy)]
enum Kind {
    Http,
    Aws,
    Google,
    Azure,
    Aliyun,
    Mqtt,
    File,
}

const KINDS: [(&str, Kind); 7] = [
    ("http", Kind::Http),
    ("aws-lambda", Kind::Aws),
    ("google", Kind::Google),
    ("azure", Kind::Azure),
    ("aliyun", Kind::Aliyun),
    ("mqtt", Kind::Mqtt),
    ("file", Kind::File),
];

/// All outputs in the order of the file. Days and hours of budgets are those of the gateway's time zone.
pub(super) fn read(root: &Section<'_>, gateway: &Gateway, sources: &[Source]) -> Vec<Output> {
    let entries = root.named("outputs");
    if entries.is_empty() && !root.has("outputs") && !root.misspelt("outputs") {
        root.cx
            .file_warning("there is no output: summaries stay on this machine")
            .help("add [outputs.ingest] with url = \"https://…\" to send them to a function")
            .report();
    }
    let mut outputs: Vec<Output> = entries.iter().map(|entry| one(entry, gateway)).collect();
    commands::read(&entries, &mut outputs, sources, &gateway.id);
    outputs
}

fn one(entry: &Named<'_>, gateway: &Gateway) -> Output {
    // An output that could not be read keeps its name, so that what refers to it is not reported too.
    Output { name: entry.name.to_owned(), kind: kind(entry, gateway).unwrap_or(OutputKind::File(None)) }
}

fn kind(entry: &Named<'_>, gateway: &Gateway) -> Option<OutputKind> {
    let section = entry.field.section(&schema::OUTPUT_HTTP, "[outputs.NAME]")?;
    let kind = match section.choice("type", &KINDS) {
        Some(kind) => kind,
        None if section.has("type") => return None,
        None if section.has("path") && !section.has("url") => Kind::File,
        None if mqtt::is_meant(&entry.field) => Kind::Mqtt,
        None => Kind::Http,
    };
    let function = match kind {
        Kind::Http => http::read(section),
        Kind::Aws => aws::read(section.with_schema(&schema::OUTPUT_AWS)),
        Kind::Google => google::read(section.with_schema(&schema::OUTPUT_GOOGLE)),
        Kind::Azure => azure::read(section.with_schema(&schema::OUTPUT_AZURE)),
        Kind::Aliyun => aliyun::read(section.with_schema(&schema::OUTPUT_ALIYUN)),
        Kind::Mqtt => {
            let section = section.with_schema(&schema::OUTPUT_MQTT);
            return mqtt::read(section, entry.name, &gateway.id).map(|mqtt| OutputKind::Mqtt(Box::new(mqtt)));
        }
        Kind::File => return file(section.with_schema(&schema::OUTPUT_FILE)),
    };
    let mut function = function?;
    if let Some(budget) = &mut function.budget {
        gateway.timezone.clone_into(&mut budget.zone);
    }
    Some(OutputKind::Http(Box::new(function)))
}

fn file(section: Section<'_>) -> Option<OutputKind> {
    section.get("type");
    section.require("path", "path = \"summaries.jsonl\", or \"-\" for standard output");
    let path = section.get("path").and_then(|field| field.filled());
    let path = path.map(|text| (text != "-").then(|| section.cx.path(text)));
    section.finish();
    path.map(OutputKind::File)
}
