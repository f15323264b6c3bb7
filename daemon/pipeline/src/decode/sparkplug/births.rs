//! What nodes and devices said in their births: the names behind the aliases. State, because data refers to it.

use crate::limits::{SPARKPLUG_BIRTHS_MAX, SPARKPLUG_METRICS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The births that are in force, by `source/group/node` and `source/group/node/device`. None of the parts holds a slash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Births {
    births: BTreeMap<String, Birth>,
    /// Metrics of all of them.
    metrics: usize,
}

/// What one node or device said of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Birth {
    /// The node's number of this start (`bdSeq`).
    pub start: Option<u8>,
    /// Metrics with an alias, sorted by it.
    pub aliases: Vec<(u64, String, u8)>,
    /// Metrics without one, sorted by name.
    pub names: Vec<(String, u8)>,
}

/// What a message changes about the births.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// `name` was born.
    Birth {
        /// A node or device.
        name: String,
        /// What it said.
        birth: Birth,
    },
    /// `name` died.
    Death {
        /// A node or device.
        name: String,
    },
}

impl Births {
    /// What `name` said.
    pub fn get(&self, name: &str) -> Option<&Birth> {
        self.births.get(name)
    }

    /// Whether `change` changes anything.
    pub(crate) fn is_news(&self, change: &Change) -> bool {
        match change {
            Change::Birth { name, birth } => {
                (self.births.get(name) != Some(birth) || self.devices(name).next().is_some())
                    && (self.births.contains_key(name) || self.has_room(birth))
            }
            Change::Death { name } => self.births.contains_key(name) || self.devices(name).next().is_some(),
        }
    }

    /// The birth or death of a node ends its devices: they are born again after it (Sparkplug 3.0, 6.4.19).
    pub(crate) fn note(&mut self, change: &Change) {
        let (Change::Birth { name, .. } | Change::Death { name }) = change;
        let devices: Vec<_> = self.devices(name).cloned().collect();
        for gone in devices.iter().chain([name]) {
            self.metrics -= self.births.remove(gone).map_or(0, |birth| birth.len());
        }
        if let Change::Birth { name, birth } = change
            && self.has_room(birth)
        {
            self.metrics += birth.len();
            self.births.insert(name.clone(), birth.clone());
        }
    }

    fn has_room(&self, birth: &Birth) -> bool {
        self.births.len() < SPARKPLUG_BIRTHS_MAX && self.metrics + birth.len() <= SPARKPLUG_METRICS_MAX
    }

    /// The devices of a node. `0` is the character after `/`.
    fn devices(&self, node: &str) -> impl Iterator<Item = &String> {
        self.births.range(format!("{node}/")..format!("{node}0")).map(|(name, _)| name)
    }
}

impl Birth {
    fn len(&self) -> usize {
        self.aliases.len() + self.names.len()
    }

    pub(super) fn by_alias(&self, alias: u64) -> Option<(&str, u8)> {
        let at = self.aliases.binary_search_by_key(&alias, |(alias, ..)| *alias).ok()?;
        Some((&self.aliases[at].1, self.aliases[at].2))
    }

    pub(super) fn by_name(&self, name: &str) -> Option<u8> {
        let at = self.names.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(self.names[at].1)
    }

    /// Of an alias or name that is given twice the first counts.
    pub(super) fn sort(&mut self) {
        self.aliases.sort_by_key(|(alias, ..)| *alias);
        self.aliases.dedup_by_key(|(alias, ..)| *alias);
        self.names.sort();
        self.names.dedup_by(|a, b| a.0 == b.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn born(name: &str, count: usize) -> Change {
        let names = (0..count).map(|n| (format!("{n:05}"), 9)).collect();
        Change::Birth { name: name.into(), birth: Birth { names, ..Birth::default() } }
    }

    #[test]
    fn a_node_takes_its_devices_along() {
        let mut births = Births::default();
        for name in ["s/g/n", "s/g/n/d", "s/g/n1", "s/g/n1/d"] {
            assert!(births.is_news(&born(name, 1)));
            births.note(&born(name, 1));
            assert!(!births.is_news(&born(name, 1)), "{name}");
        }
        assert!(births.is_news(&born("s/g/n", 1)), "its device is born again");
        births.note(&born("s/g/n", 1));
        assert!(births.get("s/g/n/d").is_none() && births.get("s/g/n1/d").is_some());
        let death = Change::Death { name: "s/g/n1".into() };
        births.note(&death);
        assert!(!births.is_news(&death));
        assert_eq!((births.births.len(), births.metrics), (1, 1));
    }

    #[test]
    fn there_is_an_end() {
        let mut births = Births::default();
        let count = SPARKPLUG_METRICS_MAX / 1_000;
        (0..count).for_each(|n| births.note(&born(&format!("s/g/n{n}"), 1_000)));
        let more = born("s/g/more", SPARKPLUG_METRICS_MAX % 1_000 + 1);
        assert!(!births.is_news(&more));
        births.note(&more);
        assert!(births.get("s/g/more").is_none());
        assert!(births.is_news(&born("s/g/n1", 1)), "known ones go on");
    }
}
