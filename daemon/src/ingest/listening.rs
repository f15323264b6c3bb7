//! Since when each source is listened to. Pure: time is an argument.
//!
//! An alert that says that a sensor is silent must not be raised for a time in which nobody could hear it: while its broker
//! was away or still delivered what it had kept, while the buffer was full, while the writer stood still, or where the
//! clock was set and the time never passed at all.

use super::intake::Link;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_pipeline::time::Time;

/// The wall clock and the monotonic one may differ by so much between two turns; above it the wall clock was set.
const STEP_MAX: Duration = Duration::from_secs(1);
/// A writer that did not turn for so long did not listen.
const STILL_MAX: Duration = Duration::from_secs(5);

/// All sources, by their place in the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Listening {
    sources: Vec<Source>,
    /// The last turn, by both clocks.
    turned: Option<(Instant, Time)>,
    /// Nothing is taken.
    paused: bool,
}

#[derive(Clone, Debug, Default)]
struct Source {
    /// Somebody whose connection tells whether we hear anything: a broker. A listener always listens.
    broker: bool,
    /// The connection that opened last, while it is open.
    link: Option<Arc<Link>>,
    /// Until then it may deliver what waited for us.
    backlog: Option<Instant>,
    since: Option<Time>,
}

impl Listening {
    /// So many sources, none of which has been heard of.
    pub(super) fn new(sources: usize) -> Listening {
        Listening { sources: vec![Source::default(); sources], turned: None, paused: false }
    }

    /// The same sources in another order: where each of them stood, `None` for one that is new.
    pub(super) fn moved(&self, from: &[Option<usize>]) -> Listening {
        let source = |at: &Option<usize>| at.and_then(|at| self.sources.get(at).cloned()).unwrap_or_default();
        Listening { sources: from.iter().map(source).collect(), ..self.clone() }
    }

    /// Time has passed. `full`: nothing is taken at the moment.
    pub(super) fn turn(&mut self, now: Instant, wall: Time, full: bool) {
        for source in &mut self.sources {
            let over = source.backlog.is_some_and(|until| now >= until);
            if over && source.since.is_none() && source.link.is_some() {
                (source.backlog, source.since) = (None, Some(wall));
            }
        }
        let away = self.turned.is_some_and(|(then, before)| {
            let passed = now.saturating_duration_since(then);
            let by_wall = i128::from(wall.since(before).0);
            let drift = by_wall - i128::try_from(passed.as_micros()).unwrap_or(i128::MAX);
            passed > STILL_MAX || drift.unsigned_abs() > STEP_MAX.as_micros()
        });
        if away || (self.paused && !full) {
            self.sources.iter_mut().for_each(|source| source.since = source.since.map(|_| wall));
        }
        self.turned = Some((now, wall));
        self.paused = full;
    }

    /// A connection opened.
    pub(super) fn opened(&mut self, source: u16, link: &Arc<Link>) {
        if let Some(source) = self.sources.get_mut(usize::from(source)) {
            source.link = Some(Arc::clone(link));
        }
    }

    /// A connection ended. One that was replaced before it did changes nothing.
    pub(super) fn closed(&mut self, source: u16, link: &Arc<Link>) {
        let Some(source) = self.sources.get_mut(usize::from(source)) else { return };
        if source.link.as_ref().is_some_and(|known| Arc::ptr_eq(known, link)) {
            source.link = None;
            if source.broker {
                // The next connection says again that it is a broker's, if it is.
                (source.broker, source.since, source.backlog) = (false, None, None);
            }
        }
    }

    /// The source delivers what waited for us, at most until then.
    pub(super) fn backlog(&mut self, source: u16, until: Instant) {
        if let Some(source) = self.sources.get_mut(usize::from(source)) {
            (source.broker, source.since, source.backlog) = (true, None, Some(until));
        }
    }

    /// Nothing waits for us any more.
    pub(super) fn drained(&mut self, source: u16, wall: Time) {
        if let Some(source) = self.sources.get_mut(usize::from(source))
            && (!source.broker || source.link.is_some())
        {
            source.since.get_or_insert(wall);
            source.backlog = None;
        }
    }

    /// Since when a source is listened to; `None` while it is not.
    pub(super) fn since(&self, source: u16) -> Option<Time> {
        let source = self.sources.get(usize::from(source)).filter(|_| !self.paused)?;
        source.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn wall(secs: i64) -> Time {
        Time::from_millis(secs * 1_000)
    }

    #[test]
    fn a_broker_is_heard_from_drained_to_closed() {
        let (start, mut listening) = (Instant::now(), Listening::new(2));
        let link = Link::new(0, "gateway", 20);
        listening.opened(0, &link);
        listening.backlog(0, start + 30 * S);
        assert_eq!(listening.since(0), None);
        listening.drained(0, wall(2));
        listening.drained(0, wall(9));
        assert_eq!((listening.since(0), listening.since(1)), (Some(wall(2)), None));
        // The next connection may be there before the end of the last one is heard of.
        let next = Link::new(0, "gateway", 20);
        listening.opened(0, &next);
        listening.backlog(0, start + 30 * S);
        listening.closed(0, &link);
        listening.turn(start + 29 * S, wall(29), false);
        assert_eq!(listening.since(0), None);
        listening.turn(start + 30 * S, wall(30), false);
        assert_eq!(listening.since(0), Some(wall(30)), "nobody waits for a backlog for ever");
        listening.closed(0, &next);
        assert_eq!(listening.since(0), None);
    }

    /// A reload can make a listener of a source that was a broker.
    #[test]
    fn a_listener_in_the_place_of_a_broker_listens() {
        let (start, mut listening) = (Instant::now(), Listening::new(1));
        let link = Link::new(0, "gateway", 20);
        listening.opened(0, &link);
        listening.backlog(0, start + 30 * S);
        listening.closed(0, &link);
        listening.drained(0, wall(40));
        listening.turn(start, wall(40), false);
        assert_eq!(listening.since(0), Some(wall(40)));
    }

    #[test]
    fn a_listener_always_listens() {
        let mut listening = Listening::new(1);
        let link = Link::new(0, "sensor", 20);
        listening.drained(0, wall(1));
        listening.opened(0, &link);
        listening.closed(0, &link);
        assert_eq!(listening.since(0), Some(wall(1)));
    }

    #[test]
    fn a_set_clock_and_a_pause_begin_anew() {
        let start = Instant::now();
        let check = |turns: &[(u64, i64, bool)], expected: Option<i64>| {
            let mut listening = Listening::new(1);
            listening.drained(0, wall(0));
            for (passed, secs, full) in turns {
                listening.turn(start + Duration::from_secs(*passed), wall(*secs), *full);
            }
            assert_eq!(listening.since(0), expected.map(wall), "{turns:?}");
        };
        check(&[(0, 0, false), (1, 1, false), (5, 5, false)], Some(0));
        check(&[(0, 0, false), (1, 1_000_000, false)], Some(1_000_000));
        check(&[(0, 0, false), (1, -500, false), (2, -499, false)], Some(-500));
        check(&[(0, 0, false), (60, 60, false)], Some(60));
        check(&[(0, 0, false), (1, 1, true)], None);
        check(&[(0, 0, false), (1, 1, true), (2, 2, false), (3, 3, false)], Some(2));
    }
}
