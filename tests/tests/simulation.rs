//! The simulation: many worlds, each made of a seed. See `tidegate_tests::sim`.
//!
//! `SEED=n` replays one and shows what happened in it; `SEEDS=n` says how many are run.

use tidegate_tests::sim;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn seeds() {
    if let Some(seed) = number("SEED") {
        let run = sim::run(seed, true);
        println!("{}", run.history);
        assert_eq!(run.broken, None, "SEED={seed} replays this");
        return;
    }
    let count = number("SEEDS").unwrap_or(if cfg!(debug_assertions) { 30 } else { 3_000 });
    let start = std::time::Instant::now();
    let totals = sim::run_many(number("FROM").unwrap_or(0), count, None);
    println!("{} seeds in {:.1} s, {totals:?}", totals.seeds, start.elapsed().as_secs_f64());
    assert!(totals.failed.is_empty());
}
