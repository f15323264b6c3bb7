//! Aggregates by themselves: what folding a reading costs, in time and in memory.

use super::{Figure, figure};
use std::hint::black_box;
use std::time::Instant;
use tidegate_pipeline::aggregate::{Aggregate, Permille};
use tidegate_pipeline::expr::{Expr, Names};
use tidegate_pipeline::limits::SAMPLES_MAX;
use tidegate_pipeline::plan::Kind;
use tidegate_pipeline::time::Time;
use tidegate_pipeline::window::{Lane, Open};

/// Before the measurement, so that the states have grown to what they become.
const WARM: i64 = 10_000;
const READINGS: i64 = 1_000_000;

/// Each aggregate that has a state of its own, and what a summary computes when it does not say.
pub(super) fn cases() -> Vec<(String, Vec<Aggregate>)> {
    let one = |aggregate: Aggregate| (format!("`{}`", aggregate.name()), vec![aggregate]);
    let mut cases =
        vec![("`count`, `mean`, `min`, `max`".to_owned(), Aggregate::defaults(Kind::Gauge).to_vec())];
    cases.extend(Aggregate::ALL.iter().map(|(aggregate, _)| one(aggregate.clone())));
    cases.push(one(Aggregate::Histogram([20.0, 21.0, 22.0, 23.0].into())));
    if let Ok(percentile) = Permille::parse("95") {
        cases.push(one(Aggregate::Quantile(percentile)));
    }
    let names = Names { value: true, ..Names::default() };
    if let Ok(condition) = Expr::condition("value > 22", &names) {
        cases.push(one(Aggregate::DurationIn(condition.into())));
    }
    cases
}

/// A sensor that swings around 21.5, 1,000 times a second, in one window.
pub(super) fn measure(aggregates: &[Aggregate]) -> Figure {
    let mut lane = None;
    let mut nanos = 0.0;
    let mut allocations = 0;
    let heap = allocation_counter::measure(|| {
        let lane = lane.insert(Lane::new(aggregates, SAMPLES_MAX));
        fold(lane, 0..WARM);
        let start = Instant::now();
        let heap = allocation_counter::measure(|| fold(lane, WARM..WARM + READINGS));
        nanos = start.elapsed().as_secs_f64() * 1e9 / READINGS as f64;
        allocations = heap.count_total;
    });
    black_box(&lane);
    let bytes = heap.bytes_current + i64::try_from(size_of::<Open>() + size_of::<Lane>()).unwrap_or(0);
    let each = allocations as f64 / READINGS as f64;
    figure(nanos, &format!("{each} allocations per reading, {bytes} B a window"))
}

fn fold(lane: &mut Lane, readings: std::ops::Range<i64>) {
    for n in readings {
        let value = 21.5 + (n * 7_919 % 1_009) as f64 / 500.0;
        lane.fold(Time::from_millis(1_795_341_600_000 + n), black_box(value));
    }
}
