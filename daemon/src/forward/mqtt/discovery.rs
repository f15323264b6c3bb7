//! Messages by which Home Assistant finds what is published (MQTT discovery,
//! <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>): a sensor per series and aggregate, a binary sensor per
//! alert and series.

use super::event::{Data, Event};
use crate::config::model::{Payload, Republish};
use crate::limits;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// What can be announced of an event.
pub(super) struct Announcement {
    /// The topic, and the payload that the broker keeps there.
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// Announces what the event holds and `is_new` does not know yet; it is asked for one value after the other.
pub(super) fn of(
    cfg: &Republish,
    event: &Event<'_>,
    data: &Data<'_>,
    topic: &str,
    mut is_new: impl FnMut(&str) -> bool,
) -> Vec<Announcement> {
    let Some(prefix) = &cfg.discovery else { return Vec::new() };
    let about = About { cfg, event, data, topic, prefix };
    if event.kind() == "alert" {
        return if is_new(topic) { vec![about.alert()] } else { Vec::new() };
    }
    let values = data.values.and_then(|values| serde_json::from_str::<Map<String, Value>>(values.get()).ok());
    let Some(values) = values.filter(|_| event.kind() == "summary") else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in &values {
        match (value, &data.metric) {
            // Where the layout is wide: by metric and then by aggregate.
            (Value::Object(inner), None) => found.extend(inner.iter().map(|(a, v)| (Some(name), a, v))),
            _ => found.push((None, name, value)),
        }
    }
    found
        .into_iter()
        // A histogram is no state that a sensor could have.
        .filter(|(_, _, value)| value.is_number() || value.is_string())
        .take(limits::DISCOVERED_PER_EVENT_MAX)
        .filter(|(metric, aggregate, _)| {
            is_new(&format!("{topic}\0{}\0{aggregate}", metric.map_or("", String::as_str)))
        })
        .map(|(metric, aggregate, value)| about.value(metric, aggregate, value.is_string()))
        .collect()
}

struct About<'a> {
    cfg: &'a Republish,
    event: &'a Event<'a>,
    data: &'a Data<'a>,
    topic: &'a str,
    prefix: &'a str,
}

impl About<'_> {
    fn value(&self, of: Option<&String>, aggregate: &str, is_time: bool) -> Announcement {
        let metric = of.map(String::as_str).or(self.data.metric.as_deref()).unwrap_or_default();
        let path = match of {
            Some(metric) => format!("[{}][{}]", quoted(metric), quoted(aggregate)),
            None => format!("[{}]", quoted(aggregate)),
        };
        let root = match self.cfg.payload {
            Payload::Values => "value_json",
            Payload::Event => "value_json['data']['values']",
        };
        let id = self.id(&format!("{}{metric}/{aggregate}", self.event.subject()));
        let name = format!("{metric} {aggregate} ({})", self.data.name().unwrap_or_default());
        // What an event does not have, a stddev of one reading, is unknown and no error.
        let template = format!("{{{{ ({root}{path}) | default(None) }}}}");
        let mut config = self.base(&id, &name, &template);
        let unit = of.map_or(self.data.unit.as_ref(), |metric| self.data.units.get(metric));
        if is_time {
            config.insert("device_class".into(), "timestamp".into());
        } else {
            config.insert("state_class".into(), "measurement".into());
            if let Some(unit) = unit.filter(|_| has_unit(aggregate)) {
                config.insert("unit_of_measurement".into(), unit.as_str().into());
                if let Some(class) = device_class(metric, unit).filter(|_| is_level(aggregate)) {
                    config.insert("device_class".into(), class.into());
                }
            }
        }
        self.announcement("sensor", &id, config)
    }

    fn alert(&self) -> Announcement {
        let id = self.id(self.event.subject());
        let root = match self.cfg.payload {
            Payload::Values => "value_json",
            Payload::Event => "value_json['data']",
        };
        let name = [self.data.metric.as_deref(), self.data.name()];
        let name: Vec<&str> = name.into_iter().flatten().collect();
        let template = format!("{{{{ 'ON' if {root}['state'] == 'raised' else 'OFF' }}}}");
        let mut config = self.base(&id, &name.join(" "), &template);
        config.insert("device_class".into(), "problem".into());
        self.announcement("binary_sensor", &id, config)
    }

    fn base(&self, id: &str, name: &str, template: &str) -> Map<String, Value> {
        let gateway = &self.cfg.gateway;
        let tags: Vec<&str> = self.data.tags.values().map(String::as_str).collect();
        let (device, device_id) = match tags.as_slice() {
            [] => (gateway.clone(), unique(gateway)),
            // One device, whatever is said of it.
            tags => (tags.join(" "), unique(&format!("{gateway}/{}", tags.join("/")))),
        };
        let config = json!({
            "name": name,
            "unique_id": id,
            "state_topic": self.topic,
            "value_template": template,
            "qos": self.cfg.qos,
            "device": { "identifiers": [device_id], "name": device, "manufacturer": "tidegate", "model": gateway },
            "origin": { "name": "tidegate", "sw_version": env!("CARGO_PKG_VERSION") },
        });
        match config {
            Value::Object(config) => config,
            _ => Map::new(),
        }
    }

    fn id(&self, what: &str) -> String {
        unique(&format!("{}/{}/{what}", self.cfg.gateway, self.event.kind()))
    }

    fn announcement(&self, component: &str, id: &str, config: Map<String, Value>) -> Announcement {
        let topic = format!("{}/{component}/{id}/config", self.prefix);
        Announcement { topic, payload: Value::Object(config).to_string().into_bytes() }
    }
}

/// Of letters, digits, `_` and `-`, as Home Assistant wants it, and of nobody else: the hash tells apart what would be
/// written alike.
fn unique(what: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let readable: String = what.chars().map(plain).take(80).collect();
    format!("tidegate_{readable}_{:08x}", xxh3_64(what.as_bytes()) as u32)
}

/// Text in a template.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Whether an aggregate is a level of what is measured: 20 °C is one, and a stddev of 1 °C is not 33.8 °F.
fn is_level(aggregate: &str) -> bool {
    matches!(aggregate, "mean" | "min" | "max" | "first" | "last" | "median" | "mode" | "time_weighted_mean")
        || aggregate.strip_prefix('p').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether an aggregate has the unit of what is measured.
fn has_unit(aggregate: &str) -> bool {
    is_level(aggregate) || matches!(aggregate, "sum" | "range" | "stddev" | "increase")
}

/// Where the metric is called like a device class, and has a unit that Home Assistant knows for it
/// (<https://developers.home-assistant.io/docs/core/entity/sensor/#available-device-classes>).
fn device_class(metric: &str, unit: &str) -> Option<&'static str> {
    let classes: BTreeMap<&str, (&'static str, &[&str])> = BTreeMap::from([
        ("temperature", ("temperature", ["°C", "°F", "K"].as_slice())),
        ("humidity", ("humidity", &["%"])),
        ("pressure", ("pressure", &["Pa", "hPa", "kPa", "mbar", "bar", "psi"])),
        ("battery", ("battery", &["%"])),
        ("voltage", ("voltage", &["V", "mV"])),
        ("current", ("current", &["A", "mA"])),
        ("power", ("power", &["W", "kW"])),
        ("illuminance", ("illuminance", &["lx"])),
        ("co2", ("carbon_dioxide", &["ppm"])),
    ]);
    classes.get(metric).filter(|(_, units)| units.contains(&unit)).map(|(class, _)| *class)
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
