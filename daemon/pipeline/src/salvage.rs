//! After damage: what of a state can go on when entries behind it are lost.
//!
//! A window that was open then may have closed in what is lost, and its event been sent. To close it again would count its
//! readings twice, so it goes on only where that is known not to be so. What is given up is accounted for.

use crate::clock::Hold;
use crate::entry::{Entry, Event};
use crate::pipeline::Pipeline;
use crate::plan::Plan;
use crate::series::Extra;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use crate::window::{Cutter, Sorted};
use std::collections::BTreeMap;

/// What went with the entries that are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Open windows.
    pub windows: u64,
    /// Readings that were in them, or held.
    pub readings: u64,
    /// Raw readings that waited for an event.
    pub raw: u64,
}

impl Pipeline {
    /// The same under another `source`: what it sends from now on are parts of another gateway's windows, as the store's
    /// name is new.
    pub fn renamed(self, source: String) -> Pipeline {
        let plan = Plan { source, ..Plan::clone(&self.plan) };
        Pipeline::restore(plan, self.state)
    }

    /// Gives up every open window but those (by number of the group, start and end) of which `keep` knows that they have
    /// not closed since, and what was held.
    pub fn give_up(self, keep: &dyn Fn(u32, Time, Time) -> bool) -> (Pipeline, GivenUp) {
        let Pipeline { plan, cutters, mut state, .. } = self;
        let mut given = GivenUp::default();
        // A reading is in windows of several summaries, and lost once.
        let mut by_summary: BTreeMap<u16, u64> = BTreeMap::new();
        for numbered in state.groups.iter_mut().filter(|numbered| !numbered.group.is_vacant()) {
            let (number, group) = (numbered.number, &mut numbered.group);
            let certain =
                matches!(&cutters[usize::from(group.summary)], Cutter::Aligned(cut) if !cut.shares_panes());
            let lost = by_summary.entry(group.summary).or_default();
            group.open.retain(|open| {
                let keeps = certain && open.late.is_none() && keep(number, open.start, open.end);
                if !keeps {
                    given.windows += 1;
                    *lost += u64::from(open.content.completeness.received);
                }
                keeps
            });
            match &mut group.extra {
                Extra::Hopping(waiting) => waiting.clear(),
                Extra::Sorted(sorted) => {
                    given.windows += u64::from(!sorted.is_idle());
                    *lost += sorted.readings();
                    **sorted = Sorted::default();
                }
                Extra::Nothing | Extra::Sessions(_) => {}
            }
        }
        let counted = by_summary.into_values().max().unwrap_or(0).min(state.ledger.counted);
        state.ledger.counted -= counted;
        given.readings = counted + state.held.readings();
        state.ledger.add(Verdict::Rejected(Reason::Damaged), given.readings);
        state.held = Hold::default();
        // Whether an event holds them is not known. They are counted all the same.
        given.raw = state.raw.waiting();
        state.raw.buffers.clear();
        (Pipeline::restore(Plan::clone(&plan), state), given)
    }

    /// Accounts for the readings of an entry that cannot be replayed, because one before it is lost. What it counted may
    /// be in an event or not. Gives how many readings that is.
    pub fn account_for(&mut self, entry: &Entry) -> u64 {
        let events = entry.events.iter().filter_map(|(_, event)| match event {
            Event::Account { verdict, count } => Some((*verdict, *count)),
            _ => None,
        });
        let readings = entry.readings.iter().map(|reading| (reading.verdict, 1));
        let mut doubtful = 0;
        for (verdict, count) in readings.chain(events) {
            let known = match verdict {
                Verdict::Counted => Verdict::Rejected(Reason::Damaged),
                other => other,
            };
            doubtful += if known == verdict { 0 } else { count };
            self.state.ledger.add(known, count);
        }
        doubtful
    }

    /// Accounts for readings that are among the dead letters, and whose entries are lost.
    pub fn account_for_letters(&mut self, readings: u64) {
        if readings > 0 {
            self.state.ledger.add(Verdict::DeadLettered(Reason::Damaged), readings);
        }
    }
}
