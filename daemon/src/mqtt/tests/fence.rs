//! A stale acknowledgement never crosses a reconnect.
//!
//! The scripted broker loses its session while a commit is outstanding, and gives the packet ids of the old session to
//! new messages. Acknowledging one of them now would confirm a message that is not on disk: it would be lost for good.

use super::broker::{Broker, Peer, publish};
use super::{Bench, PATIENCE, messages_of, mqtt};
use crate::config::model::Protocol;
use crate::ingest::intake::{Link, Run};
use crate::mqtt::acks::{Acks, Owed};
use crate::mqtt::run_source;
use bytes::BytesMut;
use std::sync::Arc;
use tokio::time::timeout;

/// Two connections with the same packet ids: the runs of the first and of the second, none committed, and the broker's
/// end of the second.
async fn two_sessions(bench: &mut Bench, broker: &Broker) -> (Run, Run, Peer) {
    let mut first = broker.session(true, false).await;
    first.send(&[publish(true, 1, b"s/a", b"1"), publish(true, 2, b"s/a", b"2")].concat()).await;
    let old = bench.messages(2).await.1;
    drop(first);
    let mut second = broker.session(true, false).await;
    second.send(&[publish(true, 1, b"s/b", b"3"), publish(true, 2, b"s/b", b"4")].concat()).await;
    let (texts, new) = bench.messages(2).await;
    assert_eq!(texts.last().unwrap(), "s/b=4");
    (old, new, second)
}

#[tokio::test]
async fn a_stale_acknowledgement_never_crosses_a_reconnect() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    let source =
        tokio::spawn(run_source(mqtt(port, Protocol::V5), bench.context.clone(), bench.stop.subscribe()));
    let (old, new, mut peer) = two_sessions(&mut bench, &broker).await;
    assert!(!Arc::ptr_eq(&old.link, &new.link));

    // The commit of the old connection's messages comes late, and with a number that is higher than any of the new one.
    old.link.commit(old.number + 100);
    // A ping goes through the same buffer as an acknowledgement: one would come before the other. Instead of waiting
    // for a ping, make the connection answer: a third message, then a commit of the new connection's first run only.
    peer.send(&publish(true, 3, b"s/b", b"5")).await;
    let last = bench.messages(1).await.1;
    assert_eq!(messages_of(&last), ["s/b=5"]);
    assert_eq!(bench.context.state.snapshot().acknowledged, 0, "nothing of the new session is on disk");

    new.link.commit(last.number);
    assert_eq!(peer.pubacks(3).await, [1, 2, 3]);
    assert_eq!(bench.context.state.snapshot().acknowledged, 3);
    bench.stop.send(true).unwrap();
    assert_eq!(peer.packet().await, [0xE0, 0]);
    timeout(PATIENCE, source).await.unwrap().unwrap();
}

/// The same story with one link for both connections: what the design rules out. It does misbehave, so the test above
/// can fail.
#[test]
fn with_a_shared_link_it_would() {
    let shared = Link::new(0, "gateway", 100);
    // First connection: run 1 holds the ids 1 and 2 and is not committed when the connection ends.
    Acks::default().owe(1, [1, 2].map(|id| Owed { id, sum: 0 }).to_vec());
    // Second connection: its run 1 holds the same ids for other messages.
    let mut second = Acks::default();
    second.owe(1, [1, 2].map(|id| Owed { id, sum: 0 }).to_vec());
    // The late commit of the first run …
    shared.commit(1);
    // … acknowledges what is not on disk.
    assert_eq!(second.pay(shared.committed(), &mut BytesMut::new()), 2);

    // With a link of its own the second connection owes what it owed.
    let own = Link::new(0, "gateway", 100);
    let mut second = Acks::default();
    second.owe(1, [1, 2].map(|id| Owed { id, sum: 0 }).to_vec());
    assert_eq!(second.pay(own.committed(), &mut BytesMut::new()), 0);
}

#[tokio::test]
async fn acknowledgements_come_in_the_order_of_receipt() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    tokio::spawn(run_source(mqtt(port, Protocol::V4), bench.context.clone(), bench.stop.subscribe()));
    let mut peer = broker.session(false, false).await;
    let ids = [9, 4, 7, 1, 300, 2];
    let mut runs = Vec::new();
    for id in ids {
        peer.send(&publish(false, id, b"s/a", b"x")).await;
        runs.push(bench.messages(1).await.1);
    }
    let link = &runs[0].link;
    // Numbers may come late and more than once, never out of order in effect.
    link.commit(runs[2].number);
    link.commit(runs[1].number);
    assert_eq!(peer.pubacks(3).await, ids[..3]);
    link.commit(runs[5].number);
    assert_eq!(peer.pubacks(3).await, ids[3..]);
}
