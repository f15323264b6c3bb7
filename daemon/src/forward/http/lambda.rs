//! What AWS Lambda makes of a function's answer.

use super::super::answer::{self, Answer, Reply, classify};
use super::super::outbox::Queued;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// What the Invoke API says of a function that threw (Lambda, "Invoke", response body).
#[derive(Deserialize)]
struct Thrown {
    #[serde(rename = "errorType", default)]
    kind: String,
    #[serde(rename = "errorMessage", default)]
    message: String,
}

/// What a function returns that is written for an address of its own (payload format 2.0). `body` is text there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped {
    /// A number; Lambda takes text as well.
    status_code: Value,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl Wrapped {
    fn status(&self) -> u16 {
        let status = self.status_code.as_u64().or_else(|| self.status_code.as_str()?.trim().parse().ok());
        // What cannot be read is no success.
        status.and_then(|status| u16::try_from(status).ok()).unwrap_or(502)
    }

    fn into_body(self) -> Vec<u8> {
        match self.body {
            Value::String(text) if self.is_base64_encoded => {
                STANDARD.decode(&text).unwrap_or_else(|_| text.into_bytes())
            }
            Value::String(text) => text.into_bytes(),
            other => other.to_string().into_bytes(),
        }
    }
}

/// An answer of the Invoke API, and what the function itself said in it, which may hold commands. `thrown` is the header
/// `X-Amz-Function-Error`: the call succeeded and the function failed.
pub(super) fn invoked<'r>(reply: &Reply<'r>, thrown: bool, sent: &[Queued]) -> (Answer, Cow<'r, [u8]>) {
    let whole = Cow::Borrowed(reply.body);
    if thrown || !(200..300).contains(&reply.status) || reply.truncated {
        return (unwrapped(reply, thrown, sent), whole);
    }
    match serde_json::from_slice::<Wrapped>(reply.body) {
        Ok(wrapped) => {
            let (status, body) = (wrapped.status(), wrapped.into_body());
            let answer = classify(&Reply { status, content_type: None, body: &body, ..*reply }, sent);
            (answer, Cow::Owned(body))
        }
        Err(_) => (classify(reply, sent), whole),
    }
}

/// An answer that the function did not write, or that did not come whole.
fn unwrapped(reply: &Reply<'_>, thrown: bool, sent: &[Queued]) -> Answer {
    if thrown {
        let said = serde_json::from_slice::<Thrown>(reply.body).ok();
        let said =
            said.map(|t| format!(" ({}: {})", answer::printable(&t.kind), answer::printable(&t.message)));
        let why = format!(
            "the function failed{}; tidegate keeps trying. Look into the function's own log",
            said.unwrap_or_default()
        );
        return Answer::RetryLater { after: None, why, overload: true };
    }
    if !(200..300).contains(&reply.status) {
        return refused(reply, sent);
    }
    if contains(reply.body, b"\"statusCode\"") {
        // What it says cannot be told; fewer events make a shorter answer.
        let words = format!("HTTP {}: the function's answer is longer than 64 KiB", reply.status);
        return match sent.len() {
            0 | 1 => Answer::RetryLater { after: None, why: words, overload: true },
            _ => Answer::TooLarge { words },
        };
    }
    classify(reply, sent)
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|found| found == part)
}

/// An answer of AWS itself, or of a function by its address. AWS says 400 of what is wrong with us, too.
pub(super) fn refused(reply: &Reply<'_>, sent: &[Queued]) -> Answer {
    let of_us = [
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidSignature",
        "MissingAuthenticationToken",
        "UnrecognizedClient",
    ];
    let body = String::from_utf8_lossy(reply.body);
    match of_us.iter().find(|word| body.contains(**word)) {
        Some(word) if (400..500).contains(&reply.status) => Answer::DestinationProblem {
            why: format!(
                "answered {} ({word}): the credentials are wrong or out of date: renew them; they are read again without a \
                 restart. Everything is kept",
                reply.status
            ),
        },
        _ => classify(reply, sent),
    }
}
