//! Answers that act: what a function asks for in a 2xx is published, where the configuration allows it.
//!
//! At most once, and beside everything else: a command waits in a queue of its own, in memory, and neither delays nor fails
//! the confirmation of the events that its answer was about. It goes out on a connection of its own.

mod worker;

use super::mqtt::session::Message;
use super::state::{CommandCount, OutputState};
use crate::config::model::Commands;
use crate::limits;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Instant;
use tidegate_pipeline::topic::TopicPattern;
use tokio::sync::mpsc;

/// A command that waits.
struct Waiting {
    message: Message,
    since: Instant,
}

/// Takes commands out of answers. The commands that wait go on when it is dropped.
pub struct Commander {
    allowed: Vec<TopicPattern>,
    queue: mpsc::Sender<Waiting>,
    state: Arc<OutputState>,
}

/// The part of an answer's body that is about commands; whatever else it holds is ignored.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    publish: &'a RawValue,
}

/// A command as a function writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    topic: String,
    /// Text is published as it stands, anything else as JSON.
    payload: serde_json::Value,
    #[serde(default = "one")]
    qos: u8,
    #[serde(default)]
    retain: bool,
}

fn one() -> u8 {
    1
}

impl Commander {
    /// Starts what publishes them; nothing is connected before there is a command. Must be called in a tokio runtime.
    pub fn start(cfg: Commands, state: Arc<OutputState>) -> Commander {
        // The configuration was read: they are filters.
        let allowed = cfg.topics.iter().filter_map(|topic| TopicPattern::parse(topic).ok()).collect();
        let (queue, waiting) = mpsc::channel(limits::COMMANDS_WAITING_MAX);
        state.counts_commands();
        tokio::spawn(worker::run(cfg.broker, waiting, Arc::clone(&state)));
        Commander { allowed, queue, state }
    }

    /// Takes the commands of an answer; never waits. `truncated`: there was more of the body.
    pub fn take(&self, body: &[u8], truncated: bool) {
        if truncated {
            if body.windows(9).any(|bytes| bytes == b"\"publish\"") {
                let most = limits::ANSWER_BYTES_MAX >> 10;
                self.refuse(&format!(
                    "the answer is longer than {most} KiB, so that its commands cannot be read"
                ));
            }
            return;
        }
        let Ok(Body { publish }) = serde_json::from_slice::<Body<'_>>(body) else { return };
        let Ok(publish) = serde_json::from_str::<Vec<&RawValue>>(publish.get()) else {
            return self.refuse("`publish` is not a list");
        };
        for (at, command) in publish.into_iter().enumerate() {
            let result = match at {
                limits::COMMANDS_PER_ANSWER_MAX.. => {
                    Err(format!("an answer may hold {} commands", limits::COMMANDS_PER_ANSWER_MAX))
                }
                _ => self.accept(command),
            };
            if let Err(why) = result {
                self.refuse(&why);
            }
        }
    }

    fn accept(&self, command: &RawValue) -> Result<(), String> {
        if command.get().len() > 8 * limits::COMMAND_BYTES_MAX {
            return Err("it is too large".into());
        }
        let Command { topic, payload, qos, retain } =
            serde_json::from_str(command.get()).map_err(|error| {
                format!("it is not a command: {}", super::answer::printable(&error.to_string()))
            })?;
        let said = super::answer::printable(&topic);
        let payload = match payload {
            serde_json::Value::String(text) => text.into_bytes(),
            value => value.to_string().into_bytes(),
        };
        if payload.len().max(topic.len()) > limits::COMMAND_BYTES_MAX {
            let most = limits::COMMAND_BYTES_MAX >> 10;
            return Err(format!("the command to `{said}` is longer than {most} KiB"));
        }
        if topic.is_empty() || topic.contains(['+', '#']) || topic.chars().any(char::is_control) {
            return Err(format!("nobody can publish at `{said}`"));
        }
        if !self.allowed.iter().any(|allowed| allowed.covers(&topic)) {
            return Err(format!(
                "the topic `{said}` is not allowed: add it to `commands.topics` if it should be"
            ));
        }
        if qos > 1 {
            return Err(format!("the command to `{said}` asks for QoS {qos}; it can be 0 or 1"));
        }
        let message = Message { topic, payload, qos, retain };
        let waiting = Waiting { message, since: Instant::now() };
        self.queue.try_send(waiting).map_err(|_| {
            format!("the command to `{said}` finds {} others waiting", limits::COMMANDS_WAITING_MAX)
        })
    }

    fn refuse(&self, why: &str) {
        tracing::warn!(why, "a command of the function is refused");
        self.state.command(CommandCount::Refused);
    }
}
