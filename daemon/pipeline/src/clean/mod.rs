//! Cleaning steps: each takes a value and gives a value, or a reason to reject the reading.
//!
//! Steps work in the order in which readings arrive, each on what the steps before it let pass. What a step remembers of a
//! series is a [`Memory`]; it changes with every reading that reaches the step, live and in a replay alike: see `ran`.
//!
//! To add one: a file here, a variant of [`Step`], an arm in `Step::apply` (and in `Step::memory` if it remembers),
//! a row in docs/configuration.md.

mod convert;
mod deadband;
mod derive;
mod duplicate;
mod filter;
mod map;
mod range;
mod rate_limit;
mod scale;
mod spike;
mod stuck;
mod units;

pub use convert::{Convert, ConvertError};
pub use deadband::{Band, Deadband};
pub use derive::Derive;
pub use duplicate::Duplicate;
pub use filter::Where;
pub use map::Map;
pub(crate) use map::Maps;
pub use range::Range;
pub use rate_limit::RateLimit;
pub use scale::Scale;
pub use spike::Spike;
pub use stuck::{Action, Stuck};

use crate::plan::CleanStep;
use crate::time::Time;
use crate::verdict::{Reason, Verdict};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A configured cleaning step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Rejects values outside bounds.
    Range(Range),
    /// Multiplies and adds.
    Scale(Scale),
    /// From one unit to another.
    Convert(Convert),
    /// Rejects outliers.
    Spike(Spike),
    /// Rejects values that do not change any more.
    Stuck(Stuck),
    /// Rejects values that changed too fast.
    RateLimit(RateLimit),
    /// Rejects values that changed too little.
    Deadband(Deadband),
    /// Rejects values that come again.
    Duplicate(Duplicate),
    /// Keeps what a condition holds for.
    Where(Where),
    /// Makes numbers of texts, before there is a reading: see `Maps`.
    Map(Map),
    /// Makes a reading of others, after they were cleaned.
    Derive(Derive),
}

/// What a step remembers of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Memory {
    /// The last values.
    Spike(spike::Memory),
    /// The value, and since when it is that.
    Stuck(Last),
    /// The last reading that was kept.
    RateLimit(Last),
    /// The last reading that was kept.
    Deadband(Last),
    /// The last reading that was kept.
    Duplicate(Last),
}

/// A value and its time; `None` before the first.
pub type Last = Option<(f64, Time)>;

/// A reading on its way through the steps.
#[derive(Clone, Copy)]
pub(crate) struct Sample<'s> {
    pub(crate) value: f64,
    pub(crate) time: Time,
    /// In which parts of the time are read.
    pub(crate) zone: &'s TimeZone,
    pub(crate) tags: &'s [(String, String)],
}

impl Step {
    /// Whether it compares readings with those before them.
    pub fn remembers(&self) -> bool {
        self.memory().is_some()
    }

    /// What it remembers of a series that it has seen nothing of; `None` where it never remembers.
    fn memory(&self) -> Option<Memory> {
        match self {
            Step::Spike(_) => Some(Memory::Spike(spike::Memory::default())),
            Step::Stuck(_) => Some(Memory::Stuck(None)),
            Step::RateLimit(_) => Some(Memory::RateLimit(None)),
            Step::Deadband(_) => Some(Memory::Deadband(None)),
            Step::Duplicate(_) => Some(Memory::Duplicate(None)),
            Step::Range(_) | Step::Scale(_) | Step::Convert(_) | Step::Where(_) => None,
            Step::Map(_) | Step::Derive(_) => None,
        }
    }

    /// The cleaned value, or the reason under which the ledger counts the rejection. Takes its memory, if it has one, from
    /// `memories`.
    fn apply<'m>(
        &self,
        sample: Sample<'_>,
        memories: &mut impl Iterator<Item = &'m mut Memory>,
    ) -> Result<f64, Reason> {
        match self {
            Step::Range(range) => return range.apply(sample.value),
            Step::Scale(scale) => return scale.apply(sample.value),
            Step::Convert(convert) => return convert.apply(sample.value),
            Step::Where(condition) => return condition.apply(&sample),
            Step::Map(_) | Step::Derive(_) => return Ok(sample.value),
            _ => {}
        }
        match (self, memories.next()) {
            (Step::Spike(spike), Some(Memory::Spike(memory))) => spike.apply(&sample, memory),
            (Step::Stuck(stuck), Some(Memory::Stuck(since))) => stuck.apply(&sample, since),
            (Step::RateLimit(limit), Some(Memory::RateLimit(last))) => limit.apply(&sample, last),
            (Step::Deadband(band), Some(Memory::Deadband(last))) => band.apply(&sample, last),
            (Step::Duplicate(duplicate), Some(Memory::Duplicate(last))) => duplicate.apply(&sample, last),
            (step, memory) => {
                debug_assert!(false, "{memory:?} is no memory of {step:?}");
                Ok(sample.value)
            }
        }
    }
}

/// The memories of a series of `metric` that no reading was cleaned of yet.
pub(crate) fn memories(steps: &[CleanStep], metric: &str) -> Box<[Memory]> {
    of_metric(steps, metric).filter_map(Step::memory).collect()
}

/// The cleaned value, or the reason for which a step rejects it. What a later step remembers does not change then.
pub(crate) fn run(
    steps: &[CleanStep],
    metric: &str,
    memories: &mut [Memory],
    sample: Sample<'_>,
) -> Result<f64, Reason> {
    let mut memories = memories.iter_mut();
    of_metric(steps, metric)
        .try_fold(sample.value, |value, step| step.apply(Sample { value, ..sample }, &mut memories))
}

