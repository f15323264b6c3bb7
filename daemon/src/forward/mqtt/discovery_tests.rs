use super::*;
use crate::config::model::{Broker, Protocol, TopicTemplate};
use std::time::Duration;

fn cfg(payload: Payload) -> Republish {
    Republish {
        broker: Broker {
            host: "h".into(),
            port: 1,
            tls: None,
            protocol: Protocol::V5,
            client_id: "c".into(),
            login: None,
        },
        gateway: "pi".into(),
        topic: TopicTemplate(Vec::new()),
        payload,
        qos: 1,
        retain: true,
        discovery: Some("ha".into()),
        timeout: Duration::ZERO,
    }
}

/// Component, name, template, unit and device class of what is announced.
fn announced(kind: &str, data: &str, payload: Payload) -> Vec<(String, String)> {
    let bytes = format!(r#"{{"type":"tidegate.{kind}.v1","subject":"a/b/c","time":"t","data":{data}}}"#);
    let (event, data) = Event::parse(bytes.as_bytes()).unwrap();
    let found = of(&cfg(payload), &event, &data, "the/topic", |_| true);
    let line = |announcement: Announcement| {
        let config: Value = serde_json::from_slice(&announcement.payload).unwrap();
        let id = config["unique_id"].as_str().unwrap();
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{id}");
        assert_eq!(config["state_topic"], "the/topic");
        let component = announcement.topic.strip_prefix("ha/").unwrap().split('/').next().unwrap().to_owned();
        let text = |key: &str| config[key].as_str().unwrap_or("-").to_owned();
        let parts = [component, text("name"), text("unit_of_measurement"), text("device_class")];
        (parts.join(" | "), text("value_template"))
    };
    found.into_iter().map(line).collect()
}

#[test]
fn what_is_announced() {
    let check = |kind: &str, data: &str, payload, expected: &[(&str, &str)]| {
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(announced(kind, data, payload), expected);
    };
    let values = r#""values":{"count":5,"p99.9":21.5,"stddev":0.3,"time_of_min":"2026-11-22T19:10:00Z","histogram":{}}"#;
    let narrow = format!(
        r#"{{"summary":"minute","metric":"temperature","unit":"°C","tags":{{"device":"d"}},{values}}}"#
    );
    check(
        "summary",
        &narrow,
        Payload::Values,
        &[
            ("sensor | temperature count (minute) | - | -", "{{ (value_json['count']) | default(None) }}"),
            (
                "sensor | temperature p99.9 (minute) | °C | temperature",
                "{{ (value_json['p99.9']) | default(None) }}",
            ),
            ("sensor | temperature stddev (minute) | °C | -", "{{ (value_json['stddev']) | default(None) }}"),
            (
                "sensor | temperature time_of_min (minute) | - | timestamp",
                "{{ (value_json['time_of_min']) | default(None) }}",
            ),
        ],
    );
    let wide =
        r#"{"summary":"minute","units":{"t'":"K"},"tags":{},"values":{"t'":{"mean":1.5},"x":{"last":2}}}"#;
    check(
        "summary",
        wide,
        Payload::Event,
        &[
            (
                "sensor | t' mean (minute) | K | -",
                r"{{ (value_json['data']['values']['t\'']['mean']) | default(None) }}",
            ),
            (
                "sensor | x last (minute) | - | -",
                "{{ (value_json['data']['values']['x']['last']) | default(None) }}",
            ),
        ],
    );
    let alert = r#"{"alert":"hot","metric":"temperature","tags":{"device":"d"},"state":"raised"}"#;
    let template = "{{ 'ON' if value_json['state'] == 'raised' else 'OFF' }}";
    check("alert", alert, Payload::Values, &[("binary_sensor | temperature hot | - | problem", template)]);
    check("heartbeat", r#"{"key":"heartbeat"}"#, Payload::Values, &[]);
}

#[test]
fn one_event_announces_so_many_at_most() {
    let values: Vec<String> = (0..100).map(|n| format!(r#""p{n}":1"#)).collect();
    let data = format!(r#"{{"summary":"m","metric":"t","values":{{{}}}}}"#, values.join(","));
    assert_eq!(announced("summary", &data, Payload::Values).len(), limits::DISCOVERED_PER_EVENT_MAX);
}

#[test]
fn what_is_said_of_a_device_is_together() {
    let device = |kind: &str, data: &str| {
        let bytes = format!(r#"{{"type":"tidegate.{kind}.v1","subject":"a/b/c","time":"t","data":{data}}}"#);
        let (event, data) = Event::parse(bytes.as_bytes()).unwrap();
        let found = of(&cfg(Payload::Values), &event, &data, "the/topic", |_| true);
        let config: Value = serde_json::from_slice(&found[0].payload).unwrap();
        config["device"].clone()
    };
    let tags = r#""metric":"t","tags":{"device":"a b","site":"x"}"#;
    let summary = device("summary", &format!(r#"{{"summary":"m",{tags},"values":{{"mean":1}}}}"#));
    assert_eq!(summary, device("alert", &format!(r#"{{"alert":"hot",{tags}}}"#)));
    assert_eq!(summary["name"], "a b x");
    let other = tags.replace("a b", "a_b");
    let other = device("summary", &format!(r#"{{"summary":"m",{other},"values":{{"mean":1}}}}"#));
    assert_ne!(summary["identifiers"], other["identifiers"]);
}
