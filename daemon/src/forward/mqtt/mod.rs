//! Events republished on a broker: `event` says what of an event is published, `topic` where, `discovery` what is
//! announced of it, `session` does it, and `judge` says what came of it.
//!
//! An event is confirmed when the broker has acknowledged it: at QoS 1 by PUBACK, at QoS 0 by answering a ping that was sent
//! behind it. What was announced of it has an answer of its own, which says nothing about the event.

mod discovery;
mod event;
mod judge;
mod line;
pub(super) mod link;
mod series;
pub(super) mod session;
mod topic;

use super::Destination;
use super::answer::Answer;
use super::outbox::Queued;
use super::state::OutputState;
use crate::config::model::Republish;
use crate::limits;
use event::Event;
use link::Link;
use series::Series;
use session::{Message, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A broker that events are published at.
pub struct Republisher {
    cfg: Republish,
    state: Arc<OutputState>,
    link: Link,
    series: Series,
    /// The session on which `series` says what was announced.
    announced_on: u64,
    /// Whether it was told that the broker takes no announcements on this session.
    told: bool,
}

/// What is published for some events.
#[derive(Default)]
struct Draft {
    messages: Vec<Message>,
    /// Which of the messages is the event's own, by event; or why there is none.
    own: Vec<Result<usize, String>>,
    /// Which of them announce something.
    announcements: Vec<usize>,
}

impl Republisher {
    /// Nothing is opened or read before the first attempt.
    pub fn new(cfg: Republish, state: Arc<OutputState>) -> Republisher {
        let link = Link::new(cfg.broker.clone());
        Republisher { cfg, state, link, series: Series::default(), announced_on: 0, told: false }
    }

    /// Makes sure that there is a session with a broker that can do what is wanted.
    async fn connected(&mut self) -> Result<(), Answer> {
        let problem = |why: String| judge::problem(&why);
        let takes = self.link.connected().await.map_err(problem)?.takes;
        if takes.qos_max < self.cfg.qos {
            return Err(problem("the broker takes messages at QoS 0 only: set qos = 0".into()));
        }
        if !takes.retains && (self.cfg.retain || self.cfg.discovery.is_some()) {
            let why = "the broker retains no messages: allow it there, or remove `retain` and `discovery`";
            return Err(problem(why.into()));
        }
        if self.link.number() != self.announced_on {
            self.announced_on = self.link.number();
            self.series.forget_announced();
            self.told = false;
        }
        Ok(())
    }

    /// The messages of all events.
    fn draft(&mut self, events: &[Queued]) -> Draft {
        let mut draft = Draft::default();
        for queued in events {
            let own = self.append(queued, &mut draft);
            draft.own.push(own.map_err(|error| format!("not an event that could be published ({error})")));
        }
        draft
    }

    fn append(&mut self, queued: &Queued, draft: &mut Draft) -> Result<usize, serde_json::Error> {
        let (event, data) = Event::parse(&queued.event)?;
        let topic = topic::of(&self.cfg.topic, &event, &data);
        let (qos, series) = (self.cfg.qos, &mut self.series);
        for found in discovery::of(&self.cfg, &event, &data, &topic, |what| series.announce(what)) {
            draft.announcements.push(draft.messages.len());
            draft.messages.push(Message { topic: found.topic, payload: found.payload, qos, retain: true });
        }
        let retain = self.cfg.retain && event.is_state() && series.is_newest(&topic, &event.time);
        let payload = event.payload(&data, &queued.event, self.cfg.payload);
        draft.messages.push(Message { topic, payload, qos, retain });
        Ok(draft.messages.len() - 1)
    }

    async fn publish(&mut self, events: &[Queued]) -> Result<Answer, Answer> {
        self.connected().await?;
        let Draft { messages, own, announcements } = self.draft(events);
        self.state.sent(messages.iter().map(|message| message.payload.len()).sum());
        let published = self.link.publish(messages, Instant::now() + self.cfg.timeout).await;
        for at in announcements {
            self.announced(published.verdicts[at].as_ref());
        }
        let verdicts: Vec<Option<Verdict>> = own
            .into_iter()
            .map(|own| match own {
                Ok(at) => published.verdicts[at].clone(),
                Err(words) => Some(Verdict::Refused(words)),
            })
            .collect();
        Ok(judge::judge(events, &verdicts, published.missing.as_ref(), self.cfg.timeout))
    }

    /// The broker's word on an announcement. One that it did not take is made again on the next session, as all are; one that it
    /// said nothing of has ended this session.
    fn announced(&mut self, verdict: Option<&Verdict>) {
        let Some(Verdict::Refused(words) | Verdict::Denied(words)) = verdict else { return };
        if !std::mem::replace(&mut self.told, true) {
            let words = format!("discovery: {words}; events are published all the same");
            tracing::warn!("{words}");
            self.state.went_wrong(words);
        }
    }
}

impl Destination for Republisher {
    fn limit(&self) -> Option<Duration> {
        Some(limits::HANDSHAKE_TIMEOUT + self.cfg.timeout)
    }

    async fn send(&mut self, events: &[Queued]) -> Answer {
        self.publish(events).await.unwrap_or_else(|answer| answer)
    }

    async fn test(&mut self) -> Option<Answer> {
        self.connected().await.err()
    }
}
