//! Every limit of the daemon, in one place. docs/limits.md explains them; a test holds the two together.
//!
//! What a limit refuses is counted in the ledger under a reason, or shown in status.

use std::time::Duration;
use tidegate_pipeline::time::Span;

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
/// How long the name of a broker may take to be resolved, within that.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(8);
/// Bytes of topics and payloads that wait for the writer.
pub const INTAKE_BYTES_MAX: usize = 8 << 20;
/// Messages that wait for the writer.
pub const INTAKE_MESSAGES_MAX: usize = 65_536;
/// Dead letters kept; the oldest makes room.
pub const DEAD_LETTERS_MAX: u64 = 10_000;
/// Bytes of all dead letters; the oldest make room.
pub const DEAD_LETTERS_BYTES_MAX: u64 = 16 << 20;
/// Room that is kept on the disk, so that what makes room can be written when it is full.
pub const RESERVE_BYTES: u64 = 2 << 20;
/// How often it is asked for where there is no room for it.
pub const RESERVE_RETRY: Duration = Duration::from_secs(60);
/// Damaged stores that are kept beside the one that was salvaged from them; the oldest goes.
pub const DAMAGED_STORES_MAX: usize = 2;
/// Deliveries that are remembered only to know them again, of all senders; fewer where the buffer is small.
pub const REMEMBERED_MAX: u64 = 4_000_000;
/// However small it is, so many.
pub const REMEMBERED_MIN: u64 = 65_536;
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
/// Bytes of packets that are not complete, of all clients of one listener, and room for two of the largest; the slowest client goes.
pub const UNFINISHED_BYTES_MAX: usize = 32 << 20;
/// Largest CONNECT that the listener reads, in bytes: will, user name and password included.
pub const CONNECT_BYTES_MAX: usize = 128 << 10;
/// Bytes of CONNECTs that are not complete, of all who connect to one listener; the slowest is closed.
pub const UNFINISHED_CONNECTS_BYTES_MAX: usize = 8 << 20;
/// Connections of one listener beyond its clients: those that are connecting, or being refused.
pub const CONNECTING_MAX: usize = 64;
/// Topic filters in one SUBSCRIBE or UNSUBSCRIBE: as many as AWS IoT Core allows.
pub const FILTERS_PER_PACKET_MAX: usize = 8;
/// How long stopping waits for what was received to be committed and acknowledged.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Devices whose clocks the status document shows; it says how many there are.
pub const CLOCKS_SHOWN_MAX: usize = 100;
/// Devices that send frames which the status document and the metrics show: those that lost the most.
pub const DEVICES_SHOWN_MAX: usize = 100;
/// How many of them the status page and `tidegate status` list.
pub const DEVICES_LISTED_MAX: usize = 10;
/// Connections of the status endpoint.
pub const STATUS_CONNECTIONS_MAX: usize = 64;
/// After this long a connection of the status endpoint is closed when its request is answered. A `tap` may stay.
pub const STATUS_CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);
/// How long one request to the status endpoint may take, its body and its answer included.
pub const STATUS_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head, and of its body, that the status endpoint reads.
pub const STATUS_REQUEST_BYTES_MAX: usize = 16 << 10;
/// Readers of `tap` at a time.
pub const TAPS_MAX: usize = 8;
/// Lines that wait for a slow reader of `tap` before it loses some.
pub const TAP_LINES_MAX: usize = 2_048;
/// A `tap` with nothing to say sends an empty line so often, to notice readers that are gone.
pub const TAP_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Raised alerts that status lists.
pub const ALERTS_SHOWN_MAX: usize = 100;
/// Dead letters listed on one page.
pub const LETTERS_PER_PAGE_MAX: usize = 100;
/// Dead letters retried or dropped in one transaction: few enough that those that fail again find room in it (see
/// `DEAD_LETTERS_PER_STEP_MAX` of the pipeline).
pub const LETTERS_PER_ORDER_MAX: usize = 50;
/// After this long an order about many dead letters says how far it came.
pub const ORDER_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that lived this long was a good one: the next failure is the first again.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);
/// A broker's backlog is drained when it was silent for this long.
pub const DRAINED_AFTER: Duration = Duration::from_millis(250);
/// So long after a message a broker is asked whether it has read the acknowledgement.
pub const PROVED_AFTER: Duration = Duration::from_secs(10);
/// What a broker has read does not come again after so long. Before that it may die and begin anew from what it has saved: mosquitto
/// saves every 30 s with the settings of docs/raspberry-pi.md.
pub const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// How long a broker may take to close a connection that we leave.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the trouble of one listener client is shown.
pub const CLIENT_TROUBLE_SHOWN: Duration = Duration::from_secs(300);
/// Longest `Retry-After` that is honoured; a longer one counts as this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// How long an output may take to connect, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An output that has nothing to send tries its connection so long after the start.
pub const TRY_AFTER: Duration = Duration::from_secs(1);
/// How long a source or an output waits for a file that it reads: a secret, a certificate.
pub const FILES_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server that gives out tokens may take.
pub const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(20);
/// A token that came in place of a refused one, and is refused too, is tried for so long before another is asked for.
pub const REFUSED_TOKEN_KEPT: Duration = Duration::from_secs(60);
/// How long an idle connection to a function is kept: below the 60 s after which load balancers drop it unseen.
pub const POOL_IDLE_MAX: Duration = Duration::from_secs(50);
/// Spacing of the TCP keep-alive probes that find out that a connection to a function is dead.
pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a request that is under way may still take when the daemon leaves; after it, the events are sent again
/// at the next start.
pub const LEAVE_GRACE: Duration = Duration::from_secs(2);
/// Bytes of a body from which on it is compressed on a thread of its own: gzip takes 0.6 ms for it on a server, and several times that on a gateway.
pub const COMPRESSED_APART_BYTES: usize = 64 << 10;
/// Bytes of a function's answer that are read.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Characters of a function's own words that are kept.
pub const WORDS_MAX: usize = 200;
/// Single events refused in a row at which the destination is taken to be broken, and no event for bad.
pub const REFUSALS_MAX: u32 = 20;
/// Refused events that one output sets aside before it tries the oldest again, at first …
pub const SUSPECTS_MIN: usize = 40;
/// … and at most.
pub const SUSPECTS_MAX: usize = 320;
/// Failures in a row after which an output sends one event alone, and says what is wrong.
pub const FAILURES_MAX: u32 = 3;
/// Events sent one by one to a function that fails on batches, before a batch is tried again: at first …
pub const SINGLES_MIN: u32 = 10;
/// … and at most.
pub const SINGLES_MAX: u32 = 10_240;
/// Events that a file output appends with one sync.
pub const FILE_EVENTS_MAX: usize = 500;
/// Bytes that a file output appends with one sync; a single event may be larger.
pub const FILE_BYTES_MAX: usize = 256 << 10;
/// Requests to one function that may be under way at a time.
pub const CONCURRENCY_MAX: usize = 16;
/// Events that an MQTT output publishes in one attempt.
pub const PUBLISH_EVENTS_MAX: usize = 100;
/// Bytes of them; a single event may be larger.
pub const PUBLISH_BYTES_MAX: usize = 256 << 10;
/// Messages that an MQTT output has published and not seen acknowledged, or fewer where the broker says so.
pub const PUBLISHES_IN_FLIGHT_MAX: u16 = 100;
/// An MQTT output that has nothing to publish says so often that it is there, unless the broker wants it otherwise.
pub const PUBLISH_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Bytes of the largest packet that an MQTT output takes from its broker, which has little to say.
pub const PUBLISH_ANSWER_BYTES_MAX: usize = 64 << 10;
/// Series of which an MQTT output remembers the newest that was retained; of others an amendment may replace it.
pub const RETAINED_SERIES_MAX: usize = 10_000;
/// Values that an MQTT output announces for discovery on one connection; more are published without.
pub const DISCOVERED_MAX: usize = 10_000;
/// Values of one event that it announces.
pub const DISCOVERED_PER_EVENT_MAX: usize = 64;
/// Acknowledgements of a broker that are not looked at yet: as many as there are messages in flight. Beyond it the connection is ended.
pub const PUBLISH_ACKS_MAX: usize = 8_192;
/// Commands in one answer of a function; those behind them are refused.
pub const COMMANDS_PER_ANSWER_MAX: usize = 20;
/// Bytes of a command's payload, and of its topic; a larger one is refused.
pub const COMMAND_BYTES_MAX: usize = 16 << 10;
/// Commands of one function that wait to be published; more are refused.
pub const COMMANDS_WAITING_MAX: usize = 100;
/// A command that has waited for so long is not published any more: it was meant for another moment.
pub const COMMAND_AGE_MAX: Duration = Duration::from_secs(30);
/// How long a broker may take to acknowledge a command.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Errors and warnings about a configuration that are shown; all are counted.
pub const CONFIG_FINDINGS_MAX: usize = 100;
/// Tables of one kind (sources, streams, summaries, outputs) in a configuration.
pub const CONFIG_SECTIONS_MAX: usize = 1_000;
/// The largest `max_packet` that a source can be given, in bytes.
pub const PACKET_BYTES_LIMIT: u64 = 64 << 20;
/// Transactions that a slow `tap` may lag behind before it loses lines.
pub const TAP_BATCHES_MAX: usize = 16;
/// How often it is looked at who vouches for the clock.
pub const CLOCK_LOOK: Span = Span::from_secs(1);
/// A part of the daemon that is due for so long, and waits for nobody outside, is stuck.
pub const WEDGED_AFTER: Duration = Duration::from_secs(10);
/// The same for the history's thread, which nobody waits for: opening a large file on a slow card takes its time.
pub const HISTORY_WEDGED_AFTER: Duration = Duration::from_secs(600);
/// How often the runtime's thread shows that it turns.
pub const RUNTIME_TURN: Duration = Duration::from_secs(5);
/// A watchdog that looks so much later than it wanted was stopped itself, and blames nobody.
pub const WATCHDOG_LATE: Duration = Duration::from_secs(2);
/// How often that is looked at where systemd grants no watchdog.
pub const WATCHDOG_LOOK: Duration = Duration::from_secs(5);
/// Elements of one list in a configuration.
pub const CONFIG_LIST_MAX: usize = 4_096;
/// Summaries that wait for the history's thread; more are lost to queries, and counted.
pub const HISTORY_WAITING_MAX: usize = 20_000;
/// Batches of them that wait.
pub const HISTORY_BATCHES_MAX: usize = 64;
/// The history is written once in this time, or when [`HISTORY_COMMIT_ROWS`] have come.
pub const HISTORY_COMMIT_EVERY: Duration = Duration::from_secs(60);
/// See [`HISTORY_COMMIT_EVERY`].
pub const HISTORY_COMMIT_ROWS: usize = 5_000;
/// Summaries that one query gives at most.
pub const HISTORY_QUERY_MAX: usize = 10_000;
/// Summaries that one query looks at, whether they are wanted or not: about a second's work on a small board.
pub const HISTORY_LOOK_MAX: usize = 500_000;
/// A changed configuration that is not in force after so long, because the disk refuses, is shown as a problem.
pub const RELOAD_PATIENCE: Duration = Duration::from_secs(5);
/// The longest wait before a disk that refused is tried again.
pub const DISK_RETRY_MAX: Duration = Duration::from_secs(5);
/// The first heartbeat comes so long after the start, or sooner where `every` is shorter.
pub const HEARTBEAT_FIRST: Duration = Duration::from_secs(10);
/// Problems in a heartbeat.
pub const HEARTBEAT_PROBLEMS_MAX: usize = 20;
/// Characters of each of them.
pub const HEARTBEAT_PROBLEM_CHARS_MAX: usize = 500;
/// Outputs in a heartbeat.
pub const HEARTBEAT_OUTPUTS_MAX: usize = 100;
