//! Simulated sensors that behave as well as a sensor can: QoS 1, every message sent again until it is acknowledged; and once
//! more when they are told that their broker has lost its memory.

use crate::oracle::Reading;
use crate::packet::{self, Connect, Publish, Version, kind};
use std::collections::{BTreeSet, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Messages that one sensor has in flight.
const WINDOW: usize = 100;
/// Acknowledged messages that one sensor keeps, to send them again when it is told to: fewer than the 1,024 that the daemon knows
/// again by their sequence numbers, together with those in flight.
const KEPT: usize = 500;
/// How long a sensor keeps trying after its last reading.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long it waits for acknowledgements before it looks whether the next reading is due.
const TICK: Duration = Duration::from_millis(5);

/// What a sensor is like.
#[derive(Clone, Debug)]
pub struct Sensor {
    /// Its name: the client id and the second level of its topics.
    pub device: String,
    /// What it measures: the third level of its topics.
    pub metrics: Vec<String>,
    /// Which MQTT.
    pub version: Version,
    /// Whether its payload carries a sequence number.
    pub sequence: bool,
    /// Between two readings of one metric, on average.
    pub interval: Duration,
    /// How far behind the clock a time stamp may lie, so that readings come out of order.
    pub disorder_ms: i64,
    /// The seed of its values and times.
    pub seed: u64,
}

/// A sensor that runs in a thread.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    again: Arc<AtomicU64>,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<Result<Vec<Reading>, String>>,
}

impl Running {
    /// How many readings were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The broker may have lost what it acknowledged: the last messages are sent again, as they were, on a new connection. Only
    /// sequence numbers tell them from new ones.
    pub fn send_again(&self) {
        self.again.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes no more readings. What it has goes on being sent.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Takes no more readings, waits until all are acknowledged, and gives them.
    ///
    /// # Panics
    /// When some are not acknowledged in time.
    pub fn finish(self) -> Vec<Reading> {
        self.stop();
        self.thread.join().expect("the sensor's thread").unwrap_or_else(|problem| panic!("{problem}"))
    }
}

impl Sensor {
    /// Starts publishing to the broker or listener at `port`.
    pub fn start(self, port: u16) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let again = Arc::new(AtomicU64::new(0));
        let session = Session {
            rng: fastrand::Rng::with_seed(self.seed),
            sensor: self,
            port,
            stop: stop.clone(),
            again: again.clone(),
            sent_again: 0,
            kept: VecDeque::new(),
            acknowledged: acknowledged.clone(),
            readings: Vec::new(),
            times: BTreeSet::new(),
            sequence: 0,
            waiting: VecDeque::new(),
            sent: 0,
            id: 0,
            due: Instant::now(),
            stopped_at: None,
        };
        Running { stop, again, acknowledged, thread: std::thread::spawn(move || session.run()) }
    }
}

/// A message that is not acknowledged yet.
#[derive(Debug)]
struct Message {
    topic: String,
    payload: String,
    id: u16,
    sent_before: bool,
    /// It was, before it was sent once more.
    acknowledged: bool,
}

struct Session {
    sensor: Sensor,
    port: u16,
    stop: Arc<AtomicBool>,
    /// How often the last messages are to be sent again, …
    again: Arc<AtomicU64>,
    /// … and were.
    sent_again: u64,
    /// The last messages that were acknowledged.
    kept: VecDeque<Message>,
    acknowledged: Arc<AtomicU64>,
    rng: fastrand::Rng,
    readings: Vec<Reading>,
    times: BTreeSet<i64>,
    sequence: u64,
    /// Oldest first; the first `sent` of them were sent on this connection.
    waiting: VecDeque<Message>,
    sent: usize,
    id: u16,
    due: Instant,
    stopped_at: Option<Instant>,
}

