//! Where events go.

use super::{Login, Protocol, Secret, Tls};
use std::path::PathBuf;
use std::time::Duration;

/// One `[outputs.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// What kind it is.
    pub kind: OutputKind,
}

/// The kinds of outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputKind {
    /// `type = "http"`, `"aws-lambda"`, `"google"`, `"azure"` or `"aliyun"`: a cloud function. They differ in what a request holds and
    /// in how it is signed.
    Http(Box<Http>),
    /// `type = "mqtt"`: events are published on a broker.
    Mqtt(Box<Republish>),
    /// `type = "file"`: JSON lines; `None` is standard output (`path = "-"`).
    File(Option<PathBuf>),
}

/// A function behind an HTTP address.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// `url`.
    pub url: String,
    /// `auth`: how requests prove who sends them.
    pub auth: Auth,
    /// What a request holds.
    pub content: Content,
    /// `batch`; `None`: one event per request.
    pub batch: Option<Batch>,
    /// `compression` of what is sent.
    pub compression: Compression,
    /// `concurrency`: how many requests may be under way at a time.
    pub concurrency: usize,
    /// `budget` of a metered link.
    pub budget: Option<Budget>,
    /// `timeout` of one request.
    pub timeout: Duration,
    /// `ca`, and `cert` with `key` for functions that ask for a certificate.
    pub tls: Tls,
    /// `commands`: what its answers may publish; `None`: nothing.
    pub commands: Option<Commands>,
}

/// How events stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// CloudEvents, structured mode; batched mode where the output has a `batch`.
    Structured,
    /// `mode = "binary"`: CloudEvents, binary mode: the attributes are headers, `data` is the body.
    Binary,
    /// `{"events": […]}`, for a Lambda function behind an address of its own.
    LambdaUrl,
    /// The same, by Lambda's Invoke API, which wraps what the function answers.
    LambdaInvoke,
}

/// `compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `"none"`.
    None,
    /// `"gzip"` (RFC 1952).
    Gzip,
    /// `"zstd"` (RFC 8878).
    Zstd,
}

/// `auth`: how requests prove who sends them.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// Not at all.
    None,
    /// `{ bearer = … }`: `Authorization: Bearer …` (RFC 6750).
    Bearer(Secret),
    /// `{ basic = … }`: `Authorization: Basic …` (RFC 7617).
    Basic {
        /// `username`.
        user: String,
        /// `password`.
        password: Secret,
    },
    /// `{ header = … }`: a secret in a header of its own; also the function key of Azure.
    Header {
        /// `name`, in small letters.
        name: String,
        /// `value`.
        value: Secret,
    },
    /// `{ hmac = … }`: a signature of the body.
    Hmac(Hmac),
    /// `{ oauth2 = … }`: a token for our own credentials; also Microsoft Entra.
    OAuth2(OAuth2),
    /// AWS Signature Version 4.
    Aws(Aws),
    /// An ID token of Google.
    Google(Google),
    /// The signature of Alibaba Cloud, `ACS3-HMAC-SHA256`.
    Aliyun(Aliyun),
}

/// HMAC-SHA256 of the body as it is sent, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Hmac {
    /// `secret`: the key.
    pub secret: Secret,
    /// `header`, in small letters.
    pub header: String,
    /// `prefix`: stands before the digits.
    pub prefix: String,
}

