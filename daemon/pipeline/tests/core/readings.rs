//! One sensor's readings, and the events that hold them as they came: what tests of raw forwarding and of captures begin with.

use super::world::{World, at, payload, plan};
use serde_json::Value;
use tidegate_pipeline::alert::Outgoing;
use tidegate_pipeline::clean::{Range, Step};
use tidegate_pipeline::plan::{CleanStep, Plan};

/// Values above 100 are refused.
pub fn refusing() -> Plan {
    let mut plan = plan();
    let range = Range { min: None, max: Some(100.0) };
    plan.streams[0].clean = vec![CleanStep { step: Step::Range(range), metrics: None }];
    plan
}

/// A reading that arrives at so many seconds, was taken as many before, and has this value.
pub type Read = (f64, f64, f64);

pub fn read(world: &mut World, reads: &[Read]) {
    for (secs, age, value) in reads {
        world.send(*secs, "s/d1/t", &payload(*value, secs - age));
    }
}

pub fn json_of(event: &Outgoing) -> Value {
    serde_json::from_slice(&event.event).unwrap()
}

pub fn seconds(text: &Value) -> f64 {
    let moment: jiff::Timestamp = text.as_str().unwrap().parse().unwrap();
    (moment.as_millisecond() - at(0.0).as_millis()) as f64 / 1_000.0
}

/// The time that an event is about, as `from..until`.
pub fn span(data: &Value) -> String {
    format!("{}..{}", seconds(&data["from"]), seconds(&data["until"]))
}

/// The readings of an event, as `time value verdict, …`.
pub fn rows(data: &Value) -> String {
    let row = |row: &Value| format!("{} {} {}", seconds(&row[1]), row[2], row[3].as_str().unwrap());
    let rows: Vec<_> = data["readings"].as_array().unwrap().iter().map(row).collect();
    rows.join(", ")
}
