//! From an address to a session: CONNECT, CONNACK.

use super::Client;
use crate::mqtt::transport::Wire;
use crate::secret::SecretText;
use crate::wire::decode::{ConnAck, Packet};
use crate::wire::encode::{self, Hello};
use crate::wire::reasons;
use std::time::Duration;

/// Why there is no connection (any more).
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) kind: FailureKind,
    /// After CONNACK.
    pub(super) opened: bool,
    /// How long, after CONNACK.
    pub(super) lived: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The broker does not speak this version.
    Version,
    /// The broker closed the connection without a word.
    Closed,
    /// Nobody takes connections there.
    Gone,
    Other,
}

impl Failure {
    /// A failure before CONNACK.
    pub(super) fn before(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), kind: FailureKind::Other, opened: false, lived: Duration::ZERO }
    }
}

/// As the protocol counts them; the greatest number is "for ever".
pub(super) fn seconds(length: Duration) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}

impl Client {
    /// From nothing to CONNACK.
    pub(super) async fn open(&mut self) -> Result<(Wire, ConnAck), Failure> {
        let gone = |text| Failure { kind: FailureKind::Gone, ..Failure::before(text) };
        let stream = self.dialer.dial().await.map_err(gone)?;
        let mut wire = Wire::new(stream, self.cfg.packet_bytes_max);
        let password = self.dialer.password(self.cfg.login.as_ref()).await.map_err(Failure::before)?;
        let login = self
            .cfg
            .login
            .as_ref()
            .map(|login| (login.user.as_str(), password.as_ref().map_or("", SecretText::reveal)));
        let hello = Hello {
            version: self.version,
            client_id: &self.cfg.client_id,
            clean: self.cfg.session_expiry.is_none(),
            keep_alive: u16::try_from(self.cfg.keep_alive.as_secs()).unwrap_or(u16::MAX),
            login,
            session_expiry: self.cfg.session_expiry.map_or(0, seconds),
            receive_max: self.cfg.receive_max,
            packet_bytes_max: u32::try_from(self.cfg.packet_bytes_max).unwrap_or(u32::MAX),
        };
        encode::connect(&hello, &mut wire.out).map_err(|fault| Failure::before(fault.to_string()))?;
        match wire.packet(Some(self.version), None).await {
            Ok(Packet::ConnAck(connack)) if connack.code == 0 => Ok((wire, connack)),
            Ok(Packet::ConnAck(connack)) => Err(Failure {
                kind: if connack.code == 0x84 { FailureKind::Version } else { FailureKind::Other },
                ..Failure::before(reasons::connack(
                    connack.code,
                    &connack.said,
                    reasons::Who::new(&self.cfg.client_id, self.cfg.login.as_ref()),
                    self.version,
                ))
            }),
            Ok(Packet::Disconnect { code, said }) => {
                Err(Failure::before(reasons::disconnect(code, &said, &self.cfg.client_id)))
            }
            Ok(_) => Err(Failure::before(
                "what answers there is not an MQTT broker: it answered CONNECT with another packet",
            )),
            Err(over) if over.is_end() => Err(Failure {
                kind: FailureKind::Closed,
                ..Failure::before(
                    "the broker closed the connection instead of answering CONNECT: is it still starting? Otherwise look into \
                     its log, and set `protocol = \"3.1.1\"` if it speaks no other version",
                )
            }),
            Err(over) => Err(Failure::before(format!("no session with the broker: {over}"))),
        }
    }
}
