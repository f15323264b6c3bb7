//! `tidegate.raw.v1`: readings as they came (CloudEvents 1.0, structured mode, JSON).

use crate::alert::{Outgoing, Recorded};
use crate::event::{Envelope, escaped};
use crate::limits::RAW_EVENT_BYTES_MAX;
use crate::listing::{Listing, Member};
use crate::plan::{Plan, RawPlan};
use crate::series::Series;
use crate::time::Time;
use serde::Serialize;
use std::collections::BTreeSet;

/// No row of a reading is longer, with the comma behind it: a place, a time with microseconds, a double, a reason.
const ROW_BYTES: usize = 112;

/// Everything that an event of raw readings is made of.
pub(crate) struct Telling<'t> {
    pub(crate) plan: &'t Plan,
    pub(crate) raw: &'t RawPlan,
    /// All series, by number.
    pub(crate) series: &'t [Series],
    /// Which event of this store it is, from 1.
    pub(crate) ordinal: u64,
    /// Whether the time was known when they arrived.
    pub(crate) synchronised: bool,
    /// In the order of arrival; at least one.
    pub(crate) readings: &'t [Recorded],
}

impl Telling<'_> {
    /// How many of the readings, from the first on, go into one event: one at least.
    pub(crate) fn fitting(&self) -> usize {
        let (mut known, mut bytes) = (BTreeSet::new(), 0);
        for (at, reading) in self.readings.iter().enumerate() {
            bytes += ROW_BYTES;
            if known.insert(reading.series) {
                let member = Member::of(self.plan, &self.series[reading.series as usize]);
                // It fails as little as the event does.
                bytes += serde_json::to_vec(&member).map_or(0, |text| text.len() + 1);
            }
            if bytes > RAW_EVENT_BYTES_MAX && at > 0 {
                return at;
            }
        }
        self.readings.len()
    }

    /// The event.
    pub(crate) fn render(&self) -> Outgoing {
        let subject = escaped(&self.raw.name);
        let key = format!("{subject}/raw/{}", self.ordinal);
        let id = format!("{key}/r0");
        let arrivals = || self.readings.iter().map(|reading| reading.arrival);
        let [from, until] = [arrivals().min(), arrivals().max()].map(|time| time.map(Time::rfc3339));
        let until = until.unwrap_or_default();
        let event = Envelope {
            specversion: "1.0",
            r#type: "tidegate.raw.v1",
            source: &self.plan.source,
            id: &id,
            subject: &subject,
            time: until.clone(),
            datacontenttype: "application/json",
            data: Data {
                key: &key,
                revision: 0,
                replaces: [],
                raw: &self.raw.name,
                from: from.unwrap_or_default(),
                until,
                clock: if self.synchronised { "synchronised" } else { "unsynchronised" },
                listing: Listing::of(self.plan, self.series, self.readings),
            },
        };
        let event = event.render();
        Outgoing { id, event, to: self.raw.to.clone() }
    }
}

#[derive(Serialize)]
struct Data<'e> {
    key: &'e str,
    revision: u32,
    replaces: [&'e str; 0],
    raw: &'e str,
    from: String,
    until: String,
    clock: &'static str,
    #[serde(flatten)]
    listing: Listing<'e>,
}
