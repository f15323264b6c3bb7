//! Events republished on a broker: `event` says what of an event is published, `topic` where, `discovery` what is
//! announced of it, `session` does it, and `judge` says what came of it.
//!
//! An event is confirmed when the broker has acknowledged all that was published for it: at QoS 1 by PUBACK, at QoS 0 by
//! answering a ping that was sent behind it.

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
use std::ops::Range;
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
}

impl Republisher {
    /// Nothing is opened or read before the first attempt.
    pub fn new(cfg: Republish, state: Arc<OutputState>) -> Republisher {
        let link = Link::new(cfg.broker.clone());
        Republisher { cfg, state, link, series: Series::default(), announced_on: 0 }
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
        }
        Ok(())
    }

    /// The messages of all events, and which of them are whose.
    fn messages(&mut self, events: &[Queued]) -> (Vec<Message>, Vec<Result<Range<usize>, String>>) {
        let mut messages = Vec::new();
        let ranges = events.iter().map(|queued| {
            let from = messages.len();
            self.append(queued, &mut messages)
                .map(|()| from..messages.len())
                .map_err(|error| format!("not an event that could be published ({error})"))
        });
        let ranges = ranges.collect();
        (messages, ranges)
    }

    fn append(&mut self, queued: &Queued, messages: &mut Vec<Message>) -> Result<(), serde_json::Error> {
        let (event, data) = Event::parse(&queued.event)?;
        let topic = topic::of(&self.cfg.topic, &event, &data);
        let series = &mut self.series;
        let announcements = discovery::of(&self.cfg, &event, &data, &topic, |what| series.announce(what));
        let qos = self.cfg.qos;
        messages.extend(announcements.into_iter().map(|announcement| Message {
            topic: announcement.topic,
            payload: announcement.payload,
            qos,
            retain: true,
        }));
        let retain = self.cfg.retain && event.is_state() && series.is_newest(&topic, &event.time);
        let payload = event.payload(&data, &queued.event, self.cfg.payload);
        messages.push(Message { topic, payload, qos, retain });
        Ok(())
    }

    async fn publish(&mut self, events: &[Queued]) -> Result<Answer, Answer> {
        self.connected().await?;
        let (messages, ranges) = self.messages(events);
        self.state.sent(messages.iter().map(|message| message.payload.len()).sum());
        let published = self.link.publish(messages, Instant::now() + self.cfg.timeout).await;
        let verdicts: Vec<Option<Verdict>> = ranges
            .into_iter()
            .map(|range| match range {
                Ok(range) => judge::worst(&published.verdicts[range]),
                Err(words) => Some(Verdict::Refused(words)),
            })
            .collect();
        if verdicts.iter().any(|verdict| *verdict != Some(Verdict::Taken)) {
            self.series.forget_announced();
        }
        Ok(judge::judge(events, &verdicts, published.missing.as_ref(), self.cfg.timeout))
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
