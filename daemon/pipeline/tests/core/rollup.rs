//! Windows that wait are merged while readings come, late ones too, and others are delivered: a function that keeps the
//! highest revision per key, and retires what is replaced, holds each reading once.

use super::script::{Input, acts, oracle, play, unique};
use super::world::{at, message};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::definition::Definition;
use tidegate_pipeline::event::ClosedKey;
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{Plan, Window};
use tidegate_pipeline::rollup::{Part, Role};
use tidegate_pipeline::time::Span;
use tidegate_pipeline::{Kept, Loaded, Pipeline, Stored};

/// What a store holds, as far as merging is concerned, with one output.
#[derive(Default)]
struct Rows {
    windows: BTreeMap<ClosedKey, Waiting>,
    /// What became of windows that are no rows of their own any more.
    gone: BTreeMap<ClosedKey, Option<ClosedKey>>,
    definitions: BTreeMap<u32, Definition>,
    merges: usize,
}

struct Waiting {
    kept: Kept,
    event: Vec<u8>,
    /// It is not confirmed.
    queued: bool,
    /// The function may have it.
    seen: bool,
}

/// Keeps the highest revision per key, and retires what is replaced.
#[derive(Default)]
struct Function {
    held: BTreeMap<String, (u64, Vec<f64>)>,
    retired: BTreeSet<String>,
    ids: BTreeMap<String, Vec<u8>>,
}

impl Rows {
    fn load(&self, keys: &[ClosedKey]) -> Loaded {
        let found = |key: &ClosedKey| {
            let mut at = *key;
            while let Some(into) = self.gone.get(&at) {
                let Some(into) = into else { return Some((*key, Stored::Silent)) };
                at = *into;
            }
            Some((*key, Stored::Window(at, self.windows.get(&at)?.kept.clone())))
        };
        keys.iter().filter_map(found).collect()
    }

    /// Merges what waits, as far as `width` lets it.
    fn merge(&mut self, width: Span) {
        let mut slots: BTreeMap<(u32, i64), Vec<Part>> = BTreeMap::new();
        let mut covered = Vec::new();
        for (key, window) in self.windows.iter().filter(|(_, window)| window.queued) {
            let (kept, seen) = (window.kept.clone(), window.seen);
            match self.definitions[&key.group].role(kept.start, key.end, width) {
                Role::Slot(slot) => {
                    slots.entry((key.group, slot)).or_default().push(Part { key: *key, kept, seen });
                }
                Role::Covered if !seen && kept.revision == 0 => covered.push(*key),
                Role::Covered | Role::Later(_) | Role::Stays => {}
            }
        }
        for key in covered {
            self.windows.remove(&key);
            self.gone.insert(key, None);
        }
        for ((group, _), parts) in slots.into_iter().filter(|(_, parts)| parts.len() > 1) {
            let Some(coarse) = self.definitions[&group].merge(&parts) else { continue };
            self.merges += 1;
            for part in parts {
                self.windows.remove(&part.key);
                self.gone.insert(part.key, Some(coarse.key));
            }
            self.gone.remove(&coarse.key);
            let window = Waiting { kept: coarse.kept, event: coarse.event, queued: true, seen: false };
            self.windows.insert(coarse.key, window);
        }
    }
}

impl Function {
    fn take(&mut self, event: &[u8]) {
        let parsed: serde_json::Value = serde_json::from_slice(event).unwrap();
        let (id, data) = (parsed["id"].as_str().unwrap(), &parsed["data"]);
        let before = self.ids.insert(id.into(), event.to_vec());
        assert!(before.is_none_or(|before| before == event), "{id} has two contents");
        let keys = data["replaces"].as_array().unwrap().iter();
        self.retired.extend(keys.map(|key| key.as_str().unwrap().to_owned()));
        let values = ["count", "sum"].map(|name| data["values"][name].as_f64().unwrap()).to_vec();
        let (key, revision) = (data["key"].as_str().unwrap(), data["revision"].as_u64().unwrap());
        let known = self.held.entry(key.into()).or_insert((revision, values.clone()));
        if revision >= known.0 {
            *known = (revision, values);
        }
    }

    fn totals(&self) -> BTreeMap<String, Vec<f64>> {
        let current = self.held.iter().filter(|(key, _)| !self.retired.contains(*key));
        totals(current.map(|(key, (_, values))| (key, values)))
    }
}

/// Count and sum by series.
fn totals<'v>(windows: impl Iterator<Item = (&'v String, &'v Vec<f64>)>) -> BTreeMap<String, Vec<f64>> {
    let mut totals: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (key, values) in windows {
        let series = key.split("/2026-").next().unwrap().to_owned();
        let total = totals.entry(series).or_insert_with(|| vec![0.0; 2]);
        total.iter_mut().zip(values).for_each(|(total, value)| *total += value);
    }
    totals
}

