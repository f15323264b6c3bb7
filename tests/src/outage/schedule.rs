//! When what happens in an outage: everything from one seed.

use super::Outage;
use crate::proxy::Flow;
use std::time::Duration;

/// Where a network is between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Between the broker and the daemon; on the listener, between the sensors and the daemon.
    Field,
    /// Between the daemon and the function.
    Uplink,
}

/// What happens at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    KillDaemon { down: Duration },
    KillStarting { up: [Duration; 3] },
    RestartBroker { down: Duration },
    KillBroker { down: Duration },
    FunctionLeaves,
    FunctionReturns,
    FunctionLosesAnswers,
    FunctionAccepts,
    Cut(Place),
    Network { place: Place, up: Flow, down: Flow },
    Mend(Place),
    StepClock { seconds: i64 },
}

impl Action {
    /// What the table of faults calls it; nothing for what ends a fault.
    pub(super) fn fault(self) -> Option<&'static str> {
        Some(match self {
            Action::KillDaemon { .. } => "kill -9 of the daemon",
            Action::KillStarting { .. } => "kill -9 of the daemon while it starts",
            Action::RestartBroker { .. } => "broker restarted",
            Action::KillBroker { .. } => "kill -9 of the broker",
            Action::FunctionLeaves => "function gone, its connections with it",
            Action::FunctionLosesAnswers => "function that loses its answers",
            Action::Cut(_) => "connections cut",
            Action::Network { up: Flow::Stall, down: Flow::Stall, .. } => "network stalled",
            Action::Network { up: Flow::Stall, .. } | Action::Network { down: Flow::Stall, .. } => {
                "connections half open"
            }
            Action::Network { .. } => "network slow",
            Action::StepClock { .. } => "clock stepped",
            Action::FunctionReturns | Action::FunctionAccepts | Action::Mend(_) => return None,
        })
    }
}

impl Outage {
    /// When what happens. Kills fall anywhere, on top of the rest too.
    pub(super) fn schedule(&self, seed: u64) -> Vec<(Duration, Action)> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let moment = |rng: &mut fastrand::Rng| self.length.mul_f64(0.05 + 0.85 * rng.f64());
        let pause = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(0..1_500));
        let mut schedule = Vec::new();
        for _ in 0..self.kills {
            schedule.push((moment(&mut rng), Action::KillDaemon { down: pause(&mut rng) }));
        }
        for _ in 0..self.starts {
            // From before the first line of its log to some moment of its recovery.
            let up = [(); 3].map(|()| Duration::from_millis(rng.u64(0..150)));
            schedule.push((moment(&mut rng), Action::KillStarting { up }));
        }
        for _ in 0..self.broker_restarts {
            schedule.push((moment(&mut rng), Action::RestartBroker { down: pause(&mut rng) }));
        }
        for _ in 0..self.broker_kills {
            schedule.push((moment(&mut rng), Action::KillBroker { down: pause(&mut rng) }));
        }
        for _ in 0..self.networks {
            let place = if rng.bool() { Place::Field } else { Place::Uplink };
            let at = moment(&mut rng);
            let (up, down) = match rng.u8(0..5) {
                0 => {
                    schedule.push((at, Action::Cut(place)));
                    continue;
                }
                1 => (Flow::Stall, Flow::Stall),
                2 => (Flow::Stall, Flow::Pass),
                3 => (Flow::Pass, Flow::Stall),
                _ => (Flow::Slow(rng.u32(2_000..20_000)), Flow::Slow(rng.u32(2_000..20_000))),
            };
            // Up to longer than it takes to notice that nobody answers: keep-alive and time-outs are 5 s here.
            let length = Duration::from_millis(rng.u64(300..9_000));
            schedule.push((at, Action::Network { place, up, down }));
            schedule.push((at + length, Action::Mend(place)));
        }
        for _ in 0..self.clock_steps {
            // Within `clock.max_future`, so that no reading comes from the future.
            schedule.push((moment(&mut rng), Action::StepClock { seconds: rng.i64(-200..=200) }));
        }
        if !self.away.is_zero() {
            let leaves = self.length.saturating_sub(self.away).mul_f64(0.2 + 0.5 * rng.f64());
            schedule.push((leaves, Action::FunctionLeaves));
            schedule.push((leaves + self.away, Action::FunctionReturns));
        }
        let loses = self.length.mul_f64(0.02);
        schedule.push((loses, Action::FunctionLosesAnswers));
        schedule.push((loses + self.length / 8, Action::FunctionAccepts));
        schedule.sort_by_key(|(at, _)| *at);
        schedule
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn a_seed_gives_one_schedule() {
        let outage = Outage {
            kills: 5,
            starts: 2,
            broker_restarts: 1,
            broker_kills: 1,
            networks: 3,
            clock_steps: 2,
            away: Duration::from_secs(20),
            ..Outage::calm(Source::Mosquitto, Duration::from_secs(60))
        };
        let schedule = outage.schedule(7);
        assert_eq!(schedule, outage.schedule(7));
        assert_ne!(schedule, outage.schedule(8));
        let faults = schedule.iter().filter(|(_, action)| action.fault().is_some()).count();
        assert_eq!(faults, 5 + 2 + 1 + 1 + 3 + 2 + 2);
        assert!(schedule.is_sorted_by_key(|(at, _)| *at) && schedule[9].0 < outage.length);
    }
}
