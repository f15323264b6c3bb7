//! Window kinds: each against an oracle that sorts all readings and cuts them by definition.

use super::script::{Act, Input, Published, acts, feed, play, unique};
use super::world::{World, at, message, payload, plan};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_pipeline::expr::{Expr, Names};
use tidegate_pipeline::plan::{CalendarUnit, Plan, Window};
use tidegate_pipeline::time::{Span, Time};
use tidegate_pipeline::{Pipeline, journal};

fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}

pub fn with(kind: u8, window: Window) -> Plan {
    let mut plan = unique(kind);
    plan.summaries[0].window = window;
    plan
}

pub fn kinds() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1i64..200).prop_map(|length| Window::Tumbling { length: secs(length) }),
        (1i64..40, 1i64..6, 0i64..40).prop_map(|(every, times, more)| Window::Hopping {
            length: secs(every * times + more % every),
            every: secs(every),
        }),
        prop_oneof![Just(CalendarUnit::Hour), Just(CalendarUnit::Day), Just(CalendarUnit::Week)]
            .prop_map(|unit| Window::Calendar { unit, zone: "Asia/Kolkata".into() }),
        (1i64..300).prop_map(|gap| Window::Session { gap: secs(gap) }),
    ]
}

/// Readings that count, by metric and device: (time, value), in the order of time.
pub type Counted = BTreeMap<(u8, u8), Vec<(Time, f64)>>;

pub fn counted(inputs: &[(i64, Input)], published: &[Published], oldest: impl Fn(Time) -> i64) -> Counted {
    let mut seen = BTreeSet::new();
    let mut counted = Counted::new();
    for (arrival, input) in inputs {
        let Input::Deliver(_, _, Some(which)) = input else { continue };
        let reading = &published[*which];
        let age = arrival - reading.time_ms;
        if seen.insert(*which) && (-300_000..oldest(at(reading.time_ms as f64 / 1_000.0))).contains(&age) {
            let time = at(reading.time_ms as f64 / 1_000.0);
            counted
                .entry((reading.metric, reading.device))
                .or_default()
                .push((time, f64::from(reading.value)));
        }
    }
    counted
        .values_mut()
        .for_each(|readings| readings.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))));
    counted
}

/// What the windows of one series hold, by definition: key and readings.
pub fn cut(window: &Window, readings: &[(Time, f64)]) -> BTreeMap<String, Vec<(Time, f64)>> {
    let mut windows: BTreeMap<String, Vec<(Time, f64)>> = BTreeMap::new();
    let mut put = |start: i64, name: String, reading| {
        windows.entry(format!("{}/{name}", Time(start).rfc3339())).or_default().push(reading);
    };
    match window {
        Window::Session { gap } => {
            let mut start = 0;
            for (n, (time, value)) in readings.iter().enumerate() {
                if n == 0 || time.0 - readings[n - 1].0.0 >= gap.0 {
                    start = time.0;
                }
                put(start, "session".into(), (*time, *value));
            }
        }
        Window::Tumbling { length: Span(length) } => {
            let name = format!("{}s", length / 1_000_000);
            readings.iter().for_each(|(t, v)| put(t.0.div_euclid(*length) * length, name.clone(), (*t, *v)));
        }
        Window::Hopping { length: Span(length), every: Span(every) } => {
            for (time, value) in readings {
                for n in time.0 / every - length / every - 2..=time.0 / every {
                    if n * every <= time.0 && time.0 < n * every + length {
                        put(n * every, format!("{}s", length / 1_000_000), (*time, *value));
                    }
                }
            }
        }
        Window::Calendar { unit, .. } => {
            let (length, ahead) = indian(*unit);
            for (time, value) in readings {
                let start = (time.0 + ahead).div_euclid(length) * length - ahead;
                put(start, format!("{}s", length / 1_000_000), (*time, *value));
            }
        }
        Window::Count { .. } | Window::State { .. } => {}
    }
    windows
}

