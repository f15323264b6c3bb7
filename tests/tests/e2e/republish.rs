//! Events on a broker, through its restarts and its death, and commands in the answers of a function. Sensors publish to the
//! daemon's own listener, so that they go on while the broker is away.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tidegate_tests::broker::Broker;
use tidegate_tests::client::Client;
use tidegate_tests::daemon::Daemon;
use tidegate_tests::function::{Function, Mode};
use tidegate_tests::subscriber::{Heard, Subscriber};
use tidegate_tests::{port, wait};

const PATIENCE: Duration = Duration::from_secs(90);
const DEVICES: [&str; 3] = ["attic", "cellar", "k/1"];

fn sensors(port: u16) -> String {
    format!(
        "[sources.field]\ntype = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n[streams.climate]\n\
         topic = \"sensors/{{device#}}/{{metric}}\"\nformat = \"text\"\nmetrics.temperature = {{ unit = \"°C\" }}\n\
         [summaries.second]\nwindow = \"1s\"\naggregates = [\"mean\", \"count\"]\n"
    )
}

/// Publishes readings of every device until `enough`.
fn publish_until(sensors: &mut Client, what: &str, mut enough: impl FnMut() -> bool) {
    wait::until_true(what, PATIENCE, || {
        for device in DEVICES {
            sensors.publish(format!("sensors/{device}/temperature").as_bytes(), b"20.5");
        }
        enough()
    });
}

fn json(heard: &Heard) -> Value {
    serde_json::from_slice(&heard.payload).unwrap()
}

fn id(heard: &Heard) -> String {
    let document = json(heard);
    format!("{}/r{}", document["key"].as_str().unwrap(), document["revision"])
}

/// What was published while it listened; what the broker had kept comes again with each subscription.
fn live(listener: &Subscriber) -> Vec<Heard> {
    listener.heard().into_iter().filter(|heard| !heard.retained).collect()
}

/// Key and revision, by topic, in the order of what was published last: what a subscriber that keeps the newest ends with.
/// A broker that was killed delivers again what it had delivered since it last saved, and says so: that is not our order.
fn by_topic(heard: &[Heard]) -> BTreeMap<String, Vec<String>> {
    let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for heard in heard {
        let id = id(heard);
        let is_new = seen.insert(id.clone());
        if is_new || !heard.repeated {
            let ids = topics.entry(heard.topic.clone()).or_default();
            ids.retain(|known| *known != id);
            ids.push(id);
        }
    }
    topics
}

/// What was made, from the file that another output keeps: the events in order, by the topic where they belong.
fn made(daemon: &Daemon) -> (BTreeMap<String, Vec<String>>, Vec<Value>) {
    let text = std::fs::read_to_string(daemon.file("summaries.jsonl")).unwrap_or_default();
    // The last line may be on its way.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &events {
        let device = event["data"]["tags"]["device"].as_str().unwrap().replace('/', "%2F");
        let topic = format!("tidegate/test/summary/second/temperature/{device}");
        let (ids, id) = (topics.entry(topic).or_default(), event["id"].as_str().unwrap());
        // A killed daemon writes again what it did not know to be written.
        ids.retain(|known| known != id);
        ids.push(id.to_owned());
    }
    (topics, events)
}

