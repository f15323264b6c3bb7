//! What an event says that matters to a broker, without building the document: what is published of it are the bytes that
//! stand in it.

use crate::config::model::Payload;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// An event, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    subject: String,
    /// RFC 3339; of a summary the end of its window.
    #[serde(default)]
    pub(super) time: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Of `data`, what is looked at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Data<'a> {
    #[serde(default)]
    key: String,
    #[serde(default)]
    revision: u64,
    summary: Option<String>,
    alert: Option<String>,
    raw: Option<String>,
    pub(super) metric: Option<String>,
    pub(super) unit: Option<String>,
    /// Where the layout is wide, by metric.
    #[serde(default)]
    pub(super) units: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    window: Option<Window>,
    #[serde(borrow)]
    pub(super) values: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Window {
    start: String,
    end: String,
}

impl<'a> Event<'a> {
    /// # Errors
    /// Where it is not what the gateway makes.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<(Event<'a>, Data<'a>), serde_json::Error> {
        let event: Event<'a> = serde_json::from_slice(bytes)?;
        let data = serde_json::from_str(event.data.get())?;
        Ok((event, data))
    }

    /// `summary`, `alert` and so on, from `tidegate.summary.v1`.
    pub(super) fn kind(&self) -> &str {
        self.kind.split('.').nth(1).unwrap_or("event")
    }

    /// Whether the newest of its series is worth keeping: it says how something is, not what happened once.
    pub(super) fn is_state(&self) -> bool {
        matches!(self.kind(), "summary" | "alert" | "heartbeat")
    }

    /// Whose it is, as the gateway names series: summary or alert, metric, tags; the parts are percent-encoded.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// What is published.
    pub(super) fn payload(&self, data: &Data<'a>, whole: &[u8], payload: Payload) -> Vec<u8> {
        match (payload, &data.window, data.values) {
            (Payload::Event, ..) => whole.to_vec(),
            (Payload::Values, Some(window), Some(values)) => flat(data, window, values.get()),
            (Payload::Values, ..) => self.data.get().as_bytes().to_vec(),
        }
    }
}

impl Data<'_> {
    /// Of the summary, alert or raw forwarding.
    pub(super) fn name(&self) -> Option<&str> {
        self.summary.as_deref().or(self.alert.as_deref()).or(self.raw.as_deref())
    }

    /// Whether it is about a series: a heartbeat is not.
    pub(super) fn has_series(&self) -> bool {
        self.name().is_some() || self.metric.is_some()
    }
}

/// The values beside what says which window they are of, so that a template asks for `value_json.mean`.
fn flat(data: &Data<'_>, window: &Window, values: &str) -> Vec<u8> {
    let head = serde_json::json!({ "start": window.start, "end": window.end, "key": data.key, "revision": data.revision });
    let mut text = head.to_string();
    if let Some(unit) = &data.unit {
        let unit = serde_json::json!({ "unit": unit }).to_string();
        join(&mut text, &unit);
    }
    join(&mut text, values);
    text.into_bytes()
}

/// Appends the members of one object to those of another, as they stand.
fn join(text: &mut String, object: &str) {
    let members = object.trim().trim_start_matches('{');
    if members.trim_start() != "}" {
        text.pop();
        text.push(',');
        text.push_str(members);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let check = |kind: &str, data: &str, expected: &str| {
            let bytes = format!(r#"{{"type":"tidegate.{kind}.v1","data":{data}}}"#).into_bytes();
            let (event, parsed) = Event::parse(&bytes).unwrap();
            let payload = event.payload(&parsed, &bytes, Payload::Values);
            assert_eq!(String::from_utf8(payload).unwrap(), expected);
            assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
            assert_eq!(event.payload(&parsed, &bytes, Payload::Event), bytes);
        };
        let window = r#""key":"k","revision":2,"window":{"start":"s","end":"e"}"#;
        let head = r#"{"end":"e","key":"k","revision":2,"start":"s""#;
        let with = |values: &str| format!(r#"{{{window},"values":{values}}}"#);
        check(
            "summary",
            &with(r#"{"mean":21.50, "p50": 1e3}"#),
            &format!(r#"{head},"mean":21.50, "p50": 1e3}}"#),
        );
        check("summary", &with(r#"{"t":{"mean":1}}"#), &format!(r#"{head},"t":{{"mean":1}}}}"#));
        check("summary", &with("{}"), &format!("{head}}}"));
        let unit = format!(r#"{{{window},"unit":"\"","values":{{}}}}"#);
        check("summary", &unit, &format!(r#"{head},"unit":"\""}}"#));
        check("alert", r#"{"state": "raised"}"#, r#"{"state": "raised"}"#);
    }
}
