//! More windows than one step closes: nobody's memory grows with how many end at once.

use super::world::{World, at, message, payload, plan};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::limits::CLOSINGS_PER_STEP_MAX;
use tidegate_pipeline::plan::{Plan, Window};
use tidegate_pipeline::time::Span;

/// Fills two steps and begins a third.
const SERIES: usize = 2 * CLOSINGS_PER_STEP_MAX + 1;

fn roomy() -> Plan {
    Plan { series_max: 10_000, ..plan() }
}

/// Each has one reading in the first minute.
fn many(plan: Plan) -> World {
    let mut world = World::new(plan);
    world.step(2.0, |step| {
        for device in 0..SERIES {
            step.message(&message(2.0, &format!("s/d{device}/t"), &payload(1.0, 1.0)));
        }
    });
    world
}

/// Every window came once, and no step closed more than it may.
fn check(world: &World, counted: usize) {
    assert!(world.entries.iter().all(|entry| entry.closings.len() <= CLOSINGS_PER_STEP_MAX));
    assert_eq!(world.closed.len(), SERIES);
    assert!(world.closed.iter().all(|closed| closed.revision == 0));
    let received = world.closed.iter().map(|closed| closed.content.completeness.received as usize);
    assert_eq!(received.sum::<usize>(), counted);
    assert_eq!(world.pipeline.open_windows(), 0);
}

/// What waits for its turn is due, takes readings, and is closed by a replay when it was closed live.
#[test]
fn by_the_time() {
    let mut world = many(roomy());
    world.step(71.0, |_| {});
    assert_eq!(world.closed.len(), CLOSINGS_PER_STEP_MAX);
    assert!(world.pipeline.next_closing(&|_| false).unwrap() <= at(71.0), "the next step is due");
    let last = format!("s/d{}/t", SERIES - 1);
    assert_eq!(world.send(71.1, &last, &payload(2.0, 30.0)), ["counted"]);
    world.step(71.2, |_| {});
    check(&world, SERIES + 1);
    let mut replayed = Pipeline::new(roomy());
    world.entries.iter().for_each(|entry| replayed.replay(entry));
    assert_eq!(replayed.state(), world.pipeline.state());
}

/// Those that end by a number of readings have no time at which they are due.
#[test]
fn by_another_plan() {
    let windows = [Window::Tumbling { length: Span::from_secs(60) }, Window::Count { readings: 100 }];
    for window in windows {
        let mut plan = roomy();
        plan.summaries[0].window = window;
        let mut world = many(plan);
        // Readings are in their windows, not before them.
        world.step(20.0, |_| {});
        let mut changed = roomy();
        changed.summaries[0].window = Window::Tumbling { length: Span::from_secs(30) };
        world.change(21.0, changed);
        check(&world, SERIES);
    }
}
