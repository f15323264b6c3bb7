//! Reduces topic filters so that no two of them match one topic.
//!
//! A broker may deliver a message once per matching subscription (\[MQTT-3.3.4-2\] leaves it the choice), and a duplicate
//! of that kind cannot be told from a new reading. So filters that overlap are replaced by the narrowest one that covers
//! both. It may be wider than they were: what comes in addition matches no stream and is counted as `unmatched`.

use super::model::{Config, SourceKind};

/// Gives each broker the filters of the streams that use it.
pub(super) fn assign(config: &mut Config) {
    for (index, source) in config.sources.iter_mut().enumerate() {
        let SourceKind::Mqtt(mqtt) = &mut source.kind else { continue };
        let users = config.plan.streams.iter().filter(|s| s.sources.iter().any(|&s| usize::from(s) == index));
        let topics = users.flat_map(|stream| {
            stream.topics.iter().chain(stream.availability.as_ref().map(|availability| &availability.topic))
        });
        mqtt.filters = reduce(topics.map(|topic| topic.filter()));
    }
}

/// Filters that match all that `filters` match, and no topic twice; sorted.
pub fn reduce(filters: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<Filter> = Vec::new();
    for filter in filters {
        let mut filter = Filter::parse(&filter);
        // A join is wider than its parts, so it may meet a filter that neither of them met. Each turn removes one.
        while let Some(index) = kept.iter().position(|other| other.overlaps(&filter)) {
            filter = kept.swap_remove(index).join(&filter);
        }
        kept.push(filter);
    }
    let mut texts: Vec<String> = kept.iter().map(Filter::text).collect();
    texts.sort_unstable();
    texts
}

/// Whether some topic matches both filters.
pub fn overlap(one: &str, other: &str) -> bool {
    Filter::parse(one).overlaps(&Filter::parse(other))
}

/// A filter as levels, of which `None` is `+`, and whether more levels may follow.
///
/// `#` also matches the level above it (\[MQTT-4.7.1-2\]), so `a/#` is `a` and perhaps more. A topic has at least one
/// level, so a bare `#` is `+` and perhaps more.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    levels: Vec<Option<String>>,
    more: bool,
}

impl Filter {
    fn parse(text: &str) -> Filter {
        let (text, more) = match text.strip_suffix("/#") {
            Some(parent) => (parent, true),
            None if text == "#" => ("+", true),
            None => (text, false),
        };
        let level = |part: &str| (part != "+").then(|| part.to_owned());
        Filter { levels: text.split('/').map(level).collect(), more }
    }

    fn text(&self) -> String {
        if self.more && self.levels == [None] {
            return "#".into();
        }
        let mut parts: Vec<&str> = self.levels.iter().map(|level| level.as_deref().unwrap_or("+")).collect();
        if self.more {
            parts.push("#");
        }
        parts.join("/")
    }

    /// Whether some topic matches both.
    fn overlaps(&self, other: &Filter) -> bool {
        let (short, long) =
            if self.levels.len() <= other.levels.len() { (self, other) } else { (other, self) };
        let lengths = short.levels.len() == long.levels.len() || short.more;
        let pairs = short.levels.iter().zip(&long.levels).enumerate();
        lengths && pairs.into_iter().all(|(index, pair)| meets(index, pair))
    }

    /// The narrowest filter that matches all that the two match, for two that overlap.
    fn join(&self, other: &Filter) -> Filter {
        let level = |(a, b): (&Option<String>, &Option<String>)| if a == b { a.clone() } else { None };
        Filter {
            levels: self.levels.iter().zip(&other.levels).map(level).collect(),
            more: self.more || other.more || self.levels.len() != other.levels.len(),
        }
    }
}

/// A wildcard in the first level does not match a topic that begins with `$` (\[MQTT-4.7.2-1\]).
fn meets(index: usize, pair: (&Option<String>, &Option<String>)) -> bool {
    match pair {
        (Some(a), Some(b)) => a == b,
        (Some(text), None) | (None, Some(text)) => index > 0 || !text.starts_with('$'),
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_pipeline::topic::TopicPattern;

    #[test]
    fn reductions() {
        let check = |filters: &[&str], expected: &[&str]| {
            assert_eq!(reduce(filters.iter().map(|&f| f.to_owned())), expected, "{filters:?}");
        };
        check(&[], &[]);
        check(&["a/b", "a/c"], &["a/b", "a/c"]);
        check(&["a/b", "a/b"], &["a/b"]);
        check(&["a/+", "a/b"], &["a/+"]);
        check(&["a/b", "a/#"], &["a/#"]);
        check(&["a", "a/#"], &["a/#"]);
        check(&["a/+/c", "a/b/+"], &["a/+/+"]);
        check(&["a/+/c", "a/b/#"], &["a/+/#"]);
        check(&["+", "a/#"], &["#"]);
        check(&["#", "$SYS/#", "x"], &["#", "$SYS/#"]);
        check(&["+/x", "$SYS/x"], &["$SYS/x", "+/x"]);
        check(&["$SYS/+", "$SYS/a"], &["$SYS/+"]);
        // Joining the first two makes a filter that meets the third.
        check(&["a/+/c", "a/d/e", "a/b/+"], &["a/+/+"]);
        check(&["/a", "a"], &["/a", "a"]);
    }

    #[test]
    fn overlaps() {
        let check = |one: &str, other: &str, expected: bool| {
            assert_eq!((overlap(one, other), overlap(other, one)), (expected, expected), "{one} {other}");
        };
        check("a/b", "a/b", true);
        check("a/b", "a/c", false);
        check("tidegate/pi/+/+/+/#", "sensors/+/+", false);
        check("tidegate/pi/+/+/+/#", "+/+/+", false);
        check("tidegate/pi/+/+/+/#", "+/+/+/+/+", true);
        check("tidegate/pi/+", "#", true);
        check("a/#", "a", true);
        check("$a/+", "+/+", false);
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop_oneof![Just("a"), Just("b"), Just(""), Just("+")];
        let first = prop_oneof![3 => Just("a"), 2 => Just("b"), 1 => Just("$s"), 2 => Just("+")];
        (first, proptest::collection::vec(level, 0..4), any::<bool>()).prop_map(|(first, rest, more)| {
            let mut parts = vec![first];
            parts.extend(rest);
            if more {
                parts.push("#");
            }
            if parts == ["+", "#"] { "#".into() } else { parts.join("/") }
        })
    }

    fn topic() -> impl Strategy<Value = String> {
        let level = prop_oneof![Just("a"), Just("b"), Just(""), Just("c")];
        let first = prop_oneof![3 => Just("a"), 2 => Just("b"), 1 => Just("$s"), 1 => Just("c")];
        (first, proptest::collection::vec(level, 0..5)).prop_map(|(first, rest)| {
            let mut parts = vec![first];
            parts.extend(rest);
            parts.join("/")
        })
    }

    fn matching(filters: &[String], topic: &str) -> usize {
        filters.iter().filter(|filter| TopicPattern::parse(filter).unwrap().covers(topic)).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn what_matched_matches_exactly_once(
            filters in proptest::collection::vec(filter(), 0..8),
            topics in proptest::collection::vec(topic(), 20),
        ) {
            let reduced = reduce(filters.clone());
            for topic in topics {
                let times = matching(&reduced, &topic);
                prop_assert!(times <= 1, "{topic} matches {reduced:?} {times} times");
                prop_assert!(times == 1 || matching(&filters, &topic) == 0, "{topic} matches none of {reduced:?}");
            }
        }
    }
}
