//! One client of the listener, from its CONNECT to its end.

use super::connection::Connection;
use super::listener::House;
use super::registry::Place;
use super::stopped;
use super::transport::{Over, Wire};
use crate::config::model::Protocol;
use crate::ingest::intake::Link;
use crate::limits;
use crate::secret::SecretText;
use crate::wire::decode::{Connect, Packet, Will};
use crate::wire::dial::Stream;
use crate::wire::encode::{self, Welcome};
use crate::wire::frame::{Fault, code};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// For a last packet to a client that may be gone.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one client until it goes, is sent away, or we stop.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    house: Arc<House>,
    mut stop: watch::Receiver<bool>,
) {
    let greeted = tokio::select! {
        greeted = timeout(limits::HANDSHAKE_TIMEOUT, Box::pin(greet(stream, &house))) => greeted,
        () = stopped(&mut stop) => return,
    };
    let client = match greeted {
        Ok(Ok(client)) => client,
        Ok(Err(why)) => {
            tracing::debug!(%peer, %why, "no session");
            return;
        }
        Err(_) => {
            tracing::debug!(%peer, "no CONNECT in time");
            return;
        }
    };
    house.context.state.client_joined();
    let mut client = client;
    let end = client.serve(&house, &mut stop).await;
    tracing::debug!(%peer, client = client.connection.session(), ?end, "session over");
    client.finish(end, &mut stop).await;
    house.context.state.client_left();
}

struct Client {
    connection: Connection,
    place: Place,
    /// Comes when others need the room that its unfinished packet takes.
    crowded_out: oneshot::Receiver<()>,
    will: Option<Will>,
    keep_alive: Option<Duration>,
    rate: Bucket,
    receive_max: usize,
    refuse_subscriptions: bool,
}

/// Why a session is over.
#[derive(Debug)]
enum End {
    /// DISCONNECT: the will is not published.
    Left,
    /// The client is gone without one, or asked for its will.
    Gone,
    /// The same client connected again.
    TakenOver,
    /// The client broke the rules, or was silent for too long.
    SentAway(Fault),
    /// We stop.
    Stopped,
}

/// From a TCP connection to a session: TLS, CONNECT, CONNACK.
async fn greet(stream: TcpStream, house: &Arc<House>) -> Result<Client, Over> {
    let stream: Box<dyn Stream> = match &house.door.tls {
        Some(tls) => Box::new(tls.accept(stream).await?),
        None => Box::new(stream),
    };
    let cfg = &house.door.cfg;
    let mut wire = Wire::new(stream, limits::CONNECT_BYTES_MAX.min(cfg.packet_bytes_max));
    let (mut account, crowded_out) = house.connecting.join();
    let first = tokio::select! {
        packet = wire.packet(None, Some(&mut account)) => packet?,
        _ = crowded_out => return Err(protocol("a CONNECT that was not complete when others needed the room")),
    };
    drop(account);
    let connect = match first {
        Packet::Connect(connect) => *connect,
        Packet::ConnectUnknown => {
            // Whoever speaks neither version understands the older answer, if any.
            encode::refusal(Protocol::V4, code::UNSUPPORTED_VERSION, &mut wire.out);
            wire.write_out(FAREWELL).await?;
            return Err(protocol("a CONNECT of a version other than 3.1.1 and 5"));
        }
        _ => return Err(protocol("another packet before CONNECT")),
    };
    let version = connect.version;
    let admitted = match admit(&connect, house) {
        Ok(()) => house
            .registry
            .enter(&connect.client_id)
            .await
            .ok_or(Fault { code: code::QUOTA_EXCEEDED, what: "a CONNECT beyond `max_clients`" }),
        Err(fault) => Err(fault),
    };
    let place = match admitted {
        Ok(place) => place,
        Err(fault) => {
            house.trouble(&format!(
                "the client `{}` was refused: {}",
                shown(&connect.client_id),
                advice(&fault)
            ));
            encode::refusal(version, fault.code, &mut wire.out);
            wire.write_out(FAREWELL).await?;
            return Err(fault.into());
        }
    };
    let packet_bytes_max = u32::try_from(cfg.packet_bytes_max).unwrap_or(u32::MAX);
    let assigned = connect.client_id.is_empty().then(|| place.client_id.to_string());
    let welcome = Welcome { receive_max: cfg.receive_max, packet_bytes_max, assigned_client_id: assigned };
    encode::welcome(version, &welcome, &mut wire.out)?;
    wire.reader.set_packet_bytes_max(cfg.packet_bytes_max);
    wire.reader.ignore_retain();
    let receive_max = cfg.receive_max.max(1);
    let twice = receive_max.saturating_mul(2);
    // A client of 3.1.1 was not told of a limit: at twice of it we stop reading. One of 5 was: with one more it is sent away.
    let doubt_max = if version == Protocol::V4 { twice } else { twice.saturating_add(1) };
    let link = Link::marking(house.context.index, Arc::clone(&place.client_id), cfg.receive_max, doubt_max);
    let mut connection = Connection::open(wire, version, link, house.context.clone());
    let (account, crowded_out) = house.unfinished.join();
    connection.accounts_for(account);
    Ok(Client {
        connection,
        place,
        crowded_out,
        will: connect.will,
        keep_alive: (connect.keep_alive > 0).then(|| Duration::from_secs(connect.keep_alive.into()) * 3 / 2),
        rate: Bucket::new(cfg.rate_max),
        receive_max: receive_max.into(),
        refuse_subscriptions: cfg.refuse_subscriptions,
    })
}

