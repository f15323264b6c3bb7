//! What a valid configuration is. Nothing here reads files or reports errors.

mod output;

pub use output::*;

use std::path::PathBuf;
use std::time::Duration;
use tidegate_pipeline::plan::Plan;

/// A valid configuration: defaults filled in, names resolved to indices, secrets not read yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `gateway.id`.
    pub gateway: String,
    /// Where the store lives.
    pub data_dir: PathBuf,
    /// In the order of the file; `Plan::sources` has the same order.
    pub sources: Vec<Source>,
    /// What the pipeline needs: streams and summaries. `Plan::source` is filled in when the store is known.
    pub plan: Plan,
    /// In the order of the file; `Plan::outputs` has the same order.
    pub outputs: Vec<Output>,
    /// `[heartbeat]`; `None` where there is none.
    pub heartbeat: Option<Heartbeat>,
    /// `[buffer]`.
    pub buffer: Buffer,
    /// `[status]`; `None` when `listen = "off"`.
    pub status: Option<Status>,
}

/// One `[sources.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// What kind it is.
    pub kind: SourceKind,
}

/// The kinds of sources.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// `type = "mqtt"`: we are the client of a broker.
    Mqtt(Mqtt),
    /// `type = "listen"`: sensors connect to us.
    Listen(Listen),
}

/// A broker to subscribe to.
#[derive(Clone, Debug, PartialEq)]
pub struct Mqtt {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `mqtts://`: TLS with these settings.
    pub tls: Option<Tls>,
    /// `protocol`: 5 falls back to 3.1.1 when the broker refuses it.
    pub protocol: Protocol,
    /// `qos`: 0 or 1.
    pub qos: u8,
    /// Keep the session when the connection is gone: how long (MQTT 5), `None` for `session = "clean"`.
    pub session_expiry: Option<Duration>,
    /// `client_id`.
    pub client_id: String,
    /// `username` and `password`.
    pub login: Option<Login>,
    /// `shared_group`.
    pub shared_group: Option<String>,
    /// `keep_alive`.
    pub keep_alive: Duration,
    /// `receive_maximum`: messages in flight (MQTT 5).
    pub receive_max: u16,
    /// `max_packet`, in bytes.
    pub packet_bytes_max: usize,
    /// `backlog`: readings without a time of their own that come out of a resumed session are rejected.
    pub rejects_backlog: bool,
    /// The subscriptions: MQTT filters that do not overlap, without the `$share` prefix.
    pub filters: Vec<String>,
}

impl Mqtt {
    /// What tells the session from all others: its name, and the broker that keeps it.
    pub fn session(&self) -> String {
        format!("{}@{}:{}", self.client_id, self.host, self.port)
    }

    /// The subscriptions as the broker knows them: with `$share/<group>/` where one is set.
    pub fn subscriptions(&self) -> Vec<String> {
        let share = |filter: &String| match &self.shared_group {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter.clone(),
        };
        self.filters.iter().map(share).collect()
    }
}

/// Which MQTT to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// TLS settings of a client or of the listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// `ca`: PEM file of authorities to trust instead of the system's (client), or that client certificates must come
    /// from (listener).
    pub ca: Option<PathBuf>,
    /// `cert`: PEM file of our own certificate chain.
    pub cert: Option<PathBuf>,
    /// `key`: PEM file of its private key.
    pub key: Option<PathBuf>,
}

/// An account. Who may be empty; MQTT allows a user name without a password.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// `username`.
    pub user: String,
    /// `password`.
    pub password: Option<Secret>,
}

/// Where a secret is. The configuration file never holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// `{ file = "…" }`: the file's text without trailing newline. A relative path is joined to the folder of the
    /// configuration file already, as all paths here are.
    File(PathBuf),
    /// `{ credential = "…" }`: a systemd credential (`$CREDENTIALS_DIRECTORY/NAME`).
    Credential(String),
    /// `{ env = "…" }`: an environment variable.
    Env(String),
}

/// The built-in endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// `listen`: address and port; port 0 takes a free one.
    pub listen: std::net::SocketAddr,
    /// TLS: `cert` and `key` are set.
    pub tls: Option<Tls>,
    /// Accounts that may publish; empty: everybody may.
    pub users: Vec<Login>,
    /// `subscriptions = "refuse"`; default is to accept and ignore them.
    pub refuse_subscriptions: bool,
    /// `max_clients`.
    pub clients_max: usize,
    /// `max_packet`, in bytes.
    pub packet_bytes_max: usize,
    /// `max_rate`: messages a second and client.
    pub rate_max: u32,
    /// `receive_maximum`: messages in flight per client.
    pub receive_max: u16,
}

/// What is done when the buffer is nearly full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest windows that wait are merged into coarser ones; what never merges is dropped last.
    #[default]
    RollUp,
    /// The oldest that waits is dropped.
    DropOldest,
    /// Nothing; at the end nothing more is taken.
    Refuse,
}

/// `[heartbeat]`: what the gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// `every`: from one to the next.
    pub every: Duration,
    /// `to`: the names of the outputs that get it.
    pub to: Vec<String>,
}

/// `[buffer]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// `max_size` of the main file, in bytes.
    pub bytes_max: u64,
    /// `when_full`.
    pub when_full: WhenFull,
    /// `commit_interval`.
    pub commit_interval: Duration,
    /// `flash_budget`, in bytes per day.
    pub flash_bytes_per_day: u64,
    /// `history`: how long summaries are kept for queries; zero: not at all.
    pub history: Duration,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer {
            bytes_max: 512 << 20,
            when_full: WhenFull::default(),
            commit_interval: Duration::from_millis(250),
            flash_bytes_per_day: 2_000_000_000,
            history: Duration::from_secs(7 * 86_400),
        }
    }
}

/// `[status]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where the status endpoint listens.
    pub listen: std::net::SocketAddr,
}
