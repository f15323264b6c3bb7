//! `time = { uptime = … }`: sensors that know no time of day, and frames of firmware that does not.

use super::identity::per;
use crate::config::field::Field;
use crate::config::reader::Section;
use crate::config::schema;
use tidegate_pipeline::plan::{TickPlaces, TicksPlan};
use tidegate_pipeline::ticks::TickUnit;

const EXAMPLE: &str = "time = { uptime = \"/uptime\", unit = \"ms\", boot = \"/boot\" }";

const UNITS: &[(&str, TickUnit)] =
    &[("s", TickUnit::Seconds), ("ms", TickUnit::Millis), ("us", TickUnit::Micros)];

/// Whether `time` says where an uptime stands, and not a time of day.
pub(super) fn is_uptime(field: &Field<'_>) -> bool {
    field.value.as_table().is_some_and(|table| table.contains_key("uptime"))
}

/// `tags` are the names that `per` may list.
pub(super) fn read(field: &Field<'_>, tags: &[&str]) -> Option<TicksPlan> {
    let section = field.section(&schema::TIME, EXAMPLE)?;
    for field in ["at", "format", "zone"].into_iter().filter_map(|key| section.get(key)) {
        field.bad("is for times of day, and `uptime` is none", "keep the one that the sensor sends");
    }
    section.require("unit", &format!("{EXAMPLE}; s, ms or us"));
    section.require("boot", &format!("{EXAMPLE}: a number that the sensor changes at each start"));
    let at = section.get("uptime").and_then(|field| field.pointer());
    let boot = section.get("boot").and_then(|field| field.pointer());
    let unit = section.get("unit").and_then(|field| field.choice("streams.NAME.time.unit", UNITS));
    let per = section.get("per").map(|field| per(&field, tags));
    section.finish();
    Some(TicksPlan { places: Some(TickPlaces { at: at?, boot: boot?, unit: unit? }), per })
}

/// `sequence = { per = ["device"] }` of frames: who counts, where that is not the whole topic.
pub(super) fn sender(section: &Section<'_>, tags: &[&str]) -> Option<Vec<String>> {
    let section = section.get("sequence")?.section(&schema::SEQUENCE, "sequence = { per = [\"device\"] }")?;
    for field in ["at", "boot"].into_iter().filter_map(|key| section.get(key)) {
        field.bad("is not needed: a frame numbers its readings itself", "remove it; `per` may stay");
    }
    section.require("per", "sequence = { per = [\"device\"] }");
    let per = section.get("per").map(|field| per(&field, tags));
    section.finish();
    per
}
