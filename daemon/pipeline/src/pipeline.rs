//! The pipeline: plan and state together, with what is derived from them to be fast.

use crate::alert::Timers;
use crate::decode::{Found, Shape};
use crate::ledger::Ledger;
use crate::limits::SESSIONS_MAX;
use crate::plan::Plan;
use crate::raw::Buffer;
use crate::rejections::{SeriesRejections, Worst};
use crate::route::Routes;
use crate::series::{Extra, Group, Index, Numbers};
use crate::state::{Heard, SourceState, State};
use crate::step::Step;
use crate::tags::Tags;
use crate::take::Taken;
use crate::time::{Span, Time};
use crate::verdict::Reason;
use crate::window::Cutter;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The pure core: `step` takes messages and the time and gives changes; nothing else happens.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) plan: Arc<Plan>,
    pub(crate) shapes: Arc<[Shape]>,
    /// The longest time after its end that any window takes readings.
    pub(crate) horizon: Span,
    /// How old a reading can be that a window takes: the same, counted from the window's start.
    pub(crate) reach: Span,
    /// For how long readings are recorded for captures; zero where no alert has any.
    pub(crate) recording: Span,
    pub(crate) state: State,
    pub(crate) routes: Routes,
    pub(crate) series_index: Index,
    pub(crate) group_index: Index,
    pub(crate) watch_index: Index,
    pub(crate) presence_index: Index,
    pub(crate) counter_index: Index,
    pub(crate) session_index: Index,
    pub(crate) clock_index: Index,
    /// Groups by their number.
    pub(crate) group_places: Numbers,
    /// Per summary.
    pub(crate) cutters: Vec<Cutter>,
    /// Open windows by when they close, then by group and start.
    pub(crate) due: BTreeSet<Due>,
    /// When to look at which watch.
    pub(crate) timers: Timers,
    /// Watches that have something raised.
    pub(crate) raised: BTreeSet<u32>,
    /// Groups whose watermark may have passed the end of a window in this step.
    pub(crate) ripe: BTreeSet<u32>,
    pub(crate) found: Found<'static>,
    pub(crate) name: String,
    /// Scratch: the tags of a record, and those of a reading with tags of its own.
    pub(crate) tags: Tags,
    pub(crate) merged: Tags,
    /// Scratch: the series of one message's readings.
    pub(crate) resolved: Vec<Result<u32, Reason>>,
    /// Scratch: the cleaned values of one record, by series, where metrics are derived from them.
    pub(crate) cleaned: Vec<(u32, f64)>,
    /// The gateway's, for expressions.
    pub(crate) zone: TimeZone,
    pub(crate) worst: Worst,
    pub(crate) last_session: Option<u32>,
    /// The counter that was noted last, and the clock of the device that counts, where it sends frames.
    pub(crate) last_counter: Option<(u32, Option<u32>)>,
    /// The clock of the device whose part is at hand, where it sends frames.
    pub(crate) device: Option<u32>,
    /// Where the part at hand came from, and when.
    pub(crate) heard: Heard,
    /// Where the look for what is idle goes on.
    pub(crate) sweep: usize,
    /// Scratch: windows that are closing.
    pub(crate) taken: Vec<Taken>,
}

