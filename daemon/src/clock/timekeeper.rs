//! The writer's clock: uptime plus an offset, and whether somebody vouches for the offset.

use crate::limits::CLOCK_LOOK;
use tidegate_pipeline::clock::ClockNow;
use tidegate_pipeline::time::{Span, Time};

/// Differences between wall clock and uptime below this are how long it takes to ask for both.
const NOISE: Span = Span::from_millis(10);

/// The first offset has nothing to be held against: the quickest of so many answers gives it.
const FIRST_ASKED: usize = 8;

/// Where a [`Timekeeper`] gets what it knows. Tests have their own.
pub trait TimeSource: Send {
    /// Time since the machine started, time asleep included.
    fn uptime(&mut self) -> Span;
    /// What the system takes for the time of day.
    fn wall(&mut self) -> Time;
    /// Who vouches for that, if anybody; `last` is a time that has certainly passed.
    fn vouched(&mut self, last: Time) -> Option<&'static str>;
    /// Names this run of the machine.
    fn boot(&self) -> u64;
}

/// The writer's clock.
pub struct Timekeeper {
    source: Box<dyn TimeSource>,
    last: Time,
    offset: Option<Span>,
    /// When somebody vouched, or did not, and who.
    looked: Option<(Span, Option<&'static str>)>,
}

/// What is known of the time at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// For the pipeline.
    pub now: ClockNow,
    /// Who vouches for it.
    pub by: Option<&'static str>,
}

impl Timekeeper {
    /// A clock that knows that `last` has passed: the last time that the store knows of.
    pub fn new(source: impl TimeSource + 'static, last: Time) -> Timekeeper {
        Timekeeper { source: Box::new(source), last, offset: None, looked: None }
    }

    /// Now.
    pub fn look(&mut self) -> Sight {
        let (up, offset) = self.read();
        let by = match self.looked {
            Some((at, by)) if up.0.saturating_sub(at.0) < CLOCK_LOOK.0 => by,
            _ => self.source.vouched(self.last),
        };
        if self.looked.is_none_or(|(at, _)| up.0.saturating_sub(at.0) >= CLOCK_LOOK.0) {
            self.looked = Some((up, by));
        }
        Sight { now: ClockNow { up, offset, trusted: by.is_some(), boot: self.source.boot() }, by }
    }

    /// Uptime and offset. The offset stays what it is until the wall clock was set: asking for two times is not one moment.
    fn read(&mut self) -> (Span, Span) {
        let (up, measured, took) = match self.offset {
            None => (0..FIRST_ASKED).map(|_| self.ask()).min_by_key(|(_, _, took)| *took).unwrap_or_default(),
            Some(_) => self.ask(),
        };
        let offset = match self.offset {
            // Interrupted in between; the next look is a better one.
            Some(offset) if took > NOISE || near(measured, offset) => offset,
            _ => measured,
        };
        self.offset = Some(offset);
        (up, offset)
    }

    /// Uptime, the offset that it shows, and how long asking took. So no moment is earlier than it was, but for what lies
    /// below a millisecond.
    fn ask(&mut self) -> (Span, Span, Span) {
        let before = self.source.uptime();
        let wall = self.source.wall();
        let up = self.source.uptime();
        (up, Span(wall.0.saturating_sub(before.0)), Span(up.0.saturating_sub(before.0)))
    }
}

fn near(a: Span, b: Span) -> bool {
    a.0.saturating_sub(b.0).saturating_abs() <= NOISE.0
}

