//! The client of a broker.

use super::broker::{Broker, again, publish};
use super::{Bench, PATIENCE, eventually, messages_of, mqtt};
use crate::config::model::{Login, Mqtt, Protocol, Secret};
use crate::ingest::intake::Input;
use crate::limits;
use crate::mqtt::run_source;
use std::time::Duration;
use tidegate_pipeline::verdict::Reason;
use tokio::time::timeout;

pub(super) fn start(bench: &Bench, cfg: Mqtt) -> tokio::task::JoinHandle<()> {
    start_after(bench, cfg, &["old/#"])
}

/// Starts a source whose session may hold these filters of an earlier configuration.
pub(super) fn start_after(bench: &Bench, cfg: Mqtt, before: &[&str]) -> tokio::task::JoinHandle<()> {
    let before: Vec<String> = before.iter().map(|&filter| filter.to_owned()).collect();
    bench.context.sessions.holds(&cfg.session(), &[before, cfg.subscriptions()].concat());
    tokio::spawn(run_source(cfg, bench.context.clone(), bench.stop.subscribe()))
}

#[tokio::test]
async fn falls_back_to_3_1_1_when_5_is_refused() {
    for (refusal, v5_form) in [(0x84, true), (0x01, false)] {
        let bench = Bench::new();
        let (broker, port) = Broker::new().await;
        start(&bench, mqtt(port, Protocol::V5));
        let mut peer = broker.accept().await;
        assert_eq!(peer.packet().await[8], 5);
        peer.connack(v5_form, false, refusal).await;
        let mut peer = broker.accept().await;
        assert_eq!(peer.packet().await[8], 4);
        peer.connack(false, false, 0).await;
        eventually("3.1.1", async || {
            (bench.context.state.snapshot().protocol == Some("3.1.1")).then_some(())
        })
        .await;
        assert_eq!(bench.problem(), None);
        // On the next connection it may speak 5: it is asked anew.
        drop(peer);
        assert_eq!(broker.accept().await.packet().await[8], 5);
    }
}

/// A port that takes connections before its broker is up (docker-proxy) says nothing about the versions.
#[tokio::test]
async fn a_broker_that_only_closes_is_not_taken_for_an_older_one() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    for _ in 0..4 {
        assert_eq!(broker.accept().await.packet().await[8], 5);
    }
    bench.problem_with("`protocol = \"3.1.1\"`").await;
}

/// The same text at every attempt, whatever the system says in detail: one problem, one line in the log.
#[tokio::test]
async fn a_broker_that_cannot_be_reached_is_one_problem() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (host, part) in [("127.0.0.1", "refuses connections"), ("no-such-host.invalid", "cannot be resolved")]
    {
        let bench = Bench::new();
        start(&bench, Mqtt { host: host.into(), ..mqtt(closed, Protocol::V5) });
        bench.problem_with(part).await;
    }
}

#[tokio::test]
async fn each_refusal_has_its_sentence() {
    for (v5, code, part) in [
        (true, 0x86, "password of user `tide`"),
        (false, 4, "password of user `tide`"),
        (true, 0x87, "let user `tide` in"),
        (false, 5, "let user `tide` in"),
        (true, 0x85, "client id `gateway`"),
        (false, 2, "client id `gateway`"),
        (false, 3, "not available"),
        (true, 0x97, "too many connections"),
        (true, 0xEE, "0xee"),
    ] {
        let bench = Bench::new();
        let (broker, port) = Broker::new().await;
        let mut cfg = mqtt(port, if v5 { Protocol::V5 } else { Protocol::V4 });
        cfg.login = Some(Login { user: "tide".into(), password: None });
        start(&bench, cfg);
        let mut peer = broker.accept().await;
        peer.packet().await;
        peer.connack(v5, false, code).await;
        bench.problem_with(part).await;
    }
}

#[tokio::test]
async fn a_password_that_cannot_be_read_is_a_problem_and_not_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    let mut cfg = mqtt(port, Protocol::V5);
    cfg.login = Some(Login { user: "tide".into(), password: Some(Secret::File(path.clone())) });
    start(&bench, cfg);
    bench.problem_with("create it").await;
    std::fs::write(&path, "hunter2\n").unwrap();
    loop {
        let connect = broker.accept().await.packet().await;
        if !connect.is_empty() {
            assert!(connect.ends_with(b"\0\x04tide\0\x07hunter2"), "{connect:?}");
            return;
        }
    }
}

/// Each attempt ends at once, and the waits grow: in ten minutes of (virtual) time a broker sees few of them.
#[tokio::test(start_paused = true)]
async fn a_broker_that_closes_after_each_connack_is_not_spun_on() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut attempts = 0;
    let watching = async {
        loop {
            let mut peer = broker.0.accept().await.map(|(stream, _)| super::broker::Peer(stream)).unwrap();
            peer.packet().await;
            peer.connack(true, true, 0).await;
            attempts += 1;
        }
    };
    let _ = timeout(Duration::from_secs(600), watching).await;
    assert!((5..100).contains(&attempts), "{attempts}");
    assert!(bench.problem().unwrap().contains("another client uses the client id `gateway`"));
}

