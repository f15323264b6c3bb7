//! Asking for tokens that somebody else gives out.

use super::super::{text, words};
use super::{Wire, problem, sensitive};
use crate::forward::answer::{self, Answer};
use crate::limits;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Request, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// The header of a bearer token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, Answer> {
    let text = Zeroizing::new(format!("Bearer {token}"));
    sensitive(&text, "the token")
}

/// An error of a token endpoint (RFC 6749 §5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Asks for a token and reads the JSON of the answer. `hint` says what to check when it is refused.
pub(super) async fn ask<T: DeserializeOwned>(
    wire: Wire<'_>,
    request: Request,
    hint: &str,
) -> Result<T, Answer> {
    ask_dated(wire, request, hint).await.map(|(token, _)| token)
}

/// The same, and the `Date` of the answer: what is told by the clock of who gave the token is compared with that.
pub(super) async fn ask_dated<T: DeserializeOwned>(
    wire: Wire<'_>,
    request: Request,
    hint: &str,
) -> Result<(T, Option<String>), Answer> {
    let place = words::place(request.url());
    let (body, date) = fetch(wire, request, hint).await?;
    let token = serde_json::from_slice(&body).map_err(|_| without_token(&place))?;
    Ok((token, date))
}

/// The same, where the answer is the token.
pub(super) async fn ask_text(
    wire: Wire<'_>,
    request: Request,
    hint: &str,
) -> Result<Zeroizing<String>, Answer> {
    let place = words::place(request.url());
    let (body, _) = fetch(wire, request, hint).await?;
    let text = std::str::from_utf8(&body).map_err(|_| without_token(&place))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn without_token(place: &str) -> Answer {
    problem(format!(
        "{place}, which signs in, answers without a token: check its address. Everything is kept"
    ))
}

/// The body of the answer, and its `Date`.
async fn fetch(
    wire: Wire<'_>,
    request: Request,
    hint: &str,
) -> Result<(Zeroizing<Vec<u8>>, Option<String>), Answer> {
    let url = request.url().clone();
    let place = words::place(&url);
    let timeout = limits::SIGN_IN_TIMEOUT;
    let failed = |error: reqwest::Error| signing_in(words::transport(&error, &url, timeout));
    let mut response = wire.send(request).await.map_err(failed)?;
    let (start, _) = wire.start_of_body(&mut response).await.map_err(failed)?;
    let start = Zeroizing::new(start);
    match response.status().as_u16() {
        200..=299 => Ok((start, text(response.headers(), DATE).map(str::to_owned))),
        status @ (408 | 429 | 500..=599) => {
            let headers = response.headers();
            let after = text(headers, RETRY_AFTER)
                .and_then(|value| answer::retry_after(value, text(headers, DATE), jiff::Timestamp::now()));
            let why = format!("{place}, which signs in, answered {status}; tidegate keeps trying");
            Err(Answer::RetryLater { after, why, overload: false })
        }
        status => Err(problem(format!(
            "{place}, which signs in, answered {status}{}: {hint}. Everything is kept",
            said(&start)
        ))),
    }
}

/// A request with a form.
pub(super) fn form(client: &Client, url: Url, fields: &[(&str, &str)]) -> Result<Request, Answer> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value).as_str()))
        .map(Zeroizing::new)
        .collect();
    let body = Zeroizing::new(fields.iter().map(|field| field.as_str()).collect::<Vec<_>>().join("&"));
    client
        .post(url)
        .timeout(limits::SIGN_IN_TIMEOUT)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(body.as_bytes().to_vec())
        .build()
        .map_err(|error| problem(format!("cannot make a request to sign in: {}", words::chain(&error))))
}

/// As in a form (`application/x-www-form-urlencoded`, WHATWG URL §5.2).
pub(super) fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

/// The words of a refusal that are the same each time: descriptions go on with times and numbers of the request.
fn said(body: &[u8]) -> String {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else { return String::new() };
    let first = refusal.error_description.split(['.', '\r', '\n']).next().unwrap_or_default();
    match first.trim() {
        "" => format!(" ({})", answer::printable(&refusal.error)),
        first => format!(" ({}: {})", answer::printable(&refusal.error), answer::printable(first)),
    }
}

/// The same, told of signing in.
fn signing_in(answer: Answer) -> Answer {
    match answer {
        Answer::DestinationProblem { why } => problem(format!("while signing in: {why}")),
        Answer::RetryLater { after, why, .. } => {
            Answer::RetryLater { after, why: format!("while signing in: {why}"), overload: false }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_the_same_is_said() {
        let check = |body: &str, expected: &str| assert_eq!(said(body.as_bytes()), expected);
        check(
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 0a1b\r\nTimestamp: 2026-11-22 10:00:00Z"}"#,
            " (invalid_client: AADSTS7000215: Invalid client secret provided)",
        );
        check(r#"{"error":"invalid_grant"}"#, " (invalid_grant)");
        check("<html>", "");
    }
}
