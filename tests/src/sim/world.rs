//! The world: virtual time, an agenda, one source of chance, and everybody in it. One thread; nothing here waits.

use super::broker::{Broker, Packet};
use super::clock::Machine;
use super::cloud::{Function, Line, Said};
use super::faults::Mend;
use super::gateway::Gateway;
use super::history::History;
use super::link::Connection;
use super::oracle::Oracle;
use super::sensors::{Message, Sensor};
use super::setup::{HOLD_CERTAIN, Setup};
use crate::toll::Toll;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::forward::outbox::{Of, Queued};
use tidegate::ingest::intake::Link;
use tidegate::mqtt::acks::Acks;

/// The world begins at 2026-11-22T10:00:00Z: in µs since 1970.
pub(super) const START_US: i64 = 1_795_341_600_000_000;
/// For so long things go wrong, in µs.
pub(super) const TROUBLED: u64 = secs(900);
/// Then for so long nothing does: windows close, amendments are gathered, and waits of outputs end.
const QUIET: u64 = secs(1_500);

/// By then everything runs again and is connected, in µs after the last fault.
const SETTLED: u64 = secs(20);

/// Seconds in µs.
pub(super) const fn secs(secs: u64) -> u64 {
    secs * 1_000_000
}

/// Milliseconds in µs.
pub(super) const fn millis(millis: u64) -> u64 {
    millis * 1_000
}

/// What is on the agenda.
#[derive(Debug)]
pub(super) enum Event {
    /// A sensor takes its next reading.
    Sensor(usize),
    /// A sensor publishes a message again.
    Publish(usize),
    /// The gateway tries to connect to the broker.
    Connect,
    /// Packets arrive at the gateway.
    Deliver { connection: u64, packets: Vec<Packet> },
    /// The broker may have been silent for long enough.
    Silent { connection: u64 },
    /// PUBACKs arrive at the broker.
    Acknowledge { connection: u64, ids: Vec<u16> },
    /// A ping behind so many of them arrives at the broker …
    Ping { connection: u64, read: u64 },
    /// … and its answer at the gateway.
    Pong { connection: u64, read: u64 },
    /// Events arrive at a function.
    Request { process: u64, output: usize, of: Of, batch: Vec<Queued> },
    /// Its answer arrives.
    Answer { process: u64, output: usize, of: Of, batch: Vec<Queued>, said: Said },
    /// The process starts.
    Start,
    /// It is killed.
    Kill,
    /// An NTP client has found the time.
    Synchronise,
    /// Something goes wrong.
    Fault,
    /// And is well again.
    Mend(Mend),
    /// The functions go away for days.
    Leave,
    /// All is well from here on.
    Quiet,
    /// Sensors take what has to arrive within a bound.
    Probe,
    /// What was new when all was well must have arrived.
    Arrived,
    /// The end.
    End,
}

/// Monotonic time as the product sees it. Only differences mean anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch(Instant);

impl Epoch {
    /// µs of the world.
    pub(super) fn since(self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.0).as_micros()).unwrap()
    }
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Readings that were handed over to a heart.
    pub(super) given: u64,
    /// Readings that are on disk for certain.
    pub(super) committed: u64,
}

/// Everything.
pub(super) struct World {
    pub(super) now: u64,
    pub(super) epoch: Epoch,
    pub(super) random: Rng,
    pub(super) agenda: BTreeMap<(u64, u64), Event>,
    pub(super) serial: u64,
    pub(super) quiet_at: u64,
    pub(super) setup: Setup,
    pub(super) history: History,
    pub(super) counts: Counts,
    /// Faults, and what became of readings.
    pub(super) toll: Toll,
    /// The first thing that must not have happened.
    pub(super) broken: Option<String>,
    pub(super) oracle: Oracle,
    pub(super) sensors: Vec<Sensor>,
    pub(super) messages: Vec<Message>,
    /// Readings that must arrive within a bound.
    pub(super) probes: Vec<usize>,
    pub(super) broker: Broker,
    pub(super) connection: Option<Connection>,
    /// What the last connection still owed: only a mutant keeps it.
    pub(super) stale: Option<(Acks, Arc<Link>)>,
    pub(super) gateway: Gateway,
    pub(super) machine: Machine,
    /// The clock was wrong by weeks: a window that it opened then may stay open for so long.
    pub(super) weeks_off: bool,
    /// Somebody has vouched for the clock, and soon enough or not, and what was held is not released yet.
    pub(super) known: Option<bool>,
    pub(super) lines: Vec<Line>,
    pub(super) cloud: [Function; 2],
    /// The functions have left for long.
    pub(super) left: bool,
}

