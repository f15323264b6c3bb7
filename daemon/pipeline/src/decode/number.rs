//! Numbers and words as sensors write them.

/// Words for "there is no value now", as Home Assistant, Zigbee2MQTT and others send them.
pub(super) fn is_no_value(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || ["unavailable", "unknown", "none", "null", "n/a", "-"].iter().any(|w| text.eq_ignore_ascii_case(w))
}

/// The two-state words that stand for 1 and 0.
pub(super) fn truth(text: &str) -> Option<bool> {
    const WORDS: [(&str, bool); 8] = [
        ("on", true),
        ("off", false),
        ("true", true),
        ("false", false),
        ("open", true),
        ("closed", false),
        ("online", true),
        ("offline", false),
    ];
    WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, truth)| *truth)
}
