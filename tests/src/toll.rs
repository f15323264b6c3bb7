//! What a soak took: how many faults of each kind, and what became of the readings meanwhile.

use std::collections::BTreeMap;
use std::fmt;

/// Faults and readings of one run, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toll {
    /// How many of each kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Readings that were acknowledged to their sensors.
    pub acknowledged: u64,
    /// Of those, how many no summary has.
    pub lost: u64,
    /// How many were counted more than once.
    pub double: u64,
    /// How many were counted that nobody sent.
    pub invented: u64,
}

impl Toll {
    /// One more fault of this kind.
    pub fn fault(&mut self, kind: &'static str) {
        self.faults_of(kind, 1);
    }

    /// So many more of this kind.
    pub fn faults_of(&mut self, kind: &'static str, count: u64) {
        if count > 0 {
            *self.faults.entry(kind).or_default() += count;
        }
    }

    /// Another run's is added to this one.
    pub fn add(&mut self, other: Toll) {
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.double += other.double;
        self.invented += other.invented;
    }

    /// Whether the promise was kept.
    pub fn is_clean(&self) -> bool {
        self.lost + self.double + self.invented == 0
    }
}

/// The table that a soak ends with.
impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readings = [
            ("readings acknowledged", self.acknowledged),
            ("lost", self.lost),
            ("double", self.double),
            ("invented", self.invented),
        ];
        let all = ("faults in all", self.faults.values().sum());
        let faults = self.faults.iter().map(|(kind, count)| (*kind, *count)).chain([all]);
        let width = |name: &str| name.chars().count();
        let name_width = faults.clone().chain(readings).map(|(name, _)| width(name)).max().unwrap_or(0);
        let count_width =
            faults.clone().chain(readings).map(|(_, count)| grouped(count).len()).max().unwrap_or(0);
        let line = "-".repeat(name_width + 2 + count_width);
        writeln!(f, "{line}")?;
        for (name, count) in faults {
            writeln!(f, "{name:<name_width$}  {:>count_width$}", grouped(count))?;
        }
        writeln!(f, "{line}")?;
        for (name, count) in readings {
            writeln!(f, "{name:<name_width$}  {:>count_width$}", grouped(count))?;
        }
        write!(f, "{line}")
    }
}

/// With a comma between thousands.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<_> =
        digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let mut toll = Toll { acknowledged: 1_234_567, ..Toll::default() };
        toll.fault("kill -9 of the daemon");
        let mut more = Toll { lost: 1, ..Toll::default() };
        more.fault("kill -9 of the daemon");
        more.fault("cut");
        assert!(toll.is_clean());
        toll.add(more);
        assert!(!toll.is_clean());
        let expected = "\
--------------------------------
cut                            1
kill -9 of the daemon          2
faults in all                  3
--------------------------------
readings acknowledged  1,234,567
lost                           1
double                         0
invented                       0
--------------------------------";
        assert_eq!(toll.to_string(), expected);
    }
}
