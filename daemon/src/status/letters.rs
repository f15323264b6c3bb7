//! Dead letters: listed, shown, retried, dropped.

use super::api::{Refusal, refusal, running};
use super::view::{Running, View};
use crate::ingest::mailbox::LetterOrder;
use crate::limits::{LETTERS_PER_ORDER_MAX, LETTERS_PER_PAGE_MAX, ORDER_TIMEOUT};
use crate::store::{Letter, StoreError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::Instant;

/// Which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Numbers above this.
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    reason: Option<String>,
}

/// Which letters an order is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Selection {
    ids: Vec<u64>,
    all: bool,
    /// With `all`: those with this reason, or of this output.
    reason: Option<String>,
    /// With `all`: up to this number. Given back by the first answer, so that what fails again is not tried again.
    until: Option<u64>,
}

pub(super) async fn list(
    State(view): State<Arc<View>>,
    Query(page): Query<Page>,
) -> Result<Response, Refusal> {
    let running = running(&view)?;
    let limit = page.limit.unwrap_or(LETTERS_PER_PAGE_MAX).clamp(1, LETTERS_PER_PAGE_MAX);
    read(move || {
        let (kept, _) = running.store.counts()?;
        let letters = running.store.letters(page.after, limit)?;
        let next = if letters.len() == limit { letters.last().map(|(number, _)| *number) } else { None };
        let wanted = letters.iter().filter(|(_, letter)| has_reason(letter, page.reason.as_deref()));
        let letters: Vec<Value> = wanted.map(|(number, letter)| brief(*number, letter)).collect();
        Ok(Json(json!({ "letters": letters, "next": next, "kept": kept })).into_response())
    })
    .await
}

pub(super) async fn show(
    State(view): State<Arc<View>>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let running = running(&view)?;
    let letter = read(move || running.store.letter(number)).await?;
    let letter =
        letter.ok_or_else(|| refusal(StatusCode::NOT_FOUND, format!("there is no dead letter {number}")))?;
    Ok(Json(full(number, &letter)).into_response())
}

pub(super) async fn retry(State(view): State<Arc<View>>, body: Bytes) -> Result<Response, Refusal> {
    order(&view, &body, LetterOrder::Retry).await
}

pub(super) async fn discard(State(view): State<Arc<View>>, body: Bytes) -> Result<Response, Refusal> {
    order(&view, &body, LetterOrder::Drop).await
}

/// Has the writer do it, some letters at a time, until all is done or time is up.
async fn order(view: &View, body: &[u8], what: Order) -> Result<Response, Refusal> {
    let Selection { ids, all, reason, until } = serde_json::from_slice(body).map_err(|error| {
        let how = "send {\"ids\": [1, 2]} or {\"all\": true, \"reason\": \"malformed\"}";
        refusal(StatusCode::BAD_REQUEST, format!("{how}: {error}"))
    })?;
    if all != ids.is_empty() || ids.len() > LETTERS_PER_PAGE_MAX {
        let how = format!("send either \"all\" or at most {LETTERS_PER_PAGE_MAX} \"ids\"");
        return Err(refusal(StatusCode::BAD_REQUEST, how));
    }
    let running = running(view)?;
    let Ok(_one_at_a_time) = view.orders.try_lock() else {
        let why = "another order about dead letters is under way; try again when it is done";
        return Err(refusal(StatusCode::CONFLICT, why));
    };
    let until = until.unwrap_or_else(|| running.store.letter_counts().next);
    let mut work = Work { running, what, done: 0, deadline: Instant::now() + ORDER_TIMEOUT };
    let (missing, more) = match all {
        true => (Vec::new(), work.all(until, reason).await?),
        false => (work.some(&ids).await?, false),
    };
    let answer = json!({ "done": work.done, "missing": missing, "until": until, "more": more });
    Ok(Json(answer).into_response())
}

type Order = fn(u64) -> LetterOrder;

/// An order that is being carried out.
struct Work {
    running: Arc<Running>,
    what: Order,
    done: usize,
    deadline: Instant,
}

impl Work {
    /// Those that are named: which of them were not there.
    async fn some(&mut self, ids: &[u64]) -> Result<Vec<u64>, Refusal> {
        let mut missing = Vec::new();
        for ids in ids.chunks(LETTERS_PER_ORDER_MAX) {
            let found = there(&self.running, ids.to_vec()).await?;
            missing.extend(ids.iter().filter(|id| !found.contains(id)));
            self.carry_out(found).await?;
        }
        Ok(missing)
    }

