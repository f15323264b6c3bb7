//! Events republished on a broker that does what its script says.

use super::broker::{Broker, Got, Say, WELCOME};
use super::*;
use crate::config::model::{Broker as Address, Login, Payload, Piece, Protocol, Republish, TopicTemplate};
use crate::forward::outbox::{Position, Queued};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

fn output(addr: SocketAddr) -> Republish {
    let text = |text: &str| vec![Piece::Text(text.into())];
    Republish {
        broker: Address {
            host: addr.ip().to_string(),
            port: addr.port(),
            tls: None,
            protocol: Protocol::V5,
            client_id: "gateway-out".into(),
            login: None,
        },
        gateway: "pi".into(),
        topic: TopicTemplate(vec![
            text("t"),
            vec![Piece::Kind],
            vec![Piece::Name],
            vec![Piece::Metric],
            vec![Piece::Tags],
        ]),
        payload: Payload::Values,
        qos: 1,
        retain: false,
        discovery: None,
        timeout: Duration::from_secs(10),
    }
}

/// The summary number `n` of a device: one window a minute.
fn summary(device: &str, n: u64) -> Queued {
    let (start, end) = (format!("2026-11-22T10:{n:02}:00Z"), format!("2026-11-22T10:{:02}:00Z", n + 1));
    let event = format!(
        r#"{{"specversion":"1.0","type":"tidegate.summary.v1","id":"e{n}","subject":"minute/temperature/{device}","time":"{end}","data":{{"key":"k{n}","revision":0,"replaces":[],"summary":"minute","stream":"s","metric":"temperature","unit":"°C","tags":{{"device":"{device}"}},"window":{{"start":"{start}","end":"{end}"}},"values":{{"count":5,"mean":21.50,"histogram":{{"bounds":[0.0],"counts":[1,4]}}}}}}}}"#
    );
    Queued { position: Position { priority: 1, sequence: n }, id: format!("e{n}"), event: event.into_bytes() }
}

fn running(cfg: Republish, events: u64) -> Running {
    let outbox = Memory::default();
    (0..events).for_each(|n| outbox.push(summary("d", n)));
    Running::start(OutputKind::Mqtt(Box::new(cfg)), outbox)
}

fn topics(got: &[Got]) -> Vec<&str> {
    got.iter().map(|got| got.topic.as_str()).collect()
}

/// Which summaries came, by their number.
fn numbers(got: &[Got]) -> Vec<String> {
    got.iter().map(|got| got.json()["key"].as_str().unwrap().replace('k', "e")).collect()
}

#[tokio::test]
async fn an_event_is_confirmed_by_its_puback() {
    let broker = Broker::start(|_, _| Say::Ok).await;
    let run = running(output(broker.addr), 30);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..30));
    let got = broker.got();
    assert_eq!(numbers(&got), ids(0..30));
    let first = Got {
        connection: 0,
        topic: "t/summary/minute/temperature/d".into(),
        payload: r#"{"end":"2026-11-22T10:01:00Z","key":"k0","revision":0,"start":"2026-11-22T10:00:00Z","unit":"°C","count":5,"mean":21.50,"histogram":{"bounds":[0.0],"counts":[1,4]}}"#.into(),
        qos: 1,
        retain: false,
    };
    assert_eq!(got[0].text(), String::from_utf8(first.payload.clone()).unwrap());
    assert_eq!(got[0], first);
    assert_eq!(run.problem(), None);
    run.stop().await;
}

#[tokio::test]
async fn a_whole_event_is_published_byte_for_byte() {
    let broker = Broker::start(|_, _| Say::Code(0x10)).await;
    let run = running(Republish { payload: Payload::Event, ..output(broker.addr) }, 1);
    run.outbox.drained().await;
    assert_eq!(broker.got()[0].payload, summary("d", 0).event, "0x10 is success: nobody listens");
    run.stop().await;
}

#[tokio::test]
async fn what_is_not_acknowledged_is_not_confirmed() {
    let says = Arc::new(AtomicBool::new(false));
    let script = Arc::clone(&says);
    let broker = Broker::start(move |_, _| if script.load(SeqCst) { Say::Ok } else { Say::Nothing }).await;
    let run = running(Republish { timeout: Duration::from_millis(100), ..output(broker.addr) }, 5);
    run.has_problem("did not acknowledge within 100ms").await;
    assert_eq!(run.outbox.len(), 5);
    says.store(true, SeqCst);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..5));
    run.stop().await;
}

#[tokio::test]
async fn a_broker_that_leaves_costs_nothing_but_repetitions_in_order() {
    let broker = Broker::start(|number, _| if number % 7 == 4 { Say::Close } else { Say::Ok }).await;
    let run = running(output(broker.addr), 40);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..40));
    assert!(broker.connections() > 1);
    // Without what came again the order is that of the events: nobody sees the series go back for good.
    let mut last: Vec<String> = Vec::new();
    for number in numbers(&broker.got()).into_iter().rev() {
        if !last.contains(&number) {
            last.insert(0, number);
        }
    }
    assert_eq!(last, ids(0..40));
    run.stop().await;
}

