//! What somebody else gives out for a while, a token or credentials: kept until shortly before its end, or until it is
//! refused. Time is an argument.

use crate::limits;
use std::time::{Duration, Instant};

/// What lives this long is asked for anew this much before its end, or at half of its life.
const MARGIN: Duration = Duration::from_secs(300);
/// However long it is said to live, it is asked for anew so often.
const LIFE_MAX: Duration = Duration::from_secs(86_400);

pub(super) struct Kept<T> {
    held: Option<(T, Instant)>,
    /// When one was last given up because it had been refused.
    given_up: Option<Instant>,
}

impl<T> Kept<T> {
    pub(super) fn nothing() -> Kept<T> {
        Kept { held: None, given_up: None }
    }

    /// Keeps what lives for `life` from `now` on.
    pub(super) fn keep(&mut self, what: T, life: Duration, now: Instant) {
        self.held = Some((what, now + renewed_after(life)));
    }

    /// What is kept, while it lives.
    pub(super) fn live(&self, now: Instant) -> Option<&T> {
        self.held.as_ref().filter(|(_, until)| now < *until).map(|(what, _)| what)
    }

    /// It was refused, so that another may be asked for. One that comes in place of one that was refused a moment ago, and is
    /// refused too, says that another would not help: it is tried for a while, so that a function that refuses all does not cost a
    /// token for each attempt.
    pub(super) fn refused(&mut self, now: Instant) {
        let recently = |at| now.saturating_duration_since(at) < limits::REFUSED_TOKEN_KEPT;
        if self.held.is_some() && !self.given_up.is_some_and(recently) {
            (self.held, self.given_up) = (None, Some(now));
        }
    }
}

fn renewed_after(life: Duration) -> Duration {
    let life = life.min(LIFE_MAX);
    life.saturating_sub(MARGIN).max(life / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn renewed_before_the_end() {
        let secs = |life| renewed_after(Duration::from_secs(life)).as_secs();
        assert_eq!([3_600, 400, 10].map(secs), [3_300, 200, 5]);
        assert_eq!(secs(u64::MAX), 86_100, "a stranger's number");
        let (mut kept, now) = (Kept::nothing(), Instant::now());
        kept.keep("token", 10 * S, now);
        assert_eq!((kept.live(now + 4 * S), kept.live(now + 5 * S)), (Some(&"token"), None));
        kept.keep("token", Duration::ZERO, now);
        assert_eq!(kept.live(now), None);
    }

    #[test]
    fn a_refusal_costs_one_token_a_minute() {
        let (mut kept, start) = (Kept::nothing(), Instant::now());
        kept.refused(start);
        let mut asked = 0;
        // An attempt a second, and each is refused.
        for now in (0..120).map(|n| start + n * S) {
            if kept.live(now).is_none() {
                asked += 1;
                kept.keep(asked, 3_600 * S, now);
            }
            kept.refused(now);
        }
        assert_eq!(asked, 3, "the first, one in its place at once, and one after a minute");
    }
}
