//! The queue by tables: what is in a frame, and what gives way.

use crate::gateway::Gateway;
use crate::world::{ONE, TWO};
use tidegate_firmware::{Channel, Health, Merge, Queue, TooSmall, WhenFull};

const SECOND: u64 = 1_000;

/// Sends and acknowledges all; gives the gateway.
fn drain<const BYTES: usize>(queue: &mut Queue<BYTES>, ms: u64) -> Gateway {
    let mut gateway = Gateway::default();
    let mut buffer = [0; 900];
    while let Some(outgoing) = queue.frame(&mut buffer, ms, &Health::default()).unwrap() {
        gateway.take(&buffer[..outgoing.len]);
        assert_eq!(queue.acknowledged() as usize, outgoing.readings);
    }
    assert!(queue.is_empty());
    gateway
}

#[test]
fn frames_are_cut_anew() {
    let mut queue = Queue::<2_048>::new(7, &[], WhenFull::DropOldest);
    let mut buffer = [0; 900];
    assert_eq!(queue.frame(&mut buffer, 0, &Health::default()), Ok(None));
    for second in 0..100 {
        queue.push(if second % 2 == 0 { ONE } else { TWO }, second * SECOND, second as i64);
    }
    let health = Health { rssi_dbm: Some(-70), battery_mv: Some(3_300), resets: Some(2) };
    let first = queue.frame(&mut buffer, 100 * SECOND, &health).unwrap().unwrap();
    assert_eq!((first.readings, first.again), (100, false));
    let mut gateway = Gateway::default();
    gateway.take(&buffer[..first.len]);
    let status = gateway.status[&7];
    assert_eq!((status.queued, status.dropped, status.rssi_dbm), (Some(0), Some(0), Some(-70)));
    // No answer came. What was taken meanwhile waits until that was sent again.
    queue.abandon();
    (100..140).for_each(|second| queue.push(ONE, second * SECOND, second as i64));
    let again = queue.frame(&mut buffer, 200 * SECOND, &Health::default()).unwrap().unwrap();
    gateway.take(&buffer[..again.len]);
    assert!(again.again && again.readings >= 100 && gateway.again == 100);
    queue.acknowledged();
    let mut small = [0; 150];
    while let Some(outgoing) = queue.frame(&mut small, 200 * SECOND, &Health::default()).unwrap() {
        gateway.take(&small[..outgoing.len]);
        queue.acknowledged();
    }
    assert_eq!(gateway.values(7), (0..140).collect::<Vec<i64>>());
    assert_eq!(gateway.numbers(7), (0..140).collect::<Vec<u64>>());
}

#[test]
fn a_buffer_takes_what_fits() {
    let mut queue = Queue::<2_048>::new(7, &[], WhenFull::DropOldest);
    // Values that cannot be told by small differences.
    (0..64).for_each(|n| queue.push(ONE, n * 17_777, (n as i64) << 50 ^ 0x5555));
    let mut buffer = [0; 900];
    let full = queue.frame(&mut buffer, 1 << 40, &Health::default()).unwrap().unwrap();
    assert!(full.readings > 16 && full.len <= 900);
    assert_eq!(queue.frame(&mut [0; 100], 1 << 40, &Health::default()), Err(TooSmall));
    assert_eq!(drain(&mut queue, 1 << 40).numbers(7).len(), 64);
}

/// What is dropped is missing, is counted, and was the oldest.
#[test]
fn the_oldest_is_dropped() {
    let mut queue = Queue::<2_048>::new(7, &[], WhenFull::DropOldest);
    (0..5_000).for_each(|n| queue.push(ONE, n * SECOND, n as i64));
    let waiting = u64::from(queue.len());
    let (given_up, merged) = queue.given_up_and_merged();
    assert_eq!((u64::from(given_up) + waiting, merged), (5_000, 0));
    assert!(waiting > 600, "only {waiting} readings in 2 KiB");
    let gateway = drain(&mut queue, 5_000 * SECOND);
    assert_eq!(gateway.numbers(7), (5_000 - waiting..5_000).collect::<Vec<u64>>());
    assert_eq!((gateway.missing(7, 5_000), gateway.dropped(7)), (given_up.into(), given_up.into()));
}