fn count(topics: &BTreeMap<String, Vec<String>>) -> usize {
    topics.values().map(Vec::len).sum()
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn summaries_outlive_the_broker_in_order() {
    let (port, mut broker) = (port::reserve(), Broker::start());
    let listener = Subscriber::start(broker.port(), "dashboard", "tidegate/#");
    broker.wait_for_subscription("tidegate/#");
    let mut daemon = Daemon::start(&format!(
        "{}[outputs.archive]\npath = \"summaries.jsonl\"\n[outputs.home]\nurl = \"{}\"\nretain = true\n\
         discovery = \"homeassistant\"\n",
        sensors(port),
        broker.url()
    ));
    let mut client = Client::connect(port, "sensors");
    publish_until(&mut client, "messages", || listener.heard().len() >= 6);

    // The broker restarts, and what is made meanwhile waits.
    broker.stop();
    publish_until(&mut client, "a queue", || daemon.status().output("home", "queued") >= 6);
    // At first it may say that the connection was lost.
    daemon.wait_for("a problem", |status| {
        status.problems().contains("outputs.home") && status.problems().contains("refuses connections")
    });
    broker.launch();
    let before = live(&listener).len();
    publish_until(&mut client, "messages again", || live(&listener).len() >= before + 9);

    // The daemon is killed, and then the broker, which has saved the session of whoever listens when it stopped.
    daemon.kill();
    daemon.launch();
    let mut client = Client::connect(port, "sensors");
    let before = live(&listener).len();
    publish_until(&mut client, "messages after the kill", || live(&listener).len() >= before + 3);
    daemon.wait_for("an empty queue", |status| status.output("home", "queued") == 0);
    wait::until_true("all of them at the listener", PATIENCE, || {
        count(&by_topic(&live(&listener))) >= count(&made(&daemon).0)
    });
    broker.kill();
    publish_until(&mut client, "a queue again", || daemon.status().output("home", "queued") >= 6);
    broker.launch();
    let status = daemon.wait_for("an empty queue", |status| {
        status.output("home", "queued") == 0 && status.output("archive", "queued") == 0
    });
    assert_eq!(status.output("home", "refused"), 0);
    status.balance().unwrap();
    let (expected, events) = made(&daemon);
    wait::until("everything at the listener", PATIENCE, || {
        let heard = by_topic(&live(&listener));
        if heard == expected { Ok(()) } else { Err(format!("{heard:?}\nis not\n{expected:?}")) }
    });
    values_are_those_of_the_events(&listener.heard(), &events);

    // What the broker keeps: the newest of each topic, and a sensor per value.
    let late = Subscriber::start(broker.port(), "late", "tidegate/#");
    wait::until_true("what the broker keeps", PATIENCE, || late.heard().len() >= expected.len());
    let kept: BTreeMap<String, Vec<String>> = by_topic(&late.heard());
    let newest: BTreeMap<String, Vec<String>> =
        expected.into_iter().map(|(topic, mut ids)| (topic, ids.split_off(ids.len() - 1))).collect();
    assert!(late.heard().iter().all(|heard| heard.retained));
    assert_eq!(kept, newest);
    discovered(&broker, &newest);
    assert_eq!(daemon.status().output("home", "queued"), 0);
}

fn values_are_those_of_the_events(heard: &[Heard], events: &[Value]) {
    let by_id: BTreeMap<&str, &Value> =
        events.iter().map(|event| (event["id"].as_str().unwrap(), &event["data"])).collect();
    for heard in heard {
        let document = json(heard);
        let data = by_id[id(heard).as_str()];
        for name in ["start", "end"] {
            assert_eq!(document[name], data["window"][name]);
        }
        for name in ["mean", "count"] {
            assert_eq!(document[name], data["values"][name], "{document}");
        }
        assert_eq!(document["unit"], "°C");
    }
}

fn discovered(broker: &Broker, topics: &BTreeMap<String, Vec<String>>) {
    let home = Subscriber::start(broker.port(), "home-assistant", "homeassistant/#");
    wait::until_true("discovery", PATIENCE, || home.heard().len() >= 2 * DEVICES.len());
    let mut found = BTreeSet::new();
    for heard in home.heard() {
        let config = json(&heard);
        assert!(
            heard.retained && heard.topic.starts_with("homeassistant/sensor/tidegate_test_"),
            "{heard:?}"
        );
        let (topic, template) = (config["state_topic"].as_str().unwrap(), &config["value_template"]);
        assert!(topics.contains_key(topic), "{config}");
        found.insert((topic.to_owned(), template.to_string()));
    }
    assert_eq!(found.len(), 2 * DEVICES.len(), "mean and count of each: {found:?}");
}

/// An account that may not publish is no reason to give anything up; the broker says no, and tidegate says what to do.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_broker_that_does_not_allow_it_keeps_everything_queued() {
    let broker = Broker::guarded(|dir| {
        let acl = dir.join("acl");
        std::fs::write(&acl, "topic read #\ntopic write elsewhere/#\n").unwrap();
        format!("allow_anonymous true\nacl_file {}\n", acl.display())
    });
    let port = port::reserve();
    let output = |topic: &str| {
        format!("{}[outputs.home]\nurl = \"{}\"\ntopic = \"{topic}/{{tags}}\"\n", sensors(port), broker.url())
    };
    let daemon = Daemon::start(&output("forbidden"));
    let mut client = Client::connect(port, "sensors");
    publish_until(&mut client, "a problem", || daemon.status().problems().contains("publish to `forbidden/"));
    let status = daemon.status();
    assert!(status.problems().contains("allow it in its access list"), "{}", status.problems());
    assert_eq!((status.output("home", "delivered"), status.output("home", "refused")), (0, 0));
    daemon.configure(&output("elsewhere"));
    daemon.reload();
    let status = daemon.wait_for("an empty queue", |status| status.output("home", "queued") == 0);
    assert_eq!(status.output("home", "refused"), 0);
}

