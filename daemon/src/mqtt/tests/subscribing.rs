//! What a broker grants, refuses and keeps.

use super::broker::{Broker, publish};
use super::client::{pass, start};
use super::{Bench, eventually, messages_of, mqtt};
use crate::config::model::{Mqtt, Protocol};
use crate::ingest::intake::Input;
use crate::limits;
use std::time::Duration;

#[tokio::test]
async fn a_refused_filter_is_a_problem_with_its_next_step() {
    for (v5, code, part) in
        [(true, 0x87, "access list"), (true, 0x9E, "shared_group"), (false, 0x80, "`s/#`")]
    {
        let bench = Bench::new();
        let (broker, port) = Broker::new().await;
        start(&bench, mqtt(port, if v5 { Protocol::V5 } else { Protocol::V4 }));
        let mut peer = broker.accept().await;
        peer.packet().await;
        peer.connack(v5, false, 0).await;
        let subscribe = peer.packet().await;
        peer.suback(v5, &subscribe, code).await;
        bench.problem_with(part).await;
    }
}

/// What a session kept comes before the answer, and over a slow line for long. Silence, or answers to pings alone, are none.
#[tokio::test]
async fn a_backlog_may_come_before_the_answer() {
    for pings in [false, true] {
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        start(&bench, mqtt(port, Protocol::V5));
        let mut peer = broker.accept().await;
        peer.packet().await;
        peer.connack(true, true, 0).await;
        peer.packet().await;
        for id in 1..=5 {
            peer.send(&publish(true, id, b"s/a", b"x")).await;
            bench.messages(1).await;
            pass(limits::HANDSHAKE_TIMEOUT * 3 / 5).await;
        }
        assert_eq!(bench.problem(), None);
        for _ in 0..2 {
            if pings {
                peer.send(&[0xD0, 0]).await;
                // That it came shows in nothing that follows.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            pass(limits::HANDSHAKE_TIMEOUT * 3 / 5).await;
        }
        bench.problem_with("did not answer SUBSCRIBE").await;
    }
}

/// Somebody may allow it: the broker is asked again on the same connection, and the rest goes on meanwhile.
#[tokio::test]
async fn a_refused_filter_is_asked_for_again() {
    for v5 in [true, false] {
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        let filters = vec!["a/#".into(), "b/#".into()];
        let protocol = if v5 { Protocol::V5 } else { Protocol::V4 };
        start(&bench, Mqtt { filters, ..mqtt(port, protocol) });
        let mut peer = broker.accept().await;
        peer.packet().await;
        peer.connack(v5, false, 0).await;
        let both = peer.packet().await;
        peer.suback_all(v5, &both, &[1, 0x80]).await;
        let told = bench.problem_with("`b/#`").await;
        assert!(!told.contains("`a/#`"), "{told}");
        bench.opened().await;
        for _ in 0..2 {
            let again = peer.packet().await;
            assert!(again[0] == 0x82 && again[2..4] != both[2..4], "{again:?}");
            let holds = |filter: &[u8]| again.windows(filter.len()).any(|part| part == filter);
            assert!(holds(b"b/#") && !holds(b"a/#"), "only what was refused: {again:?}");
            peer.suback_all(v5, &again, &[0x80]).await;
            peer.send(&publish(v5, 0, b"a/x", b"1")).await;
            assert_eq!(messages_of(&bench.run().await), ["a/x=1"]);
            assert_eq!(bench.problem().as_deref(), Some(told.as_str()), "the same problem: told once");
        }
        let again = peer.packet().await;
        peer.suback_all(v5, &again, &[1]).await;
        eventually("to be well", async || bench.problem().is_none().then_some(())).await;
    }
}

/// A broker may do less than it is asked for, and says so only in a number: then nothing is as safe as `check` promises.
#[tokio::test]
async fn a_broker_that_grants_less_is_a_problem() {
    // Session expiry interval (property 0x11) and maximum QoS (0x24); asked for are 3,600 s and QoS 1.
    let expiry = |seconds: u32| [&[0x11][..], &seconds.to_be_bytes()].concat();
    for (properties, granted, parts) in [
        (expiry(0), 1, &["does not keep our session", "`session = \"clean\"`"][..]),
        (expiry(60), 1, &["for 60 s, not for 3600 s", "`session_expiry = \"60s\"`"]),
        (vec![0x24, 0], 1, &["maximum QoS", "`qos = 0`"]),
        (vec![], 0, &["QoS 0 instead of 1 for `s/#`", "`qos = 0`"]),
        (expiry(0), 0, &["does not keep our session", "QoS 0 instead of 1 for `s/#`"]),
        (expiry(3_600), 1, &[]),
        (expiry(7_200), 2, &[]),
    ] {
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        start(&bench, mqtt(port, Protocol::V5));
        let connack = |present: u8| {
            let mut packet = vec![0x20, 3 + properties.len() as u8, present, 0, properties.len() as u8];
            packet.extend(&properties);
            packet
        };
        let mut peer = broker.accept().await;
        peer.packet().await;
        peer.send(&connack(0)).await;
        let subscribe = peer.packet().await;
        peer.suback(true, &subscribe, granted).await;
        let as_told = async |bench: &Bench| {
            for part in parts {
                bench.problem_with(part).await;
            }
            eventually("no other problem", async || {
                (bench.context.state.snapshot().connected && bench.problem().is_some() != parts.is_empty())
                    .then_some(())
            })
            .await;
        };
        while !matches!(bench.input().await, Input::Drained { .. }) {}
        as_told(&bench).await;
        // It lasted: the next one does not have to prove itself. That one finds the session as it is.
        tokio::time::pause();
        tokio::time::advance(limits::STABLE_AFTER).await;
        tokio::time::resume();
        drop(peer);
        let mut peer = broker.accept().await;
        assert!(bench.problem().is_some_and(|told| told.contains("closed the connection")));
        peer.packet().await;
        peer.send(&connack(1)).await;
        as_told(&bench).await;
    }
}

/// Some brokers close at more than eight filters in one packet (AWS IoT Core).
#[tokio::test]
async fn filters_are_asked_for_a_few_at_a_time() {
    for v5 in [true, false] {
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        let filters: Vec<String> = (0..20).map(|n| format!("f{n:02}")).collect();
        let protocol = if v5 { Protocol::V5 } else { Protocol::V4 };
        start(&bench, Mqtt { filters: filters.clone(), ..mqtt(port, protocol) });
        // QoS 1; in version 5 also: send retained messages only where the subscription is new.
        let options: &[u8] = if v5 { b"\x11" } else { b"\x01" };
        let mut peer = broker.accept().await;
        peer.packet().await;
        peer.connack(v5, false, 0).await;
        for asked in filters.chunks(8) {
            let subscribe = peer.packet().await;
            let part = asked.iter().flat_map(|filter| [b"\0\x03", filter.as_bytes(), options].concat());
            let head = 4 + usize::from(v5);
            assert_eq!((subscribe[0], &subscribe[head..]), (0x82, &part.collect::<Vec<u8>>()[..]));
            peer.suback_all(v5, &subscribe, &vec![1; asked.len()]).await;
        }
        loop {
            if let Input::Drained { .. } = bench.input().await {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_broker_that_closes_at_subscribe_is_one_problem() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut told = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let mut peer = broker.accept().await;
        told.extend(bench.problem());
        peer.packet().await;
        peer.connack(true, false, 0).await;
        assert_eq!(peer.packet().await[0], 0x82);
    }
    let told: Vec<String> = told.into_iter().collect();
    assert!(told.len() == 1 && told[0].contains("instead of answering SUBSCRIBE"), "{told:?}");
}

#[tokio::test]
async fn a_resumed_session_is_not_subscribed_again_and_loses_what_was_removed() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    let mut cfg = mqtt(port, Protocol::V4);
    cfg.shared_group = Some("g".into());
    assert_eq!(cfg.subscriptions(), ["$share/g/s/#"]);
    start(&bench, cfg);
    let mut peer = broker.accept().await;
    peer.packet().await;
    peer.connack(false, true, 0).await;
    let subscribe = peer.packet().await;
    assert!(subscribe.ends_with(b"$share/g/s/#\x01"), "{subscribe:?}");
    let unsubscribe = peer.packet().await;
    assert!(unsubscribe[0] == 0xA2 && unsubscribe.ends_with(b"old/#"), "{unsubscribe:?}");
    peer.unsuback(false, &unsubscribe).await;
    peer.suback(false, &subscribe, 1).await;
    assert!(matches!(bench.input().await, Input::Opened(_)));
    // The backlog comes before the session counts as drained.
    peer.send(&publish(false, 1, b"s/a", b"1")).await;
    assert!(matches!(bench.input().await, Input::Run(_)));
    assert!(matches!(bench.input().await, Input::Drained { source: 3 }));
    drop(peer);
    assert!(matches!(bench.input().await, Input::Closed(_)));

    let mut peer = broker.accept().await;
    peer.packet().await;
    peer.connack(false, true, 0).await;
    assert!(matches!(bench.input().await, Input::Opened(_)));
    assert!(matches!(bench.input().await, Input::Drained { source: 3 }));
    bench.stop.send(true).unwrap();
    assert_eq!(peer.packet().await, [0xE0, 0], "neither SUBSCRIBE nor UNSUBSCRIBE before");
}

/// Live messages that never pause for `DRAINED_AFTER` do not keep the backlog alive. The clock is virtual.
#[tokio::test(start_paused = true)]
async fn a_backlog_ends_in_a_steady_flow() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.accept().await;
    peer.packet().await;
    peer.connack(true, true, 0).await;
    let subscribe = peer.packet().await;
    peer.suback(true, &subscribe, 1).await;
    assert_eq!(peer.packet().await[0], 0xA2);
    bench.opened().await;
    let begun = tokio::time::Instant::now();
    for sent in 1..400 {
        peer.send(&publish(true, 0, b"s/a", b"1")).await;
        eventually("the message", async || {
            // While somebody is busy the clock stands still: it does not run ahead of the socket.
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            (bench.context.state.snapshot().messages >= sent).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        if bench.context.intake.take().iter().any(|input| matches!(input, Input::Drained { source: 3 })) {
            assert!((29..=31).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
            return;
        }
    }
    panic!("the backlog never ends");
}