/// Whether this client may come in.
fn admit(connect: &Connect, house: &House) -> Result<(), Fault> {
    // [MQTT-3.1.3-8] of 3.1.1: without an id there must be a clean session.
    if connect.client_id.is_empty() && connect.version == Protocol::V4 && !connect.clean {
        return Err(Fault {
            code: code::BAD_CLIENT_ID,
            what: "a CONNECT without client id and clean session",
        });
    }
    if !is_user(connect, &house.door.users) {
        return Err(Fault { code: code::BAD_LOGIN, what: "a CONNECT with a wrong user name or password" });
    }
    // [MQTT-3.2.2-12] of 5: a will at a QoS that we do not offer. A will of 3.1.1 is taken at QoS 1.
    if connect.version == Protocol::V5 && connect.will.as_ref().is_some_and(|will| will.qos > 1) {
        return Err(Fault { code: code::QOS_NOT_SUPPORTED, what: "a will at QoS 2" });
    }
    Ok(())
}

/// Looks at every user and every byte whatever the answer, so that the time taken does not tell it.
fn is_user(connect: &Connect, users: &[(String, Option<SecretText>)]) -> bool {
    let mut found = users.is_empty();
    for (user, password) in users {
        let known = same(&connect.user, user);
        let allowed = password.as_ref().is_none_or(|password| same(&connect.password, password.reveal()));
        found |= known & allowed;
    }
    found
}

fn same(given: &str, expected: &str) -> bool {
    let (given, expected) = (given.as_bytes(), expected.as_bytes());
    let mut difference = given.len() ^ expected.len();
    for (index, byte) in given.iter().enumerate() {
        difference |= usize::from(byte ^ expected.get(index).copied().unwrap_or(0));
    }
    std::hint::black_box(difference) == 0
}

impl Client {
    async fn serve(&mut self, house: &House, stop: &mut watch::Receiver<bool>) -> End {
        let far = Duration::from_secs(30 * 86_400);
        let mut timer = Box::pin(sleep_until(Instant::now() + self.keep_alive.unwrap_or(far)));
        loop {
            tokio::select! {
                brought = self.connection.turn() => {
                    let brought = match brought {
                        Ok(brought) => brought,
                        Err(Over::Fault(fault)) => return End::SentAway(fault),
                        Err(_) => return End::Gone,
                    };
                    let publishes = brought.messages + brought.passed_over;
                    if publishes > 0 && let Err(fault) = self.regulate(publishes) {
                        return End::SentAway(fault);
                    }
                    for packet in brought.packets {
                        match self.packet(packet) {
                            Ok(None) => {}
                            Ok(Some(end)) => return end,
                            Err(fault) => return End::SentAway(fault),
                        }
                    }
                    if let Some(fault) = brought.fault {
                        if fault.code == code::QOS_NOT_SUPPORTED {
                            let client = shown(self.connection.session());
                            house.trouble(&format!("the client `{client}` was sent away: {}", advice(&fault)));
                        }
                        return End::SentAway(fault);
                    }
                }
                () = timer.as_mut() => {
                    // [MQTT-3.1.2-22]: silent for one and a half times the keep-alive. Not if it is we who do not listen.
                    let length = self.keep_alive.unwrap_or(far);
                    let deadline = self.connection.silent_since() + length;
                    if Instant::now() < deadline {
                        timer.as_mut().reset(deadline);
                    } else if self.keep_alive.is_none() || self.connection.is_blocked() {
                        timer.as_mut().reset(Instant::now() + length);
                    } else {
                        return End::SentAway(Fault {
                            code: code::KEEP_ALIVE_TIMEOUT,
                            what: "nothing for one and a half times its keep-alive",
                        });
                    }
                }
                _ = &mut self.place.evicted => return End::TakenOver,
                _ = &mut self.crowded_out => return self.crowded_out(house),
                () = stopped(stop) => return End::Stopped,
            }
        }
    }

    fn crowded_out(&self, house: &House) -> End {
        let what = "a packet that was not complete when others needed the room";
        house.trouble(&format!(
            "the client `{}` sent {what}: it took the longest. Let clients send smaller packets, or lower `max_packet`",
            shown(self.connection.session())
        ));
        End::SentAway(Fault { code: code::QUOTA_EXCEEDED, what })
    }

    fn regulate(&mut self, publishes: usize) -> Result<(), Fault> {
        if let Some(pause) = self.rate.take(publishes, Instant::now()) {
            self.connection.pause(pause);
        }
        if self.connection.version == Protocol::V5 && self.connection.in_flight() > self.receive_max * 2 {
            return Err(Fault {
                code: code::RECEIVE_MAX_EXCEEDED,
                what: "more than twice the messages in flight that it may",
            });
        }
        Ok(())
    }

