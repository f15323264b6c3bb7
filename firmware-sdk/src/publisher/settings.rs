//! How to publish, and what can go wrong.

use core::fmt;
use embassy_time::Duration;
use minimq::{Error, PeerError, ReasonCode};

/// Where and how to publish.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The name of the device at the broker, at most 64 bytes; no other device may have it.
    pub client_id: &'a str,
    /// Where frames go: the topic of a stream with `format = "tidegate"`.
    pub topic: &'a str,
    /// User and password, where the broker asks for them.
    pub login: Option<(&'a str, &'a [u8])>,
    /// A frame is sent when its oldest reading is so old …
    pub gather: Duration,
    /// … or so many readings wait.
    pub enough: u32,
    /// Without an answer for so long a connection is given up.
    pub timeout: Duration,
    /// MQTT's keep-alive, in seconds.
    pub keep_alive_s: u16,
    /// After the first failure, at most so long passes before the next try; twice as long after each more …
    pub backoff_least: Duration,
    /// … up to this.
    pub backoff_most: Duration,
}

impl<'a> Settings<'a> {
    /// The usual: a frame a minute, or when it has 200 readings.
    pub const fn new(client_id: &'a str, topic: &'a str) -> Settings<'a> {
        Settings {
            client_id,
            topic,
            login: None,
            gather: Duration::from_secs(60),
            enough: 200,
            timeout: Duration::from_secs(20),
            keep_alive_s: 60,
            backoff_least: Duration::from_secs(1),
            backoff_most: Duration::from_secs(120),
        }
    }
}

/// Why a connection ended, or was not made. What was not acknowledged is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Trouble {
    /// There is no way to the broker.
    Network,
    /// Nothing came for longer than [`Settings::timeout`].
    NoAnswer,
    /// The other side ended the connection, or its end was lost.
    Closed,
    /// The broker refused, with this reason code (MQTT 5, section 2.4): 134 and 135 say that user, password or rights are wrong.
    Refused(u8),
    /// What came was not MQTT 5, or longer than a publisher needs to read.
    Protocol,
    /// The client id is too long, the buffer of the publisher too small for topic and frame, or the broker takes no QoS 1.
    Settings,
}

impl Trouble {
    pub(crate) fn of<E>(error: &Error<E>) -> Trouble {
        match error {
            Error::Peer(PeerError::Rejected(reason)) => Trouble::Refused(code(*reason)),
            Error::Peer(_) => Trouble::Protocol,
            Error::Disconnected | Error::WriteZero | Error::Transport(_) => Trouble::Closed,
            _ => Trouble::Settings,
        }
    }
}

fn code(reason: ReasonCode) -> u8 {
    reason.into()
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Network => f.write_str("there is no way to the broker"),
            Trouble::NoAnswer => f.write_str("the broker does not answer"),
            Trouble::Closed => f.write_str("the connection ended"),
            Trouble::Refused(code) => write!(f, "the broker refused, with reason code {code}"),
            Trouble::Protocol => f.write_str("the answer is no MQTT 5"),
            Trouble::Settings => f.write_str("client id, topic, buffer or QoS do not fit: see `Settings`"),
        }
    }
}

impl core::error::Error for Trouble {}
