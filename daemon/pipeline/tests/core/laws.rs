//! Laws that hold for every script. Each was seen to fail with its rule broken on purpose; how, stands with it.

use super::alerts::watched;
use super::cleaning;
use super::raw;
use super::script::{Act, Input, acts, feed, feed_held, oracle, play, unique};
use super::world::{World, at, message};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::plan::{Plan, RawPlan, Window};
use tidegate_pipeline::state::State;
use tidegate_pipeline::time::Span;
use tidegate_pipeline::verdict::Verdict;
use tidegate_pipeline::{Pipeline, checkpoint, journal};

/// How many readings the readable and unreadable messages of a script are.
fn given(inputs: &[(i64, Input)]) -> u64 {
    inputs.iter().filter(|(_, input)| matches!(input, Input::Deliver(..))).count() as u64
}

/// Plan and state as a checkpoint gives them back.
fn stored(plan: &Plan, state: &State) -> (Plan, State) {
    checkpoint::decode(&checkpoint::encode(plan, state)).unwrap()
}

/// What the journal alone gives.
pub fn replayed(world: &World) -> Pipeline {
    let mut pipeline = Pipeline::new(world.pipeline.plan().clone());
    world
        .entries
        .iter()
        .for_each(|entry| pipeline.replay(&journal::decode(&journal::encode(entry)).unwrap()));
    pipeline
}

/// Everything raw, soon; and half of it, with what was refused, later.
fn forwarded(plan: Plan) -> Plan {
    let half = RawPlan {
        metrics: Some(vec!["m0".into()]),
        refused: true,
        every: Span::from_secs(90),
        ..raw::raw("half")
    };
    Plan { raw: vec![raw::raw("all"), half], ..plan }
}

/// The events of a `[raw.NAME]`, in order, but for their numbers.
fn contents(world: &World, name: &str) -> Vec<Value> {
    let events = world.raw.iter().map(|event| super::readings::json_of(event)["data"].take());
    let strip = |mut data: Value| {
        data["key"].take();
        data
    };
    events.filter(|data| data["raw"] == name).map(strip).collect()
}

/// The rows of all events of a `[raw.NAME]`, as device, metric, value, verdict; in order.
fn rows(world: &World, name: &str) -> Vec<String> {
    let rows = contents(world, name).into_iter().flat_map(|data| {
        let readings = data["readings"].as_array().unwrap().clone();
        readings.into_iter().map(move |row| {
            let series = &data["series"][row[0].as_u64().unwrap() as usize];
            format!("{} {} {} {}", series["tags"]["device"], series["metric"], row[2], row[3])
        })
    });
    rows.collect()
}

