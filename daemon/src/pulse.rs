//! Liveness: every part of the daemon that turns by itself has a pulse, which says what it does or waits for, and when it
//! shows itself again at the latest.
//!
//! Terms:
//!
//! - **part**: the runtime's thread, the writer, the history's thread, the task of each source, of each output, and of the commands
//!   of a function.
//! - **does**: something that must be over within a time of its own.
//! - **sleeps**: until a moment that it has set itself, and wakes without anybody's help.
//! - **waits**: for somebody outside, for as long as that takes: a quiet night, a reader, a full disk. No restart mends that.
//! - **wedged**: did not show itself again although it was due. A restart may mend that.
//!
//! Time is an argument where something is decided. Monotonic: a step of the wall clock is no sign of life or death.

use crate::limits::WEDGED_AFTER;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All parts that run.
#[derive(Debug, Default)]
pub struct Pulses(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    next: u64,
    parts: BTreeMap<u64, Arc<Part>>,
}

#[derive(Debug)]
struct Part {
    name: String,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    what: &'static str,
    /// `None`: somebody outside decides.
    due: Option<Instant>,
}

/// The pulse of one part. A default one is nobody's: nobody looks at it.
#[derive(Debug, Default)]
pub struct Pulse(Option<Registered>);

#[derive(Debug)]
struct Registered {
    part: Arc<Part>,
    number: u64,
    pulses: Arc<Pulses>,
}

/// A part that did not show itself again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wedged {
    /// Who.
    pub part: String,
    /// What it was about.
    pub what: &'static str,
    /// For how long it has been due.
    pub late: Duration,
}

impl Pulses {
    /// A pulse for the part `name`, with an article: `the writer`, `the output ingest`.
    pub fn part(self: &Arc<Pulses>, name: impl Into<String>) -> Pulse {
        let part = Arc::new(Part { name: name.into(), state: Mutex::default() });
        let mut registry = lock(&self.0);
        let number = registry.next;
        registry.next += 1;
        registry.parts.insert(number, Arc::clone(&part));
        Pulse(Some(Registered { part, number, pulses: Arc::clone(self) }))
    }

    /// The part that has been due for longest at `now`, if any is.
    pub fn wedged(&self, now: Instant) -> Option<Wedged> {
        let registry = lock(&self.0);
        let late = |part: &Arc<Part>| {
            let State { what, due } = *lock(&part.state);
            let late = now.checked_duration_since(due?).filter(|late| !late.is_zero())?;
            Some(Wedged { part: part.name.clone(), what, late })
        };
        registry.parts.values().filter_map(late).max_by_key(|wedged| wedged.late)
    }
}

impl Pulse {
    /// It does something that takes no longer than `within`.
    pub fn does(&self, what: &'static str, within: Duration) {
        self.set(what, Instant::now().checked_add(within));
    }

    /// It sleeps until a moment that it has set itself.
    pub fn sleeps(&self, what: &'static str, until: Instant) {
        self.set(what, until.checked_add(WEDGED_AFTER));
    }

    /// It waits for somebody outside.
    pub fn waits(&self, what: &'static str) {
        self.set(what, None);
    }

    /// It has ended as it should.
    pub fn ends(&self) {
        self.waits("nothing: it has ended");
    }

    fn set(&self, what: &'static str, due: Option<Instant>) {
        if let Some(registered) = &self.0 {
            *lock(&registered.part.state) = State { what, due };
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if let Some(Registered { number, pulses, .. }) = &self.0 {
            lock(&pulses.0).parts.remove(number);
        }
    }
}

impl fmt::Display for Wedged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wedged { part, what, late } = self;
        write!(f, "{part} is stuck: it {what}, and should have been back {} s ago", late.as_secs())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn whoever_is_due_is_wedged_and_whoever_waits_is_not() {
        let pulses = Arc::new(Pulses::default());
        let pulse = pulses.part("the writer");
        let start = Instant::now();
        let check = |after: Duration, expected: Option<&str>| {
            let wedged = pulses.wedged(start + after);
            assert_eq!(wedged.as_ref().map(|wedged| wedged.what), expected, "{after:?}: {wedged:?}");
        };
        check(3_600 * S, None);
        pulse.does("commits", 10 * S);
        check(9 * S, None);
        check(12 * S, Some("commits"));
        pulse.sleeps("sleeps until the next window closes", start + 100 * S);
        check(100 * S + WEDGED_AFTER, None);
        check(101 * S + WEDGED_AFTER, Some("sleeps until the next window closes"));
        pulse.waits("waits for the disk");
        check(86_400 * S, None);
        pulse.does("commits", S);
        check(3 * S, Some("commits"));
        drop(pulse);
        check(3 * S, None);
    }

    #[test]
    fn the_one_that_is_late_for_longest_is_named() {
        let pulses = Arc::new(Pulses::default());
        let (first, second, third) = (pulses.part("a"), pulses.part("the output b"), pulses.part("c"));
        first.does("sends", 20 * S);
        second.does("sends", 10 * S);
        third.waits("waits for events");
        let wedged = pulses.wedged(Instant::now() + 60 * S).unwrap();
        assert_eq!((wedged.part.as_str(), wedged.late.as_secs()), ("the output b", 50));
        assert_eq!(wedged.to_string(), "the output b is stuck: it sends, and should have been back 50 s ago");
    }

    #[test]
    fn nobody_s_pulse_is_looked_at_by_nobody() {
        let pulse = Pulse::default();
        pulse.does("turns", Duration::ZERO);
        pulse.ends();
    }
}
