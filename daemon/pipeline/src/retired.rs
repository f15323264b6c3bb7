//! Retired groups: what is still known of series whose summary is another now, or gone.
//!
//! Somebody tries a window of ten seconds instead of a minute, and takes it back. Then the same keys are made again, while
//! windows under them were closed before: these have to be amended, not made a second time under revision 0. So the group
//! rests until its windows are forgotten, and goes on where its keys come back.

use crate::limits::RETIRED_GROUPS_MAX;
use crate::plan::Keys;
use crate::series::{Extra, Group};
use crate::state::NumberedGroup;
use crate::time::Time;
use crate::window::Carry;
use serde::{Deserialize, Serialize};

/// Groups that rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retired(Vec<Resting>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Resting {
    keys: Keys,
    numbered: NumberedGroup,
}

impl Retired {
    /// Lets a group rest whose windows are closed. One that has none to amend is not kept.
    pub(crate) fn retire(&mut self, keys: Keys, numbered: &NumberedGroup) {
        let NumberedGroup { number, group } = numbered;
        let amends = group.epoch.is_none() && group.closed_max > Time::MIN && group.is_idle();
        if !amends || matches!(group.extra, Extra::Sorted(_)) {
            return;
        }
        let mut group = group.clone();
        group.streams.clear();
        group.members.clear();
        // Others have gone on since with what came last.
        group.carry = Carry::default();
        self.0.push(Resting { keys, numbered: NumberedGroup { number: *number, group } });
    }

    /// Takes the groups away whose keys a plan makes again: `summary` says which of its summaries does.
    pub(crate) fn revive(&mut self, summary: impl Fn(&Keys) -> Option<u16>) -> Vec<NumberedGroup> {
        let mut revived = Vec::new();
        self.0.retain_mut(|resting| {
            let Some(summary) = summary(&resting.keys) else { return true };
            let NumberedGroup { number, group } = &mut resting.numbered;
            let group = std::mem::replace(group, Group::vacant());
            revived.push(NumberedGroup { number: *number, group: Group { summary, ..group } });
            false
        });
        revived
    }

    /// Forgets those whose windows are, and of too many those that closed one longest ago.
    pub(crate) fn forget(&mut self, forgotten: Option<Time>) {
        let closed_max = |resting: &Resting| resting.numbered.group.closed_max;
        self.0.retain(|resting| forgotten.is_none_or(|forgotten| closed_max(resting) > forgotten));
        if self.0.len() > RETIRED_GROUPS_MAX {
            self.0.sort_by_key(closed_max);
            self.0.drain(..self.0.len() - RETIRED_GROUPS_MAX);
        }
    }
}
