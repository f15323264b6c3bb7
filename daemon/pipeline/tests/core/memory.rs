//! What an open window costs in memory, as the allocator counts it.

use super::samples::{all, time};
use tidegate_pipeline::aggregate::{Aggregate, Permille};
use tidegate_pipeline::limits::SAMPLES_MAX;
use tidegate_pipeline::plan::Kind;
use tidegate_pipeline::series::{Group, Series};
use tidegate_pipeline::window::{Lane, Open};

/// Bytes of an open window with these aggregates after `values`, one a millisecond.
fn bytes(aggregates: &[Aggregate], values: impl Iterator<Item = f64>) -> usize {
    let mut kept = None;
    let heap = allocation_counter::measure(|| {
        let mut lane = Lane::new(aggregates, SAMPLES_MAX);
        (0..).zip(values).for_each(|(ms, value)| lane.fold(time(ms), value));
        kept = Some(lane);
    });
    usize::try_from(heap.bytes_current).unwrap() + size_of::<Open>() + size_of::<Lane>()
}

fn percentile(digits: &str) -> Aggregate {
    Aggregate::Quantile(Permille::parse(digits).unwrap())
}

/// A sensor that swings around a value, and one that does whatever it can.
fn signals() -> [Vec<f64>; 2] {
    let gentle = (0..20_000).map(|n| 21.5 + f64::from(n * 7 % 100) / 50.0);
    let wild = (0..20_000).map(|n: i32| f64::from(n * 7_919 % 10_007 - 5_000) * 2f64.powi(n % 60 - 30));
    [gentle.collect(), wild.collect()]
}

#[test]
fn an_open_window_is_small() {
    let plain = Aggregate::defaults(Kind::Gauge);
    let percentiles = [plain, &[Aggregate::Median, percentile("95"), percentile("99.9")]].concat();
    for values in signals() {
        let found = bytes(plain, values.iter().copied());
        assert!(found < 400, "count, mean, min, max: {found} B");
        let found = bytes(&percentiles, values.iter().copied());
        assert!(found < 3_072, "with percentiles: {found} B");
    }
    let [gentle, _] = signals();
    let found = bytes(&percentiles, gentle.iter().copied().take(10));
    assert!(found < 640, "with percentiles of ten readings: {found} B");
}

/// Whatever comes, and however much of it: the bound that docs/configuration.md gives for `samples_max`, twice for the two
/// states that keep samples and half as much again for how vectors grow, and 8 KiB for everything else.
#[test]
fn every_aggregate_is_bounded() {
    for values in signals() {
        let found = bytes(&all(), values.iter().copied());
        assert!(found < 2 * 16 * 1_024 * 3 / 2 + 8_192, "all aggregates: {found} B");
    }
}

/// Once a window is under way, another reading allocates nothing.
#[test]
fn a_reading_allocates_nothing() {
    let steady: Vec<Aggregate> = all().into_iter().filter(|a| !a.needs_order()).collect();
    let mut lane = Lane::new(&steady, SAMPLES_MAX);
    let [gentle, _] = signals();
    let mut fold = |from: usize, to: usize| {
        (0..).zip(&gentle[from..to]).for_each(|(ms, value)| lane.fold(time(ms), *value));
    };
    fold(0, 1_000);
    let heap = allocation_counter::measure(|| fold(1_000, 20_000));
    assert_eq!(heap.count_total, 0);
}

/// Everything that the core keeps of a series: its name in the indices, the route of its topic, its group, and the open window.
#[test]
fn a_series_is_small() {
    const SERIES: usize = 5_000;
    let mut kept = None;
    let heap = allocation_counter::measure(|| {
        let mut plan = super::world::plan();
        plan.series_max = 100_000;
        let mut pipeline = tidegate_pipeline::Pipeline::new(plan);
        for device in 0..SERIES {
            let mut step = pipeline.step();
            let payload = super::world::payload(21.5, 0.0);
            step.message(&super::world::message(0.0, &format!("s/device{device}/t"), &payload));
            drop(step.finish(super::world::at(0.0), &|_| false, &Default::default()));
        }
        kept = Some(pipeline);
    });
    let bytes = usize::try_from(heap.bytes_current).unwrap() / SERIES;
    assert!(
        bytes < 1_600,
        "{bytes} B; of that {} for itself and {} for its group",
        size_of::<Series>(),
        size_of::<Group>()
    );
}
