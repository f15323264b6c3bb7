//! What all functions behind an HTTP address have in common.

use crate::config::field::Field;
use crate::config::model::{Auth, Batch, Budget, Compression, Content, Http, Tls};
use crate::config::reader::Section;
use crate::config::{schema, secrets};
use crate::limits;
use jiff::civil::Time;
use std::time::Duration;

/// `batch`, `concurrency`, `budget`, `compression` and `timeout`: a function at no address yet, that is not signed for, and whose answers
/// command nothing.
pub(super) fn read(section: &Section<'_>, content: Content, tls: Tls) -> Http {
    // It names sources and outputs, so it is read when all of them are known.
    section.get("commands");
    let batch = section.get("batch").and_then(|field| batch(&field));
    let budget = section.get("budget").and_then(|field| budget(&field));
    let compression = section.choice(
        "compression",
        &[("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)],
    );
    let concurrency = section.integer("concurrency", 1..=limits::CONCURRENCY_MAX as i64);
    let timeout = section.duration("timeout", Duration::from_millis(100)..=Duration::from_secs(900));
    Http {
        url: String::new(),
        auth: Auth::None,
        content,
        batch,
        concurrency: concurrency.and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        budget,
        compression: compression.unwrap_or(Compression::None),
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
        tls,
        commands: None,
    }
}

/// `ca`, where the function asks for no certificate of ours.
pub(super) fn ca(section: &Section<'_>) -> Tls {
    let ca = section.get("ca").and_then(|field| field.filled()).map(|path| section.cx.path(path));
    Tls { ca, ..Tls::default() }
}

/// `url`, which is needed.
pub(super) fn url(section: &Section<'_>, example: &str) -> Option<String> {
    section.require("url", &format!("url = \"{example}\""));
    section.get("url").and_then(|field| address(&field))
}

/// Warns where a secret, or what can be made of it once heard, would travel in the open.
pub(super) fn warn_of_plain_http(section: &Section<'_>, auth: &Auth) {
    // What is signed with a secret does not give it away.
    let secret = match auth {
        Auth::Bearer(_) | Auth::OAuth2(_) | Auth::Google(_) => "the token",
        Auth::Basic { .. } => "the password",
        Auth::Header { .. } => "the key",
        Auth::None | Auth::Hmac(_) | Auth::Aws(_) | Auth::Aliyun(_) => return,
    };
    let Some(field) = section.get("url") else { return };
    let Some(address) = field.value.as_str() else { return };
    if address.starts_with("http://") && !is_local(address) {
        section
            .cx
            .warning(field.span.clone(), format!("{secret} travels unencrypted"))
            .label("http://, not https://")
            .help(format!("use https://, so that nobody on the way can read {secret}"))
            .report();
    }
}

/// The address of a function, or of a server that signs in.
pub(super) fn address(field: &Field<'_>) -> Option<String> {
    const HOW: &str = "write https://HOST/PATH, or http:// for a function on this machine or network";
    let text = field.text()?;
    if text.starts_with("mqtt://") || text.starts_with("mqtts://") {
        field.bad("is the address of a broker", "write type = \"mqtt\" to publish there");
        return None;
    }
    // Before anything else, because the messages below show the text.
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
    if authority.is_some_and(|authority| authority.contains('@')) {
        field.cx.mask(field.span.clone());
        field.bad(
            "holds a user name or password",
            "take it out and write auth = { basic = { username = \"…\", password = { file = \"…\" } } }; consider this one known",
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

/// Text that can stand in a header: printable ASCII (RFC 9110 §5.5).
pub(super) fn header_text(field: &Field<'_>) -> Option<String> {
    let text = field.filled()?;
    if text.chars().all(|c| c.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    field.bad("cannot stand in a header", "write letters, digits and signs of ASCII, without spaces");
    None
}

/// A secret that an `auth` needs.
pub(super) fn secret(section: &Section<'_>, key: &'static str) -> Option<crate::config::model::Secret> {
    section.require(key, &format!("{key} = {{ file = \"{key}\" }}"));
    section.get(key).and_then(|field| secrets::read(&field))
}

/// A text that an `auth` needs.
pub(super) fn text(section: &Section<'_>, key: &'static str, example: &str) -> Option<String> {
    section.require(key, &format!("{key} = \"{example}\""));
    section.get(key).and_then(|field| header_text(&field))
}

fn is_local(address: &str) -> bool {
    let url = reqwest::Url::parse(address).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
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

fn budget(field: &Field<'_>) -> Option<Budget> {
    let section =
        field.section(&schema::BUDGET, "budget = { bytes_per_day = \"5MB\", hours = \"01:00-05:00\" }")?;
    // Less than this would not carry a single request and its answer for sure.
    let bytes_per_day = section.size("bytes_per_day", 10_240..=1 << 40);
    let hours = section.get("hours");
    if bytes_per_day.is_none() && hours.is_none() && !section.has("bytes_per_day") && !section.has_unknown() {
        field.bad("says nothing", "write bytes_per_day = \"5MB\", hours = \"01:00-05:00\", or both");
    }
    let hours = hours.and_then(|field| hours_of(&field));
    let newest = section.choice("order", &[("oldest", false), ("newest", true)]).unwrap_or(false);
    section.finish();
    Some(Budget { bytes_per_day, hours, newest, zone: String::new() })
}

fn hours_of(field: &Field<'_>) -> Option<(Time, Time)> {
    const HOW: &str = "write two times of day: \"01:00-05:00\", or over midnight \"22:00-06:00\"";
    let text = field.filled()?;
    let time = |text: &str| {
        text.trim().parse::<Time>().map_err(|_| format!("`{}` is not a time of day", text.trim()))
    };
    let both = match text.split_once('-') {
        Some((from, until)) => time(from).and_then(|from| Ok((from, time(until)?))),
        None => Err("there is no `-` in it".to_owned()),
    };
    let both = both.and_then(|(from, until)| match from == until {
        true => Err("both are the same".to_owned()),
        false => Ok((from, until)),
    });
    field.parsed(text, both, "hours of a day", HOW)
}