/// Connections that end soon have one cause that the port tells, and others that only the broker's log can tell apart.
#[tokio::test]
async fn a_broker_that_starts_again_and_again_is_not_another_client() {
    for restarts in [true, false] {
        let bench = Bench::new();
        let (mut broker, port) = Broker::new().await;
        start(&bench, mqtt(port, Protocol::V5));
        for _ in 0..2 {
            drop(broker.session(true, false).await);
            if restarts {
                drop(broker);
                bench.problem_with("refuses connections").await;
                broker = Broker(tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap());
            }
        }
        drop(broker.session(true, false).await);
        let text = bench.problem_with("closes it again, time after time").await;
        assert_eq!(text.contains("seems to be restarted"), restarts, "{text}");
        assert_eq!(text.contains("Either another client uses the client id `gateway`"), !restarts, "{text}");
        assert_eq!(text.contains("log tells which"), !restarts, "{text}");
    }
}

#[tokio::test]
async fn a_second_connack_is_named() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    peer.connack(true, false, 0).await;
    bench.problem_with("a second CONNACK (code 0x00, Success)").await;
}

#[tokio::test]
async fn another_server_is_named_in_status() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    peer.send(b"\xE0\x0E\x9C\x0C\x1C\x00\x09b.example").await;
    bench.problem_with("`b.example`: set `url` to it").await;
}

#[tokio::test]
async fn a_session_that_is_taken_over_says_so() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    peer.send(&[0xE0, 1, 0x8E]).await;
    bench.problem_with("another client connected with our client id").await;
}

#[tokio::test]
async fn odd_messages_are_messages() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    let mut cfg = mqtt(port, Protocol::V5);
    cfg.packet_bytes_max = (1 << 20) + 100;
    start(&bench, cfg);
    let mut peer = broker.session(true, false).await;
    let large = vec![b'x'; 1 << 20];
    peer.send(&publish(true, 1, b"s/\xff\xfe", b"bad topic")).await;
    peer.send(&publish(true, 2, b"s/large", &large)).await;
    peer.send(&publish(true, 3, b"s/huge", &vec![b'y'; 2 << 20])).await;
    peer.send(&publish(true, 4, b"s/last", b"")).await;
    let mut seen = Vec::new();
    let mut refused = 0;
    let mut last = None;
    while seen.len() < 3 {
        match bench.input().await {
            Input::Run(run) => {
                seen.extend(run.messages.iter().map(|message| message.payload.len()));
                if let Some(message) = run.messages.first().filter(|_| run.number == 1) {
                    assert_eq!(
                        &run.bytes[message.topic.start as usize..message.topic.end as usize],
                        b"s/\xff\xfe"
                    );
                }
                last = Some(run);
            }
            Input::Refused { reason, count } => {
                assert_eq!(reason, Reason::TooLarge);
                refused += count;
            }
            _ => {}
        }
    }
    assert_eq!((seen, refused), (vec![9, 1 << 20, 0], 1));
    let last = last.unwrap();
    last.link.commit(last.number);
    assert_eq!(peer.pubacks(4).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_repeat_on_the_same_connection_is_one_message_and_one_acknowledgement() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    let first = publish(true, 7, b"s/a", b"1");
    peer.send(&[first.clone(), again(first.clone())].concat()).await;
    let run = bench.messages(1).await.1;
    assert_eq!(messages_of(&run), ["s/a=1"]);
    run.link.commit(run.number);
    assert_eq!(peer.pubacks(1).await, [7]);
    // After its acknowledgement too; the identifier is free for a new message, which is told by its flag.
    peer.send(&[again(first), publish(true, 7, b"s/a", b"2")].concat()).await;
    let run = bench.messages(1).await.1;
    assert_eq!(messages_of(&run), ["s/a=2"]);
    run.link.commit(run.number);
    assert_eq!(peer.pubacks(1).await, [7]);
    assert_eq!(bench.context.state.snapshot().repeats, 2);
}

/// What is in flight when a connection ends comes again: no more of it than is known again, however much a read brings.
#[tokio::test]
async fn no_more_is_in_flight_than_is_doubted() {
    for protocol in [Protocol::V4, Protocol::V5] {
        let v5 = protocol == Protocol::V5;
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        start(&bench, Mqtt { receive_max: 10, ..mqtt(port, protocol) });
        let mut peer = broker.session(v5, false).await;
        let burst: Vec<u8> = (1..=100).flat_map(|id| publish(v5, id, b"s/a", b"x")).collect();
        peer.send(&burst).await;
        let mut count = 0;
        while count < 100 {
            let run = bench.run().await;
            count += run.messages.len();
            let in_flight = bench.context.state.snapshot().in_flight;
            assert!(in_flight <= run.link.doubt_max.into(), "{in_flight} of {}", run.link.doubt_max);
            run.link.commit(run.number);
        }
        assert_eq!(peer.pubacks(100).await, (1..=100).collect::<Vec<u16>>());
    }
}

