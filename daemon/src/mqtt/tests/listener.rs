//! The listener, with rumqttc's clients of both versions as sensors.

use super::broker::{Peer, again, publish};
use super::{Bench, PATIENCE, eventually, listen, messages_of};
use crate::config::model::{Listen, Login, Secret};
use crate::ingest::intake::Input;
use crate::limits;
use crate::mqtt::{Inherited, Listener};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

const CONNECT4: &[u8] = b"\x10\x0E\0\x04MQTT\x04\x02\0\x3C\0\x02me";
const CONNECT5: &[u8] = b"\x10\x0F\0\x04MQTT\x05\x02\0\x3C\0\0\x02me";
/// With the will `w` = `gone` at QoS 1, retained.
const CONNECT_WILL: &[u8] = b"\x10\x17\0\x04MQTT\x04\x2E\0\x3C\0\x02me\0\x01w\0\x04gone";

async fn start(bench: &Bench, cfg: Listen) -> (SocketAddr, JoinHandle<()>) {
    let listener = Listener::bind(cfg, &Inherited::default()).await.unwrap();
    let address = listener.local_addr();
    (address, tokio::spawn(listener.serve(bench.context.clone(), bench.stop.subscribe())))
}

async fn dial(address: SocketAddr) -> Peer {
    Peer(TcpStream::connect(address).await.unwrap())
}

/// Connects with this CONNECT; gives the CONNACK too.
async fn join(address: SocketAddr, connect: &[u8]) -> (Peer, Vec<u8>) {
    let mut peer = dial(address).await;
    peer.send(connect).await;
    let connack = peer.packet().await;
    (peer, connack)
}

#[tokio::test]
async fn a_client_of_3_1_1_is_acknowledged_after_the_commit() {
    use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
    let mut bench = Bench::new();
    let (address, _) = start(&bench, listen()).await;
    let options = MqttOptions::new("sensor", "127.0.0.1", address.port());
    let (client, mut events) = AsyncClient::new(options, 10);
    client.publish("s/a", QoS::AtLeastOnce, false, "1").await.unwrap();
    client.publish("s/a", QoS::AtMostOnce, false, "2").await.unwrap();
    client.subscribe("cmnd/#", QoS::ExactlyOnce).await.unwrap();
    let driver = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            match events.poll().await.unwrap() {
                Event::Incoming(Packet::PubAck(_)) => seen.push("puback"),
                Event::Incoming(Packet::SubAck(_)) => seen.push("suback"),
                _ => {}
            }
        }
        seen
    });
    assert!(matches!(bench.input().await, Input::Drained { source: 3 }));
    let (texts, run) = bench.messages(2).await;
    assert_eq!(texts, ["s/a=1", "s/a=2"]);
    assert_eq!(&*run.link.session, "sensor");
    assert!(!run.messages.last().unwrap().acknowledged);
    eventually("the SUBACK", async || (bench.context.state.snapshot().in_flight == 1).then_some(())).await;
    run.link.commit(run.number);
    assert_eq!(timeout(PATIENCE, driver).await.unwrap().unwrap(), ["suback", "puback"]);
}

#[tokio::test]
async fn a_client_of_5_is_acknowledged_after_the_commit() {
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::Packet;
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let mut bench = Bench::new();
    let (address, _) = start(&bench, listen()).await;
    let mut options = MqttOptions::new("sensor", "127.0.0.1", address.port());
    options.set_outgoing_inflight_upper_limit(16);
    let (client, mut events) = AsyncClient::new(options, 10);
    for payload in ["1", "2", "3"] {
        client.publish("s/a", QoS::AtLeastOnce, false, payload).await.unwrap();
    }
    let (sender, mut acks) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(event) = events.poll().await {
            match event {
                Event::Incoming(Packet::ConnAck(connack)) => {
                    let properties = connack.properties.unwrap();
                    assert_eq!((properties.max_qos, properties.receive_max), (Some(1), Some(100)));
                    assert_eq!(properties.shared_subscription_available, Some(0));
                }
                Event::Incoming(Packet::PubAck(ack)) => sender.send(ack.pkid).unwrap(),
                _ => {}
            }
        }
    });
    let (texts, run) = bench.messages(3).await;
    assert_eq!(texts, ["s/a=1", "s/a=2", "s/a=3"]);
    assert!(acks.try_recv().is_err());
    run.link.commit(run.number);
    for expected in 1..=3 {
        assert_eq!(timeout(PATIENCE, acks.recv()).await.unwrap(), Some(expected));
    }
}

