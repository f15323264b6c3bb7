//! Room: what is done when the buffer is nearly full, and when there is none left.

use super::Heart;
use crate::config::model::WhenFull;
use crate::store::{Shed, StoreError};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The file is up to so many times as large as what is in it: pages are three quarters full, and redb (4.6) doubles the file
/// when it needs another.
const SPREAD: u64 = 3;
/// A transaction takes new pages before the old ones are free, which they are after the next; and the file may double for them.
const TURNOVER: u64 = 4;
/// In sixteenths of `[buffer] max_size`: more is not set aside for that.
const TURNOVER_MAX: u64 = 4;
/// In the same: above the first room is made, until it is below the second.
const HIGH: u64 = 14;
const LOW: u64 = 13;
/// In the same: below it nobody need be told any more.
const RELIEF: u64 = 12;
/// In the same: what is kept only to be amended may take so much.
const AMENDABLE: u64 = 4;
/// It is looked for what is kept only to be amended so often, where room is scarce.
const PRESS_EVERY: Duration = Duration::from_secs(1);
/// In the log it is said so often how full the buffer is.
const TELL_EVERY: Duration = Duration::from_secs(600);
/// When nothing more could be had it is tried again once this part of `max_size` has changed.
const CHANGE: u64 = 64;

/// So much is made less at a time where outputs with a budget cannot carry it all.
const THIN_BYTES: u64 = 256 << 10;

/// What is known of the room that there is.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Room is being made.
    shedding: bool,
    /// With so many bytes there was nothing more to be had.
    spent: Option<u64>,
    /// It was last looked then for what is kept only to be amended.
    pressed: Option<Instant>,
    /// There is none: nothing is taken.
    full: bool,
    /// More waits for an output with a budget than that can carry.
    thin: bool,
    /// It was last said then that there is little, and that there is none.
    told: [Option<Instant>; 2],
    /// Something was given up since there was room.
    dropping: bool,
    /// Bytes written since the start, …
    written: u64,
    /// … and the most in one turn, lately.
    largest: u64,
}

impl Room {
    /// A turn is over: so much was written since the start.
    pub(super) fn wrote(&mut self, written: u64) {
        let turn = written.saturating_sub(self.written);
        self.largest = turn.max(self.largest - self.largest / 16);
        self.written = written;
    }
}

impl Heart {
    /// Whether the buffer is full. Then nothing is taken, nothing is acknowledged and no window closes until outputs have
    /// confirmed enough: senders keep what they have.
    pub(super) fn is_full(&self) -> bool {
        self.room.full
    }

    /// More waits for an output with a budget than that can carry: some of it is merged in the next turn.
    pub(super) fn thin(&mut self, wanted: bool) {
        self.room.thin |= wanted && self.parts.buffer.when_full == WhenFull::RollUp;
    }

    /// Whether there is more room to be made, at once.
    pub(super) fn is_shedding(&self) -> bool {
        (self.room.thin || self.room.shedding && self.room.spent.is_none()) && self.trouble.is_none()
    }

    /// Whether there is nothing to be had of what waits: nothing does, or no less of it is to be had.
    pub(super) fn is_spent(&self) -> bool {
        self.room.spent.is_some() || self.parts.store.queued() == 0
    }

    /// Makes some room where that is due: one transaction, so that what comes in does not wait for long.
    pub(super) fn make_room(&mut self, now: Instant) {
        let (used, max) = (self.used(), self.parts.buffer.bytes_max);
        let bound = if self.room.shedding { LOW } else { HIGH };
        let scarce = used >= max / 16 * bound;
        if scarce || self.room.thin {
            self.parts.store.set_out_of_turn(self.parts.mailbox.out_of_turn());
        }
        if scarce && let Err(error) = self.press(now) {
            return self.refused(&error, None, now);
        }
        self.room.shedding = scarce && self.parts.buffer.when_full != WhenFull::Refuse;
        let spent = self.room.spent.is_some_and(|at| used.abs_diff(at) < max / CHANGE);
        // What is only kept to be amended goes first; whether that is enough shows in the next turn.
        if self.room.shedding && !spent && self.press.is_none() {
            self.room.spent = None;
            match self.shed((used - max / 16 * LOW) / SPREAD) {
                Ok(shed) => self.made_room(shed, used),
                Err(error) => return self.refused(&error, None, now),
            }
        }
        if std::mem::take(&mut self.room.thin) && !self.room.shedding {
            match self.parts.store.roll_up(THIN_BYTES) {
                Ok(shed) => self.made_room(Shed { spent: false, ..shed }, used),
                Err(error) => return self.refused(&error, None, now),
            }
        }
        self.tell_room(now);
    }