#[tokio::test]
async fn a_full_intake_stops_the_reading_and_not_the_acknowledging() {
    let mut bench = Bench::with_room(1, 1 << 20);
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    let link = bench.opened().await;
    assert!(matches!(bench.input().await, Input::Drained { .. }));
    for id in 1..=3 {
        peer.send(&publish(true, id, b"s/a", b"x")).await;
        eventually("the message", async || {
            (bench.context.state.snapshot().messages >= u64::from(id.min(2))).then_some(())
        })
        .await;
    }
    // One run is in the intake, one waits before it, the third is unread; all the same the first is acknowledged.
    link.commit(1);
    assert_eq!(peer.pubacks(1).await, [1]);
    assert_eq!(bench.context.state.snapshot().messages, 2);
    let (_, run) = bench.messages(3).await;
    link.commit(run.number);
    assert_eq!(peer.pubacks(2).await, [2, 3]);
}

#[tokio::test]
async fn stopping_waits_for_the_commit() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    let source = start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    peer.send(&publish(true, 5, b"s/a", b"x")).await;
    let run = bench.messages(1).await.1;
    bench.stop.send(true).unwrap();
    assert!(!source.is_finished());
    run.link.commit(run.number);
    assert_eq!(peer.pubacks(1).await, [5]);
    assert_eq!(peer.packet().await, [0xE0, 0]);
    timeout(PATIENCE, source).await.unwrap().unwrap();
    assert!(!bench.context.state.snapshot().connected);
}

/// A broker that answers a ping has read the acknowledgements before it, and none behind it. That it has not only read them takes
/// a while more.
#[tokio::test]
async fn what_the_broker_has_read_is_settled() {
    let mut bench = Bench::new();
    let (broker, port) = Broker::new().await;
    let _source = start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    peer.send(&[publish(true, 1, b"s/a", b"x"), publish(true, 2, b"s/a", b"x")].concat()).await;
    let run = bench.messages(2).await.1;
    run.link.commit(run.number);
    assert_eq!(peer.pubacks(2).await, [1, 2]);
    // Nobody has to send anything: it asks by itself.
    pass(limits::PROVED_AFTER).await;
    assert_eq!(peer.any_packet().await, [0xC0, 0]);
    // What comes behind the question is not part of the answer.
    peer.send(&[vec![0xD0, 0], publish(true, 3, b"s/a", b"x")].concat()).await;
    let run = bench.messages(1).await.1;
    run.link.commit(run.number);
    assert_eq!(peer.any_packet().await, [0x40, 2, 0, 3]);
    pass(limits::SETTLED_AFTER - Duration::from_secs(2)).await;
    // Not yet: this is the next that the writer hears.
    peer.send(&publish(true, 4, b"s/a", b"x")).await;
    let run = loop {
        match bench.input().await {
            Input::Run(run) => break run,
            Input::Settled { .. } => panic!("settled too early"),
            _ => {}
        }
    };
    run.link.commit(run.number);
    pass(Duration::from_secs(2)).await;
    assert_eq!(bench.settled().await, 2);
}

/// Lets time pass.
pub(super) async fn pass(length: Duration) {
    tokio::time::pause();
    tokio::time::advance(length).await;
    tokio::time::resume();
}

/// A broker closes when it has read DISCONNECT. One that does not close may not have read anything.
#[tokio::test]
async fn a_leave_is_settled_when_the_broker_closes() {
    for closes in [true, false] {
        let mut bench = Bench::new();
        let (broker, port) = Broker::new().await;
        let source = start(&bench, mqtt(port, Protocol::V5));
        let mut peer = broker.session(true, false).await;
        peer.send(&publish(true, 5, b"s/a", b"x")).await;
        let run = bench.messages(1).await.1;
        run.link.commit(run.number);
        assert_eq!(peer.pubacks(1).await, [5]);
        bench.stop.send(true).unwrap();
        assert_eq!(peer.packet().await, [0xE0, 0]);
        if closes {
            drop(peer);
            assert_eq!(bench.settled().await, 0);
        }
        assert!(matches!(bench.input().await, Input::Closed(_)), "{closes}");
        timeout(PATIENCE, source).await.unwrap().unwrap();
    }
}

/// A broker that answers nothing any more is left: after one keep-alive a ping, after another the end.
#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_pings_is_left() {
    let bench = Bench::new();
    let (broker, port) = Broker::new().await;
    start(&bench, mqtt(port, Protocol::V5));
    let mut peer = broker.session(true, false).await;
    let begun = tokio::time::Instant::now();
    // The virtual clock runs ahead while sockets are waited for: no time limit here but the connection's own.
    assert_eq!(read_some(&mut peer).await, [0xC0, 0]);
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(read_some(&mut peer).await, [0u8; 0]);
    assert!(bench.problem().unwrap().contains("ping"));
}

async fn read_some(peer: &mut super::broker::Peer) -> Vec<u8> {
    use tokio::io::AsyncReadExt;
    let mut bytes = [0; 64];
    let count = peer.0.read(&mut bytes).await.unwrap();
    bytes[..count].to_vec()
}
