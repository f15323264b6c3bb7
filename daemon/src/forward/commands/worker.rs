//! Publishes the commands of one function, one after the other.

use super::Waiting;
use crate::config::model::Broker;
use crate::forward::mqtt::link::Link;
use crate::forward::mqtt::session::{Missing, Verdict};
use crate::forward::state::{CommandCount, OutputState};
use crate::limits;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Until nobody can ask for more and nothing waits.
pub(super) async fn run(broker: Broker, mut waiting: mpsc::Receiver<Waiting>, state: Arc<OutputState>) {
    let mut link = Link::new(broker);
    loop {
        state.commands_pulse.waits("waits for commands");
        let Some(command) = waiting.recv().await else { break };
        let bound = limits::HANDSHAKE_TIMEOUT + limits::COMMAND_TIMEOUT + limits::WEDGED_AFTER;
        state.commands_pulse.does("publishes a command", bound);
        let topic = command.message.topic.clone();
        match publish(&mut link, command).await {
            Ok(()) => {
                tracing::info!(topic, "published a command of the function");
                state.command(CommandCount::Published);
            }
            Err(why) => {
                tracing::warn!(topic, why, "a command of the function was not published");
                state.command(CommandCount::Failed);
            }
        }
    }
    state.commands_pulse.ends();
}

/// Once: nobody knows whether a command that got no answer was carried out, and it may be one that must not be repeated.
async fn publish(link: &mut Link, command: Waiting) -> Result<(), String> {
    let Waiting { message, since } = command;
    let old = || {
        let seconds = limits::COMMAND_AGE_MAX.as_secs();
        format!("it has waited for {seconds} s, and was meant for another moment")
    };
    if since.elapsed() > limits::COMMAND_AGE_MAX {
        return Err(old());
    }
    let takes = link.connected().await?.takes;
    if since.elapsed() > limits::COMMAND_AGE_MAX {
        return Err(old());
    }
    if takes.qos_max < message.qos {
        return Err("the broker takes messages at QoS 0 only".into());
    }
    if message.retain && !takes.retains {
        return Err("the broker retains no messages".into());
    }
    let mut published = link.publish(vec![message], Instant::now() + limits::COMMAND_TIMEOUT).await;
    match (published.verdicts.pop().flatten(), published.missing) {
        (Some(Verdict::Taken), _) => Ok(()),
        (Some(Verdict::Refused(words) | Verdict::Denied(words)), _) => Err(words),
        (None, Some(Missing::Lost(why))) => Err(why),
        (None, _) => {
            Err(format!("the broker did not acknowledge it within {} s", limits::COMMAND_TIMEOUT.as_secs()))
        }
    }
}
