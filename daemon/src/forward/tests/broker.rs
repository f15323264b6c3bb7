//! A broker that does what its script says.

use crate::config::model::Protocol;
use crate::wire::frame::{self, kind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A PUBLISH as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Got {
    /// On which connection, from 0.
    pub(super) connection: usize,
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

impl Got {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.payload.clone()).unwrap()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

/// What it does about a PUBLISH.
#[derive(Clone, Copy, Debug)]
pub(super) enum Say {
    /// Acknowledges it, with this reason code.
    Code(u8),
    /// Acknowledges it in the short form of success.
    Ok,
    /// Nothing.
    Nothing,
    /// Closes the connection.
    Close,
}

/// The CONNACK of a broker without anything to say.
pub(super) const WELCOME: [u8; 5] = [0x20, 3, 0, 0, 0];

/// Script: the CONNACK of a connection, by its number and the protocol level asked for.
type Connack = Arc<dyn Fn(usize, u8) -> Vec<u8> + Send + Sync>;
/// Script: what becomes of a PUBLISH, by its number from 0.
type Judge = Arc<dyn Fn(usize, &Got) -> Say + Send + Sync>;

#[derive(Default)]
struct Log {
    got: Vec<Got>,
    connections: usize,
    pings: usize,
    /// The most publishes that were unanswered at a time.
    crowd: usize,
}

pub(super) struct Broker {
    pub(super) addr: SocketAddr,
    log: Arc<Mutex<Log>>,
    task: JoinHandle<()>,
}

impl Broker {
    pub(super) async fn start(judge: impl Fn(usize, &Got) -> Say + Send + Sync + 'static) -> Broker {
        Broker::with(|_, _| WELCOME.to_vec(), judge).await
    }

    pub(super) async fn with(
        connack: impl Fn(usize, u8) -> Vec<u8> + Send + Sync + 'static,
        judge: impl Fn(usize, &Got) -> Say + Send + Sync + 'static,
    ) -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Log::default()));
        let (shared, connack, judge): (_, Connack, Judge) =
            (Arc::clone(&log), Arc::new(connack), Arc::new(judge));
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, connack, judge) = (Arc::clone(&shared), Arc::clone(&connack), Arc::clone(&judge));
                clients.spawn(async move { serve(stream, &log, &connack, &judge).await });
            }
        });
        Broker { addr, log, task }
    }

    pub(super) fn got(&self) -> Vec<Got> {
        self.log.lock().unwrap().got.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    pub(super) fn pings(&self) -> usize {
        self.log.lock().unwrap().pings
    }

    pub(super) fn crowd(&self) -> usize {
        self.log.lock().unwrap().crowd
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until either side closes.
async fn serve(mut stream: TcpStream, log: &Mutex<Log>, connack: &Connack, judge: &Judge) {
    let connection = {
        let mut log = log.lock().unwrap();
        log.connections += 1;
        log.connections - 1
    };
    let (mut read, mut version) = (Vec::new(), Protocol::V5);
    loop {
        // All that has come is looked at before any of it is answered: so one sees how much is in flight.
        let mut answers = Vec::new();
        let mut crowd = 0;
        while let Some(header) = frame::header(&read).unwrap() {
            if read.len() < header.total {
                break;
            }
            let packet: Vec<u8> = read.drain(..header.total).collect();
            let body = &packet[header.length..];
            match header.kind {
                kind::CONNECT => {
                    let level = body[6];
                    version = if level == 5 { Protocol::V5 } else { Protocol::V4 };
                    answers.extend(connack(connection, level));
                }
                kind::PUBLISH => {
                    let publish = frame::publish(header.flags, body, version).unwrap();
                    let got = Got {
                        connection,
                        topic: String::from_utf8(body[publish.topic].to_vec()).unwrap(),
                        payload: body[publish.payload].to_vec(),
                        qos: u8::from(publish.packet_id.is_some()),
                        retain: publish.retain,
                    };
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.got.push(got.clone());
                        log.got.len() - 1
                    };
                    crowd += 1;
                    let [high, low] = publish.packet_id.unwrap_or_default().to_be_bytes();
                    match judge(number, &got) {
                        Say::Close => return,
                        Say::Nothing => {}
                        _ if got.qos == 0 => {}
                        Say::Ok => answers.extend([0x40, 2, high, low]),
                        Say::Code(code) => answers.extend([0x40, 3, high, low, code]),
                    }
                }
                kind::PINGREQ => {
                    log.lock().unwrap().pings += 1;
                    answers.extend([0xD0, 0]);
                }
                kind::DISCONNECT => return,
                other => panic!("a packet of type {other}"),
            }
        }
        {
            let mut log = log.lock().unwrap();
            log.crowd = log.crowd.max(crowd);
        }
        if stream.write_all(&answers).await.is_err() || stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
}