/// Length of a window and how far its alignment is ahead of 1970, in microseconds: India keeps +05:30 all year, and
/// 1970-01-05 was a Monday.
fn indian(unit: CalendarUnit) -> (i64, i64) {
    const HOUR: i64 = 3_600_000_000;
    match unit {
        CalendarUnit::Hour => (HOUR, HOUR / 2),
        CalendarUnit::Day => (24 * HOUR, 11 * HOUR / 2),
        _ => (168 * HOUR, 11 * HOUR / 2 - 96 * HOUR),
    }
}

/// How old a reading of `time` can be in milliseconds. Ages of scripts stay clear of the horizon of short windows; of long
/// ones, what is left of them counts too.
pub fn oldest(window: &Window, time: Time) -> i64 {
    match window {
        Window::Calendar { unit, .. } => {
            let (length, ahead) = indian(*unit);
            (length - (time.0 + ahead).rem_euclid(length)) / 1_000 + 3_610_000
        }
        _ => 3_500_000,
    }
}

fn values(readings: &[(Time, f64)]) -> Vec<f64> {
    let readings: Vec<f64> = readings.iter().map(|(_, value)| *value).collect();
    let min = readings.iter().copied().fold(f64::INFINITY, f64::min);
    let max = readings.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    vec![readings.len() as f64, readings.iter().sum(), min, max]
}

/// A function that keeps the highest revision per key and retires what an event replaces: what it has in the end.
fn kept_by_a_function(world: &World) -> BTreeMap<String, Vec<f64>> {
    let mut rows: BTreeMap<String, (u32, Vec<f64>)> = BTreeMap::new();
    let mut retired = BTreeSet::new();
    for closed in &world.closed {
        let event: serde_json::Value = serde_json::from_slice(&closed.event).unwrap();
        let key = event["data"]["key"].as_str().unwrap().to_owned();
        let before = rows.get(&key).map(|(revision, _)| *revision);
        assert_eq!(closed.revision, before.map_or(0, |revision| revision + 1), "{key}");
        let values = closed.record.values.iter().map(|(_, value)| value.number().unwrap()).collect();
        rows.insert(key, (closed.revision, values));
        retired.extend(
            event["data"]["replaces"].as_array().unwrap().iter().map(|k| k.as_str().unwrap().to_owned()),
        );
    }
    rows.retain(|key, _| !retired.contains(key));
    rows.into_iter().map(|(key, (_, values))| (key, values)).collect()
}

fn check(window: &Window, inputs: &[(i64, Input)], published: &[Published]) -> Result<(), TestCaseError> {
    let plan = with(2, window.clone());
    let mut world = World::new(plan.clone());
    feed(&mut world, inputs, |_| {});
    world.settle();
    let counted = counted(inputs, published, |time| oldest(window, time));
    let mut expected = BTreeMap::new();
    for ((metric, device), readings) in &counted {
        for (window, found) in cut(window, readings) {
            expected.insert(format!("minute/m{metric}/d{device}/{window}"), values(&found));
        }
    }
    prop_assert_eq!(kept_by_a_function(&world), expected);
    Ok(())
}

