//! What the codes of a broker mean, and what to do next, in words.

use super::codes::{name, shown};
use super::decode::Said;
use crate::config::model::{Login, Protocol};
use std::collections::BTreeSet;
use std::io;

/// Topic filters that one sentence names; it counts the others.
const FILTERS_SHOWN: usize = 5;
/// Characters that are shown of a server reference.
const SERVER_SHOWN: usize = 200;

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
pub(crate) fn connack(code: u8, said: &Said, who: Who<'_>, version: Protocol) -> String {
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
        0x8A => format!(
            "the broker has banned this client (client id `{client_id}`): lift the ban in the broker's configuration"
        ),
        0x87 => match user {
            "" => "the broker does not let us in without a user name: set `username` and `password`".into(),
            // mosquitto says no more of a wrong password.
            user => format!(
                "the broker does not let user `{user}` in: correct `username` and `password`, or allow it in the broker's \
                 configuration"
            ),
        },
        0x81 | 0x82 => format!(
            "the broker does not understand our CONNECT ({}): set `protocol = \"3.1.1\"` if it is an older one, and look into its log",
            shown(code)
        ),
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
        0x9C | 0x9D => moved(code, said),
        code => format!("the broker refused the connection ({}): look into its log", shown(code)),
    };
    with(what, said.reason.as_deref())
}

/// Why a broker refused a subscription (SUBACK, MQTT 5 section 3.9.3).
pub(crate) fn suback(code: u8, filter: &str) -> String {
    let why = match code {
        0x87 => "this client may not read it: allow it in the broker's access list",
        0x8F => "the broker does not accept such a filter: change the stream's `topic`",
        0x91 => "the broker has not answered an earlier request yet; tidegate asks again",
        0x97 => "the broker's quota is used up: raise its limits or subscribe to less",
        0x9E => "the broker has no shared subscriptions: remove `shared_group`",
        0xA2 => "the broker has no wildcard subscriptions: write the topics out",
        _ => "look into the broker's log and its access list",
    };
    // The one refusal of 3.1.1, which says nothing of why, is the first of MQTT 5.
    format!(
        "the broker refused the subscription to `{filter}` ({}): {why}; nothing of it arrives",
        shown(code)
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
        code => format!("the broker refused a message to `{topic}` ({}): look into its log", shown(code)),
    };
    with(what, said)
}

/// Why a broker ended the connection (DISCONNECT, MQTT 5 section 3.14.2.1).
pub(crate) fn disconnect(code: u8, said: &Said, client_id: &str) -> String {
    let what = match code {
        0x00 => "the broker ended the connection".into(),
        0x87 => "the broker withdrew our permission: look into its access list".into(),
        0x89 => "the broker is too busy; tidegate keeps trying".into(),
        0x8B => "the broker is shutting down or starts again; tidegate keeps trying".into(),
        0x8D => "the broker heard nothing from us for too long: the network lost our pings".into(),
        0x8E => format!(
            "another client connected with our client id `{client_id}` and took the session over: \
             give each client its own `client_id`"
        ),
        0x93 => "the broker finds too many messages in flight: lower `receive_maximum`".into(),
        0x95 => "the broker finds a packet too large: raise its limit, or shorten what is sent".into(),
        0x96 => "the broker finds that we send too often: raise its limit of messages, or send less".into(),
        0x97 => "the broker's quota for us is used up: raise its limits".into(),
        0x98 => "an administrator of the broker ended the connection: ask there".into(),
        0x9A => "the broker keeps no messages: set `retain = false`".into(),
        0x9B => "the broker does not take this QoS: set `qos = 0`".into(),
        0x9E => "the broker has no shared subscriptions: remove `shared_group`".into(),
        0x9F => "the broker gets too many connections: raise its limit; tidegate keeps trying".into(),
        0xA0 => "the broker ends every connection after a time; tidegate connects again".into(),
        0xA2 => "the broker has no wildcard subscriptions: write the topics out".into(),
        0x9C | 0x9D => moved(code, said),
        code => format!("the broker ended the connection ({}): look into its log", shown(code)),
    };
    with(what, said.reason.as_deref())
}

