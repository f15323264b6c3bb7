//! The oracle: knows every reading that was ever taken, and what each summary should say of it. It uses nothing of the
//! pipeline.
//!
//! Each reading has a digit of its own in the sum of its window: the first adds 1, the next the base, the next its square.
//! So the sum of a window says which readings are in it, and how often each. Where windows may merge, no two readings of a
//! series have the same digit; else digits begin anew every five minutes.

use super::setup::AMEND;
use super::world::{START_US, secs};
use std::collections::BTreeMap;

/// Sums are exact up to here: 64-bit floating point.
const BITS: u32 = 52;
/// The longest window, in µs. A digit is given once in it.
pub(super) const FIVE: u64 = secs(300);
/// The shortest window, in µs.
const MINUTE: u64 = secs(60);
/// A clock that is further from the right time may refuse readings for being in the future, or too late.
const ERROR_MAX: i64 = secs(100).cast_signed();

/// What tells a reading that comes again from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Boot and sequence.
    Booted,
    /// Sequence alone.
    Numbered,
    /// Its time stamp.
    Stamped,
    /// Its content; it has a time of its own.
    Plain,
    /// Its content; its time is that of its arrival.
    Text,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [Kind::Booted, Kind::Numbered, Kind::Stamped, Kind::Plain, Kind::Text];

    /// The stream that takes it.
    pub(super) fn stream(self) -> &'static str {
        match self {
            Kind::Booted => "booted",
            Kind::Numbered => "numbered",
            Kind::Stamped => "stamped",
            Kind::Plain => "plain",
            Kind::Text => "text",
        }
    }

    /// Whether it is promised to be counted exactly once whatever its broker does (docs/durability.md).
    pub(super) fn is_exact(self) -> bool {
        matches!(self, Kind::Booted | Kind::Numbered | Kind::Stamped)
    }

    /// Bits of one digit: what may count more often needs more room.
    fn digit_bits(self) -> u32 {
        if self.is_exact() { 2 } else { 4 }
    }
}

/// One reading.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) series: usize,
    /// Its time stamp, in µs of the world; `None` where its arrival is its time.
    pub(super) time: Option<i64>,
    /// It says a time that it cannot have: it must not count.
    pub(super) outlier: bool,
    /// A late or early clock may have refused it, or a buffer without room for what might be amended.
    excused: bool,
    /// How often it reached the gateway.
    pub(super) deliveries: u32,
    /// How often it was published: the sensor may repeat itself.
    pub(super) parcels: u32,
    /// When the broker was told that it is safe.
    pub(super) acknowledged: Option<u64>,
}

/// A series: whose, of what, and what tells its readings apart.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) kind: Kind,
    pub(super) device: String,
    pub(super) metric: &'static str,
}

/// A window: its series, start and end.
pub(super) type Place = (usize, i64, i64);

/// What a summary says: by window, count and sum.
pub(super) type Windows = BTreeMap<Place, (u64, u64)>;

/// All readings.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) series: Vec<Series>,
    pub(super) readings: Vec<Reading>,
    /// Digits are given once for ever.
    merges: bool,
    /// Windows that ended at or before this were forgotten.
    forgotten: i64,
    /// By series and page: the readings in the order of their digits.
    digits: BTreeMap<(usize, i64), Vec<usize>>,
    /// Readings that came while nobody vouched for the clock.
    held: Vec<usize>,
}

impl Oracle {
    /// Of a world in which nothing has happened. `merges`: windows may be of any length.
    pub(super) fn new(merges: bool) -> Oracle {
        Oracle { merges, forgotten: i64::MIN, ..Oracle::default() }
    }

    /// The page that a digit belongs to.
    fn page(&self, time: i64) -> i64 {
        if self.merges { 0 } else { floor(time, FIVE) }
    }

    /// A new reading: its number and its value; `None` where no digit is left in its window.
    pub(super) fn take(&mut self, series: usize, time: Option<i64>, outlier: bool) -> Option<(usize, u64)> {
        let start = time.map_or(0, |time| self.page(time));
        let bits = self.series[series].kind.digit_bits();
        let digits = self.digits.entry((series, start)).or_default();
        let digit = u32::try_from(digits.len()).unwrap();
        if (digit + 1) * bits > BITS {
            return None;
        }
        let number = self.readings.len();
        digits.push(number);
        self.readings.push(Reading {
            series,
            time,
            outlier,
            excused: false,
            deliveries: 0,
            parcels: 0,
            acknowledged: None,
        });
        Some((number, 1 << (digit * bits)))
    }