/// One step up to `end`.
fn step(pipeline: &mut Pipeline, rows: &mut Rows, inputs: &[(i64, Input)], end: f64) {
    let mut step = pipeline.step();
    for (arrival, input) in inputs {
        match input {
            Input::Opened => step.opened(0, "broker", 8),
            Input::Deliver(topic, payload, _) => {
                let secs = *arrival as f64 / 1_000.0;
                step.message(&Message { arrival: at(secs), ..message(secs, topic, payload) });
            }
            Input::End => {}
        }
    }
    let loaded = rows.load(&step.needs(at(end), &|_| false));
    let changes = step.finish(at(end), &|_| false, &loaded);
    for closed in changes.closed {
        let window = Waiting { kept: Kept::of(&closed), event: closed.event, queued: true, seen: false };
        rows.windows.insert(closed.key, window);
        rows.definitions.insert(closed.key.group, closed.definition);
    }
}

/// What happens to the queue after a step.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    /// The oldest are delivered; the answers to some are lost.
    Deliver {
        count: usize,
        lost: bool,
    },
    /// There is no room.
    Merge {
        minutes: i64,
    },
}

fn thens() -> impl Strategy<Value = Vec<Then>> {
    let then = prop_oneof![
        2 => Just(Then::Nothing),
        1 => (1usize..4, any::<bool>()).prop_map(|(count, lost)| Then::Deliver { count, lost }),
        2 => (0u32..6).prop_map(|times| Then::Merge { minutes: 1 << times }),
    ];
    prop::collection::vec(then, 20)
}

fn run(plan: Plan, inputs: &[(i64, Input)], thens: &[Then]) -> (Function, usize) {
    let (mut pipeline, mut rows, mut function) = (Pipeline::new(plan), Rows::default(), Function::default());
    let is_end = |input: &(i64, Input)| matches!(input.1, Input::End);
    let deliver = |rows: &mut Rows, function: &mut Function, count: usize, lost: bool| {
        for window in rows.windows.values_mut().filter(|window| window.queued).take(count) {
            function.take(&window.event);
            (window.queued, window.seen) = (lost, true);
        }
    };
    for (inputs, then) in inputs.split_inclusive(is_end).zip(thens.iter().cycle()) {
        let end = inputs.last().map_or(0, |(at, _)| *at) as f64 / 1_000.0;
        step(&mut pipeline, &mut rows, inputs, end);
        match *then {
            Then::Nothing => {}
            Then::Deliver { count, lost } => deliver(&mut rows, &mut function, count, lost),
            Then::Merge { minutes } => rows.merge(Span::from_secs(60 * minutes)),
        }
    }
    for secs in [1e6, 2e6] {
        step(&mut pipeline, &mut rows, &[], secs);
    }
    deliver(&mut rows, &mut function, usize::MAX, false);
    (function, rows.merges)
}

proptest! {
    /// Broken by: losing one side of a merge; by not replacing what was seen, or what was amended; by starting a new revision where
    /// the whole was seen before; by amending a part instead of the whole it went into.
    #[test]
    fn a_function_holds_each_reading_once(acts in acts(150), thens in thens()) {
        let (inputs, published) = play(&acts);
        let (function, _) = run(unique(2), &inputs, &thens);
        let expected = oracle(&inputs, &published);
        prop_assert_eq!(function.totals(), totals(expected.iter()));
    }

    /// Of overlapping windows only those are told that do not overlap, once they are merged: these hold each reading once.
    /// Broken by: merging windows that overlap; by amending the whole once for each window that it covers.
    #[test]
    fn overlapping_windows_merge_from_those_that_do_not(acts in acts(150), minutes in 2i64..20) {
        let (inputs, published) = play(&acts);
        let mut plan = unique(2);
        plan.summaries[0].window = Window::Hopping { length: Span::from_secs(60), every: Span::from_secs(20) };
        let (function, _) = run(plan, &inputs, &[Then::Merge { minutes }]);
        let whole = |key: &&String| {
            let start = key.split('/').nth(3).unwrap();
            start.ends_with(":00Z")
        };
        let tiles: Vec<_> = function.held.iter().filter(|(key, _)| whole(key) && !function.retired.contains(*key)).collect();
        let expected = oracle(&inputs, &published);
        prop_assert_eq!(totals(tiles.into_iter().map(|(key, (_, values))| (key, values))), totals(expected.iter()));
    }
}

