//! Which keys there are, and which a later version will have. docs/configuration.md is held to this by a test.

/// The keys of one table of the file.
#[derive(Debug)]
pub(super) struct Schema {
    /// Where the table stands: `streams.NAME`. Empty for the file itself.
    pub(super) place: &'static str,
    /// The `type` that has these keys, where tables at one place differ by `type`.
    pub(super) kind: Option<&'static str>,
    pub(super) keys: &'static [&'static str],
}

const fn at(place: &'static str, keys: &'static [&'static str]) -> Schema {
    Schema { place, kind: None, keys }
}

const fn of_type(place: &'static str, kind: &'static str, keys: &'static [&'static str]) -> Schema {
    Schema { place, kind: Some(kind), keys }
}

/// The keys that the functions of all vendors have, with a vendor's own behind `url`.
macro_rules! function {
    ($($own:literal),*) => {
        &[
            "type", "url", $($own,)* "auth", "batch", "concurrency", "budget", "compression", "timeout", "ca", "commands",
        ]
    };
}

pub(super) static ROOT: Schema = at(
    "",
    &[
        "gateway",
        "sources",
        "streams",
        "summaries",
        "alerts",
        "raw",
        "outputs",
        "heartbeat",
        "buffer",
        "clock",
        "status",
    ],
);
pub(super) static GATEWAY: Schema = at("gateway", &["id", "data_dir", "timezone"]);
pub(super) static SOURCE_MQTT: Schema = of_type(
    "sources.NAME",
    "mqtt",
    &[
        "type",
        "url",
        "username",
        "password",
        "protocol",
        "qos",
        "session",
        "session_expiry",
        "client_id",
        "shared_group",
        "keep_alive",
        "receive_maximum",
        "max_packet",
        "backlog",
        "ca",
        "cert",
        "key",
    ],
);
pub(super) static SOURCE_LISTEN: Schema = of_type(
    "sources.NAME",
    "listen",
    &[
        "type",
        "listen",
        "users",
        "subscriptions",
        "max_clients",
        "max_packet",
        "max_rate",
        "receive_maximum",
        "ca",
        "cert",
        "key",
    ],
);
pub(super) static USER: Schema = at("sources.NAME.users", &["username", "password"]);
pub(super) static SECRET: Schema = at("secret", &["file", "credential", "env"]);
pub(super) static STREAM: Schema = at(
    "streams.NAME",
    &[
        "sources",
        "topic",
        "exclude",
        "format",
        "csv",
        "each",
        "numbers_as_text",
        "value",
        "time",
        "sequence",
        "unique",
        "retained",
        "tags",
        "rename",
        "availability",
        "expected_every",
        "clean",
        "metrics",
    ],
);
pub(super) static CSV: Schema = at("streams.NAME.csv", &["delimiter", "decimal", "columns", "header"]);
pub(super) static AVAILABILITY: Schema =
    at("streams.NAME.availability", &["topic", "online", "offline", "at"]);
pub(super) static TIME: Schema =
    at("streams.NAME.time", &["at", "format", "zone", "uptime", "unit", "boot", "per"]);
pub(super) static SEQUENCE: Schema = at("streams.NAME.sequence", &["at", "boot", "per"]);
pub(super) static TAG: Schema = at("streams.NAME.tags", &["at"]);
pub(super) static METRIC: Schema = at("streams.NAME.metrics", &["at", "unit", "kind"]);
pub(super) static CLEAN: Schema = at(
    "streams.NAME.clean",
    &[
        "range",
        "scale",
        "convert",
        "spike",
        "stuck",
        "rate_limit",
        "deadband",
        "duplicate",
        "map",
        "where",
        "derive",
        "metrics",
    ],
);
pub(super) static RANGE: Schema = at("streams.NAME.clean.range", &["min", "max"]);
pub(super) static SCALE: Schema = at("streams.NAME.clean.scale", &["factor", "offset"]);
pub(super) static CONVERT: Schema = at("streams.NAME.clean.convert", &["from", "to"]);
pub(super) static SPIKE: Schema = at("streams.NAME.clean.spike", &["window", "sigma", "min_deviation"]);
pub(super) static STUCK: Schema = at("streams.NAME.clean.stuck", &["for", "action"]);
pub(super) static RATE_LIMIT: Schema = at("streams.NAME.clean.rate_limit", &["per_second"]);
pub(super) static DEADBAND: Schema =
    at("streams.NAME.clean.deadband", &["absolute", "percent", "at_least_every"]);
