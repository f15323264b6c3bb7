//! The clock of the machine: an uptime that never lies while it runs, and a time of day that somebody may vouch for.

use super::world::START_US;
use std::sync::{Arc, Mutex, MutexGuard};
use tidegate::clock::TimeSource;
use tidegate_pipeline::time::{Span, Time};

/// A machine without a real-time clock starts here.
const YEAR_1970_US: i64 = 12_000_000;

#[derive(Debug, Default)]
struct State {
    /// The world's time, in µs.
    now: u64,
    /// When it was switched on.
    booted: u64,
    boot: u64,
    /// How far the time of day is from the world's, in µs, at `set` …
    error: i64,
    set: u64,
    /// … and how much it gains from there, in millionths.
    drift: i64,
    vouched: bool,
}

/// The machine's clock. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine(Arc<Mutex<State>>);

impl Machine {
    /// A machine that was switched on before the world began, with the right time.
    pub(super) fn new() -> Machine {
        let machine = Machine::default();
        (machine.state().boot, machine.state().vouched) = (1, true);
        machine
    }

    /// The world's time goes on.
    pub(super) fn at(&self, now: u64) {
        self.state().now = now;
    }

    /// The power was gone and is back: `right` where a real-time clock went on meanwhile.
    pub(super) fn boots(&self, right: bool) {
        let mut state = self.state();
        (state.booted, state.set) = (state.now, state.now);
        state.boot += 1;
        state.vouched = right;
        state.error = if right { 0 } else { YEAR_1970_US - (START_US + state.now.cast_signed()) };
    }

    /// Somebody sets it so far from the right time.
    pub(super) fn steps_to(&self, error: i64) {
        let mut state = self.state();
        (state.error, state.set) = (error, state.now);
    }

    /// An NTP client sets it, and vouches for it.
    pub(super) fn synchronises(&self) {
        self.steps_to(0);
        self.state().vouched = true;
    }

    /// From now on it gains so many millionths.
    pub(super) fn drifts(&self, millionths: i64) {
        let mut state = self.state();
        (state.error, state.set) = (error_of(&state), state.now);
        state.drift = millionths;
    }

    /// How far it is from the right time, in µs.
    pub(super) fn error(&self) -> i64 {
        error_of(&self.state())
    }

    /// Whether somebody vouches for it.
    pub(super) fn is_vouched(&self) -> bool {
        self.state().vouched
    }

    /// For how long it has been running.
    pub(super) fn up(&self) -> Span {
        let state = self.state();
        Span((state.now - state.booted).cast_signed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn error_of(state: &State) -> i64 {
    state.error + state.drift * (state.now - state.set).cast_signed() / 1_000_000
}

impl TimeSource for Machine {
    fn uptime(&mut self) -> Span {
        self.up()
    }

    fn wall(&mut self) -> Time {
        let state = self.state();
        Time(START_US + state.now.cast_signed() + error_of(&state))
    }

    fn vouched(&mut self, _: Time) -> Option<&'static str> {
        self.state().vouched.then_some("the simulation")
    }

    fn boot(&self) -> u64 {
        self.state().boot
    }
}