proptest! {
    /// Replaying the journal gives the state that the daemon had, from whichever checkpoint it starts, and the ledger
    /// knows every reading. Broken by: leaving the cleaning out of the replay; by not replaying `forgotten`; by noting
    /// events after the part that they stand before; by losing fingerprints on the way through the journal; by cleaning
    /// only counted readings in the replay; by cleaning before looking for duplicates, or for what comes too late; by not
    /// writing down what the time raised; by not writing down that a capture was sent; by recording only counted readings in
    /// the replay; by not writing down that raw readings were sent.
    #[test]
    fn replay_gives_the_live_state(acts in acts(60), kind in 0u8..4, steps in cleaning::some()) {
        let (inputs, _) = play(&acts);
        let mut plan = forwarded(watched(unique(kind)));
        plan.streams[0].clean = steps;
        let mut world = World::new(plan.clone());
        let mut states = vec![(0, world.pipeline.state().clone())];
        feed(&mut world, &inputs, |world| states.push((world.entries.len(), world.pipeline.state().clone())));
        // Each derived reading is one more.
        let derived = world.derived();
        prop_assert_eq!(world.pipeline.ledger().total(), given(&inputs) + derived);
        for (entries, state) in states {
            let (plan, state) = stored(&plan, &state);
            let mut replayed = Pipeline::restore(plan, state);
            for entry in &world.entries[entries..] {
                replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
            }
            prop_assert_eq!(replayed.state(), world.pipeline.state());
            prop_assert_eq!(replayed.next_deadline(), world.pipeline.next_deadline());
        }
    }

    /// A crash between any two steps changes nothing: the restored pipeline goes on as the old one would have.
    /// Broken by: restoring windows with other deadlines; by looking only at watches that a reading moved since.
    #[test]
    fn a_restored_pipeline_goes_on(acts in acts(60), kind in 0u8..4) {
        let (inputs, _) = play(&acts);
        let plan = forwarded(watched(unique(kind)));
        let (mut steady, mut crashing) = (World::new(plan.clone()), World::new(plan));
        feed(&mut steady, &inputs, |_| {});
        feed(&mut crashing, &inputs, |world| {
            let (plan, state) = stored(world.pipeline.plan(), world.pipeline.state());
            world.pipeline = Pipeline::restore(plan, state);
        });
        steady.settle();
        crashing.settle();
        prop_assert_eq!(steady.closed, crashing.closed);
        prop_assert_eq!(steady.alerts, crashing.alerts);
        prop_assert_eq!(steady.captures, crashing.captures);
        prop_assert_eq!(steady.raw, crashing.raw);
    }

    /// Each counted reading is in one raw event, in the order of arrival, and with all verdicts each refused one too. How
    /// messages are cut into steps changes no event but its number, and a replay leaves the same waiting. Broken by: sending
    /// duplicates; by sending what waits at the end of every step; by letting what comes after `every` into the event of
    /// before; by cutting as many as there are.
    #[test]
    fn raw_readings_are_sent_once(acts in acts(120), kind in 0u8..4, joins in prop::collection::vec(any::<bool>(), 120)) {
        let (inputs, _) = play(&acts);
        let joined = inputs.iter().zip(joins.iter().cycle()).enumerate();
        // The last step ends.
        let joined = joined.filter(|(at, (input, joins))| {
            !(**joins && matches!(input.1, Input::End)) || at + 1 == inputs.len()
        });
        let joined: Vec<_> = joined.map(|(_, (input, _))| input.clone()).collect();
        // What comes too late for a window depends on when it closes.
        let plan = Plan { summaries: vec![], ..forwarded(unique(kind)) };
        let (mut whole, mut cut) = (World::new(plan.clone()), World::new(plan));
        feed(&mut whole, &joined, |_| {});
        feed(&mut cut, &inputs, |_| {});
        let again = replayed(&whole);
        prop_assert_eq!(again.state(), whole.pipeline.state());
        whole.settle();
        cut.settle();
        for name in ["all", "half"] {
            prop_assert_eq!(contents(&whole, name), contents(&cut, name));
        }
        let series = &whole.pipeline.state().series;
        let decided = |metric: &str, verdicts: fn(Verdict) -> bool| -> Vec<String> {
            let readings = whole.entries.iter().flat_map(|entry| &entry.readings);
            let chosen = readings.filter(|reading| verdicts(reading.verdict));
            let chosen = chosen.map(|reading| (&series[reading.series as usize], reading));
            let chosen = chosen.filter(|(series, _)| series.metric.starts_with(metric));
            let line = chosen.map(|(series, reading)| {
                let verdict = match reading.verdict {
                    Verdict::Rejected(reason) | Verdict::DeadLettered(reason) => reason.name(),
                    _ => "counted",
                };
                let value = serde_json::json!(Some(reading.value).filter(|value| value.is_finite()));
                format!("{:?} {:?} {value} {verdict:?}", series.tags[0].1, series.metric)
            });
            line.collect()
        };
        prop_assert_eq!(rows(&whole, "all"), decided("m", |verdict| verdict == Verdict::Counted));
        prop_assert_eq!(rows(&whole, "half"), decided("m0", |verdict| verdict != Verdict::Duplicate));
    }

    /// The last revision of every key is what a few lines without windows, lateness or journal compute. Broken by:
    /// not merging what the store kept; by forgetting windows that can be amended; by counting duplicates.
    #[test]
    fn the_oracle_agrees(acts in acts(120), kind in 1u8..3) {
        let (inputs, published) = play(&acts);
        let mut world = World::new(unique(kind));
        feed(&mut world, &inputs, |_| {});
        world.settle();
        prop_assert_eq!(world.last(), oracle(&inputs, &published));
    }

    /// Windows that share series close in the order of their starts, however late their first readings are, and whether a
    /// source holds them open. Broken by: giving what opens late its `lateness` whatever waits behind it.
    #[test]
    fn windows_close_in_their_turn(
        acts in acts(120),
        every in prop_oneof![Just(60), Just(20)],
        holds in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut plan = unique(1);
        let (length, every) = (Span::from_secs(60), Span::from_secs(every));
        plan.summaries[0].window =
            if every < length { Window::Hopping { length, every } } else { Window::Tumbling { length } };
        plan.summaries[0].by = Some(vec![]);
        plan.summaries[0].lateness = Span::from_secs(100);
        let mut world = World::new(plan);
        let mut holds = holds.iter().cycle();
        feed_held(&mut world, &play(&acts).0, || *holds.next().unwrap(), |_| {});
        world.settle();
        let mut latest = BTreeMap::new();
        for closing in world.entries.iter().flat_map(|entry| &entry.closings).filter(|closing| !closing.late) {
            let before = latest.insert(closing.group, closing.start);
            prop_assert!(before < Some(closing.start), "{:?} after {:?}", closing, before);
        }
    }

    /// Sessions of a group are due in the order of their starts, also those that readings make longer, and a replay knows
    /// when. Broken by: giving a session that gets longer its `lateness` whatever waits behind it.
    #[test]
    fn sessions_are_due_in_their_turn(
        acts in acts(120),
        gap in prop_oneof![Just(5), Just(20)],
        lateness in prop_oneof![Just(0), Just(10), Just(100)],
        holds in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut plan = unique(1);
        plan.summaries[0].window = Window::Session { gap: Span::from_secs(gap) };
        plan.summaries[0].by = Some(vec![]);
        plan.summaries[0].lateness = Span::from_secs(lateness);
        let mut world = World::new(plan);
        let mut holds = holds.iter().cycle();
        feed_held(&mut world, &play(&acts).0, || *holds.next().unwrap(), |world| {
            for numbered in &world.pipeline.state().groups {
                let in_time = numbered.group.open.iter().filter(|open| open.late.is_none());
                assert!(in_time.is_sorted_by_key(|open| open.due), "{:?}", numbered.group.open);
            }
        });
        let again = replayed(&world);
        prop_assert_eq!(again.state(), world.pipeline.state());
        prop_assert_eq!(again.next_deadline(), world.pipeline.next_deadline());
    }

    /// Where messages are cut into steps changes no summary. Broken by: opening a late window as if it were the
    /// first; by forgetting windows that can be amended.
    #[test]
    fn the_cut_into_steps_is_neutral(acts in acts(120), kind in 0u8..4, cuts in prop::collection::vec(any::<bool>(), 120)) {
        let (inputs, _) = play(&acts);
        let mut finer = Vec::new();
        for (input, cut) in inputs.iter().zip(cuts.iter().cycle()) {
            finer.push(input.clone());
            if *cut {
                finer.push((input.0, Input::End));
            }
        }
        let (mut whole, mut cut) = (World::new(unique(kind)), World::new(unique(kind)));
        feed(&mut whole, &inputs, |_| {});
        feed(&mut cut, &finer, |_| {});
        whole.settle();
        cut.settle();
        prop_assert_eq!(whole.last(), cut.last());
        prop_assert_eq!(whole.pipeline.ledger(), cut.pipeline.ledger());
    }

    /// In whichever order readings arrive within the lateness: the same events, byte for byte, none of them amended.
    /// Broken by: closing at the end of the window; by taking `last` in the order of arrival.
    #[test]
    fn the_order_within_lateness_is_neutral(
        readings in prop::collection::vec((0u8..2, 0i64..200_000, -100i16..100, 0i64..10_000, 0i64..10_000), 1..60),
    ) {
        let run = |delay: fn(&(u8, i64, i16, i64, i64)) -> i64| {
            let mut plan = unique(0);
            plan.summaries[0].aggregates =
                [Aggregate::Count, Aggregate::Sum, Aggregate::First, Aggregate::Last, Aggregate::Max].into();
            let mut world = World::new(plan);
            let mut order: Vec<_> = readings.iter().map(|r| (r.1 + delay(r), r)).collect();
            order.sort_by_key(|(arrival, _)| *arrival);
            for (arrival, (device, time, value, _, _)) in order {
                let secs = arrival as f64 / 1_000.0;
                let payload = format!(r#"{{"v":{value},"ts":{}}}"#, at(0.0).as_millis() + time);
                let topic = format!("s/d{device}/t");
                world.step(secs, |step| step.message(&message(secs, &topic, &payload)));
            }
            world.settle();
            let mut events: Vec<_> = world.closed.into_iter().map(|closed| (closed.id, closed.event)).collect();
            events.sort();
            events
        };
        let events = run(|reading| reading.3);
        prop_assert!(events.iter().all(|(id, _)| id.ends_with("/r0")));
        prop_assert_eq!(events, run(|reading| reading.4));
    }

    /// A broker that loses every acknowledgement redelivers everything after each break; each reading counts once.
    /// Broken by: not taking what is in doubt for a duplicate; by dropping the doubt of the break before.
    #[test]
    fn a_broker_that_repeats_itself_is_heard_once(acts in acts(60), window in 1usize..12) {
        let readings: Vec<_> = play(&acts).1;
        let mut world = World::new(unique(0));
        for (at, reading) in readings.iter().enumerate() {
            let since = (at + 1).saturating_sub(window);
            let mut pipeline = Pipeline::restore(unique(0), Default::default());
            std::mem::swap(&mut pipeline, &mut world.pipeline);
            world.pipeline = Pipeline::restore(unique(0), pipeline.state().clone());
            // The connection breaks after each message; what is in flight comes again, and then one more.
            world.step(reading.sequence as f64 / 1_000.0, |step| {
                step.opened(0, "broker", u16::try_from(window).unwrap());
                for again in &readings[since..=at] {
                    step.message(&message(0.0, &again.topic(), &again.payload()));
                }
            });
        }
        let ledger = world.pipeline.ledger();
        prop_assert_eq!(ledger.total() - ledger.duplicate, readings.len() as u64);
    }
}

/// Proptest finds such scripts rarely; this one has it all in a few lines.
#[test]
fn a_short_script_with_everything() {
    let publish = |age_ms| Act::Publish { device: 0, metric: 0, value: 1, age_ms };
    let acts = [
        publish(0),
        Act::Tick { ms: 71_000 },
        publish(71_000),
        Act::Tick { ms: 3_598_000 },
        Act::Reconnect,
        publish(3_660_000 - 11_000),
        Act::Tick { ms: 5_000 },
        Act::Tick { ms: 60_000 },
    ];
    let (inputs, published) = play(&acts);
    let mut world = World::new(unique(2));
    feed(&mut world, &inputs, |_| {});
    world.settle();
    assert_eq!(world.last().values().map(|values| values[0]).sum::<f64>(), published.len() as f64);
}
