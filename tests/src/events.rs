//! What a function makes of the events that it received, and what must be true of them whatever happened on the way.

use crate::function::Received;
use crate::oracle::{Values, Window, is_close};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The last revision of one summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Rises with each amendment.
    pub revision: u64,
    /// The whole event.
    pub event: Value,
}

/// Every event under an id carries the same data, and every id is its key and revision.
///
/// # Errors
/// The two events that differ, or the one whose id is wrong.
pub fn check_ids(received: &[Received]) -> Result<(), String> {
    let mut known: BTreeMap<String, &Value> = BTreeMap::new();
    for Received { event, .. } in received {
        let id = format!("{} {}", event["source"], event["id"]);
        let earlier = known.entry(id).or_insert(event);
        if *earlier != event {
            return Err(format!("one id, two contents:\n{earlier}\n{event}"));
        }
        let expected =
            format!("{}/r{}", event["data"]["key"].as_str().unwrap_or("?"), event["data"]["revision"]);
        if event["id"] != expected.as_str() {
            return Err(format!("the id is not `{expected}`: {event}"));
        }
    }
    Ok(())
}

/// The windows of each series arrive for the first time in the order of their starts. Amendments come when they are made; one of
/// a window that was queued and never arrived, too.
///
/// # Errors
/// The event that came too late.
pub fn check_order(received: &[Received]) -> Result<(), String> {
    let mut known = BTreeSet::new();
    let mut last: BTreeMap<&str, (i64, &Value)> = BTreeMap::new();
    for Received { event, .. } in received.iter().filter(|received| is_summary(&received.event)) {
        let (Some(key), Some(subject)) = (event["data"]["key"].as_str(), event["subject"].as_str()) else {
            return Err(format!("an event without key or subject: {event}"));
        };
        if !known.insert(key) || event["data"]["revision"].as_u64() > Some(0) {
            continue;
        }
        let start_ms = moment_ms(&event["data"]["window"]["start"])?;
        if let Some((before, earlier)) = last.insert(subject, (start_ms, event))
            && before > start_ms
        {
            return Err(format!("a window came after a later one of its series: {event} after {earlier}"));
        }
    }
    Ok(())
}

/// What is left when only the highest revision per key is kept and replaced keys are retired, as the documentation
/// tells functions to do.
pub fn latest(received: &[Received]) -> BTreeMap<String, Summary> {
    let mut summaries: BTreeMap<String, Summary> = BTreeMap::new();
    let mut replaced = BTreeSet::new();
    for Received { event, .. } in received {
        let data = &event["data"];
        let key = format!("{}|{}", event["source"], data["key"]);
        let retired = data["replaces"].as_array().into_iter().flatten();
        replaced.extend(retired.map(|old| format!("{}|{old}", event["source"])));
        let revision = data["revision"].as_u64().unwrap_or(0);
        if summaries.get(&key).is_none_or(|known| known.revision < revision) {
            summaries.insert(key, Summary { revision, event: event.clone() });
        }
    }
    summaries.retain(|key, _| !replaced.contains(key));
    summaries
}

/// Compares what the function holds with what the oracle says.
///
/// # Errors
/// The windows that are missing, left over or wrong, at most ten of them.
pub fn compare(received: &[Received], expected: &BTreeMap<Window, Values>) -> Result<(), String> {
    let mut problems = Vec::new();
    let mut found = BTreeSet::new();
    for summary in latest(received).into_values() {
        let data = &summary.event["data"];
        if !is_summary(&summary.event) {
            continue;
        }
        let window = Window {
            device: data["tags"]["device"].as_str().unwrap_or_default().to_owned(),
            metric: data["metric"].as_str().unwrap_or_default().to_owned(),
            start_ms: moment_ms(&data["window"]["start"])?,
        };
        match expected.get(&window) {
            None => problems.push(format!("{window:?} should not be there: {data}")),
            Some(values) => {
                problems.extend(differences(values, &data["values"]).map(|(name, value, got)| {
                    format!("{window:?} revision {}: {name} is {got}, should be {value}", summary.revision)
                }))
            }
        }
        if !found.insert(window) {
            problems.push(format!("a window came under two keys: {data}"));
        }
    }
    problems.extend(
        expected
            .keys()
            .filter(|window| !found.contains(window))
            .map(|window| format!("{window:?} is missing")),
    );
    if problems.is_empty() {
        return Ok(());
    }
    let all = problems.len();
    problems.truncate(10);
    Err(format!("{all} differences:\n{}", problems.join("\n")))
}

fn is_summary(event: &Value) -> bool {
    event["type"].as_str().is_none_or(|kind| kind == "tidegate.summary.v1")
}

