//! Numbers and words as sensors write them.

use super::Scalar;

/// A number whose decimals begin with `decimal`, or one of the two-state words.
pub(super) fn read(text: &str, decimal: char) -> Option<Scalar<'static>> {
    let text = text.trim();
    let number = match decimal {
        '.' => text.parse(),
        // The usual point would be a separator of thousands: nobody knows what `1.234` means then.
        _ if text.contains('.') => return None,
        _ => text.replacen(decimal, ".", 1).parse(),
    };
    number.ok().map(Scalar::Float).or_else(|| truth(text).map(Scalar::Bool))
}

/// Words for "there is no value now", as Home Assistant, Zigbee2MQTT and others send them.
pub(super) fn is_no_value(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || ["unavailable", "unknown", "none", "null", "n/a", "-"].iter().any(|w| text.eq_ignore_ascii_case(w))
}

/// A number of 32 bits as the shortest decimal that stands for it, so that `21.1` stays `21.1`.
pub(super) fn widened(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::NAN)
}

/// The two-state words that stand for 1 and 0.
fn truth(text: &str) -> Option<bool> {
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
