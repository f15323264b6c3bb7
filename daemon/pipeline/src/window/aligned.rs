//! Windows whose bounds depend on time alone: tumbling, hopping and calendar windows.
//!
//! Readings are folded into *panes*. A tumbling or calendar window is one pane; hopping windows share theirs: a pane is
//! as long as the greatest common divisor of length and hop, and is folded once, however many windows it belongs to
//! (J. Li et al., "No pane, no gain", SIGMOD Record 34, 2005).

use super::calendar::Calendar;
use crate::time::{Span, Time};

/// A start, which belongs to the window or pane, and an end, which does not.
pub type Bounds = (Time, Time);

/// How time is cut, ready to use.
#[derive(Debug)]
pub(crate) enum Aligned {
    Tumbling { length: Span },
    Hopping { length: Span, every: Span, pane: Span },
    Calendar(Calendar),
}

impl Aligned {
    pub(crate) fn hopping(length: Span, every: Span) -> Aligned {
        Aligned::Hopping { length, every, pane: Span(divisor(length.0, every.0)) }
    }

    /// The pane that holds `time`.
    pub(crate) fn pane(&self, time: Time) -> Bounds {
        match self {
            Aligned::Tumbling { length } => aligned(time, *length),
            Aligned::Hopping { pane, .. } => aligned(time, *pane),
            Aligned::Calendar(calendar) => calendar.around(time),
        }
    }

    /// The windows that `pane` belongs to, the earliest first.
    pub(crate) fn windows(&self, pane: Bounds) -> impl Iterator<Item = Bounds> + use<> {
        let (first, last, every, length) = match self {
            Aligned::Tumbling { .. } | Aligned::Calendar(_) => {
                (pane.0, pane.0, Span(1), pane.1.since(pane.0))
            }
            Aligned::Hopping { length, every, .. } => {
                // The first that ends at or after the pane's end, and the last that begins at or before its start.
                let first = aligned(pane.1.minus(*length).plus(Span(every.0 - 1)), *every).0;
                (first, aligned(pane.0, *every).0, *every, *length)
            }
        };
        std::iter::successors(Some(first), move |start| Some(start.plus(every)))
            .take_while(move |start| *start <= last)
            .map(move |start| (start, start.plus(length)))
    }

    /// Where the window after the one that begins at `start` begins.
    pub(crate) fn after(&self, start: Time) -> Time {
        match self {
            Aligned::Hopping { every, .. } => start.plus(*every),
            Aligned::Tumbling { .. } | Aligned::Calendar(_) => self.pane(start).1,
        }
    }

    /// Whether a window is more than one pane.
    pub(crate) fn shares_panes(&self) -> bool {
        matches!(self, Aligned::Hopping { .. })
    }
}

/// The stretch of `length` that holds `time`, aligned to 1970.
fn aligned(time: Time, length: Span) -> Bounds {
    let start = time.minus(Span(time.0.rem_euclid(length.0)));
    (start, start.plus(length))
}

/// Euclid's greatest common divisor, of positive numbers.
pub(crate) fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time(secs * 1_000_000)
    }

    #[test]
    fn tumbling_windows_are_aligned() {
        let minute = Aligned::Tumbling { length: Span::from_secs(60) };
        for (secs, start) in
            [(0, 0), (59, 0), (60, 60), (-1, -60), (-60, -60), (1_795_341_659, 1_795_341_600)]
        {
            let pane = (at(start), at(start + 60));
            assert_eq!(minute.pane(at(secs)), pane, "{secs}");
            assert_eq!(minute.windows(pane).collect::<Vec<_>>(), [pane]);
        }
    }

    #[test]
    fn hopping_windows_overlap() {
        let check = |length, every, secs, pane: (i64, i64), starts: &[i64]| {
            let cut = Aligned::hopping(Span::from_secs(length), Span::from_secs(every));
            assert_eq!(cut.pane(at(secs)), (at(pane.0), at(pane.1)), "{length}/{every} at {secs}");
            let windows: Vec<_> = cut.windows(cut.pane(at(secs))).collect();
            let expected: Vec<_> = starts.iter().map(|s| (at(*s), at(s + length))).collect();
            assert_eq!(windows, expected, "{length}/{every} at {secs}");
        };
        check(300, 60, 0, (0, 60), &[-240, -180, -120, -60, 0]);
        check(300, 60, 359, (300, 360), &[60, 120, 180, 240, 300]);
        check(60, 60, 61, (60, 120), &[60]);
        check(10, 4, 7, (6, 8), &[0, 4]);
        check(10, 4, 8, (8, 10), &[0, 4, 8]);
        check(10, 4, -1, (-2, 0), &[-8, -4]);
    }

    proptest::proptest! {
        /// By definition: a window holds a time when it starts at or before it and ends after it.
        #[test]
        fn windows_are_those_that_hold_the_time(every in 1i64..50, times in 1i64..20, extra in 0i64..50, at in -10_000i64..10_000) {
            let length = every * times + extra % every;
            let cut = Aligned::hopping(Span(length), Span(every));
            let windows: Vec<_> = cut.windows(cut.pane(Time(at))).collect();
            let expected: Vec<_> = (-20_000i64.div_euclid(every) - 1..20_000 / every)
                .map(|n| n * every)
                .filter(|start| *start <= at && at < start + length)
                .map(|start| (Time(start), Time(start + length)))
                .collect();
            proptest::prop_assert_eq!(windows, expected);
        }
    }
}
