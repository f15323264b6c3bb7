//! Series: who measured what. Numbered once, found by name, never renumbered.

use crate::clean::Memory;
use crate::dedupe::times::Times;
use crate::mutant::{self, Mutant};
use crate::plan::{Kind, Plan};
use crate::rejections::Rejections;
use crate::state::Heard;
use crate::time::Time;
use crate::window::{Carry, Open, Sessions, Sorted, Template, Waiting};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Names that are looked up and never iterated, so that no order can leak out of it.
pub(crate) type Index = HashMap<Box<str>, u32, foldhash::fast::FixedState>;

/// Places by number, never iterated.
pub(crate) type Numbers = HashMap<u32, u32, foldhash::fast::FixedState>;

/// One measurement of one sensor in one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Index of the stream in the plan.
    pub stream: u16,
    /// What is measured.
    pub metric: String,
    /// Whose; sorted by name.
    pub tags: Vec<(String, String)>,
    /// The latest reading of any verdict.
    pub heard: Heard,
    /// The times of the latest counted reading and of the one before it in time: see `Series::mark`.
    pub latest: (Time, Time),
    /// The groups that its readings are folded into, in the order of the plan's summaries.
    pub groups: Vec<u32>,
    /// The watches that its readings move, in the order of the plan's alerts.
    pub watches: Vec<u32>,
    /// Whether its sensor is there, where the stream has `availability`.
    pub presence: Option<u32>,
    /// Counted time stamps, where the stream is `unique = "time"`.
    pub times: Option<Box<Times>>,
    /// What the cleaning steps that it goes through remember, in their order.
    pub cleaning: Box<[Memory]>,
    /// How many of its readings were not counted, by reason.
    pub rejections: Rejections,
}

/// The stream of a number that no series has.
const VACANT: u16 = u16::MAX;

impl Series {
    /// A place without a series.
    pub(crate) fn vacant() -> Series {
        Series {
            stream: VACANT,
            metric: String::new(),
            tags: Vec::new(),
            heard: Heard::default(),
            latest: (Time::MIN, Time::MIN),
            groups: Vec::new(),
            watches: Vec::new(),
            presence: None,
            times: None,
            cleaning: Box::default(),
            rejections: Rejections::default(),
        }
    }

    /// Whether this is a place without a series: it was forgotten, and the next new one takes it.
    pub fn is_vacant(&self) -> bool {
        self.stream == VACANT
    }

    /// The watermark: no reading before it is expected any more. It is the second latest time, so that one bad time stamp
    /// moves nothing.
    pub(crate) fn mark(&self) -> Time {
        self.latest.1
    }

    /// Notes a counted reading; says whether the watermark moved.
    pub(crate) fn note_time(&mut self, time: Time) -> bool {
        let (first, second) = self.latest;
        if mutant::active(Mutant::OutlierMovesWatermark) {
            self.latest = (first.max(time), first.max(time));
            return time > first;
        }
        if time > first {
            self.latest = (time, first);
        } else if time > second {
            self.latest.1 = time;
        }
        self.latest.1 > second
    }
}

/// One series of one summary: what shares a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Index of the summary in the plan.
    pub summary: u16,
    /// What is measured.
    pub metric: String,
    /// The clock epoch of windows made while the time was not known; `None` for all others. Part of the key.
    pub epoch: Option<u32>,
    /// The tags of the summary's key, `None` where the series has no such tag; in the order of the key.
    pub tags: Vec<Option<String>>,
    /// What its values are: chooses the aggregates. Known from the plan, so not written down.
    #[serde(skip)]
    pub kind: Kind,
    /// Streams that reported to it, in the order in which they did.
    pub streams: Vec<u16>,
    /// The series that report to it.
    pub members: Vec<u32>,
    /// Windows that end at or before this may have been closed: a reading for them amends.
    pub closed_max: Time,
    /// Open windows, by start; of hopping windows, the panes and what came late.
    pub open: Vec<Open>,
    /// The metrics, where the layout is wide; by number.
    pub metrics: Vec<String>,
    /// What the next windows begin with.
    pub carry: Carry,
    /// What only some kinds of windows need.
    pub extra: Extra,
}

/// What a group remembers beside its open windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Extra {
    /// Nothing: windows are panes.
    #[default]
    Nothing,
    /// Hopping windows that wait for their time, by start.
    Hopping(Vec<Waiting>),
    /// Sessions that were closed.
    Sessions(Box<Sessions>),
    /// Readings that wait for their turn.
    Sorted(Box<Sorted>),
}

/// The summary of a place that no group has.
const NONE: u16 = u16::MAX;

