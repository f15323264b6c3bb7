//! `availability`: where sensors say whether they are there.

use super::pattern;
use crate::config::field::Field;
use crate::config::schema;
use tidegate_pipeline::plan::{Availability, METRIC};

const EXAMPLE: &str = "availability = { topic = \"sensors/{device}/status\" }";

/// `tags` are those that a series of the stream can have.
pub(super) fn read(field: Option<Field<'_>>, tags: &[&str]) -> Option<Availability> {
    let section = field?.section(&schema::AVAILABILITY, EXAMPLE)?;
    section.require("topic", EXAMPLE);
    let topic = section.get("topic");
    let word = |key: &'static str| section.get(key).and_then(|field| field.filled());
    let (online, offline) = (word("online").unwrap_or("online"), word("offline").unwrap_or("offline"));
    if online == offline
        && let Some(field) = section.get("offline").or(section.get("online"))
    {
        field.bad("is the word for online too", "write the two words that the sensor sends");
    }
    let at = section.get("at").and_then(|field| field.pointer());
    section.finish();
    let field = topic?;
    let topic = pattern(&field)?;
    for name in topic.names() {
        if name == METRIC {
            field.bad("names a metric, and availability has none", "write `+` in its place");
        } else if !tags.contains(&name) {
            field.cx.resolve(name, field.span.clone(), tags, "tag");
        }
    }
    Some(Availability { topic, online: online.to_owned(), offline: offline.to_owned(), at })
}