impl Session {
    fn run(mut self) -> Result<Vec<Reading>, String> {
        loop {
            self.sent = 0;
            self.take_back();
            // A connection that fails is made again: the daemon and the broker are killed while we publish.
            if let Ok(mut stream) = self.connect() {
                while self.step(&mut stream).is_ok() {
                    if self.is_done() {
                        let _closing = stream.write_all(&packet::DISCONNECT);
                        return Ok(self.readings);
                    }
                }
            }
            self.take_readings();
            if self.stopped_at.is_some_and(|at| at.elapsed() > PATIENCE) {
                let left = self.waiting.len();
                return Err(format!("{}: {left} readings were never acknowledged", self.sensor.device));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is to be sent again goes before everything else.
    fn take_back(&mut self) {
        let wanted = self.again.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.sent_again, wanted) == wanted {
            return;
        }
        while let Some(message) = self.kept.pop_back() {
            self.waiting.push_front(Message { sent_before: false, ..message });
        }
    }

    fn is_done(&self) -> bool {
        self.stopped_at.is_some() && self.waiting.is_empty()
    }

    fn connect(&self) -> Result<TcpStream, String> {
        let say = |e: std::io::Error| e.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(say)?;
        stream.set_nodelay(true).map_err(say)?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(say)?;
        let version = self.sensor.version;
        let mut hello = Vec::new();
        packet::connect(
            &mut hello,
            &Connect { version, client: &self.sensor.device, clean: true, receive_max: 100 },
        );
        stream.write_all(&hello).map_err(say)?;
        let mut answer = Vec::new();
        while packet::next(&answer)?.is_none() {
            let mut byte = [0; 64];
            match stream.read(&mut byte).map_err(say)? {
                0 => return Err("closed".into()),
                len => answer.extend_from_slice(&byte[..len]),
            }
        }
        let Some(frame) = packet::next(&answer)? else { return Err("no answer".into()) };
        packet::connack(&frame, version)?;
        stream.set_read_timeout(Some(TICK)).map_err(say)?;
        Ok(stream)
    }

    /// Takes readings that are due, sends what the window allows, takes acknowledgements.
    fn step(&mut self, stream: &mut TcpStream) -> Result<(), String> {
        if self.again.load(Ordering::Relaxed) != self.sent_again {
            return Err("told to begin anew".into());
        }
        self.take_readings();
        let mut out = Vec::new();
        let until = self.waiting.len().min(WINDOW);
        for message in self.waiting.range_mut(self.sent.min(until)..until) {
            let (topic, payload) = (message.topic.as_bytes(), message.payload.as_bytes());
            let dup = message.sent_before;
            let publish = Publish { topic, payload, id: Some(message.id), dup, retain: false };
            packet::publish(&mut out, self.sensor.version, &publish);
            message.sent_before = true;
        }
        self.sent = self.sent.max(until);
        stream.write_all(&out).map_err(|e| e.to_string())?;
        self.read_acknowledgements(stream)
    }

    fn read_acknowledgements(&mut self, stream: &mut TcpStream) -> Result<(), String> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4_096];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return Err("closed".into()),
                Ok(len) => bytes.extend_from_slice(&chunk[..len]),
                Err(e)
                    if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                        && bytes.is_empty() =>
                {
                    return Ok(());
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(e) => return Err(e.to_string()),
            }
            let mut at = 0;
            while let Some(frame) = packet::next(&bytes[at..])? {
                if frame.kind() == kind::PUBACK {
                    self.acknowledge(u16::from_be_bytes([frame.body[0], frame.body[1]]))?;
                }
                at += frame.len;
            }
            if at == bytes.len() {
                return Ok(());
            }
            bytes.drain(..at);
        }
    }

    /// Servers acknowledge in the order of receipt [MQTT-4.6.0-2].
    fn acknowledge(&mut self, id: u16) -> Result<(), String> {
        match self.waiting.front() {
            Some(oldest) if oldest.id == id && self.sent > 0 => {
                self.sent -= 1;
                let Some(message) = self.waiting.pop_front() else { return Ok(()) };
                self.acknowledged.fetch_add(u64::from(!message.acknowledged), Ordering::Relaxed);
                self.kept.push_back(Message { acknowledged: true, ..message });
                self.kept.drain(..self.kept.len().saturating_sub(KEPT));
                Ok(())
            }
            other => panic!("{}: PUBACK {id} out of order; the oldest is {other:?}", self.sensor.device),
        }
    }

    fn take_readings(&mut self) {
        if self.stopped_at.is_some() {
            return;
        }
        if self.stop.load(Ordering::Relaxed) {
            self.stopped_at = Some(Instant::now());
            return;
        }
        while self.due <= Instant::now() {
            for at in 0..self.sensor.metrics.len() {
                self.take_reading(at);
            }
            self.due += self.sensor.interval.mul_f64(0.5 + self.rng.f64());
        }
    }

    fn take_reading(&mut self, metric: usize) {
        let metric = self.sensor.metrics[metric].clone();
        let mut time_ms = crate::function::now_ms() - self.rng.i64(0..=self.sensor.disorder_ms);
        while !self.times.insert(time_ms) {
            time_ms -= 1;
        }
        let value = self.rng.i64(-4_000..9_000) as f64 / 100.0;
        self.sequence += 1;
        self.id = if self.id == u16::MAX { 1 } else { self.id + 1 };
        let sequence =
            if self.sensor.sequence { format!(",\"seq\":{}", self.sequence) } else { String::new() };
        self.waiting.push_back(Message {
            topic: format!("sensors/{}/{metric}", self.sensor.device),
            payload: format!("{{\"value\":{value}{sequence},\"ts\":{time_ms}}}"),
            id: self.id,
            sent_before: false,
            acknowledged: false,
        });
        self.readings.push(Reading { device: self.sensor.device.clone(), metric, time_ms, value });
    }
}
