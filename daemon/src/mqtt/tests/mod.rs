//! Both ends against real sockets: a scripted broker for the client, real clients for the listener.

mod broker;
mod client;
mod fence;
mod listener;
mod parsing;
mod resubscribing;
mod subscribing;
mod tls;

use super::{Context, SourceState};
use crate::config::model::{Listen, Mqtt, Protocol};
use crate::health::Health;
use crate::ingest::intake::{Input, Intake, Link, Run};
use crate::ingest::mailbox::Mailbox;
use crate::ingest::sessions::{Filters, Sessions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longer than anything takes here; a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A source's surroundings, with the test in the place of the writer.
pub(super) struct Bench {
    pub(super) context: Context,
    pub(super) stop: watch::Sender<bool>,
    waiting: std::collections::VecDeque<Input>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::with_room(1_000, 8 << 20)
    }

    pub(super) fn with_room(messages: usize, bytes: usize) -> Bench {
        let intake = Intake::new(messages, bytes);
        let context = Context {
            name: "local".into(),
            index: 3,
            intake: Arc::clone(&intake),
            health: Arc::new(Health::default()),
            sessions: Arc::new(Sessions::new(Filters::new(), Mailbox::new(intake))),
            state: Arc::new(SourceState::default()),
        };
        Bench { context, stop: watch::channel(false).0, waiting: Default::default() }
    }

    /// The next input, in order. That a broker may have kept messages is of no interest here.
    pub(super) async fn input(&mut self) -> Input {
        eventually("an input", async || {
            if self.waiting.is_empty() {
                let taken = self.context.intake.take();
                let news = |input: &Input| !matches!(input, Input::Backlog { .. });
                self.waiting.extend(taken.into_iter().filter(news));
            }
            self.waiting.pop_front()
        })
        .await
    }

    /// The next run with messages; what comes before it is dropped.
    pub(super) async fn run(&mut self) -> Run {
        loop {
            if let Input::Run(run) = self.input().await {
                return run;
            }
        }
    }

    /// Runs until there are `count` messages, as `topic=payload`.
    pub(super) async fn messages(&mut self, count: usize) -> (Vec<String>, Run) {
        let mut texts = Vec::new();
        loop {
            let run = self.run().await;
            texts.extend(messages_of(&run));
            if texts.len() >= count {
                return (texts, run);
            }
        }
    }

    /// How many the other end may not have read; what comes before is dropped.
    pub(super) async fn settled(&mut self) -> u32 {
        loop {
            if let Input::Settled { but, .. } = self.input().await {
                return but;
            }
        }
    }

    pub(super) async fn opened(&mut self) -> Arc<Link> {
        loop {
            if let Input::Opened(link) = self.input().await {
                return link;
            }
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.context.health.problems().into_iter().next().map(|problem| problem.text)
    }

    pub(super) async fn problem_with(&self, part: &str) -> String {
        eventually(part, async || self.problem().filter(|text| text.contains(part))).await
    }
}

pub(super) fn messages_of(run: &Run) -> Vec<String> {
    let text = |range: &std::ops::Range<u32>| {
        String::from_utf8_lossy(&run.bytes[range.start as usize..range.end as usize]).into_owned()
    };
    run.messages
        .iter()
        .map(|message| format!("{}={}", text(&message.topic), text(&message.payload)))
        .collect()
}

/// Asks until there is an answer.
pub(super) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

pub(super) fn mqtt(port: u16, protocol: Protocol) -> Mqtt {
    Mqtt {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        protocol,
        qos: 1,
        session_expiry: Some(Duration::from_secs(3_600)),
        client_id: "gateway".into(),
        login: None,
        shared_group: None,
        keep_alive: Duration::from_secs(30),
        receive_max: 100,
        packet_bytes_max: 2 << 20,
        rejects_backlog: false,
        filters: vec!["s/#".into()],
    }
}

pub(super) fn listen() -> Listen {
    Listen {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        users: Vec::new(),
        refuse_subscriptions: false,
        clients_max: 10,
        packet_bytes_max: 2 << 20,
        rate_max: 1_000_000,
        receive_max: 100,
    }
}