    /// A reading reached the gateway, at `now` by the world and so far off by the gateway's own clock; `None` where nobody
    /// vouches for it: then the gateway holds the reading.
    pub(super) fn delivered(&mut self, number: usize, now: u64, error: Option<i64>) {
        let reading = &mut self.readings[number];
        reading.deliveries += 1;
        let age = reading.time.map_or(0, |time| now.cast_signed() - time);
        // Half an hour less: it may have waited for its decision too.
        let late = age > (AMEND / 2).cast_signed();
        reading.excused |= late || error.is_some_and(|error| error.abs() > ERROR_MAX);
        if error.is_none() {
            self.held.push(number);
        }
    }

    /// The broker was told at `now` that a reading is safe.
    pub(super) fn acknowledged(&mut self, number: usize, now: u64) {
        let forgotten = self.forgotten;
        let reading = &mut self.readings[number];
        reading.acknowledged.get_or_insert(now);
        // Whoever had to wait for room may have come too late, and what was forgotten early is not amended.
        let end = reading.time.map(|time| floor(time, MINUTE) + MINUTE.cast_signed());
        let late =
            end.is_some_and(|end| end <= forgotten || end + (AMEND / 2).cast_signed() < now.cast_signed());
        reading.excused |= self.merges && late;
    }

    /// Windows that ended by then, in µs of the world, cannot be amended any more.
    pub(super) fn forgets(&mut self, upto: i64) {
        self.forgotten = self.forgotten.max(upto);
    }

    /// Whether a window with this end may be forgotten.
    pub(super) fn is_forgotten(&self, end: i64) -> bool {
        end <= self.forgotten
    }

    /// What was held is decided on. `known`: somebody vouched for the clock soon enough, so that it all gets its right time;
    /// else it is counted apart, or refused.
    pub(super) fn released(&mut self, known: bool) {
        for number in self.held.drain(..) {
            self.readings[number].excused |= !known;
        }
    }

    /// Everything that was delivered may have been refused: its time went wrong afterwards.
    pub(super) fn excuse_all(&mut self) {
        self.readings.iter_mut().for_each(|reading| reading.excused |= reading.deliveries > 0);
    }

    /// The reading of a series with this time and value. One without a time stamp has whatever time it arrived at.
    pub(super) fn known(&self, series: usize, time: i64, value: u64) -> Option<usize> {
        let kind = self.series[series].kind;
        let page = if kind == Kind::Text { 0 } else { self.page(time) };
        let (place, bits) = (value.trailing_zeros(), kind.digit_bits());
        let number = *self.digits.get(&(series, page))?.get(usize::try_from(place / bits).ok()?)?;
        let same = self.readings[number].time.is_none_or(|stamp| stamp == time);
        (value.is_power_of_two() && place.is_multiple_of(bits) && same).then_some(number)
    }

    pub(super) fn find(&self, device: &str, metric: &str) -> Option<usize> {
        self.series.iter().position(|series| series.device == device && series.metric == metric)
    }

    /// Whether a window had a reading before it ended, so that it has to close in its turn.
    pub(super) fn is_in_time(&self, series: usize, start: i64, length: u64) -> bool {
        let inside = |reading: &Reading| {
            let early =
                reading.acknowledged.is_some_and(|at| at.cast_signed() < start + length.cast_signed());
            early && reading.time.is_some_and(|time| floor(time, length) == start)
        };
        let digits = self.digits.get(&(series, self.page(start)));
        digits.is_some_and(|digits| digits.iter().any(|&at| inside(&self.readings[at])))
    }

    /// Whether a window of this length had to close in its turn between two times.
    pub(super) fn has_in_time(&self, series: usize, (from, upto): (i64, i64), length: u64) -> bool {
        let step = usize::try_from(length).unwrap();
        (from..upto).step_by(step).any(|start| self.is_in_time(series, start, length))
    }

    /// How often each reading is counted in the windows of a summary.
    ///
    /// # Errors
    /// When a window holds what was never taken, or what belongs to another one.
    pub(super) fn fold(&self, windows: &Windows) -> Result<Vec<u32>, String> {
        let mut counted = vec![0; self.readings.len()];
        let mut stampless: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        for (&(series, start, end), &(count, sum)) in windows {
            if self.series[series].kind == Kind::Text {
                let all = stampless.entry(series).or_default();
                (all.0, all.1) = (all.0 + count, all.1 + sum);
                continue;
            }
            let inside = |reading: &Reading| reading.time.is_some_and(|time| (start..end).contains(&time));
            self.decode((series, self.page(start)), (count, sum), &inside, &mut counted)?;
        }
        for (series, all) in stampless {
            self.decode((series, 0), all, &|_| true, &mut counted)?;
        }
        Ok(counted)
    }

