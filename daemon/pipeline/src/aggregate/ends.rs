//! Earliest and latest by the readings' own time. Of two at the same time, the lesser is first and the greater last, so
//! that the order of arrival does not matter.

use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Both at once; `None` before the first reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ends(Option<((Time, f64), (Time, f64))>);

impl Ends {
    pub(super) fn fold(&mut self, time: Time, value: f64) {
        self.merge(&Ends(Some(((time, value), (time, value)))));
    }

    pub(super) fn merge(&mut self, other: &Ends) {
        self.0 = match (self.0, other.0) {
            (Some((first, last)), Some((early, late))) => {
                let first = if precedes(early, first) { early } else { first };
                let last = if precedes(last, late) { late } else { last };
                Some((first, last))
            }
            (one, other) => one.or(other),
        };
    }

    pub(super) fn first(&self) -> Option<f64> {
        self.0.map(|((_, value), _)| value)
    }

    pub(super) fn last(&self) -> Option<f64> {
        self.last_sample().map(|(_, value)| value)
    }

    pub(super) fn last_sample(&self) -> Option<(Time, f64)> {
        self.0.map(|(_, last)| last)
    }
}

fn precedes(a: (Time, f64), b: (Time, f64)) -> bool {
    a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).is_lt()
}
