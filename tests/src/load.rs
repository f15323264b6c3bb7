//! The load generator: readings as fast as a socket takes them, or at a rate.
//!
//! It must never be the bottleneck. Packets are written into one buffer per connection, many at a time, and a buffer goes
//! to the kernel in one call; acknowledgements are read the same way and only counted.

use crate::packet::{self, Connect, Version, kind};
use crate::usage;
use serde_json::{Value, json};
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Messages that are put into one buffer.
const BATCH: u64 = 512;
/// How long the last acknowledgements may take.
const PATIENCE: Duration = Duration::from_secs(60);
const METRICS: [&str; 4] = ["temperature", "humidity", "pressure", "battery"];

/// What to send.
#[derive(Clone, Debug)]
pub struct Load {
    /// `host:port`.
    pub address: String,
    /// Which MQTT.
    pub version: Version,
    /// 0 or 1.
    pub qos: u8,
    /// Connections; each has its own series.
    pub connections: usize,
    /// Series in all, four to a device.
    pub series: usize,
    /// Messages a second in all; `None`: full speed.
    pub rate: Option<f64>,
    /// Unacknowledged messages per connection, at QoS 1.
    pub window: u16,
    /// Stop after so many messages …
    pub count: Option<u64>,
    /// … or after so long, whichever is first.
    pub duration: Option<Duration>,
    /// The first sequence number of each topic.
    pub first_sequence: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Messages that the kernel took.
    pub sent: u64,
    /// Messages that were acknowledged; at QoS 0 those of connections that the server read to their end.
    pub acknowledged: u64,
    /// From the first byte to the last acknowledgement.
    pub seconds: f64,
    /// Processor time of this process.
    pub cpu_us: u64,
}

impl Report {
    /// Acknowledged messages a second.
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.seconds.max(1e-9)
    }

    /// As one JSON object.
    pub fn json(&self) -> Value {
        json!({
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "seconds": self.seconds,
            "rate": self.rate(),
            "cpu_us": self.cpu_us,
            "cpu_us_per_message": self.cpu_us as f64 / self.sent.max(1) as f64,
        })
    }
}

impl Load {
    /// Connects, sends, waits for the acknowledgements.
    ///
    /// # Errors
    /// When a connection cannot be made, or ends before all is acknowledged: this tool does not send again.
    pub async fn run(&self) -> Result<Report, String> {
        let mut lanes = Vec::new();
        for index in 0..self.connections {
            lanes.push(Lane::open(self, index).await.map_err(|e| format!("connection {index}: {e}"))?);
        }
        let cpu_before_us = usage::own_cpu_us();
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for (index, lane) in lanes.into_iter().enumerate() {
            tasks.spawn(async move { lane.run(start).await.map_err(|e| format!("connection {index}: {e}")) });
        }
        let mut report = Report::default();
        while let Some(ended) = tasks.join_next().await {
            let (sent, acknowledged) = ended.map_err(|e| e.to_string())??;
            report.sent += sent;
            report.acknowledged += acknowledged;
        }
        report.seconds = start.elapsed().as_secs_f64();
        report.cpu_us = usage::own_cpu_us() - cpu_before_us;
        Ok(report)
    }
}

/// One connection.
struct Lane {
    stream: TcpStream,
    encoder: Encoder,
    window: u64,
    rate: Option<f64>,
    count: u64,
    duration: Option<Duration>,
    out: Vec<u8>,
    written: usize,
    read: Vec<u8>,
    filled: usize,
    sent: u64,
    acknowledged: u64,
}

impl Lane {
    async fn open(load: &Load, index: usize) -> Result<Lane, String> {
        let mut stream =
            TcpStream::connect(&load.address).await.map_err(|e| format!("{}: {e}", load.address))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let client = format!("load-{}-{index}", std::process::id());
        let receive_max = handshake(&mut stream, load.version, &client).await?;
        let share = load.connections as u64;
        let extra = u64::from((index as u64) < load.count.unwrap_or(0) % share);
        Ok(Lane {
            stream,
            encoder: Encoder::new(load, index),
            window: if load.qos == 0 { u64::MAX } else { u64::from(load.window.min(receive_max)) },
            rate: load.rate.map(|rate| rate / share as f64),
            count: load.count.map_or(u64::MAX, |count| count / share + extra),
            duration: load.duration,
            out: Vec::with_capacity(128 << 10),
            written: 0,
            read: vec![0; 64 << 10],
            filled: 0,
            sent: 0,
            acknowledged: 0,
        })
    }