/// ESPHome sets it on everything. Nothing is replayed here, so that nothing may be taken for a replay.
#[tokio::test]
async fn the_retain_flag_is_ignored() {
    for (v5, connect) in [(false, CONNECT4), (true, CONNECT5)] {
        for id in [0, 7] {
            let mut bench = Bench::new();
            let (address, _) = start(&bench, listen()).await;
            let (mut peer, _) = join(address, connect).await;
            let mut retained = publish(v5, id, b"s/a", b"1");
            retained[0] |= 1;
            peer.send(&retained).await;
            let run = bench.run().await;
            assert_eq!(messages_of(&run), ["s/a=1"]);
            assert!(!run.messages[0].retained, "MQTT 5: {v5}, packet identifier {id}");
        }
    }
}

#[tokio::test]
async fn the_newest_connection_of_a_client_takes_over() {
    let mut bench = Bench::new();
    let (address, _) = start(&bench, listen()).await;
    let (mut old, _) = join(address, CONNECT5).await;
    let first = bench.opened().await;
    let (mut new, connack) = join(address, CONNECT5).await;
    assert_eq!(connack[..4], [0x20, connack[1], 0, 0]);
    assert_eq!(old.packet().await, [0xE0, 1, 0x8E]);
    assert_eq!(old.packet().await, [0u8; 0]);
    // The end of the old connection is known before the new one begins.
    assert!(matches!(bench.input().await, Input::Closed(link) if std::sync::Arc::ptr_eq(&link, &first)));
    bench.opened().await;
    new.send(&[0xC0, 0]).await;
    assert_eq!(new.packet().await, [0xD0, 0]);
    assert_eq!(bench.context.state.snapshot().clients, 1);
}

/// Who leaves with everything acknowledged sends nothing again; who goes without a word may, and marks it.
#[tokio::test]
async fn a_client_that_leaves_in_good_order_leaves_nothing_in_doubt() {
    for (commits, last_words, settled) in
        [(true, &b"\xE0\0"[..], true), (false, &b"\xE0\0"[..], false), (true, &b""[..], false)]
    {
        let mut bench = Bench::new();
        let (address, _) = start(&bench, listen()).await;
        let (mut peer, _) = join(address, CONNECT4).await;
        peer.send(
            &[publish(false, 1, b"s/a", b"x"), super::broker::again(publish(false, 2, b"s/a", b"x"))]
                .concat(),
        )
        .await;
        let run = bench.messages(2).await.1;
        assert!(run.link.marks);
        assert_eq!(run.messages.iter().map(|message| message.dup).collect::<Vec<_>>(), [false, true]);
        if commits {
            run.link.commit(run.number);
            assert_eq!(peer.pubacks(2).await, [1, 2]);
        }
        peer.send(last_words).await;
        drop(peer);
        if settled {
            assert_eq!(bench.settled().await, 0);
        }
        assert!(matches!(bench.input().await, Input::Closed(_)), "{last_words:?} {commits}");
    }
}

#[tokio::test]
async fn a_will_is_a_message_when_the_client_goes_without_a_word() {
    for (last_words, will) in [(&b""[..], true), (b"\xE0\0", false), (b"\xFF\xFF", true)] {
        let mut bench = Bench::new();
        let (address, _) = start(&bench, listen()).await;
        let (mut peer, _) = join(address, CONNECT_WILL).await;
        let link = bench.opened().await;
        peer.send(last_words).await;
        drop(peer);
        if will {
            let run = bench.run().await;
            assert_eq!(messages_of(&run), ["w=gone"]);
            assert!(!run.messages[0].acknowledged, "it cannot come again");
        }
        if last_words == b"\xE0\0" {
            assert_eq!(bench.settled().await, 0);
        }
        assert!(matches!(bench.input().await, Input::Closed(end) if std::sync::Arc::ptr_eq(&end, &link)));
    }
}

#[tokio::test]
async fn subscriptions_are_ignored_or_refused() {
    for (refuse, v5, expected) in [
        (false, false, &[0x90, 4, 0, 1, 1, 0][..]),
        (false, true, &[0x90, 5, 0, 1, 0, 1, 0]),
        (true, false, &[0x90, 4, 0, 1, 0x80, 0x80]),
        (true, true, &[0x90, 5, 0, 1, 0, 0x87, 0x87]),
    ] {
        let bench = Bench::new();
        let (address, _) = start(&bench, Listen { refuse_subscriptions: refuse, ..listen() }).await;
        let (mut peer, _) = join(address, if v5 { CONNECT5 } else { CONNECT4 }).await;
        let subscribe: &[u8] =
            if v5 { b"\x82\x0B\0\x01\0\0\x01a\x02\0\x01b\0" } else { b"\x82\x0A\0\x01\0\x01a\x02\0\x01b\0" };
        peer.send(subscribe).await;
        assert_eq!(peer.packet().await, expected);
        let unsubscribe: &[u8] = if v5 { b"\xA2\x06\0\x02\0\0\x01a" } else { b"\xA2\x05\0\x02\0\x01a" };
        peer.send(unsubscribe).await;
        assert_eq!(peer.packet().await, if v5 { &[0xB0, 4, 0, 2, 0, 0x11][..] } else { &[0xB0, 2, 0, 2] });
    }
}

