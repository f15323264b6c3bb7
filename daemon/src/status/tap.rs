//! `tap`: what became of readings, live, one JSON object a line.
//!
//! A task per reader takes batches from the writer at once and drops what the reader has no room for, so that a slow
//! reader costs a bounded number of lines and never holds the writer's batches.

use super::api::{Refusal, refusal, running};
use super::server::Connection;
use super::trace::TraceLine;
use super::view::View;
use crate::limits::{TAP_KEEP_ALIVE, TAP_LINES_MAX, TAPS_MAX};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tidegate_pipeline::message::Trace;
use tidegate_pipeline::topic::TopicPattern;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

/// Lines that go into one write at most.
const LINES_PER_WRITE: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    #[serde(default)]
    filter: String,
}

/// Which readings to show: those of a stream, or of the topics that a pattern covers.
#[derive(Debug)]
struct Filter {
    stream: String,
    topics: Option<TopicPattern>,
}

impl Filter {
    fn new(text: String) -> Filter {
        Filter { topics: TopicPattern::parse(&text).ok(), stream: text }
    }

    fn takes(&self, trace: &Trace) -> bool {
        self.stream.is_empty()
            || trace.stream.as_ref() == Some(&self.stream)
            || self.topics.as_ref().is_some_and(|topics| topics.covers(&trace.topic))
    }
}

pub(super) async fn tap(
    State((view, shutdown)): State<(Arc<View>, watch::Receiver<bool>)>,
    Extension(connection): Extension<Arc<Connection>>,
    Query(params): Query<Params>,
) -> Result<Response, Refusal> {
    let running = running(&view)?;
    let Ok(place) = Arc::clone(&view.taps).try_acquire_owned() else {
        let why = format!("{TAPS_MAX} readers of tap are connected already; end one");
        return Err(refusal(StatusCode::TOO_MANY_REQUESTS, why));
    };
    let (lines, mut written) = mpsc::channel::<String>(TAP_LINES_MAX);
    let batches = running.taps.subscribe();
    let filter = Filter::new(params.filter);
    tokio::spawn(async move {
        pump(batches, filter, lines, shutdown).await;
        drop(place);
    });
    connection.endless();
    let mut several = Vec::new();
    let chunks = futures_util::stream::poll_fn(move |cx| {
        several.clear();
        let count = std::task::ready!(written.poll_recv_many(cx, &mut several, LINES_PER_WRITE));
        let chunk = (count > 0).then(|| Ok::<_, Infallible>(Bytes::from(several.concat())));
        std::task::Poll::Ready(chunk)
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(chunks)).into_response())
}

/// From the writer's batches to lines, until the reader is gone or the daemon leaves.
async fn pump(
    mut batches: broadcast::Receiver<Arc<Vec<Trace>>>,
    filter: Filter,
    lines: mpsc::Sender<String>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut lost = 0;
    let mut quiet = tokio::time::interval(TAP_KEEP_ALIVE);
    loop {
        let batch = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = lines.closed() => return,
            _ = quiet.tick() => {
                let _ = lines.try_send("\n".into());
                continue;
            }
            batch = batches.recv() => batch,
        };
        match batch {
            Ok(batch) => {
                for trace in batch.iter().filter(|trace| filter.takes(trace)) {
                    give(&lines, trace, &mut lost);
                }
            }
            // Each batch had a line at least; how many more, nobody knows.
            Err(RecvError::Lagged(batches)) => lost += batches,
            Err(RecvError::Closed) => return,
        }
        quiet.reset();
        if lost > 0 && lines.try_send(format!("{{\"lost\":{lost}}}\n")).is_ok() {
            lost = 0;
        }
        // Everybody else of this thread comes first, when batches follow without a pause.
        tokio::time::sleep(Duration::ZERO).await;
    }
}

/// Gives the reader one line, and before it word of those that it lost.
fn give(lines: &mpsc::Sender<String>, trace: &Trace, lost: &mut u64) {
    let room = lines.capacity();
    if room == 0 || (*lost > 0 && room == 1) {
        *lost += 1;
        return;
    }
    if *lost > 0 && lines.try_send(format!("{{\"lost\":{lost}}}\n")).is_ok() {
        *lost = 0;
    }
    let Ok(mut line) = serde_json::to_string(&TraceLine::of(trace)) else { return };
    line.push('\n');
    if lines.try_send(line).is_err() {
        *lost += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_pipeline::verdict::Verdict;

    fn trace(topic: &str, stream: Option<&str>) -> Trace {
        Trace {
            topic: topic.into(),
            payload: String::new(),
            stream: stream.map(Into::into),
            metric: None,
            tags: Vec::new(),
            raw: None,
            value: None,
            time: None,
            verdict: Verdict::Counted,
            detail: String::new(),
        }
    }

    #[test]
    fn filters() {
        for (filter, topic, stream, expected) in [
            ("", "a/b", None, true),
            ("climate", "a/b", Some("climate"), true),
            ("climate", "a/b", Some("other"), false),
            ("a/+", "a/b", None, true),
            ("a/{x}", "a/b", Some("other"), true),
            ("a/#", "b", None, false),
            ("#", "$SYS/x", None, false),
            ("a/{", "a/{", None, false),
        ] {
            assert_eq!(Filter::new(filter.into()).takes(&trace(topic, stream)), expected, "{filter} {topic}");
        }
    }

    /// A reader with room for three lines that takes none, then all, is told exactly how many it lost.
    #[test]
    fn slow_readers_are_told_what_they_lost() {
        let (lines, mut reader) = mpsc::channel(3);
        let mut lost = 0;
        for _ in 0..5 {
            give(&lines, &trace("t", None), &mut lost);
        }
        assert_eq!(lost, 2);
        for _ in 0..3 {
            assert!(reader.try_recv().unwrap().starts_with("{\"topic\":\"t\""));
        }
        give(&lines, &trace("t", None), &mut lost);
        assert_eq!((lost, reader.try_recv().unwrap().as_str()), (0, "{\"lost\":2}\n"));
        assert!(reader.try_recv().unwrap().starts_with("{\"topic\""));
        assert!(reader.try_recv().is_err());
    }
}
