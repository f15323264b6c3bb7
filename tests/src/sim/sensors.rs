//! The sensors: take readings, stamp them, and publish them to the broker; late, out of order, twice, or under a time that
//! cannot be. A device that starts anew counts from the beginning.

use super::oracle::{Kind, Series};
use super::world::{Event, START_US, TROUBLED, World, millis, secs};
use std::collections::BTreeSet;

/// A message as it was published.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) readings: Vec<usize>,
}

/// One device.
#[derive(Clone, Debug)]
pub(super) struct Sensor {
    kind: Kind,
    device: String,
    /// The series that it reports to.
    series: Vec<usize>,
    boot: u32,
    sequence: u64,
    /// Between two readings on the average, in µs.
    interval: u64,
    /// It has said a time that is to come. The second such would move the watermark, as it should.
    early: bool,
    /// Its time stamps: no two are the same.
    times: BTreeSet<i64>,
}

/// Starts after which a late message of an old one can no longer be told: the last four stay live.
const BOOTS_MAX: u32 = 3;

impl World {
    /// Two devices of each kind.
    pub(super) fn add_sensors(&mut self) {
        for (at, kind) in Kind::ALL.into_iter().cycle().take(2 * Kind::ALL.len()).enumerate() {
            let metrics: &[&'static str] = if kind == Kind::Booted { &["x", "y"] } else { &["x"] };
            let device = format!("{}{at}", kind.stream());
            let mut series = Vec::new();
            for &metric in metrics {
                series.push(self.oracle.series.len());
                self.oracle.series.push(Series { kind, device: device.clone(), metric });
            }
            let interval = match kind {
                // Their digits have to last.
                kind if self.setup.buffer.is_some() => {
                    let least = if kind.is_exact() { 36_000 } else { 72_000 };
                    millis(self.random.u64(least..2 * least))
                }
                Kind::Booted | Kind::Numbered | Kind::Stamped => millis(self.random.u64(12_000..40_000)),
                Kind::Plain | Kind::Text => millis(self.random.u64(30_000..120_000)),
            };
            let sensor = Sensor {
                kind,
                device,
                series,
                boot: 1,
                sequence: 0,
                interval,
                early: false,
                times: BTreeSet::new(),
            };
            self.sensors.push(sensor);
            let first = self.random.u64(..interval);
            self.at(first, Event::Sensor(at));
        }
    }

    /// It is time for the next reading of a sensor.
    pub(super) fn sensor(&mut self, at: usize) {
        if self.now >= TROUBLED {
            return;
        }
        let interval = self.sensors[at].interval;
        let next = self.now + interval / 2 + self.random.u64(..interval);
        self.at(next, Event::Sensor(at));
        let starts = self.random.u32(..40) == 0;
        let sensor = &mut self.sensors[at];
        if starts && sensor.boot < BOOTS_MAX {
            (sensor.boot, sensor.sequence) = (sensor.boot + 1, 0);
        }
        let (age, outlier) = match self.random.u32(..100) {
            // In 1970, or in 2099.
            0 => (START_US, true),
            1 => (-secs(73 * 365 * 86_400).cast_signed(), true),
            // From before the window that is open now, and yet in time to amend it.
            2..10 => (secs(self.random.u64(30..1_000)).cast_signed(), false),
            // From a window that is to come, and yet not refused. Where it may count twice it may move the watermark.
            10 if sensor.kind.is_exact() && !std::mem::replace(&mut sensor.early, true) => {
                (-secs(self.random.u64(60..180)).cast_signed(), false)
            }
            11..30 => (millis(self.random.u64(1_000..8_000)).cast_signed(), false),
            _ => (0, false),
        };
        if let Some(message) = self.take_reading(at, age, outlier) {
            self.publish(message);
            if self.setup.repeats && self.random.u32(..15) == 0 {
                let again = self.now + self.random.u64(..secs(30));
                self.at(again, Event::Publish(message));
            }
        }
    }

    /// A reading that was taken so long ago, in µs: the number of its message. Nothing where its window is full.
    pub(super) fn take_reading(&mut self, at: usize, age: i64, outlier: bool) -> Option<usize> {
        let sensor = &mut self.sensors[at];
        // Sensors stamp in whole milliseconds.
        let mut time = (self.now.cast_signed() - age).div_euclid(1_000) * 1_000;
        while !sensor.times.insert(time) {
            time += 1_000;
        }
        let has_time = sensor.kind != Kind::Text;
        if outlier && !has_time {
            return None;
        }
        let stamp = has_time.then_some(time);
        let mut taken = Vec::new();
        for &series in &sensor.series {
            taken.push(self.oracle.take(series, stamp, outlier)?);
        }
        let (value, ts) = (taken[0].1, (time + START_US) / 1_000);
        let (device, boot, n) = (&sensor.device, sensor.boot, sensor.sequence);
        let stream = sensor.kind.stream();
        let (topic, payload) = match sensor.kind {
            Kind::Booted => (
                format!("{stream}/{device}"),
                format!(r#"{{"x":{value},"y":{value},"ts":{ts},"n":{n},"boot":{boot}}}"#),
            ),
            Kind::Numbered => {
                (format!("{stream}/{device}/x"), format!(r#"{{"v":{value},"ts":{ts},"n":{n}}}"#))
            }
            Kind::Stamped | Kind::Plain => {
                (format!("{stream}/{device}/x"), format!(r#"{{"v":{value},"ts":{ts}}}"#))
            }
            Kind::Text => (format!("{stream}/{device}/x"), value.to_string()),
        };
        sensor.sequence += 1;
        let readings = taken.into_iter().map(|(number, _)| number).collect();
        self.messages.push(Message { topic, payload, readings });
        Some(self.messages.len() - 1)
    }

    /// A message goes to the broker.
    pub(super) fn publish(&mut self, message: usize) {
        for &reading in &self.messages[message].readings {
            self.oracle.readings[reading].parcels += 1;
        }
        self.broker_takes(message);
    }
}
