//! For how long a condition held.

use super::Ends;
use super::samples::{Mark, Run, Samples};
use crate::expr::{Env, Expr};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether the condition held, as 1 and 0 in the order of time: the integral of that is for how long it did. It is asked at
/// each reading, and holds or not until the next. Where it has no answer (it divides by a value of 0), that time is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    condition: Arc<Expr>,
    /// The next window's condition begins with the value of the last reading.
    ends: Ends,
    samples: Samples,
}

impl Held {
    pub(super) fn new(condition: &Arc<Expr>, samples_max: u32) -> Held {
        Held { condition: Arc::clone(condition), ends: Ends::default(), samples: Samples::new(samples_max) }
    }

    pub(super) fn condition(&self) -> &Expr {
        &self.condition
    }

    pub(super) fn fold(&mut self, time: Time, value: f64) {
        self.ends.fold(time, value);
        let mark = match holds(&self.condition, time, value) {
            Some(held) => Mark::reading(time, held),
            None => Mark::gone(time),
        };
        self.samples.fold(mark);
    }

    pub(super) fn break_at(&mut self, time: Time) {
        self.samples.fold(Mark::gone(time));
    }

    pub(super) fn merge(&mut self, other: &Held) {
        self.ends.merge(&other.ends);
        self.samples.merge(&other.samples);
    }

    pub(super) fn whole(&self, start: Time, end: Time, opening: Option<(Time, f64)>) -> Option<Run> {
        let held = |(time, value)| Some((time, holds(&self.condition, time, value)?));
        self.samples.whole(start, end, opening.and_then(held))
    }

    pub(super) fn is_approximate(&self) -> bool {
        self.samples.is_approximate()
    }

    pub(super) fn last_sample(&self) -> Option<(Time, f64)> {
        self.ends.last_sample()
    }
}

/// 1 where the condition holds, 0 where it does not, `None` where it has no answer.
fn holds(condition: &Expr, time: Time, value: f64) -> Option<f64> {
    let held = condition.test(&Env::new(value, time, &[])).ok()?;
    Some(f64::from(u8::from(held)))
}
