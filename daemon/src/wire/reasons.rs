//! What the codes of a broker mean, and what to do next, in words.

use crate::config::model::{Login, Protocol};
use std::collections::BTreeSet;
use std::io;

/// Topic filters that one sentence names; it counts the others.
const FILTERS_SHOWN: usize = 5;

/// As whom we connect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    client_id: &'a str,
    /// Empty where there is none.
    user: &'a str,
}

impl<'a> Who<'a> {
    pub(crate) fn new(client_id: &'a str, login: Option<&'a Login>) -> Who<'a> {
        Who { client_id, user: login.map_or("", |login| login.user.as_str()) }
    }
}

/// Why there is no connection.
pub(crate) fn unreachable(place: &str, error: &io::Error) -> String {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    match error.kind() {
        ConnectionRefused => {
            format!("{place} refuses connections: is the broker running, and is the port in `url` right?")
        }
        NetworkUnreachable | HostUnreachable => format!("{place} cannot be reached: is the network up?"),
        TimedOut => format!("{place} cannot be reached in time: does no firewall stand in between?"),
        _ => format!(
            "cannot connect to {place}: {error}; is the broker running, and does the network reach it?"
        ),
    }
}

/// Why a broker refused the connection (CONNACK, MQTT 5 section 3.2.2.2).
pub(crate) fn connack(code: u8, said: Option<&str>, who: Who<'_>, version: Protocol) -> String {
    let Who { client_id, user } = who;
    let what = match code {
        0x84 => format!(
            "the broker does not speak MQTT {}: set `protocol` to a version that it speaks",
            if version == Protocol::V5 { "5" } else { "3.1.1" }
        ),
        0x85 => {
            format!("the broker refused the client id `{client_id}`: set `client_id` to one that it accepts")
        }
        0x86 => match user {
            "" => "the broker wants a user name and password: set `username` and `password`".into(),
            user => {
                format!("the broker refused the password of user `{user}`: correct `username` and `password`")
            }
        },
        0x87 | 0x8A => match user {
            "" => "the broker does not let us in without a user name: set `username` and `password`".into(),
            // mosquitto says no more of a wrong password.
            user => format!(
                "the broker does not let user `{user}` in: correct `username` and `password`, or allow it in the broker's \
                 configuration"
            ),
        },
        0x88 | 0x89 => "the broker is not available or too busy; tidegate keeps trying".into(),
        0x8C => "the broker wants an enhanced authentication, which tidegate does not speak: \
                 use a user name and password or a client certificate"
            .into(),
        0x95 => {
            "the broker finds our CONNECT too large: shorten `client_id`, `username` or `password`".into()
        }
        0x97 | 0x9F => "the broker has too many connections or connection attempts: \
                        raise its limits; tidegate keeps trying"
            .into(),
        0x9C | 0x9D => "the broker says that another server is responsible: set `url` to that one".into(),
        code => format!("the broker refused the connection with code 0x{code:02x}: look into its log"),
    };
    with(what, said)
}

/// Why a broker refused a subscription (SUBACK, MQTT 5 section 3.9.3).
pub(crate) fn suback(code: u8, filter: &str) -> String {
    let why = match code {
        0x87 => "this client may not read it: allow it in the broker's access list",
        0x8F => "the broker does not accept such a filter: change the stream's `topic`",
        0x97 => "the broker's quota is used up: raise its limits or subscribe to less",
        0x9E => "the broker has no shared subscriptions: remove `shared_group`",
        0xA2 => "the broker has no wildcard subscriptions: write the topics out",
        _ => "look into the broker's log and its access list",
    };
    format!(
        "the broker refused the subscription to `{filter}` (code 0x{code:02x}): {why}; nothing of it arrives"
    )
}

/// A broker that keeps our session for less long than was asked for (CONNACK, MQTT 5 section 3.2.2.3.2).
pub(crate) fn session_expiry(granted: u32, asked: u32) -> String {
    let (what, accept) = match granted {
        0 => ("does not keep our session".to_owned(), "session = \"clean\"".to_owned()),
        _ => (
            format!("keeps our session for {granted} s, not for {asked} s"),
            format!("session_expiry = \"{granted}s\""),
        ),
    };
    format!(
        "the broker {what} when the connection ends: what is published while tidegate is away for longer is lost. Raise \
         the broker's limit of the session expiry interval, or accept it with `{accept}`"
    )
}

