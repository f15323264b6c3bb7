//! Aggregates against an oracle that keeps everything, in any order and any division. Each property was seen to fail with its
//! rule broken on purpose; how, stands with it.

use super::samples::{Sample, Span, all, increase, near, neighbours, oracle, time};
use proptest::prelude::*;
use tidegate_pipeline::aggregate::{Aggregate, State, Value};
use tidegate_pipeline::partial::Partial;
use tidegate_pipeline::window::{Completeness, Lane};

fn folded(samples: &[Sample], samples_max: u32, opening: Option<(i64, f64)>) -> Lane {
    let mut lane = Lane::new(&all(), samples_max);
    lane.opening = opening.map(|(at, value)| (time(at), value));
    for (at, value) in samples {
        match value {
            Some(value) => lane.fold(time(*at), *value),
            None => lane.break_at(time(*at)),
        }
    }
    lane
}

fn value(aggregate: &Aggregate, lane: &Lane, span: Span) -> Option<Value> {
    aggregate.value(&lane.states, &lane.context(time(span.start), time(span.end)))
}

/// As it is sent to a function.
fn sent(lane: &Lane) -> String {
    Partial::encode(time(0), time(60_000), Completeness::default(), [("t", lane)])
}

/// Every aggregate of `lane` is what the oracle says of `samples`, and nothing is marked.
fn agrees(lane: &Lane, samples: &[Sample], span: Span) -> Result<(), TestCaseError> {
    for aggregate in all() {
        let found = value(&aggregate, lane, span);
        let expected = oracle(&aggregate.name(), samples, span);
        prop_assert!(near(&found, &expected), "{}: {found:?}, not {expected:?}", aggregate.name());
        prop_assert!(!aggregate.is_approximate(&lane.states), "{}", aggregate.name());
    }
    Ok(())
}

const MINUTE: Span = Span { start: 0, end: 60_000, opening: None };

/// Multiples of 1/1000, among them many that come again, and time stamps that do.
fn sample(ms: std::ops::Range<i64>) -> impl Strategy<Value = Sample> {
    let value = prop_oneof![
        4 => (-3i32..4).prop_map(|v| Some(f64::from(v))),
        3 => (-3_000i32..30_000).prop_map(|v| Some(f64::from(v) / 1e3)),
        1 => Just(Some(1e7)),
        1 => Just(None),
    ];
    let at = prop_oneof![ms.clone(), ms.prop_map(|at| at / 5_000 * 5_000)];
    (at, value)
}

fn opening() -> impl Strategy<Value = Option<(i64, f64)>> {
    prop::option::of((-100_000i64..0, -3_000i32..30_000).prop_map(|(at, v)| (at, f64::from(v) / 1e3)))
}

