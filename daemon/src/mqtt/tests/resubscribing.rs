//! A session that holds filters of an earlier configuration, which overlap with those that are wanted now.

use super::broker::{Broker, Peer, publish};
use super::client::start_after;
use super::{Bench, eventually, mqtt};
use crate::config::model::{Mqtt, Protocol};

const BOTH: [Protocol; 2] = [Protocol::V4, Protocol::V5];

/// A connection that finds its session.
async fn resumed(broker: &Broker, v5: bool) -> Peer {
    let mut peer = broker.accept().await;
    assert_eq!(peer.packet().await[0], 0x10);
    peer.connack(v5, true, 0).await;
    peer
}

/// Has the source acknowledge a message: everything that it had to say before that, it has said.
async fn nothing_else(peer: &mut Peer, bench: &mut Bench, v5: bool) {
    peer.send(&publish(v5, 9, b"s/a", b"1")).await;
    let run = bench.messages(1).await.1;
    run.link.commit(run.number);
    assert_eq!(peer.pubacks(1).await, [9]);
}

fn holds(packet: &[u8], filter: &str) -> bool {
    packet.windows(filter.len()).any(|part| part == filter.as_bytes())
}

async fn unsubscribed(peer: &mut Peer, filter: &str) -> Vec<u8> {
    let packet = peer.packet().await;
    assert!(packet[0] == 0xA2 && packet.ends_with(filter.as_bytes()), "{packet:?}");
    packet
}

async fn subscribed(peer: &mut Peer, filter: &str) -> Vec<u8> {
    let packet = peer.packet().await;
    assert!(packet[0] == 0x82 && holds(&packet, filter), "{packet:?}");
    packet
}

#[tokio::test]
async fn an_old_filter_stays_until_those_that_overlap_with_it_are_granted() {
    for protocol in BOTH {
        let v5 = protocol == Protocol::V5;
        for (old, group, new) in
            [("s/+", None, "s/#"), ("s/+", Some("g"), "$share/g/s/#"), ("$share/g/s/+", None, "s/#")]
        {
            let mut bench = Bench::new();
            let (broker, port) = Broker::new().await;
            let cfg = Mqtt { shared_group: group.map(str::to_owned), ..mqtt(port, protocol) };
            let session = cfg.session();
            start_after(&bench, cfg, &[old]);
            let mut peer = resumed(&broker, v5).await;
            let subscribe = subscribed(&mut peer, new).await;
            nothing_else(&mut peer, &mut bench, v5).await;
            peer.suback(v5, &subscribe, 1).await;
            let unsubscribe = unsubscribed(&mut peer, old).await;
            // It is known until the broker has said that it is gone.
            assert_eq!(bench.context.sessions.unwanted(&session, &[new.to_owned()]), [old]);
            peer.unsuback(v5, &unsubscribe).await;
            eventually("it to be forgotten", async || {
                bench.context.sessions.unwanted(&session, &[new.to_owned()]).is_empty().then_some(())
            })
            .await;
        }
    }
}

/// What both match goes on to come by the old filter. One that has nothing to do with the refused one goes.
#[tokio::test]
async fn an_old_filter_stays_while_one_that_overlaps_with_it_is_refused() {
    for protocol in BOTH {
        let v5 = protocol == Protocol::V5;
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        let filters = vec!["s/#".into(), "t/+".into()];
        start_after(&bench, Mqtt { filters, ..mqtt(port, protocol) }, &["s/+", "t/#"]);
        let mut peer = resumed(&broker, v5).await;
        let subscribe = subscribed(&mut peer, "s/#").await;
        peer.suback_all(v5, &subscribe, &[0x80, 1]).await;
        let unsubscribe = unsubscribed(&mut peer, "t/#").await;
        assert!(!holds(&unsubscribe, "s/+"), "{unsubscribe:?}");
        peer.unsuback(v5, &unsubscribe).await;
        nothing_else(&mut peer, &mut bench, v5).await;
        assert!(bench.problem_with("`s/#`").await.contains("refuse"));
        let again = subscribed(&mut peer, "s/#").await;
        peer.suback(v5, &again, 1).await;
        unsubscribed(&mut peer, "s/+").await;
    }
}

/// The connection ends between the two answers: the session still holds what it should not.
#[tokio::test]
async fn an_old_filter_is_taken_out_on_the_next_connection() {
    for protocol in BOTH {
        let v5 = protocol == Protocol::V5;
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        start_after(&bench, mqtt(port, protocol), &["s/+"]);
        let mut peer = resumed(&broker, v5).await;
        let subscribe = subscribed(&mut peer, "s/#").await;
        peer.suback(v5, &subscribe, 1).await;
        unsubscribed(&mut peer, "s/+").await;
        drop(peer);
        let mut peer = resumed(&broker, v5).await;
        let unsubscribe = unsubscribed(&mut peer, "s/+").await;
        peer.unsuback(v5, &unsubscribe).await;
        nothing_else(&mut peer, &mut bench, v5).await;
        drop(peer);
        let mut peer = resumed(&broker, v5).await;
        nothing_else(&mut peer, &mut bench, v5).await;
    }
}

/// With many filters each old one goes as soon as it can, a few at a time: that keeps the time short in which both are there.
#[tokio::test]
async fn old_filters_go_as_the_new_ones_are_granted() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    let filters: Vec<String> = (0..12).map(|n| format!("f{n:02}/#")).collect();
    let before: Vec<String> = (0..12).map(|n| format!("f{n:02}/+")).collect();
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    start_after(&bench, Mqtt { filters, ..mqtt(port, Protocol::V5) }, &before);
    let mut peer = resumed(&broker, true).await;
    let first = subscribed(&mut peer, "f07/#").await;
    peer.suback_all(true, &first, &[1; 8]).await;
    let unsubscribe = unsubscribed(&mut peer, "f07/+").await;
    assert!(holds(&unsubscribe, "f00/+"));
    let second = subscribed(&mut peer, "f11/#").await;
    peer.suback_all(true, &second, &[1; 4]).await;
    peer.unsuback(true, &unsubscribe).await;
    let unsubscribe = unsubscribed(&mut peer, "f11/+").await;
    assert!(holds(&unsubscribe, "f08/+"));
}
