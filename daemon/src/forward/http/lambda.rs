//! What AWS Lambda makes of a function's answer.

use super::super::answer::{self, Answer, Reply, classify};
use super::super::outbox::Queued;
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
struct Wrapped {
    #[serde(rename = "statusCode")]
    status: u16,
    #[serde(default)]
    body: Value,
}

/// An answer of the Invoke API. `thrown` is the header `X-Amz-Function-Error`: the call succeeded and the function failed.
pub(super) fn invoked(reply: &Reply<'_>, thrown: bool, sent: &[Queued]) -> Answer {
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
    match serde_json::from_slice::<Wrapped>(reply.body) {
        Ok(Wrapped { status, body }) => {
            let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            classify(&Reply { status, content_type: None, body: body.as_bytes(), ..*reply }, sent)
        }
        Err(_) => classify(reply, sent),
    }
}

/// What the function itself said in a successful answer of the Invoke API.
pub(super) fn said<'r>(reply: &Reply<'r>) -> Cow<'r, [u8]> {
    match serde_json::from_slice::<Wrapped>(reply.body) {
        Ok(Wrapped { body: Value::String(text), .. }) => Cow::Owned(text.into_bytes()),
        Ok(Wrapped { body, .. }) => Cow::Owned(body.to_string().into_bytes()),
        Err(_) => Cow::Borrowed(reply.body),
    }
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
                "answered {} ({word}): the credentials are wrong or out of date: renew them; they are read again before the \
                 next attempt. Everything is kept",
                reply.status
            ),
        },
        _ => classify(reply, sent),
    }
}
