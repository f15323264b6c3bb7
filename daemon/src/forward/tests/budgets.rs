//! Metered links.

use super::*;
use crate::config::model::Budget;
use crate::forward::memory::event;
use crate::forward::outbox::Outbox;

fn metered(url: String, bytes_per_day: u64) -> Http {
    let budget = Budget { bytes_per_day: Some(bytes_per_day), hours: None, zone: "UTC".into() };
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
