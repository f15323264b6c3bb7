//! Yardsticks: the least that could be done with the same messages. They count and acknowledge, and keep nothing.

use crate::packet::{self, Connect, Version, kind};
use crate::usage;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// When to stop counting.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// After so many messages …
    pub count: u64,
    /// … or when none came for so long after the first.
    pub idle: Duration,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Messages.
    pub messages: u64,
    /// From the first message to the last.
    pub seconds: f64,
    /// Processor time of this process between them.
    pub cpu_us: u64,
}

impl Counted {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds.max(1e-9)
    }

    /// Processor time per message, in microseconds.
    pub fn cpu_us_per_message(&self) -> f64 {
        self.cpu_us as f64 / self.messages.max(1) as f64
    }

    /// As one JSON object.
    pub fn json(&self) -> Value {
        json!({
            "messages": self.messages,
            "seconds": self.seconds,
            "rate": self.rate(),
            "cpu_us": self.cpu_us,
            "cpu_us_per_message": self.cpu_us_per_message(),
        })
    }
}

/// Counts between the first message and the last.
#[derive(Debug, Default)]
struct Meter {
    begun: Option<(Instant, u64)>,
    counted: Counted,
}

impl Meter {
    fn add(&mut self, messages: u64) {
        if messages == 0 {
            return;
        }
        let (start, cpu_before_us) = *self.begun.get_or_insert_with(|| (Instant::now(), usage::own_cpu_us()));
        self.counted.messages += messages;
        self.counted.seconds = start.elapsed().as_secs_f64();
        // Reading /proc costs as much as some messages, so the processor time is taken at the end.
        self.counted.cpu_us = cpu_before_us;
    }

    fn end(mut self) -> Counted {
        if self.begun.is_some() {
            self.counted.cpu_us = usage::own_cpu_us().saturating_sub(self.counted.cpu_us);
        }
        self.counted
    }
}

/// A subscriber on a raw socket. Calls `ready` when it is subscribed.
///
/// # Errors
/// When the broker cannot be reached or ends the connection.
pub fn socket(address: &str, qos: u8, until: Until, ready: impl FnOnce()) -> Result<Counted, String> {
    let mut stream = TcpStream::connect(address).map_err(|e| format!("{address}: {e}"))?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    let client = format!("bare-{}", std::process::id());
    packet::connect(
        &mut out,
        &Connect { version: Version::V5, client: &client, clean: true, receive_max: u16::MAX },
    );
    packet::subscribe(&mut out, Version::V5, "sensors/#", qos);
    stream.write_all(&out).map_err(|e| e.to_string())?;
    let mut reader = Reader::new();
    while reader.batch(&mut stream, &mut out)?.subscribed == 0 {}
    ready();
    let mut meter = Meter::default();
    while meter.counted.messages < until.count {
        let waiting = meter.begun.is_some().then_some(until.idle);
        stream.set_read_timeout(waiting).map_err(|e| e.to_string())?;
        match reader.batch(&mut stream, &mut out) {
            Ok(batch) => meter.add(batch.messages),
            Err(e) if e == IDLE => break,
            Err(e) => return Err(e),
        }
        stream.write_all(&out).map_err(|e| e.to_string())?;
    }
    Ok(meter.end())
}

/// A subscriber on the client library rumqttc with its own acknowledgements. Calls `ready` when it is subscribed.
///
/// # Errors
/// When the broker cannot be reached or ends the connection.
pub async fn rumqttc(address: &str, qos: u8, until: Until, ready: impl FnOnce()) -> Result<Counted, String> {
    use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let (host, port) = address.rsplit_once(':').ok_or("the address has no port")?;
    let port = port.parse().map_err(|e| format!("{address}: {e}"))?;
    let mut options = MqttOptions::new(format!("rumqttc-{}", std::process::id()), host, port);
    options.set_receive_maximum(Some(16_384)).set_outgoing_inflight_upper_limit(16);
    let (client, mut connection) = AsyncClient::new(options, 10);
    let qos = if qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    client.subscribe("sensors/#", qos).await.map_err(|e| e.to_string())?;
    let mut ready = Some(ready);
    let mut meter = Meter::default();
    while meter.counted.messages < until.count {
        let event = if meter.begun.is_some() {
            match tokio::time::timeout(until.idle, connection.poll()).await {
                Ok(event) => event,
                Err(_) => break,
            }
        } else {
            connection.poll().await
        };
        match event.map_err(|e| format!("{address}: {e}"))? {
            Event::Incoming(Packet::Publish(_)) => meter.add(1),
            Event::Incoming(Packet::SubAck(_)) => ready.take().into_iter().for_each(|ready| ready()),
            _ => {}
        }
    }
    Ok(meter.end())
}

/// An endpoint that publishers connect to: one thread for each, which counts and acknowledges.
/// Calls `ready` with the port when it listens.
///
/// # Errors
/// When it cannot listen.
pub fn listener(address: &str, until: Until, ready: impl FnOnce(u16)) -> Result<Counted, String> {
    let listener = TcpListener::bind(address).map_err(|e| format!("{address}: {e}"))?;
    ready(listener.local_addr().map_err(|e| e.to_string())?.port());
    let (sender, counts) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || serve(stream, &sender));
        }
    });
    let mut meter = Meter::default();
    while meter.counted.messages < until.count {
        let waiting = if meter.begun.is_some() { until.idle } else { Duration::MAX };
        match counts.recv_timeout(waiting) {
            Ok(messages) => meter.add(messages),
            Err(_) => break,
        }
    }
    Ok(meter.end())
}

fn serve(mut stream: TcpStream, counts: &mpsc::Sender<u64>) {
    let mut reader = Reader::new();
    let mut out = Vec::new();
    // A publisher that leaves ends its thread; what it had sent is counted.
    while let Ok(batch) = reader.batch(&mut stream, &mut out) {
        if stream.write_all(&out).is_err() || counts.send(batch.messages).is_err() {
            return;
        }
    }
}

const IDLE: &str = "nothing arrived";

/// What one read held.
#[derive(Clone, Copy, Debug, Default)]
struct Batch {
    messages: u64,
    subscribed: u64,
}

/// Reads many packets at once and writes their answers.
struct Reader {
    bytes: Vec<u8>,
    filled: usize,
}

impl Reader {
    fn new() -> Reader {
        Reader { bytes: vec![0; 256 << 10], filled: 0 }
    }

    /// One read; `out` then holds the answers.
    fn batch(&mut self, stream: &mut TcpStream, out: &mut Vec<u8>) -> Result<Batch, String> {
        out.clear();
        let read = stream.read(&mut self.bytes[self.filled..]).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => IDLE.to_owned(),
            _ => e.to_string(),
        })?;
        if read == 0 {
            return Err("the other side closed the connection".into());
        }
        self.filled += read;
        let mut batch = Batch::default();
        let mut at = 0;
        while let Some(frame) = packet::next(&self.bytes[at..self.filled])? {
            match frame.kind() {
                kind::PUBLISH => batch.messages += 1,
                kind::SUBACK => batch.subscribed += 1,
                CONNECT => out.extend_from_slice(if frame.body.get(6) == Some(&5) {
                    &[0x20, 3, 0, 0, 0]
                } else {
                    &[0x20, 2, 0, 0]
                }),
                _ => {}
            }
            if let (kind::PUBLISH, Some(id)) = (frame.kind(), frame.publish_id()) {
                packet::puback(out, id);
            }
            at += frame.len;
        }
        self.bytes.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(batch)
    }
}

const CONNECT: u8 = 1;