#[tokio::test]
async fn who_may_not_publish_keeps_everything() {
    let allowed = Arc::new(AtomicBool::new(false));
    let script = Arc::clone(&allowed);
    let broker = Broker::start(move |number, _| match script.load(SeqCst) {
        false if number >= 3 => Say::Code(0x87),
        _ => Say::Ok,
    })
    .await;
    let login = Some(Login { user: "pi".into(), password: None });
    let cfg = output(broker.addr);
    let run = running(Republish { broker: Address { login, ..cfg.broker.clone() }, ..cfg }, 20);
    run.has_problem("the broker does not let user `pi` publish to `t/summary/minute/temperature/d`").await;
    assert_eq!((run.outbox.delivered(), run.outbox.len()), (ids(0..3), 17));
    allowed.store(true, SeqCst);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..20));
    run.stop().await;
}

#[tokio::test]
async fn a_topic_that_the_broker_does_not_take_is_refused_alone() {
    let broker =
        Broker::start(|_, got| if got.json()["key"] == "k4" { Say::Code(0x90) } else { Say::Ok }).await;
    let run = running(output(broker.addr), 10);
    run.outbox.drained().await;
    let words = "the broker does not accept the topic `t/summary/minute/temperature/d`";
    assert_eq!(run.outbox.dead_letters(), [("e4".to_owned(), words.to_owned())]);
    assert_eq!(run.outbox.delivered().len(), 9);
    run.stop().await;
}

#[tokio::test]
async fn what_is_larger_than_the_broker_takes_is_not_sent() {
    // Maximum Packet Size: 100 bytes.
    let broker = Broker::with(|_, _| vec![0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 100], |_, _| Say::Ok).await;
    let run = running(output(broker.addr), 2);
    eventually(|| run.state.snapshot().last_error.is_some(), || "an error".into()).await;
    assert!(
        run.state.snapshot().last_error.unwrap().contains("larger than the 100 bytes that the broker takes")
    );
    assert_eq!((broker.got().len(), run.outbox.refused().len()), (0, 0), "nothing else was ever taken");
    run.stop().await;
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_broker_allows() {
    // Receive Maximum: 3.
    let broker = Broker::with(|_, _| vec![0x20, 6, 0, 0, 3, 0x21, 0, 3], |_, _| Say::Ok).await;
    let run = running(output(broker.addr), 50);
    run.outbox.drained().await;
    assert_eq!(numbers(&broker.got()), ids(0..50));
    assert!((1..=3).contains(&broker.crowd()), "{}", broker.crowd());
    run.stop().await;
}

#[tokio::test]
async fn at_qos_0_an_answered_ping_confirms() {
    let broker = Broker::start(|number, _| if number == 2 { Say::Close } else { Say::Nothing }).await;
    let run = running(Republish { qos: 0, ..output(broker.addr) }, 5);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..5));
    let got = broker.got();
    assert!(got.iter().all(|got| got.qos == 0));
    assert!(got.len() >= 8, "all that the broken connection had not confirmed came again: {}", got.len());
    run.stop().await;
}

#[tokio::test]
async fn an_old_broker_gets_3_1_1() {
    let broker = Broker::with(
        |_, level| if level == 5 { vec![0x20, 2, 0, 1] } else { vec![0x20, 2, 0, 0] },
        |_, _| Say::Ok,
    )
    .await;
    let run = running(output(broker.addr), 3);
    run.outbox.drained().await;
    assert_eq!(numbers(&broker.got()), ids(0..3));
    assert_eq!(run.problem(), None);
    run.stop().await;
}

