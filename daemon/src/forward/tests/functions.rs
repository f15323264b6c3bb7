//! What functions answer, and what becomes of the events.

use super::*;
use crate::forward::memory::event;
use crate::forward::memory::series;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[tokio::test]
async fn a_function_gets_one_structured_event_per_request() {
    let server = Server::start(|_, _| status(204)).await;
    let run = Running::http(http(server.url()), 3);
    run.outbox.drained().await;
    let received = server.received();
    let sent: Vec<Vec<u8>> = received.iter().map(|request| request.body.clone()).collect();
    assert_eq!(sent, [0, 1, 2].map(|n| event(1, n).event));
    assert_eq!(received[0].header("content-type"), "application/cloudevents+json");
    assert_eq!(received[0].header("user-agent"), concat!("tidegate/", env!("CARGO_PKG_VERSION")));
    assert_eq!(received[0].header("authorization"), "");
    let state = run.state.snapshot();
    assert_eq!((state.requests, state.last_error.as_deref(), state.batch), (3, None, 1));
    assert_eq!(state.bytes, sent.iter().map(|body| body.len() as u64).sum::<u64>());
    assert!(state.last_success.is_some());

    run.outbox.push(event(1, 3));
    run.outbox.drained().await;
    run.stop().await;
}

#[tokio::test]
async fn batches_are_arrays_and_may_be_compressed() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let server = Server::start(|_, _| say(200, &[("content-type", "application/json")], "{}")).await;
        let run = Running::http(Http { compression, ..batched(server.url(), 500) }, 1_201);
        run.outbox.drained().await;
        let received = server.received();
        let sizes: Vec<usize> = received.iter().map(|request| request.ids().len()).collect();
        assert_eq!(sizes, [500, 500, 201]);
        assert_eq!(received.iter().flat_map(Received::ids).collect::<Vec<_>>(), ids(0..1_201));
        assert_eq!(received[0].header("content-type"), "application/cloudevents-batch+json");
        let plain: usize = received.iter().map(|request| request.body.len()).sum();
        let sent = run.state.snapshot().bytes as usize;
        match compression {
            Compression::None => assert_eq!(sent, plain),
            _ => assert!(sent < plain / 4, "{sent} of {plain}"),
        }
        run.stop().await;
    }
}

#[tokio::test]
async fn a_redeployment_that_answers_404_to_everything_loses_nothing() {
    let code = Arc::new(AtomicUsize::new(404));
    let says = Arc::clone(&code);
    let server = Server::start(move |_, _| status(says.load(SeqCst) as u16)).await;
    for cfg in [http(server.url()), batched(server.url(), 10)] {
        for (answer, part) in [
            (404, "the function is not there"),
            (403, "may not call"),
            (302, "redirect"),
            (400, "refused 20"),
        ] {
            code.store(answer, SeqCst);
            let run = Running::http(cfg.clone(), 50);
            run.has_problem(part).await;
            let so_far = server.received().len();
            eventually(|| server.received().len() > so_far + 5, || "more attempts".into()).await;
            assert_eq!((run.outbox.len(), run.outbox.refused().len()), (50, 0));
            assert!(run.state.snapshot().last_error.is_some());
            code.store(200, SeqCst);
            run.outbox.drained().await;
            assert_eq!((run.outbox.delivered().len(), run.outbox.refused().len()), (50, 0), "{answer}");
            assert_eq!(run.problem(), None);
            run.stop().await;
        }
    }
}

#[tokio::test]
async fn a_captive_portal_confirms_nothing() {
    let logged_in = Arc::new(AtomicUsize::new(0));
    let open = Arc::clone(&logged_in);
    let server = Server::start(move |_, _| match open.load(SeqCst) {
        0 => say(200, &[("content-type", "text/html; charset=utf-8")], "<html>Welcome to our Wi-Fi"),
        _ => say(200, &[("content-type", "text/plain")], "OK"),
    })
    .await;
    let run = Running::http(http(server.url()), 5);
    run.has_problem("captive portal").await;
    assert_eq!(run.outbox.len(), 5);
    logged_in.store(1, SeqCst);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..5));
    run.stop().await;
}

#[tokio::test]
async fn a_function_that_fails_on_batches_gets_its_events_one_by_one() {
    let server = Server::start(|_, request| status(if request.ids().len() > 1 { 500 } else { 200 })).await;
    let run = Running::http(batched(server.url(), 20), 40);
    eventually(|| run.state.snapshot().note.is_some(), || "a note".into()).await;
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..40));
    assert_eq!(run.problem(), None);
    run.stop().await;
}

