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
    let metrics = raw.metrics.as_ref().map_or_else(|| "all metrics".to_owned(), |metrics| metrics.join(", "));
    let refused = if raw.refused { ", and those that are refused with their reason" } else { "" };
    let every = duration_text(Duration::from_micros(raw.every.0.unsigned_abs()));
    format!(
        "sends {metrics} of {} as they come, each counted reading in exactly one event{refused}, to {}; an event is made \
         after {every} or {RAW_EVENT_READINGS_MAX} readings. Some 50 bytes a reading before compression: one a second is \
         4 MB a day",
        streams(config, &raw.streams),
        outputs(config, &raw.to),
    )
}
