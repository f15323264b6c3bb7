//! The main promise, under fire: sensors publish while the daemon is killed, the broker restarted and the function away.
//! At the end every window's last revision must be what the oracle says, and the ledger must balance.

use crate::broker::Broker;
use crate::daemon::{Daemon, status_at};
use crate::function::{Function, Mode};
use crate::oracle::Reading;
use crate::packet::Version;
use crate::publisher::{Running, Sensor};
use crate::{events, oracle, port, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The length of the windows, in milliseconds.
const WINDOW_MS: i64 = 5_000;
/// How long the daemon has at the end to catch up.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Where the daemon gets its readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a mosquitto with a persistent session.
    Mosquitto,
    /// From the sensors themselves.
    Listener,
}

/// What is to happen.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// Where readings come from.
    pub source: Source,
    /// Whether payloads carry sequence numbers; else only their content tells repetitions apart.
    pub sequence: bool,
    /// How long sensors publish.
    pub length: Duration,
    /// How often the daemon gets SIGKILL.
    pub kills: usize,
    /// How often the broker is restarted.
    pub broker_restarts: usize,
    /// How long the function is away.
    pub away: Duration,
}

/// What happens at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    KillDaemon { down: Duration },
    RestartBroker { down: Duration },
    FunctionLeaves,
    FunctionReturns,
    FunctionLosesAnswers,
    FunctionAccepts,
}

impl Outage {
    /// Runs it under `$SEED`, or a seed of its own, which it prints.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn run(self) {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(|| fastrand::u64(..));
        let schedule = self.schedule(seed);
        eprintln!("SEED={seed} replays this schedule: {schedule:?}");
        let mut stage = Stage::set(self);
        let watcher = Watcher::start(&stage.daemon);
        let sensors = self.sensors(seed, stage.port);
        let start = Instant::now();
        for (at, action) in schedule {
            std::thread::sleep(at.saturating_sub(start.elapsed()));
            stage.act(action);
        }
        std::thread::sleep(self.length.saturating_sub(start.elapsed()));
        let readings: Vec<Reading> = sensors.into_iter().flat_map(Running::finish).collect();
        stage.check(&readings);
        eprintln!("{} readings; {} looks at the status, all balanced", readings.len(), watcher.finish());
    }

    /// When what happens. Kills fall anywhere, on top of the rest too.
    fn schedule(&self, seed: u64) -> Vec<(Duration, Action)> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let moment = |rng: &mut fastrand::Rng| self.length.mul_f64(0.05 + 0.85 * rng.f64());
        let pause = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(0..1_500));
        let mut schedule = Vec::new();
        for _ in 0..self.kills {
            schedule.push((moment(&mut rng), Action::KillDaemon { down: pause(&mut rng) }));
        }
        for _ in 0..self.broker_restarts {
            schedule.push((moment(&mut rng), Action::RestartBroker { down: pause(&mut rng) }));
        }
        let leaves = self.length.saturating_sub(self.away).mul_f64(0.2 + 0.5 * rng.f64());
        schedule.push((leaves, Action::FunctionLeaves));
        schedule.push((leaves + self.away, Action::FunctionReturns));
        let loses = self.length.mul_f64(0.02);
        schedule.push((loses, Action::FunctionLosesAnswers));
        schedule.push((loses + self.length / 8, Action::FunctionAccepts));
        schedule.sort_by_key(|(at, _)| *at);
        schedule
    }

    fn sensors(&self, seed: u64, port: u16) -> Vec<Running> {
        (0..10)
            .map(|index| {
                let sensor = Sensor {
                    device: format!("dev{index}"),
                    metrics: vec!["temperature".into(), "humidity".into()],
                    version: if index % 2 == 0 { Version::V4 } else { Version::V5 },
                    sequence: self.sequence,
                    interval: Duration::from_millis(100),
                    disorder_ms: 500,
                    seed: seed.wrapping_add(index),
                };
                sensor.start(port)
            })
            .collect()
    }
}

/// Everything that runs, apart from the sensors.
struct Stage {
    broker: Option<Broker>,
    function: Function,
    daemon: Daemon,
    port: u16,
}

