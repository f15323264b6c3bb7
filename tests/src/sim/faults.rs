//! The faults: what goes wrong, when, and for how long.

use super::cloud::Mood;
use super::setup::{RENAMED, VARIANTS};
use super::world::{Event, World, millis, secs};
use std::io::ErrorKind;
use tidegate_medium::Trouble;

/// What stops being wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mend {
    Disk,
    Cloud(usize),
    Clock,
}

/// Calls that are looked at for the next fault of the disk: a transaction is some ten.
const CALLS: u64 = 60;

impl World {
    /// Something goes wrong.
    pub(super) fn fault(&mut self) {
        let what = match self.random.u32(..22) {
            0..3 => {
                self.trouble(|random| Trouble::CutAt(random.u64(1..CALLS)));
                "power cut in a write"
            }
            3 => {
                self.power_cut();
                "power cut"
            }
            4..6 => {
                self.kill();
                "kill -9"
            }
            6 => {
                self.stop();
                "SIGTERM"
            }
            7 => {
                self.restarts_in_a_row();
                "restarts in a row"
            }
            8..10 => {
                const KINDS: [ErrorKind; 3] =
                    [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::Interrupted];
                self.trouble(|random| Trouble::FailAt(random.u64(1..CALLS), KINDS[random.usize(..3)]));
                "failed write or sync"
            }
            10 => {
                self.trouble(|random| Trouble::ReadFailsAt(random.u64(1..CALLS)));
                "failed read"
            }
            11 => {
                self.trouble(|_| Trouble::Broken);
                self.mend(Mend::Disk, 60);
                "broken disk"
            }
            12 => {
                let room = self.gateway.disk.used() + self.random.u64(..65_536);
                self.gateway.disk.room(Some(room));
                self.mend(Mend::Disk, 120);
                "full disk"
            }
            13..15 => {
                self.break_connection();
                "connection lost"
            }
            15 => self.broker_fault(),
            16..20 => self.cloud_fault(),
            20 => self.clock_fault(),
            _ => self.change(),
        };
        self.toll.fault(what);
        self.history.note(self.now, what, &[]);
    }

    /// Both functions are away, or fail, until all is well.
    pub(super) fn leave(&mut self) {
        self.history.note(self.now, "functions away for long", &[]);
        self.toll.fault("functions away for long");
        self.left = true;
        let mut moods = [Mood::Away; 2];
        if self.setup.buffer.is_some() {
            // What was taken, and is not known to be, merges with the rest.
            moods =
                moods.map(|_| [Mood::Away, Mood::Mute, Mood::Liar, Mood::Failing][self.random.usize(..4)]);
        }
        for (function, mood) in self.cloud.iter_mut().zip(moods) {
            function.mood = mood;
        }
    }

    /// All is well from here on.
    pub(super) fn quiet(&mut self) {
        self.history.note(self.now, "quiet", &[]);
        for mend in [Mend::Disk, Mend::Cloud(0), Mend::Cloud(1), Mend::Clock] {
            self.mended(mend);
        }
        self.synchronise();
        self.broker_recovers();
        self.machine.drifts(0);
    }

    /// One more reading of each sensor, when all is well: it has to arrive within a bound.
    pub(super) fn probe(&mut self) {
        for at in 0..self.sensors.len() {
            let first = self.oracle.readings.len();
            if let Some(message) = self.take_reading(at, 0, false) {
                self.probes.extend(first..self.oracle.readings.len());
                self.publish(message);
            }
        }
    }

    /// What was wrong is not any more.
    pub(super) fn mended(&mut self, mend: Mend) {
        match mend {
            Mend::Disk => {
                self.gateway.disk.trouble(Trouble::None);
                self.gateway.disk.room(None);
            }
            Mend::Cloud(_) if self.left && self.now < self.quiet_at => {}
            Mend::Cloud(output) => self.cloud[output].mood = Mood::Well,
            Mend::Clock => self.machine.steps_to(0),
        }
        self.wake();
    }

    fn mend(&mut self, mend: Mend, secs_max: u64) {
        let at = self.now + millis(self.random.u64(500..secs_max * 1_000));
        self.at(at, Event::Mend(mend));
    }

    fn trouble(&mut self, draw: impl FnOnce(&mut fastrand::Rng) -> Trouble) {
        let trouble = draw(&mut self.random);
        self.gateway.disk.trouble(trouble);
    }

    /// Each start is cut short, at any moment of it.
    fn restarts_in_a_row(&mut self) {
        self.kill();
        let mut at = self.now;
        for _ in 0..self.random.u32(2..5) {
            at += millis(self.random.u64(50..9_000));
            self.at(at, Event::Kill);
        }
    }

    fn broker_fault(&mut self) -> &'static str {
        let loses = self.setup.forgets && self.random.bool();
        if self.random.u32(..3) == 0 {
            self.broker_repeats();
            return "packet sent twice";
        }
        let back = self.now + millis(self.random.u64(100..20_000));
        self.hang_up(false);
        self.broker_restarts(back, !loses);
        self.at(back, Event::Connect);
        if loses { "session lost" } else { "broker restarted" }
    }

    fn cloud_fault(&mut self) -> &'static str {
        if self.left {
            return "function away";
        }
        let output = self.random.usize(..self.cloud.len());
        let (mood, what) = match self.random.u32(..10) {
            0..2 => (Mood::Mute, "answers lost"),
            2 => (Mood::Liar, "taken and answered 500"),
            3 => (Mood::Busy, "429"),
            4 => (Mood::Small(self.random.usize(1..5)), "413"),
            5 => (Mood::Failing, "5xx"),
            6 => (Mood::Unauthorised, "401"),
            7 => (Mood::Picky, "some events named as failed"),
            _ => (Mood::Away, "function away"),
        };
        self.cloud[output].mood = mood;
        self.mend(Mend::Cloud(output), 400);
        what
    }

    fn clock_fault(&mut self) -> &'static str {
        if !self.setup.clocks {
            self.break_connection();
            return "connection lost";
        }
        match self.random.u32(..3) {
            0 => {
                self.machine.drifts(self.random.i64(-500..500));
                "clock drifts"
            }
            1 => {
                let error = self.random.i64(-90..90) * 1_000_000;
                self.machine.steps_to(error);
                self.mend(Mend::Clock, 300);
                "clock set wrong"
            }
            _ => {
                // Weeks off, and somebody vouches for it: what came may be refused, and is accounted for.
                let error = self.random.i64(-30..30) * secs(86_400).cast_signed();
                self.machine.steps_to(error);
                self.oracle.excuse_all();
                self.weeks_off = true;
                self.mend(Mend::Clock, 60);
                "clock set wrong by weeks"
            }
        }
    }

    fn change(&mut self) -> &'static str {
        if !self.setup.changes {
            self.break_connection();
            return "connection lost";
        }
        // A summary that was renamed does not get its old name back within `amend`: see the note there.
        let variant = if self.gateway.variant == RENAMED { RENAMED } else { self.random.usize(..VARIANTS) };
        let told = self.random.bool();
        self.reconfigure(variant, told);
        "configuration changed"
    }
}