/// A broker that takes messages at QoS 0 only (CONNACK, MQTT 5 section 3.2.2.3.4).
pub(crate) fn qos_max() -> String {
    "the broker takes messages from sensors at QoS 0 only (its maximum QoS): what is on the way when a connection breaks is \
     lost. Allow QoS 1 there, or accept it with `qos = 0`"
        .into()
}

/// Subscriptions that a broker granted at QoS 0 though 1 was asked for (SUBACK).
pub(crate) fn unassured(filters: &BTreeSet<String>) -> String {
    let shown: Vec<String> = filters.iter().take(FILTERS_SHOWN).map(|filter| format!("`{filter}`")).collect();
    let more = match filters.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the broker grants QoS 0 instead of 1 for {}{more}: what is on the way, or comes while tidegate is away, is lost. \
         Allow this client QoS 1 there, or accept it with `qos = 0`",
        shown.join(", ")
    )
}

/// Why a broker refused what we published (PUBACK, MQTT 5 section 3.4.2.1).
pub(crate) fn puback(code: u8, said: Option<&str>, topic: &str, who: Who<'_>) -> String {
    let user = match who.user {
        "" => "this client".to_owned(),
        user => format!("user `{user}`"),
    };
    let what = match code {
        0x87 => format!("the broker does not let {user} publish to `{topic}`: allow it in its access list"),
        0x90 => format!("the broker does not accept the topic `{topic}`"),
        0x95 => format!("the broker finds the message to `{topic}` too large"),
        0x97 => "the broker's quota for us is used up: raise its limits, or publish less".to_owned(),
        0x99 => format!("the broker does not accept the payload of a message to `{topic}`"),
        code => {
            format!("the broker refused a message to `{topic}` with code 0x{code:02x}: look into its log")
        }
    };
    with(what, said)
}

/// Why a broker ended the connection (DISCONNECT, MQTT 5 section 3.14.2.1).
pub(crate) fn disconnect(code: u8, said: Option<&str>, client_id: &str) -> String {
    let what = match code {
        0x00 => "the broker ended the connection".into(),
        0x87 => "the broker withdrew our permission: look into its access list".into(),
        0x89 => "the broker is too busy; tidegate keeps trying".into(),
        0x8B => "the broker is shutting down; tidegate keeps trying".into(),
        0x8D => "the broker heard nothing from us for too long: the network lost our pings".into(),
        0x8E => format!(
            "another client connected with our client id `{client_id}` and took the session over: \
             give each client its own `client_id`"
        ),
        0x93 => "the broker finds too many messages in flight: lower `receive_maximum`".into(),
        0x95 => "the broker finds a packet too large".into(),
        0x97 => "the broker's quota for us is used up: raise its limits".into(),
        0x98 => "an administrator of the broker ended the connection".into(),
        0x9C | 0x9D => "the broker says that another server is responsible: set `url` to that one".into(),
        code => format!("the broker ended the connection with code 0x{code:02x}: look into its log"),
    };
    with(what, said)
}

/// A broker that closes without a word between SUBSCRIBE and its answer.
pub(crate) fn closed_at_subscribe(client_id: &str) -> String {
    format!(
        "the broker closed the connection instead of answering SUBSCRIBE: look into its log. It may not let this client read \
         one of the topics of the streams (correct its policy or access list), or not so many of them (ask for fewer, with \
         wildcards), or another client uses the client id `{client_id}` too (give each its own)"
    )
}

/// What it looks like when a broker accepts us again and again and closes each time without a word.
pub(crate) fn closes_again(client_id: &str) -> String {
    format!(
        "the broker accepts the connection and closes it again, time after time. It looks as if another client \
         uses the client id `{client_id}` too (each ends the other's connection), or as if the broker cannot deliver what is \
         queued for us: give each client its own `client_id`, and look into the broker's log"
    )
}

fn with(what: String, said: Option<&str>) -> String {
    match said {
        Some(said) if !said.is_empty() => format!("{what} (it says: {})", said.escape_debug()),
        _ => what,
    }
}