impl Group {
    /// Windows that end at or before this can't be amended, where `forgotten` says so of all groups. Those made while
    /// the time was not known never are: by which time would they be kept?
    pub(crate) fn forgotten(&self, forgotten: Option<Time>) -> Option<Time> {
        if self.epoch.is_some() { Some(self.closed_max) } else { forgotten }
    }

    /// A place without a group.
    pub(crate) fn vacant() -> Group {
        Group {
            summary: NONE,
            metric: String::new(),
            epoch: None,
            tags: Vec::new(),
            kind: Kind::default(),
            streams: Vec::new(),
            members: Vec::new(),
            closed_max: Time::MIN,
            open: Vec::new(),
            metrics: Vec::new(),
            carry: Carry::default(),
            extra: Extra::Nothing,
        }
    }

    /// Whether this is a place without a group.
    pub fn is_vacant(&self) -> bool {
        self.summary == NONE
    }

    /// Whether nothing is open here.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty()
            && match &self.extra {
                Extra::Nothing | Extra::Sessions(_) => true,
                Extra::Hopping(waiting) => waiting.is_empty(),
                Extra::Sorted(sorted) => sorted.is_idle(),
            }
    }

    /// What makes a lane for `metric`.
    pub(crate) fn template<'p>(&self, plan: &'p Plan, metric: &str) -> Template<'p> {
        let summary = &plan.summaries[usize::from(self.summary)];
        let (place, kind) = match self.metrics.iter().position(|known| known == metric) {
            Some(place) => (place, plan.kind_of(summary, metric)),
            None => (0, self.kind),
        };
        Template {
            metric: u16::try_from(place).unwrap_or(u16::MAX),
            wanted: summary.aggregates_for(metric, kind),
            samples_max: summary.samples_max(),
        }
    }

    /// What a window that begins at `start` begins with.
    pub(crate) fn opening(&self, start: Time, metric: u16) -> Option<(Time, f64)> {
        let carried = self.carry.before(start, metric);
        // Of hopping windows, the panes before may still be open.
        let panes = self.open.iter().filter(|open| open.late.is_none() && open.end <= start);
        let last = panes.filter_map(|pane| pane.content.lane(metric)?.last_sample()).next_back();
        match (last, carried) {
            (Some(last), Some(carried)) => Some(if last.0 >= carried.0 { last } else { carried }),
            (one, other) => one.or(other),
        }
    }

    /// The open window that starts at `start`, or where it would stand.
    pub(crate) fn find(&self, start: Time, late: bool) -> Result<usize, usize> {
        // Readings come mostly for the youngest window.
        let mut place = self.open.len();
        while let Some(open) = self.open[..place].last().filter(|open| open.start >= start) {
            if open.start == start && open.late.is_some() == late {
                return Ok(place - 1);
            }
            place -= 1;
        }
        Err(place)
    }

    /// The hopping windows that wait for their time.
    pub(crate) fn waiting(&self) -> &[Waiting] {
        match &self.extra {
            Extra::Hopping(waiting) => waiting,
            _ => &[],
        }
    }

    /// The sessions that were closed.
    pub(crate) fn sessions(&self) -> Option<&Sessions> {
        match &self.extra {
            Extra::Sessions(sessions) => Some(sessions),
            _ => None,
        }
    }

    /// The end of the first window that is open for the first time, or of the first reading that waits.
    pub(crate) fn first_end(&self) -> Option<Time> {
        match &self.extra {
            Extra::Hopping(waiting) => waiting.first().map(|waiting| waiting.end),
            Extra::Sorted(sorted) => sorted.first(),
            _ => self.open.iter().find(|open| open.late.is_none()).map(|open| open.end),
        }
    }
}

/// Writes the name under which a series or group is looked up. Unambiguous: no part can hold the separators.
pub(crate) fn name<'n>(
    into: &mut String,
    kind: u16,
    metric: &str,
    tags: impl Iterator<Item = (&'n str, Option<&'n str>)>,
) {
    use std::fmt::Write;
    into.clear();
    let _ = write!(into, "{kind}\u{1}{}\u{1}{metric}", metric.len());
    for (tag, value) in tags {
        match value {
            Some(value) => {
                let _ = write!(into, "\u{1}{tag}={}\u{1}{value}", value.len());
            }
            None => {
                let _ = write!(into, "\u{1}{tag}");
            }
        }
    }
}

/// Adds the epoch of a group to its name, where it has one.
pub(crate) fn name_epoch(into: &mut String, epoch: Option<u32>) {
    use std::fmt::Write;
    if let Some(epoch) = epoch {
        let _ = write!(into, "\u{2}{epoch}");
    }
}
