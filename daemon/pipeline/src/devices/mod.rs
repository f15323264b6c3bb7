//! Devices that send frames of firmware: how they are, and what became of the readings that they numbered.
//!
//! A reading can be lost in three places. *On the sensor*: the device says how many it gave up. *In the air*: its number
//! never came, and the device did not say that it gave it up. *At the gateway*: it came, and was refused for a reason. What
//! is missing is known exactly, because a counter knows each number that came ([`crate::dedupe::boots`]); which of the
//! missing the device gave up is only known as a count.
//!
//! A device is what has a clock ([`crate::ticks`]): its account stands under the number of that.

mod account;
mod boot;
mod known;

pub use account::{Account, Lost};
pub use known::Device;

use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// How a device is, by its own word. What it does not know it leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Readings that wait to be sent.
    pub queued: Option<u32>,
    /// Readings since the boot that were given up because the queue was full.
    pub dropped: Option<u32>,
    /// How often it has started.
    pub resets: Option<u32>,
    /// Strength of the radio signal, in dBm.
    pub rssi_dbm: Option<i8>,
    /// Voltage of the battery, in millivolts.
    pub battery_mv: Option<u16>,
}

/// What happened to a device besides its readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It said how it is.
    Health {
        /// Its boot.
        boot: u64,
        /// In microseconds, when it said so.
        uptime: i64,
        /// What it said.
        health: Health,
    },
    /// A reading without a series was decided on, or a message that could not be read.
    Decided(Verdict),
}

/// What became of the readings of all devices, those that made room included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Given up by the device.
    pub sensor: u128,
    /// Missing and unexplained.
    pub air: u128,
    /// Came and were not counted.
    pub gateway: u64,
}

/// All accounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Devices {
    /// By the number of the clock. Blank where no frame came.
    accounts: Vec<Account>,
    /// How many are not blank.
    known: u32,
    /// Devices that made room for another.
    evicted: u64,
    totals: Totals,
}

impl Devices {
    /// The clock of this number belongs to a device that is new.
    pub(crate) fn met(&mut self, clock: u32) {
        self.reach(clock as usize + 1);
        let account = &mut self.accounts[clock as usize];
        if !account.is_blank() {
            self.known -= 1;
            self.evicted += 1;
        }
        *account = Account::default();
    }

    /// There is an account for each of so many clocks.
    pub(crate) fn reach(&mut self, clocks: usize) {
        if self.accounts.len() < clocks {
            self.accounts.resize_with(clocks, Account::default);
        }
    }

    /// A number came that had not come before.
    pub(crate) fn came(&mut self, clock: u32, boot: u64, number: u64) {
        self.change(clock, |account| account.came(boot, number));
    }

    /// Something else happened.
    pub(crate) fn note(&mut self, clock: u32, change: Change) {
        match change {
            Change::Health { boot, uptime, health } => {
                self.change(clock, |account| account.says(boot, uptime, health));
            }
            Change::Decided(verdict) => self.decided(clock, verdict),
        }
    }

    /// What was decided about one of its readings.
    pub(crate) fn decided(&mut self, clock: u32, verdict: Verdict) {
        let Some(account) = self.accounts.get_mut(clock as usize) else { return };
        account.decided(verdict);
        if let Verdict::Rejected(_) | Verdict::DeadLettered(_) = verdict {
            self.totals.gateway += 1;
        }
    }

    /// Which numbers came is not remembered any more.
    pub(crate) fn settle(&mut self, clock: u32) {
        if let Some(account) = self.accounts.get_mut(clock as usize) {
            account.settle();
        }
    }

    /// Whether a status says more than is known.
    pub(crate) fn is_news(&self, clock: u32, boot: u64, uptime: i64) -> bool {
        self.accounts.get(clock as usize).is_some_and(|account| account.is_news(boot, uptime))
    }

    /// The same, of these clocks only, in this order.
    pub(crate) fn of(&self, clocks: impl Iterator<Item = u32>) -> Devices {
        let account = |clock: u32| self.accounts.get(clock as usize).cloned().unwrap_or_default();
        let accounts: Vec<_> = clocks.map(account).collect();
        let known = accounts.iter().filter(|account| !account.is_blank()).count();
        Devices { known: crate::pipeline::number(known), accounts, ..self.clone() }
    }

    /// By the number of the clock.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// How many devices have sent frames.
    pub fn known(&self) -> u32 {
        self.known
    }

    /// How many made room for another.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What all of them lost.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Keeps the totals in step: what an account loses more or less, they do.
    fn change(&mut self, clock: u32, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.accounts.get_mut(clock as usize) else { return };
        let (before, was_blank) = (account.lost(), account.is_blank());
        change(account);
        let after = account.lost();
        self.known += u32::from(was_blank && !account.is_blank());
        let moved = |total: u128, before: u64, after: u64| {
            (total + u128::from(after)).saturating_sub(u128::from(before))
        };
        self.totals.sensor = moved(self.totals.sensor, before.sensor, after.sensor);
        self.totals.air = moved(self.totals.air, before.air, after.air);
    }
}
