//! `format`: how payload bytes are read.

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
}

impl Format {
    /// The names of the tags that the format gives by itself.
    pub fn tags(&self) -> &'static [&'static str] {
        match self {
            Format::Auto | Format::Json | Format::Text => &[],
        }
    }

    /// The character before decimals, where the format has nothing but text.
    pub fn decimal(&self) -> Option<char> {
        match self {
            Format::Auto | Format::Json | Format::Text => None,
        }
    }
}
