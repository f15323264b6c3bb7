//! The main promise, under fire: sensors publish while the daemon is killed, the broker restarted and killed, the network cut,
//! stalled and slow, the function away and the clock set. At the end every window's last revision must be what the oracle
//! says, and the ledger must balance.

mod schedule;
mod watcher;

use crate::broker::Broker;
use crate::daemon::Daemon;
use crate::function::{Function, Mode};
use crate::oracle::Reading;
use crate::packet::Version;
use crate::proxy::Proxy;
use crate::publisher::{Running, Sensor};
use crate::toll::Toll;
use crate::{events, faketime, oracle, port, wait};
use schedule::{Action, Place};
use std::time::{Duration, Instant};
use watcher::Watcher;

/// The length of the windows, in milliseconds.
const WINDOW_MS: i64 = 5_000;
/// How long the daemon has at the end to catch up: outputs and sources wait up to a minute before they try again.
const CATCH_UP: Duration = Duration::from_secs(120);

/// Where the daemon gets its readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a mosquitto with a persistent session, which is saved.
    Mosquitto,
    /// From a mosquitto that keeps everything in memory only.
    Forgetful,
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
    /// How often it gets it three times in a row while it starts.
    pub starts: usize,
    /// How often the broker is restarted.
    pub broker_restarts: usize,
    /// How often the broker gets SIGKILL. What it had acknowledged to a sensor and not handed on or saved is gone then, and
    /// that is not the daemon's doing: sensors send it again, until the daemon has it. They need sequence numbers for that.
    pub broker_kills: usize,
    /// How often a network fails, on one side of the daemon or the other.
    pub networks: usize,
    /// How often the daemon's clock is set.
    pub clock_steps: usize,
    /// How long the function is away.
    pub away: Duration,
}

impl Outage {
    /// Nothing happens, for so long.
    pub const fn calm(source: Source, length: Duration) -> Outage {
        Outage {
            source,
            sequence: true,
            length,
            kills: 0,
            starts: 0,
            broker_restarts: 0,
            broker_kills: 0,
            networks: 0,
            clock_steps: 0,
            away: Duration::ZERO,
        }
    }

    /// Runs it under `$SEED`, or a seed of its own, which it prints.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn run(self) -> Toll {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        self.run_with(seed.unwrap_or_else(|| fastrand::u64(..)))
    }

    /// Runs it under this seed.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn run_with(self, seed: u64) -> Toll {
        let schedule = self.schedule(seed);
        eprintln!("SEED={seed} replays this schedule: {schedule:?}");
        let mut stage = Stage::set(self);
        let watcher = Watcher::start(&stage.daemon);
        stage.sensors = self.sensors(seed, stage.port);
        let start = Instant::now();
        for (at, action) in schedule {
            std::thread::sleep(at.saturating_sub(start.elapsed()));
            stage.act(action);
        }
        std::thread::sleep(self.length.saturating_sub(start.elapsed()));
        stage.mend();
        let sensors = std::mem::take(&mut stage.sensors);
        sensors.iter().for_each(Running::stop);
        let readings: Vec<Reading> = sensors.into_iter().flat_map(Running::finish).collect();
        let toll = stage.check(&readings);
        eprintln!("{} readings; {} looks at the status, all balanced", readings.len(), watcher.finish());
        toll
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

/// Everything that runs.
struct Stage {
    broker: Option<Broker>,
    function: Function,
    daemon: Daemon,
    field: Proxy,
    uplink: Proxy,
    sensors: Vec<Running>,
    /// Where sensors publish.
    port: u16,
    toll: Toll,
    sets_clock: bool,
}

impl Stage {
    fn set(outage: Outage) -> Stage {
        let broker = match outage.source {
            Source::Mosquitto => Some(Broker::start()),
            Source::Forgetful => Some(Broker::in_memory()),
            Source::Listener => None,
        };
        let server = broker.as_ref().map_or_else(port::reserve, Broker::port);
        let field = Proxy::to(server);
        let (port, source) = match &broker {
            // Their keep-alive is short, so that a stalled network is noticed within the test.
            Some(_) => {
                let url = format!("mqtt://127.0.0.1:{}", field.port());
                (server, format!("type = \"mqtt\"\nurl = \"{url}\"\nkeep_alive = \"5s\"\n"))
            }
            None => (field.port(), format!("type = \"listen\"\nlisten = \"127.0.0.1:{server}\"\n")),
        };
        let function = Function::start();
        let uplink = Proxy::to(function.port());
        let url = format!("http://127.0.0.1:{}/ingest", uplink.port());
        let mut daemon = Daemon::prepare(&configuration(&source, outage.sequence, &url));
        let sets_clock = outage.clock_steps > 0;
        if sets_clock {
            faketime::control(&mut daemon, "+0");
        }
        daemon.launch();
        if let Some(broker) = &broker {
            broker.wait_for_subscription("sensors/+/+");
        }
        let (sensors, toll) = (Vec::new(), Toll::default());
        Stage { broker, function, daemon, field, uplink, sensors, port, toll, sets_clock }
    }

