//! What a function's answer means for the events that were sent. Pure: no I/O, no clock.

use super::outbox::Queued;
use crate::limits;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// What came of one attempt to deliver, whatever the kind of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The destination has all events but these.
    Confirmed {
        /// Those that it names as failed; all of them were sent.
        failed: Vec<Failed>,
    },
    /// Not now. Nothing is known to be wrong with the events or with the address.
    RetryLater {
        /// The shortest wait that the destination asks for.
        after: Option<Duration>,
        /// What happened and what to do, for a person.
        why: String,
        /// Whether fewer events at once might be taken: the function failed or ran out of time over them.
        overload: bool,
    },
    /// Too much at once.
    TooLarge {
        /// The destination's words, for the dead letters if this was a single event.
        words: String,
    },
    /// Something in what was sent is refused.
    RefusedEvent {
        /// The destination's words.
        words: String,
    },
    /// Says nothing about the events: nobody is there, or somebody else.
    DestinationProblem {
        /// What happened and what to do, for a person. The same text for the same cause, so that it is logged once.
        why: String,
    },
}

/// An event that a function names in its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// CloudEvents `id`.
    pub id: String,
    /// Whether it shall be sent again.
    pub retry: bool,
    /// What the destination says of it, on one line: for a dead letter, and for whoever looks why it is sent again.
    pub words: String,
}

/// An HTTP response, as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Location`.
    pub location: Option<&'a str>,
    /// `Retry-After`, see [`retry_after`].
    pub retry_after: Option<Duration>,
    /// The first bytes of the body.
    pub body: &'a [u8],
    /// Whether there was more of it.
    pub truncated: bool,
    /// `Content-Encoding`, where the body is still in it.
    pub coding: Option<&'a str>,
}

/// What `reply` means for the events in `sent` (DESIGN §6).
pub fn classify(reply: &Reply<'_>, sent: &[Queued]) -> Answer {
    let status = reply.status;
    match status {
        // 204 and 205 have no content (RFC 9110 §15.3.5 and 6), so a type that a framework adds means nothing.
        200..=299 if !matches!(status, 204 | 205) && is_web_page(reply) => {
            Answer::DestinationProblem { why: web_page(status) }
        }
        200..=299 => confirmed(reply, sent),
        400 | 422 => Answer::RefusedEvent { words: words(reply) },
        413 => Answer::TooLarge { words: words(reply) },
        408 | 425 | 429 | 500..=599 => {
            Answer::RetryLater { after: reply.retry_after, why: later(status), overload: status >= 500 }
        }
        _ => Answer::DestinationProblem { why: destination(status, reply.location) },
    }
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or a date. A date is compared with the response's own `Date` where
/// there is one, because our clock may be wrong; else with `now`. At most [`limits::RETRY_AFTER_MAX`].
pub fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // Digits that overflow are a very long time.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let at = http_date(value)?;
        let from = date.and_then(http_date).unwrap_or(now);
        Duration::try_from(at.duration_since(from)).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(limits::RETRY_AFTER_MAX))
}

/// Reads a date of HTTP, in the format of today or in one of the obsolete two (RFC 9110 §5.6.7). One that is later than any time
/// stamp is the last that there is.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    // A wrong day of the week is no reason to come back too early.
    let today = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    today.parse_timestamp(text).ok().or_else(|| {
        let date = text.trim().trim_start_matches(char::is_alphabetic).trim_start_matches(',').trim_start();
        let formats = ["%d %b %Y %H:%M:%S GMT", "%d-%b-%y %H:%M:%S GMT", "%b %e %H:%M:%S %Y"];
        let date = formats.into_iter().find_map(|format| DateTime::strptime(format, date).ok())?;
        Some(date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |date| date.timestamp()))
    })
}

/// Pages are markup. Frameworks that say `text/html` of everything answer `OK`: functions-framework of a `@cloud_event` function.
fn is_web_page(reply: &Reply<'_>) -> bool {
    let essence = reply.content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let html =
        essence.eq_ignore_ascii_case("text/html") || essence.eq_ignore_ascii_case("application/xhtml+xml");
    let body = text(reply).trim_ascii_start();
    html && (body.is_empty() || body.starts_with(b"<"))
}

/// The body of a 2xx. Everything in it is optional and whatever else it holds is ignored: only what names an event that
/// we sent as failed keeps that event.
fn confirmed(reply: &Reply<'_>, sent: &[Queued]) -> Answer {
    if reply.truncated {
        // Which ones failed cannot be told. Fewer events make a shorter answer; they are delivered again, under
        // the same ids. For a single event such an answer is an echo, and 2xx stands.
        if (names_some(reply.body) || foreign(reply).is_some()) && sent.len() > 1 {
            let words = format!("HTTP {}: the answer is longer than 64 KiB", reply.status);
            return Answer::TooLarge { words };
        }
        return Answer::Confirmed { failed: Vec::new() };
    }
    if let Some(coding) = reply.coding {
        return unreadable(&format!(
            "has the content coding `{}`, which was not asked for",
            printable(coding)
        ));
    }
    let body: Result<Value, _> = serde_json::from_slice(text(reply));
    if body.is_err()
        && let Some(charset) = foreign(reply)
    {
        return unreadable(&format!(
            "is text in {charset} and not in UTF-8, which JSON is sent in (RFC 8259 section 8.1)"
        ));
    }
    if body.is_err() && names_some(reply.body) {
        return unreadable("is no JSON");
    }
    let named = body.and_then(Body::deserialize).map(|body| body.failed).unwrap_or_default();
    let mut by_id = BTreeMap::new();
    for entry in &named {
        // An entry of another shape must not hide its neighbours. What is not plainly "don't retry" is kept: sending
        // twice does no harm, dropping does.
        let Some(id) = entry.get("id").unwrap_or(entry).as_str() else { continue };
        let retry = entry.get("retry").and_then(Value::as_bool).unwrap_or(true);
        // One that is named twice is kept if either says so.
        let known = by_id.entry(id).or_insert((retry, entry));
        known.0 |= retry;
    }
    let failed = sent.iter().filter_map(|queued| {
        let (retry, entry) = by_id.remove(queued.id.as_str())?;
        Some(Failed { id: queued.id.clone(), retry, words: reason(reply.status, entry) })
    });
    Answer::Confirmed { failed: failed.collect() }
}

