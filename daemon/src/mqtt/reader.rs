//! From bytes to packets: a buffer that is filled by reads, and emptied of all complete packets at once.

use super::acks::{Acks, Owed, Repeat};
use crate::config::model::Protocol;
use crate::ingest::intake::Message;
use crate::limits;
use crate::wire::decode::{self, Packet};
use crate::wire::frame::{self, Fault, Header, kind};
use bytes::{Buf, Bytes, BytesMut};
use std::ops::Range;

/// The longest beginning of a PUBLISH that has to be read to know its packet identifier: fixed header, topic, identifier.
const PUBLISH_HEAD_MAX: usize = 5 + 2 + 65_535 + 2;

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: BytesMut,
    /// How much to read at a time; follows the rate.
    block: usize,
    /// The buffer has grown for a packet that no read could bring.
    large: bool,
    packet_bytes_max: usize,
    /// The other end is a broker: its retain flag says that it replays what it keeps. A client's asks for that.
    replays: bool,
    /// A packet that is too large, while it is being thrown away.
    skip: Option<Skip>,
}

#[derive(Debug)]
struct Skip {
    left: usize,
    packet_id: Option<u16>,
}

/// All complete packets that there were.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The bytes that the messages point into.
    pub(super) bytes: Bytes,
    /// The messages, in the order of receipt.
    pub(super) messages: Vec<Message>,
    /// The packet identifiers to acknowledge, in the order of receipt.
    pub(super) owed: Vec<Owed>,
    /// Publishes that were too large.
    pub(super) too_large: u64,
    /// Publishes that had arrived before on this connection.
    pub(super) repeats: u64,
    /// All other packets.
    pub(super) packets: Vec<Packet>,
    /// What came behind them and ends the connection.
    pub(super) fault: Option<Fault>,
}

impl Taken {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.owed.is_empty()
            && self.repeats == 0
            && self.too_large == 0
            && self.packets.is_empty()
            && self.fault.is_none()
    }
}

/// What stands at a place in the buffer.
enum Next {
    Incomplete,
    Packet(Header),
    TooLarge(Header),
}

impl Reader {
    /// A reader that takes packets of at most so many bytes, fixed header included.
    pub(super) fn new(packet_bytes_max: usize) -> Reader {
        Reader {
            buffer: BytesMut::new(),
            block: limits::READ_BYTES_MIN,
            large: false,
            packet_bytes_max,
            replays: true,
            skip: None,
        }
    }

    /// Changes the limit.
    pub(super) fn set_packet_bytes_max(&mut self, packet_bytes_max: usize) {
        self.packet_bytes_max = packet_bytes_max;
    }

    /// The other end is a client: what it wants to be retained is a message like any other.
    pub(super) fn ignore_retain(&mut self) {
        self.replays = false;
    }

