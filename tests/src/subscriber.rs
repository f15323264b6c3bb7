//! An MQTT client that listens, with a session that outlives its connections and its broker's.

use crate::packet::{self, Connect, Frame, Version, kind};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where it was published.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// The broker had kept it.
    pub retained: bool,
    /// The broker may have delivered it before (DUP).
    pub repeated: bool,
}

/// One that listens until it is dropped.
#[derive(Debug)]
pub struct Subscriber {
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Subscriber {
    /// Subscribes to `filter` at QoS 1 as the client `name`, again whenever the broker is back.
    pub fn start(port: u16, name: &str, filter: &str) -> Subscriber {
        let (heard, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (name, filter) = (name.to_owned(), filter.to_owned());
        let (messages, told): (Arc<Mutex<Vec<Heard>>>, _) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                // A broker that is away, or leaves, is what it waits out.
                let _ended = listen(port, &name, &filter, &messages, &told);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Subscriber { heard, stop, thread: Some(thread) }
    }

    /// All messages so far, in the order of arrival.
    ///
    /// # Panics
    /// When its thread has panicked.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// One connection, to its end.
fn listen(
    port: u16,
    name: &str,
    filter: &str,
    heard: &Mutex<Vec<Heard>>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut out = Vec::new();
    packet::connect(
        &mut out,
        &Connect { version: Version::V4, client: name, clean: false, receive_max: 100 },
    );
    packet::subscribe(&mut out, Version::V4, filter, 1);
    let (mut read, mut chunk) = (Vec::new(), [0; 16 << 10]);
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&std::mem::take(&mut out))?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(error) => return Err(error),
        }
        let mut at = 0;
        while let Some(frame) = packet::next(&read[at..]).map_err(std::io::Error::other)? {
            at += frame.len;
            if frame.kind() == kind::PUBLISH {
                heard.lock().unwrap().push(message(&frame));
                if let Some(id) = frame.publish_id() {
                    packet::puback(&mut out, id);
                }
            }
        }
        read.drain(..at);
    }
    Ok(())
}

/// A PUBLISH of 3.1.1 (3.3).
fn message(frame: &Frame<'_>) -> Heard {
    let length = usize::from(u16::from_be_bytes([frame.body[0], frame.body[1]]));
    let id = if frame.publish_id().is_some() { 2 } else { 0 };
    Heard {
        topic: String::from_utf8_lossy(&frame.body[2..2 + length]).into_owned(),
        payload: frame.body[2 + length + id..].to_vec(),
        retained: frame.first & 1 == 1,
        repeated: frame.first & 8 != 0,
    }
}
