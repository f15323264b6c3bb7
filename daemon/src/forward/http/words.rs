//! What a request that got no answer means, in words. The URL is never shown: its query may carry a key.

use super::super::answer::{self, Answer};
use crate::tls;
use jiff::Timestamp;
use reqwest::Url;
use std::error::Error;
use std::io;
use std::time::Duration;

/// What to make of a request that failed before a whole answer was there.
pub(super) fn transport(error: &reqwest::Error, url: &Url, timeout: Duration) -> Answer {
    let place = place(url);
    if let Some(tls) = tls_error(error) {
        return Answer::DestinationProblem { why: tls_words(tls, &place) };
    }
    if error.is_dns() {
        let why = format!(
            "the name {place} cannot be resolved: check the network and its DNS, and the name in `url`. Everything is kept"
        );
        return Answer::DestinationProblem { why };
    }
    if error.is_connect() {
        return Answer::DestinationProblem { why: connect_words(error, &place) };
    }
    if error.is_builder() {
        let why = format!("`url` cannot be used ({}): correct it. Everything is kept", chain(error));
        return Answer::DestinationProblem { why };
    }
    if error.is_timeout() {
        // It may have taken the events nevertheless; the same ids are sent again.
        let why = format!(
            "{place} gave no answer within {timeout:?}; tidegate keeps trying. If this stays, make the function quicker, \
             raise `timeout` or lower `batch.events`"
        );
        return Answer::RetryLater { after: None, why, overload: true };
    }
    let why =
        format!("the connection to {place} broke before the answer was complete; tidegate keeps trying");
    tracing::debug!(error = chain(error), "{why}");
    Answer::RetryLater { after: None, why, overload: false }
}

/// Whether nothing of the request went over the link.
pub(super) fn never_left(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_dns() || error.is_builder() || tls_error(error).is_some()
}

/// An error and its causes, without the URL that reqwest would add.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    if text.is_empty() { "no further cause given".into() } else { text }
}

/// The TLS error in `error`, if that is the cause.
pub(super) fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn io_error(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut kinds = causes(error).filter_map(|cause| cause.downcast_ref().map(io::Error::kind));
    kinds.find(|kind| *kind != io::ErrorKind::Other)
}

/// All causes, outermost first. An `io::Error` leaves what it wraps out of [`Error::source`], so that is asked first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        }
    })
}

/// Host and port.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the host in `url`");
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// By how much our clock differs from the one that wrote `date`, where that matters to signatures: AWS allows 5 minutes
/// (Signature Version 4), Alibaba Cloud 15.
pub(super) fn clock(date: &str, now: Timestamp) -> Option<String> {
    const ALLOWED: Duration = Duration::from_secs(300);
    let theirs = answer::http_date(date)?;
    let off = now.duration_since(theirs);
    let minutes = off.unsigned_abs().as_secs() / 60;
    let way = if off.is_negative() { "behind" } else { "ahead of" };
    (off.unsigned_abs() > ALLOWED).then(|| {
        format!(
            "This gateway's clock is {minutes} minutes {way} the function's, and signatures carry the time: set it, or let NTP \
             do so"
        )
    })
}

fn connect_words(error: &reqwest::Error, place: &str) -> String {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let what = match io_error(error) {
        Some(ConnectionRefused) => {
            "refuses connections: is the function running, and is the port in `url` right?"
        }
        Some(NetworkUnreachable | HostUnreachable) => "cannot be reached: is the uplink up?",
        _ if error.is_timeout() => {
            "cannot be reached in time: is the uplink up, and does no firewall stand in between?"
        }
        _ => "cannot be connected to: check the uplink and `url`.",
    };
    format!("{place} {what} Everything is kept")
}

fn tls_words(error: &rustls::Error, place: &str) -> String {
    format!("TLS with {place} failed{}. Everything is kept", tls::why(error, "http", "https"))
}
