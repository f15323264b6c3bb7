//! Events: what a function receives (CloudEvents 1.0, structured mode, JSON).
//!
//! Rendered once, when the window closes, and kept as bytes: an event's data never changes afterwards, whatever the version
//! or configuration.

use crate::aggregate::Value;
use crate::definition::Definition;
use crate::time::Time;
use crate::window::Content;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// A window that closed, for the store and the outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Where it is kept: end, then group.
    pub key: ClosedKey,
    /// 0, or one more than what was sent under this key before.
    pub revision: u32,
    /// The keys that it replaces, of this revision and the ones before.
    pub replaces: Vec<String>,
    /// Names in the store under which parts of it were kept, and are not needed any more.
    pub retires: Vec<ClosedKey>,
    /// What it holds, for amendments and merging.
    pub content: Content,
    /// The CloudEvents `id`.
    pub id: String,
    /// The whole event.
    pub event: Vec<u8>,
    /// For queries.
    pub record: Record,
    /// Indices of the outputs that get it.
    pub to: Vec<u16>,
    /// Of its group.
    pub definition: Definition,
    /// It is a window that was merged into a coarser one, amended: queries know its parts.
    pub coarse: bool,
}

/// What queries ask of a closed window.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it begins; it ends before its key's `end`.
    pub start: Time,
    /// `summary/metric/tags`, each part percent-encoded.
    pub subject: String,
    /// Of the metric, where the configuration names one.
    pub unit: Option<String>,
    /// By name of the aggregate, `metric/aggregate` where the layout is wide; in the order of the configuration.
    pub values: Vec<(String, Value)>,
}

/// Names a closed window in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClosedKey {
    /// The window's end.
    pub end: Time,
    /// Number of the group.
    pub group: u32,
}

/// `text` as it stands in a subject: percent-encoded, all but the unreserved characters of RFC 3986.
pub fn escaped(text: &str) -> String {
    let mut into = String::new();
    escape(&mut into, text);
    into
}

/// The tags of a series as they stand in a subject, each behind a slash; `-` for one that it does not have.
pub(crate) fn tags_of_subject(into: &mut String, tags: &[Option<String>]) {
    for tag in tags {
        into.push('/');
        match tag.as_deref() {
            None => into.push('-'),
            Some("-") => into.push_str("%2D"),
            Some(value) => escape(into, value),
        }
    }
}

/// See [`escaped`].
pub(crate) fn escape(into: &mut String, text: &str) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(byte.into());
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// The envelope of every event that goes out (CloudEvents 1.0, structured mode, JSON).
#[derive(Debug, Serialize)]
pub struct Envelope<'e, D> {
    /// `1.0`.
    pub specversion: &'static str,
    /// `tidegate.summary.v1` and its like.
    pub r#type: &'static str,
    /// As the plan says: [`crate::plan::Plan::source`].
    pub source: &'e str,
    /// The key and the revision.
    pub id: &'e str,
    /// What it is about.
    pub subject: &'e str,
    /// RFC 3339.
    pub time: String,
    /// `application/json`.
    pub datacontenttype: &'static str,
    /// What a function gets to see first.
    pub data: D,
}

impl<D: Serialize> Envelope<'_, D> {
    /// As it is sent.
    pub fn render(&self) -> Vec<u8> {
        // Serialising to memory fails only where a map key is not text, and there is none.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Tags as they stand in an event, by name.
pub(crate) struct Tags<'e>(pub(crate) &'e [(String, String)]);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
