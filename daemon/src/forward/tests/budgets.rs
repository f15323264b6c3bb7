//! Metered links.

use super::*;
use crate::config::model::{Budget, OAuth2};
use crate::forward::memory::event;
use crate::forward::outbox::{Outbox, Queued};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn metered(url: String, bytes_per_day: u64) -> Http {
    let budget =
        Budget { bytes_per_day: Some(bytes_per_day), hours: None, newest: false, zone: "UTC".into() };
    Http { budget: Some(budget), ..http(url) }
}

#[tokio::test]
async fn a_day_costs_no_more_than_it_may_and_alerts_have_their_part() {
    let server = Server::start(|_, _| status(204)).await;
    let run = Running::http(metered(server.url(), 20_000), 500);
    let waits = |run: &Running| run.state.snapshot().budget.is_some_and(|budget| budget.waits_for.is_some());
    eventually(|| waits(&run), || "summaries wait".into()).await;
    let budget = run.state.snapshot().budget.unwrap();
    assert_eq!((budget.bytes_per_day, budget.waits_for), (Some(20_000), Some("bytes")));
    assert!((18_000..18_600).contains(&budget.spent_today), "{budget:?}");
    assert_eq!(run.outbox.spent().bytes, budget.spent_today, "it outlives a restart");
    let sent = run.outbox.delivered().len();
    assert!((30..150).contains(&sent), "{sent}");
    // A hundred alerts are more than a tenth of the bytes carries.
    (0..100).for_each(|n| run.outbox.push(event(0, 1_000 + n)));
    eventually(
        || run.state.snapshot().budget.is_some_and(|budget| budget.spent_today >= 20_000),
        || "alerts".into(),
    )
    .await;
    let alerts = run.outbox.delivered().len() - sent;
    assert!((3..40).contains(&alerts), "{alerts}");
    assert!(run.outbox.thinned() > 0, "more waits than a day carries");
    run.stop().await;
}

#[tokio::test]
async fn what_was_spent_before_is_spent() {
    let server = Server::start(|_, _| status(204)).await;
    let run = Running::http(metered(server.url(), 20_000), 500);
    eventually(
        || run.state.snapshot().budget.is_some_and(|budget| budget.waits_for.is_some()),
        || "summaries wait".into(),
    )
    .await;
    let (outbox, sent) = (run.outbox.clone(), server.received().len());
    run.stop().await;
    let run = Running::start(OutputKind::Http(Box::new(metered(server.url(), 20_000))), outbox);
    run.outbox.push(event(0, 1_000));
    eventually(|| run.outbox.delivered().contains(&"e1000".into()), || "the alert".into()).await;
    assert_eq!(server.received().len(), sent + 1, "nothing but the alert");
    run.stop().await;
}

/// What went over the link for what was sent so far.
fn spent(run: &Running) -> u64 {
    run.state.snapshot().budget.unwrap().spent_today
}

#[tokio::test]
async fn a_token_costs_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "s").unwrap();
    let padding = "x".repeat(10_000);
    let grant = format!(r#"{{"access_token": "good", "expires_in": 3600, "more": "{padding}"}}"#);
    let login = Server::start(move |_, _| say(200, &[], &grant)).await;
    let function = Server::start(|_, _| status(204)).await;
    let auth = Auth::OAuth2(OAuth2 {
        token_url: login.url(),
        client_id: "gateway".into(),
        client_secret: Secret::File(path),
        // It goes over the link, too.
        scope: Some("y".repeat(5_000)),
        audience: None,
        secret_in_body: false,
    });
    let run = Running::http(Http { auth, ..metered(function.url(), 1 << 20) }, 1);
    run.outbox.drained().await;
    eventually(|| spent(&run) >= 15_000, || format!("15 kB, {}", spent(&run))).await;
    assert!(spent(&run) < 16_500, "{}", spent(&run));
    run.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_costs_what_came() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let half = format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(30_000));
        for answer in [half.as_str(), "HTTP/1.1 204 No Content\r\n\r\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let run = Running::http(metered(url, 1 << 20), 1);
    run.outbox.drained().await;
    eventually(|| spent(&run) >= 30_000, || format!("30 kB, {}", spent(&run))).await;
    assert!(spent(&run) < 31_000, "{}", spent(&run));
    server.await.unwrap();
    run.stop().await;
}

#[tokio::test]
async fn a_request_that_is_left_behind_costs_its_bytes() {
    let server = Server::start(|_, _| None).await;
    let run = Running::http(metered(server.url(), 1 << 20), 0);
    run.outbox.push(Queued { event: vec![b'1'; 20_000], ..event(1, 0) });
    eventually(|| !server.received().is_empty(), || "a request".into()).await;
    let outbox = run.outbox.clone();
    run.stop().await;
    assert!((20_000..20_500).contains(&outbox.spent().bytes), "{:?}", outbox.spent());
}
