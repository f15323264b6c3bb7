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
/// Bytes of a configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Errors and warnings about a configuration that are shown; all are counted.
pub const CONFIG_FINDINGS_MAX: usize = 100;
/// Tables of one kind (sources, streams, summaries, outputs) in a configuration.
pub const CONFIG_SECTIONS_MAX: usize = 1_000;
/// Elements of one list in a configuration.
pub const CONFIG_LIST_MAX: usize = 4_096;
/// The largest `max_packet` that a source can be given, in bytes.
pub const PACKET_BYTES_LIMIT: u64 = 64 << 20;