/// The body without the mark that some editors and frameworks put before UTF-8.
fn text<'a>(reply: &Reply<'a>) -> &'a [u8] {
    reply.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(reply.body)
}

/// The encoding of a body that cannot be read as UTF-8, and names events as failed or could: by the zeros between the
/// characters of ASCII, or by what `Content-Type` says.
fn foreign(reply: &Reply<'_>) -> Option<String> {
    let body = reply.body;
    // The characters of ASCII have zeros between them there. What names nothing confirms, as in UTF-8.
    let narrow: Vec<u8> = body.iter().copied().filter(|byte| *byte != 0).collect();
    if narrow.len() < body.len() && names_some(&narrow) {
        return Some("UTF-16 or UTF-32".into());
    }
    let charset = reply.content_type.and_then(charset);
    if names_some(body) && std::str::from_utf8(body).is_err() {
        return Some(charset.map_or("an unnamed encoding".into(), printable));
    }
    let charset = charset?;
    // Of the others most write ASCII as UTF-8 does: then what is named stands there to be seen.
    let hides = ["utf-7", "utf-16", "utf-32", "ucs", "ebcdic", "ibm", "cp037", "iso-10646"];
    let lower = charset.to_ascii_lowercase();
    (!body.is_empty() && hides.iter().any(|one| lower.starts_with(one))).then(|| printable(charset))
}

/// The parameter `charset` of a type (RFC 9110 section 8.3.2).
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// Whether a body may name events as failed.
fn names_some(body: &[u8]) -> bool {
    body.windows(8).any(|w| w == b"\"failed\"")
}

/// Events may be named as failed, and nobody can say which: all are sent again, under the same ids.
fn unreadable(what: &str) -> Answer {
    let why = format!(
        "the function answers 2xx, but its answer {what}: events that it may name as `failed` cannot be told from others. Let it \
         answer 204, or plain JSON in UTF-8 as docs/events.md says. Until then all are sent again under the same ids"
    );
    Answer::RetryLater { after: None, why, overload: false }
}

#[derive(Deserialize)]
struct Body {
    failed: Vec<Value>,
}

/// The status and the reason that an entry gives, fit for a log and a dead letter.
fn reason(status: u16, entry: &Value) -> String {
    let reason = printable(entry.get("reason").and_then(Value::as_str).unwrap_or_default());
    let reason = if reason.is_empty() { "named as failed, without a reason" } else { &reason };
    format!("HTTP {status}: {reason}")
}

/// The status and the start of the body on one line, fit for a log and a dead letter.
fn words(reply: &Reply<'_>) -> String {
    let text = printable(&String::from_utf8_lossy(reply.body));
    match text.is_empty() {
        true => format!("HTTP {}", reply.status),
        false => format!("HTTP {}: {text}", reply.status),
    }
}

/// The first [`limits::WORDS_MAX`] characters of a stranger's text, on one line and without control characters.
pub fn printable(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().chars().take(limits::WORDS_MAX).collect()
}

fn web_page(status: u16) -> String {
    format!(
        "answered {status} with a web page (text/html) where a function's answer was expected: a captive portal or a login \
         page may be in between (log in to the network), or `url` is a web site. A function answers 204, or JSON, or plain \
         text"
    )
}

fn later(status: u16) -> String {
    match status {
        408 => "answered 408: the request came in too slowly; tidegate keeps trying".into(),
        425 => "answered 425: too early; tidegate keeps trying".into(),
        429 => "answered 429: it gets more requests than it allows; tidegate slows down. If this stays, set or enlarge \
                `batch`, or raise the function's limit"
            .into(),
        _ => format!("answered {status}: the function fails; tidegate keeps trying. Look into the function's own log"),
    }
}

fn destination(status: u16, location: Option<&str>) -> String {
    let what = match status {
        300..=399 => {
            let to = location.map(|l| format!(" to {}", without_query(l))).unwrap_or_default();
            return format!(
                "answered {status}, a redirect{to}: redirects are not followed; put the final address into `url`"
            );
        }
        401 => {
            "the token is missing, wrong or expired: renew the secret that `auth` names; it is read again without \
             a restart"
        }
        403 => {
            "the caller is known but may not call this function: give it the right to, or look for a firewall in between"
        }
        404 | 410 => "the function is not there: deploy it, or correct the path in `url`",
        405 => "the address takes no POST: correct `url`",
        406 | 415 => {
            "it does not read what it gets: a function without support for batches needs an output without `batch`, \
             one without support for gzip an output without `compression`"
        }
        407 => "a proxy in between wants a login: let the gateway pass",
        _ => "this says nothing about the events: check `url`, and look into the function's own log",
    };
    format!("answered {status}: {what}. Everything is kept")
}

/// A redirect may carry a secret in its query.
fn without_query(location: &str) -> String {
    printable(location.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