    fn packet(&mut self, packet: Packet) -> Result<Option<End>, Fault> {
        let version = self.connection.version;
        let out = &mut self.connection.wire.out;
        match packet {
            Packet::PingReq => encode::pingresp(out),
            Packet::Subscribe { id, qos } => {
                let refused = if version == Protocol::V5 { code::NOT_AUTHORIZED } else { 0x80 };
                let grant = |qos: u8| if self.refuse_subscriptions { refused } else { qos.min(1) };
                let codes: Vec<u8> = qos.into_iter().map(grant).collect();
                encode::suback(version, id, &codes, out);
            }
            Packet::Unsubscribe { id, filters } => encode::unsuback(version, id, filters, out),
            // 0x04: with the will (MQTT 5 section 3.14.2.1).
            Packet::Disconnect { code: 0x04, .. } => return Ok(Some(End::Gone)),
            Packet::Disconnect { .. } => return Ok(Some(End::Left)),
            Packet::Stray | Packet::PubAck { .. } => {}
            Packet::Connect(_) | Packet::ConnectUnknown => {
                return Err(Fault { code: code::PROTOCOL_ERROR, what: "a second CONNECT" });
            }
            _ => {
                return Err(Fault {
                    code: code::PROTOCOL_ERROR,
                    what: "a packet that only a server may send",
                });
            }
        }
        Ok(None)
    }

    /// The last words, the will, and the news to the writer; then the place is free.
    async fn finish(mut self, end: End, stop: &mut watch::Receiver<bool>) {
        // Who leaves in good order, and was owed nothing when he did, has no reason to send anything again.
        if matches!(end, End::Left) && self.connection.owes_nothing() {
            self.connection.settle_written();
        }
        self.connection.stop_reading();
        let farewell = match &end {
            End::Left | End::Gone => None,
            End::TakenOver => Some(code::TAKEN_OVER),
            End::SentAway(fault) => Some(fault.code),
            End::Stopped => {
                // Those who hear us are told when all that they sent is safe.
                let _ = self.connection.settle(limits::STOP_TIMEOUT).await;
                Some(code::SHUTTING_DOWN)
            }
        };
        if let Some(code) = farewell {
            encode::disconnect(self.connection.version, code, &mut self.connection.wire.out);
            let _ = self.connection.wire.write_out(FAREWELL).await;
        }
        // A will says that the client is gone. When it is we who go, the client is not.
        if let Some(will) = self.will.take()
            && matches!(end, End::Gone | End::TakenOver | End::SentAway(_))
        {
            self.connection.tell_message(&will.topic, &will.payload);
        }
        let patience = async {
            stopped(stop).await;
            tokio::time::sleep(limits::STOP_TIMEOUT).await;
        };
        tokio::select! {
            () = self.connection.close() => {}
            () = patience => {}
        }
    }
}

/// A client id is whatever a client says: short and printable for a person.
fn shown(client_id: &str) -> String {
    client_id.chars().take(64).flat_map(char::escape_debug).collect()
}

fn advice(fault: &Fault) -> &'static str {
    match fault.code {
        code::BAD_LOGIN => "wrong user name or password; set them on the device as in `users`",
        code::BAD_CLIENT_ID => "it has no client id but wants its session kept; give it a client id",
        code::QUOTA_EXCEEDED => "there are `max_clients` already; raise it",
        code::QOS_NOT_SUPPORTED => "it publishes at QoS 2; set it to QoS 1",
        _ => fault.what,
    }
}

fn protocol(what: &'static str) -> Over {
    Over::Fault(Fault { code: code::PROTOCOL_ERROR, what })
}

/// A token bucket that holds one second's worth.
struct Bucket {
    /// Tokens a second.
    rate: f64,
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn new(rate: u32) -> Bucket {
        let rate = f64::from(rate.max(1));
        Bucket { rate, tokens: rate, at: None }
    }

    /// Takes `count`; gives how long to wait until the debt is paid, if there is one.
    fn take(&mut self, count: usize, now: Instant) -> Option<Duration> {
        let passed = self.at.replace(now).map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        self.tokens = (self.tokens + passed * self.rate).min(self.rate) - count as f64;
        (self.tokens < 0.0).then(|| Duration::from_secs_f64(-self.tokens / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_on_average() {
        let mut bucket = Bucket::new(100);
        let start = Instant::now();
        assert_eq!(bucket.take(100, start), None);
        assert_eq!(bucket.take(50, start), Some(Duration::from_millis(500)));
        assert_eq!(bucket.take(0, start + Duration::from_millis(500)), None);
        assert_eq!(bucket.take(200, start + Duration::from_secs(60)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn passwords() {
        for (given, expected, equal) in
            [("a", "a", true), ("a", "b", false), ("a", "ab", false), ("ab", "a", false), ("", "", true)]
        {
            assert_eq!(same(given, expected), equal, "{given} {expected}");
        }
    }
}
