//! What aggregates come to, worked out by hand.

use super::*;
use crate::expr::{Expr, Names};

/// Every aggregate that has a number, by name; what is not listed has none.
type Expected<'e> = &'e [(&'e str, f64)];

fn all() -> Vec<Aggregate> {
    let mut all: Vec<Aggregate> = Aggregate::ALL.iter().map(|(aggregate, _)| aggregate.clone()).collect();
    all.push(Aggregate::Quantile(Permille::parse("90").unwrap()));
    let names = Names { value: true, ..Names::default() };
    all.push(Aggregate::DurationIn(Expr::condition("1 / value > 0.2", &names).unwrap().into()));
    all
}

/// In a window of ten seconds: readings by second, `None` for a break, and the last reading before it.
fn check(marks: &[(i64, Option<f64>)], opening: Option<(i64, f64)>, expected: Expected<'_>) {
    let at = |secs: i64| Time(secs * 1_000_000);
    let mut states = State::empty_for(&all(), 100);
    for (secs, value) in marks {
        states.iter_mut().for_each(|state| match value {
            Some(value) => state.fold(at(*secs), *value),
            None => state.break_at(at(*secs)),
        });
    }
    let opening = opening.map(|(secs, value)| (at(secs), value));
    let context = Context { start: at(0), end: at(10), opening };
    for aggregate in all() {
        let name = aggregate.name();
        let found = aggregate.value(&states, &context).and_then(|value| value.number());
        let expected = expected.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let near = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-12 * expected.abs(),
            (found, expected) => found == expected,
        };
        assert!(near, "{name} of {marks:?} after {opening:?}: {found:?}, not {expected:?}");
    }
}

#[test]
fn nothing() {
    check(&[], None, &[("count", 0.0), ("distinct", 0.0)]);
}

#[test]
fn one_reading() {
    let alone = [
        ("count", 1.0),
        ("sum", 4.0),
        ("mean", 4.0),
        ("min", 4.0),
        ("max", 4.0),
        ("first", 4.0),
        ("last", 4.0),
        ("range", 0.0),
        ("median", 4.0),
        ("p90", 4.0),
        ("distinct", 1.0),
        ("mode", 4.0),
    ];
    let held = [("time_weighted_mean", 4.0), ("integral", 28.0), ("duration_in", 7.0)];
    check(&[(3, Some(4.0))], None, &[&alone[..], &held].concat());
    // At the very end it held for no time.
    check(&[(10, Some(4.0))], None, &alone);
    // 1 for three seconds and 4 for seven; four seconds after 1 it shows 3 more.
    let opened = [
        ("time_weighted_mean", 3.1),
        ("integral", 31.0),
        ("duration_in", 10.0),
        ("increase", 3.0),
        ("rate", 0.75),
        ("derivative", 0.75),
    ];
    check(&[(3, Some(4.0))], Some((-1, 1.0)), &[&alone[..], &opened].concat());
}

#[test]
fn several_readings() {
    // 4 for two seconds, 2 for five, 9 for three.
    check(
        &[(0, Some(4.0)), (7, Some(9.0)), (2, Some(2.0))],
        None,
        &[
            ("count", 3.0),
            ("sum", 15.0),
            ("mean", 5.0),
            ("min", 2.0),
            ("max", 9.0),
            ("first", 4.0),
            ("last", 9.0),
            ("range", 7.0),
            ("stddev", 13f64.sqrt()),
            ("variance", 13.0),
            ("median", 4.0),
            ("p90", 8.0),
            ("distinct", 3.0),
            ("mode", 2.0),
            ("time_weighted_mean", 4.5),
            ("integral", 45.0),
            // From 4 to a new 2, which counts whole, and on to 9.
            ("increase", 9.0),
            ("rate", 9.0 / 7.0),
            ("derivative", 5.0 / 7.0),
            ("slope", 22.0 / 26.0),
            // Not while it was 9.
            ("duration_in", 7.0),
        ],
    );
}

/// Unknown from 2 to 5 and from 8 on: 1 for two seconds and 3 for three. A meter goes on meanwhile.
#[test]
fn breaks() {
    check(
        &[(0, Some(1.0)), (2, None), (5, Some(3.0)), (8, None)],
        None,
        &[
            ("count", 2.0),
            ("sum", 4.0),
            ("mean", 2.0),
            ("min", 1.0),
            ("max", 3.0),
            ("first", 1.0),
            ("last", 3.0),
            ("range", 2.0),
            ("stddev", 2f64.sqrt()),
            ("variance", 2.0),
            ("median", 2.0),
            ("p90", 2.8),
            ("distinct", 2.0),
            ("mode", 1.0),
            ("time_weighted_mean", 11.0 / 5.0),
            ("integral", 11.0),
            ("increase", 2.0),
            ("rate", 0.4),
            ("derivative", 0.4),
            ("slope", 0.4),
            ("duration_in", 5.0),
        ],
    );
}

/// What overflows, and a condition that cannot be told (1 / 0), are absent.
#[test]
fn no_aggregate_is_infinite() {
    let great = f64::MAX;
    check(
        &[(0, Some(great)), (5, Some(great)), (5, Some(0.0)), (6, Some(-great))],
        None,
        &[
            ("count", 4.0),
            ("min", -great),
            ("max", great),
            ("first", great),
            ("last", -great),
            ("median", great / 2.0),
            ("p90", great),
            ("distinct", 3.0),
            ("mode", great),
            // No meter goes below 0; one that does is taken to have begun there.
            ("increase", 0.0),
            ("rate", 0.0),
            ("duration_in", 0.0),
        ],
    );
}

#[test]
fn times_of_the_extremes() {
    let mut states = State::empty_for(&[Aggregate::TimeOfMin, Aggregate::TimeOfMax], 0);
    for (at, value) in [(5, 1.0), (7, 3.0), (2, 3.0), (9, 1.0), (4, 2.0)] {
        states.iter_mut().for_each(|state| state.fold(Time(at), value));
    }
    let context = Context { start: Time(0), end: Time(10), opening: None };
    assert_eq!(Aggregate::TimeOfMin.value(&states, &context), Some(Value::Moment(Time(5))));
    assert_eq!(Aggregate::TimeOfMax.value(&states, &context), Some(Value::Moment(Time(2))));
}

#[test]
fn units_of_time() {
    let hour = crate::time::Span::from_secs(3_600);
    let (integral, rate) = (Aggregate::Integral(hour), Aggregate::Rate(hour));
    let mut states = State::empty_for(&[integral.clone(), rate.clone(), Aggregate::Slope(hour)], 10);
    // 100 W for a quarter of an hour; then 300 for another.
    for (secs, value) in [(0, 100.0), (900, 300.0)] {
        states.iter_mut().for_each(|state| state.fold(Time(secs * 1_000_000), value));
    }
    let context = Context { start: Time(0), end: Time(1_800_000_000), opening: None };
    for (aggregate, expected) in [(integral, 100.0), (rate, 800.0), (Aggregate::Slope(hour), 800.0)] {
        assert_eq!(aggregate.value(&states, &context), Some(Value::Number(expected)), "{aggregate:?}");
    }
}

#[test]
fn percentiles_are_read_as_they_are_named() {
    for (digits, expected) in [
        ("95", Ok("p95")),
        ("5", Ok("p5")),
        ("99.9", Ok("p99.9")),
        ("0.1", Ok("p0.1")),
        ("50.0", Ok("p50")),
        ("0", Err(())),
        ("100", Err(())),
        ("99.99", Err(())),
        ("9.", Err(())),
        (".5", Err(())),
        ("-1", Err(())),
        ("1e1", Err(())),
        ("", Err(())),
    ] {
        let found = Permille::parse(digits).map(|share| Aggregate::Quantile(share).name().into_owned());
        assert_eq!(found.map_err(|_| ()), expected.map(str::to_owned), "p{digits}");
    }
}

#[test]
fn samples_from_elsewhere_are_in_order() {
    let read = |deltas: &[(i64, f64)]| {
        let written = postcard::to_allocvec(&(10_u32, 0_u64, None::<()>, deltas.to_vec())).unwrap();
        postcard::from_bytes::<Samples>(&written).is_ok()
    };
    assert!(read(&[(5, 1.0), (0, 1.0), (3, f64::NAN)]));
    assert!(!read(&[(5, 1.0), (-1, 1.0)]));
    assert!(!read(&[(5, 1.0), (0, f64::NAN)]), "a break is before a reading of its time");
}
