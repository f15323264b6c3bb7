//! What became of the readings of one device.

use super::boot::Boot;
use super::{Device, Health};
use crate::limits::BOOTS_MAX;
use crate::rejections::Rejections;
use crate::ticks::Estimate;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// Readings that did not come, by where they were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The device says that it gave them up: dropped, or merged into a neighbour.
    pub sensor: u64,
    /// Their numbers never came, and the device did not say that it gave them up.
    pub air: u64,
}

/// All boots of a device, as far as frames came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The last few, the latest begun last.
    boots: Vec<Boot>,
    /// By boots before them, and final.
    ended: Lost,
    /// Numbers that came.
    came: u64,
    counted: u64,
    duplicate: u64,
    /// What came and was not counted, by reason.
    refused: Rejections,
}

impl Account {
    /// Whether no number has come.
    pub(super) fn is_blank(&self) -> bool {
        self.boots.is_empty()
    }

    /// A number came that had not come before.
    pub(super) fn came(&mut self, boot: u64, number: u64) {
        self.came = self.came.saturating_add(1);
        if let Some(boot) = self.find(boot) {
            return boot.came(number);
        }
        let known = !self.is_blank();
        if self.boots.len() == BOOTS_MAX {
            let gone = self.boots.remove(0);
            self.ended.sensor = self.ended.sensor.saturating_add(gone.sensor());
            self.ended.air = self.ended.air.saturating_add(gone.air());
        }
        self.boots.push(Boot::new(boot, number, known));
    }

    /// The device said how it is.
    pub(super) fn says(&mut self, boot: u64, uptime: i64, health: Health) {
        if let Some(boot) = self.find(boot) {
            boot.says(uptime, health);
        }
    }

    /// Whether a status says more than is known.
    pub(super) fn is_news(&self, boot: u64, uptime: i64) -> bool {
        self.boots.iter().any(|known| known.id == boot && known.is_news(uptime))
    }

    /// What was decided about one of its readings, or about a message that could not be read.
    pub(super) fn decided(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Counted => self.counted += 1,
            Verdict::Duplicate => self.duplicate += 1,
            Verdict::Rejected(reason) | Verdict::DeadLettered(reason) => self.refused.add(reason),
        }
    }

    /// Which of its numbers came is not remembered any more.
    pub(super) fn settle(&mut self) {
        self.boots.iter_mut().for_each(Boot::settle);
    }

    /// For people.
    pub(super) fn shown(&self, stream: String, sender: String, estimate: Estimate) -> Device {
        Device {
            stream,
            sender,
            estimate,
            numbers: self.came,
            counted: self.counted,
            duplicate: self.duplicate,
            refused: self.refused.iter().collect(),
            lost: self.lost(),
            health: self.health(),
        }
    }

    /// What did not come, over all boots.
    pub(super) fn lost(&self) -> Lost {
        self.boots.iter().fold(self.ended, |lost, boot| Lost {
            sensor: lost.sensor.saturating_add(boot.sensor()),
            air: lost.air.saturating_add(boot.air()),
        })
    }

    /// What came and was not counted, and what did not come.
    pub(super) fn all_lost(&self) -> u64 {
        let Lost { sensor, air } = self.lost();
        sensor.saturating_add(air).saturating_add(self.refused.total())
    }

    /// What it told last about itself, since its latest boot that told anything.
    pub(super) fn health(&self) -> Option<Health> {
        self.boots.iter().rev().find_map(|boot| boot.health).map(|(_, health)| health)
    }

    fn find(&mut self, id: u64) -> Option<&mut Boot> {
        self.boots.iter_mut().rev().find(|boot| boot.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_end_with_what_is_missing() {
        let mut account = Account::default();
        let air = |account: &Account| account.lost().air;
        // Each boot misses as many as its number says.
        for boot in 0..6 {
            account.came(boot, boot);
            // A first frame of an unknown device says nothing of what was before; this one has number 0.
            assert_eq!(air(&account), (0..=boot).sum::<u64>(), "{boot}");
        }
        // The last four can still be completed, the others are over.
        account.came(5, 0);
        account.came(2, 1);
        assert_eq!((air(&account), account.boots.len()), (13, BOOTS_MAX));
        account.says(2, 9, Health { dropped: Some(1), ..Health::default() });
        assert_eq!(account.lost(), Lost { sensor: 1, air: 12 });
        assert_eq!(account.health().unwrap().dropped, Some(1));
        account.says(5, 1, Health { dropped: Some(4), ..Health::default() });
        account.came(6, 0);
        assert_eq!(account.lost(), Lost { sensor: 5, air: 8 });
        // Of the boot that is no more nothing is heard, of the last it is.
        account.says(2, 10, Health { dropped: Some(3), ..Health::default() });
        assert_eq!((account.lost().sensor, account.health().unwrap().dropped), (5, Some(4)));
    }
}