#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_function_commands_what_it_may() {
    let (port, mut broker, function) = (port::reserve(), Broker::start(), Function::start());
    let listener = Subscriber::start(broker.port(), "actuators", "#");
    broker.wait_for_subscription("#");
    function.set(Mode::Say(
        r#"{"publish":[{"topic":"actuators/fan/set","payload":"ON"},{"topic":"secret/fan/set","payload":"ON"}]}"#,
    ));
    let daemon = Daemon::start(&format!(
        "{}to = [\"function\"]\n[outputs.function]\nurl = \"{}\"\n\
         commands = {{ to = \"home\", topics = [\"actuators/+/set\"] }}\n[outputs.home]\nurl = \"{}\"\n",
        sensors(port),
        function.url(),
        broker.url()
    ));
    let commands = |name: &str| daemon.status().0["outputs"]["function"]["commands"][name].as_u64().unwrap();
    let mut client = Client::connect(port, "sensors");
    publish_until(&mut client, "commands", || commands("published") >= 3);
    wait::until_true("refusals", PATIENCE, || commands("refused") >= 3);
    assert_eq!(commands("failed"), 0);
    // The broker had acknowledged them.
    wait::until_true("them at the listener", PATIENCE, || listener.heard().len() >= 3);
    for heard in &listener.heard() {
        assert_eq!((heard.topic.as_str(), heard.payload.as_slice()), ("actuators/fan/set", b"ON".as_slice()));
    }
    assert!(daemon.log().contains("the topic `secret/fan/set` is not allowed"), "the log says why");

    // Without the broker commands fail, and every event is delivered all the same.
    broker.stop();
    let before = daemon.status().output("function", "delivered");
    publish_until(&mut client, "failures", || commands("failed") >= 2);
    daemon.wait_for("deliveries", |status| status.output("function", "delivered") >= before + 2);
    assert!(!daemon.status().problems().contains("outputs.function"));

    // It is back, and so are they.
    broker.launch();
    let before = commands("published");
    publish_until(&mut client, "commands again", || commands("published") > before);
}

/// What a house wants to know at once: an alert where it belongs, kept by the broker, and known to Home Assistant.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn alerts_and_heartbeats_have_topics() {
    let (port, broker) = (port::reserve(), Broker::start());
    let daemon = Daemon::start(&format!(
        "{}[alerts.hot]\nmetric = \"temperature\"\nwhen = \"value > 60\"\n[heartbeat]\nevery = \"1s\"\n[outputs.home]\n\
         url = \"{}\"\nprotocol = \"3.1.1\"\nretain = true\ndiscovery = \"homeassistant\"\n",
        sensors(port),
        broker.url()
    ));
    let mut visitors = 0;
    let mut state = || {
        // Each with a session of its own: what the broker queues for a session comes before what it keeps.
        visitors += 1;
        let late = Subscriber::start(broker.port(), &format!("late{visitors}"), "tidegate/test/alert/#");
        wait::until_true("the alert", PATIENCE, || !late.heard().is_empty());
        let heard = late.heard().remove(0);
        assert_eq!(heard.topic, "tidegate/test/alert/hot/temperature/attic");
        // Who comes just before it is published gets it live; the next one gets what is kept.
        if heard.retained { json(&heard)["state"].clone() } else { Value::Null }
    };
    let mut client = Client::connect(port, "sensors");
    for (value, expected) in [(b"61", "raised"), (b"20", "cleared")] {
        client.publish(b"sensors/attic/temperature", value);
        wait::until("the state", PATIENCE, || {
            let state = state();
            if state == expected { Ok(()) } else { Err(state.to_string()) }
        });
    }
    let heart = Subscriber::start(broker.port(), "heart", "tidegate/test/heartbeat");
    wait::until_true("a heartbeat", PATIENCE, || !heart.heard().is_empty());
    assert_eq!(json(&heart.heard()[0])["key"], "heartbeat");
    let home = Subscriber::start(broker.port(), "home-assistant", "homeassistant/binary_sensor/#");
    wait::until_true("the binary sensor", PATIENCE, || !home.heard().is_empty());
    assert_eq!(json(&home.heard()[0])["state_topic"], "tidegate/test/alert/hot/temperature/attic");
    assert_eq!(daemon.status().output("home", "refused"), 0);
}
