//! A capture: the span around a raised alert whose raw readings are sent once it has passed. Pure: times are arguments.

use super::Raised;
use crate::limits::{CAPTURE_GRACE, CAPTURE_SPANS_MAX};
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};

/// A clock that goes back further than this was set.
const BACK_MAX: Span = Span::from_secs(1);
/// The least step of time.
const TICK: Span = Span(1);

/// A capture that has not been sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// What arrived from here …
    pub from: Time,
    /// … to here, both included, belongs to it.
    pub until: Time,
    /// The raise that began it.
    pub raised: Raised,
}

impl Capture {
    /// The capture of `raised`, where `before` is that of an earlier raise and still waits. It goes on as this one where
    /// it stays short enough. Where not, it ends ([`Capture::cut`]), and this one begins behind it: no reading is sent
    /// twice.
    pub(crate) fn of(raised: Raised, span: Span, before: Option<Capture>) -> Capture {
        let (from, until) = (raised.at.minus(span), raised.at.plus(span));
        match before {
            Some(before) if before.takes(raised.at, span) => {
                Capture { until: before.until.max(until), ..before }
            }
            Some(before) if raised.at >= before.from => {
                let end = before.cut(raised.at.minus(TICK)).until;
                Capture { from: from.max(end.plus(TICK)), until, raised }
            }
            // The clock was set back.
            _ => Capture { from, until, raised },
        }
    }

    /// Whether a raise at `at` only makes this one longer.
    pub(crate) fn takes(&self, at: Time, span: Span) -> bool {
        at >= self.from && at.plus(span).since(self.from) <= longest(span)
    }

    /// Ended at `at`, if that is before its end.
    pub(crate) fn cut(self, at: Time) -> Capture {
        if at < self.from { self } else { Capture { until: self.until.min(at), ..self } }
    }

    /// Ended so that one of a raise at `at` can begin behind it.
    pub(crate) fn cut_before(self, at: Time) -> Capture {
        self.cut(at.minus(TICK))
    }

    /// When it is to be sent: what arrived before its end has been read then.
    pub(crate) fn due(&self, now: Time) -> Time {
        // By a clock that was set back nobody knows how long is left.
        if now < self.raised.at.minus(BACK_MAX) { now } else { self.until.plus(CAPTURE_GRACE) }
    }
}

/// How long a capture can be that later raises make longer.
pub(crate) fn longest(span: Span) -> Span {
    Span(span.0.saturating_mul(CAPTURE_SPANS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Why;

    fn raised(at: i64) -> Raised {
        Raised { why: Why::Condition, since: Time(at), at: Time(at), ordinal: 1 }
    }

    /// Captures of 100 µs around raises at these times: what is sent, as (from, until, raised), the last one at its end.
    fn check(raises: &[i64], expected: &[(i64, i64, i64)]) {
        let (mut pending, mut sent) = (None::<Capture>, Vec::new());
        for &at in raises {
            if let Some(before) = pending.filter(|before| !before.takes(Time(at), Span(100))) {
                sent.push(before.cut_before(Time(at)));
            }
            pending = Some(Capture::of(raised(at), Span(100), pending));
        }
        sent.extend(pending);
        let sent: Vec<_> = sent.iter().map(|c| (c.from.0, c.until.0, c.raised.at.0)).collect();
        assert_eq!(sent, expected, "{raises:?}");
    }

    #[test]
    fn spans() {
        check(&[1_000], &[(900, 1_100, 1_000)]);
        check(&[1_000, 1_000], &[(900, 1_100, 1_000)]);
        // Later raises make it longer, also after its end, as long as it waits …
        check(&[1_000, 1_050], &[(900, 1_150, 1_000)]);
        check(&[1_000, 1_100, 1_200], &[(900, 1_300, 1_000)]);
        check(&[1_000, 1_150], &[(900, 1_250, 1_000)]);
        // … until it is four times as long as `capture`; then the next begins behind it.
        check(&[1_000, 1_100, 1_201], &[(900, 1_200, 1_000), (1_201, 1_301, 1_201)]);
        check(&[1_000, 1_090, 1_250], &[(900, 1_190, 1_000), (1_191, 1_350, 1_250)]);
        check(&[1_000, 9_000], &[(900, 1_100, 1_000), (8_900, 9_100, 9_000)]);
        // A clock that was set back begins anew.
        check(&[1_000, 200], &[(900, 1_100, 1_000), (100, 300, 200)]);
    }

    #[test]
    fn it_is_due_after_its_end() {
        let capture = Capture::of(raised(1_000), Span(100), None);
        let end = Time(1_100).plus(CAPTURE_GRACE);
        for (now, expected) in [(1_000, end), (0, end), (1_000 - BACK_MAX.0 - 1, Time(-999_001))] {
            assert_eq!(capture.due(Time(now)), expected, "{now}");
        }
    }
}
