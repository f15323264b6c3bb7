//! The simulation is no decoration: each deliberate bug is caught by a seed that finds nothing without it.
//!
//! `FIND=n` looks through n seeds for each of them and says which catch it.

use tidegate_pipeline::mutant::Mutant;
use tidegate_tests::sim;

/// A bug and the seed that catches it.
const CAUGHT: [(Mutant, u64); 13] = [
    (Mutant::AcknowledgeBeforeCommit, 2),
    (Mutant::NoFence, 50),
    (Mutant::MarkNotInJournal, 22),
    (Mutant::ConfirmBeforeAnswer, 1),
    (Mutant::SendBeforeAttempted, 224),
    (Mutant::ReplayUnderNewPlan, 18),
    (Mutant::OutlierMovesWatermark, 4),
    (Mutant::RetryWithoutLooking, 22),
    (Mutant::CheckpointCutsTooMuch, 2),
    (Mutant::MergeLosesOne, 2),
    (Mutant::MergeReplacesNothing, 2),
    (Mutant::RawNotInJournal, 18),
    (Mutant::SeriesInTwoLanes, 7),
];

#[test]
fn each_is_caught() {
    if let Some(count) = std::env::var("FIND").ok().and_then(|count| count.parse().ok()) {
        for (mutant, _) in CAUGHT {
            println!("{mutant:?}: {:?}", catching(mutant, count));
        }
        return;
    }
    for (mutant, seed) in CAUGHT {
        assert_eq!(sim::run(seed, false).broken, None, "SEED={seed} without a bug");
        let broken = sim::run_mutant(seed, mutant).broken;
        println!("{mutant:?} caught by SEED={seed}: {broken:?}");
        assert!(broken.is_some(), "{mutant:?} survives SEED={seed}: there is a hole in the simulation");
    }
}

/// The first of so many seeds that catch a bug, and find nothing without it.
fn catching(mutant: Mutant, count: u64) -> Vec<u64> {
    let catches = |seed: &u64| {
        sim::run_mutant(*seed, mutant).broken.is_some() && sim::run(*seed, false).broken.is_none()
    };
    (0..count).filter(catches).take(3).collect()
}
