//! The account of one start of a device: which of its numbers are missing, and how many of those the device gave up itself.

use super::Health;
use serde::{Deserialize, Serialize};

/// Numbers are counted from 0 since the boot, one for each reading (docs/wire.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Boot {
    pub(super) id: u64,
    /// Where the account begins: above 0 for a device that was met in the middle of things.
    first: u64,
    highest: u64,
    /// Nobody knows any more which of the numbers below came.
    floor: u64,
    /// Numbers below the highest that did not come.
    missing: u64,
    /// How many of them are from before the device was met: they may have gone to somebody else.
    before: u64,
    /// Readings that the device says it gave up.
    told: u64,
    /// How many of those cannot be among the missing: they had a number of an earlier boot, or came after all.
    elsewhere: u64,
    /// What it told last about itself, and at which uptime.
    pub(super) health: Option<(i64, Health)>,
}

impl Boot {
    /// A boot of which `number` came first. All below are missing where the device was known.
    pub(super) fn new(id: u64, number: u64, known: bool) -> Boot {
        let (first, before) = if known { (0, 0) } else { (number, number) };
        Boot {
            id,
            first,
            highest: number,
            floor: 0,
            missing: number,
            before,
            told: 0,
            elsewhere: 0,
            health: None,
        }
    }

    /// A number came that had not come before.
    pub(super) fn came(&mut self, number: u64) {
        if number > self.highest {
            self.missing = self.missing.saturating_add(number - self.highest - 1);
            self.highest = number;
        } else if number >= self.floor {
            self.missing = self.missing.saturating_sub(1);
            self.before = self.before.saturating_sub(u64::from(number < self.first));
        }
    }

    /// Which numbers came is not remembered any more: what is missing now stays so.
    pub(super) fn settle(&mut self) {
        self.floor = self.highest.saturating_add(1);
    }

    /// Whether a status of this uptime is younger than what is known.
    pub(super) fn is_news(&self, uptime: i64) -> bool {
        self.health.is_none_or(|(at, _)| at < uptime)
    }

    /// The device said at an uptime how it is, in a frame whose numbers are noted.
    pub(super) fn says(&mut self, uptime: i64, health: Health) {
        if !self.is_news(uptime) {
            return;
        }
        let is_first = self.health.is_none();
        self.health = Some((uptime, health));
        let Some(dropped) = health.dropped.map(u64::from) else { return };
        if is_first {
            // What was given up before the device was met explains what is missing from then.
            self.before = self.before.saturating_sub(dropped);
        }
        self.told = self.told.max(dropped);
        if health.queued == Some(0) {
            // Nothing waits, so all that was given up lies below the highest number. What is not missing there has no number
            // here, and must not explain what goes missing later.
            self.elsewhere = self.elsewhere.max(dropped.saturating_sub(self.missing));
        }
    }

    /// Given up by the device.
    pub(super) fn sensor(&self) -> u64 {
        self.told
    }

    /// Never came, and the device did not say that it gave them up.
    pub(super) fn air(&self) -> u64 {
        let explained = self.told.saturating_sub(self.elsewhere);
        self.missing.saturating_sub(self.before).saturating_sub(explained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Do {
        /// Numbers from, to (exclusive).
        Come(u64, u64),
        /// Uptime, dropped, queued.
        Say(i64, u32, u32),
        Settle,
    }
    use Do::{Come, Say, Settle};

    /// What is lost on the sensor and in the air, after each.
    fn check(known: bool, script: &[(Do, (u64, u64))]) {
        let mut boot: Option<Boot> = None;
        for (at, (act, expected)) in script.iter().enumerate() {
            match act {
                Come(from, to) => (*from..*to).for_each(|number| match &mut boot {
                    Some(boot) => boot.came(number),
                    None => boot = Some(Boot::new(7, number, known)),
                }),
                Say(uptime, dropped, queued) => {
                    let health =
                        Health { dropped: Some(*dropped), queued: Some(*queued), ..Health::default() };
                    boot.as_mut().unwrap().says(*uptime, health);
                }
                Settle => boot.as_mut().unwrap().settle(),
            }
            let boot = boot.as_ref().unwrap();
            assert_eq!((boot.sensor(), boot.air()), *expected, "{at}: {boot:?}");
        }
    }

    #[test]
    fn gaps_open_and_close() {
        check(
            true,
            &[
                (Come(0, 10), (0, 0)),
                (Come(20, 30), (0, 10)),
                (Come(12, 15), (0, 7)),
                // The sensor explains five of them.
                (Say(1, 5, 0), (5, 2)),
                (Come(10, 12), (5, 0)),
                (Come(31, 32), (5, 1)),
            ],
        );
    }

    #[test]
    fn what_the_sensor_gives_up_explains_gaps_that_come_later() {
        // It says so while the gap still waits in its queue.
        check(
            true,
            &[(Come(0, 10), (0, 0)), (Say(1, 6, 40), (6, 0)), (Come(16, 20), (6, 0)), (Come(22, 23), (6, 2))],
        );
        // It gave up readings of the boot before, or some that came after all: they explain nothing here.
        check(true, &[(Come(0, 10), (0, 0)), (Say(1, 6, 0), (6, 0)), (Come(12, 13), (6, 2))]);
        check(
            true,
            &[
                (Come(0, 1), (0, 0)),
                (Come(4, 5), (0, 3)),
                (Say(1, 5, 0), (5, 0)),
                (Come(10, 11), (5, 5)),
                (Say(2, 7, 0), (7, 3)),
            ],
        );
        // An older frame says nothing new.
        check(true, &[(Come(0, 1), (0, 0)), (Say(5, 4, 9), (4, 0)), (Say(4, 1, 0), (4, 0))]);
    }

    #[test]
    fn a_device_is_met() {
        // It was known: its boot began at 0.
        check(true, &[(Come(5, 8), (0, 5)), (Come(2, 3), (0, 4))]);
        // It was not: nobody knows who got the first.
        check(false, &[(Come(1_000_000, 1_000_010), (0, 0)), (Come(1_000_012, 1_000_013), (0, 2))]);
        // Its first frame came second.
        check(
            false,
            &[(Come(5, 8), (0, 0)), (Come(1, 5), (0, 0)), (Come(9, 10), (0, 1)), (Come(0, 1), (0, 1))],
        );
        // What it gave up before is part of that.
        check(false, &[(Come(40, 50), (0, 0)), (Say(1, 40, 3), (40, 0)), (Come(53, 54), (40, 3))]);
        check(false, &[(Come(900, 950), (0, 0)), (Say(1, 40, 3), (40, 0)), (Come(953, 954), (40, 3))]);
    }

    #[test]
    fn what_is_forgotten_stays_missing() {
        check(
            true,
            &[
                (Come(0, 1), (0, 0)),
                (Come(5, 6), (0, 4)),
                (Settle, (0, 4)),
                (Come(2, 6), (0, 4)),
                (Come(8, 9), (0, 6)),
                (Come(7, 8), (0, 5)),
            ],
        );
    }

    #[test]
    fn numbers_that_no_device_has() {
        check(true, &[(Come(3, 4), (0, 3)), (Come(u64::MAX - 1, u64::MAX), (0, u64::MAX - 2))]);
    }
}
