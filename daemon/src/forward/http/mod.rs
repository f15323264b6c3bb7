//! The output `http`: CloudEvents over HTTP/1.1 (CloudEvents HTTP protocol binding 1.0.2, structured and batched mode).
//!
//! HTTP/2 is not offered: a request that timed out would leave its dead connection in use. Redirects are not followed:
//! they would turn a POST into a GET, or carry the token to a stranger.

mod tls;
mod words;

use super::answer::{self, Answer, Reply};
use super::outbox::Queued;
use super::state::OutputState;
use super::{Bearer, Destination};
use crate::config::model::Http;
use crate::limits;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER,
};
use reqwest::{Client, Response, Url, redirect};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// One event per request.
pub const SINGLE: &str = "application/cloudevents+json";
/// A JSON array of events; also where only one is sent to an output with `batch`, so that a function sees one shape.
pub const BATCH: &str = "application/cloudevents-batch+json";

const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// A function behind an HTTP address.
pub struct Function {
    cfg: Http,
    bearer: Option<Bearer>,
    state: Arc<OutputState>,
    /// Made at the first attempt and again after TLS failed, because certificates on disk may have changed.
    client: Option<(Client, Url)>,
    /// Read at the first attempt and again after a 401.
    token: Option<HeaderValue>,
}

impl Function {
    /// Nothing is opened or read before the first attempt.
    pub fn new(cfg: Http, bearer: Option<Bearer>, state: Arc<OutputState>) -> Function {
        Function { cfg, bearer, state, client: None, token: None }
    }

    /// # Errors
    /// A sentence that says what is wrong with the settings or with what they name.
    fn ready(&mut self) -> Result<(Client, Url), String> {
        if self.token.is_none() {
            self.token = self.bearer.as_ref().map(bearer).transpose()?;
        }
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => Ok(self.client.insert(connect(&self.cfg)?).clone()),
        }
    }

    async fn post(
        &mut self,
        client: &Client,
        url: &Url,
        events: &[Queued],
    ) -> Result<Answer, reqwest::Error> {
        let body = match self.body(events) {
            Ok(body) => body,
            Err(error) => return Ok(problem(format!("cannot compress a request ({error})"))),
        };
        self.state.sent(body.len());
        let mut request = client
            .post(url.clone())
            .header(CONTENT_TYPE, if self.cfg.batch.is_some() { BATCH } else { SINGLE });
        if self.cfg.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let mut response = request.body(body).send().await?;
        let (start, truncated) = start_of_body(&mut response).await?;
        let headers = response.headers();
        let reply = Reply {
            status: response.status().as_u16(),
            content_type: text(headers, CONTENT_TYPE),
            location: text(headers, LOCATION),
            retry_after: text(headers, RETRY_AFTER)
                .and_then(|value| answer::retry_after(value, text(headers, DATE), jiff::Timestamp::now())),
            body: &start,
            truncated,
        };
        if !(200..300).contains(&reply.status) {
            let said = answer::printable(&String::from_utf8_lossy(reply.body));
            tracing::debug!(status = reply.status, said, "a function did not confirm");
        }
        if reply.status == 401 {
            self.token = None;
        }
        Ok(answer::classify(&reply, events))
    }

    fn body(&self, events: &[Queued]) -> io::Result<Bytes> {
        let size: usize = events.iter().map(|queued| queued.event.len() + 1).sum();
        let mut body = Vec::with_capacity(size + 1);
        if self.cfg.batch.is_some() {
            body.push(b'[');
            for (n, queued) in events.iter().enumerate() {
                if n > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(&queued.event);
            }
            body.push(b']');
        } else {
            // Without `batch` the policy asks for one event at a time.
            for queued in events {
                body.extend_from_slice(&queued.event);
            }
        }
        if !self.cfg.gzip {
            return Ok(body.into());
        }
        let mut gzip = GzEncoder::new(Vec::with_capacity(size / 4 + 64), Compression::default());
        gzip.write_all(&body)?;
        Ok(gzip.finish()?.into())
    }
}

impl Destination for Function {
    fn limit(&self) -> Option<Duration> {
        Some(self.cfg.timeout)
    }

    async fn send(&mut self, events: &[Queued]) -> Answer {
        let (client, url) = match self.ready() {
            Ok(ready) => ready,
            Err(why) => return problem(why),
        };
        match self.post(&client, &url, events).await {
            Ok(answer) => answer,
            Err(error) => {
                if words::tls_error(&error).is_some() {
                    self.client = None;
                }
                words::transport(&error, &url, self.cfg.timeout)
            }
        }
    }
}

fn problem(why: String) -> Answer {
    Answer::DestinationProblem { why }
}

fn bearer(read: &Bearer) -> Result<HeaderValue, String> {
    let token = read()
        .map_err(|why| format!("the token that `auth` names cannot be read: {why}. Everything is kept"))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| "the token that `auth` names holds line breaks or other characters that no header can carry: write it anew. Everything is kept")?;
    value.set_sensitive(true);
    Ok(value)
}

fn connect(cfg: &Http) -> Result<(Client, Url), String> {
    let url =
        Url::parse(&cfg.url).map_err(|error| format!("`url` is not an address ({error}): correct it"))?;
    let secure = url.scheme() == "https";
    let client = Client::builder()
        .tls_backend_preconfigured(tls::client_config(secure, cfg.ca.as_deref())?)
        .user_agent(USER_AGENT)
        .http1_only()
        .no_proxy()
        .referer(false)
        .redirect(redirect::Policy::none())
        .connect_timeout(limits::CONNECT_TIMEOUT.min(cfg.timeout))
        .timeout(cfg.timeout)
        .pool_idle_timeout(limits::POOL_IDLE_MAX)
        .pool_max_idle_per_host(1)
        .tcp_keepalive(limits::TCP_KEEP_ALIVE)
        .build()
        .map_err(|error| format!("cannot set up HTTP: {}", words::chain(&error)))?;
    Ok((client, url))
}

/// At most [`limits::ANSWER_BYTES_MAX`] of the body, and whether there was more.
async fn start_of_body(response: &mut Response) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut start = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limits::ANSWER_BYTES_MAX - start.len();
        start.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((start, true));
        }
    }
    Ok((start, false))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