#[tokio::test]
async fn users() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "word\n").unwrap();
    let user = Login { user: "user".into(), password: Some(Secret::File(path)) };
    let bench = Bench::new();
    let (address, _) = start(&bench, Listen { users: vec![user], ..listen() }).await;
    let right = b"\x10\x1A\0\x04MQTT\x04\xC2\0\x3C\0\x02me\0\x04user\0\x04word";
    let wrong = b"\x10\x1A\0\x04MQTT\x04\xC2\0\x3C\0\x02me\0\x04user\0\x04world"[..28].to_vec();
    let mut wrong = wrong;
    wrong[27] = b'k';
    for (connect, code) in [(&right[..], 0), (&wrong, 4), (CONNECT4, 4)] {
        let (_peer, connack) = join(address, connect).await;
        assert_eq!(connack, [0x20, 2, 0, code], "{connect:?}");
    }
    let (_peer, connack) = join(address, CONNECT5).await;
    assert_eq!(connack, [0x20, 3, 0, 0x86, 0]);
    bench.problem_with("the client `me` was refused: wrong user name or password").await;
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_sent_away() {
    let unknown = b"\x10\x0E\0\x04MQTT\x03\x02\0\x3C\0\x02me";
    let old = b"\x10\x10\0\x06MQIsdp\x03\x02\0\x3C\0\x02me";
    let nameless = b"\x10\x0C\0\x04MQTT\x04\0\0\x3C\0\0";
    let then = |connect: &[u8], more: &[u8]| [connect, more].concat();
    let qos2: &[u8] = b"\x34\x05\0\x01a\0\x01";
    let qos2_v5: &[u8] = b"\x34\x06\0\x01a\0\x01\0";
    for (bytes, answers) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![]),
        (vec![0xFF; 100], vec![]),
        (vec![0x10, 0xFF, 0xFF, 0xFF, 0x7F], vec![]),
        (publish(false, 1, b"s/a", b"x"), vec![]),
        (unknown.to_vec(), vec![vec![0x20, 2, 0, 1]]),
        (old.to_vec(), vec![vec![0x20, 2, 0, 1]]),
        (nameless.to_vec(), vec![vec![0x20, 2, 0, 2]]),
        (then(CONNECT4, CONNECT4), vec![vec![0x20, 2, 0, 0]]),
        (then(CONNECT4, qos2), vec![vec![0x20, 2, 0, 0]]),
    ] {
        let bench = Bench::new();
        let (address, _) = start(&bench, listen()).await;
        let mut peer = dial(address).await;
        peer.send(&bytes).await;
        for answer in answers {
            assert_eq!(peer.packet().await, answer, "{bytes:?}");
        }
        assert_eq!(peer.packet().await, [0u8; 0], "{bytes:?}");
    }
    for (more, code) in [(qos2_v5, 0x9B), (CONNECT5, 0x82), (&[0x30, 2, 0, 9], 0x81), (&[0xD0, 0], 0x82)] {
        let bench = Bench::new();
        let (address, _) = start(&bench, listen()).await;
        let (mut peer, _) = join(address, &then(CONNECT5, more)).await;
        assert_eq!(peer.packet().await, [0xE0, 1, code], "{more:?}");
        assert_eq!(peer.packet().await, [0u8; 0]);
    }
}

#[tokio::test]
async fn a_nameless_client_gets_a_name() {
    let mut bench = Bench::new();
    let (address, _) = start(&bench, listen()).await;
    let (_peer, connack) = join(address, b"\x10\x0D\0\x04MQTT\x05\x02\0\x3C\0\0\0").await;
    let link = bench.opened().await;
    assert!(link.session.starts_with("tidegate-"));
    let name = link.session.as_bytes();
    assert!(connack.windows(name.len()).any(|part| part == name));
}

