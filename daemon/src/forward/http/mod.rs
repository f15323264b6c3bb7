//! Functions behind an HTTP address: `body` makes what a request holds, `sign` proves who sends it, `connection` is
//! the client, `wire` counts what goes over it, and `words` says what went wrong on the way.

mod body;
mod connection;
mod lambda;
mod sign;
mod wire;
mod words;

#[cfg(test)]
mod lambda_tests;

use super::Destination;
use super::answer::{self, Answer, Reply};
use super::commands::Commander;
use super::outbox::Queued;
use super::state::OutputState;
use crate::config::model::{Auth, Content, Http};
use crate::files::Files;
use crate::limits;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Request, Response, Url};
use sign::{Means, Signer};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use wire::Wire;

const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");

/// A function behind an HTTP address. Clones are ways to the same one: they share connections, tokens and commands.
#[derive(Clone)]
pub struct Function {
    cfg: Arc<Http>,
    state: Arc<OutputState>,
    /// Made at the first attempt and again after TLS failed, because certificates on disk may have changed.
    client: Arc<Mutex<Option<(Client, Url)>>>,
    /// One at a time, so that a token is asked for once.
    signer: Arc<Mutex<Signer>>,
    files: Files,
    commander: Option<Arc<Commander>>,
    /// A third party may be asked first, who takes some time.
    asks: bool,
    /// Signatures carry the time.
    timed: bool,
}

impl Function {
    /// Nothing is opened or read before the first attempt.
    pub fn new(cfg: Http, state: Arc<OutputState>) -> Function {
        let start = |commands| Arc::new(Commander::start(commands, Arc::clone(&state)));
        let commander = cfg.commands.clone().map(start);
        let (signer, files) = (Signer::new(&cfg.auth), Files::default());
        let (asks, timed) = (signer.asks(), signer.is_timed());
        let (client, signer) = (Arc::default(), Arc::new(Mutex::new(signer)));
        Function { cfg: Arc::new(cfg), state, client, signer, files, commander, asks, timed }
    }

    /// # Errors
    /// What is wrong with the settings or with what they name.
    async fn ready(&mut self) -> Result<(Client, Url), Answer> {
        let mut known = self.client.lock().await;
        if let Some(ready) = &*known {
            return Ok(ready.clone());
        }
        let url = Url::parse(&self.cfg.url)
            .map_err(|error| problem(format!("`url` is not an address ({error}): correct it")))?;
        let secure = url.scheme() == "https" || self.asks;
        let client = connection::client(&self.files, secure, &self.cfg.tls, self.cfg.timeout);
        let client = client.await.map_err(problem)?;
        Ok(known.insert((client, url)).clone())
    }

    /// Signs and sends; what comes back is the response, or what to make of its absence.
    async fn exchange(&mut self, client: &Client, mut request: Request) -> Result<Response, Answer> {
        let wire = Wire { client, state: &self.state };
        let means = Means { wire, files: &self.files };
        self.signer.lock().await.sign(means, &mut request).await?;
        let url = request.url().clone();
        match wire.send(request).await {
            Ok(response) => Ok(response),
            Err(error) => Err(self.broke(&error, &url).await),
        }
    }

    async fn broke(&mut self, error: &reqwest::Error, url: &Url) -> Answer {
        if words::tls_error(error).is_some() {
            *self.client.lock().await = None;
        }
        words::transport(error, url, self.cfg.timeout)
    }

