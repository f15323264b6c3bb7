//! `[buffer]` and `[status]`.

use super::field::Field;
use super::model::{Buffer, Status, WhenFull};
use super::reader::Section;
use super::{schema, units};
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_pipeline::time::Span;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn read(root: &Section<'_>) -> Buffer {
    let default = Buffer::default();
    let section = root.get("buffer").and_then(|field| field.section(&schema::BUFFER, "[buffer]"));
    let Some(section) = section else { return default };
    // Less than 16 MiB leaves no room for the journal and a checkpoint beside the outbox.
    let bytes_max = section.size("max_size", 16 << 20..=1 << 40);
    let words =
        [("roll-up", WhenFull::RollUp), ("drop-oldest", WhenFull::DropOldest), ("refuse", WhenFull::Refuse)];
    let when_full = section.choice("when_full", &words);
    let commit_interval =
        section.duration("commit_interval", Duration::from_millis(1)..=Duration::from_secs(2));
    let flash = section.get("flash_budget").and_then(|field| flash_budget(&field));
    let history = section.duration("history", Duration::ZERO..=3_660 * DAY);
    section.finish();
    Buffer {
        bytes_max: bytes_max.unwrap_or(default.bytes_max),
        when_full: when_full.unwrap_or(default.when_full),
        commit_interval: commit_interval.unwrap_or(default.commit_interval),
        flash_bytes_per_day: flash.unwrap_or(default.flash_bytes_per_day),
        history: history.unwrap_or(default.history),
    }
}

fn flash_budget(field: &Field<'_>) -> Option<u64> {
    const HOW: &str = "write a size a day: \"2GB/day\"";
    let Some(text) = field.value.as_str() else {
        field.wrong_type("a size a day", HOW);
        return None;
    };
    let budget = match text.strip_suffix("/day") {
        Some(size) => units::size(size),
        None => Err("it does not end in `/day`".into()),
    };
    let bytes = field.parsed(text, budget, "a size a day", HOW)?;
    field.within(bytes, 1_000_000..=1_000_000_000_000_000, |bytes| format!("{}/day", units::size_text(bytes)))
}

pub(super) fn status(root: &Section<'_>) -> Option<Status> {
    let default = Status { listen: SocketAddr::from(([127, 0, 0, 1], 8380)) };
    let section = root.get("status").and_then(|field| field.section(&schema::STATUS, "[status]"));
    let Some(section) = section else { return Some(default) };
    let field = section.get("listen");
    section.finish();
    let Some(field) = field else { return Some(default) };
    if field.value.as_str() == Some("off") {
        return None;
    }
    let listen = address(&field, "127.0.0.1:8380")?;
    if !listen.ip().is_loopback() {
        field
            .cx
            .warning(field.span.clone(), "the status page has no password")
            .label("everybody on this network can read it")
            .help("listen on 127.0.0.1 and put a proxy with a password before it, unless the network is yours alone")
            .report();
    }
    Some(Status { listen })
}

/// An address with a port to listen on.
pub(super) fn address(field: &Field<'_>, example: &str) -> Option<SocketAddr> {
    let host = example.rsplit_once(':').map_or("0.0.0.0", |(host, _)| host);
    if let toml::de::DeValue::Integer(port) = field.value {
        let help =
            format!("write the address before it, in quotes: {} = \"{host}:{}\"", field.key, port.as_str());
        field.wrong_type("an address with a port", &help);
        return None;
    }
    let text = field.text()?;
    let port = text.strip_prefix(':').unwrap_or(text);
    let how = match port.parse::<u16>() {
        Ok(port) => format!("write the address before it: {} = \"{host}:{port}\"", field.key),
        Err(_) => format!("write an IP address and a port: \"{example}\"; IPv6 in brackets: \"[::1]:8380\""),
    };
    let why = |_| match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.is_empty() => {
            format!("`{host}` is not an IP address")
        }
        Some(("", port)) if port.parse::<u16>().is_ok() => "the address before the port is missing".into(),
        Some(_) => "the port is not a number up to 65535".into(),
        None if port.parse::<u16>().is_ok() => "this is a port alone".into(),
        None => "the port is missing".into(),
    };
    field.parsed(text, text.parse().map_err(why), "an address to listen on", &how)
}

/// A length of time for the pipeline.
pub(super) fn span(length: Duration) -> Span {
    Span(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}