impl Stage {
    fn set(outage: Outage) -> Stage {
        let broker = (outage.source == Source::Mosquitto).then(Broker::start);
        let port = broker.as_ref().map_or_else(port::reserve, Broker::port);
        let source = match &broker {
            Some(broker) => format!("type = \"mqtt\"\nurl = \"{}\"\n", broker.url()),
            None => format!("type = \"listen\"\nlisten = \"127.0.0.1:{port}\"\n"),
        };
        let function = Function::start();
        let daemon = Daemon::start(&configuration(&source, outage.sequence, &function.url()));
        if let Some(broker) = &broker {
            broker.wait_for_subscription("sensors/+/+");
        }
        Stage { broker, function, daemon, port }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::KillDaemon { down } => {
                self.daemon.kill();
                std::thread::sleep(down);
                self.daemon.spawn();
            }
            Action::RestartBroker { down } => {
                if let Some(broker) = &mut self.broker {
                    broker.stop();
                    std::thread::sleep(down);
                    broker.launch();
                }
            }
            Action::FunctionLeaves => self.function.go_away(),
            Action::FunctionReturns => self.function.come_back(),
            Action::FunctionLosesAnswers => self.function.set(Mode::LoseAnswers),
            Action::FunctionAccepts => self.function.set(Mode::Accept),
        }
    }

    fn check(&mut self, readings: &[Reading]) {
        let expected = oracle::windows(readings, WINDOW_MS);
        self.daemon.wait_until_ready();
        wait::until("every window to be as the oracle says", CATCH_UP, || {
            events::compare(&self.function.events(), &expected)
        });
        let status = self.daemon.wait_for("everything to be settled", |status| {
            status.ledger("pending") == 0 && status.output("function", "queued") == 0
        });
        let published = readings.len() as u64;
        assert_eq!(
            status.ledger("counted"),
            published,
            "each reading is counted once: {}",
            status.0["ledger"]
        );
        assert_eq!(status.rejected_in_all() + status.ledger("dead_lettered"), 0, "{}", status.0["ledger"]);
        assert_eq!(status.output("function", "refused"), 0);
        let events = self.function.events();
        events::check_ids(&events).unwrap_or_else(|problem| panic!("{problem}"));
        events::check_order(&events).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(self.function.malformed(), Vec::<String>::new());
        assert!(self.daemon.terminate().success(), "the daemon leaves cleanly");
        assert_eq!(events::compare(&self.function.events(), &expected), Ok(()), "leaving changes nothing");
    }
}

fn configuration(source: &str, sequence: bool, url: &str) -> String {
    let sequence = if sequence { "sequence = { at = \"/seq\", per = [\"device\"] }\n" } else { "" };
    format!(
        "[sources.field]\n{source}
[streams.climate]
topic = \"sensors/{{device}}/{{metric}}\"
format = \"json\"
value = \"/value\"
time = {{ at = \"/ts\", format = \"ms\" }}
{sequence}
[summaries.five]
window = \"5s\"
lateness = \"2s\"
aggregates = [\"count\", \"sum\", \"mean\", \"min\", \"max\", \"first\", \"last\", \"stddev\"]

[outputs.function]
url = \"{url}\"
"
    )
}

/// Looks at the status again and again while the test runs: the ledger balances at every moment, not only at the end.
struct Watcher {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Result<(), String>>,
}

impl Watcher {
    fn start(daemon: &Daemon) -> Watcher {
        let address = daemon.status_address();
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counter) = (stop.clone(), looks.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // It does not answer while it is down; what it answers must balance.
                if let Ok(status) = status_at(address) {
                    status.balance()?;
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        });
        Watcher { stop, looks, thread }
    }

    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher").unwrap_or_else(|problem| panic!("{problem}"));
        self.looks.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_schedule() {
        let outage = Outage {
            source: Source::Mosquitto,
            sequence: true,
            length: Duration::from_secs(60),
            kills: 5,
            broker_restarts: 1,
            away: Duration::from_secs(20),
        };
        let schedule = outage.schedule(7);
        assert_eq!(schedule, outage.schedule(7));
        assert_ne!(schedule, outage.schedule(8));
        assert_eq!(schedule.len(), 10);
        assert!(schedule.is_sorted_by_key(|(at, _)| *at) && schedule[9].0 < outage.length);
    }
}
