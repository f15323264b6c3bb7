//! Retired groups: what is still known of series whose summary is another now, or gone.
//!
//! Somebody tries a window of ten seconds instead of a minute, and takes it back. Then the same keys are made again, while
//! windows under them were closed before: these have to be amended, not made a second time under revision 0. So the group
//! rests until its windows are forgotten, and goes on where a series asks for one of its name.

use crate::limits::RETIRED_GROUPS_MAX;
use crate::plan::{Keys, Kind};
use crate::series::{Extra, Group};
use crate::state::NumberedGroup;
use crate::time::Time;
use crate::window::Carry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Groups that rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retired(Vec<Resting>);

/// Those of one summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Resting {
    keys: Keys,
    groups: BTreeMap<Name, NumberedGroup>,
}

/// What distinguishes the groups of a summary: epoch, metric and the values of its tags.
pub(crate) type Name = (Option<u32>, String, Vec<Option<String>>);

impl Retired {
    /// Lets a group rest whose windows are closed. One that has none to amend is not kept.
    pub(crate) fn retire(&mut self, keys: &Keys, numbered: &NumberedGroup) {
        let NumberedGroup { number, group } = numbered;
        let amends = group.closed_max > Time::MIN && group.is_idle();
        if !amends || matches!(group.extra, Extra::Sorted(_)) {
            return;
        }
        let mut group = group.clone();
        group.streams.clear();
        group.members.clear();
        group.kind = Kind::default();
        // Others have gone on since with what came last.
        group.carry = Carry::default();
        let name = (group.epoch, group.metric.clone(), group.tags.clone());
        let place = self.0.iter().position(|resting| resting.keys == *keys).unwrap_or_else(|| {
            self.0.push(Resting { keys: keys.clone(), groups: BTreeMap::new() });
            self.0.len() - 1
        });
        self.0[place].groups.insert(name, NumberedGroup { number: *number, group });
    }

    /// Takes the group of this name away, which goes on.
    pub(crate) fn take(&mut self, keys: &Keys, name: &Name) -> Option<NumberedGroup> {
        let place = self.0.iter().position(|resting| resting.keys == *keys)?;
        let numbered = self.0[place].groups.remove(name);
        if self.0[place].groups.is_empty() {
            self.0.remove(place);
        }
        numbered
    }

    /// Whether nothing rests.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets those whose windows are.
    pub(crate) fn forget(&mut self, forgotten: Option<Time>) {
        self.retain(|group| group.epoch.is_some() || Some(group.closed_max) > forgotten);
    }

    /// Forgets of too many those that closed a window longest ago.
    pub(crate) fn shrink(&mut self) {
        let mut ends: Vec<Time> = self.groups().map(|group| group.closed_max).collect();
        if let Some(more) = ends.len().checked_sub(RETIRED_GROUPS_MAX).filter(|more| *more > 0) {
            let (_, last, _) = ends.select_nth_unstable(more - 1);
            let last = *last;
            self.retain(|group| group.closed_max > last);
        }
    }

    /// The clock has another epoch: those of others never come back.
    pub(crate) fn forget_other_epochs(&mut self, epoch: Option<u32>) {
        self.retain(|group| group.epoch.is_none() || group.epoch == epoch);
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        self.0.iter().flat_map(|resting| resting.groups.values()).map(|numbered| &numbered.group)
    }

    fn retain(&mut self, keep: impl Fn(&Group) -> bool) {
        self.0.retain_mut(|resting| {
            resting.groups.retain(|_, numbered| keep(&numbered.group));
            !resting.groups.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SummaryPlan;

    fn keys() -> Keys {
        Keys::of(&SummaryPlan::default(), &[])
    }

    fn rest(retired: &mut Retired, number: u32, epoch: Option<u32>) {
        let closed_max = Time(i64::from(number));
        let group = Group { metric: format!("m{number}"), epoch, closed_max, ..Group::vacant() };
        retired.retire(&keys(), &NumberedGroup { number, group });
    }

    #[test]
    fn of_too_many_the_oldest_go() {
        let mut retired = Retired::default();
        let max = u32::try_from(RETIRED_GROUPS_MAX).unwrap();
        (1..=max + 5).for_each(|number| rest(&mut retired, number, None));
        retired.forget(Some(Time(2)));
        retired.shrink();
        assert_eq!(retired.groups().count(), RETIRED_GROUPS_MAX);
        let mut take = |number: u32| retired.take(&keys(), &(None, format!("m{number}"), Vec::new()));
        assert_eq!(take(5), None);
        assert_eq!(take(6).map(|numbered| numbered.number), Some(6));
        assert_eq!(take(6), None);
    }

    #[test]
    fn what_was_made_without_the_time_rests_as_long_as_its_epoch() {
        let mut retired = Retired::default();
        rest(&mut retired, 1, Some(3));
        rest(&mut retired, 2, Some(4));
        rest(&mut retired, 3, None);
        retired.forget(Some(Time(2)));
        assert_eq!(retired.groups().count(), 3);
        retired.forget_other_epochs(Some(4));
        assert_eq!(retired.groups().map(|group| group.epoch).collect::<Vec<_>>(), [None, Some(4)]);
        retired.forget_other_epochs(None);
        retired.forget(Some(Time(3)));
        assert!(retired.is_empty());
    }
}