proptest! {
    /// What a function has in the end is what the definition of the windows says, whatever came late, twice, broken or in
    /// whichever order. Broken by: dropping a pane with the first window that it belongs to; by taking a session for new
    /// where it touches a closed one; by forgetting the keys that a session swallowed.
    #[test]
    fn the_oracle_agrees(acts in acts(120), window in kinds()) {
        let (inputs, published) = play(&acts);
        check(&window, &inputs, &published)?;
    }

    /// The same for readings that crowd around a few sessions, which come late, grow and join.
    #[test]
    fn sessions_join(
        readings in prop::collection::vec((0i64..60, 0i64..400, 0u32..40), 1..40),
        gap in 1i64..20,
    ) {
        let mut acts = Vec::new();
        for (age, wait, more) in readings {
            acts.push(Act::Tick { ms: more * 1_000 });
            acts.push(Act::Publish { device: 0, metric: 0, value: 1, age_ms: (age * 1_000 + wait) as i32 });
        }
        let (inputs, published) = play(&acts);
        check(&Window::Session { gap: secs(gap) }, &inputs, &published)?;
    }

    /// Replay gives the same state, whatever the kind of window.
    #[test]
    fn replay_gives_the_same_state(acts in acts(80), window in prop_oneof![
        4 => kinds(),
        1 => (1u32..7).prop_map(|readings| Window::Count { readings }),
        1 => Just(state("value > 0")),
    ]) {
        let (inputs, _) = play(&acts);
        let plan = with(2, window);
        let mut world = World::new(plan.clone());
        feed(&mut world, &inputs, |_| {});
        world.settle();
        let mut replayed = Pipeline::new(plan);
        for entry in &world.entries {
            replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
        }
        prop_assert_eq!(replayed.state(), world.pipeline.state());
        prop_assert_eq!(replayed.next_deadline(), world.pipeline.next_deadline());
    }

    /// Windows of a number of readings: all in the order of time, whole, numbered without a gap, nothing lost.
    #[test]
    fn counts(acts in acts(120), readings in 1u32..7) {
        let (inputs, published) = play(&acts);
        let mut world = World::new(with(2, Window::Count { readings }));
        feed(&mut world, &inputs, |_| {});
        world.settle();
        let mut sums: BTreeMap<String, (u64, f64, Time)> = BTreeMap::new();
        for closed in &world.closed {
            let parts: Vec<_> = closed.id.split('/').collect();
            let series = format!("{}/{}", parts[1], parts[2]);
            let start = closed.record.start;
            prop_assert_eq!(parts[3], start.rfc3339());
            let number = parts[4].strip_prefix("count").unwrap();
            let ordinal: u64 = number.split_once('@').map_or(number, |(ordinal, _)| ordinal).parse().unwrap();
            let entry = sums.entry(series).or_insert((0, 0.0, Time::MIN));
            prop_assert_eq!(ordinal, entry.0 + 1);
            prop_assert_eq!(closed.record.values[0].1.number(), Some(f64::from(readings)));
            prop_assert!(start >= entry.2, "in the order of time");
            *entry = (ordinal, entry.1 + f64::from(readings), start);
        }
        // Whoever came in time is in a window or in the one that is being filled.
        let ledger = world.pipeline.ledger().counted;
        let told: f64 = sums.values().map(|(_, count, _)| count).sum();
        prop_assert!(told <= ledger as f64 && ledger as f64 - told < 6.0 * f64::from(readings));
        prop_assert!(published.len() as u64 >= ledger);
    }
}

fn state(text: &str) -> Window {
    let names = Names { value: true, ..Names::default() };
    Window::State { condition: Arc::new(Expr::condition(text, &names).unwrap()) }
}

proptest! {
    /// What a pump did: from each reading above 0 to the next that is not, whatever the order within lateness. Broken by:
    /// taking readings as they come.
    #[test]
    fn states(readings in prop::collection::vec((0u32..30, -3i32..3, 0u32..10), 1..80)) {
        let mut plan = plan();
        plan.summaries[0].window = state("value > 0");
        let mut world = World::new(plan);
        let (mut time, mut sent) = (0, Vec::new());
        for (wait, value, delay) in readings {
            time += wait + 1;
            sent.push((time + delay, time, value));
        }
        let mut expected: Vec<(i64, i64, u32, i32)> = Vec::new();
        let mut open: Option<(i64, u32, i32)> = None;
        for (_, time, value) in &sent {
            let time = i64::from(*time);
            match (&mut open, *value > 0) {
                (Some((_, count, sum)), true) => (*count, *sum) = (*count + 1, *sum + value),
                (None, true) => open = Some((time, 1, *value)),
                (Some((start, count, sum)), false) => {
                    expected.push((*start, time, *count, *sum));
                    open = None;
                }
                (None, false) => {}
            }
        }
        sent.sort_by_key(|(arrival, ..)| *arrival);
        for (arrival, time, value) in sent {
            world.step(arrival.into(), |step| {
                step.message(&message(arrival.into(), "s/d/pump", &payload(value.into(), time.into())));
            });
        }
        world.settle();
        let told: Vec<_> = world
            .closed
            .iter()
            .map(|closed| {
                let value = |n: usize| closed.record.values[n].1.number().unwrap();
                let since = |time: Time| time.since(at(0.0)).0 / 1_000_000;
                let key = format!("minute/pump/d/{}/state/r0", closed.record.start.rfc3339());
                assert_eq!(closed.id, key);
                (since(closed.record.start), since(closed.key.end), value(0) as u32, value(1) as i32)
            })
            .collect();
        prop_assert_eq!(told, expected);
    }
}

