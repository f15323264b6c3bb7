//! The line below all points and nearest to them.

use serde::{Deserialize, Serialize};

/// The fastest drift that is believed of a clock: 500 parts per million, as in NTP (RFC 5905, MAXFREQ). Any quartz is
/// better; what is worse is no clock.
pub(super) const DRIFT_MAX: f64 = 500e-6;
/// What is assumed of a clock of which nothing is known: most are better than 100 ppm.
const DRIFT_USUAL: f64 = 100e-6;
/// No drift is known better than this: with three standard deviations, the 15 ppm by which NTP lets an unwatched clock
/// disperse (RFC 5905, PHI).
const DRIFT_WANDER: f64 = 5e-6;
/// A quartz runs differently by so much when it is warmer or colder than it was in the boot before.
const DRIFT_OF_BOOTS: f64 = 20e-6;

/// An arrival: the uptime at sending, and how much later than that our clock was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Point {
    /// In microseconds.
    pub(super) uptime: i64,
    /// In microseconds.
    pub(super) offset: i64,
}

/// How fast an offset changes, and how well that is known (one standard deviation).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Drift {
    pub(super) slope: f64,
    pub(super) error: f64,
}

impl Drift {
    pub(super) const UNKNOWN: Drift = Drift { slope: 0.0, error: DRIFT_USUAL };

    /// What is known of it before another boot is heard.
    pub(super) fn of_another_boot(self) -> Drift {
        Drift { error: self.error.hypot(DRIFT_OF_BOOTS).min(DRIFT_USUAL), ..self }
    }

    /// Both together, each weighed by how well it is known.
    fn and(self, other: Drift) -> Drift {
        let (one, two) = (self.error.powi(-2), other.error.powi(-2));
        let slope = (self.slope * one + other.slope * two) / (one + two);
        Drift {
            slope: slope.clamp(-DRIFT_MAX, DRIFT_MAX),
            error: (one + two).sqrt().recip().max(DRIFT_WANDER),
        }
    }
}

/// What the points, in the order of their uptimes, say about the drift. `spread` is how much later than the line a usual
/// point is, in microseconds; `before` what was known without them.
///
/// Of all lines below the points the one with the least sum of distances is the edge of their lower hull above or below
/// their mean uptime. Where the true line rises less than the edge from `p` to `q`, by `d`, it lies at or below both, so
/// the last point `r` lies above it by at least `d (r - p)`; likewise on the other side. So `d` is at most a point's
/// lateness divided by the shorter of the two lengths.
pub(super) fn drift(points: &[Point], spread: f64, before: Drift) -> Drift {
    let [first, .., last] = points else { return before };
    let Some((p, q)) = edge(points) else { return before };
    let baseline = seconds(q.uptime - first.uptime).min(seconds(last.uptime - p.uptime));
    let slope = seconds(q.offset - p.offset) / seconds(q.uptime - p.uptime);
    before.and(Drift { slope, error: spread / baseline })
}

/// The edge of the lower hull (A. Andrew's monotone chain, 1979) that spans the mean uptime.
fn edge(points: &[Point]) -> Option<(Point, Point)> {
    let mut hull: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        while let [.., a, b] = hull.as_slice() {
            if !is_above(*b, *a, *point) {
                break;
            }
            hull.pop();
        }
        hull.push(*point);
    }
    let sum: i128 = points.iter().map(|point| i128::from(point.uptime)).sum();
    let beyond = |point: &Point| i128::from(point.uptime) * points.len() as i128 > sum;
    let at = hull.iter().position(beyond)?;
    Some((*hull.get(at.checked_sub(1)?)?, hull[at]))
}

/// Whether `b` lies on or above the line from `a` to `c`.
fn is_above(b: Point, a: Point, c: Point) -> bool {
    let (along, up) = (i128::from(b.uptime - a.uptime), i128::from(b.offset) - i128::from(a.offset));
    let (all, rise) = (i128::from(c.uptime - a.uptime), i128::from(c.offset) - i128::from(a.offset));
    up * all >= rise * along
}

#[expect(clippy::cast_precision_loss, reason = "differences are far below 2^53")]
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(list: &[(i64, i64)]) -> Vec<Point> {
        list.iter().map(|&(uptime, offset)| Point { uptime, offset }).collect()
    }

    #[test]
    fn edges() {
        let check = |list: &[(i64, i64)], expected: Option<[i64; 2]>| {
            let found = edge(&points(list)).map(|(p, q)| [p.uptime, q.uptime]);
            assert_eq!(found, expected, "{list:?}");
        };
        check(&[], None);
        check(&[(0, 5)], None);
        check(&[(0, 5), (10, 9)], Some([0, 10]));
        check(&[(0, 0), (10, 99), (20, 2), (30, 3)], Some([0, 30]));
        check(&[(0, 9), (10, 0), (20, 0), (30, 9)], Some([10, 20]));
        check(&[(0, 9), (1, 0), (2, 9), (30, 9)], Some([1, 30]));
    }

    proptest! {
        /// The edge is the best line of all through two points that lies below the rest.
        #[test]
        fn the_edge_is_the_best_line(list in proptest::collection::btree_map(0i64..1_000, 0i64..1_000, 2..16)) {
            let points = points(&list.into_iter().collect::<Vec<_>>());
            let height = |(p, q): (Point, Point), at: f64| {
                p.offset as f64 + (q.offset - p.offset) as f64 / (q.uptime - p.uptime) as f64 * (at - p.uptime as f64)
            };
            let lost = |line| points.iter().map(|x| x.offset as f64 - height(line, x.uptime as f64)).sum::<f64>();
            let below = |line| points.iter().all(|x| x.offset as f64 - height(line, x.uptime as f64) > -1e-6);
            let pairs = (0..points.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
            let best = pairs.map(|(a, b)| (points[a], points[b])).filter(|line| below(*line)).map(lost);
            let found = edge(&points).unwrap();
            prop_assert!(below(found));
            prop_assert!(lost(found) <= best.fold(f64::INFINITY, f64::min) + 1e-6);
        }
    }
}
