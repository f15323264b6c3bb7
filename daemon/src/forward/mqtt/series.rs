//! What an output remembers of what it has published: which values were announced, and the newest of each series. Both are
//! bounded, and lost with the process.

use crate::limits;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// By hash of the topic.
    newest: BTreeMap<u64, Timestamp>,
    /// Hashes of values that were announced on this connection.
    announced: BTreeSet<u64>,
    told: bool,
}

impl Series {
    /// Whether an event of this time is to replace what the broker keeps at `topic`: not one that is older than what is there,
    /// such as an amendment.
    pub(super) fn is_newest(&mut self, topic: &str, time: &str) -> bool {
        let (Ok(time), hash) = (time.parse::<Timestamp>(), xxh3_64(topic.as_bytes())) else { return true };
        let has_room = self.newest.len() < limits::RETAINED_SERIES_MAX;
        match self.newest.get_mut(&hash) {
            Some(newest) if time < *newest => return false,
            Some(newest) => *newest = time,
            None if has_room => drop(self.newest.insert(hash, time)),
            None => {}
        }
        true
    }

    /// Whether this is to be announced now; it counts as announced then.
    pub(super) fn announce(&mut self, what: &str) -> bool {
        let hash = xxh3_64(what.as_bytes());
        if self.announced.contains(&hash) {
            return false;
        }
        if self.announced.len() >= limits::DISCOVERED_MAX {
            if !std::mem::replace(&mut self.told, true) {
                let max = limits::DISCOVERED_MAX;
                tracing::warn!("{max} values are announced for discovery; the others are published only");
            }
            return false;
        }
        self.announced.insert(hash)
    }

    /// On another connection everything is announced again.
    pub(super) fn forget_announced(&mut self) {
        self.announced.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_event_replaces_nothing() {
        let mut series = Series::default();
        for (time, newest) in [
            ("2026-11-22T10:00:00Z", true),
            ("2026-11-22T10:00:00.75Z", true),
            ("2026-11-22T10:00:00Z", false),
            ("2026-11-22T10:00:00.75Z", true),
            ("2026-11-22T11:00:00Z", true),
        ] {
            assert_eq!(series.is_newest("a", time), newest, "{time}");
        }
        assert!(series.is_newest("b", "2026-11-22T09:00:00Z"), "each topic for itself");
    }

    #[test]
    fn memory_is_bounded() {
        let mut series = Series::default();
        let announced = (0..limits::DISCOVERED_MAX + 10).filter(|n| series.announce(&n.to_string())).count();
        assert_eq!(announced, limits::DISCOVERED_MAX);
        assert!(!series.announce("0"));
        series.forget_announced();
        assert!(series.announce("0"));
        for n in 0..limits::RETAINED_SERIES_MAX + 10 {
            assert!(series.is_newest(&n.to_string(), "2026-11-22T10:00:00Z"));
        }
        assert_eq!(series.newest.len(), limits::RETAINED_SERIES_MAX);
    }
}