    fn act(&mut self, action: Action) {
        if let Some(kind) = action.fault() {
            self.toll.fault(kind);
        }
        match action {
            Action::KillDaemon { down } => self.kill(down),
            Action::KillStarting { up } => {
                self.kill(Duration::ZERO);
                for up in up {
                    std::thread::sleep(up);
                    self.kill(Duration::ZERO);
                }
            }
            Action::RestartBroker { down } => {
                if let Some(broker) = &mut self.broker {
                    broker.stop();
                    std::thread::sleep(down);
                    broker.launch();
                }
            }
            Action::KillBroker { down } => self.kill_broker(down),
            Action::FunctionLeaves => self.function.go_away(),
            Action::FunctionReturns => self.function.come_back(),
            Action::FunctionLosesAnswers => self.function.set(Mode::LoseAnswers),
            Action::FunctionAccepts => self.function.set(Mode::Accept),
            Action::Cut(place) => self.network(place).cut(),
            Action::Network { place, up, down } => self.network(place).set(up, down),
            Action::Mend(place) => self.network(place).mend(),
            Action::StepClock { seconds } => faketime::set(&self.daemon, &format!("{seconds:+}")),
        }
    }

    fn kill(&mut self, down: Duration) {
        self.daemon.kill();
        std::thread::sleep(down);
        self.daemon.spawn();
    }

    /// What the broker had acknowledged and not handed on, sensors send again: once the daemon is subscribed again, because
    /// before that the new broker throws it away.
    fn kill_broker(&mut self, down: Duration) {
        self.field.mend();
        self.daemon.wait_until_ready();
        let Some(broker) = &mut self.broker else { return };
        // What the log says from here on is of the new broker only where the daemon had the old one, and has noticed its end.
        let daemon = &self.daemon;
        daemon.wait_for("the broker", |status| status.is_connected());
        broker.kill();
        daemon.wait_for("the loss of the broker", |status| !status.is_connected());
        let before = (daemon.log().len(), broker.log().len());
        std::thread::sleep(down);
        broker.launch();
        wait::until_true("the daemon to be subscribed again", CATCH_UP, || {
            let (said, heard) = (daemon.log(), broker.log());
            let resumed = said[before.0..].contains("session_present=true");
            resumed || heard[before.1.min(heard.len())..].contains(" sensors/+/+")
        });
        self.sensors.iter().for_each(Running::send_again);
    }

    fn network(&self, place: Place) -> &Proxy {
        match place {
            Place::Field => &self.field,
            Place::Uplink => &self.uplink,
        }
    }

    /// Whatever is broken still.
    fn mend(&self) {
        self.field.mend();
        self.uplink.mend();
        self.function.come_back();
        self.function.set(Mode::Accept);
        // Windows close when their time is over: under a clock that is late, late.
        if self.sets_clock {
            faketime::set(&self.daemon, "+0");
        }
    }

    fn check(&mut self, readings: &[Reading]) -> Toll {
        let expected = oracle::windows(readings, WINDOW_MS);
        self.daemon.wait_until_ready();
        let mut toll = std::mem::take(&mut self.toll);
        toll.acknowledged = readings.len() as u64;
        let start = Instant::now();
        while let Err(problem) = events::compare(&self.function.events(), &expected) {
            if start.elapsed() > CATCH_UP {
                (toll.lost, toll.double, toll.invented) = events::toll(&self.function.events(), &expected);
                panic!("{toll}\nafter {CATCH_UP:?} {problem}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
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
        (toll.lost, toll.double, toll.invented) = events::toll(&self.function.events(), &expected);
        assert!(toll.is_clean(), "{toll}");
        toll
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
timeout = \"5s\"
concurrency = 3
"
    )
}