proptest! {
    /// In whichever order they come. Broken by: noting marks in the order of arrival; by a break that ends with the window;
    /// by an opening that counts from its own time; by weighing a reading by the time before it; by a reset that counts as
    /// negative; by the population's variance.
    #[test]
    fn the_oracle_agrees(samples in prop::collection::vec(sample(0..60_000), 0..60), opening in opening()) {
        let span = Span { opening, ..MINUTE };
        agrees(&folded(&samples, 1_000, opening), &samples, span)?;
    }

    /// Divided among several at random, sent, read and merged. Broken by: taking the later opening; by appending the other's
    /// samples; by adding the squares without the distance of the means; by taking slopes from different origins.
    #[test]
    fn merging_parts_is_computing_the_whole(
        samples in prop::collection::vec((sample(0..60_000), 0usize..4), 0..60),
        opening in opening(),
    ) {
        let whole: Vec<Sample> = samples.iter().map(|(sample, _)| *sample).collect();
        let span = Span { opening, ..MINUTE };
        let part = |number: usize| {
            let own: Vec<Sample> = samples.iter().filter(|(_, n)| *n == number).map(|(s, _)| *s).collect();
            // Of two openings the earlier is that of the whole.
            let opening = opening.and_then(|(at, value)| match number {
                2 => Some((at, value)),
                1 | 3 => Some((at / 2, value + 5.0)),
                _ => None,
            });
            Partial::decode(&sent(&folded(&own, 1_000, opening))).unwrap()
        };
        let mut merged = part(0);
        (1..4).for_each(|number| merged.merge(&part(number)));
        agrees(merged.lane("t").unwrap(), &whole, span)?;
    }

    /// However few are kept, as long as they come in order: settling loses nothing. Nor does merging what follows.
    /// Broken by: leaving out the time between what is settled and the next; by settling without the break at its end.
    #[test]
    fn settling_in_order_loses_nothing(
        samples in prop::collection::vec(sample(0..60_000), 0..200),
        samples_max in 2u32..20,
        cut in 0i64..60_000,
        opening in opening(),
    ) {
        let mut samples = samples;
        samples.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.partial_cmp(&b.1).unwrap()));
        // What comes at the very moment of the last settled reading has no place of its own.
        samples.dedup_by_key(|(at, _)| *at);
        let span = Span { opening, ..MINUTE };
        let ordered: Vec<Aggregate> = all().into_iter().filter(Aggregate::needs_order).collect();
        let at = samples.partition_point(|(at, _)| *at < cut);
        let mut merged = folded(&samples[..at], samples_max, opening);
        merged.merge(&folded(&samples[at..], samples_max, None));
        for lane in [folded(&samples, samples_max, opening), merged] {
            for aggregate in &ordered {
                let (found, expected) = (value(aggregate, &lane, span), oracle(&aggregate.name(), &samples, span));
                prop_assert!(near(&found, &expected), "{}: {found:?}, not {expected:?}", aggregate.name());
                prop_assert!(!aggregate.is_approximate(&lane.states));
            }
        }
    }

    /// Out of order by fewer than half of what is kept: still nothing is lost. By more: it is marked. Broken by: settling more
    /// than half; by not counting what is misplaced.
    #[test]
    fn what_has_no_place_is_marked(
        samples in prop::collection::vec((0i64..60_000, -3i32..4, 0i64..20), 30..200),
        samples_max in 2u32..60,
    ) {
        let mut samples: Vec<_> = samples.into_iter().map(|(at, v, late)| ((at, Some(f64::from(v))), late)).collect();
        samples.sort_by_key(|((at, _), _)| *at);
        samples.dedup_by_key(|((at, _), _)| *at);
        let mut arrivals: Vec<(usize, Sample)> =
            samples.iter().enumerate().map(|(n, (sample, late))| (n + *late as usize, *sample)).collect();
        arrivals.sort_by_key(|(n, _)| *n);
        let arrivals: Vec<Sample> = arrivals.into_iter().map(|(_, sample)| sample).collect();
        let lane = folded(&arrivals, samples_max, None);
        let (found, expected) = (value(&Aggregate::Increase, &lane, MINUTE), oracle("increase", &arrivals, MINUTE));
        let marked = Aggregate::Increase.is_approximate(&lane.states);
        prop_assert!(marked || near(&found, &expected), "{found:?}, not {expected:?}");
        prop_assert!(samples_max < 40 || !marked, "20 late, and {samples_max} are kept");
    }

    /// What consecutive windows say adds up to what the whole says, wherever time is cut: the meter, the area, the seconds.
    /// Broken by: an opening from the window's first reading; by weighing the last reading up to itself; by a reset that is
    /// forgotten between two windows.
    #[test]
    fn consecutive_windows_add_up(
        samples in prop::collection::vec(sample(0..60_000), 1..80),
        cuts in prop::collection::vec(1i64..60_000, 0..8),
        samples_max in 2u32..40,
    ) {
        let mut samples = samples;
        samples.sort_by_key(|(at, _)| *at);
        samples.dedup_by_key(|(at, _)| *at);
        let mut cuts: Vec<i64> = cuts.into_iter().chain([0, 60_000]).collect();
        cuts.sort_unstable();
        let mut totals = [0.0; 3];
        let (mut opening, mut broken) = (None, false);
        let condition = all().pop().unwrap();
        for cut in cuts.windows(2) {
            let own: Vec<Sample> =
                samples.iter().filter(|(at, _)| (cut[0]..cut[1]).contains(at)).copied().collect();
            let mut lane = folded(&[], samples_max, opening);
            if broken {
                lane.break_at(time(cut[0]));
            }
            lane.merge(&folded(&own, samples_max, None));
            let span = Span { start: cut[0], end: cut[1], opening };
            for (total, aggregate) in
                totals.iter_mut().zip([&Aggregate::Increase, &Aggregate::Integral(tidegate_pipeline::time::Span::from_secs(1)), &condition])
            {
                *total += value(aggregate, &lane, span).and_then(|v| v.number()).unwrap_or(0.0);
            }
            let last = lane.last_sample().map(|(at, value)| (at.as_millis() - super::world::TEN, value));
            opening = last.or(opening);
            broken = own.last().map_or(broken, |(_, value)| value.is_none());
        }
        for (total, name) in totals.into_iter().zip(["increase", "integral", "duration_in"]) {
            let whole = oracle(name, &samples, MINUTE).and_then(|v| v.number()).unwrap_or(0.0);
            prop_assert!((total - whole).abs() < 1e-5, "{name}: {total}, not {whole}");
        }
        let shown = increase(&samples, MINUTE).unwrap_or(0.0);
        prop_assert!((totals[0] - shown).abs() < 1e-5);
    }

    /// Of many values, in two parts: the same state as of the whole, to the last bit, and quantiles within the error that it
    /// states. Broken by: joining only the lowest buckets; by an error of half as much; by rounding the place of a value.
    #[test]
    fn sketches_do_not_depend_on_the_division(
        values in prop::collection::vec((-1e3f64..1e3, -40i32..40, any::<bool>()), 0..3_000),
        spread in 0i32..40,
        q in 1u16..999,
    ) {
        let aggregates = [
            Aggregate::Median, Aggregate::Distinct,
            Aggregate::Quantile(tidegate_pipeline::aggregate::Permille::parse(&format!("{}.{}", q / 10, q % 10)).unwrap()),
        ];
        let [mut whole, mut one, mut other] = [0; 3].map(|_| State::empty_for(&aggregates, 0));
        let values: Vec<(f64, bool)> =
            values.into_iter().map(|(v, octaves, first)| (v * 2f64.powi(octaves.clamp(-spread, spread)), first)).collect();
        for (value, first) in &values {
            for states in [&mut whole, if *first { &mut one } else { &mut other }] {
                states.iter_mut().for_each(|state| state.fold(time(0), *value));
            }
        }
        one.iter_mut().zip(&other).for_each(|(state, later)| state.merge(later));
        prop_assert_eq!(&one, &whole);

        let values: Vec<f64> = values.into_iter().map(|(value, _)| value).collect();
        let State::Sketch(sketch) = &whole[0] else { panic!("the sketch is first") };
        let context = folded(&[], 0, None).context(time(0), time(1));
        for (aggregate, q) in [(&aggregates[0], 0.5), (&aggregates[2], f64::from(q) / 1e3)] {
            let found = aggregate.value(&whole, &context).and_then(|value| value.number());
            let Some((low, high, share)) = neighbours(&values, q) else { prop_assert!(found.is_none()); continue };
            let exact = low * (1.0 - share) + high * share;
            let error = sketch.relative_error() * (low.abs() * (1.0 - share) + high.abs() * share);
            prop_assert!((found.unwrap() - exact).abs() <= error + 1e-9 * exact.abs(), "{found:?}, not {exact} ± {error}");
        }
    }

    /// The most frequent value is the right one unless it is marked, however it was divided. Broken by: not counting what
    /// was taken from all.
    #[test]
    fn a_mode_is_right_or_marked(values in prop::collection::vec((0u16..300, any::<bool>()), 0..1_000), often in 0usize..200) {
        let [mut one, mut other] = [0; 2].map(|_| State::empty_for(&[Aggregate::Mode], 0));
        let values = values.into_iter().map(|(v, first)| (f64::from(v), first));
        let all: Vec<(f64, bool)> = values.chain((0..often).map(|n| (7.0, n % 2 == 0))).collect();
        all.iter().for_each(|(value, first)| (if *first { &mut one } else { &mut other })[0].fold(time(0), *value));
        one[0].merge(&other[0]);
        let context = folded(&[], 0, None).context(time(0), time(1));
        let found = Aggregate::Mode.value(&one, &context).and_then(|value| value.number());
        let samples: Vec<Sample> = all.iter().map(|(value, _)| (0, Some(*value))).collect();
        if !Aggregate::Mode.is_approximate(&one) {
            prop_assert_eq!(found, oracle("mode", &samples, MINUTE).and_then(|value| value.number()));
        }
    }

    /// What comes from elsewhere is refused or taken, and nothing else.
    #[test]
    fn a_damaged_state_is_no_panic(
        samples in prop::collection::vec(sample(0..60_000), 0..30),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        use base64::Engine;
        let engine = base64::engine::general_purpose::STANDARD;
        let mut bytes = engine.decode(sent(&folded(&samples, 10, None))).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut partial) = Partial::decode(&engine.encode(bytes)) {
            partial.merge(&Partial::decode(&sent(&folded(&samples, 10, None))).unwrap());
            for aggregate in all() {
                for (_, lane) in &partial.lanes {
                let found = value(&aggregate, lane, MINUTE);
                prop_assert!(found.and_then(|value| value.number()).is_none_or(f64::is_finite));
                }
            }
        }
    }
}

