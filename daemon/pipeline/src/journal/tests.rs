use super::{VERSION, decode, encode};
use crate::dedupe::Mark;
use crate::entry::{Closing, Entry, Event, Part, Reading};
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use proptest::prelude::*;

fn verdicts() -> impl Strategy<Value = Verdict> {
    let reason = || (0..Reason::ALL.len()).prop_map(|at| Reason::ALL[at]);
    prop_oneof![
        Just(Verdict::Counted),
        Just(Verdict::Duplicate),
        reason().prop_map(Verdict::Rejected),
        reason().prop_map(Verdict::DeadLettered),
    ]
}

fn values() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), (-100_000i32..100_000).prop_map(|n| f64::from(n) / 100.0), Just(-0.0)]
}

fn readings(unit: i64) -> impl Strategy<Value = Reading> {
    (any::<u32>(), -1_000_000_000i64..1_000_000_000, values(), verdicts()).prop_map(
        move |(series, time, value, verdict)| Reading { series, time: Time(time * unit), value, verdict },
    )
}

fn marks() -> impl Strategy<Value = Mark> {
    (any::<u32>(), any::<Option<u64>>(), any::<u64>(), any::<u32>())
        .prop_map(|(counter, boot, sequence, hash)| Mark { counter, boot, sequence, hash })
}

fn entries() -> impl Strategy<Value = Entry> {
    prop_oneof![Just(1i64), Just(1_000)].prop_flat_map(|unit| {
        let print = proptest::option::of((0u64..1 << 40, any::<bool>()));
        let part = (
            any::<u32>(),
            -1_000_000_000i64..1_000_000_000,
            print,
            proptest::option::of(marks()),
            proptest::collection::vec(readings(unit), 0..20),
        );
        let closing = (any::<u32>(), any::<i64>(), any::<bool>()).prop_map(|(group, start, late)| Closing {
            group,
            start: Time(start),
            late,
        });
        let event = (any::<u32>(), verdicts(), any::<u64>())
            .prop_map(|(at, verdict, count)| (at, Event::Account { verdict, count }));
        (
            -1_000_000_000i64..1_000_000_000,
            proptest::collection::vec(part, 0..20),
            proptest::collection::vec(closing, 0..4),
            proptest::collection::vec(event, 0..4),
            proptest::option::of(any::<i64>().prop_map(Time)),
        )
            .prop_map(move |(now, parts, closings, events, forgotten)| {
                let mut entry =
                    Entry { now: Time(now * unit), closings, events, forgotten, ..Entry::default() };
                for (session, arrival, print, mark, readings) in parts {
                    let readings_count = readings.len() as u32;
                    let arrival = Time(arrival * unit);
                    entry.parts.push(Part { session, arrival, readings: readings_count, print, mark });
                    entry.readings.extend(readings);
                }
                entry
            })
    })
}

proptest! {
    #[test]
    fn round_trip_is_exact(entry in entries()) {
        let back = decode(&encode(&entry)).unwrap();
        // NaN is not equal to itself: values are compared as bits.
        let bits = |entry: &Entry| entry.readings.iter().map(|r| r.value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&back), bits(&entry));
        let blank = |mut entry: Entry| {
            entry.readings.iter_mut().for_each(|r| r.value = 0.0);
            entry
        };
        prop_assert_eq!(blank(back), blank(entry));
    }

    #[test]
    fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        let _ = decode(&bytes);
    }
}

#[test]
fn a_usual_reading_is_small() {
    let mut entry = Entry { now: Time::from_millis(1_795_341_600_000), ..Entry::default() };
    for n in 0..1_000u32 {
        let arrival = Time::from_millis(1_795_341_600_000 + i64::from(n / 10));
        entry.parts.push(Part {
            session: 0,
            arrival,
            readings: 1,
            print: Some((u64::from(n), false)),
            mark: None,
        });
        let value = f64::from(2_000 + n % 500) / 100.0;
        entry.readings.push(Reading { series: n, time: arrival, value, verdict: Verdict::Counted });
    }
    let bytes = encode(&entry).len();
    assert!(bytes <= 15_000, "{bytes} bytes for 1,000 readings before compression");
}