/// Whether a step has let the reading of `time` through and marked it: asked right after [`run`].
pub(crate) fn is_flagged(steps: &[CleanStep], metric: &str, memories: &[Memory], time: Time) -> bool {
    let remembering = of_metric(steps, metric).filter(|step| step.remembers());
    remembering.zip(memories).any(|(step, memory)| match (step, memory) {
        (Step::Stuck(stuck), Memory::Stuck(since)) => stuck.flags(time, *since),
        _ => false,
    })
}

/// Whether the steps saw a reading that stands with this value and verdict in the journal. A replay runs them for the
/// same readings, so that what they remember is the same.
pub(crate) fn ran(value: f64, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Counted => true,
        Verdict::Rejected(reason) => value.is_finite() && is_cleaning(reason),
        Verdict::Duplicate | Verdict::DeadLettered(_) => false,
    }
}

/// Whether steps reject for this reason. Decoding rejects under [`Reason::NotFinite`] too; its readings have no value.
fn is_cleaning(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NotFinite
            | Reason::Range
            | Reason::Spike
            | Reason::Stuck
            | Reason::RateLimit
            | Reason::Deadband
            | Reason::Repeated
            | Reason::Where
            | Reason::NoResult
    )
}

/// The steps that a reading of `metric` goes through: those that are for it, and of a derived one only those that stand after
/// the step that makes it.
fn of_metric<'s>(steps: &'s [CleanStep], metric: &'s str) -> impl Iterator<Item = &'s Step> {
    let makes = |clean: &CleanStep| matches!(&clean.step, Step::Derive(derive) if derive.metric == metric);
    let first = steps.iter().rposition(makes).map_or(0, |at| at + 1);
    steps[first..].iter().filter(move |clean| clean.is_for(metric)).map(|clean| &clean.step)
}

#[cfg(test)]
mod testing {
    //! What the tables of steps share.

    use super::*;

    /// A reading without tags, in UTC.
    pub(super) fn sample(value: f64, time: Time) -> Sample<'static> {
        Sample { value, time, zone: const { &TimeZone::UTC }, tags: &[] }
    }

    /// Runs readings, given as seconds and values, through one step: the values that pass, and the names of reasons.
    pub(super) fn results(step: Step, readings: &[(i64, f64)]) -> Vec<Result<f64, &'static str>> {
        let steps = [CleanStep { step, metrics: None }];
        let mut memory = memories(&steps, "m");
        let one = |&(secs, value): &(i64, f64)| {
            run(&steps, "m", &mut memory, sample(value, Time(secs * 1_000_000))).map_err(Reason::name)
        };
        readings.iter().map(one).collect()
    }

    /// The same as text: a dot for what passes unchanged, the reason for what does not.
    pub(super) fn check(step: Step, readings: &[(i64, f64)], expected: &str) {
        let word = |(result, (_, value)): (Result<f64, &'static str>, &(i64, f64))| match result {
            Ok(passed) if passed == *value => ".".to_owned(),
            Ok(changed) => changed.to_string(),
            Err(reason) => reason.to_owned(),
        };
        let words: Vec<_> = results(step, readings).into_iter().zip(readings).map(word).collect();
        assert_eq!(words.join(" "), expected, "{readings:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::testing::sample;
    use super::*;
    use crate::time::Span;

    fn step(step: Step, metrics: Option<&[&str]>) -> CleanStep {
        let metrics = metrics.map(|metrics| metrics.iter().map(|name| (*name).to_owned()).collect());
        CleanStep { step, metrics }
    }

    fn duplicate() -> Step {
        Step::Duplicate(Duplicate { within: Span::from_secs(60) })
    }

    /// Each step has its own memory, and one that was not reached keeps what it remembers.
    #[test]
    fn memories_belong_to_their_steps() {
        let steps = [
            step(duplicate(), Some(&["other"])),
            step(Step::Scale(Scale { factor: 2.0, offset: 0.0 }), None),
            step(Step::Range(Range { min: None, max: Some(10.0) }), None),
            step(duplicate(), Some(&["m"])),
            step(Step::RateLimit(RateLimit { per_second: 1.0 }), None),
        ];
        let mut memory = memories(&steps, "m");
        assert_eq!(*memory, [Memory::Duplicate(None), Memory::RateLimit(None)]);
        assert_eq!(memories(&steps, "other").len(), 2);
        let mut clean =
            |value, secs: i64| run(&steps, "m", &mut memory, sample(value, Time(secs * 1_000_000)));
        assert_eq!(clean(1.0, 0), Ok(2.0));
        assert_eq!(clean(9.0, 1), Err(Reason::Range));
        assert_eq!(clean(1.0, 2), Err(Reason::Repeated));
        assert_eq!(clean(4.0, 3), Err(Reason::RateLimit));
        assert_eq!(clean(2.0, 4), Ok(4.0));
        let last = Memory::RateLimit(Some((4.0, Time(4_000_000))));
        assert_eq!(memory[1], last);
    }

    #[test]
    fn a_derived_metric_goes_through_the_later_steps() {
        let names = crate::expr::Names::message(&[], crate::expr::Metrics::Any);
        let from = crate::expr::Expr::formula("m * 2", &names).unwrap();
        let steps = [
            step(Step::Scale(Scale { factor: 10.0, offset: 0.0 }), None),
            step(Step::Derive(Derive { metric: "twice".into(), from, unit: None }), None),
            step(Step::Range(Range { min: None, max: Some(50.0) }), None),
        ];
        let clean = |metric, value| run(&steps, metric, &mut [], sample(value, Time(0)));
        assert_eq!((clean("m", 4.0), clean("m", 6.0)), (Ok(40.0), Err(Reason::Range)));
        assert_eq!((clean("twice", 6.0), clean("twice", 60.0)), (Ok(6.0), Err(Reason::Range)));
    }
}
