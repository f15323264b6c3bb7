//! Outputs of type `mqtt`, what functions may command, and loops.

use super::errors::check;
use super::{read, valid};
use crate::config::model::{
    Broker, Commands, Login, OutputKind, Payload, Piece, Protocol, Republish, Secret, Tls, TopicTemplate,
};
use std::time::Duration;

const STREAM: &str = "[streams.s]\ntopic = \"a/{device}/{metric}\"\n";

fn outputs(text: &str) -> Vec<OutputKind> {
    let config = valid(&format!("[gateway]\nid = \"pi-7\"\n{STREAM}{text}"));
    config.outputs.into_iter().map(|output| output.kind).collect()
}

fn republish(text: &str) -> Republish {
    match outputs(&format!("[outputs.home]\n{text}")).remove(0) {
        OutputKind::Mqtt(mqtt) => *mqtt,
        other => panic!("{other:?}"),
    }
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = read(&format!("{STREAM}{text}")).unwrap_or_else(|report| panic!("{report}"));
    loaded.warnings.iter().map(|found| found.one_line().replacen("tidegate.toml:", "", 1)).collect()
}

#[test]
fn a_url_is_enough() {
    let text = |text: &str| vec![Piece::Text(text.into())];
    let expected = Republish {
        broker: Broker {
            host: "127.0.0.1".into(),
            port: 1883,
            tls: None,
            protocol: Protocol::V5,
            client_id: "tidegate-pi-7-home-out".into(),
            login: None,
        },
        gateway: "pi-7".into(),
        topic: TopicTemplate(vec![
            text("tidegate"),
            text("pi-7"),
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
    };
    assert_eq!(republish("url = \"mqtt://127.0.0.1\"\n"), expected);
    assert_eq!(republish("type = \"mqtt\"\nurl = \"mqtt://127.0.0.1\"\n"), expected);
}

#[test]
fn all_keys() {
    let mqtt = republish(
        "url = \"mqtts://b.example\"\nusername = \"u\"\npassword = { env = \"P\" }\nclient_id = \"me\"\nprotocol = \"3.1.1\"\n\
         topic = \"x/{device}\"\npayload = \"event\"\nqos = 0\nretain = true\ndiscovery = \"ha/mine\"\ntimeout = \"1s\"\nca = \"ca\"\n",
    );
    let expected = Broker {
        host: "b.example".into(),
        port: 8883,
        tls: Some(Tls { ca: Some("/etc/tidegate/ca".into()), ..Tls::default() }),
        protocol: Protocol::V4,
        client_id: "me".into(),
        login: Some(Login { user: "u".into(), password: Some(Secret::Env("P".into())) }),
    };
    assert_eq!(mqtt.broker, expected);
    assert_eq!(mqtt.topic.0, [vec![Piece::Text("x".into())], vec![Piece::Tag("device".into())]]);
    assert_eq!((mqtt.payload, mqtt.qos, mqtt.timeout), (Payload::Event, 0, Duration::from_secs(1)));
    assert_eq!((mqtt.discovery.as_deref(), mqtt.retain), (Some("ha/mine"), true));
}

#[test]
fn mistakes() {
    for (text, expected) in [
        (
            "url = \"http://h\"",
            "3: `http://h` is not the address of a broker: `http` is not a way to reach a broker",
        ),
        ("url = \"mqtt://h\"\nqos = 2", "4: `qos` can be 0 or 1"),
        ("url = \"mqtt://h\"\nca = \"x\"", "3: `url` does not use TLS, but `ca` or `cert` is given"),
        (
            "url = \"mqtt://h\"\ntopic = \"a/#\"",
            "4: `a/#` is not a topic to publish at: nobody can publish at a topic with `+` or `#`; places are in braces: {metric}",
        ),
        (
            "url = \"mqtt://h\"\ntopic = \"x/{devise}\"",
            "4: no stream has a tag `devise`: did you mean `{device}`?",
        ),
        ("url = \"mqtt://h\"\ndiscovery = \"ha/#\"", "4: `discovery` is not the beginning of a topic"),
        ("url = \"mqtt://h\"\nbatch = {}", "4: unknown key `batch`: belongs to type = \"http\""),
    ] {
        check(&format!("[outputs.home]\ntype = \"mqtt\"\n{text}\n"), &[expected]);
    }
    check("[outputs.o]\ntype = \"http\"\nurl = \"mqtt://h\"\n", &["3: `url` is the address of a broker"]);
}

#[test]
fn what_comes_back_is_refused() {
    let refused = |sources: &str, output: &str| {
        let text = format!("{sources}{STREAM}[outputs.home]\n{output}\n");
        read(&text).err().map(|report| report.render(false)).unwrap_or_default()
    };
    let local = "[sources.local]\nurl = \"mqtt://127.0.0.1\"\n";
    let report = refused(local, "url = \"mqtt://localhost:1883\"\ntopic = \"a/{name}/{metric}\"");
    for part in [
        "error: `home` would publish what `local` receives",
        "publishes at `a/+/+`",
        "makes `local` subscribe to `a/+/+`",
        "change `topic` of the output, or that of the stream",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
    let both = "url = \"mqtt://127.0.0.1\"\ntopic = \"a/{tags}\"";
    assert!(
        refused("", both).contains("would publish what `local` receives"),
        "the source that nobody wrote"
    );
    assert!(refused(local, "url = \"mqtt://[::1]\"\ntopic = \"{tags}\"").contains("would publish"));
    assert!(
        refused(local, "url = \"mqtt://127.0.0.1\"\ndiscovery = \"a\"").is_empty(),
        "four levels, not three"
    );
    let listener = "[sources.own]\nlisten = \"0.0.0.0:1883\"\nusers = [{ username = \"u\", password = { file = \"p\" } }]\n";
    assert!(refused(listener, both).contains("would publish what `own` receives"));
    // Another port, another host, other topics.
    assert_eq!(refused(local, "url = \"mqtt://127.0.0.1:1884\"\ntopic = \"a/{tags}\""), "");
    assert_eq!(refused(local, "url = \"mqtt://b.example\"\ntopic = \"a/{tags}\""), "");
    assert_eq!(refused(local, "url = \"mqtt://127.0.0.1\"\ntopic = \"b/{tags}\""), "");
}

#[test]
fn every_client_of_a_broker_has_an_id_of_its_own() {
    let output = |name: &str, id: &str| format!("[outputs.{name}]\nurl = \"mqtt://127.0.0.1\"\n{id}\n");
    let id = "client_id = \"tidegate-pi-local\"";
    let twins = format!(
        "[gateway]\nid = \"pi\"\n{}{}",
        output("x", ""),
        output("y", "client_id = \"tidegate-pi-x-out\"")
    );
    check(&twins, &["6: `x` and `y` use one client id at one broker: also `tidegate-pi-x-out`"]);
    let source = format!("[gateway]\nid = \"pi\"\n{}", output("x", id));
    check(&source, &["3: `local` and `x` use one client id at one broker: also `tidegate-pi-local`"]);
    assert_eq!(warnings(&format!("[sources.home]\n{}", output("home", ""))), [] as [&str; 0]);
}

#[test]
fn commands() {
    let commands = |kinds: Vec<OutputKind>| match &kinds[0] {
        OutputKind::Http(http) => http.commands.clone(),
        other => panic!("{other:?}"),
    };
    let text =
        "[outputs.f]\nurl = \"https://f.example/\"\ncommands = { to = \"b\", topics = [\"x/+\", \"y/#\"] }\n";
    let broker = "url = \"mqtt://h:7\"\nusername = \"u\"\n";
    let expected = Commands {
        broker: Broker {
            host: "h".into(),
            port: 7,
            tls: None,
            protocol: Protocol::V5,
            client_id: "tidegate-pi-7-f-commands".into(),
            login: Some(Login { user: "u".into(), password: None }),
        },
        topics: vec!["x/+".into(), "y/#".into()],
    };
    let as_output = format!("{text}[outputs.b]\n{broker}client_id = \"its-own\"\n");
    assert_eq!(commands(outputs(&as_output)), Some(expected.clone()));
    assert_eq!(commands(outputs(&format!("{text}[sources.b]\n{broker}"))), Some(expected));

    let with = |commands: &str| format!("[outputs.f]\nurl = \"https://f.example/\"\ncommands = {commands}\n");
    check(
        &with("{ to = \"nobody\", topics = [\"x\"] }"),
        &["3: `to` names no source or output with type = \"mqtt\""],
    );
    check(&with("{ to = \"local\" }"), &["3: `topics` is missing: needs `topics`"]);
    check(
        &with("{ to = \"local\", topics = [\"$SYS/x\"] }"),
        &["3: the topic `$SYS/x` begins with `$`, which is the broker's own"],
    );
    check(
        &with("{ to = \"local\", topics = [\"a/#/b\"] }"),
        &["3: the topic `a/#/b` has a `#` that is not its last level"],
    );
    check(
        &with("{ to = \"local\", topics = [\"a+\"] }"),
        &["3: the topic `a+` has a `+` that is not a whole level"],
    );
    check(
        &with("{ to = \"local\", topics = [\"{a}\"] }"),
        &["3: the topic `{a}` has braces; write `+` for any one level"],
    );
    check(
        "[outputs.x]\npath = \"f\"\ncommands = 1\n",
        &["3: unknown key `commands`: belongs to type = \"http\""],
    );
}

#[test]
fn commands_that_a_stream_reads_deserve_a_look() {
    let text = |topics: &str| {
        format!(
            "[outputs.f]\nurl = \"https://f.example/\"\ncommands = {{ to = \"local\", topics = [\"{topics}\"] }}\n"
        )
    };
    assert_eq!(warnings(&text("actuators/+/set")), [] as [&str; 0]);
    assert_eq!(warnings(&text("a/+/set")), ["5: commands reach the stream `s` too: `a/+/set`"]);
    let excluded = text("a/+/set").replace("[outputs.f]", "exclude = \"a/{device}/set\"\n[outputs.f]");
    assert_eq!(warnings(&excluded), [] as [&str; 0]);
}

#[test]
fn series_that_share_a_topic_deserve_a_look() {
    let text = |topic: &str| format!("[outputs.o]\nurl = \"mqtt://h\"\nretain = true\ntopic = \"{topic}\"\n");
    assert_eq!(warnings(&text("x/{kind}/{name}/{metric}/{device}")), [] as [&str; 0]);
    assert_eq!(
        warnings(&text("x/{kind}/{name}/{metric}")),
        ["6: several series may share one topic: without {tags}"]
    );
}
