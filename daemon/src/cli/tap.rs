//! `tidegate tap`: live from the running daemon, what becomes of readings.

use super::DaemonArgs;
use super::client::Client;
use super::exit::Exit;
use super::print::{note, out, printable};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// Prints a line per reading until interrupted or the daemon leaves.
///
/// # Errors
/// How to end when the daemon cannot be asked.
pub(super) fn tap(config: Option<&Path>, args: &DaemonArgs, filter: &str) -> Result<(), Exit> {
    let client = Client::new(config, args)?;
    client.lines(&format!("/api/tap?filter={}", encoded(filter)), |line| {
        if args.json {
            return out(&format!("{}\n", String::from_utf8_lossy(line)));
        }
        let Ok(line) = serde_json::from_slice::<Value>(line) else { return Ok(()) };
        match line["lost"].as_u64() {
            Some(lost) => note(&format!("{lost} lines or more were lost: too many at once to show")),
            None => out(&format!("{}\n", human(&line)))?,
        }
        Ok(())
    })
}

/// One reading in one line: when, verdict, series, value, and where it came from.
pub(super) fn human(line: &Value) -> String {
    let text = |name: &str| printable(line[name].as_str().unwrap_or_default());
    let verdict = match (line["verdict"].as_str().unwrap_or("?"), line["reason"].as_str()) {
        (verdict, Some(reason)) => format!("{}: {}", printable(verdict), printable(reason)),
        (verdict, None) => printable(verdict),
    };
    let mut shown = format!("{:24}  {verdict:24}  ", text("time"));
    // Writing to a String cannot fail.
    if let Some(metric) = line["metric"].as_str() {
        let _ = write!(shown, "{}/{}{}", text("stream"), printable(metric), tags(&line["tags"]));
        let _ = match (line["raw"].as_f64(), line["value"].as_f64()) {
            (Some(raw), Some(value)) if raw != value => write!(shown, " {raw} → {value}"),
            (Some(raw), _) => write!(shown, " {raw}"),
            _ => Ok(()),
        };
        let _ = write!(shown, "  ({})", text("topic"));
    } else {
        let _ = write!(shown, "{}", text("topic"));
        if line["stream"].is_string() {
            let _ = write!(shown, " in {}", text("stream"));
        }
    }
    if line["reason"].is_string() {
        if let Some(detail) = line["detail"].as_str() {
            let _ = write!(shown, ": {}", printable(detail));
        }
        let _ = write!(shown, "  {}", text("payload"));
    }
    shown.trim_end().to_owned()
}

fn tags(tags: &Value) -> String {
    let tags = tags.as_object().into_iter().flatten();
    let tags: Vec<String> =
        tags.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    if tags.is_empty() { String::new() } else { printable(&format!("{{{}}}", tags.join(", "))) }
}

/// Percent-encoding of a query value (RFC 3986, section 2.1).
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            // Writing to a String cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines() {
        let check = |line: Value, expected: &str| {
            let shown = human(&line).split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(shown, expected);
        };
        check(
            json!({"topic": "s/d1/t", "stream": "climate", "metric": "t", "tags": {"device": "d1"}, "raw": 2.0, "value": 20.0,
                   "time": "2026-11-22T10:00:00Z", "verdict": "counted", "payload": "2"}),
            "2026-11-22T10:00:00Z counted climate/t{device=d1} 2 → 20 (s/d1/t)",
        );
        check(
            json!({"topic": "s/d1", "stream": "climate", "verdict": "dead_lettered", "reason": "malformed",
                   "detail": "at byte 1", "payload": "{\u{7}"}),
            "dead_lettered: malformed s/d1 in climate: at byte 1 {\u{fffd}",
        );
        check(json!({}), "?");
    }

    #[test]
    fn queries() {
        assert_eq!(encoded("a/+/{x}#ü"), "a%2F%2B%2F%7Bx%7D%23%C3%BC");
    }
}
