//! `[outputs.NAME]`: where summaries go.

use super::field::Field;
use super::model::{Batch, Http, Output, OutputKind, Secret};
use super::reader::{Named, Section};
use super::{schema, secrets};
use std::time::Duration;

#[derive(Clone, Copy)]
enum Kind {
    Http,
    File,
}

/// All outputs in the order of the file.
pub(super) fn read(root: &Section<'_>) -> Vec<Output> {
    let entries = root.named("outputs");
    if entries.is_empty() && !root.has("outputs") && !root.misspelt("outputs") {
        root.cx
            .file_warning("there is no output: summaries stay on this machine")
            .help("add [outputs.ingest] with url = \"https://…\" to send them to a function")
            .report();
    }
    entries.iter().map(one).collect()
}

fn one(entry: &Named<'_>) -> Output {
    // An output that could not be read keeps its name, so that what refers to it is not reported too.
    Output { name: entry.name.to_owned(), kind: kind(entry).unwrap_or(OutputKind::File(None)) }
}

fn kind(entry: &Named<'_>) -> Option<OutputKind> {
    let section = entry.field.section(&schema::OUTPUT_HTTP, "[outputs.NAME]")?;
    let named = section.choice("type", &[("http", Kind::Http), ("file", Kind::File)]);
    let kind = match named {
        Some(kind) => kind,
        None if section.has("type") => return None,
        None if section.has("path") && !section.has("url") => Kind::File,
        None => Kind::Http,
    };
    match kind {
        Kind::Http => http(section).map(OutputKind::Http),
        Kind::File => file(section.with_schema(&schema::OUTPUT_FILE)),
    }
}

fn file(section: Section<'_>) -> Option<OutputKind> {
    section.get("type");
    section.require("path", "path = \"summaries.jsonl\", or \"-\" for standard output");
    let path = section.get("path").and_then(|field| field.filled());
    let path = path.map(|text| (text != "-").then(|| section.cx.path(text)));
    section.finish();
    path.map(OutputKind::File)
}

fn http(section: Section<'_>) -> Option<Http> {
    section.require("url", "url = \"https://functions.example/ingest\"");
    let url = section.get("url");
    let address = url.as_ref().and_then(address);
    let bearer = section.get("auth").and_then(|field| auth(&field));
    if let (Some(url), Some(address), Some(_)) = (&url, &address, &bearer)
        && address.starts_with("http://")
        && !is_local(address)
    {
        section
            .cx
            .warning(url.span.clone(), "the token travels unencrypted")
            .label("http://, not https://")
            .help("use https://, so that nobody on the way can read the token")
            .report();
    }
    let batch = section.get("batch").and_then(|field| batch(&field));
    let gzip = section.choice("compression", &[("none", false), ("gzip", true)]).unwrap_or(false);
    let timeout = section.duration("timeout", Duration::from_millis(100)..=Duration::from_secs(900));
    let ca = section.get("ca").and_then(|field| field.filled()).map(|path| section.cx.path(path));
    section.finish();
    Some(Http { url: address?, bearer, batch, gzip, timeout: timeout.unwrap_or(Duration::from_secs(30)), ca })
}

fn address(field: &Field<'_>) -> Option<String> {
    const HOW: &str = "write https://HOST/PATH, or http:// for a function on this machine or network";
    let text = field.text()?;
    if text.starts_with("mqtt://") || text.starts_with("mqtts://") {
        field.cx.not_yet(field.span.clone(), "mqtt");
        return None;
    }
    // Before anything else, because the messages below show the text.
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
    if authority.is_some_and(|authority| authority.contains('@')) {
        field.cx.mask(field.span.clone());
        field.bad(
            "holds a user name or password",
            "take it out and write auth = { bearer = { file = \"…\" } }; consider this one known",
        );
        return None;
    }
    let url = reqwest::Url::parse(text).map_err(|why| match text.contains("://") {
        true => why.to_string(),
        false => format!("did you mean `https://{text}`?"),
    });
    let url = field.parsed(text, url, "the address of a function", HOW)?;
    let wrong = match url.scheme() {
        "http" | "https" if url.fragment().is_some() => Err("a part after `#` is never sent".to_owned()),
        "http" | "https" => Ok(text.to_owned()),
        scheme => Err(format!("`{scheme}` is not http or https")),
    };
    field.parsed(text, wrong, "the address of a function", HOW)
}

fn is_local(address: &str) -> bool {
    let url = reqwest::Url::parse(address).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

fn auth(field: &Field<'_>) -> Option<Secret> {
    let section = field.section(&schema::AUTH, "auth = { bearer = { file = \"token\" } }")?;
    section.require("bearer", "auth = { bearer = { file = \"token\" } }");
    let bearer = section.get("bearer").and_then(|field| secrets::read(&field));
    section.finish();
    bearer
}

fn batch(field: &Field<'_>) -> Option<Batch> {
    let section =
        field.section(&schema::BATCH, "batch = { events = 500, bytes = \"256KiB\", linger = \"100ms\" }")?;
    let events = section.integer("events", 1..=10_000);
    let bytes = section.size("bytes", 1_024..=16 << 20);
    let linger = section.duration("linger", Duration::ZERO..=Duration::from_secs(60));
    section.finish();
    Some(Batch {
        events: events.and_then(|n| usize::try_from(n).ok()).unwrap_or(500),
        bytes: bytes.and_then(|n| usize::try_from(n).ok()).unwrap_or(256 << 10),
        linger: linger.unwrap_or(Duration::from_millis(100)),
    })
}
