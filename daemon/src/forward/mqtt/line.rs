//! The bytes of one connection: packets out, acknowledgements in, pings. It does what its owner asks for and never waits by
//! itself; all that waits is cancel safe.

pub(super) mod order;

use crate::config::model::{Login, Protocol};
use crate::forward::answer;
use crate::limits;
use crate::wire::decode::{self, ConnAck, Packet};
use crate::wire::dial::Stream;
use crate::wire::encode;
use crate::wire::frame::{self, kind};
use crate::wire::reasons;
use bytes::{Buf, BytesMut};
use order::Progress;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

/// An open socket and what is under way on it.
pub(super) struct Line {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    pub(super) version: Protocol,
    client_id: String,
    login: Option<Login>,
    read: BytesMut,
    /// What is to be written next.
    pub(super) out: BytesMut,
    /// A TLS stream keeps bytes to itself until it is flushed.
    unflushed: bool,
    in_flight_max: usize,
    packet_bytes_max: usize,
    keep_alive: Option<Duration>,
    /// When something was last written.
    spoke: Instant,
    /// The packet identifier that was used last.
    id: u16,
    order: Progress,
    /// Acknowledgements that came and were not looked at.
    acks: VecDeque<(u16, u8, Option<String>)>,
    /// PINGREQs that were sent, and PINGRESPs that came.
    pings: u64,
    pongs: u64,
    pinged: Option<Instant>,
}

impl Line {
    pub(super) fn new(stream: Box<dyn Stream>, version: Protocol, client_id: String) -> Line {
        let (reader, writer) = tokio::io::split(stream);
        Line {
            reader,
            writer,
            version,
            client_id,
            login: None,
            read: BytesMut::new(),
            out: BytesMut::new(),
            unflushed: false,
            in_flight_max: usize::from(limits::PUBLISHES_IN_FLIGHT_MAX),
            packet_bytes_max: usize::MAX,
            keep_alive: None,
            spoke: Instant::now(),
            id: 0,
            order: Progress::default(),
            acks: VecDeque::new(),
            pings: 0,
            pongs: 0,
            pinged: None,
        }
    }

    /// Takes in what the broker said when it let us in.
    pub(super) fn opened(&mut self, login: Option<Login>, connack: &ConnAck) {
        self.login = login;
        let granted = connack.receive_max.unwrap_or(u16::MAX).clamp(1, limits::PUBLISHES_IN_FLIGHT_MAX);
        self.in_flight_max = usize::from(granted);
        let bytes = connack.packet_bytes_max.and_then(|bytes| usize::try_from(bytes).ok());
        self.packet_bytes_max = bytes.unwrap_or(usize::MAX);
        let told = connack.keep_alive.map_or(limits::PUBLISH_KEEP_ALIVE, |s| Duration::from_secs(s.into()));
        self.keep_alive = (!told.is_zero()).then_some(told);
        self.spoke = Instant::now();
    }

    /// The next packet of the handshake.
    pub(super) async fn packet(&mut self) -> Result<Packet, String> {
        loop {
            // Whoever speaks another protocol may have said all that it will, and never complete a packet.
            if self.read.first().is_some_and(|first| !matches!(first >> 4, kind::CONNACK | kind::DISCONNECT))
            {
                return Err("what answers there is not an MQTT broker: correct `url`".into());
            }
            if let Some(packet) = self.next_packet()? {
                return Ok(packet);
            }
            self.turn_bytes().await.map_err(|why| match why {
                End::Closed => {
                    "the broker closed the connection instead of answering CONNECT: look into its log; or it speaks only \
                     protocol = \"3.1.1\""
                        .to_owned()
                }
                End::Broke(why) => why,
            })?;
        }
    }

