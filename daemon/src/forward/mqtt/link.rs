//! The way to a broker for publishing: connects when there is something to publish, and again after it failed.

use super::session::{Message, Missing, Published, Refusal, Session};
use crate::config::model::{Broker, Protocol};
use crate::limits;
use crate::wire::dial::Dialer;
use tokio::time::{Instant, timeout_at};

/// A broker, and the session with it while there is one.
pub(crate) struct Link {
    broker: Broker,
    dialer: Dialer,
    /// The version to try next.
    version: Protocol,
    session: Option<Session>,
    /// How many sessions there were.
    sessions: u64,
}

impl Link {
    /// Nothing is opened yet.
    pub(crate) fn new(broker: Broker) -> Link {
        let dialer = Dialer::new(&broker.host, broker.port, broker.tls.clone());
        Link { dialer, version: broker.protocol, broker, session: None, sessions: 0 }
    }

    /// The number of the session: what was said to the broker on another one may be forgotten.
    pub(crate) fn number(&self) -> u64 {
        self.sessions
    }

    /// Makes sure that there is a session.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(crate) async fn connected(&mut self) -> Result<&mut Session, String> {
        let over = self.session.take_if(|session| session.is_over());
        if let Some(why) = over.and_then(|session| session.end()) {
            tracing::debug!(broker = self.broker.host, why, "the connection ended");
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let session = self.open().await?;
                self.sessions += 1;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    async fn open(&mut self) -> Result<Session, String> {
        let by = Instant::now() + limits::HANDSHAKE_TIMEOUT;
        let first = self.attempt(by).await;
        let refusal = match first {
            Err(Refusal { version: true, .. }) if self.version == Protocol::V5 => {
                tracing::info!(broker = self.broker.host, "the broker does not speak MQTT 5: trying 3.1.1");
                self.version = Protocol::V4;
                self.attempt(by).await
            }
            other => other,
        };
        refusal.map_err(|refusal| refusal.why)
    }

    async fn attempt(&mut self, by: Instant) -> Result<Session, Refusal> {
        let opened = timeout_at(by, Session::open(&self.broker, &mut self.dialer, self.version)).await;
        opened.unwrap_or_else(|_| {
            let (host, seconds) = (&self.broker.host, limits::HANDSHAKE_TIMEOUT.as_secs());
            let why = format!(
                "{host} did not answer within {seconds} s: is that the address of the broker, and is it well?"
            );
            Err(Refusal { why, version: false })
        })
    }

    /// Publishes in order on the session that there is.
    pub(crate) async fn publish(&mut self, messages: Vec<Message>, deadline: Instant) -> Published {
        let count = messages.len();
        let Some(session) = &mut self.session else {
            let missing = Some(Missing::Lost("there is no connection to the broker".into()));
            return Published { verdicts: vec![None; count], missing };
        };
        let published = session.publish(messages, deadline).await;
        if published.missing.is_some() {
            // Late acknowledgements must not be taken for those of other messages.
            self.session = None;
        }
        published
    }
}
