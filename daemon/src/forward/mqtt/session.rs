//! One connection to a broker for publishing. A task owns the socket: it publishes what it is given, one order after the
//! other, and keeps the connection alive in between. It ends with the connection, or when nobody holds the [`Session`] any more.

use super::line::Line;
use super::line::order::Taken;
use crate::config::model::{Broker, Protocol};
use crate::limits;
use crate::secret::SecretText;
use crate::wire::decode::{ConnAck, Packet};
use crate::wire::dial::Dialer;
use crate::wire::encode::{self, Hello};
use crate::wire::reasons::{self, Who};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    /// 0 or 1.
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// What the broker said of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has it.
    Taken,
    /// It does not take this message, whoever sends it.
    Refused(String),
    /// It does not take it from us, or not now.
    Denied(String),
}

/// What an order gets: a verdict per message, `None` where there is none, and why there is none.
pub(crate) struct Published {
    pub(crate) verdicts: Vec<Option<Verdict>>,
    pub(crate) missing: Option<Missing>,
}

/// Why a message has no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The broker did not answer in time.
    Late,
    /// The connection ended, and why.
    Lost(String),
}

/// Why there is no session.
pub(crate) struct Refusal {
    pub(crate) why: String,
    /// The broker does not speak this version.
    pub(crate) version: bool,
}

struct Order {
    messages: Vec<Message>,
    verdicts: mpsc::UnboundedSender<(usize, Verdict)>,
}

/// What the broker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Takes {
    pub(crate) qos_max: u8,
    pub(crate) retains: bool,
}

/// A connection that is open, or was.
pub(crate) struct Session {
    orders: mpsc::Sender<Order>,
    /// Why it ended.
    end: Arc<Mutex<Option<String>>>,
    pub(crate) takes: Takes,
}

impl Session {
    /// Connects as the broker's settings say, in `version`.
    pub(crate) async fn open(
        broker: &Broker,
        dialer: &mut Dialer,
        version: Protocol,
    ) -> Result<Session, Refusal> {
        let other = |why: String| Refusal { why, version: false };
        let stream = dialer.dial().await.map_err(other)?;
        let password = dialer.password(broker.login.as_ref()).await.map_err(other)?;
        let login = broker
            .login
            .as_ref()
            .map(|login| (login.user.as_str(), password.as_ref().map_or("", SecretText::reveal)));
        let mut line = Line::new(stream, version, broker.client_id.clone());
        let hello = Hello {
            version,
            client_id: &broker.client_id,
            // What was not acknowledged is queued here, not there.
            clean: true,
            keep_alive: u16::try_from(limits::PUBLISH_KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX),
            login,
            session_expiry: 0,
            receive_max: 1,
            packet_bytes_max: u32::try_from(limits::PUBLISH_ANSWER_BYTES_MAX).unwrap_or(u32::MAX),
        };
        encode::connect(&hello, &mut line.out).map_err(|fault| other(fault.to_string()))?;
        let connack = match line.packet().await.map_err(other)? {
            Packet::ConnAck(connack) if connack.code == 0 => connack,
            Packet::ConnAck(ConnAck { code, said, .. }) => {
                let who = Who::new(&broker.client_id, broker.login.as_ref());
                let why = reasons::connack(code, &said, who, version);
                return Err(Refusal { why, version: code == 0x84 });
            }
            Packet::Disconnect { code, said } => {
                return Err(other(reasons::disconnect(code, &said, &broker.client_id)));
            }
            _ => return Err(other("what answers there is not an MQTT broker: correct `url`".into())),
        };
        let takes = Takes { qos_max: connack.qos_max.unwrap_or(1), retains: !connack.retains_nothing };
        line.opened(broker.login.clone(), &connack);
        // One order at a time is under way, and one may wait.
        let (orders, mut waiting) = mpsc::channel(1);
        let end = Arc::new(Mutex::new(None));
        let told = Arc::clone(&end);
        tokio::spawn(async move {
            let why = serve(&mut line, &mut waiting).await;
            *told.lock().unwrap_or_else(PoisonError::into_inner) = why;
            // Only now: whoever sees the session end may ask why.
            drop(waiting);
        });
        Ok(Session { orders, end, takes })
    }

    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.orders.is_closed()
    }

    /// Why the connection ended.
    pub(crate) fn end(&self) -> Option<String> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes in order, and waits for the broker's word on each, until `deadline`. After anything but a complete
    /// answer the session is not to be used again.
    pub(crate) async fn publish(&mut self, messages: Vec<Message>, deadline: Instant) -> Published {
        let mut verdicts = vec![None; messages.len()];
        let (sender, mut told) = mpsc::unbounded_channel();
        let order = Order { messages, verdicts: sender };
        let mut left = verdicts.len();
        let missing = match timeout_at(deadline, self.orders.send(order)).await {
            Err(_) => Some(Missing::Late),
            Ok(Err(_)) => Some(Missing::Lost(self.lost())),
            Ok(Ok(())) => loop {
                if left == 0 {
                    break None;
                }
                match timeout_at(deadline, told.recv()).await {
                    Err(_) => break Some(Missing::Late),
                    Ok(None) => {
                        // The task says why once it is over.
                        let _ = timeout_at(deadline, self.orders.closed()).await;
                        break Some(Missing::Lost(self.lost()));
                    }
                    Ok(Some((at, verdict))) => {
                        left -= 1;
                        verdicts[at] = Some(verdict);
                    }
                }
            },
        };
        Published { verdicts, missing }
    }

    fn lost(&self) -> String {
        self.end().unwrap_or_else(|| "the connection to the broker ended; tidegate connects again".into())
    }
}

/// Publishes what comes and keeps the connection. `None` when nobody needs it any more, else why it ended.
async fn serve(line: &mut Line, orders: &mut mpsc::Receiver<Order>) -> Option<String> {
    let mut current: Option<Order> = None;
    loop {
        let idle = current.is_none();
        let at = line.next_turn();
        tokio::select! {
            order = orders.recv(), if idle => match order {
                Some(order) => {
                    line.begin(order.messages.len());
                    current = Some(order);
                }
                None => {
                    encode::disconnect(line.version, 0, &mut line.out);
                    let _ = timeout_at(Instant::now() + Duration::from_secs(1), line.write_out()).await;
                    return None;
                }
            },
            turned = line.turn() => if let Err(why) = turned { return Some(why) },
            () = sleep_until(at) => if let Err(why) = line.due() { return Some(why) },
            () = given_up(current.as_ref()) => return Some("the broker did not acknowledge in time".into()),
        }
        let Some(order) = &current else { continue };
        let mut tell = |Taken { at, verdict }| {
            // An error means that nobody waits any more, which ends the session.
            let _ = order.verdicts.send((at, verdict));
        };
        line.take(&order.messages, &mut tell);
        if line.is_done() {
            current = None;
        }
    }
}

/// Whoever gave up waiting for an order does not use the session any more.
async fn given_up(order: Option<&Order>) {
    match order {
        Some(order) => order.verdicts.closed().await,
        None => std::future::pending().await,
    }
}