    async fn run(mut self, start: Instant) -> Result<(u64, u64), String> {
        let mut finished_at = None;
        loop {
            let progress = self.fill(start) | self.flush()? | self.take_acknowledgements()?;
            if self.is_finished(start) && self.out.is_empty() {
                let outstanding = self.window != u64::MAX && self.acknowledged < self.sent;
                if !outstanding {
                    break;
                }
                let since: Instant = *finished_at.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Err(format!(
                        "{} messages were never acknowledged",
                        self.sent - self.acknowledged
                    ));
                }
            }
            if progress {
                tokio::task::yield_now().await;
            } else {
                self.pause().await?;
            }
        }
        self.close().await
    }

    fn is_finished(&self, start: Instant) -> bool {
        self.sent >= self.count || self.duration.is_some_and(|duration| start.elapsed() >= duration)
    }

    /// Puts as many messages into the buffer as window, rate and count allow.
    fn fill(&mut self, start: Instant) -> bool {
        if !self.out.is_empty() || self.is_finished(start) {
            return false;
        }
        let due = self.rate.map_or(u64::MAX, |rate| (rate * start.elapsed().as_secs_f64()) as u64 + 1);
        let room = self.window.saturating_sub(self.sent - self.acknowledged);
        let messages = room.min(due.saturating_sub(self.sent)).min(self.count - self.sent).min(BATCH);
        self.encoder.write(&mut self.out, messages);
        self.sent += messages;
        messages > 0
    }

    fn flush(&mut self) -> Result<bool, String> {
        if self.out.is_empty() {
            return Ok(false);
        }
        match self.stream.try_write(&self.out[self.written..]) {
            Ok(len) => self.written += len,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(format!("cannot send: {e}")),
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Ok(true)
    }

    fn take_acknowledgements(&mut self) -> Result<bool, String> {
        if self.window == u64::MAX {
            return Ok(false);
        }
        match self.stream.try_read(&mut self.read[self.filled..]) {
            Ok(0) => return Err("the server closed the connection".into()),
            Ok(len) => self.filled += len,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(format!("cannot receive: {e}")),
        }
        let mut at = 0;
        while let Some(frame) = packet::next(&self.read[at..self.filled])? {
            match frame.kind() {
                kind::PUBACK => self.acknowledged += 1,
                kind::DISCONNECT => return Err(format!("the server disconnected: {:02x?}", frame.body)),
                _ => {}
            }
            at += frame.len;
        }
        self.read.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(true)
    }

    /// Waits for the socket, or for the next message to be due.
    async fn pause(&mut self) -> Result<(), String> {
        let blocked = !self.out.is_empty();
        let interest = if blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let tick = Duration::from_millis(if self.rate.is_some() { 1 } else { 100 });
        tokio::select! {
            ready = self.stream.ready(interest) => {
                let ready = ready.map_err(|e| e.to_string())?;
                if self.window == u64::MAX && ready.is_readable() {
                    self.discard()?;
                }
            }
            () = tokio::time::sleep(tick) => {}
        }
        Ok(())
    }

    /// At QoS 0 nothing is expected, but the end of the connection.
    fn discard(&mut self) -> Result<(), String> {
        match self.stream.try_read(&mut self.read) {
            Ok(0) => Err("the server closed the connection".into()),
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(format!("cannot receive: {e}")),
            _ => Ok(()),
        }
    }

    /// Says goodbye and waits until the server has read everything: it closes then.
    async fn close(mut self) -> Result<(u64, u64), String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        self.stream.write_all(&packet::DISCONNECT).await.map_err(|e| e.to_string())?;
        self.stream.shutdown().await.map_err(|e| e.to_string())?;
        let end = async { while !matches!(self.stream.read(&mut self.read).await, Ok(0) | Err(_)) {} };
        let read_to_end = tokio::time::timeout(PATIENCE, end).await.is_ok();
        let acknowledged = match self.window {
            u64::MAX if read_to_end => self.sent,
            _ => self.acknowledged,
        };
        Ok((self.sent, acknowledged))
    }
}