/// How many readings are lost, double and invented in what the function holds.
pub fn toll(received: &[Received], expected: &BTreeMap<Window, Values>) -> (u64, u64, u64) {
    let (mut lost, mut double, mut invented) = (0, 0, 0);
    let mut found = BTreeSet::new();
    for summary in latest(received).into_values().filter(|summary| is_summary(&summary.event)) {
        let data = &summary.event["data"];
        let window = Window {
            device: data["tags"]["device"].as_str().unwrap_or_default().to_owned(),
            metric: data["metric"].as_str().unwrap_or_default().to_owned(),
            start_ms: moment_ms(&data["window"]["start"]).unwrap_or_default(),
        };
        let got = data["values"]["count"].as_u64().unwrap_or(0);
        let Some(values) = expected.get(&window).filter(|_| found.insert(window.clone())) else {
            invented += got;
            continue;
        };
        let wanted = values["count"] as u64;
        lost += wanted.saturating_sub(got);
        double += got.saturating_sub(wanted);
        // As many, but others.
        if got == wanted && differences(values, &data["values"]).next().is_some() {
            (lost, invented) = (lost + 1, invented + 1);
        }
    }
    let missing = expected.iter().filter(|(window, _)| !found.contains(*window));
    lost += missing.map(|(_, values)| values["count"] as u64).sum::<u64>();
    (lost, double, invented)
}

fn differences<'a>(
    expected: &'a Values,
    got: &'a Value,
) -> impl Iterator<Item = (&'static str, f64, &'a Value)> + 'a {
    expected
        .iter()
        .map(|(name, value)| (*name, *value, &got[*name]))
        .filter(|(_, value, got)| !got.as_f64().is_some_and(|got| is_close(*value, got)))
}

/// Milliseconds since 1970 of an RFC 3339 text.
///
/// # Errors
/// When it is none.
pub fn moment_ms(text: &Value) -> Result<i64, String> {
    let parsed = text.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    parsed.map(jiff::Timestamp::as_millisecond).ok_or_else(|| format!("{text} is not a moment in RFC 3339"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(start_s: i64, revision: u64, count: u64) -> Received {
        let start = jiff::Timestamp::from_second(start_s).unwrap();
        let key = format!("five/m/d/{start}/5s");
        Received {
            at_ms: 0,
            event: json!({
                "source": "/gateways/test/x", "id": format!("{key}/r{revision}"), "subject": "five/m/d",
                "data": {"key": key, "revision": revision, "replaces": [], "metric": "m", "tags": {"device": "d"},
                         "window": {"start": start.to_string()}, "values": {"count": count}},
            }),
        }
    }

    fn expected(windows: &[(i64, f64)]) -> BTreeMap<Window, Values> {
        let window =
            |start_s: i64| Window { device: "d".into(), metric: "m".into(), start_ms: start_s * 1_000 };
        windows.iter().map(|&(start_s, count)| (window(start_s), Values::from([("count", count)]))).collect()
    }

    #[test]
    fn what_a_difference_costs() {
        let window = |start_ms| Window { device: "d".into(), metric: "m".into(), start_ms };
        let event = |start: &str, count: u64, sum: f64| {
            let data = json!({"key": start, "revision": 0, "tags": {"device": "d"}, "metric": "m",
                "window": {"start": start}, "values": {"count": count, "sum": sum}});
            Received { at_ms: 0, event: json!({"type": "tidegate.summary.v1", "source": "s", "data": data}) }
        };
        let expected = BTreeMap::from([
            (window(0), Values::from([("count", 3.0), ("sum", 6.0)])),
            (window(1_000), Values::from([("count", 2.0), ("sum", 2.0)])),
        ]);
        let check = |events: &[Received], cost| assert_eq!(toll(events, &expected), cost);
        let (first, second) = ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z");
        check(&[event(first, 3, 6.0), event(second, 2, 2.0)], (0, 0, 0));
        check(&[event(first, 2, 6.0)], (3, 0, 0));
        check(&[event(first, 5, 6.0), event(second, 2, 2.0)], (0, 2, 0));
        check(&[event(first, 3, 7.0), event(second, 2, 2.0)], (1, 0, 1));
        check(
            &[event(first, 3, 6.0), event(second, 2, 2.0), event("1970-01-01T00:00:09Z", 4, 1.0)],
            (0, 0, 4),
        );
    }

    #[test]
    fn the_highest_revision_counts() {
        let received = [event(5, 0, 3), event(10, 0, 1), event(5, 2, 5), event(5, 1, 4)];
        assert_eq!(compare(&received, &expected(&[(5, 5.0), (10, 1.0)])), Ok(()));
        assert!(compare(&received, &expected(&[(5, 4.0), (10, 1.0)])).unwrap_err().contains("should be 4"));
        assert!(compare(&received, &expected(&[(5, 5.0)])).unwrap_err().contains("should not be there"));
        let more = expected(&[(5, 5.0), (10, 1.0), (15, 1.0)]);
        assert!(compare(&received, &more).unwrap_err().contains("is missing"));
    }

    #[test]
    fn one_id_has_one_content() {
        assert_eq!(check_ids(&[event(5, 0, 3), event(5, 1, 4), event(5, 0, 3)]), Ok(()));
        assert!(check_ids(&[event(5, 0, 3), event(5, 0, 4)]).unwrap_err().contains("two contents"));
    }

    #[test]
    fn windows_come_in_order() {
        assert_eq!(check_order(&[event(5, 0, 3), event(10, 0, 1), event(5, 1, 4)]), Ok(()));
        assert!(check_order(&[event(10, 0, 1), event(5, 0, 3)]).is_err());
    }

    #[test]
    fn replaced_keys_are_retired() {
        let mut merged = event(0, 0, 9);
        merged.event["data"]["replaces"] = json!([event(5, 0, 0).event["data"]["key"]]);
        assert_eq!(latest(&[event(5, 0, 3), merged.clone(), event(5, 1, 4)]).len(), 1);
    }
}