pub(super) static DUPLICATE: Schema = at("streams.NAME.clean.duplicate", &["for"]);
pub(super) static DERIVE: Schema = at("streams.NAME.clean.derive", &["metric", "from", "unit"]);
pub(super) static SUMMARY: Schema = at(
    "summaries.NAME",
    &[
        "streams",
        "metrics",
        "window",
        "by",
        "lateness",
        "amend",
        "aggregates",
        "samples_max",
        "state",
        "layout",
        "to",
    ],
);
pub(super) static WINDOW: Schema = at(
    "summaries.NAME.window",
    &["tumbling", "hopping", "every", "calendar", "zone", "session", "count", "state"],
);
pub(super) static AGGREGATE: Schema =
    at("summaries.NAME.aggregates", &["histogram", "integral", "rate", "derivative", "slope", "duration_in"]);
pub(super) static ALERT: Schema = at(
    "alerts.NAME",
    &["streams", "metric", "by", "when", "for", "clear", "cooldown", "silent_for", "capture", "to"],
);
pub(super) static RAW: Schema = at("raw.NAME", &["streams", "metrics", "verdicts", "every", "to"]);
pub(super) static OUTPUT_HTTP: Schema = of_type(
    "outputs.NAME",
    "http",
    &[
        "type",
        "url",
        "auth",
        "mode",
        "batch",
        "concurrency",
        "budget",
        "compression",
        "timeout",
        "ca",
        "cert",
        "key",
        "commands",
    ],
);
pub(super) static OUTPUT_AWS: Schema =
    of_type("outputs.NAME", "aws-lambda", function!("function", "region", "endpoint"));
pub(super) static OUTPUT_GOOGLE: Schema = of_type("outputs.NAME", "google", function!("audience"));
pub(super) static OUTPUT_AZURE: Schema = of_type("outputs.NAME", "azure", function!());
pub(super) static OUTPUT_ALIYUN: Schema = of_type("outputs.NAME", "aliyun", function!());
pub(super) static OUTPUT_MQTT: Schema = of_type(
    "outputs.NAME",
    "mqtt",
    &[
        "type",
        "url",
        "username",
        "password",
        "client_id",
        "protocol",
        "topic",
        "payload",
        "qos",
        "retain",
        "discovery",
        "timeout",
        "ca",
        "cert",
        "key",
    ],
);
pub(super) static COMMANDS: Schema = at("outputs.NAME.commands", &["to", "topics"]);
pub(super) static OUTPUT_FILE: Schema = of_type("outputs.NAME", "file", &["type", "path"]);
pub(super) static AUTH_HTTP: Schema =
    of_type("outputs.NAME.auth", "http", &["bearer", "basic", "header", "hmac", "oauth2"]);
pub(super) static AUTH_BASIC: Schema = at("outputs.NAME.auth.basic", &["username", "password"]);
pub(super) static AUTH_HEADER: Schema = at("outputs.NAME.auth.header", &["name", "value"]);
pub(super) static AUTH_HMAC: Schema = at("outputs.NAME.auth.hmac", &["secret", "header", "prefix"]);
pub(super) static AUTH_OAUTH2: Schema = at(
    "outputs.NAME.auth.oauth2",
    &["token_url", "client_id", "client_secret", "scope", "audience", "client_auth"],
);
pub(super) static AUTH_AWS: Schema = of_type(
    "outputs.NAME.auth",
    "aws-lambda",
    &["access_key_id", "secret_access_key", "session_token", "credentials_file", "profile", "iot"],
);
pub(super) static AUTH_IOT: Schema =
    at("outputs.NAME.auth.iot", &["endpoint", "role_alias", "thing", "ca", "cert", "key"]);
pub(super) static AUTH_GOOGLE: Schema = of_type("outputs.NAME.auth", "google", &["service_account"]);
pub(super) static AUTH_AZURE: Schema = of_type("outputs.NAME.auth", "azure", &["function_key", "entra"]);
pub(super) static AUTH_ENTRA: Schema =
    at("outputs.NAME.auth.entra", &["tenant", "client_id", "client_secret", "scope", "login_url"]);
