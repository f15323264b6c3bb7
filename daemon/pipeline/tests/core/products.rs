//! Every kind of window with every aggregate, through the whole pipeline: late, twice, broken, in whichever order.

use super::kinds::{counted, cut, kinds, oldest, with};
use super::samples::{Sample, Span, all, near, oracle};
use super::script::{acts, feed, play};
use super::world::{TEN, World};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::event::Closed;
use tidegate_pipeline::partial::Partial;
use tidegate_pipeline::time::Time;

fn ms(time: Time) -> i64 {
    time.as_millis() - TEN
}

/// What a function has in the end, by key.
fn kept(world: &World) -> BTreeMap<String, &Closed> {
    let mut kept = BTreeMap::new();
    let mut retired = BTreeSet::new();
    for closed in &world.closed {
        let event: serde_json::Value = serde_json::from_slice(&closed.event).unwrap();
        let replaces = event["data"]["replaces"].as_array().unwrap();
        retired.extend(replaces.iter().map(|key| key.as_str().unwrap().to_owned()));
        kept.insert(event["data"]["key"].as_str().unwrap().to_owned(), closed);
    }
    kept.retain(|key, _| !retired.contains(key));
    kept
}

proptest! {
    /// What a function has in the end is what the oracle says of the readings of each window, and the state that it was sent
    /// says the same. Broken by: an amendment that keeps only what came late; by panes that are merged twice; by a state that
    /// names another end.
    #[test]
    fn every_window_with_every_aggregate(acts in acts(100), window in kinds()) {
        let (inputs, published) = play(&acts);
        let mut plan = with(2, window.clone());
        plan.summaries[0].aggregates = all();
        plan.summaries[0].state = true;
        let mut world = World::new(plan);
        feed(&mut world, &inputs, |_| {});
        world.settle();
        let kept = kept(&world);
        let mut windows = 0;
        for ((metric, device), readings) in counted(&inputs, &published, |time| oldest(&window, time)) {
            for (name, readings) in cut(&window, &readings) {
                windows += 1;
                let key = format!("minute/m{metric}/d{device}/{name}");
                let closed = kept.get(&key).copied();
                prop_assert!(closed.is_some(), "{} is not there", key);
                let closed = closed.unwrap();
                let samples: Vec<Sample> = readings.iter().map(|(at, value)| (ms(*at), Some(*value))).collect();
                // Which opening a window gets is another test's; what is made of it is this one's.
                let opening = closed.content.lanes[0].opening.map(|(at, value)| (ms(at), value));
                let span = Span { start: ms(closed.record.start), end: ms(closed.key.end), opening };
                let event: serde_json::Value = serde_json::from_slice(&closed.event).unwrap();
                let sent = Partial::decode(event["data"]["state"].as_str().unwrap()).unwrap();
                let lane = sent.lane(&format!("m{metric}")).unwrap();
                for aggregate in all() {
                    let name = aggregate.name();
                    let expected = oracle(&name, &samples, span);
                    let found = closed.record.values.iter().find(|(known, _)| *known == name);
                    let found = found.map(|(_, value)| value.clone());
                    prop_assert!(near(&found, &expected), "{name} of {key}: {found:?}, not {expected:?}");
                    let again = aggregate.value(&lane.states, &lane.context(sent.start, sent.end));
                    prop_assert_eq!(&again, &found, "{} of {}, from its state", name, key);
                }
            }
        }
        prop_assert_eq!(windows, kept.len());
    }
}