#[tokio::test]
async fn a_connection_is_kept_alive_and_made_anew() {
    // Server Keep Alive: 1 s.
    let broker = Broker::with(|_, _| vec![0x20, 6, 0, 0, 3, 0x13, 0, 1], |_, _| Say::Ok).await;
    let run = running(output(broker.addr), 1);
    run.outbox.drained().await;
    eventually(|| broker.pings() >= 2, || "pings".into()).await;
    run.outbox.push(summary("d", 1));
    run.outbox.drained().await;
    assert_eq!(broker.connections(), 1);
    run.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_before_the_first_event() {
    for (connack, part) in [
        (vec![0x20, 3, 0, 0x86, 0], "wants a user name and password"),
        (vec![0x20, 3, 0, 0x85, 0], "refused the client id `gateway-out`"),
        (vec![0x20, 5, 0, 0, 2, 0x24, 0], "takes messages at QoS 0 only: set qos = 0"),
        (vec![0x20, 5, 0, 0, 2, 0x25, 0], "retains no messages"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "not an MQTT broker"),
    ] {
        let broker = Broker::with(move |_, _| connack.clone(), |_, _| Say::Ok).await;
        let run = running(Republish { retain: true, ..output(broker.addr) }, 0);
        run.has_problem(part).await;
        run.stop().await;
    }
}

#[tokio::test]
async fn the_broker_keeps_the_newest_of_each_series() {
    let broker = Broker::start(|_, _| Say::Ok).await;
    let run = running(Republish { retain: true, ..output(broker.addr) }, 0);
    for (sequence, (device, window)) in [("a", 1), ("b", 0), ("a", 0), ("a", 2)].into_iter().enumerate() {
        let mut queued = summary(device, window);
        queued.position.sequence = sequence as u64;
        run.outbox.push(queued);
    }
    run.outbox.drained().await;
    let got: Vec<(String, bool)> =
        broker.got().iter().map(|got| (got.json()["key"].as_str().unwrap().to_owned(), got.retain)).collect();
    let expected = [("k1", true), ("k0", true), ("k0", false), ("k2", true)];
    assert_eq!(got, expected.map(|(key, retain)| (key.to_owned(), retain)));
    run.stop().await;
}

#[tokio::test]
async fn home_assistant_finds_each_series_once_per_connection() {
    let closing = Arc::new(AtomicUsize::new(usize::MAX));
    let at = Arc::clone(&closing);
    let broker =
        Broker::start(move |number, _| if number == at.load(SeqCst) { Say::Close } else { Say::Ok }).await;
    let run = running(Republish { discovery: Some("homeassistant".into()), ..output(broker.addr) }, 2);
    run.outbox.drained().await;
    let got = broker.got();
    let state = "t/summary/minute/temperature/d";
    assert_eq!(got.len(), 4, "count and mean are announced, a histogram is no state: {:?}", topics(&got));
    assert_eq!(topics(&got)[2..], [state, state]);
    let mean = got[..2].iter().find(|got| got.topic.contains("mean")).unwrap();
    assert!(
        mean.retain && mean.topic.starts_with("homeassistant/sensor/tidegate_pi_summary_minute_temperature")
    );
    let config = mean.json();
    assert_eq!(config["state_topic"], state);
    assert_eq!(config["value_template"], "{{ (value_json['mean']) | default(None) }}");
    assert_eq!(
        (&config["unit_of_measurement"], &config["device_class"]),
        (&"°C".into(), &"temperature".into())
    );
    assert_eq!(config["device"]["name"], "d");
    assert_eq!(mean.topic, format!("homeassistant/sensor/{}/config", config["unique_id"].as_str().unwrap()));

    // The broker goes, and may have forgotten everything.
    closing.store(got.len(), SeqCst);
    run.outbox.push(summary("d", 2));
    run.outbox.drained().await;
    let again = broker.got().split_off(got.len() + 1);
    assert_eq!(again.iter().filter(|got| got.topic.ends_with("/config")).count(), 2, "{:?}", topics(&again));
    run.stop().await;
}

/// What is told of a broker is told of a broker.
#[tokio::test]
async fn a_broker_that_refuses_everything_keeps_everything() {
    let broker = Broker::start(|_, _| Say::Code(0x90)).await;
    let run = running(output(broker.addr), 25);
    run.has_problem("refused 20 single events in a row, so the broker is taken to be at fault").await;
    let (problem, so_far) = (run.problem().unwrap(), broker.got().len());
    eventually(|| broker.got().len() > so_far + 5, || "more attempts".into()).await;
    assert_eq!(run.problem().as_ref(), Some(&problem), "the same text each time");
    assert!(!problem.contains("function") && !problem.contains("url"), "{problem}");
    assert_eq!((run.outbox.len(), run.outbox.refused().len()), (25, 0));
    run.stop().await;
}

/// Not allowed, not a topic, too large: what is announced has an answer of its own.
#[tokio::test]
async fn an_announcement_that_is_not_taken_says_nothing_about_its_event() {
    for (code, part) in [(0x87, "does not let"), (0x90, "does not accept the topic"), (0x95, "too large")] {
        let broker = Broker::start(move |_, got| match got.topic.ends_with("/config") {
            true => Say::Code(code),
            false => Say::Ok,
        })
        .await;
        let run = running(Republish { discovery: Some("homeassistant".into()), ..output(broker.addr) }, 5);
        run.outbox.drained().await;
        run.outbox.push(summary("d", 5));
        run.outbox.drained().await;
        assert_eq!((run.outbox.delivered(), run.problem()), (ids(0..6), None));
        let got = broker.got();
        let announced = got.iter().filter(|got| got.topic.ends_with("/config")).count();
        assert_eq!((announced, got.len()), (2, 8), "once: {:?}", topics(&got));
        let error = run.state.snapshot().last_error.unwrap();
        assert!(error.starts_with("discovery: the broker ") && error.contains(part), "{error}");
        run.stop().await;
    }
}

#[tokio::test]
async fn it_leaves_soon_though_nobody_acknowledges() {
    let broker = Broker::with(|_, _| WELCOME.to_vec(), |_, _| Say::Nothing).await;
    let run = running(output(broker.addr), 1);
    eventually(|| broker.got().len() == 1, || "a message".into()).await;
    let start = Instant::now();
    let outbox = run.outbox.clone();
    run.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(outbox.len(), 1);
}