pub(super) static AUTH_ALIYUN: Schema =
    of_type("outputs.NAME.auth", "aliyun", &["access_key_id", "access_key_secret", "security_token"]);
pub(super) static BATCH: Schema = at("outputs.NAME.batch", &["events", "bytes", "linger"]);
pub(super) static BUDGET: Schema = at("outputs.NAME.budget", &["bytes_per_day", "hours", "order"]);
pub(super) static BUFFER: Schema =
    at("buffer", &["max_size", "when_full", "commit_interval", "flash_budget", "history"]);
pub(super) static HEARTBEAT: Schema = at("heartbeat", &["every", "to"]);
pub(super) static CLOCK: Schema = at("clock", &["unsynchronised", "hold_max", "max_future"]);
pub(super) static STATUS: Schema = at("status", &["listen"]);

/// Every table, in the order of the document.
pub(super) static ALL: &[&Schema] = &[
    &ROOT,
    &GATEWAY,
    &SOURCE_MQTT,
    &SOURCE_LISTEN,
    &USER,
    &SECRET,
    &STREAM,
    &CSV,
    &AVAILABILITY,
    &TIME,
    &SEQUENCE,
    &TAG,
    &METRIC,
    &CLEAN,
    &RANGE,
    &SCALE,
    &CONVERT,
    &SPIKE,
    &STUCK,
    &RATE_LIMIT,
    &DEADBAND,
    &DUPLICATE,
    &DERIVE,
    &SUMMARY,
    &WINDOW,
    &AGGREGATE,
    &ALERT,
    &RAW,
    &OUTPUT_HTTP,
    &OUTPUT_AWS,
    &OUTPUT_GOOGLE,
    &OUTPUT_AZURE,
    &OUTPUT_ALIYUN,
    &OUTPUT_MQTT,
    &OUTPUT_FILE,
    &COMMANDS,
    &AUTH_HTTP,
    &AUTH_BASIC,
    &AUTH_HEADER,
    &AUTH_HMAC,
    &AUTH_OAUTH2,
    &AUTH_AWS,
    &AUTH_IOT,
    &AUTH_GOOGLE,
    &AUTH_AZURE,
    &AUTH_ENTRA,
    &AUTH_ALIYUN,
    &BATCH,
    &BUDGET,
    &HEARTBEAT,
    &BUFFER,
    &CLOCK,
    &STATUS,
];

/// The table of names whose entries have the key: `streams` for `topic`, where `place` is `streams.NAME`.
pub(super) fn table_of(place: &str, key: &str) -> Option<&'static str> {
    let known = |table: &&&Schema| table.place == place && table.keys.contains(&key);
    let found = ALL.iter().find(known)?;
    found.place.strip_suffix(".NAME").filter(|outer| !outer.contains('.'))
}

/// Other tables of the file that have the key, those first that `place` is part of: `[streams.NAME]`.
pub(super) fn elsewhere(place: &str, key: &str) -> Vec<String> {
    let mut around = place;
    while let Some((outer, _)) = around.rsplit_once('.') {
        if ALL.iter().any(|table| table.place == outer && table.keys.contains(&key)) {
            return vec![format!("[{outer}]")];
        }
        around = outer;
    }
    let plain = |place: &str| {
        !place.is_empty() && place != "secret" && !place.trim_end_matches(".NAME").contains('.')
    };
    let others = ALL.iter().filter(|table| plain(table.place) && table.place != place);
    let mut found: Vec<String> =
        others.filter(|table| table.keys.contains(&key)).map(|table| format!("[{}]", table.place)).collect();
    found.dedup();
    found
}

/// What later versions will know: keys by table, and values as `table.key`. A version that brings one removes it here.
static LATER: &[(&str, &[&str])] =
    &[("sources.NAME.type", &["http", "websocket", "kafka"]), ("sources.NAME.url", &["ws", "wss"])];

/// Whether `word` is planned as a key or value at `place`.
pub(super) fn is_later(place: &str, word: &str) -> bool {
    LATER.iter().any(|(at, words)| *at == place && words.contains(&word))
}
