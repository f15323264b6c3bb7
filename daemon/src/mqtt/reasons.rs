//! What the codes of a broker mean, and what to do next, in words.

use crate::config::model::{Mqtt, Protocol};
use std::io;

/// Why there is no connection.
pub(super) fn unreachable(place: &str, error: &io::Error) -> String {
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
pub(super) fn connack(code: u8, said: Option<&str>, cfg: &Mqtt, version: Protocol) -> String {
    let user = cfg.login.as_ref().map_or("", |login| login.user.as_str());
    let what = match code {
        0x84 => format!(
            "the broker does not speak MQTT {}: set `protocol` to a version that it speaks",
            if version == Protocol::V5 { "5" } else { "3.1.1" }
        ),
        0x85 => format!(
            "the broker refused the client id `{}`: set `client_id` to one that it accepts",
            cfg.client_id
        ),
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
pub(super) fn suback(code: u8, filter: &str) -> String {
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

/// Why a broker ended the connection (DISCONNECT, MQTT 5 section 3.14.2.1).
pub(super) fn disconnect(code: u8, said: Option<&str>, cfg: &Mqtt) -> String {
    let what = match code {
        0x00 => "the broker ended the connection".into(),
        0x87 => "the broker withdrew our permission: look into its access list".into(),
        0x89 => "the broker is too busy; tidegate keeps trying".into(),
        0x8B => "the broker is shutting down; tidegate keeps trying".into(),
        0x8D => "the broker heard nothing from us for too long: the network lost our pings".into(),
        0x8E => format!(
            "another client connected with our client id `{}` and took the session over: \
             give each client its own `client_id`",
            cfg.client_id
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

/// What it looks like when a broker accepts us again and again and closes each time without a word.
pub(super) fn closes_again(times: u32, cfg: &Mqtt) -> String {
    format!(
        "the broker accepted the connection and closed it again, {times} times in a row. It looks as if another client \
         uses the client id `{}` too (each ends the other's connection), or as if the broker cannot deliver what is \
         queued for us: give each client its own `client_id`, and look into the broker's log",
        cfg.client_id
    )
}

fn with(what: String, said: Option<&str>) -> String {
    match said {
        Some(said) if !said.is_empty() => format!("{what} (it says: {})", said.escape_debug()),
        _ => what,
    }
}
