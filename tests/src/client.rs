//! A client that waits for every acknowledgement.

use crate::packet::{self, Connect, Publish, Version, kind};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a broker or listener.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    id: u16,
}

impl Client {
    /// Connects to the port on this machine, with a clean session.
    ///
    /// # Panics
    /// When nobody answers.
    pub fn connect(port: u16) -> Client {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut out = Vec::new();
        let ask = Connect { version: Version::V4, client: "patient", clean: true, receive_max: 100 };
        packet::connect(&mut out, &ask);
        stream.write_all(&out).unwrap();
        let mut client = Client { stream, read: Vec::new(), id: 0 };
        client.wait_for(kind::CONNACK, 1);
        client
    }

    /// Publishes at QoS 1 and waits for the acknowledgement, as for anything that ends in the ledger.
    ///
    /// # Panics
    /// When it does not come.
    pub fn publish(&mut self, topic: &[u8], payload: &[u8]) {
        self.publish_all(&[(topic, payload)]);
    }

    /// Publishes a message that the broker is to keep for later subscribers.
    ///
    /// # Panics
    /// When it is not acknowledged.
    pub fn publish_retained(&mut self, topic: &[u8], payload: &[u8]) {
        self.send(&[(topic, payload)], true);
    }

    /// Publishes all of them, then waits for their acknowledgements.
    ///
    /// # Panics
    /// When they do not come.
    pub fn publish_all(&mut self, messages: &[(&[u8], &[u8])]) {
        self.send(messages, false);
    }

    fn send(&mut self, messages: &[(&[u8], &[u8])], retain: bool) {
        let mut out = Vec::new();
        for (topic, payload) in messages {
            self.id = if self.id == u16::MAX { 1 } else { self.id + 1 };
            let message = Publish { topic, payload, id: Some(self.id), retain, ..Publish::default() };
            packet::publish(&mut out, Version::V4, &message);
        }
        self.stream.write_all(&out).unwrap();
        self.wait_for(kind::PUBACK, messages.len());
    }

    fn wait_for(&mut self, wanted: u8, count: usize) {
        let mut seen = 0;
        let mut chunk = [0; 16 << 10];
        while seen < count {
            let len = self.stream.read(&mut chunk).unwrap();
            assert!(len > 0, "the listener closed the connection");
            self.read.extend_from_slice(&chunk[..len]);
            let mut at = 0;
            while let Some(frame) = packet::next(&self.read[at..]).unwrap() {
                seen += usize::from(frame.kind() == wanted);
                at += frame.len;
            }
            self.read.drain(..at);
        }
    }
}
