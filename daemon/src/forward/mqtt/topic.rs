//! Where an event is published.

use super::event::{Data, Event};
use crate::config::model::{Piece, TopicTemplate};
use std::borrow::Cow;

/// The topic of an event. A level of which the event has nothing at all (a heartbeat has no metric) is left out; a tag that
/// a series does not have is `-`.
pub(super) fn of(template: &TopicTemplate, event: &Event<'_>, data: &Data<'_>) -> String {
    let mut levels: Vec<Cow<'_, str>> = Vec::with_capacity(template.0.len() + 2);
    for pieces in &template.0 {
        match pieces.as_slice() {
            [Piece::Tags] => levels.extend(tags(event).map(Cow::Owned)),
            [Piece::Name | Piece::Metric] if !data.has_series() => {}
            pieces => levels.push(level(pieces, event, data)),
        }
    }
    let topic = levels.join("/");
    // A topic has at least one character (MQTT 5 section 4.7.3).
    if topic.is_empty() { "-".to_owned() } else { topic }
}

fn level<'t>(pieces: &'t [Piece], event: &Event<'_>, data: &Data<'_>) -> Cow<'t, str> {
    if let [Piece::Text(text)] = pieces {
        return Cow::Borrowed(text);
    }
    let mut level = String::new();
    for piece in pieces {
        let value = match piece {
            Piece::Text(text) => {
                level.push_str(text);
                continue;
            }
            Piece::Kind => Some(event.kind()),
            Piece::Name => data.name(),
            Piece::Metric => data.metric.as_deref(),
            Piece::Tag(name) => data.tags.get(name).map(String::as_str),
            Piece::Tags => None,
        };
        match value {
            Some(value) => escape(value, &mut level),
            None => level.push('-'),
        }
    }
    Cow::Owned(level)
}

/// The tags in the order of their names, those that are missing included: behind summary and metric in the subject.
fn tags(event: &Event<'_>) -> impl Iterator<Item = String> {
    event.subject().split('/').skip(2).map(|part| {
        let decoded = percent_decoded(part);
        let mut level = String::new();
        // A value that looks like a missing one is written as the subject writes it.
        match decoded.as_str() {
            "-" => level.push_str(part),
            text => escape(text, &mut level),
        }
        level
    })
}

/// What MQTT does not allow in a topic or takes for a level of its own (MQTT 5 sections 4.7.1 and 1.5.4), and `%`, which
/// keeps the whole reversible, is percent-encoded.
pub(super) fn escape(text: &str, into: &mut String) {
    use std::fmt::Write;
    for c in text.chars() {
        if matches!(c, '/' | '+' | '#' | '%' | '$') || c.is_control() || is_noncharacter(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(into, "%{byte:02X}");
            }
        } else {
            into.push(c);
        }
    }
}

/// Code points that are no characters, and that brokers may refuse (MQTT 5 section 1.5.4).
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: &str, subject: &str, data: &str) -> Vec<u8> {
        format!(r#"{{"type":"tidegate.{kind}.v1","subject":"{subject}","time":"t","data":{data}}}"#)
            .into_bytes()
    }

    fn topic(pieces: Vec<Vec<Piece>>, bytes: &[u8]) -> String {
        let (event, data) = Event::parse(bytes).unwrap();
        of(&TopicTemplate(pieces), &event, &data)
    }

    fn default() -> Vec<Vec<Piece>> {
        let text = vec![Piece::Text("t".into())];
        vec![text, vec![Piece::Kind], vec![Piece::Name], vec![Piece::Metric], vec![Piece::Tags]]
    }

    #[test]
    fn topics() {
        let check = |kind: &str, subject: &str, data: &str, expected: &str| {
            assert_eq!(topic(default(), &event(kind, subject, data)), expected);
        };
        let summary = r#"{"summary":"minute","metric":"temperature","tags":{"device":"a/b","site":"Küche"}}"#;
        check(
            "summary",
            "minute/temperature/a%2Fb/K%C3%BCche",
            summary,
            "t/summary/minute/temperature/a%2Fb/Küche",
        );
        let untagged = r#"{"summary":"minute","metric":"temperature","tags":{}}"#;
        check("summary", "minute/temperature", untagged, "t/summary/minute/temperature");
        check("summary", "minute/temperature/-/%2D", untagged, "t/summary/minute/temperature/-/%2D");
        let wide = r#"{"summary":"minute","tags":{"device":"d"}}"#;
        check("summary", "minute/*/d", wide, "t/summary/minute/-/d");
        let alert = r#"{"alert":"lost","tags":{"device":"d"}}"#;
        check("alert", "lost/-/d", alert, "t/alert/lost/-/d");
        check("raw", "all", r#"{"raw":"all","series":[]}"#, "t/raw/all/-");
        check("heartbeat", "heartbeat", r#"{"key":"heartbeat"}"#, "t/heartbeat");
    }

    #[test]
    fn tags_of_their_own() {
        let text = |text: &str| Piece::Text(text.into());
        let tag = |name: &str| Piece::Tag(name.into());
        let pieces = vec![vec![text("x-"), tag("device"), text("+?"), tag("site")], vec![Piece::Metric]];
        let data = r##"{"summary":"m","metric":"a+b","tags":{"device":"#1"}}"##;
        assert_eq!(topic(pieces, &event("summary", "m/a%2Bb/%231/-", data)), "x-%231+?-/a%2Bb");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        /// Whatever a sensor calls itself, it has a topic of its own that may be published at.
        #[test]
        fn every_series_has_its_topic(one in "[a-c/+#%é\u{0}-]{0,4}", other in "[a-c/+#%é\u{0}-]{0,4}") {
            let [a, b] = [&one, &other].map(|tag| {
                let subject = format!("m/t/{}", match tag.as_str() {
                    "-" => "%2D".to_owned(),
                    text => tidegate_pipeline::event::escaped(text),
                });
                let tags = serde_json::json!({ "summary": "m", "metric": "t", "tags": { "device": tag } });
                topic(default(), &event("summary", &subject, &tags.to_string()))
            });
            prop_assert_eq!(one == other, a == b);
            prop_assert!(!a.contains(['+', '#', '\0']));
            prop_assert_eq!(a.split('/').count(), 5);
        }
    }
}
