//! The source `type = "mqtt"`: a client with a persistent session at a broker.

mod dial;
mod progress;
mod subscribe;
mod unsubscribe;

use self::dial::{Failure, FailureKind};
use self::progress::Progress;
use super::backoff::Backoff;
use super::connection::Connection;
use super::transport::Over;
use super::{Context, stopped};
use crate::config::model::{Mqtt, Protocol};
use crate::ingest::intake::{Input, Link};
use crate::limits;
use crate::pulse::Pulse;
use crate::wire::decode::{ConnAck, Packet};
use crate::wire::dial::Dialer;
use crate::wire::{encode, reasons};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Keeps the source connected until `stop` says so; then leaves once all that was received is committed and acknowledged,
/// or after `STOP_TIMEOUT`.
pub async fn run_source(cfg: Mqtt, context: Context, mut stop: watch::Receiver<bool>) {
    let mut client = Client::new(cfg, context);
    let mut backoff = Backoff::default();
    loop {
        let begun = Instant::now();
        let failure = match Box::pin(client.connection(&mut stop)).await {
            Ok(()) => return,
            Err(failure) => failure,
        };
        client.context.state.closed();
        let wait = if client.changes_version(&failure) {
            limits::RETRY_MIN
        } else {
            if failure.opened && begun.elapsed() >= limits::STABLE_AFTER {
                backoff.reset();
            }
            let text = client.describe(&failure);
            client.context.trouble(&text);
            backoff.next()
        };
        client.context.state.pulse.sleeps("sleeps until it connects again", (Instant::now() + wait).into());
        tokio::select! {
            () = sleep(wait) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// What outlives a connection.
struct Client {
    cfg: Mqtt,
    context: Context,
    /// Its name, as [`Sessions`](crate::ingest::sessions::Sessions) knows it.
    session: String,
    subscriptions: Vec<String>,
    /// The version to try next.
    version: Protocol,
    /// Times in a row that the broker closed soon after CONNACK, without a word.
    closed_soon: u32,
    /// Before how many of them nobody took connections, since the one before it.
    absences: u32,
    /// Nobody takes connections, since the last one that did.
    is_gone: bool,
    /// This process has subscribed to everything in the session that the broker keeps.
    subscribed: bool,
    /// Filters that the session has at QoS 0, though 1 was asked for.
    unassured: BTreeSet<String>,
    /// It has been said that it is tried in the older version.
    told_older: bool,
    dialer: Dialer,
}

impl Client {
    fn new(cfg: Mqtt, context: Context) -> Client {
        let (session, subscriptions) = (cfg.session(), cfg.subscriptions());
        let version = cfg.protocol;
        let dialer = Dialer::new(&cfg.host, cfg.port, cfg.tls.clone());
        Client {
            cfg,
            context,
            session,
            subscriptions,
            version,
            closed_soon: 0,
            absences: 0,
            is_gone: false,
            subscribed: false,
            unassured: BTreeSet::new(),
            told_older: false,
            dialer,
        }
    }

    fn pulse(&self) -> &Pulse {
        &self.context.state.pulse
    }

    /// One connection from beginning to end. `Ok` when it ended because we stop.
    async fn connection(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Failure> {
        self.pulse().does("connects", limits::HANDSHAKE_TIMEOUT + limits::WEDGED_AFTER);
        let opened = tokio::select! {
            opened = timeout(limits::HANDSHAKE_TIMEOUT, self.open()) => opened,
            () = stopped(stop) => return Ok(()),
        };
        let (wire, connack) = opened.unwrap_or_else(|_| {
            let (host, seconds) = (&self.cfg.host, limits::HANDSHAKE_TIMEOUT.as_secs());
            Err(Failure::before(format!(
                "{host} did not answer within {seconds} s: is that the address of the broker, and is it well?"
            )))
        })?;
        self.told_older &= self.version == Protocol::V4;
        // A broker of 3.1.1 was not told of a limit: at it we stop reading. One of 5 was, and is heard when it waits for us.
        let ahead_max = self.cfg.receive_max;
        let doubt_max = if self.version == Protocol::V4 { ahead_max } else { ahead_max.saturating_add(1) };
        let link = Link::lenient(self.context.index, self.cfg.client_id.as_str(), ahead_max, doubt_max);
        let mut connection = Connection::open(wire, self.version, link, self.context.clone());
        // The broker may have kept messages for us; windows wait for them.
        connection.tell(Input::Backlog { source: self.context.index });
        self.context.state.opened(self.version);
        tracing::info!(source = self.context.name, session_present = connack.session_present, "connected");
        let begun = Instant::now();
        let served = self.serve(&mut connection, &connack, stop).await;
        self.pulse().waits("waits until what it received is taken");
        if let Ok(()) = served {
            self.leave(&mut connection).await;
            // The writer may be gone already; nobody waits for this news then.
            let _ = timeout(limits::STOP_TIMEOUT, connection.close()).await;
            self.context.state.closed();
            return Ok(());
        }
        tokio::select! {
            () = connection.close() => {}
            () = stopped(stop) => return Ok(()),
        }
        served.map_err(|(text, kind)| Failure { text, kind, opened: true, lived: begun.elapsed() })
    }

    /// From CONNACK to the end. `Ok` when it is we who stop.
    async fn serve(
        &mut self,
        connection: &mut Connection,
        connack: &ConnAck,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), (String, FailureKind)> {
        let mut progress = self.begin(connection, connack).map_err(|text| (text, FailureKind::Other))?;
        let mut timer = Box::pin(sleep_until(progress.next()));
        loop {
            let next = progress.next().min(connection.settles_at().unwrap_or(progress.idle_until));
            self.pulse().sleeps("waits for the broker", next.into());
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
            tokio::select! {
                brought = connection.turn() => {
                    let brought = brought.map_err(|over| self.over(over, &progress))?;
                    if brought.messages > 0 && progress.drained_at.is_some() {
                        progress.drained_at = Some(progress.quiet_at(Instant::now()));
                    }
                    if brought.messages > 0 {
                        progress.prove_at.get_or_insert(Instant::now() + limits::PROVED_AFTER);
                    }
                    for packet in brought.packets {
                        self.packet(packet, connection, &mut progress)
                            .map_err(|text| (text, FailureKind::Other))?;
                    }
                    if let Some(fault) = brought.fault {
                        encode::disconnect(self.version, fault.code, &mut connection.wire.out);
                        let _ = connection.wire.write_out(Duration::from_secs(1)).await;
                        return Err((format!("the broker sent {fault}"), FailureKind::Other));
                    }
                }
                () = timer.as_mut() => {
                    self.due(connection, &mut progress).map_err(|text| (text, FailureKind::Other))?;
                }
                () = stopped(stop) => return Ok(()),
            }
        }
    }

    /// Sends the subscriptions, where the session does not have them already, and takes out what it should not have.
    fn begin(&mut self, connection: &mut Connection, connack: &ConnAck) -> Result<Progress, String> {
        let keep_alive = connack.keep_alive.map_or(self.cfg.keep_alive, |s| Duration::from_secs(s.into()));
        let keep_alive = (keep_alive > Duration::ZERO).then_some(keep_alive);
        let mut progress = Progress::new(connack, keep_alive);
        progress.lessened = self.lessened(connack);
        progress.stable_at = (self.closed_soon > 0).then(|| Instant::now() + limits::STABLE_AFTER);
        self.look_for_unwanted(connack.session_present, &mut progress);
        // A broker of version 3.1.1 replays what it retains at each SUBSCRIBE: not again where it is not needed.
        if !(connack.session_present && self.subscribed) {
            self.subscribed = false;
            self.unassured.clear();
            self.ask(&self.subscriptions, connection, &mut progress)?;
        }
        if progress.asked.is_none() {
            self.subscribed_all(connection, &mut progress);
        }
        self.let_go(connection, &mut progress)?;
        Ok(progress)
    }

    fn packet(
        &mut self,
        packet: Packet,
        connection: &mut Connection,
        progress: &mut Progress,
    ) -> Result<(), String> {
        match packet {
            Packet::SubAck { id, codes } => self.answered(id, codes, connection, progress),
            Packet::Disconnect { code, said } => Err(reasons::disconnect(code, &said, &self.cfg.client_id)),
            Packet::PingResp => {
                progress.ponged = Some(connection.heard);
                connection.answered();
                Ok(())
            }
            Packet::ConnAck(connack) => Err(reasons::second_connack(connack.code)),
            Packet::UnsubAck { id } => self.gone(id, connection, progress),
            Packet::Stray | Packet::PubAck { .. } => Ok(()),
            _ => Err("the broker sent a packet that only a client may send".into()),
        }
    }

    /// Something is due.
    fn due(&mut self, connection: &mut Connection, progress: &mut Progress) -> Result<(), String> {
        let now = Instant::now();
        if progress.asked.is_some() && now >= progress.answer_by {
            let patient_until = progress.patient_until(connection.heard);
            if now >= patient_until && !connection.is_blocked() {
                return Err("the broker did not answer SUBSCRIBE: look into its log".into());
            }
            progress.answer_by = patient_until.max(now + Duration::from_secs(1));
        }
        if progress.ask_again_at.is_some_and(|at| now >= at) {
            progress.ask_again_at = None;
            let filters: Vec<String> = progress.refused.keys().cloned().collect();
            self.ask(&filters, connection, progress)?;
        }
        if progress.drained_at.is_some_and(|at| now >= at) {
            progress.drained_at = None;
            connection.tell(Input::Drained { source: self.context.index });
        }
        if progress.stable_at.is_some_and(|at| now >= at) {
            progress.stable_at = None;
            self.settled(progress);
        }
        if let (Some(at), Some(keep_alive)) = (progress.ping_at, progress.keep_alive)
            && now >= at
        {
            // While we are not reading, the answer may be waiting unread.
            let silent = progress.pinged.is_some_and(|pinged| connection.heard < pinged);
            if silent && !connection.is_blocked() {
                return Err(format!(
                    "the broker did not answer a ping within {} s: the network or the broker is stuck",
                    keep_alive.as_secs()
                ));
            }
            progress.ping(connection);
        }
        if progress.prove_at.is_some_and(|at| now >= at) {
            if connection.may_ask() {
                progress.ping(connection);
            }
            progress.prove_at = (connection.in_flight() > 0).then_some(now + limits::PROVED_AFTER);
        }
        connection.settle_proved(now);
        Ok(())
    }

    /// Nothing more is read; what was received is committed and acknowledged; then DISCONNECT. The session stays.
    async fn leave(&mut self, connection: &mut Connection) {
        if connection.settle(limits::STOP_TIMEOUT).await.is_ok() {
            encode::disconnect(self.version, 0, &mut connection.wire.out);
            let written = connection.wire.write_out(Duration::from_secs(1)).await;
            // It closes when it has read DISCONNECT (section 3.14.4), and so all that stood before.
            if written.is_ok() && connection.wire.closes(limits::LEAVE_TIMEOUT).await {
                connection.settle_written();
            }
        }
    }

    fn over(&self, over: Over, progress: &Progress) -> (String, FailureKind) {
        match over {
            over if over.is_end() && progress.asked.is_some() => {
                (reasons::closed_at_subscribe(&self.cfg.client_id), FailureKind::Other)
            }
            over if over.is_end() => ("the broker closed the connection".into(), FailureKind::Closed),
            over => (over.to_string(), FailureKind::Other),
        }
    }

    /// Whether the next attempt is in the older version, and at once; says so.
    ///
    /// Only a broker that refuses version 5 says that it does not speak it: one that closes may be starting. It is asked
    /// anew on each connection, as it may have been replaced meanwhile.
    fn changes_version(&mut self, failure: &Failure) -> bool {
        let tried = std::mem::replace(&mut self.version, self.cfg.protocol);
        let older = failure.kind == FailureKind::Version && tried == Protocol::V5;
        if older {
            self.version = Protocol::V4;
            if !std::mem::replace(&mut self.told_older, true) {
                tracing::info!(source = self.context.name, "the broker does not speak MQTT 5: trying 3.1.1");
            }
        }
        older
    }

    fn describe(&mut self, failure: &Failure) -> String {
        let soon = failure.opened && failure.lived < limits::STABLE_AFTER;
        self.is_gone |= failure.kind == FailureKind::Gone;
        if failure.opened {
            let was_gone = std::mem::take(&mut self.is_gone) && self.closed_soon > 0;
            self.absences = if soon { self.absences + u32::from(was_gone) } else { 0 };
            self.closed_soon = if soon { self.closed_soon + 1 } else { 0 };
        }
        match self.closed_soon {
            3.. if failure.kind == FailureKind::Closed => {
                // Another client cannot make the port refuse us. One restart is no habit.
                let restarts = self.absences * 2 >= self.closed_soon - 1;
                reasons::closes_again(&self.cfg.client_id, restarts)
            }
            _ => failure.text.clone(),
        }
    }
}