#[tokio::test]
async fn no_more_than_max_clients_but_always_the_same_again() {
    let bench = Bench::new();
    let (address, _) = start(&bench, Listen { clients_max: 1, ..listen() }).await;
    let (_first, _) = join(address, CONNECT5).await;
    let (_other, connack) = join(address, b"\x10\x0F\0\x04MQTT\x05\x02\0\x3C\0\0\x02it").await;
    assert_eq!(connack, [0x20, 3, 0, 0x97, 0]);
    bench.problem_with("max_clients").await;
    let (_again, connack) = join(address, CONNECT5).await;
    assert_eq!(connack[3], 0);
}

#[tokio::test]
async fn twice_the_receive_maximum_is_too_much() {
    let bench = Bench::new();
    let (address, _) = start(&bench, Listen { receive_max: 2, ..listen() }).await;
    let (mut peer, _) = join(address, CONNECT5).await;
    let burst: Vec<u8> = (1..=5).flat_map(|id| publish(true, id, b"s/a", b"x")).collect();
    peer.send(&burst).await;
    assert_eq!(peer.packet().await, [0xE0, 1, 0x93]);
}

/// Each of many clients may send a large packet, and stop before its end: not all of them at once. What is complete is taken
/// all the same, and from whoever was sent away too.
#[tokio::test]
async fn unfinished_packets_share_their_room() {
    let mut bench = Bench::new();
    let (address, _) = start(&bench, Listen { clients_max: 40, ..listen() }).await;
    let mut begun = b"\x30\x80\x80\x40\0\x03s/b\0".to_vec();
    begun.resize(1 << 20, b'x');
    let connect = |number: usize| {
        [b"\x10\x0F\0\x04MQTT\x05\x02\0\x3C\0\0\x02", format!("{number:02}").as_bytes()].concat()
    };
    let mut ends = JoinSet::new();
    for number in 0..32 {
        let (mut peer, _) = join(address, &connect(number)).await;
        peer.send(&publish(true, 1, b"s/a", b"x")).await;
        assert_eq!(bench.messages(1).await.0, ["s/a=x"]);
        peer.send(&begun).await;
        ends.spawn(async move { (number, peer.packet().await, peer.packet().await) });
    }
    let (mut sound, _) = join(address, &connect(32)).await;
    sound.send(&begun[..600_000]).await;
    let (number, reason, end) = ends.join_next().await.unwrap().unwrap();
    assert_eq!((reason, end), (vec![0xE0, 1, 0x97], vec![]), "sent away, and the connection is closed");
    bench.problem_with("took the longest").await;
    let (mut again, _) = join(address, &connect(number)).await;
    again.send(&publish(true, 1, b"s/a", b"y")).await;
    assert_eq!(bench.messages(1).await.0, ["s/a=y"]);
    // The next to go is another of those that do not move.
    sound.send(&begun[600_000..]).await;
    again.send(&begun[..600_000]).await;
    let (_, reason, _) = ends.join_next().await.unwrap().unwrap();
    assert_eq!(reason, [0xE0, 1, 0x97]);
    sound.send(&[b'x'; 4]).await;
    assert_eq!(bench.run().await.messages.len(), 1, "and the one that is complete is taken");
}

/// Nor may all who connect send a large CONNECT, and stop before its end. Who says who he is has his place.
#[tokio::test]
async fn unfinished_connects_share_their_room() {
    let bench = Bench::new();
    let (address, _) = start(&bench, Listen { clients_max: 40, ..listen() }).await;
    let mut begun = b"\x10\xF0\xFF\x07\0\x04MQTT\x05".to_vec();
    begun.resize(128_000, b'x');
    let mut ends = JoinSet::new();
    for _ in 0..80 {
        let mut peer = dial(address).await;
        peer.send(&begun).await;
        ends.spawn(async move { peer.packet().await });
    }
    let end = timeout(limits::HANDSHAKE_TIMEOUT / 2, ends.join_next()).await.unwrap().unwrap().unwrap();
    assert!(end.is_empty(), "closed, before its time is over");
    let (mut sound, _) = join(address, CONNECT5).await;
    sound.send(&[0xC0, 0]).await;
    assert_eq!(sound.packet().await, [0xD0, 0]);
}

/// What is in flight when a connection ends comes again: no more of it than is known again, however much a read brings.
#[tokio::test]
async fn no_more_is_in_flight_than_is_doubted() {
    let mut bench = Bench::new();
    let (address, _) = start(&bench, Listen { receive_max: 5, ..listen() }).await;
    for (v5, connect, most) in [(false, CONNECT4, 10), (true, CONNECT5, 11)] {
        let (mut peer, _) = join(address, connect).await;
        let burst: Vec<u8> = (1..=100).flat_map(|id| publish(v5, id, b"s/a", b"x")).collect();
        peer.send(&burst).await;
        let mut count = 0;
        while count < most {
            let run = bench.run().await;
            count += run.messages.len();
            assert!(count <= most && count <= run.link.doubt_max.into(), "{count}");
        }
    }
}

