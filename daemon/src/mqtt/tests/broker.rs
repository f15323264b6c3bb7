//! A broker that does what the test says, byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;

const PING: [u8; 2] = [0xC0, 0];

pub(super) struct Broker(pub(super) TcpListener);

pub(super) struct Peer(pub(super) TcpStream);

impl Broker {
    pub(super) async fn new() -> (Broker, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Broker(listener), port)
    }

    pub(super) async fn accept(&self) -> Peer {
        Peer(timeout(PATIENCE, self.0.accept()).await.expect("a connection").unwrap().0)
    }

    /// Accepts, reads CONNECT, answers it, reads SUBSCRIBE and grants it.
    pub(super) async fn session(&self, v5: bool, present: bool) -> Peer {
        let mut peer = self.accept().await;
        assert_eq!(peer.packet().await[0], 0x10);
        peer.connack(v5, present, 0).await;
        let subscribe = peer.packet().await;
        assert_eq!(subscribe[0], 0x82);
        peer.suback(v5, &subscribe, 1).await;
        peer
    }
}

impl Peer {
    /// The next packet, whole; empty at the end of the stream. A ping may come at any time: it is left out.
    pub(super) async fn packet(&mut self) -> Vec<u8> {
        loop {
            let packet = self.any_packet().await;
            if packet != PING {
                return packet;
            }
        }
    }

    /// The same with pings.
    pub(super) async fn any_packet(&mut self) -> Vec<u8> {
        let reading = async {
            let mut packet = Vec::new();
            let mut length = 0;
            for index in 0..5 {
                match self.0.read_u8().await {
                    Ok(byte) => packet.push(byte),
                    Err(_) => return Vec::new(),
                }
                if index > 0 {
                    length |= usize::from(packet[index] & 0x7F) << (7 * (index - 1));
                    if packet[index] & 0x80 == 0 {
                        break;
                    }
                }
            }
            let begin = packet.len();
            packet.resize(begin + length, 0);
            self.0.read_exact(&mut packet[begin..]).await.unwrap();
            packet
        };
        timeout(PATIENCE, reading).await.expect("a packet")
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(super) async fn connack(&mut self, v5: bool, present: bool, code: u8) {
        let present = u8::from(present);
        match v5 {
            true => self.send(&[0x20, 3, present, code, 0]).await,
            false => self.send(&[0x20, 2, present, code]).await,
        }
    }

    pub(super) async fn suback(&mut self, v5: bool, subscribe: &[u8], code: u8) {
        let id = &subscribe[2..4];
        match v5 {
            true => self.send(&[0x90, 4, id[0], id[1], 0, code]).await,
            false => self.send(&[0x90, 3, id[0], id[1], code]).await,
        }
    }

    /// With a code for each of its filters.
    pub(super) async fn suback_all(&mut self, v5: bool, subscribe: &[u8], codes: &[u8]) {
        let mut packet = vec![0x90, 2 + u8::from(v5) + u8::try_from(codes.len()).unwrap()];
        packet.extend(&subscribe[2..4]);
        packet.extend(v5.then_some(0));
        packet.extend(codes);
        self.send(&packet).await;
    }

    /// Answers an UNSUBSCRIBE for one filter.
    pub(super) async fn unsuback(&mut self, v5: bool, unsubscribe: &[u8]) {
        let id = &unsubscribe[2..4];
        match v5 {
            true => self.send(&[0xB0, 4, id[0], id[1], 0, 0]).await,
            false => self.send(&[0xB0, 2, id[0], id[1]]).await,
        }
    }

    /// The packet ids of the next `count` PUBACKs.
    pub(super) async fn pubacks(&mut self, count: usize) -> Vec<u16> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let packet = self.packet().await;
            assert_eq!(packet[0], 0x40, "{packet:?}");
            ids.push(u16::from_be_bytes([packet[2], packet[3]]));
        }
        ids
    }
}

/// A PUBLISH; QoS 0 when `id` is 0.
pub(super) fn publish(v5: bool, id: u16, topic: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic);
    if id > 0 {
        body.extend(id.to_be_bytes());
    }
    if v5 {
        body.push(0);
    }
    body.extend(payload);
    let mut packet = vec![if id > 0 { 0x32 } else { 0x30 }];
    let mut length = body.len();
    while length > 0x7F {
        packet.push((length & 0x7F) as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    packet
}

/// The same PUBLISH again.
pub(super) fn again(mut packet: Vec<u8>) -> Vec<u8> {
    packet[0] |= 0b1000;
    packet
}