#[test]
fn a_session_that_is_bridged_replaces_both() {
    let mut plan = plan();
    plan.summaries[0].window = Window::Session { gap: secs(30) };
    let mut world = World::new(plan);
    for (arrival, time) in [(0.0, 0.0), (50.0, 50.0), (60.0, 60.0), (200.0, 25.0), (400.0, -10.0)] {
        world.step(arrival, |_| {});
        world.send(arrival, "s/d1/t", &payload(1.0, time));
    }
    world.settle();
    assert_eq!(
        world.lines(),
        [
            "minute/t/d1/10:00:00Z/session/r0 1 1",
            "minute/t/d1/10:00:50Z/session/r0 2 2",
            "minute/t/d1/10:00:00Z/session/r1 4 4",
            "minute/t/d1/2026-11-22T09:59:50Z/session/r0 5 5".replace("2026-11-22T", "").as_str(),
        ]
    );
    let replaces = |n: usize| world.json(n)["data"]["replaces"].clone();
    let key = |time: &str| format!("minute/t/d1/2026-11-22T{time}Z/session");
    assert_eq!(replaces(2), serde_json::json!([key("10:00:50")]));
    assert_eq!(replaces(3), serde_json::json!([key("10:00:50"), key("10:00:00")]));
    assert_eq!(world.json(3)["data"]["window"]["end"], "2026-11-22T10:01:30Z");
}

#[test]
fn hopping_windows_share_what_they_hold() {
    let mut plan = plan();
    plan.summaries[0].window = Window::Hopping { length: secs(120), every: secs(60) };
    let mut world = World::new(plan);
    world.send(10.0, "s/d1/t", &payload(1.0, 10.0));
    world.send(70.0, "s/d1/t", &payload(2.0, 70.0));
    world.step(131.0, |_| {});
    world.send(132.0, "s/d1/t", &payload(4.0, 20.0));
    world.settle();
    assert_eq!(
        world.lines(),
        [
            "minute/t/d1/09:59:00Z/120s/r0 1 1",
            "minute/t/d1/10:00:00Z/120s/r0 2 3",
            "minute/t/d1/09:59:00Z/120s/r1 2 5",
            "minute/t/d1/10:00:00Z/120s/r1 3 7",
            "minute/t/d1/10:01:00Z/120s/r0 1 2",
        ]
    );
}

/// A sensor whose clock runs ahead closes its windows by its own time, but one bad time stamp closes nothing.
#[test]
fn the_watermark_needs_two_witnesses() {
    let mut world = World::new(plan());
    world.send(0.0, "s/d1/t", &payload(1.0, 100.0));
    world.send(1.0, "s/d1/t", &payload(1.0, 280.0));
    assert!(world.closed.is_empty(), "one reading far ahead");
    world.send(2.0, "s/d1/t", &payload(1.0, 101.0));
    assert!(world.closed.is_empty());
    world.send(3.0, "s/d1/t", &payload(1.0, 131.0));
    assert_eq!(world.lines(), ["minute/t/d1/10:01:00Z/60s/r0 2 2"]);
    world.send(4.0, "s/d1/t", &payload(1.0, 102.0));
    world.settle();
    assert_eq!(world.last()["minute/t/d1/2026-11-22T10:01:00Z/60s"][0], 3.0, "and what comes late amends");
}

/// All series of a group have to agree.
#[test]
fn the_slowest_clock_of_a_group_decides() {
    let mut plan = plan();
    plan.summaries[0].by = Some(vec![]);
    let mut world = World::new(plan);
    for time in [0.0, 120.0, 121.0] {
        world.send(0.0, "s/ahead/t", &payload(1.0, time));
    }
    assert_eq!(world.closed.len(), 1, "nobody else reports yet");
    world.send(0.0, "s/right/t", &payload(1.0, 130.0));
    for time in [240.0, 241.0] {
        world.step(0.0, |step| step.message(&message(0.0, "s/ahead/t", &payload(1.0, time))));
    }
    assert_eq!(world.closed.len(), 1, "the other one is not there yet");
}