    /// Where the next read goes. There is always room; a large packet gets room as it comes, not because it says so.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        // What a large packet needed is not kept for those after it.
        if self.large && self.buffer.len() <= limits::READ_BYTES_MIN {
            self.large = false;
            self.buffer = BytesMut::from(self.buffer.as_ref());
        }
        if self.buffer.capacity() - self.buffer.len() < self.block / 4 {
            self.large |= self.buffer.len() > limits::READ_BYTES_MAX;
            self.buffer.reserve(self.block.max(self.buffer.len()));
        }
        &mut self.buffer
    }

    /// A read brought `count` bytes and filled what room there was, or not.
    pub(super) fn filled(&mut self, full: bool) {
        if full {
            self.block = (self.block * 2).min(limits::READ_BYTES_MAX);
        }
    }

    /// Throws away what was read and not taken.
    pub(super) fn clear(&mut self) {
        self.buffer = BytesMut::new();
    }

    /// Bytes that were read and not taken.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Takes one packet that is not a PUBLISH; `None` when it is not complete. For the handshake, where the version may
    /// not be known yet.
    pub(super) fn take_one(&mut self, version: Option<Protocol>) -> Result<Option<Packet>, Fault> {
        // Web browsers, TLS to a port without it, port scanners: known by their first byte, not after a time-out.
        let is_connect = |first: &u8| first >> 4 == kind::CONNECT;
        if version.is_none() && !self.buffer.first().is_none_or(is_connect) {
            let what = "something that is not MQTT, or not CONNECT";
            return Err(Fault { code: frame::code::PROTOCOL_ERROR, what });
        }
        match self.at(0)? {
            Next::Incomplete => Ok(None),
            Next::TooLarge(_) => Err(too_large()),
            Next::Packet(header) if header.kind == kind::PUBLISH => Err(Fault {
                code: frame::code::PROTOCOL_ERROR,
                what: "a PUBLISH before the connection is open",
            }),
            Next::Packet(header) => {
                let packet = decode::decode(&header, &self.buffer[..header.total], version)?;
                self.buffer.advance(header.total);
                Ok(Some(packet))
            }
        }
    }

    /// Takes all complete packets.
    ///
    /// The publishes share one chunk of the buffer, without a copy. Where a packet is too large the taking stops, so
    /// that its acknowledgement keeps its place in the order, and where `owed_max` packets are to be acknowledged; the
    /// next call goes on. Call until nothing is taken.
    pub(super) fn take(&mut self, version: Protocol, acks: &mut Acks, owed_max: usize) -> Taken {
        let mut taken = Taken::default();
        if !self.discard(acks, &mut taken) {
            return taken;
        }
        let mut at = 0;
        while taken.owed.len() < owed_max {
            match self.at(at) {
                Ok(Next::Incomplete) => break,
                Ok(Next::TooLarge(header)) => {
                    self.begin_skip(at, &header, &mut taken);
                    break;
                }
                Ok(Next::Packet(header)) => {
                    let whole = at..at + header.total;
                    if let Err(fault) = self.packet(&header, whole.clone(), version, acks, &mut taken) {
                        taken.fault = Some(fault);
                        break;
                    }
                    at = whole.end;
                }
                Err(fault) => {
                    taken.fault = Some(fault);
                    break;
                }
            }
        }
        if taken.messages.is_empty() {
            self.buffer.advance(at);
        } else {
            taken.bytes = self.buffer.split_to(at).freeze();
        }
        taken
    }

    fn packet(
        &self,
        header: &Header,
        whole: Range<usize>,
        version: Protocol,
        acks: &mut Acks,
        taken: &mut Taken,
    ) -> Result<(), Fault> {
        let packet = &self.buffer[whole.clone()];
        if header.kind != kind::PUBLISH {
            taken.packets.push(decode::decode(header, packet, Some(version))?);
            return Ok(());
        }
        let publish = frame::publish(header.flags, &packet[header.length..], version)?;
        if let Some(id) = publish.packet_id {
            let owed = Owed { id, sum: crc32fast::hash(&packet[header.length..]) };
            match publish.dup.then(|| acks.seen(owed, &taken.owed)).flatten() {
                Some(Repeat::InFlight) => {
                    taken.repeats += 1;
                    return Ok(());
                }
                Some(Repeat::Paid) => {
                    taken.repeats += 1;
                    acks.note(id);
                    taken.owed.push(owed);
                    return Ok(());
                }
                None => {
                    acks.note(id);
                    taken.owed.push(owed);
                }
            }
        }
        // The buffer holds one packet (at most 256 MiB, section 2.1.4) and one read: far less than 4 GiB.
        let base = whole.start + header.length;
        let place = |range: Range<usize>| (base + range.start) as u32..(base + range.end) as u32;
        taken.messages.push(Message {
            topic: place(publish.topic),
            payload: place(publish.payload),
            retained: self.replays && publish.retain,
            acknowledged: publish.packet_id.is_some(),
            dup: publish.dup,
        });
        Ok(())
    }

    fn at(&self, at: usize) -> Result<Next, Fault> {
        let bytes = &self.buffer[at..];
        let Some(header) = frame::header(bytes)? else { return Ok(Next::Incomplete) };
        if header.total > self.packet_bytes_max {
            // Its identifier has to be known before it can be skipped.
            let known = header.kind != kind::PUBLISH || bytes.len() >= header.total.min(PUBLISH_HEAD_MAX);
            return Ok(if known { Next::TooLarge(header) } else { Next::Incomplete });
        }
        Ok(if bytes.len() < header.total { Next::Incomplete } else { Next::Packet(header) })
    }

    fn begin_skip(&mut self, at: usize, header: &Header, taken: &mut Taken) {
        if header.kind != kind::PUBLISH {
            taken.fault = Some(too_large());
            return;
        }
        match frame::publish_head(header.flags, &self.buffer[at + header.length..]) {
            Err(fault) => taken.fault = Some(fault),
            Ok((packet_id, _, _)) => {
                taken.too_large += 1;
                self.skip = Some(Skip { left: header.total, packet_id });
            }
        }
    }

    /// Throws away what has come of a packet that is too large. False while more of it is to come.
    fn discard(&mut self, acks: &mut Acks, taken: &mut Taken) -> bool {
        let Some(skip) = &mut self.skip else { return true };
        let here = skip.left.min(self.buffer.len());
        self.buffer.advance(here);
        skip.left -= here;
        if skip.left > 0 {
            return false;
        }
        // Acknowledged once it has come whole, in its turn: otherwise it would be sent again for ever.
        if let Some(id) = skip.packet_id {
            acks.note(id);
            taken.owed.push(Owed { id, sum: 0 });
        }
        self.skip = None;
        true
    }
}

fn too_large() -> Fault {
    Fault { code: frame::code::PACKET_TOO_LARGE, what: "a packet is larger than is accepted here" }
}
