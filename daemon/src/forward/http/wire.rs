//! Requests and answers on their way, and the bytes of them that a budget counts: heads and bodies as HTTP has them, those
//! of servers that give out tokens included.

use super::super::state::OutputState;
use super::words;
use crate::limits;
use reqwest::header::HeaderMap;
use reqwest::{Client, Request, Response};

/// A client whose traffic is counted.
#[derive(Clone, Copy)]
pub(super) struct Wire<'a> {
    pub(super) client: &'a Client,
    pub(super) state: &'a OutputState,
}

/// A request that is on its way: counted when that is over, also where nobody waited for the end of it.
struct OnItsWay<'a> {
    state: &'a OutputState,
    bytes: usize,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.state.moved(self.bytes);
    }
}

impl<'a> Wire<'a> {
    /// Sends a request; what comes back is the head of the answer.
    pub(super) async fn send(self, request: Request) -> Result<Response, reqwest::Error> {
        let bytes = head_bytes(request.headers()) + request.url().as_str().len() + body(&request).len();
        let mut sent = OnItsWay { state: self.state, bytes };
        let result = self.client.execute(request).await;
        if result.as_ref().is_err_and(words::never_left) {
            sent.bytes = 0;
        }
        result.inspect(|response| self.state.moved(head_bytes(response.headers())))
    }

    /// At most [`limits::ANSWER_BYTES_MAX`] of the body, and whether there was more. What came before it broke off has
    /// come.
    pub(super) async fn start_of_body(
        self,
        response: &mut Response,
    ) -> Result<(Vec<u8>, bool), reqwest::Error> {
        let mut start = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            self.state.moved(chunk.len());
            let room = limits::ANSWER_BYTES_MAX - start.len();
            start.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok((start, true));
            }
        }
        Ok((start, false))
    }
}

/// The body as it is sent.
pub(super) fn body(request: &Request) -> &[u8] {
    request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default()
}

/// The bytes of a head: first line, and headers with what stands between and behind them. A few are added later (`Host` …).
fn head_bytes(headers: &HeaderMap) -> usize {
    const FIRST_LINE: usize = 20;
    FIRST_LINE + headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}
