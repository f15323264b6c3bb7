//! What is carried from one window into the next: its last reading.
//!
//! A meter's increase over a minute begins at what it showed when the minute before ended. So that it can be corrected
//! when late readings change that, the last readings are known for as many windows as can be amended, within a limit.

use crate::limits::CARRIED_MAX;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The last readings of a group's closed windows, by window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carry(Vec<Carried>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Carried {
    /// Which window, or pane.
    start: Time,
    /// Which metric.
    metric: u16,
    time: Time,
    value: f64,
}

impl Carry {
    /// Notes the last reading of a window. Where that changes what the next one began with: the start of that one.
    pub(crate) fn note(&mut self, start: Time, metric: u16, (time, value): (Time, f64)) -> Option<Time> {
        let carried = Carried { start, metric, time, value };
        match self.0.binary_search_by_key(&(start, metric), |known| (known.start, known.metric)) {
            Ok(place) if self.0[place].time >= time => return None,
            Ok(place) => self.0[place] = carried,
            Err(place) => self.0.insert(place, carried),
        }
        let next = self.0.iter().find(|known| known.metric == metric && known.start > start);
        let next = next.map(|next| next.start);
        if self.0.len() > CARRIED_MAX {
            self.0.remove(0);
        }
        next
    }

    /// Takes a reading from before all windows, where nothing is known of the metric.
    pub(crate) fn seed(&mut self, metric: u16, (time, value): (Time, f64)) {
        if self.0.iter().all(|known| known.metric != metric) {
            let place = self.0.partition_point(|known| (known.start, known.metric) < (Time::MIN, metric));
            self.0.insert(place, Carried { start: Time::MIN, metric, time, value });
        }
    }

    /// The last reading before `start`.
    pub(crate) fn before(&self, start: Time, metric: u16) -> Option<(Time, f64)> {
        let before = |known: &&Carried| known.metric == metric && known.start < start && known.time < start;
        let known = self.0.iter().rev().find(before);
        known.map(|known| (known.time, known.value))
    }

    /// Forgets windows that begin after `start` and before `end`: they went into one that begins there.
    pub(crate) fn swallow(&mut self, start: Time, end: Time) {
        self.0.retain(|known| known.start <= start || known.start >= end);
    }

    /// Forgets what no window begins with that can still be amended: the next one has ended at `forgotten` if one after it
    /// had begun by then.
    pub(crate) fn forget(&mut self, forgotten: Time) {
        let old = self.0.partition_point(|known| known.start < forgotten);
        for place in (0..old).rev() {
            let metric = self.0[place].metric;
            let after = self.0[place + 1..].iter().filter(|known| known.metric == metric);
            if after.filter(|known| known.start <= forgotten).count() > 1 {
                self.0.remove(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_last_reading_changes_what_the_next_window_began_with() {
        let mut carry = Carry::default();
        assert_eq!(carry.note(Time(0), 0, (Time(5), 1.0)), None);
        assert_eq!(carry.note(Time(20), 0, (Time(25), 2.0)), None);
        assert_eq!(carry.note(Time(10), 1, (Time(15), 9.0)), None, "another metric");
        assert_eq!(carry.note(Time(10), 0, (Time(15), 3.0)), Some(Time(20)));
        assert_eq!(carry.note(Time(10), 0, (Time(14), 4.0)), None, "not the last");
        assert_eq!(carry.note(Time(10), 0, (Time(16), 5.0)), Some(Time(20)));
        assert_eq!(carry.before(Time(20), 0), Some((Time(16), 5.0)));
        assert_eq!(carry.before(Time(10), 0), Some((Time(5), 1.0)));
        assert_eq!(carry.before(Time(0), 0), None);
        carry.swallow(Time(0), Time(20));
        assert_eq!(carry.before(Time(20), 0), Some((Time(5), 1.0)));
    }

    #[test]
    fn it_is_bounded() {
        let mut carry = Carry::default();
        for n in 0..10_000 {
            carry.note(Time(n), 0, (Time(n), 0.0));
        }
        assert_eq!(carry.0.len(), CARRIED_MAX);
        carry.forget(Time(9_999));
        assert_eq!(carry.0.len(), 2, "the youngest are needed by the next windows");
    }
}
