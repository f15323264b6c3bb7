//! Answers that act: what a function asks for reaches a broker, where it may.

use super::broker::{Broker, Got, Say};
use super::*;
use crate::config::model::{Broker as Address, Commands, Protocol};
use crate::forward::state::Commands as Counts;

fn commands(addr: SocketAddr) -> Commands {
    let broker = Address {
        host: addr.ip().to_string(),
        port: addr.port(),
        tls: None,
        protocol: Protocol::V5,
        client_id: "gateway-commands".into(),
        login: None,
    };
    Commands { broker, topics: vec!["actuators/+/set".into(), "lamps/#".into()] }
}

fn acting(server: &Server, addr: SocketAddr) -> Http {
    Http { commands: Some(commands(addr)), ..batched(server.url(), 100) }
}

async fn counts(run: &Running, published: u64, refused: u64, failed: u64) {
    let expected = Some(Counts { published, refused, failed });
    eventually(
        || run.state.snapshot().commands == expected,
        || format!("{expected:?}, there is {:?}", run.state.snapshot().commands),
    )
    .await;
}

#[tokio::test]
async fn commands_are_published_and_what_is_not_allowed_is_refused() {
    let broker = Broker::start(|_, _| Say::Ok).await;
    let answer = r#"{"stored":1,"publish":[
        {"topic":"actuators/fan/set","payload":"ON"},
        {"topic":"lamps/hall/left","payload":{"brightness":20},"qos":0,"retain":true},
        {"topic":"sensors/fan","payload":"1"},
        {"topic":"actuators/+/set","payload":"1"},
        {"topic":"actuators/fan/set","payload":"1","qos":2},
        {"topic":"actuators/fan/set"},
        {"topic":"actuators/fan/set","payload":"1","when":"now"},
        "actuators/fan/set"]}"#;
    let server = Server::start(move |_, _| say(200, &[("content-type", "application/json")], answer)).await;
    let run = Running::http(acting(&server, broker.addr), 5);
    run.outbox.drained().await;
    assert_eq!(run.outbox.delivered(), ids(0..5));
    counts(&run, 2, 6, 0).await;
    let got = |topic: &str, payload: &str, qos, retain| Got {
        connection: 0,
        topic: topic.into(),
        payload: payload.into(),
        qos,
        retain,
    };
    let expected =
        [got("actuators/fan/set", "ON", 1, false), got("lamps/hall/left", r#"{"brightness":20}"#, 0, true)];
    assert_eq!(broker.got(), expected);
    run.stop().await;
}

#[tokio::test]
async fn what_is_no_list_of_commands_is_refused_as_a_whole() {
    let broker = Broker::start(|_, _| Say::Ok).await;
    let server = Server::start(move |number, _| {
        let body =
            [r#"{"publish":{"topic":"lamps/a","payload":1}}"#, r#"{"published":[]}"#, "[]", "thank you"];
        say(200, &[("content-type", "application/json")], body[number])
    })
    .await;
    let run = Running::http(Http { batch: None, ..acting(&server, broker.addr) }, 4);
    run.outbox.drained().await;
    counts(&run, 0, 1, 0).await;
    assert_eq!(broker.connections(), 0);
    run.stop().await;
}

#[tokio::test]
async fn without_commands_an_answer_acts_on_nothing() {
    let broker = Broker::start(|_, _| Say::Ok).await;
    let answer = r#"{"publish":[{"topic":"actuators/fan/set","payload":"ON"}]}"#;
    let server = Server::start(move |_, _| say(200, &[], answer)).await;
    let run = Running::http(batched(server.url(), 100), 1);
    run.outbox.drained().await;
    assert_eq!((run.state.snapshot().commands, broker.connections()), (None, 0));
    run.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_away_holds_no_event_up() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let answer = r#"{"publish":[{"topic":"lamps/a","payload":1}]}"#;
    let server = Server::start(move |_, _| say(200, &[], answer)).await;
    let run = Running::http(Http { batch: None, ..acting(&server, addr) }, 3);
    run.outbox.drained().await;
    counts(&run, 0, 0, 3).await;
    assert_eq!(run.problem(), None);
    run.stop().await;
}

#[tokio::test]
async fn too_many_and_too_large_commands_are_refused() {
    // It takes nothing, so that the commands that wait pile up behind the first.
    let broker = Broker::with(|_, _| Vec::new(), |_, _| Say::Ok).await;
    let many = vec![r#"{"topic":"lamps/a","payload":1}"#; 21].join(",");
    let large = format!(r#"{{"topic":"lamps/a","payload":"{}"}}"#, "x".repeat((16 << 10) + 1));
    let server = Server::start(move |number, _| {
        let body = match number {
            0 => format!(r#"{{"publish":[{many}]}}"#),
            1 => format!(r#"{{"publish":[{large}]}}"#),
            2 => format!(r#"{{"publish":[{}]}}"#, " ".repeat(64 << 10)),
            _ => format!(r#"{{"publish":[{many}]}}"#),
        };
        say(200, &[("content-type", "application/json")], &body)
    })
    .await;
    let run = Running::http(Http { batch: None, ..acting(&server, broker.addr) }, 3);
    run.outbox.drained().await;
    counts(&run, 0, 3, 0).await;
    for n in 3..10 {
        run.outbox.push(crate::forward::memory::event(1, n));
    }
    run.outbox.drained().await;
    let refused = run.state.snapshot().commands.unwrap().refused;
    // Of 160 that were within the answers' bound, 100 wait, and one more may be on its way.
    assert!((3 + 7 + 59..=3 + 7 + 60).contains(&refused), "{refused}");
    run.stop().await;
}

#[tokio::test]
async fn what_the_broker_refuses_has_failed() {
    let broker = Broker::start(|_, _| Say::Code(0x87)).await;
    let answer = r#"{"publish":[{"topic":"lamps/a","payload":null}]}"#;
    let server = Server::start(move |_, _| say(200, &[], answer)).await;
    let run = Running::http(acting(&server, broker.addr), 1);
    run.outbox.drained().await;
    counts(&run, 0, 0, 1).await;
    assert_eq!(broker.got()[0].text(), "null");
    run.stop().await;
}