async fn handshake(stream: &mut TcpStream, version: Version, client: &str) -> Result<u16, String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut hello = Vec::new();
    packet::connect(&mut hello, &Connect { version, client, clean: true, receive_max: u16::MAX });
    stream.write_all(&hello).await.map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    loop {
        if let Some(frame) = packet::next(&answer)? {
            return packet::connack(&frame, version);
        }
        let read = stream.read_buf(&mut answer).await.map_err(|e| e.to_string())?;
        if read == 0 {
            return Err("the server closed the connection instead of answering CONNECT".into());
        }
    }
}

/// Writes the readings of one connection: `{"value":21.53,"seq":123456,"ts":1795341600000}`.
struct Encoder {
    topics: Vec<(Vec<u8>, u64)>,
    next: usize,
    id: u16,
    qos: u8,
    version: Version,
    payload: Vec<u8>,
}

impl Encoder {
    fn new(load: &Load, index: usize) -> Encoder {
        let topics = (0..load.series)
            .skip(index)
            .step_by(load.connections)
            .map(|series| {
                format!("sensors/dev{}/{}", series / METRICS.len(), METRICS[series % METRICS.len()])
            })
            .map(|topic| (topic.into_bytes(), load.first_sequence))
            .collect();
        Encoder {
            topics,
            next: 0,
            id: 0,
            qos: load.qos,
            version: load.version,
            payload: Vec::with_capacity(80),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>, messages: u64) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        for _ in 0..messages {
            let (topic, sequence) = &mut self.topics[self.next];
            self.payload.clear();
            self.payload.extend_from_slice(b"{\"value\":2");
            decimal(&mut self.payload, *sequence % 10);
            self.payload.push(b'.');
            decimal(&mut self.payload, 10 + *sequence * 7 % 90);
            self.payload.extend_from_slice(b",\"seq\":");
            decimal(&mut self.payload, *sequence);
            self.payload.extend_from_slice(b",\"ts\":");
            decimal(&mut self.payload, now_ms);
            self.payload.push(b'}');
            self.id = if self.id == u16::MAX { 1 } else { self.id + 1 };
            let id = (self.qos > 0).then_some(self.id);
            let message = packet::Publish { topic, payload: &self.payload, id, ..Default::default() };
            packet::publish(out, self.version, &message);
            *sequence += 1;
            self.next = (self.next + 1) % self.topics.len();
        }
    }
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json() {
        let load = Load {
            address: String::new(),
            version: Version::V4,
            qos: 1,
            connections: 2,
            series: 8,
            rate: None,
            window: 1,
            count: None,
            duration: None,
            first_sequence: 99,
        };
        let mut out = Vec::new();
        Encoder::new(&load, 1).write(&mut out, 5);
        let mut topics = Vec::new();
        let mut at = 0;
        while let Some(frame) = packet::next(&out[at..]).unwrap() {
            let topic_len = usize::from(frame.body[1]);
            topics.push(String::from_utf8(frame.body[2..2 + topic_len].to_vec()).unwrap());
            let payload: Value = serde_json::from_slice(&frame.body[4 + topic_len..]).unwrap();
            assert_eq!(payload["seq"], if topics.len() == 5 { 100 } else { 99 });
            at += frame.len;
        }
        let names = [
            "sensors/dev0/humidity",
            "sensors/dev0/battery",
            "sensors/dev1/humidity",
            "sensors/dev1/battery",
        ];
        assert_eq!(topics[..4], names);
        assert_eq!(topics[4], names[0]);
    }
}
