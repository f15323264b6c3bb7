//! What comes in and what goes out besides windows.

use crate::limits::EXCERPT_BYTES_MAX;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use serde::{Deserialize, Serialize};

/// One delivered message, as the sources saw it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// Index of the source in the plan.
    pub source: u16,
    /// Who sent it: the same after a reconnect.
    pub session: &'m str,
    /// The topic; not checked to be UTF-8.
    pub topic: &'m [u8],
    /// The payload.
    pub payload: &'m [u8],
    /// Replayed by a broker at subscription.
    pub retained: bool,
    /// Acknowledged (QoS 1): it may come again.
    pub acknowledged: bool,
    /// It may be one that came before, on another connection: nothing in it says that it is not.
    pub may_repeat: bool,
    /// When it arrived.
    pub arrival: Time,
}

impl Message<'_> {
    /// The beginning of the payload as text, for people; what is not UTF-8 shows as `\u{fffd}`.
    pub fn excerpt(&self) -> String {
        let end = self.payload.len().min(EXCERPT_BYTES_MAX);
        let mut text = String::from_utf8_lossy(&self.payload[..end]).into_owned();
        if end < self.payload.len() {
            text.push('…');
        }
        text
    }
}

/// A message whose bytes are kept because a stream could not use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Why.
    pub reason: Reason,
    /// More words for a person: where the decoder stopped.
    pub detail: String,
    /// Name of the source.
    pub source: String,
    /// Name of the stream; `None` when no stream came into it.
    pub stream: Option<String>,
    /// The topic's bytes.
    pub topic: Vec<u8>,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// When it arrived.
    pub arrival: Time,
    /// How many readings of the ledger it stands for.
    pub readings: u32,
}

/// What became of one reading, for `tap` and `try`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The topic.
    pub topic: String,
    /// The beginning of the payload: [`Message::excerpt`].
    pub payload: String,
    /// The stream, if one came into it.
    pub stream: Option<String>,
    /// The metric, where one was found.
    pub metric: Option<String>,
    /// The tags of the series.
    pub tags: Vec<(String, String)>,
    /// The value as decoded.
    pub raw: Option<f64>,
    /// The value after cleaning, where it was counted.
    pub value: Option<f64>,
    /// The reading's time.
    pub time: Option<Time>,
    /// What was decided.
    pub verdict: Verdict,
    /// More words, where there are any.
    pub detail: String,
}