/// A broker that closes without a word between SUBSCRIBE and its answer.
pub(crate) fn closed_at_subscribe(client_id: &str) -> String {
    format!(
        "the broker closed the connection instead of answering SUBSCRIBE: look into its log. It may not let this client read \
         one of the topics of the streams (correct its policy or access list), or not so many of them (ask for fewer, with \
         wildcards), or another client uses the client id `{client_id}` too (give each its own), or it stops and starts again"
    )
}

/// A broker that accepts us again and again and closes soon each time, without a word. `restarts`: between these connections nobody
/// took others.
pub(crate) fn closes_again(client_id: &str, restarts: bool) -> String {
    let what = "the broker accepts the connection and closes it again, time after time";
    if restarts {
        return format!(
            "{what}, and in between it cannot be reached: it seems to be restarted every few seconds. Look into its \
             log; tidegate keeps trying"
        );
    }
    format!(
        "{what}. Either another client uses the client id `{client_id}` too (each ends the other's connection), or the broker \
         stops and starts again, or cannot deliver what is queued for us. The broker's log tells which: of one client id twice \
         mosquitto says \"already connected, closing old connection\"; then give each client its own `client_id`"
    )
}

/// A broker that sends us elsewhere (MQTT 5 section 4.11), with its server reference where it gave one.
fn moved(code: u8, said: &Said) -> String {
    let how = if code == 0x9D { "for good" } else { "for now" };
    match said.server.as_deref().map(answerable).filter(|server| !server.is_empty()) {
        Some(server) => {
            format!("the broker says that another server is responsible {how}, `{server}`: set `url` to it")
        }
        None => format!(
            "the broker says that another server is responsible {how} ({}) and not which: ask who runs it, and set `url`",
            name(code).unwrap_or_default()
        ),
    }
}

/// A broker that says for a second time that we are connected (MQTT 5 section 3.2).
pub(crate) fn second_connack(code: u8) -> String {
    format!(
        "the broker sent a second CONNACK ({}) on one connection, which MQTT does not allow: tidegate connects again. If this stays, \
         look for a proxy in between that mixes connections, and into the broker's log",
        shown(code)
    )
}

/// A stranger's text, short and printable.
fn answerable(text: &str) -> String {
    text.chars().take(SERVER_SHOWN).flat_map(char::escape_debug).collect()
}

fn with(what: String, said: Option<&str>) -> String {
    match said {
        Some(said) if !said.is_empty() => format!("{what} (it says: {})", said.escape_debug()),
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing that MQTT 5 defines is a bare number, and what is not defined says so.
    #[test]
    fn every_code_is_a_sentence() {
        let who = Who { client_id: "gw", user: "" };
        for code in 0x80..=0xA2 {
            let known = name(code).unwrap();
            let all = [
                connack(code, &Said::default(), who, Protocol::V5),
                suback(code, "a/#"),
                puback(code, None, "a", who),
                disconnect(code, &Said::default(), "gw"),
            ];
            for text in all {
                assert!(!text.contains("0x") || text.contains(known), "{text}");
            }
        }
        let text = disconnect(0xEE, &Said::default(), "gw");
        assert!(text.contains("0xee, which MQTT 5 does not define"), "{text}");
    }

    #[test]
    fn another_server_is_named() {
        let to = |server: Option<&str>| Said {
            reason: Some("maintenance".into()),
            server: server.map(str::to_owned),
        };
        let who = Who { client_id: "gw", user: "" };
        for text in [
            disconnect(0x9D, &to(Some("b.example:8883")), "gw"),
            connack(0x9D, &to(Some("b.example:8883")), who, Protocol::V5),
        ] {
            assert!(text.contains("for good, `b.example:8883`: set `url`"), "{text}");
            assert!(text.contains("(it says: maintenance)"), "{text}");
        }
        let text = disconnect(0x9C, &to(Some("x\u{1b}[1m")), "gw");
        assert!(text.contains("for now") && !text.contains('\u{1b}'), "{text}");
        let text = disconnect(0x9C, &to(None), "gw");
        assert!(text.contains("(Use another server) and not which"), "{text}");
    }
}
