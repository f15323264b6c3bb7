//! Random scripts: what sensors, brokers and the clock do to a pipeline, and an oracle that knows the answer without one.

use super::world::{World, at, message, pointer};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{Plan, Unique};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Act {
    /// A sensor publishes a reading that is so many milliseconds old.
    Publish { device: u8, metric: u8, value: i16, age_ms: i32 },
    /// An earlier publish is delivered again.
    Again(prop::sample::Index),
    /// Something that nobody can read.
    Junk(u8),
    /// The broker's connection was lost and is back.
    Reconnect,
    /// Time passes and the step ends.
    Tick { ms: u32 },
}

pub fn acts(length: usize) -> impl Strategy<Value = Vec<Act>> {
    // Most readings are recent, some amend, a few are hopeless or from the future.
    let age = prop_oneof![
        8 => -1_000..10_000,
        2 => 10_000..3_000_000,
        1 => Just(100_000_000),
        1 => Just(-400_000),
    ];
    let act = prop_oneof![
        8 => (0u8..3, 0u8..2, prop_oneof![any::<i16>(), 0i16..3], age)
            .prop_map(|(device, metric, value, age_ms)| Act::Publish { device, metric, value, age_ms }),
        2 => any::<prop::sample::Index>().prop_map(Act::Again),
        1 => (0u8..6).prop_map(Act::Junk),
        1 => Just(Act::Reconnect),
        3 => prop_oneof![0u32..20_000, 20_000u32..200_000].prop_map(|ms| Act::Tick { ms }),
    ];
    prop::collection::vec(act, 1..length)
}

/// One published message with its place in time.
#[derive(Clone, Debug)]
pub struct Published {
    pub device: u8,
    pub metric: u8,
    pub value: i16,
    /// Milliseconds after ten o'clock.
    pub time_ms: i64,
    pub sequence: u64,
}

impl Published {
    pub fn topic(&self) -> String {
        format!("s/d{}/m{}", self.device, self.metric)
    }

    pub fn payload(&self) -> String {
        let ts = at(0.0).as_millis() + self.time_ms;
        format!(
            r#"{{"v":{},"ts":{ts},"n":{},"b":1,"room":"r{}"}}"#,
            self.value,
            self.sequence,
            self.device % 2
        )
    }
}

/// What a pipeline is fed: an act made concrete.
#[derive(Clone, Debug)]
pub enum Input {
    Opened,
    /// Topic, payload, and which publish it is; `None` for junk.
    Deliver(String, String, Option<usize>),
    /// The step ends.
    End,
}

/// Makes a script concrete: inputs with arrival times.
pub fn play(acts: &[Act]) -> (Vec<(i64, Input)>, Vec<Published>) {
    let (mut now, mut inputs, mut published) = (0i64, Vec::new(), Vec::<Published>::new());
    for act in acts {
        match act {
            Act::Publish { device, metric, value, age_ms } => {
                let sequence = published.len() as u64;
                let time_ms = now - i64::from(*age_ms);
                published.push(Published {
                    device: *device,
                    metric: *metric,
                    value: *value,
                    time_ms,
                    sequence,
                });
                let last = published.len() - 1;
                inputs.push((now, deliver(&published, last)));
            }
            Act::Again(which) if !published.is_empty() => {
                inputs.push((now, deliver(&published, which.index(published.len()))));
            }
            Act::Again(_) => {}
            Act::Junk(kind) => inputs.push((now, junk(*kind))),
            Act::Reconnect => inputs.push((now, Input::Opened)),
            Act::Tick { ms } => {
                now += i64::from(*ms);
                inputs.push((now, Input::End));
            }
        }
    }
    inputs.push((now, Input::End));
    (inputs, published)
}

fn deliver(published: &[Published], which: usize) -> Input {
    Input::Deliver(published[which].topic(), published[which].payload(), Some(which))
}

fn junk(kind: u8) -> Input {
    let (topic, payload) = match kind {
        0 => ("s/d0/m0", "{"),
        1 => ("x", "1"),
        2 => ("s/+/m0", "1"),
        3 => ("s/d9/m0", r#"{"v":null,"ts":1,"n":1,"b":1}"#),
        4 => ("s/d9/m0", r#"{"v":1,"n":3,"b":1}"#),
        _ => ("s/d9/m0", r#"{"v":1,"ts":1,"n":-3,"b":1}"#),
    };
    Input::Deliver(topic.into(), payload.into(), None)
}

/// Feeds inputs to a world, one step between two ends; `after` looks at it after each step.
pub fn feed(world: &mut World, inputs: &[(i64, Input)], after: impl FnMut(&mut World)) {
    feed_held(world, inputs, || false, after);
}

/// The same, while the source says of some steps that it is still delivering what waited.
pub fn feed_held(
    world: &mut World,
    inputs: &[(i64, Input)],
    mut holds: impl FnMut() -> bool,
    mut after: impl FnMut(&mut World),
) {
    let is_end = |input: &(i64, Input)| matches!(input.1, Input::End);
    for step in inputs.split_inclusive(is_end) {
        let end = step.last().map_or(0, |(at, _)| *at);
        let held = holds();
        world.step_held(end as f64 / 1_000.0, &|_| held, |open| {
            for (arrival, input) in step {
                match input {
                    Input::Opened => open.opened(0, "broker", 8),
                    Input::Deliver(topic, payload, _) => {
                        let secs = *arrival as f64 / 1_000.0;
                        open.message(&Message { arrival: at(secs), ..message(secs, topic, payload) });
                    }
                    Input::End => {}
                }
            }
        });
        after(world);
    }
}

/// The world's plan for scripts, by kind of uniqueness.
pub fn unique(kind: u8) -> Plan {
    let mut plan = super::world::plan();
    plan.streams[0].unique = match kind {
        0 => Unique::Content,
        1 => Unique::Sequence { at: pointer("/n"), boot: None, per: None },
        2 => Unique::Sequence {
            at: pointer("/n"),
            boot: Some(pointer("/b")),
            per: Some(vec!["device".into()]),
        },
        _ => Unique::Time,
    };
    plan
}

/// By `metric/device/minute`: count, sum, least and greatest of what was delivered, each publish once, in time.
pub fn oracle(inputs: &[(i64, Input)], published: &[Published]) -> BTreeMap<String, Vec<f64>> {
    let mut seen = BTreeSet::new();
    let mut windows: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (arrival, input) in inputs {
        let Input::Deliver(_, _, Some(which)) = input else { continue };
        let reading = &published[*which];
        let age = arrival - reading.time_ms;
        // Ages are far from both bounds, so it does not matter that the end of the window decides.
        if seen.insert(*which) && (-300_000..3_500_000).contains(&age) {
            let minute = at(reading.time_ms.div_euclid(60_000) as f64 * 60.0).rfc3339();
            let key = format!("minute/m{}/d{}/{minute}/60s", reading.metric, reading.device);
            let value = f64::from(reading.value);
            windows
                .entry(key)
                .and_modify(|w| *w = vec![w[0] + 1.0, w[1] + value, w[2].min(value), w[3].max(value)])
                .or_insert_with(|| vec![1.0, value, value, value]);
        }
    }
    windows
}
