//! The heart while it makes room, on a time that the test sets.

use crate::heart::run_of;
use crate::rig::{payload, plan};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tidegate::clock::{TimeSource, Timekeeper};
use tidegate::config::model::{Buffer, WhenFull};
use tidegate::ingest::heart::{Heart, Parts};
use tidegate::ingest::intake::{Input, Link, Run};
use tidegate::store::{Opened, Store};
use tidegate_medium::Disk;
use tidegate_pipeline::plan::Window;
use tidegate_pipeline::time::{Span, Time};

/// µs since 1970, and since the machine began.
#[derive(Clone)]
struct Machine(Arc<AtomicI64>);

impl Machine {
    fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TimeSource for Machine {
    fn uptime(&mut self) -> Span {
        Span(self.now())
    }
    fn wall(&mut self) -> Time {
        Time(self.now())
    }
    fn vouched(&mut self, _: Time) -> Option<&'static str> {
        Some("a test")
    }
    fn boot(&self) -> u64 {
        1
    }
}

/// Windows of a second, which nobody takes, until the oldest are dropped for new ones; all are closed before the next
/// message comes, so that nothing else makes the heart write. A message that comes in a turn that makes room is
/// acknowledged as soon as any other.
#[test]
fn what_comes_while_room_is_made_is_acknowledged_in_time() {
    let mut seconds = plan();
    seconds.summaries[0].window = Window::Tumbling { length: Span::from_secs(1) };
    seconds.summaries[0].amend = Span::ZERO;
    let disk = Disk::default();
    let Opened { store, pipeline } = Store::open("disk", disk.opener(), "x", |_| seconds).unwrap();
    let shared = Arc::clone(store.shared());
    let dropped = || shared.outputs().get("out").map_or(0, |out| out.counts.dropped.values().sum::<u64>());
    let machine = Machine(Arc::new(AtomicI64::new(crate::rig::at(0).0)));
    let clock = Timekeeper::new(machine.clone(), Time::MIN);
    let buffer = Buffer {
        bytes_max: 400_000,
        when_full: WhenFull::DropOldest,
        // Nothing waits for that.
        flash_bytes_per_day: u64::MAX,
        ..Buffer::default()
    };
    let (parts, _plans) = Parts::new(store, pipeline, clock, buffer);
    let intake = Arc::clone(&parts.intake);
    let mut now = Instant::now();
    let mut heart = Heart::new(parts, now);
    let link = Link::new(0, "sensor", 100);
    for input in [Input::Drained { source: 0 }, Input::Opened(Arc::clone(&link))] {
        assert!(intake.try_push(Some(input)).is_none());
    }
    let mut while_shedding = 0;
    for number in 1..=200u64 {
        let secs = 3 * i64::try_from(number).unwrap();
        machine.0.store(crate::rig::at(secs).0, Ordering::Relaxed);
        now += Duration::from_secs(1);
        let topics: Vec<_> = (0..10).map(|n| format!("s/d{n}/t")).collect();
        let numbered = topics.iter().zip(10 * number..);
        let readings: Vec<_> = numbered.map(|(topic, n)| (topic.as_str(), payload(1, secs, n))).collect();
        let before = dropped();
        let run = Run { arrival: Span(machine.now()), ..run_of(&link, number, &readings) };
        assert!(intake.try_push(Some(Input::Run(run))).is_none());
        let came = now;
        let _ = heart.turn(now);
        while_shedding += u32::from(dropped() > before && link.committed() < number);
        while link.committed() < number {
            let due = heart.rest(now).unwrap_or(now + Duration::from_secs(3_600));
            now = due.max(now + Duration::from_millis(1));
            assert!(now < came + Duration::from_millis(500), "message {number} is forgotten");
            let _ = heart.turn(now);
        }
        // Its windows close.
        machine.0.store(crate::rig::at(secs + 2).0, Ordering::Relaxed);
        now += Duration::from_millis(100);
        let _ = heart.turn(now);
        heart.rest(now);
    }
    assert!(while_shedding > 5, "{while_shedding} came while room was made");
}