impl World {
    /// The world that a seed makes. `told`: its history is kept as text.
    pub(super) fn new(seed: u64, told: bool) -> World {
        let mut random = Rng::with_seed(seed);
        let setup = Setup::draw(seed, &mut random);
        let oracle = Oracle::new(setup.buffer.is_some());
        let mut world = World {
            now: 0,
            // The one look at a real clock: what is done with it depends on differences alone.
            epoch: Epoch(Instant::now()),
            random,
            agenda: BTreeMap::new(),
            serial: 0,
            quiet_at: TROUBLED + setup.away,
            setup,
            history: History::new(told),
            counts: Counts::default(),
            toll: Toll::default(),
            broken: None,
            oracle,
            sensors: Vec::new(),
            messages: Vec::new(),
            probes: Vec::new(),
            broker: Broker::default(),
            connection: None,
            stale: None,
            gateway: Gateway::default(),
            machine: Machine::new(),
            weeks_off: false,
            known: None,
            lines: Vec::new(),
            cloud: Default::default(),
            left: false,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        if self.setup.clocks && self.random.bool() {
            self.machine.boots(false);
            let found = secs(self.random.u64(1..300));
            self.at(found, Event::Synchronise);
        }
        self.add_sensors();
        self.at(0, Event::Start);
        for _ in 0..self.setup.faults {
            let at = self.random.u64(secs(5)..TROUBLED);
            self.at(at, Event::Fault);
        }
        let leaves = self.setup.buffer.is_some_and(|buffer| buffer.leaves);
        if self.setup.away > 0 || leaves {
            let at = self.random.u64(..if leaves { TROUBLED / 2 } else { TROUBLED });
            self.at(at, Event::Leave);
        }
        let quiet = self.quiet_at;
        self.at(quiet, Event::Quiet);
        self.at(quiet + SETTLED, Event::Probe);
        self.at(quiet + SETTLED + super::check::ARRIVES_WITHIN, Event::Arrived);
        self.at(quiet + QUIET, Event::End);
    }

    /// Puts something on the agenda.
    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.agenda.insert((at, self.serial), event);
        self.serial += 1;
    }

    /// The time, as the product is told.
    pub(super) fn instant(&self) -> Instant {
        self.instant_at(self.now)
    }

    pub(super) fn instant_at(&self, at: u64) -> Instant {
        self.epoch.0 + Duration::from_micros(at)
    }

    /// From the beginning to the end, or to the first thing that must not have happened.
    pub(super) fn run(&mut self) {
        while self.broken.is_none() {
            let turn = self.gateway.process.as_ref().map_or(u64::MAX, |process| process.turn_at);
            let (line, at) = self.next_line().unwrap_or((u64::MAX, 0));
            let next = self.agenda.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            let now = next.min(turn).min(line).max(self.now);
            self.now = now;
            self.machine.at(now);
            if next <= now {
                let Some((_, event)) = self.agenda.pop_first() else { return };
                if let Event::End = event {
                    return self.check_end();
                }
                self.happens(event);
            } else if turn <= now {
                self.turn();
            } else {
                self.pump(at);
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Sensor(at) => self.sensor(at),
            Event::Publish(message) => self.publish(message),
            Event::Connect => self.connect(),
            Event::Deliver { connection, packets } => self.delivered(connection, &packets),
            Event::Silent { connection } => self.silent(connection),
            Event::Acknowledge { connection, ids } => self.acknowledged(connection, &ids),
            Event::Ping { connection, read } => self.broker_answers(connection, read),
            Event::Pong { connection, read } => self.answered(connection, read),
            Event::Request { process, output, of, batch } => self.request(process, output, of, batch),
            Event::Answer { process, output, of, batch, said } => {
                self.answer(process, output, of, &batch, &said)
            }
            Event::Start => self.start(),
            Event::Kill if self.now < self.quiet_at => self.kill(),
            Event::Synchronise => self.synchronise(),
            Event::Fault => self.fault(),
            Event::Mend(mend) => self.mended(mend),
            Event::Leave => self.leave(),
            Event::Quiet => self.quiet(),
            Event::Probe => self.probe(),
            Event::Arrived => self.check_arrived(),
            Event::Kill | Event::End => {}
        }
    }

    /// Whether the gateway knows that somebody vouches for its clock, and holds nothing any more: it asks once a second, and the
    /// power may go in between.
    pub(super) fn knows_the_time(&self) -> bool {
        self.machine.is_vouched() && self.known.is_none()
    }

    /// An NTP client has found the time.
    pub(super) fn synchronise(&mut self) {
        self.history.note(self.now, "synchronised", &[]);
        if !self.machine.is_vouched() {
            // Decided on is what is held when that is on disk; until then the power may go once more.
            self.known = Some(self.machine.up().0.unsigned_abs() < HOLD_CERTAIN);
        }
        self.machine.synchronises();
        if let Some(process) = &mut self.gateway.process {
            process.turn_at = process.turn_at.min(self.now + secs(1));
        }
    }
}
