//! `tidegate.capture.v1`: the raw readings around a raised alert (CloudEvents 1.0, structured mode, JSON).

use super::{Capture, Outgoing, Recorded, Telling, Watch};
use crate::event::Envelope;
use crate::limits::CAPTURE_PART_MAX;
use crate::listing::Listing;
use crate::plan::Plan;
use crate::series::Series;
use serde::Serialize;

/// Everything that the events about a capture are made of.
pub(crate) struct Captured<'c> {
    pub(crate) plan: &'c Plan,
    pub(crate) watch: &'c Watch,
    pub(crate) capture: Capture,
    /// All series, by number.
    pub(crate) series: &'c [Series],
    /// What was captured, in the order of arrival.
    pub(crate) readings: Vec<Recorded>,
    /// Whether nothing is missing.
    pub(crate) whole: bool,
}

impl Captured<'_> {
    /// The events: at least one, so that whoever waits for it knows that nothing came.
    pub(crate) fn render(&self) -> Vec<Outgoing> {
        let raised = self.capture.raised;
        let telling = Telling { plan: self.plan, watch: self.watch, raised, cleared: None, value: None };
        let (alert_key, subject) = (telling.key(), telling.subject());
        let parts = self.readings.len().div_ceil(CAPTURE_PART_MAX).max(1);
        let part = |part: usize| {
            let from = (part - 1) * CAPTURE_PART_MAX;
            let upto = self.readings.len().min(from + CAPTURE_PART_MAX);
            let key = format!("{alert_key}/capture/{part}");
            self.part(&alert_key, &subject, &key, (part, parts), &self.readings[from..upto])
        };
        (1..=parts).map(part).collect()
    }

    fn part(
        &self,
        alert_key: &str,
        subject: &str,
        key: &str,
        (part, parts): (usize, usize),
        readings: &[Recorded],
    ) -> Outgoing {
        let alert = &self.plan.alerts[usize::from(self.watch.alert)];
        let id = format!("{key}/r0");
        let event = Envelope {
            specversion: "1.0",
            r#type: "tidegate.capture.v1",
            source: &self.plan.source,
            id: &id,
            subject,
            time: self.capture.until.rfc3339(),
            datacontenttype: "application/json",
            data: Data {
                key,
                revision: 0,
                replaces: [],
                alert: &alert.name,
                alert_key,
                from: self.capture.from.rfc3339(),
                until: self.capture.until.rfc3339(),
                part,
                parts,
                incomplete: !self.whole,
                listing: Listing::of(self.plan, self.series, readings),
            },
        };
        let event = event.render();
        Outgoing { id, event, to: alert.to.clone() }
    }
}

#[derive(Serialize)]
struct Data<'e> {
    key: &'e str,
    revision: u32,
    replaces: [&'e str; 0],
    alert: &'e str,
    alert_key: &'e str,
    from: String,
    until: String,
    part: usize,
    parts: usize,
    incomplete: bool,
    #[serde(flatten)]
    listing: Listing<'e>,
}