/// The client credentials grant of OAuth 2.0 (RFC 6749 §4.4).
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2 {
    /// `token_url`.
    pub token_url: String,
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`.
    pub client_secret: Secret,
    /// `scope`.
    pub scope: Option<String>,
    /// `audience`, which some servers want.
    pub audience: Option<String>,
    /// `client_auth = "body"`: the secret stands in the form and not in a header.
    pub secret_in_body: bool,
}

/// AWS Signature Version 4 for the service `lambda`.
#[derive(Clone, Debug, PartialEq)]
pub struct Aws {
    /// `region`.
    pub region: String,
    /// Where the credentials come from.
    pub credentials: AwsCredentials,
}

/// Where credentials of AWS come from.
#[derive(Clone, Debug, PartialEq)]
pub enum AwsCredentials {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where it is set, `AWS_SESSION_TOKEN`.
    Environment,
    /// `access_key_id`, `secret_access_key` and `session_token`.
    Keys {
        /// Not a secret.
        id: String,
        /// The secret.
        secret: Secret,
        /// Of temporary credentials.
        session: Option<Secret>,
    },
    /// `credentials_file` and `profile`: the file that the AWS tools share.
    File {
        /// The file.
        path: PathBuf,
        /// The section in it.
        profile: String,
    },
    /// `iot`: temporary ones, for a certificate of AWS IoT.
    Iot(AwsIot),
}

/// The credential provider of AWS IoT Core.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsIot {
    /// `endpoint`: host, and port where it is not 443.
    pub endpoint: String,
    /// `role_alias`.
    pub role_alias: String,
    /// `thing`: the name of the thing, where the role's policy wants it.
    pub thing: Option<String>,
    /// `cert`, `key`, and `ca`.
    pub tls: Tls,
}

/// An ID token of Google for `audience`.
#[derive(Clone, Debug, PartialEq)]
pub struct Google {
    /// `service_account`: the key file of a service account; `None`: the metadata server knows who we are.
    pub key: Option<Secret>,
    /// `audience`.
    pub audience: String,
}

/// Keys of Alibaba Cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Aliyun {
    /// `access_key_id`; not a secret.
    pub id: String,
    /// `access_key_secret`.
    pub secret: Secret,
    /// `security_token` of temporary credentials.
    pub token: Option<Secret>,
}

/// `budget`: what a metered link allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// `bytes_per_day`, both ways.
    pub bytes_per_day: Option<u64>,
    /// `hours`: from and until which time of day summaries are sent; over midnight where the second is before the first.
    pub hours: Option<(jiff::civil::Time, jiff::civil::Time)>,
    /// `order = "newest"`: the newest summaries are sent first.
    pub newest: bool,
    /// The name of the time zone that days and hours are of: `gateway.timezone`.
    pub zone: String,
}

/// How many events go into one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// At most so many events …
    pub events: usize,
    /// … and so many bytes before compression; a single event may be larger.
    pub bytes: usize,
    /// How long to wait for more.
    pub linger: Duration,
}

/// A broker to publish at.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `mqtts://`: TLS with these settings.
    pub tls: Option<Tls>,
    /// `protocol`: 5 falls back to 3.1.1 when the broker refuses it.
    pub protocol: Protocol,
    /// `client_id`.
    pub client_id: String,
    /// `username` and `password`.
    pub login: Option<Login>,
}

/// Events republished on a broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Republish {
    /// Where.
    pub broker: Broker,
    /// `gateway.id`.
    pub gateway: String,
    /// `topic`.
    pub topic: TopicTemplate,
    /// `payload`.
    pub payload: Payload,
    /// `qos`: 0 or 1.
    pub qos: u8,
    /// `retain`: the broker keeps the newest of each series.
    pub retain: bool,
    /// `discovery`: the prefix under which Home Assistant looks for what there is.
    pub discovery: Option<String>,
    /// `timeout` of one attempt.
    pub timeout: Duration,
}

/// What a published message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// `"values"`: of a summary its window and values, of everything else the event's `data`.
    Values,
    /// `"event"`: the whole CloudEvent.
    Event,
}

/// A topic with places for what an event says; by level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTemplate(pub Vec<Vec<Piece>>);

/// A part of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// `{kind}`: `summary`, `alert`, …
    Kind,
    /// `{name}`: of the summary or alert.
    Name,
    /// `{metric}`.
    Metric,
    /// `{tags}`: the values of all tags, a level each.
    Tags,
    /// `{NAME}`: the value of this tag.
    Tag(String),
}

/// `commands`: what the answers of a function may publish, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Commands {
    /// The broker of the source or output that `to` names, with a client id of its own.
    pub broker: Broker,
    /// `topics`: filters of the topics that are allowed.
    pub topics: Vec<String>,
}
