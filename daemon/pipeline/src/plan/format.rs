//! `format`: how payload bytes are read.

use super::stream::TimeFormat;
use serde::{Deserialize, Serialize};

/// How payload bytes are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Format {
    /// JSON when it looks like JSON (starts with `{`, `[` or `"`), else text.
    #[default]
    Auto,
    /// One JSON document per message.
    Json,
    /// One number, or one of on/off, true/false, open/closed, online/offline, per message.
    Text,
    /// Rows of cells.
    Csv(Csv),
    /// One CBOR item per message (RFC 8949).
    Cbor,
    /// One MessagePack object per message.
    Msgpack,
    /// SenML in JSON or CBOR (RFC 8428).
    Senml,
    /// Sparkplug B 3.0.
    Sparkplug,
    /// Frames of firmware that uses the package `tidegate-wire`.
    Tidegate,
    /// Line protocol of InfluxDB.
    Influx {
        /// What its time stamps count.
        unit: TimeFormat,
    },
}

/// How rows of cells are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Csv {
    /// What stands between cells; one character of ASCII.
    pub delimiter: u8,
    /// What decimals begin with.
    pub decimal: char,
    /// The names of the columns; empty where the header has them. A column without a name is not read.
    pub columns: Vec<String>,
    /// Whether the first row is a header.
    pub header: bool,
}

impl Format {
    /// The names of the tags that the format gives by itself.
    pub fn tags(&self) -> &'static [&'static str] {
        match self {
            Format::Influx { .. } => &[crate::decode::LABELS],
            Format::Senml => &[crate::decode::NAME],
            Format::Sparkplug => &crate::decode::sparkplug::TAGS,
            _ => &[],
        }
    }

    /// The character before decimals, where the format has nothing but text.
    pub fn decimal(&self) -> Option<char> {
        match self {
            Format::Csv(csv) => Some(csv.decimal),
            _ => None,
        }
    }

    /// Whether its readings bring along when they were taken.
    pub fn has_time(&self) -> bool {
        matches!(self, Format::Influx { .. } | Format::Senml | Format::Sparkplug | Format::Tidegate)
    }

    /// Whether its readings bring their names along, so that a topic cannot name them.
    pub fn names_metrics(&self) -> bool {
        matches!(self, Format::Influx { .. } | Format::Senml | Format::Sparkplug | Format::Tidegate)
    }
}