#[tokio::test]
async fn a_fast_client_waits_and_loses_nothing() {
    let mut bench = Bench::new();
    let (address, _) = start(&bench, Listen { rate_max: 100, ..listen() }).await;
    let (mut peer, _) = join(address, CONNECT4).await;
    let message = publish(false, 0, b"s/a", b"x");
    let begun = std::time::Instant::now();
    peer.send(&message.repeat(120)).await;
    peer.send(&message.repeat(10)).await;
    let mut count = 0;
    while count < 130 {
        count += bench.run().await.messages.len();
    }
    assert_eq!(count, 130);
    // 100 tokens at the start, 20 owed when the rest comes: 200 ms.
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}

/// Packets that come again cost the same work as others, and count for the rate.
#[tokio::test]
async fn repeats_count_for_the_rate() {
    let mut bench = Bench::new();
    let (address, _) = start(&bench, Listen { rate_max: 100, ..listen() }).await;
    let (mut peer, _) = join(address, CONNECT4).await;
    let message = publish(false, 1, b"s/a", b"x");
    peer.send(&message).await;
    bench.messages(1).await;
    let begun = std::time::Instant::now();
    peer.send(&again(message).repeat(120)).await;
    eventually("the repeats", async || (bench.context.state.snapshot().repeats == 120).then_some(())).await;
    peer.send(&publish(false, 2, b"s/a", b"y")).await;
    bench.messages(1).await;
    // 100 tokens at the start, 21 owed when the next message comes: 210 ms.
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}

/// Over its rate a client is not read from, however long: its pings wait unread meanwhile, and that is not its silence.
#[tokio::test]
async fn a_pause_for_the_rate_is_no_silence() {
    let mut bench = Bench::new();
    let (address, _) = start(&bench, Listen { rate_max: 1, ..listen() }).await;
    let (mut peer, _) = join(address, CONNECT4).await;
    // 300 s worth of messages, of a client with a keep-alive of 60 s.
    peer.send(&publish(false, 0, b"s/a", b"x").repeat(301)).await;
    bench.messages(301).await;
    peer.send(&[0xC0, 0]).await;
    tokio::time::pause();
    for _ in 0..29 {
        tokio::time::advance(Duration::from_secs(10)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.context.state.snapshot().clients, 1, "sent away");
    }
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    assert_eq!(peer.packet().await, [0xD0, 0]);
}

/// A client that says nothing is sent away after one and a half times its keep-alive of 60 s. The clock is virtual.
#[tokio::test(start_paused = true)]
async fn silence_ends_a_session() {
    use tokio::io::AsyncReadExt;
    let bench = Bench::new();
    let (address, _) = start(&bench, listen()).await;
    let mut peer = dial(address).await;
    peer.send(CONNECT5).await;
    let mut bytes = Vec::new();
    let begun = tokio::time::Instant::now();
    peer.0.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.ends_with(&[0xE0, 1, 0x8D]), "{bytes:?}");
    assert!((90..=91).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn stopping_waits_for_the_commit_and_publishes_no_will() {
    let mut bench = Bench::new();
    let (address, server) = start(&bench, listen()).await;
    let (mut peer, _) = join(address, CONNECT_WILL).await;
    peer.send(&publish(false, 5, b"s/a", b"x")).await;
    let (_, run) = bench.messages(1).await;
    bench.stop.send(true).unwrap();
    run.link.commit(run.number);
    assert_eq!(peer.pubacks(1).await, [5]);
    assert_eq!(peer.packet().await, [0u8; 0]);
    timeout(PATIENCE, server).await.unwrap().unwrap();
    assert!(matches!(bench.input().await, Input::Closed(_)));
}

/// Whoever restarts the daemon keeps the socket: who connects in between waits, and is served by the next.
#[tokio::test]
async fn nobody_is_refused_at_an_inherited_socket() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let inherited: Inherited = [socket].into_iter().collect();
    for _ in 0..2 {
        let mut early = dial(address).await;
        early.send(CONNECT4).await;
        let bench = Bench::new();
        let cfg = Listen { listen: address, ..listen() };
        let listener = Listener::bind(cfg, &inherited).await.unwrap();
        assert_eq!(listener.local_addr(), address);
        let served = tokio::spawn(listener.serve(bench.context.clone(), bench.stop.subscribe()));
        assert_eq!(early.packet().await, b"\x20\x02\0\0");
        bench.stop.send(true).unwrap();
        timeout(PATIENCE, served).await.unwrap().unwrap();
    }
}