/// Ten million readings with an offset that eats digits: nothing drifts. Broken by: plain sums; by a variance from the sum of
/// squares.
#[test]
fn ten_million_readings_do_not_drift() {
    let aggregates: Vec<Aggregate> = all()
        .into_iter()
        .filter(|a| !matches!(a, Aggregate::DurationIn(_) | Aggregate::Histogram(_)))
        .collect();
    let mut states = State::empty_for(&aggregates, 100);
    let count = 10_000_000;
    for n in 0..count {
        // 0.1 more and less than a great value, in turns; on average exactly that.
        let value = 1e6 + if n % 2 == 0 { 0.1 } else { -0.1 };
        states.iter_mut().for_each(|state| state.fold(time(n), value));
    }
    let context = folded(&[], 0, None).context(time(0), time(count));
    let check = |name: &str, expected: f64, tolerance: f64| {
        let (aggregate, _) = Aggregate::ALL.iter().find(|(_, known)| *known == name).unwrap();
        let found = aggregate.value(&states, &context).and_then(|value| value.number()).unwrap();
        assert!((found - expected).abs() <= tolerance, "{name}: {found}, not {expected}");
    };
    check("count", 1e7, 0.0);
    check("sum", 1e13, 1e-2);
    check("mean", 1e6, 1e-9);
    check("variance", 0.01, 1e-8);
    // The first is above, the last below: half of all times 0.2, over n³ / 12 thousandths of a second.
    check("slope", -6e-12, 1e-15);
    check("integral", 1e10, 1e-5);
    check("time_weighted_mean", 1e6, 1e-9);
    check("median", 1e6, 1e6 * 0.006);
    // Each fall is a reset, after which it shows all that it shows.
    check("increase", 4_999_999.0 * 0.2 + 5e6 * (1e6 - 0.1), 1e-1);
}