    fn decode(
        &self,
        window: (usize, i64),
        (count, sum): (u64, u64),
        inside: &dyn Fn(&Reading) -> bool,
        counted: &mut [u32],
    ) -> Result<(), String> {
        let series = &self.series[window.0];
        let bits = series.kind.digit_bits();
        let invented = || {
            format!(
                "{}/{} {}: count {count}, sum {sum:#x}",
                series.device,
                series.metric,
                window.1 + START_US
            )
        };
        let (mut rest, mut place, mut members) = (sum, 0, 0);
        while rest > 0 {
            let times = rest & ((1 << bits) - 1);
            if times > 0 {
                let found = self.digits.get(&window).and_then(|digits| digits.get(place));
                let &number = found.ok_or_else(|| format!("invented: {}", invented()))?;
                if !inside(&self.readings[number]) {
                    return Err(format!("in the wrong window: {}", invented()));
                }
                counted[number] += u32::try_from(times).unwrap();
                members += times;
            }
            rest >>= bits;
            place += 1;
        }
        if members == count {
            Ok(())
        } else {
            Err(format!("counted more often than it can be: {}", invented()))
        }
    }

    /// What is wrong with how often a reading is counted, if anything: `orderly` deliveries are told apart by content too.
    pub(super) fn judge(&self, reading: usize, counted: u32, orderly: bool) -> Option<Wrong> {
        let reading = &self.readings[reading];
        let kind = self.series[reading.series].kind;
        let once = kind.is_exact() || orderly;
        let most = if once { reading.deliveries.min(1) } else { reading.deliveries };
        let must = reading.acknowledged.is_some() && !reading.excused && !reading.outlier;
        if reading.deliveries == 0 && counted > 0 || reading.outlier && counted > 0 && !reading.excused {
            Some(Wrong::Invented)
        } else if counted > most {
            Some(Wrong::Double)
        } else if must && counted == 0 {
            Some(Wrong::Lost)
        } else {
            None
        }
    }
}

/// What may be wrong with a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Lost,
    Double,
    Invented,
}

/// The start of the window of this length that holds `time`; both in µs of the world, whose beginning is aligned.
fn floor(time: i64, length: u64) -> i64 {
    time - time.rem_euclid(length.cast_signed())
}

const _: () = assert!(START_US % FIVE.cast_signed() == 0 && FIVE.is_multiple_of(MINUTE));

#[cfg(test)]
mod tests {
    use super::*;

    fn oracle() -> Oracle {
        let series = Series { kind: Kind::Booted, device: "d".into(), metric: "x" };
        Oracle { series: vec![series], ..Oracle::default() }
    }

    #[test]
    fn a_sum_says_what_is_in_it() {
        let mut oracle = oracle();
        let at = |secs: i64| Some(secs * 1_000_000);
        let (_, one) = oracle.take(0, at(1), false).unwrap();
        let (_, two) = oracle.take(0, at(2), false).unwrap();
        let (_, far) = oracle.take(0, at(61), false).unwrap();
        assert_eq!((one, two, far), (1, 4, 16));
        let check = |windows: &[(i64, u64, u64)], expected: Result<&[u32], &str>| {
            let place = |start| (0, start * 1_000_000, (start + 60) * 1_000_000);
            let windows = windows.iter().map(|&(start, count, sum)| (place(start), (count, sum)));
            match (oracle.fold(&windows.collect()), expected) {
                (Ok(counted), Ok(expected)) => assert_eq!(counted, expected),
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        };
        check(&[(0, 2, 5), (60, 1, 16)], Ok(&[1, 1, 1]));
        check(&[(0, 3, 9), (60, 0, 0)], Ok(&[1, 2, 0]));
        check(&[(0, 1, 16)], Err("wrong window"));
        check(&[(0, 1, 64)], Err("invented"));
        check(&[(0, 1, 2)], Err("more often"));
    }

    #[test]
    fn what_each_kind_promises() {
        let mut oracle = oracle();
        oracle.series.push(Series { kind: Kind::Plain, device: "p".into(), metric: "x" });
        let mut reading = |series, deliveries, acknowledged: bool| {
            let (at, _) = oracle.take(series, Some(0), false).unwrap();
            oracle.readings[at].deliveries = deliveries;
            oracle.readings[at].acknowledged = acknowledged.then_some(1);
            at
        };
        let (safe, unsafe_, never, plain) =
            (reading(0, 2, true), reading(0, 2, false), reading(0, 0, false), reading(1, 2, true));
        for (at, counted, orderly, wrong) in [
            (safe, 1, false, None),
            (safe, 0, false, Some(Wrong::Lost)),
            (safe, 2, false, Some(Wrong::Double)),
            (unsafe_, 0, false, None),
            (unsafe_, 1, false, None),
            (never, 1, false, Some(Wrong::Invented)),
            (plain, 2, false, None),
            (plain, 2, true, Some(Wrong::Double)),
            (plain, 0, false, Some(Wrong::Lost)),
        ] {
            assert_eq!(oracle.judge(at, counted, orderly), wrong, "{at} {counted}");
        }
    }
}