    /// Whether there is so little room that it is worth a checkpoint.
    pub(super) fn is_scarce(&self) -> bool {
        self.used() >= self.parts.buffer.bytes_max / 16 * RELIEF
    }

    /// The size that the file has, or may grow to: `max_size` bounds the file.
    fn used(&self) -> u64 {
        // A file that is small beside its turns could not take anything, if all of that counted.
        let turnover = (TURNOVER * self.room.largest).min(self.parts.buffer.bytes_max / 16 * TURNOVER_MAX);
        SPREAD * self.parts.store.live_bytes() + turnover
    }

    /// Looks which windows that are kept only to be amended have to go. Whatever else is done: when outputs have taken
    /// everything, these are all that there is.
    fn press(&mut self, now: Instant) -> Result<(), StoreError> {
        if self.press.is_none() && self.room.pressed.is_none_or(|at| now >= at + PRESS_EVERY) {
            self.room.pressed = Some(now);
            let bytes_max = self.parts.buffer.bytes_max / 16 / SPREAD * AMENDABLE;
            self.press = self.parts.store.amendable_beyond(bytes_max)?;
        }
        Ok(())
    }

    fn shed(&mut self, bytes: u64) -> Result<Shed, StoreError> {
        let store = &mut self.parts.store;
        let shed = match self.parts.buffer.when_full {
            WhenFull::Refuse => return Ok(Shed::default()),
            WhenFull::DropOldest => store.drop_oldest(bytes, true)?,
            WhenFull::RollUp => {
                let merged = store.roll_up(bytes)?;
                if !merged.spent {
                    return Ok(merged);
                }
                // What never merges goes last.
                store.drop_oldest(bytes, false)?
            }
        };
        if shed.events > 0 && !self.room.dropping {
            self.room.dropping = true;
            tracing::error!(
                "the buffer is full: the oldest events that wait are dropped, counted under `full`"
            );
        }
        Ok(shed)
    }

    fn made_room(&mut self, shed: Shed, used: u64) {
        if shed.events > 0 {
            self.parts.figures.commits.fetch_add(1, Ordering::Relaxed);
            self.parts.mailbox.committed(&[], true);
            self.shed = true;
        }
        if shed.spent {
            self.room.spent = Some(used);
        }
    }

    /// Says how it stands.
    fn tell_room(&mut self, now: Instant) {
        let (used, max) = (self.used(), self.parts.buffer.bytes_max);
        self.room.full = used >= max;
        if self.room.full {
            // Nothing is written: what the largest turn took is free again by and by.
            self.room.largest -= self.room.largest / 16;
            self.write_memory(now);
        }
        let text = if self.room.full && SPREAD * self.parts.store.state_bytes() > max / 2 {
            "is full, mostly of what is known of series and senders, which no output takes: nothing is acknowledged. Raise \
             buffer.max_size"
        } else if self.room.full {
            "is full: nothing is acknowledged until outputs take what waits. Mend the output, or raise buffer.max_size"
        } else if used < max / 16 * RELIEF {
            self.room.dropping = false;
            if self.parts.health.clear("buffer") {
                tracing::info!("the buffer has room again");
            }
            return;
        } else if !self.room.shedding {
            // It stays as it was said: room was made, and is needed again soon.
            return;
        } else {
            match self.parts.buffer.when_full {
                WhenFull::Refuse => return,
                WhenFull::RollUp if !self.room.dropping => {
                    "is nearly full: the oldest windows that wait are merged into coarser ones until outputs take them. Mend \
                     the output, or raise buffer.max_size"
                }
                WhenFull::RollUp | WhenFull::DropOldest => {
                    "is full: the oldest events that wait are dropped, until outputs take what waits. Mend the output, or \
                     raise buffer.max_size"
                }
            }
        };
        let text = format!("the buffer {text}");
        if !self.parts.health.raise("buffer", text.as_str()) {
            return;
        }
        // Where there is just too little, it is full and not quite full in turns.
        let told = &mut self.room.told[usize::from(self.room.full)];
        if told.is_some_and(|at| now < at + TELL_EVERY) {
            return;
        }
        *told = Some(now);
        match self.room.full {
            true => tracing::error!(used, max, "{text}"),
            false => tracing::warn!(used, max, "{text}"),
        }
    }
}
