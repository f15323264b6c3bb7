//! What one connection to a broker is waiting for, and until when.

use crate::limits;
use crate::mqtt::backoff::Backoff;
use crate::mqtt::connection::Connection;
use crate::wire::decode::ConnAck;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// What one connection is waiting for.
pub(super) struct Progress {
    /// The filters that the last SUBSCRIBE asks for, and its packet identifier.
    pub(super) asked: Option<(u16, Vec<String>)>,
    /// The filters of those behind it. Each waits for the answer to the one before it.
    pub(super) to_ask: VecDeque<Vec<String>>,
    /// Filters of an earlier configuration that the session still has.
    pub(super) unwanted: Vec<String>,
    /// Those that the last UNSUBSCRIBE takes out, and its packet identifier.
    pub(super) going: Option<(u16, Vec<String>)>,
    /// What the broker's CONNACK takes away from what was asked for.
    pub(super) lessened: Vec<String>,
    /// What it refused, with its codes. It is asked again: somebody may have allowed it.
    pub(super) refused: BTreeMap<String, u8>,
    pub(super) ask_again_at: Option<Instant>,
    pub(super) patience: Backoff,
    /// The packet identifier that was used last.
    pub(super) id: u16,
    /// All was granted or refused, for the first time.
    pub(super) answered: bool,
    /// Long after everything else: what the timer waits for when nothing is due.
    pub(super) idle_until: Instant,
    /// When the next SUBACK must be here.
    pub(super) answer_by: Instant,
    /// When the backlog counts as drained, once everything is subscribed.
    pub(super) drained_at: Option<Instant>,
    /// When it does at the latest: where new messages never pause, nothing else tells its end.
    pub(super) drained_by: Instant,
    pub(super) session_present: bool,
    pub(super) keep_alive: Option<Duration>,
    pub(super) ping_at: Option<Instant>,
    /// When the broker is asked whether it has read what was acknowledged.
    pub(super) prove_at: Option<Instant>,
    /// When this connection has outlived the suspicion that the ones before it raised.
    pub(super) stable_at: Option<Instant>,
    /// The last PINGREQ, while nothing was heard since.
    pub(super) pinged: Option<Instant>,
    /// When the last answer to one came.
    pub(super) ponged: Option<Instant>,
}

impl Progress {
    /// As it is after CONNACK.
    pub(super) fn new(connack: &ConnAck, keep_alive: Option<Duration>) -> Progress {
        let now = Instant::now();
        Progress {
            asked: None,
            to_ask: VecDeque::new(),
            unwanted: Vec::new(),
            going: None,
            lessened: Vec::new(),
            refused: BTreeMap::new(),
            ask_again_at: None,
            patience: Backoff::default(),
            id: 0,
            answered: false,
            idle_until: now + Duration::from_secs(30 * 86_400),
            answer_by: now + limits::HANDSHAKE_TIMEOUT,
            drained_at: None,
            drained_by: now + limits::BACKLOG_HOLD_MAX,
            session_present: connack.session_present,
            keep_alive,
            ping_at: keep_alive.map(|length| now + length),
            prove_at: None,
            stable_at: None,
            pinged: None,
            ponged: None,
        }
    }

    /// A packet identifier for the next request; 0 is none.
    pub(super) fn next_id(&mut self) -> u16 {
        self.id = self.id.checked_add(1).unwrap_or(1);
        self.id
    }

    /// The filters that are asked for and not granted.
    pub(super) fn ungranted(&self) -> impl Iterator<Item = &String> {
        let asked = self.asked.iter().flat_map(|(_, filters)| filters);
        asked.chain(self.to_ask.iter().flatten()).chain(self.refused.keys())
    }

    /// When the backlog counts as drained, if nothing comes from now on.
    pub(super) fn quiet_at(&self, now: Instant) -> Instant {
        self.drained_by.min(now + limits::DRAINED_AFTER)
    }

    /// Until when the answer to SUBSCRIBE may come, where the last was heard at `heard`. What a session kept stands before it on
    /// the line, and may be much; what answers a ping stands behind it.
    pub(super) fn patient_until(&self, heard: Instant) -> Instant {
        if self.ponged == Some(heard) {
            return self.answer_by;
        }
        self.answer_by.max(heard + limits::HANDSHAKE_TIMEOUT)
    }

    pub(super) fn ping(&mut self, connection: &mut Connection) {
        let now = Instant::now();
        connection.ping();
        self.pinged = Some(now);
        self.ping_at = self.keep_alive.map(|length| now + length);
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Instant {
        let answer_by = self.asked.is_some().then_some(self.answer_by);
        let due =
            [answer_by, self.ask_again_at, self.drained_at, self.ping_at, self.prove_at, self.stable_at];
        due.into_iter().flatten().min().unwrap_or(self.idle_until)
    }
}