    /// Reads or writes something, and takes in what came.
    pub(super) async fn turn(&mut self) -> Result<(), String> {
        self.turn_bytes().await.map_err(|end| match end {
            End::Closed => "the broker closed the connection; tidegate connects again".to_owned(),
            End::Broke(why) => why,
        })?;
        while let Some(packet) = self.next_packet()? {
            match packet {
                Packet::PubAck { .. } if self.acks.len() >= limits::PUBLISH_ACKS_MAX => {
                    return Err("the broker acknowledges what was never sent".into());
                }
                Packet::PubAck { id, code, reason } => {
                    self.acks.push_back((id, code, reason.map(|reason| answer::printable(&reason))));
                }
                Packet::PingResp => {
                    self.pongs += 1;
                    self.pinged = None;
                }
                Packet::Disconnect { code, said } => {
                    return Err(reasons::disconnect(code, &said, &self.client_id));
                }
                Packet::ConnAck(connack) => return Err(reasons::second_connack(connack.code)),
                _ => return Err("the broker sent a packet that nobody asked for".into()),
            }
        }
        Ok(())
    }

    pub(super) async fn write_out(&mut self) {
        while !self.out.is_empty() || self.unflushed {
            if self.turn_bytes().await.is_err() {
                return;
            }
        }
    }

    async fn turn_bytes(&mut self) -> Result<(), End> {
        let Line { reader, writer, read, out, unflushed, .. } = self;
        let busy = !out.is_empty() || *unflushed;
        let writing = async {
            if out.is_empty() {
                writer.flush().await.map(|()| false)
            } else {
                writer.write_buf(out).await.map(|_| true)
            }
        };
        tokio::select! {
            written = writing, if busy => {
                *unflushed = written.map_err(|error| broke(&error))?;
                self.spoke = Instant::now();
            }
            count = reader.read_buf(read) => {
                if count.map_err(|error| broke(&error))? == 0 {
                    return Err(End::Closed);
                }
            }
        }
        Ok(())
    }

    fn next_packet(&mut self) -> Result<Option<Packet>, String> {
        let said = |fault: frame::Fault| format!("the broker sent {fault}");
        let Some(header) = frame::header(&self.read).map_err(said)? else { return Ok(None) };
        if header.total > limits::PUBLISH_ANSWER_BYTES_MAX {
            return Err("the broker sent a packet that is larger than we allow".into());
        }
        if self.read.len() < header.total {
            return Ok(None);
        }
        let packet = decode::decode(&header, &self.read[..header.total], Some(self.version));
        self.read.advance(header.total);
        packet.map(Some).map_err(said)
    }

    /// When [`Line::due`] is to be called, if nothing happens before.
    pub(super) fn next_turn(&self) -> Instant {
        let far = Duration::from_secs(86_400);
        match (self.keep_alive, self.pinged) {
            (Some(keep_alive), Some(pinged)) => pinged + keep_alive,
            (Some(keep_alive), None) => self.spoke + keep_alive,
            (None, _) => Instant::now() + far,
        }
    }

    /// Pings a broker that has not heard of us for long.
    pub(super) fn due(&mut self) -> Result<(), String> {
        let (Some(keep_alive), now) = (self.keep_alive, Instant::now()) else { return Ok(()) };
        match self.pinged {
            Some(at) if now >= at + keep_alive => Err(format!(
                "the broker did not answer a ping within {} s: the network or the broker is stuck",
                keep_alive.as_secs()
            )),
            None if now >= self.spoke + keep_alive => {
                self.ping();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ping(&mut self) {
        encode::pingreq(&mut self.out);
        self.pings += 1;
        self.pinged.get_or_insert_with(Instant::now);
    }
}

enum End {
    Closed,
    Broke(String),
}

fn broke(error: &std::io::Error) -> End {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error.kind() {
        // Which of them it is when the other end closes is chance.
        BrokenPipe | ConnectionReset | UnexpectedEof => End::Closed,
        _ => End::Broke(format!("the connection to the broker broke ({error}); tidegate connects again")),
    }
}