    async fn post(&mut self, events: &[Queued]) -> Result<Answer, Answer> {
        let (client, url) = self.ready().await?;
        let (headers, body) = body::make(&self.cfg, events)
            .await
            .map_err(|error| problem(format!("cannot make a request ({error})")))?;
        self.state.sent(body.len());
        let mut request = Request::new(Method::POST, url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let mut response = self.exchange(&client, request).await?;
        let body = Wire { client: &client, state: &self.state }.start_of_body(&mut response).await;
        let (start, truncated) = match (body, response.status().as_u16()) {
            (Ok(body), _) => body,
            // That we are not who we should be is said by the status.
            (Err(_), 401 | 403) => (Vec::new(), true),
            (Err(error), _) => return Err(self.broke(&error, &url).await),
        };
        let headers = response.headers();
        let coding =
            text(headers, CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity"));
        let (start, truncated, coding) = body::decode(start, truncated, coding);
        let reply = Reply {
            status: response.status().as_u16(),
            content_type: text(headers, CONTENT_TYPE),
            location: text(headers, LOCATION),
            retry_after: text(headers, RETRY_AFTER)
                .and_then(|value| answer::retry_after(value, text(headers, DATE), jiff::Timestamp::now())),
            body: &start,
            truncated,
            coding,
        };
        if !(200..300).contains(&reply.status) {
            let said = answer::printable(&String::from_utf8_lossy(reply.body));
            tracing::debug!(status = reply.status, said, "a function did not confirm");
        }
        let (answer, said) = match self.cfg.content {
            Content::LambdaInvoke => lambda::invoked(&reply, headers.contains_key(FUNCTION_ERROR), events),
            Content::LambdaUrl => (lambda::refused(&reply, events), Cow::Borrowed(reply.body)),
            Content::Structured | Content::Binary => {
                (answer::classify(&reply, events), Cow::Borrowed(reply.body))
            }
        };
        if let (Answer::Confirmed { .. }, Some(commander)) = (&answer, &self.commander) {
            commander.take(&said, reply.truncated);
        }
        Ok(self.about_us(answer, reply.status, text(headers, DATE)).await)
    }

    /// A request that nothing comes of, but for what is wrong on the way and with who we are. `None`: nothing is.
    async fn knock(&mut self) -> Result<Option<Answer>, Answer> {
        let (client, url) = self.ready().await?;
        let mut request = match self.cfg.content {
            // Lambda, "Invoke": checks parameters and permissions, and does not run the function.
            Content::LambdaInvoke => {
                let mut request = Request::new(Method::POST, url);
                request
                    .headers_mut()
                    .insert(INVOCATION_TYPE, reqwest::header::HeaderValue::from_static("DryRun"));
                request
            }
            _ => Request::new(Method::HEAD, url),
        };
        *request.body_mut() = Some(Vec::new().into());
        let response = self.exchange(&client, request).await?;
        let headers = response.headers();
        let reply = Reply {
            status: response.status().as_u16(),
            content_type: None,
            location: text(headers, LOCATION),
            ..Reply::default()
        };
        let about_us = match reply.status {
            300..=399 | 401 | 407 => true,
            403 => self.forbids_events(text(headers, ERROR_TYPE)),
            // Whatever else it says of a request without an event, it is there.
            _ => false,
        };
        if reply.status == 403 && !about_us {
            let host = response.url().host_str().unwrap_or_default();
            tracing::info!(
                "{host} answers a HEAD request with 403: whether it takes events shows when the first is sent"
            );
        }
        if !about_us {
            return Ok(None);
        }
        let answer = answer::classify(&reply, &[]);
        Ok(Some(self.about_us(answer, reply.status, text(headers, DATE)).await))
    }

    /// Whether who forbids a request without an event (403) would forbid one with events, too. Many allow nothing but POST, and
    /// forbid the rest. Lambda's addresses and Google's front ends ask who calls before anything else, whatever the method.
    /// Gateways of AWS name what is wrong (`type_`): a missing token, of all things, is what they say of a method that they do not
    /// know (API Gateway, "Gateway response types": `MISSING_AUTHENTICATION_TOKEN`).
    fn forbids_events(&self, type_: Option<&str>) -> bool {
        matches!(self.cfg.content, Content::LambdaUrl | Content::LambdaInvoke)
            || matches!(self.cfg.auth, Auth::Google(_))
            || type_.is_some_and(|type_| !type_.starts_with("MissingAuthenticationToken"))
    }

    /// Where an answer says that we are not who we should be (AWS says 400 of that, too), what we know of ourselves may be out of
    /// date. Signatures that carry the time are refused where the time is wrong: says so where it is.
    async fn about_us(&self, answer: Answer, status: u16, date: Option<&str>) -> Answer {
        let (Answer::DestinationProblem { why }, 400 | 401 | 403) = (&answer, status) else { return answer };
        self.signer.lock().await.forget();
        if !self.timed || status == 400 {
            return answer;
        }
        match date.and_then(|date| words::clock(date, jiff::Timestamp::now())) {
            Some(off) => problem(format!("{why} {off}")),
            None => answer,
        }
    }
}

impl Destination for Function {
    fn limit(&self) -> Option<Duration> {
        // The client's files are read, and then those of what signs. Each request may wait for the others' tokens.
        let signing = if self.asks { limits::SIGN_IN_TIMEOUT } else { Duration::ZERO };
        let waits = u32::try_from(self.cfg.concurrency).unwrap_or(u32::MAX);
        Some(self.cfg.timeout + (signing + 2 * limits::FILES_TIMEOUT) * waits)
    }

    async fn send(&mut self, events: &[Queued]) -> Answer {
        self.post(events).await.unwrap_or_else(|answer| answer)
    }

    async fn test(&mut self) -> Option<Answer> {
        self.knock().await.unwrap_or_else(Some)
    }
}

fn problem(why: String) -> Answer {
    Answer::DestinationProblem { why }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
