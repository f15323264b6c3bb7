//! An MQTT client that publishes one thing after the other.

use crate::packet::{self, Connect, Publish, Version, kind};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One that waits for every acknowledgement.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    id: u16,
}

impl Client {
    /// Connects as `name`.
    ///
    /// # Panics
    /// When it is refused.
    pub fn connect(port: u16, name: &str) -> Client {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut out = Vec::new();
        let ask = Connect { version: Version::V4, client: name, clean: true, receive_max: 100 };
        packet::connect(&mut out, &ask);
        stream.write_all(&out).unwrap();
        let mut client = Client { stream, read: Vec::new(), id: 0 };
        client.wait_for(kind::CONNACK, 1);
        client
    }

    /// Publishes at QoS 1 and waits for the acknowledgement, as for anything that ends in the ledger.
    ///
    /// # Panics
    /// When the other side leaves.
    pub fn publish(&mut self, topic: &[u8], payload: &[u8]) {
        self.publish_all(&[(topic, payload)]);
    }

    /// Publishes all at once and waits for all acknowledgements.
    ///
    /// # Panics
    /// When the other side leaves.
    pub fn publish_all(&mut self, messages: &[(&[u8], &[u8])]) {
        self.publish_each(messages, false);
    }

    /// Publishes a message that the broker is to keep for later subscribers.
    ///
    /// # Panics
    /// When the other side leaves.
    pub fn publish_retained(&mut self, topic: &[u8], payload: &[u8]) {
        self.publish_each(&[(topic, payload)], true);
    }

    fn publish_each(&mut self, messages: &[(&[u8], &[u8])], retain: bool) {
        let mut out = Vec::new();
        for (topic, payload) in messages {
            self.id = if self.id == u16::MAX { 1 } else { self.id + 1 };
            let message = Publish { topic, payload, id: Some(self.id), retain, ..Publish::default() };
            packet::publish(&mut out, Version::V4, &message);
        }
        self.stream.write_all(&out).unwrap();
        self.wait_for(kind::PUBACK, messages.len());
    }

    /// Sends these bytes, whatever they are.
    ///
    /// # Panics
    /// When the other side has left.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Waits for so many packets of a kind.
    ///
    /// # Panics
    /// When the other side leaves.
    pub fn wait_for(&mut self, wanted: u8, count: usize) {
        let mut seen = 0;
        let mut chunk = [0; 16 << 10];
        while seen < count {
            let len = match self.stream.read(&mut chunk) {
                // A process that was stopped and goes on is told so where it waits with a time-out (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
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