/// An open window's place in the order of closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) due: Time,
    /// Index of the group.
    pub(crate) group: u32,
    pub(crate) start: Time,
    pub(crate) late: bool,
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    pub fn new(plan: Plan) -> Pipeline {
        Pipeline::restore(plan, State::default())
    }

    /// A pipeline as it was when `state` was taken, under the same plan.
    pub fn restore(plan: Plan, state: State) -> Pipeline {
        let zone = TimeZone::get(&plan.timezone).unwrap_or(TimeZone::UTC);
        let cutters = plan.summaries.iter().map(Cutter::of).collect();
        let mut pipeline = Pipeline {
            shapes: plan.streams.iter().map(Shape::of).collect(),
            horizon: plan.summaries.iter().map(|summary| summary.horizon()).max().unwrap_or_default(),
            reach: plan.summaries.iter().map(|summary| summary.reach()).max().unwrap_or_default(),
            recording: Pipeline::recording(&plan),
            plan: Arc::new(plan),
            state,
            routes: Routes::default(),
            series_index: Index::default(),
            group_index: Index::default(),
            watch_index: Index::default(),
            presence_index: Index::default(),
            counter_index: Index::default(),
            session_index: Index::default(),
            clock_index: Index::default(),
            group_places: Numbers::default(),
            cutters,
            due: BTreeSet::new(),
            timers: Timers::default(),
            raised: BTreeSet::new(),
            ripe: BTreeSet::new(),
            found: Found::default(),
            name: String::new(),
            tags: Tags::default(),
            merged: Tags::default(),
            resolved: Vec::new(),
            cleaned: Vec::new(),
            zone,
            worst: Worst::default(),
            last_session: None,
            last_counter: None,
            device: None,
            heard: Heard::default(),
            sweep: 0,
            taken: Vec::new(),
        };
        pipeline.state.sources.resize_with(pipeline.plan.sources.len(), SourceState::default);
        pipeline.state.raw.buffers.resize_with(pipeline.plan.raw.len(), Buffer::default);
        let clocks = pipeline.state.clocks.len();
        pipeline.state.devices.reach(clocks);
        pipeline.index();
        pipeline
    }

    /// Begins a step. Time may stand still or go back between steps; that costs accuracy, never correctness.
    pub fn step(&mut self) -> Step<'_> {
        Step::new(self)
    }

    /// What a checkpoint holds.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What became of all readings.
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The latest time at which anybody was heard: it has passed.
    pub fn last_heard(&self) -> Time {
        self.state.sessions.iter().map(|known| known.heard).max().unwrap_or(Time::MIN)
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.state.series.len() - self.state.vacant_series.len()
    }

    /// The series with the most rejections, most first.
    pub fn most_rejected(&self) -> Vec<SeriesRejections> {
        let shown = self.worst.list().into_iter().map(|at| {
            let series = &self.state.series[at as usize];
            SeriesRejections {
                stream: self.plan.streams[usize::from(series.stream)].name.clone(),
                metric: series.metric.clone(),
                tags: series.tags.clone(),
                reasons: series.rejections.iter().collect(),
            }
        });
        shown.collect()
    }

    /// How many windows are open.
    pub fn open_windows(&self) -> usize {
        self.due.len()
    }

    /// Whether a window of the summaries that `which` names is open.
    pub fn has_open(&self, which: &dyn Fn(u16) -> bool) -> bool {
        self.has_any(|group| which(group.summary))
    }

    /// Whether any window of the groups that `which` names is open.
    pub(crate) fn has_any(&self, which: impl Fn(&Group) -> bool) -> bool {
        self.open(&which).next().is_some() || self.filled(&which).next().is_some()
    }

    /// The open windows of these groups that are due at a time.
    pub(crate) fn open(&self, which: impl Fn(&Group) -> bool) -> impl Iterator<Item = &Due> {
        self.due.iter().filter(move |due| which(&self.state.groups[due.group as usize].group))
    }

    /// The numbers of the groups whose windows are being filled, and are due at no time.
    pub(crate) fn filled(&self, which: impl Fn(&Group) -> bool) -> impl Iterator<Item = u32> {
        let filled = |group: &Group| matches!(&group.extra, Extra::Sorted(sorted) if !sorted.is_idle());
        let groups =
            self.state.groups.iter().filter(move |known| filled(&known.group) && which(&known.group));
        groups.map(|known| known.number)
    }

    /// When the next window closes by the wall clock.
    pub fn next_deadline(&self) -> Option<Time> {
        self.due.first().map(|due| due.due)
    }

    /// When the next window closes of those that report to no source that is `held`.
    pub fn next_closing(&self, held: &dyn Fn(u16) -> bool) -> Option<Time> {
        let closes: Vec<_> =
            self.plan.summaries.iter().map(|summary| !self.plan.is_held(summary, held)).collect();
        if !closes.contains(&true) || self.closing_time(Time::MAX).is_none() {
            return None;
        }
        let summary = |due: &&Due| usize::from(self.state.groups[due.group as usize].group.summary);
        self.due.iter().find(|due| closes[summary(due)]).map(|due| due.due)
    }

    /// The slot that a new session gets.
    pub(crate) fn session_slot(&self) -> u32 {
        if self.state.sessions.len() < SESSIONS_MAX {
            return number(self.state.sessions.len());
        }
        let heard = |slot: &usize| self.state.sessions[*slot].heard;
        number((0..self.state.sessions.len()).min_by_key(heard).unwrap_or(0))
    }
}

/// Counts are bounded far below 2^32 (see [`crate::limits`]).
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
