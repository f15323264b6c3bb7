//! A broker in memory, which speaks as much MQTT 5 as a publisher needs and fails as it is told.

use crate::gateway::Gateway;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tidegate_firmware::Network;

/// What it does with whoever comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Serve,
    /// There is no way to it.
    Away,
    /// It takes connections and says nothing.
    Mute,
    /// It refuses the connection with this reason.
    Refuse(u8),
    /// It takes what is published, and the acknowledgement is lost with the connection.
    LoseAcks,
    /// It takes what is published and never acknowledges.
    HoldAcks,
    /// It refuses what is published with this reason.
    RefusePublish(u8),
    /// The connection ends in the midst of what is published.
    CutPublish,
    /// It answers with bytes that are no MQTT.
    Babble,
}

#[derive(Debug, Default)]
pub(crate) struct Broker {
    pub(crate) mode: Mode,
    pub(crate) gateway: Gateway,
    pub(crate) connections: usize,
    pub(crate) pings: usize,
    pub(crate) topics: Vec<String>,
    from: Vec<u8>,
    to: VecDeque<u8>,
    open: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Line(pub(crate) Rc<RefCell<Broker>>);

#[derive(Debug)]
pub(crate) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gone")
    }
}

impl std::error::Error for Gone {}

impl embedded_io_async::Error for Gone {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::ConnectionReset
    }
}

impl Network for Line {
    type Io<'n> = Line;
    type Error = Gone;

    async fn connect(&mut self) -> Result<Line, Gone> {
        let mut broker = self.0.borrow_mut();
        if broker.mode == Mode::Away {
            return Err(Gone);
        }
        broker.connections += 1;
        broker.open = true;
        (broker.from, broker.to) = Default::default();
        Ok(self.clone())
    }
}

impl embedded_io_async::ErrorType for Line {
    type Error = Gone;
}

impl embedded_io_async::Read for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Gone> {
        poll_fn(|_| {
            let mut broker = self.0.borrow_mut();
            if broker.to.is_empty() {
                return if broker.open { Poll::Pending } else { Poll::Ready(Ok(0)) };
            }
            let len = buffer.len().min(broker.to.len());
            buffer.iter_mut().zip(broker.to.drain(..len)).for_each(|(place, byte)| *place = byte);
            Poll::Ready(Ok(len))
        })
        .await
    }
}

impl embedded_io_async::Write for Line {
    /// In bits and pieces, as a small UART would.
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        let mut broker = self.0.borrow_mut();
        if !broker.open {
            return Err(Gone);
        }
        let len = bytes.len().min(7);
        broker.from.extend_from_slice(&bytes[..len]);
        broker.serve();
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        Ok(())
    }
}

impl Broker {
    pub(crate) fn close(&mut self) {
        self.open = false;
        self.to.clear();
    }

    fn serve(&mut self) {
        if self.mode == Mode::CutPublish && self.from.first().is_some_and(|first| first >> 4 == 3) {
            return self.close();
        }
        while let Some((kind, body)) = self.packet() {
            match kind {
                _ if self.mode == Mode::Mute => {}
                _ if self.mode == Mode::Babble => self.to.extend([0xff; 40]),
                1 => match self.mode {
                    Mode::Refuse(reason) => self.to.extend([0x20, 3, 0, reason, 0]),
                    _ => self.to.extend([0x20, 3, 0, 0, 0]),
                },
                3 => self.publish(&body),
                12 => {
                    self.pings += 1;
                    self.to.extend([0xd0, 0]);
                }
                14 => self.close(),
                other => panic!("a publisher does not send packets of type {other}"),
            }
        }
    }

    fn publish(&mut self, body: &[u8]) {
        let topic_len = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, rest) = body[2..].split_at(topic_len);
        let (id, properties) = ([rest[0], rest[1]], usize::from(rest[2]));
        self.topics.push(String::from_utf8(topic.to_vec()).unwrap());
        let refused = match self.mode {
            Mode::RefusePublish(reason) => reason,
            _ => 0,
        };
        if refused == 0 {
            self.gateway.take(&rest[3 + properties..]);
        }
        match self.mode {
            Mode::LoseAcks => self.close(),
            Mode::HoldAcks => {}
            _ if refused > 0 => self.to.extend([0x40, 3, id[0], id[1], refused]),
            _ => self.to.extend([0x40, 2, id[0], id[1]]),
        }
    }

    /// The next whole packet: its type, and what follows its fixed header.
    fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let (mut len, mut at) = (0, 1);
        loop {
            let byte = *self.from.get(at)?;
            len |= usize::from(byte & 0x7f) << (7 * (at - 1));
            at += 1;
            if byte < 0x80 {
                break;
            }
        }
        if self.from.len() < at + len {
            return None;
        }
        let packet: Vec<u8> = self.from.drain(..at + len).collect();
        Some((packet[0] >> 4, packet[at..].to_vec()))
    }
}
