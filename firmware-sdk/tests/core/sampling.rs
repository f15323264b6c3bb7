//! Sampling over years.

use crate::world::{COUNTED, ONE, Publisher, TWO, World, pass, settings};
use embassy_futures::join::join;
use embassy_time::Duration;
use std::cell::Cell;
use std::pin::pin;
use tidegate_firmware::{Channel, Input, Keep, Sampler, WhenFull};

/// Samples every `every_s` for `steps` ticks from an uptime of `from_ms`; gives uptimes and values as they came.
fn sampled(from_ms: u64, every_s: u64, steps: u32, silent: impl Fn(i64) -> bool) -> Vec<(u64, u64, i64)> {
    let world = World::new();
    let mut memory = world.boot(WhenFull::Merge, Keep::NEVER);
    embassy_time::MockDriver::get().advance(Duration::from_millis(from_ms));
    let outbox = memory.start(&COUNTED);
    let every = Duration::from_secs(every_s);
    let mut sampler = Sampler::new(outbox, every, [Input::each(ONE)]);
    let mut publisher = Publisher::new(outbox, settings());
    let (mut line, count) = (world.line.clone(), Cell::new(0));
    let read = async || {
        count.set(count.get() + 1);
        [(!silent(count.get())).then_some(count.get())]
    };
    let task = pin!(async {
        join(sampler.run(read), publisher.run(&mut line)).await;
    });
    pass(&mut { task }, steps, every);
    let broker = world.broker();
    broker.gateway.readings.iter().map(|((_, number), (_, ms, value))| (*number, *ms, *value)).collect()
}

#[test]
fn forty_years_of_hours() {
    let hours = 40 * 8_766;
    let readings = sampled(0, 3_600, hours, |_| false);
    // The last one may wait still.
    assert!(readings.len() as u32 >= hours - 2, "{} of {hours}", readings.len());
    for (at, (number, ms, value)) in (0_u64..).zip(readings) {
        assert_eq!((number, ms, value), (at, (at + 1) * 3_600_000, at as i64 + 1));
    }
}

/// Where counters of 32 bits wrap: milliseconds after 49.7 days, microseconds and 32,768 Hz long before and after.
#[test]
fn past_the_end_of_32_bits() {
    for wraps in [1_u64 << 32, (1 << 32) * 1_000 / 32_768, (1 << 32) / 1_000, 1 << 40] {
        let from = wraps - 20_500;
        let readings = sampled(from, 1, 40, |_| false);
        let uptimes: Vec<u64> = readings.iter().map(|(_, ms, _)| *ms).collect();
        let expected: Vec<u64> = (1..=uptimes.len() as u64).map(|second| from + second * 1_000).collect();
        assert!(uptimes.len() >= 30, "{} around {wraps}", uptimes.len());
        assert_eq!(uptimes, expected, "around {wraps}");
    }
}

/// A sensor that does not answer makes no reading, and takes no number.
#[test]
fn a_silent_sensor() {
    let readings = sampled(0, 1, 60, |count| count % 3 == 0);
    assert!(readings.len() > 30);
    assert!(readings.iter().all(|(_, _, value)| value % 3 != 0));
    assert!(readings.iter().map(|(number, ..)| *number).eq(0..readings.len() as u64));
}

#[test]
fn channels_and_folding() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::Merge, Keep::NEVER);
    let outbox = memory.start(&COUNTED);
    let [least, mean, greatest] = [10, 11, 12].map(|id| Channel::new(id, 0).unwrap());
    let inputs = [Input::each(TWO), Input::folded(least, mean, greatest, 4)];
    let mut sampler = Sampler::new(outbox, Duration::from_secs(1), inputs);
    let mut publisher = Publisher::new(outbox, settings());
    let (mut line, count) = (world.line.clone(), Cell::new(0));
    let read = async || {
        count.set(count.get() + 1);
        [Some(-count.get()), Some(count.get() * 10)]
    };
    let task = pin!(async {
        join(sampler.run(read), publisher.run(&mut line)).await;
    });
    pass(&mut { task }, 20, Duration::from_secs(1));
    let broker = world.broker();
    let of = |id| {
        let of = move |(channel, ms, value): &(u16, u64, i64)| (*channel == id).then_some((*ms, *value));
        broker.gateway.readings.values().filter_map(of).take(2).collect::<Vec<_>>()
    };
    assert_eq!(of(TWO.id()), [(1_000, -1), (2_000, -2)]);
    assert_eq!(of(10), [(2_500, 10), (6_500, 50)]);
    assert_eq!(of(11), [(2_500, 25), (6_500, 65)]);
    assert_eq!(of(12), [(2_500, 40), (6_500, 80)]);
}
