//! What the writer says of the clock: to the status page, and to people where they have to do something.

use crate::clock::Sight;
use crate::config::units::duration_text;
use crate::health::Health;
use std::time::Duration;
use tidegate_pipeline::clock::Mode;
use tidegate_pipeline::plan::Plan;
use tidegate_pipeline::state::State;
use tidegate_pipeline::time::Span;

/// The place of its problems in [`Health`].
const PLACE: &str = "clock";

/// The clock as the last transaction left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockFigures {
    /// What is done with readings.
    pub mode: Mode,
    /// Who vouches for the system's clock; `None` where nobody does.
    pub by: Option<&'static str>,
    /// It is believed as it is, because the configuration says so.
    pub believed: bool,
    /// Rises with steps that windows must not span.
    pub epoch: u32,
    /// From the machine's start to 1970, backwards.
    pub offset: Span,
    /// Readings that are held.
    pub held_readings: u64,
    /// Bytes that they take.
    pub held_bytes: u64,
    /// For how long they may still be.
    pub hold_left: Option<Duration>,
}

impl ClockFigures {
    pub(super) fn of(plan: &Plan, state: &State, sight: &Sight) -> ClockFigures {
        let hold_left = match (state.clock.mode, plan.hold_max) {
            (Mode::Holding { since }, Some(max)) => {
                let left = max.0.saturating_sub(sight.now.up.0.saturating_sub(since.0));
                Some(Duration::from_micros(left.max(0).unsigned_abs()))
            }
            _ => None,
        };
        ClockFigures {
            mode: state.clock.mode,
            by: sight.by,
            believed: plan.hold_max.is_none(),
            epoch: state.clock.epoch,
            offset: state.clock.offset,
            held_readings: state.held.readings(),
            held_bytes: state.held.bytes(),
            hold_left,
        }
    }
}

/// Says what is wrong with the clock and what to do about it; once in the log.
pub(super) fn report(health: &Health, plan: &Plan, state: &State) {
    const HELP: &str =
        "Let an NTP client set it, or, where there is none, write unsynchronised = \"trust\" under [clock]";
    let Some(max) = plan.hold_max.filter(|_| state.clock.boot.is_some()) else {
        health.clear(PLACE);
        return;
    };
    let text = match state.clock.mode {
        Mode::Synchronised => {
            if health.clear(PLACE) {
                tracing::info!("the clock is synchronised");
            }
            return;
        }
        Mode::Holding { .. } => format!(
            "this machine's clock is not synchronised: readings are kept on disk and acknowledged, and counted when it is, or \
             after {}. {HELP}",
            duration_text(Duration::from_micros(max.0.unsigned_abs()))
        ),
        Mode::Unsynchronised => format!(
            "this machine's clock is not synchronised: summaries say so, under keys with u{}. {HELP}",
            state.clock.epoch
        ),
    };
    if health.raise(PLACE, text.clone()) {
        tracing::warn!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_not_known_is_a_problem_with_a_way_out() {
        let check = |mode, hold_max: Option<i64>, expected: Option<&str>| {
            let health = Health::default();
            let plan = Plan { hold_max: hold_max.map(Span::from_secs), ..Plan::default() };
            let mut state = State::default();
            (state.clock.boot, state.clock.mode, state.clock.epoch) = (Some(1), mode, 3);
            report(&health, &plan, &state);
            let text = health.problems().pop().map(|problem| problem.text);
            match expected {
                None => assert_eq!(text, None),
                Some(part) => {
                    let text = text.expect(part);
                    assert!(text.contains(part) && text.contains("unsynchronised = \"trust\""), "{text}");
                }
            }
        };
        let holding = Mode::Holding { since: Span::ZERO };
        check(Mode::Synchronised, Some(600), None);
        check(holding, Some(600), Some("or after 10m"));
        check(Mode::Unsynchronised, Some(600), Some("u3"));
        check(holding, None, None);
    }

    #[test]
    fn what_is_left_of_holding() {
        let now = tidegate_pipeline::clock::ClockNow {
            up: Span::from_secs(700),
            offset: Span::ZERO,
            trusted: false,
            boot: 1,
        };
        let check = |since: i64, expected: u64| {
            let plan = Plan { hold_max: Some(Span::from_secs(600)), ..Plan::default() };
            let mut state = State::default();
            state.clock.mode = Mode::Holding { since: Span::from_secs(since) };
            let figures = ClockFigures::of(&plan, &state, &Sight { now, by: None });
            assert_eq!(figures.hold_left, Some(Duration::from_secs(expected)));
        };
        check(700, 600);
        check(200, 100);
        check(0, 0);
    }
}