/// What may be on its way, or on the other side, is dropped last: else it would be counted as given up and arrive.
#[test]
fn what_was_sent_is_not_dropped() {
    let mut queue = Queue::<2_048>::new(7, &[], WhenFull::DropOldest);
    (0..100).for_each(|n| queue.push(ONE, n * SECOND, n as i64));
    let mut gateway = Gateway::default();
    let mut buffer = [0; 900];
    let outgoing = queue.frame(&mut buffer, 100 * SECOND, &Health::default()).unwrap().unwrap();
    gateway.take(&buffer[..outgoing.len]);
    (100..5_000).for_each(|n| queue.push(ONE, n * SECOND, n as i64));
    assert_eq!(queue.acknowledged() as usize, outgoing.readings);
    let rest = drain(&mut queue, 5_000 * SECOND);
    gateway.readings.extend(rest.readings.iter().map(|(key, reading)| (*key, *reading)));
    assert_eq!((gateway.missing(7, 5_000), rest.dropped(7)), (rest.dropped(7), rest.dropped(7)));
    assert!(gateway.numbers(7).starts_with(&(0..100).collect::<Vec<u64>>()));
}

/// An outage of any length fits: evenly coarser, from its beginning to its end, with means that are right.
#[test]
fn neighbours_are_merged() {
    for total in [1_000_u64, 5_000, 20_000, 100_000] {
        let mut queue = Queue::<2_048>::new(7, &[], WhenFull::Merge);
        (0..total).for_each(|n| queue.push(ONE, n * SECOND, n as i64));
        let waiting = u64::from(queue.len());
        let (given_up, merged) = queue.given_up_and_merged();
        assert_eq!((u64::from(given_up) + waiting, given_up), (total, merged), "of {total}");
        let gateway = drain(&mut queue, total * SECOND);
        assert_eq!((gateway.missing(7, total), gateway.dropped(7)), (given_up.into(), given_up.into()));
        let readings: Vec<_> = gateway.readings.values().collect();
        // The value is the second: a mean over some seconds has to be their middle.
        for (_, ms, value) in &readings {
            assert!((*ms as i64 / 1_000 - value).abs() <= 1, "{value} at {ms} ms of {total}");
        }
        let widest = readings.windows(2).map(|two| two[1].1 - two[0].1).max().unwrap();
        let even = total * SECOND / waiting;
        assert!(widest <= 4 * even, "{widest} ms between two of {total}, with {even} on average");
        assert!(readings[0].1 <= widest && readings.last().unwrap().1 + widest >= total * SECOND);
    }
}

#[test]
fn merging_by_kind() {
    const CHANNELS: &[Channel] = &[
        Channel::new(1, 0).unwrap().merged_by(Merge::Min),
        Channel::new(2, 0).unwrap().merged_by(Merge::Max),
        Channel::new(3, 0).unwrap().merged_by(Merge::Last),
        Channel::new(4, 0).unwrap(),
    ];
    let mut queue = Queue::<2_048>::new(7, CHANNELS, WhenFull::Merge);
    for n in 0..4_096_u64 {
        let wave = if n % 64 < 32 { 100 } else { -100 };
        for (channel, value) in CHANNELS.iter().zip([wave, wave, n as i64, wave]) {
            queue.push(*channel, n * SECOND, value);
        }
    }
    let gateway = drain(&mut queue, 5_000 * SECOND);
    let of = |id| gateway.readings.values().filter(move |reading| reading.0 == id).map(|reading| reading.2);
    let coarse: Vec<i64> = of(4).take(20).collect();
    assert!(
        of(1).take(20).all(|least| least == -100) && of(2).take(20).all(|greatest| greatest == 100),
        "{coarse:?}"
    );
    assert!(coarse.iter().all(|mean| mean.abs() <= 60), "{coarse:?}");
    let meter: Vec<i64> = of(3).collect();
    assert!(meter.windows(2).all(|two| two[0] < two[1]) && *meter.last().unwrap() == 4_095);
}
