//! Rejections per series: which sensor sends what cannot be counted, and why.

use crate::limits::REJECTING_SERIES_SHOWN;
use crate::state::State;
use crate::verdict::Reason;
use serde::{Deserialize, Serialize};

/// Counts by reason, sorted; few, as there are few reasons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rejections(Vec<(Reason, u32)>);

impl Rejections {
    pub(crate) fn add(&mut self, reason: Reason) {
        match self.0.binary_search_by_key(&reason, |(reason, _)| *reason) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(1),
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (reason, 1));
            }
        }
    }

    /// Reasons and counts, in the order of the reasons.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Of all reasons together.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| u64::from(count)).sum()
    }
}

/// A series with its rejections, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRejections {
    /// The stream's name.
    pub stream: String,
    /// What is measured.
    pub metric: String,
    /// Whose.
    pub tags: Vec<(String, String)>,
    /// By reason.
    pub reasons: Vec<(Reason, u32)>,
}

impl SeriesRejections {
    /// Of all reasons together.
    pub fn total(&self) -> u64 {
        self.reasons.iter().map(|(_, count)| u64::from(*count)).sum()
    }
}

/// The series with the most rejections. Derived from the state; as counts only rise, looking at each series when its
/// count does is enough.
#[derive(Debug, Default)]
pub(crate) struct Worst {
    /// Totals and numbers of series, in no order.
    series: Vec<(u64, u32)>,
}

impl Worst {
    /// What the state says.
    pub(crate) fn of(state: &State) -> Worst {
        let mut worst = Worst::default();
        for (at, series) in (0..).zip(&state.series) {
            worst.note(at, &series.rejections);
        }
        worst
    }

    /// The rejections of a series are more now.
    pub(crate) fn note(&mut self, series: u32, rejections: &Rejections) {
        let total = rejections.total();
        if total == 0 {
            return;
        }
        if let Some(known) = self.series.iter_mut().find(|(_, known)| *known == series) {
            known.0 = total;
        } else if self.series.len() < REJECTING_SERIES_SHOWN {
            self.series.push((total, series));
        } else if let Some(least) = self.series.iter_mut().min()
            && least.0 < total
        {
            *least = (total, series);
        }
    }

    /// There is no such series any more; the next one takes its place.
    pub(crate) fn forget(&mut self, series: u32, state: &State) {
        if self.series.iter().any(|(_, known)| *known == series) {
            *self = Worst::of(state);
        }
    }

    /// The most first.
    pub(crate) fn list(&self) -> Vec<u32> {
        let mut series = self.series.clone();
        series.sort_unstable_by_key(|&(total, series)| (std::cmp::Reverse(total), series));
        series.into_iter().map(|(_, series)| series).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_by_reason() {
        let mut rejections = Rejections::default();
        [Reason::Spike, Reason::Range, Reason::Spike].into_iter().for_each(|reason| rejections.add(reason));
        assert_eq!(rejections.iter().collect::<Vec<_>>(), [(Reason::Range, 1), (Reason::Spike, 2)]);
        assert_eq!(rejections.total(), 3);
    }

    proptest! {
        /// The same totals as sorting all series. Broken by: replacing another than the least.
        #[test]
        fn the_worst_are_the_worst(rejected in prop::collection::vec(0u32..60, 0..600)) {
            let mut worst = Worst::default();
            let mut all = vec![Rejections::default(); 60];
            for &series in &rejected {
                all[series as usize].add(Reason::Range);
                worst.note(series, &all[series as usize]);
            }
            let mut totals: Vec<u64> = all.iter().map(Rejections::total).filter(|total| *total > 0).collect();
            totals.sort_unstable_by(|a, b| b.cmp(a));
            totals.truncate(REJECTING_SERIES_SHOWN);
            let found: Vec<u64> = worst.list().iter().map(|series| all[*series as usize].total()).collect();
            prop_assert_eq!(found, totals);
        }
    }
}