    /// All up to `until` that have the reason: whether there are more.
    async fn all(&mut self, until: u64, reason: Option<String>) -> Result<bool, Refusal> {
        let mut after = 0;
        loop {
            let (found, last) = find(&self.running, after, until, reason.clone()).await?;
            let Some(last) = last else { return Ok(false) };
            after = last;
            self.carry_out(found).await?;
            if Instant::now() > self.deadline {
                return Ok(true);
            }
        }
    }

    async fn carry_out(&mut self, ids: Vec<u64>) -> Result<(), Refusal> {
        if ids.is_empty() {
            return Ok(());
        }
        let (count, done) = (ids.len(), self.done);
        let answer = self.running.mailbox.order(ids.into_iter().map(self.what).collect());
        let why = match tokio::time::timeout_at(self.deadline, answer).await {
            Ok(Ok(())) => {
                self.done += count;
                return Ok(());
            }
            Ok(Err(_)) => format!("the writer has stopped; {done} are done"),
            Err(_) => format!(
                "the disk has not taken it yet; {done} are done and {count} will be when it does: see /api/status"
            ),
        };
        Err(refusal(StatusCode::SERVICE_UNAVAILABLE, why))
    }
}

/// The next letters above `after` and up to `until`: those that can be ordered about, and how far was looked.
async fn find(
    running: &Arc<Running>,
    after: u64,
    until: u64,
    reason: Option<String>,
) -> Result<(Vec<u64>, Option<u64>), Refusal> {
    let running = Arc::clone(running);
    read(move || {
        let mut letters = running.store.letters(after, LETTERS_PER_ORDER_MAX)?;
        letters.retain(|(number, _)| *number <= until);
        let last = letters.last().map(|(number, _)| *number);
        let wanted =
            letters.iter().filter(|(_, letter)| is_idle(letter) && has_reason(letter, reason.as_deref()));
        Ok((wanted.map(|(number, _)| *number).collect(), last))
    })
    .await
}

async fn there(running: &Arc<Running>, mut ids: Vec<u64>) -> Result<Vec<u64>, Refusal> {
    let running = Arc::clone(running);
    read(move || {
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::new();
        for id in ids {
            if running.store.letter(id)?.is_some_and(|letter| is_idle(&letter)) {
                found.push(id);
            }
        }
        Ok(found)
    })
    .await
}

/// Not in the outbox again already.
fn is_idle(letter: &Letter) -> bool {
    !matches!(letter, Letter::Event { queued: true, .. })
}

fn has_reason(letter: &Letter, reason: Option<&str>) -> bool {
    let Some(reason) = reason else { return true };
    match letter {
        Letter::Message(letter) => letter.reason.name() == reason,
        Letter::Event { output, .. } => output == reason || reason == "refused",
    }
}

/// One row of the list.
fn brief(number: u64, letter: &Letter) -> Value {
    match letter {
        Letter::Message(letter) => json!({
            "id": number,
            "kind": "message",
            "reason": letter.reason.name(),
            "detail": letter.detail,
            "source": letter.source,
            "stream": letter.stream,
            "topic": String::from_utf8_lossy(&letter.topic),
            "bytes": letter.payload.len(),
            "readings": letter.readings,
            "at": letter.arrival.rfc3339(),
        }),
        Letter::Event { output, id, event, why, at, queued } => json!({
            "id": number,
            "kind": "event",
            "reason": "refused",
            "detail": why,
            "output": output,
            "event_id": id,
            "bytes": event.len(),
            "queued": queued,
            "at": at.rfc3339(),
        }),
    }
}

/// With its bytes: as text where they are text, else in hexadecimal too.
fn full(number: u64, letter: &Letter) -> Value {
    let mut value = brief(number, letter);
    match letter {
        Letter::Message(letter) => {
            value["payload"] = String::from_utf8_lossy(&letter.payload).into();
            if std::str::from_utf8(&letter.payload).is_err() {
                value["payload_hex"] = hex(&letter.payload).into();
            }
            if std::str::from_utf8(&letter.topic).is_err() {
                value["topic_hex"] = hex(&letter.topic).into();
            }
        }
        Letter::Event { event, .. } => {
            value["event"] = serde_json::from_slice(event).unwrap_or_default();
        }
    }
    value
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads from the store where a slow disk holds up nobody.
pub(super) async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
        Err(_) => Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, "reading failed; see the log")),
    }
}