#[tokio::test]
async fn a_function_with_a_small_limit_gets_smaller_batches() {
    let server = Server::start(|_, request| status(if request.body.len() > 2_000 { 413 } else { 200 })).await;
    let run = Running::http(batched(server.url(), 500), 500);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..500));
    assert!(server.received().len() < 70, "{} requests", server.received().len());
    run.stop().await;
}

#[tokio::test]
async fn several_requests_are_under_way_where_that_is_wanted() {
    let several = |url| Http { concurrency: 3, ..batched(url, 10) };
    let silent = Server::start(|_, _| None).await;
    let run = Running::http(several(silent.url()), 700);
    eventually(|| silent.received().len() >= 3, || format!("{} requests", silent.received().len())).await;
    assert_eq!(silent.received().len(), 3);
    run.stop().await;

    let server = Server::start(|_, _| status(204)).await;
    let run = Running::http(several(server.url()), 700);
    run.outbox.drained().await;
    let mut last = std::collections::BTreeMap::new();
    for id in run.outbox.delivered() {
        let number: u64 = id[1..].parse().unwrap();
        let before = last.insert(series(&event(1, number)), number);
        assert!(before < Some(number), "{id} came after {before:?} of its series");
    }
    run.stop().await;
}

#[tokio::test]
async fn a_bad_event_goes_to_the_dead_letters_and_no_other_does() {
    let server = Server::start(|_, request| match request.ids().iter().any(|id| id == "e37") {
        true => say(422, &[], "no such device"),
        false => status(200),
    })
    .await;
    let run = Running::http(batched(server.url(), 100), 100);
    run.outbox.drained().await;
    assert_eq!(run.outbox.refused(), ["e37"]);
    assert_eq!(run.outbox.delivered().len(), 99);
    assert_eq!(run.state.snapshot().last_error.as_deref(), Some("HTTP 422: no such device"));
    run.stop().await;
}

#[tokio::test]
async fn events_that_an_answer_names_are_kept_or_given_up() {
    let server = Server::start(|number, _| match number {
        0 => say(
            200,
            &[],
            r#"{"failed":[{"id":"e1","retry":true},{"id":"e3","retry":false,"reason":"no such device"},{"id":"x","retry":true}]}"#,
        ),
        _ => status(204),
    })
    .await;
    let run = Running::http(batched(server.url(), 5), 5);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ["e0", "e2", "e4", "e1"]);
    let expected = [("e3".to_owned(), "HTTP 200: no such device".to_owned())];
    assert_eq!(run.outbox.dead_letters(), expected);
    let error = run.state.snapshot().last_error;
    assert_eq!(
        error.as_deref(),
        Some("some events are sent again: HTTP 200: named as failed, without a reason")
    );
    run.stop().await;
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_honoured() {
    let server = Server::start(|number, _| match number {
        0 => say(429, &[("retry-after", "1")], ""),
        _ => status(200),
    })
    .await;
    let start = Instant::now();
    let run = Running::http(http(server.url()), 2);
    eventually(|| run.state.snapshot().retry_at.is_some(), || "retry_at".into()).await;
    run.outbox.drained().await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(run.state.snapshot().retry_at, None);
    run.stop().await;
}

#[tokio::test]
async fn an_answer_without_end_confirms() {
    let server =
        Server::start(|_, _| say(200, &[("content-type", "text/plain")], &"x".repeat(1 << 20))).await;
    let run = Running::http(http(server.url()), 3);
    run.outbox.drained().await;
    assert_eq!(server.received().len(), 3);
    run.stop().await;
}

#[tokio::test]
async fn a_rotated_token_heals() {
    let server = Server::start(|_, request| {
        status(if request.header("authorization") == "Bearer new" { 200 } else { 401 })
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let write = |token: &str| std::fs::write(&path, token).unwrap();
    write("old\n");
    let auth = Auth::Bearer(Secret::File(path.clone()));
    let run = Running::http(Http { auth, ..http(server.url()) }, 4);
    run.has_problem("answered 401: the token").await;
    std::fs::remove_file(&path).unwrap();
    run.has_problem("create it, or correct the path").await;
    write("two\nlines");
    run.has_problem("line breaks").await;
    write("new\n");
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..4));
    run.stop().await;
}
