//! Every limit of the daemon, in one place. docs/limits.md explains them; a test holds the two together.
//!
//! What a limit refuses is counted in the ledger under a reason, or shown in status.

use std::time::Duration;

/// Largest MQTT packet that a source accepts unless it says otherwise, in bytes.
pub const PACKET_BYTES_MAX: usize = 1 << 20;
/// Messages in flight that we ask a broker for (MQTT 5 receive maximum).
pub const RECEIVE_MAX: u16 = 16_384;
/// Messages in flight that the listener grants one client (MQTT 5 receive maximum).
pub const CLIENT_RECEIVE_MAX: u16 = 2_048;
/// Clients connected to one listener.
pub const CLIENTS_MAX: usize = 1_000;
/// Messages a second that one listener client may send on average, unless set: no limit below this.
pub const CLIENT_RATE_MAX: u32 = 50_000;
/// How long a client may take from connecting to CONNECT, and a broker from connecting to CONNACK.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of topics and payloads that wait for the writer.
pub const INTAKE_BYTES_MAX: usize = 8 << 20;
/// Messages that wait for the writer.
pub const INTAKE_MESSAGES_MAX: usize = 65_536;
/// Readings that one message may carry.
pub const READINGS_PER_MESSAGE_MAX: usize = 1_000;
/// Bytes of a dead letter that are kept; a larger message is rejected without its bytes.
pub const DEAD_LETTER_BYTES_MAX: usize = 64 << 10;
/// Dead letters kept; the oldest makes room.
pub const DEAD_LETTERS_MAX: u64 = 10_000;
/// Dead letters written in one transaction; more are rejected without their bytes.
pub const DEAD_LETTERS_PER_COMMIT_MAX: usize = 100;
/// Series kept; new ones beyond it are rejected.
pub const SERIES_MAX: u32 = 100_000;
/// Shortest and longest wait before a source or output tries again.
pub const RETRY_MIN: Duration = Duration::from_millis(200);
/// See [`RETRY_MIN`].
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// Messages in one transaction.
pub const COMMIT_MESSAGES_MAX: usize = 32_768;
/// After a connection opened, windows wait so long at most for what its source still has for us.
pub const BACKLOG_HOLD_MAX: Duration = Duration::from_secs(30);
/// Bytes that one read takes from an MQTT connection. The buffer starts at [`READ_BYTES_MIN`] and grows to this with the rate.
pub const READ_BYTES_MAX: usize = 64 << 10;
/// See [`READ_BYTES_MAX`]: what an idle connection costs.
pub const READ_BYTES_MIN: usize = 4 << 10;
/// Least time between two small reads of one MQTT connection: at high rates messages are taken together.
pub const READ_SPACING: Duration = Duration::from_millis(2);
/// Bytes that wait to be written to one MQTT connection before no more is read from it.
pub const WRITE_BYTES_MAX: usize = 256 << 10;
/// Acknowledged packet identifiers that one MQTT connection remembers, to know a repeated PUBLISH when it sees one.
pub const PACKET_IDS_REMEMBERED: usize = 1_024;
/// Largest CONNECT that the listener reads, in bytes: will, user name and password included.
pub const CONNECT_BYTES_MAX: usize = 128 << 10;
/// Connections of one listener beyond its clients: those that are connecting, or being refused.
pub const CONNECTING_MAX: usize = 64;
/// Topic filters in one SUBSCRIBE or UNSUBSCRIBE.
pub const FILTERS_PER_PACKET_MAX: usize = 64;
/// How long stopping waits for what was received to be committed and acknowledged.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that lived this long was a good one: the next failure is the first again.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);
/// A broker's backlog is drained when it was silent for this long.
pub const DRAINED_AFTER: Duration = Duration::from_millis(250);
/// How long the trouble of one listener client is shown.
pub const CLIENT_TROUBLE_SHOWN: Duration = Duration::from_secs(300);