/// A numbered reading of one device.
fn reading(secs: i64, number: u64, value: i64) -> (i64, Input) {
    let ts = at(0.0).as_millis() + 1_000 * secs;
    let payload = format!(r#"{{"v":{value},"ts":{ts},"n":{number},"b":1}}"#);
    (1_000 * secs, Input::Deliver("s/d1/t".into(), payload, None))
}

/// What a merged window says of itself.
#[test]
fn a_merged_window_says_what_it_covers() {
    let (mut pipeline, mut rows) = (Pipeline::new(unique(2)), Rows::default());
    let inputs = [reading(5, 1, 1), reading(65, 2, 2), reading(185, 3, 4)];
    step(&mut pipeline, &mut rows, &inputs, 1_000.0);
    rows.windows.values_mut().next().unwrap().seen = true;
    rows.merge(Span::from_secs(240));
    let [(_, window)] = rows.windows.iter().collect::<Vec<_>>()[..] else { panic!("{}", rows.windows.len()) };
    let event: serde_json::Value = serde_json::from_slice(&window.event).unwrap();
    let data = &event["data"];
    assert_eq!(data["key"], "minute/t/d1/2026-11-22T10:00:00Z/240s");
    assert_eq!(event["id"], "minute/t/d1/2026-11-22T10:00:00Z/240s/r0");
    assert_eq!(data["window"]["start"], "2026-11-22T10:00:00Z");
    assert_eq!(data["window"]["end"], "2026-11-22T10:04:00Z");
    assert_eq!((&data["values"]["count"], &data["values"]["sum"]), (&3.into(), &7.0.into()));
    assert_eq!(data["replaces"], serde_json::json!(["minute/t/d1/2026-11-22T10:00:00Z/60s"]));
    // A late reading for one of its parts amends it.
    step(&mut pipeline, &mut rows, &[reading(66, 4, 8)], 1_001.0);
    step(&mut pipeline, &mut rows, &[], 1_100.0);
    let window = rows.windows.values().next().unwrap();
    let event: serde_json::Value = serde_json::from_slice(&window.event).unwrap();
    assert_eq!(event["id"], "minute/t/d1/2026-11-22T10:00:00Z/240s/r1");
    assert_eq!(event["data"]["values"]["sum"], 15.0);
    assert_eq!(event["data"]["replaces"], data["replaces"]);
}

/// Late readings for two parts of one merged window, closing together: it is amended twice, and holds both.
/// Broken by: amending what the store had when the step began.
#[test]
fn two_parts_are_amended_in_one_step() {
    let (mut pipeline, mut rows) = (Pipeline::new(unique(2)), Rows::default());
    step(&mut pipeline, &mut rows, &[reading(5, 1, 1), reading(65, 2, 2)], 1_000.0);
    rows.merge(Span::from_secs(120));
    step(&mut pipeline, &mut rows, &[reading(6, 3, 4), reading(66, 4, 8)], 1_001.0);
    step(&mut pipeline, &mut rows, &[], 1_100.0);
    let events: Vec<_> = rows.windows.values().map(|window| window.event.clone()).collect();
    let [event] = events.as_slice() else { panic!("{} windows", events.len()) };
    let event: serde_json::Value = serde_json::from_slice(event).unwrap();
    assert_eq!(event["id"], "minute/t/d1/2026-11-22T10:00:00Z/120s/r2");
    assert_eq!(event["data"]["values"]["sum"], 15.0);
}

/// A late reading for windows that overlap amends the merged one that it belongs to, and none that is covered by that.
/// Broken by: telling what comes late for covered windows.
#[test]
fn what_is_covered_stays_silent() {
    let mut plan = unique(2);
    plan.summaries[0].window = Window::Hopping { length: Span::from_secs(60), every: Span::from_secs(20) };
    let (mut pipeline, mut rows) = (Pipeline::new(plan), Rows::default());
    step(&mut pipeline, &mut rows, &[reading(50, 1, 1), reading(70, 2, 2)], 1_000.0);
    assert_eq!(rows.windows.len(), 4);
    rows.merge(Span::from_secs(120));
    let ids = |rows: &Rows| {
        let id = |window: &Waiting| {
            let event: serde_json::Value = serde_json::from_slice(&window.event).unwrap();
            event["id"].as_str().unwrap().replace("minute/t/d1/2026-11-22T", "")
        };
        rows.windows.values().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&rows), ["10:00:00Z/120s/r0"]);
    step(&mut pipeline, &mut rows, &[reading(51, 3, 4)], 1_001.0);
    step(&mut pipeline, &mut rows, &[], 1_100.0);
    assert_eq!(ids(&rows), ["10:00:00Z/120s/r1"]);
}
