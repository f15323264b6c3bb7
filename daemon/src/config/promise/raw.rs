//! What `tidegate check` says of raw forwarding: what goes where, and how much that is.

use super::super::model::Config;
use super::super::units::duration_text;
use super::{outputs, streams};
use serde::Serialize;
use std::time::Duration;
use tidegate_pipeline::limits::RAW_EVENT_READINGS_MAX;
use tidegate_pipeline::plan::RawPlan;

/// What one `[raw.NAME]` sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RawPromise {
    /// Its name.
    pub raw: String,
    /// In one sentence.
    pub text: String,
}

/// One sentence per `[raw.NAME]`, in the order of the file.
pub fn raw_promises(config: &Config) -> Vec<RawPromise> {
    let one = |raw: &RawPlan| RawPromise {
        raw: raw.name.clone(),
        text: format!("{}: {}", raw.name, sent(config, raw)),
    };
    config.plan.raw.iter().map(one).collect()
}

fn sent(config: &Config, raw: &RawPlan) -> String {
    let which =
        if raw.refused { "each reading, also those that are refused," } else { "each counted reading" };
    let of = match &raw.metrics {
        Some(metrics) => format!("{} of", metrics.join(", ")),
        None => "of".to_owned(),
    };
    let every = duration_text(Duration::from_micros(raw.every.0.unsigned_abs()));
    format!(
        "sends {which} {of} {} to {}, once, raw: in an event after {every} or {RAW_EVENT_READINGS_MAX} readings; \
         at some 50 bytes each, at one reading a second 4 MB a day before compression",
        streams(config, &raw.streams),
        outputs(config, &raw.to),
    )
}
