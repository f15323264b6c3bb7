//! A device, a network and outages, from a seed; and what the clock made of it, beside the truth.

use super::{Clock, Tick};
use crate::time::{Span, Time};
use proptest::prelude::*;

const START: i64 = 1_795_341_600_000_000;
const SECOND: f64 = 1e6;

#[derive(Clone, Debug)]
struct World {
    /// Our clock gains so much on the device's.
    drift: f64,
    /// Seconds between readings.
    interval: f64,
    /// The least delay of the way, and how much longer one may take, in seconds.
    way: (f64, f64),
    /// From when to when nothing gets through, in hours since the boot.
    outages: Vec<(f64, f64)>,
    /// Queued messages that get through in a second.
    drains: f64,
    /// The uptime that a message carries is that of sending and not that of its reading: a frame.
    fresh: bool,
    hours: f64,
    seed: u64,
}

/// A message: the uptime of its reading and at sending, the true moment of the reading, and the arrival.
#[derive(Clone, Copy, Debug)]
struct Sent {
    reading: i64,
    uptime: i64,
    taken: f64,
    arrival: f64,
}

fn worlds() -> impl Strategy<Value = World> {
    let outage = (0.3f64..10.0, 0.01f64..6.0).prop_map(|(start, length)| (start, start + length));
    (
        -200e-6..200e-6f64,
        1.0..60.0f64,
        (0.0..0.05f64, prop_oneof![0.001..0.05f64, 0.05..0.8f64]),
        proptest::collection::vec(outage, 0..3),
        prop_oneof![2.0..5.0f64, 50.0..200.0f64],
        any::<bool>(),
        1.0..12.0f64,
        any::<u64>(),
    )
        .prop_map(|(drift, interval, way, outages, drains, fresh, hours, seed)| World {
            drift,
            interval,
            way,
            outages,
            drains,
            fresh,
            hours,
            seed,
        })
}

impl World {
    /// Messages in the order of arrival.
    fn run(&self) -> Vec<Sent> {
        let mut state = self.seed;
        let mut chance = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let uptime = |moment: f64| (moment / (1.0 + self.drift) * SECOND) as i64;
        let mut free = 0.0f64;
        let count = (self.hours * 3_600.0 / self.interval) as usize;
        let message = |n: usize| {
            let taken = n as f64 * self.interval + 0.1 * chance();
            let mut sent = free.max(taken);
            for (start, end) in &self.outages {
                if (start * 3_600.0..end * 3_600.0).contains(&sent) {
                    sent = end * 3_600.0;
                }
            }
            free = sent + 1.0 / self.drains;
            let arrival = sent + self.way.0 + self.way.1 * chance();
            let reading = uptime(taken);
            Sent { reading, uptime: if self.fresh { uptime(sent) } else { reading }, taken, arrival }
        };
        let mut sent: Vec<_> = (0..count).map(message).collect();
        sent.sort_by(|a, b| a.arrival.total_cmp(&b.arrival));
        sent
    }

    /// How far off the time of each reading is, less the least delay of the way, and what was said about it; in seconds.
    fn errors(&self) -> Vec<(f64, f64)> {
        let mut clock = Clock::new(Span(1));
        let place = |sent: Sent| {
            let arrival = Time(START + (sent.arrival * SECOND) as i64);
            clock.note(&Tick { boot: 1, uptime: sent.uptime, arrival });
            let time = clock.time(1, sent.reading, arrival).unwrap();
            let error = (time.0 - START) as f64 / SECOND - sent.taken - self.way.0;
            (error, clock.uncertainty(1, sent.reading).unwrap().0 as f64 / SECOND)
        };
        self.run().into_iter().map(place).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever the drift, the network and the outages: no reading is further off than it is said to be.
    #[test]
    fn errors_are_within_what_is_said(world in worlds()) {
        for (at, (error, said)) in world.errors().into_iter().enumerate() {
            prop_assert!(error.abs() <= said, "reading {at}: off by {error} s, said {said} s");
        }
    }
}

/// What is said is worth something: after an hour on a usual network, times are right to the network's jitter.
#[test]
fn what_is_said_is_not_much() {
    let world = World {
        drift: 80e-6,
        interval: 10.0,
        way: (0.01, 0.04),
        outages: vec![(2.0, 5.0)],
        drains: 20.0,
        fresh: false,
        hours: 6.0,
        seed: 1,
    };
    let errors = world.errors();
    let worst = |range: std::ops::Range<usize>| {
        errors[range]
            .iter()
            .fold((0.0f64, 0.0f64), |(e, s), (error, said)| (e.max(error.abs()), s.max(*said)))
    };
    let (hour, queued) = (worst(360..720), worst(720..1_800));
    assert!(hour.0 < 0.01 && hour.1 < 0.25, "{hour:?}");
    // Three hours in a queue: without the drift it would be off by 0.9 s.
    assert!(queued.0 < 0.1 && queued.1 < 0.5, "{queued:?}");
}
