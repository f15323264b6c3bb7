//! Readings as they stand in an event: the series that there are, and a row for each reading.

use crate::alert::Recorded;
use crate::event::Tags;
use crate::plan::Plan;
use crate::series::Series;
use crate::verdict::Verdict;
use serde::{Serialize, Serializer};

/// The readings of one event. `data` of the event holds both, flattened.
#[derive(Serialize)]
pub(crate) struct Listing<'l> {
    /// In the order of their numbers.
    series: Vec<Member<'l>>,
    readings: Vec<Row>,
}

impl<'l> Listing<'l> {
    /// `all`: the series by number.
    pub(crate) fn of(plan: &'l Plan, all: &'l [Series], readings: &[Recorded]) -> Listing<'l> {
        let mut numbers: Vec<u32> = readings.iter().map(|reading| reading.series).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let row = |reading: &Recorded| {
            let place = numbers.binary_search(&reading.series).unwrap_or(0);
            Row(place, reading.time.rfc3339(), reading.value, Word(reading.verdict))
        };
        let readings = readings.iter().map(row).collect();
        let series = numbers.iter().map(|&at| Member::of(plan, &all[at as usize])).collect();
        Listing { series, readings }
    }
}

/// A series, for functions.
#[derive(Serialize)]
pub(crate) struct Member<'l> {
    stream: &'l str,
    metric: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'l str>,
    tags: Tags<'l>,
}

impl<'l> Member<'l> {
    pub(crate) fn of(plan: &'l Plan, series: &'l Series) -> Member<'l> {
        let stream = &plan.streams[usize::from(series.stream)];
        Member {
            stream: &stream.name,
            metric: &series.metric,
            unit: stream.unit_of(&series.metric),
            tags: Tags(&series.tags),
        }
    }
}

/// Place in `series`, time, value, verdict.
#[derive(Serialize)]
struct Row(usize, String, Option<f64>, Word);

/// `counted`, `duplicate`, or the reason in the ledger.
struct Word(Verdict);

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.0 {
            Verdict::Counted => "counted",
            Verdict::Duplicate => "duplicate",
            Verdict::Rejected(reason) | Verdict::DeadLettered(reason) => reason.name(),
        })
    }
}
