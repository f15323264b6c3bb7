//! Closed summaries, from the history.

use super::api::{Refusal, refusal, running};
use super::letters::read;
use super::view::View;
use crate::clock::Clock;
use crate::limits::HISTORY_QUERY_MAX;
use crate::store::{Found, Query, Summary};
use axum::Json;
use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tidegate_pipeline::aggregate::{self, Shown};
use tidegate_pipeline::event::escaped;
use tidegate_pipeline::time::{Span, Time};

/// Summaries of one answer where nobody says how many.
const LIMIT: usize = 1_000;
/// How far back one looks where nobody says.
const LENGTH: Span = Span::from_secs(3_600);

/// What is asked: `GET /api/history?summary=&subject=&from=&to=&limit=`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Question {
    /// Name of the summary; empty: all.
    summary: String,
    /// How the subject begins.
    subject: String,
    /// RFC 3339: windows that end after this; an hour before `to` by default.
    from: String,
    /// RFC 3339: windows that end by this; now by default.
    to: String,
    limit: Option<usize>,
}

/// The newest summaries that are wanted, newest last. The history is written once a minute, so that those of the last
/// minute may be missing.
pub(super) async fn query(
    State(view): State<Arc<View>>,
    extract::Query(question): extract::Query<Question>,
) -> Result<Response, Refusal> {
    let running = running(&view)?;
    let Some(history) = running.history.clone() else {
        let why = "no history is kept: set `[buffer] history` to a time such as \"7d\" and restart tidegate";
        return Err(refusal(StatusCode::NOT_FOUND, why));
    };
    let query = understand(question, Clock.now()).map_err(|why| refusal(StatusCode::BAD_REQUEST, why))?;
    let found = read(move || history.query(&query)).await?;
    Ok(Json(answer(found)).into_response())
}

fn understand(question: Question, now: Time) -> Result<Query, String> {
    let Question { summary, subject, from, to, limit } = question;
    let to = moment("to", &to)?.unwrap_or(now);
    let from = moment("from", &from)?.unwrap_or(to.minus(LENGTH));
    let limit = limit.unwrap_or(LIMIT).clamp(1, HISTORY_QUERY_MAX);
    let summary = if summary.is_empty() { summary } else { format!("{}/", escaped(&summary)) };
    Ok(Query { summary, subject, from, to, limit })
}

fn moment(name: &str, text: &str) -> Result<Option<Time>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let moment: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("`{name}` is no RFC 3339 time; write it like 2026-11-22T10:00:00Z"))?;
    Ok(Some(Time(moment.as_microsecond())))
}

fn answer(found: Found) -> Value {
    let Found { summaries, truncated, damaged } = found;
    let summaries: Vec<Value> = summaries.into_iter().map(one).collect();
    json!({ "summaries": summaries, "truncated": truncated, "damaged": damaged })
}

fn one(summary: Summary) -> Value {
    let Summary { subject, unit, start, end, revision, values } = summary;
    let shown = |(name, value): &(String, aggregate::Value)| (name.clone(), json!(Shown(value)));
    let values: Map<String, Value> = values.iter().map(shown).collect();
    json!({
        "subject": subject,
        "unit": unit,
        "start": start.rfc3339(),
        "end": end.rfc3339(),
        "revision": revision,
        "values": values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        let now = Time::from_millis(10_000_000);
        let check =
            |summary: &str, from: &str, to: &str, limit, expected: Option<(&str, i64, i64, usize)>| {
                let (summary, from, to) = (summary.to_owned(), from.to_owned(), to.to_owned());
                let query =
                    understand(Question { summary, subject: String::new(), from, to, limit }, now).ok();
                let seen = query.as_ref().map(|q| (q.summary.as_str(), q.from.0, q.to.0, q.limit));
                assert_eq!(seen, expected);
            };
        let hour = 3_600_000_000;
        check("", "", "", None, Some(("", now.0 - hour, now.0, 1_000)));
        check("a b", "", "", Some(0), Some(("a%20b/", now.0 - hour, now.0, 1)));
        check("m", "1970-01-01T00:00:01Z", "", Some(99_999), Some(("m/", 1_000_000, now.0, 10_000)));
        check("m", "", "1970-01-01T02:00:00+01:00", None, Some(("m/", 0, hour, 1_000)));
        check("m", "yesterday", "", None, None);
        check("m", "", "2026-11-22", None, None);
    }
}
