//! Sensors before a gateway and a function behind it, and what the one has to hold of the other.

use std::net::SocketAddr;
use std::time::Duration;
use tidegate_tests::daemon::status_at;
use tidegate_tests::function::Function;
use tidegate_tests::oracle::Reading;
use tidegate_tests::publisher::{Running, Sensor};
use tidegate_tests::status::Status;
use tidegate_tests::{events, field, oracle, wait};

/// Ports on 127.0.0.1 of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) broker: u16,
    pub(crate) listener: u16,
    pub(crate) status: u16,
}

/// What surrounds a gateway.
pub(crate) struct Traffic {
    pub(crate) function: Function,
    /// Where this machine reaches mosquitto, the listener and the status page of the gateway.
    pub(crate) ports: Ports,
    /// How long a step may take there.
    pub(crate) patience: Duration,
    /// All that was acknowledged so far.
    readings: Vec<Reading>,
    /// Numbers sensors, so that each starts its own sequence.
    sensors: usize,
}

impl Traffic {
    pub(crate) fn new(ports: Ports, patience: Duration) -> Traffic {
        Traffic { function: Function::start(), ports, patience, readings: Vec::new(), sensors: 0 }
    }

    pub(crate) fn waits_until_it_is_ready(&self) {
        self.wait_for("the daemon to be connected", |status| status.is_connected());
    }

    /// Readings go through the broker and through the listener, and all of them arrive.
    pub(crate) fn flows(&mut self) {
        let sensors = self.sensors();
        self.wait_for("deliveries", |status| status.output("function", "delivered") > 4);
        self.finish(sensors);
        self.holds_everything();
    }

    /// One that publishes to the broker, and one to the gateway itself.
    pub(crate) fn sensors(&mut self) -> Vec<Running> {
        vec![self.sensor(self.ports.broker), self.sensor(self.ports.listener)]
    }

    pub(crate) fn sensor(&mut self, port: u16) -> Running {
        self.sensors += 1;
        let sensor = field::sensor(&format!("dev{}", self.sensors));
        Sensor { seed: self.sensors as u64, ..sensor }.start(port)
    }

    pub(crate) fn finish(&mut self, sensors: Vec<Running>) {
        self.readings.extend(sensors.into_iter().flat_map(Running::finish));
    }

    pub(crate) fn some_more(&self) {
        let before = self.status().unwrap().ledger("counted");
        self.wait_for("more readings", |status| status.ledger("counted") > before + 50);
    }

    /// Each reading once, and nothing else.
    pub(crate) fn holds_everything(&self) {
        let expected = oracle::windows(&self.readings, 1_000);
        wait::until("every window", self.patience, || events::compare(&self.function.events(), &expected));
        events::check_ids(&self.function.events()).unwrap();
        let status = self
            .wait_for("an empty queue", |s| s.output("function", "queued") == 0 && s.ledger("pending") == 0);
        assert_eq!(status.ledger("counted"), self.readings.len() as u64, "{}", status.0["ledger"]);
    }

    pub(crate) fn status(&self) -> Result<Status, String> {
        status_at(SocketAddr::from(([127, 0, 0, 1], self.ports.status)))
    }

    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        wait::until(what, self.patience, || {
            let status = self.status()?;
            status.balance().unwrap_or_else(|problem| panic!("{problem}"));
            if wanted(&status) { Ok(status) } else { Err(status.0.to_string()) }
        })
    }
}