impl std::fmt::Debug for Timekeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timekeeper").field("offset", &self.offset).field("looked", &self.looked).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What a test makes of the world.
    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<World>>);

    #[derive(Default)]
    struct World {
        up_ms: i64,
        wall_ms: i64,
        /// How long each question takes, the next so many times.
        slow_ms: i64,
        slow_times: u32,
        by: Option<&'static str>,
        asked: u32,
    }

    impl Fake {
        fn set(&self, change: impl FnOnce(&mut World)) {
            change(&mut self.0.lock().unwrap());
        }
    }

    impl TimeSource for Fake {
        fn uptime(&mut self) -> Span {
            let mut world = self.0.lock().unwrap();
            if let Some(times) = world.slow_times.checked_sub(1) {
                world.slow_times = times;
                world.up_ms += world.slow_ms;
                world.wall_ms += world.slow_ms;
            }
            Span::from_millis(world.up_ms)
        }
        fn wall(&mut self) -> Time {
            Time::from_millis(self.0.lock().unwrap().wall_ms)
        }
        fn vouched(&mut self, _: Time) -> Option<&'static str> {
            let mut world = self.0.lock().unwrap();
            world.asked += 1;
            world.by
        }
        fn boot(&self) -> u64 {
            7
        }
    }

    #[test]
    fn time_goes_on_with_the_uptime_and_steps_with_the_wall() {
        let fake = Fake::default();
        let mut keeper = Timekeeper::new(fake.clone(), Time::MIN);
        let mut check = |change: &dyn Fn(&mut World), expected_ms: i64| {
            fake.set(|world| change(world));
            let sight = keeper.look();
            assert_eq!(sight.now.now(), Time::from_millis(expected_ms));
            assert_eq!(sight.now.boot, 7);
        };
        check(&|world| (world.up_ms, world.wall_ms) = (1_000, 5_000), 5_000);
        check(&|world| (world.up_ms, world.wall_ms) = (2_000, 6_000), 6_000);
        // Noise is none of the clock's.
        check(&|world| (world.up_ms, world.wall_ms) = (3_000, 7_004), 7_000);
        check(&|world| (world.up_ms, world.wall_ms) = (4_000, 9_000_000), 9_000_000);
        check(&|world| (world.up_ms, world.wall_ms) = (5_000, 2_000), 2_000);
    }

    /// Drift of the wall clock is followed before it is worth a word.
    #[test]
    fn drift_is_followed() {
        let fake = Fake::default();
        let mut keeper = Timekeeper::new(fake.clone(), Time::MIN);
        for second in 0..1_000 {
            fake.set(|world| (world.up_ms, world.wall_ms) = (second * 1_000, second * 1_001));
            let off = keeper.look().now.now().since(Time::from_millis(second * 1_001));
            assert!(off.0.abs() <= NOISE.0, "{second}: {off:?}");
        }
    }

    #[test]
    fn a_look_that_was_interrupted_is_no_step() {
        let fake = Fake::default();
        let mut keeper = Timekeeper::new(fake.clone(), Time::MIN);
        let offset = keeper.look().now.offset;
        fake.set(|world| (world.slow_ms, world.slow_times) = (500, 2));
        assert_eq!(keeper.look().now.offset, offset);
    }

    #[test]
    fn an_interrupted_start_is_asked_again() {
        let fake = Fake::default();
        fake.set(|world| (world.wall_ms, world.slow_ms, world.slow_times) = (1_000, 500, 3));
        let mut keeper = Timekeeper::new(fake, Time::MIN);
        assert_eq!(keeper.look().now.offset, Span::from_millis(1_000));
    }

    #[test]
    fn who_vouches_is_asked_once_a_second() {
        let fake = Fake::default();
        let mut keeper = Timekeeper::new(fake.clone(), Time::MIN);
        let mut check = |up_ms: i64, by, trusted: bool, asked: u32| {
            fake.set(|world| (world.up_ms, world.wall_ms, world.by) = (up_ms, up_ms, by));
            assert_eq!(keeper.look().now.trusted, trusted, "{up_ms}");
            assert_eq!(fake.0.lock().unwrap().asked, asked, "{up_ms}");
        };
        check(0, None, false, 1);
        check(500, Some("the kernel"), false, 1);
        check(1_000, Some("the kernel"), true, 2);
        check(1_500, None, true, 2);
        check(2_500, None, false, 3);
    }
}
