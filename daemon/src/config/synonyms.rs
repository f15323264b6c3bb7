//! What things are called elsewhere: in Telegraf, eKuiper, Vector, Mosquitto and SQL, or in everyday speech.
//!
//! Words are compared without regard to case and to the kind of dash. To add one: a word in a row here.

use super::suggest::fold;

/// A place as `schema.rs` has it, words of others, and our name for it.
type Row = (&'static str, &'static [&'static str], &'static str);

/// Keys stand at their table, values at `table.key`.
static TABLE: &[Row] = &[
    ("", &["inputs", "input", "connections", "brokers", "broker", "mqtt", "listener"], "sources"),
    ("", &["topics", "subscriptions"], "streams"),
    ("", &["aggregators", "aggregates", "rules", "windows", "window"], "summaries"),
    ("", &["sinks", "sink", "functions", "function", "http", "destinations", "actions"], "outputs"),
    ("", &["agent", "global", "general"], "gateway"),
    ("", &["alarms", "alarm", "triggers"], "alerts"),
    ("", &["web", "api", "dashboard"], "status"),
    ("gateway", &["name", "hostname", "device_id"], "id"),
    ("gateway", &["persistence_location", "state_dir", "storage"], "data_dir"),
    ("gateway", &["tz", "zone"], "timezone"),
    (
        "sources.NAME",
        &["host", "port", "server", "servers", "broker", "address", "brokers", "uri", "tls", "ssl"],
        "url",
    ),
    ("sources.NAME", &["user", "remote_username", "login"], "username"),
    ("sources.NAME", &["remote_password", "passwd"], "password"),
    ("sources.NAME", &["clientid", "remote_clientid", "local_clientid"], "client_id"),
    ("sources.NAME", &["version", "protocol_version", "bridge_protocol_version", "mqtt_version"], "protocol"),
    ("sources.NAME", &["clean_session", "cleansession", "clean_start", "persistent_session"], "session"),
    ("sources.NAME", &["keepalive_interval", "keepalive", "ping_interval"], "keep_alive"),
    (
        "sources.NAME",
        &["max_inflight_messages", "max_undelivered_messages", "max_inflight"],
        "receive_maximum",
    ),
    ("sources.NAME", &["max_packet_size", "message_size_limit"], "max_packet"),
    ("sources.NAME", &["cafile", "capath", "bridge_cafile", "tls_ca", "ca_file"], "ca"),
    ("sources.NAME", &["certfile", "bridge_certfile", "tls_cert", "crt_file"], "cert"),
    ("sources.NAME", &["keyfile", "bridge_keyfile", "tls_key", "key_file"], "key"),
    ("sources.NAME", &["port", "bind", "bind_address", "address", "listener"], "listen"),
    ("sources.NAME", &["allow_anonymous", "password_file", "username"], "users"),
    ("sources.NAME", &["max_connections"], "max_clients"),
    ("sources.NAME.type", &["mqtt_consumer", "mqtts", "bridge", "client", "subscribe"], "mqtt"),
    ("sources.NAME.type", &["broker", "server", "mqtt-broker"], "listen"),
    ("sources.NAME.protocol", &["v5", "5.0", "mqttv5", "mqtt5"], "5"),
    ("sources.NAME.protocol", &["3", "4", "v3", "311", "v3.1.1", "mqttv311", "mqttv31"], "3.1.1"),
    ("sources.NAME.session", &["durable", "keep", "resume"], "persistent"),
    ("sources.NAME.session", &["transient", "new"], "clean"),
    ("streams.NAME", &["topics", "datasource", "subscribe", "topic_filter"], "topic"),
    ("streams.NAME", &["source", "input", "inputs"], "sources"),
    ("streams.NAME", &["data_format", "codec", "decoding", "payload", "encoding"], "format"),
    ("streams.NAME", &["fields", "field", "columns"], "metrics"),
    ("streams.NAME", &["timestamp", "time_key", "timestamp_format", "json_time_key"], "time"),
    ("streams.NAME", &["labels", "tag", "topic_parsing"], "tags"),
    ("streams.NAME", &["filter", "filters", "cleaning", "processors", "transforms"], "clean"),
    ("streams.NAME", &["path", "pointer", "json_query"], "value"),
    ("streams.NAME", &["interval", "expected"], "expected_every"),
    ("streams.NAME.metrics", &["path", "pointer", "field", "from"], "at"),
    ("streams.NAME.metrics", &["type"], "kind"),
    ("streams.NAME.metrics.kind", &["number", "float", "analog", "measurement"], "gauge"),
    (
        "streams.NAME.metrics.kind",
        &["total", "meter", "total_increasing", "increasing", "cumulative"],
        "counter",
    ),
    ("streams.NAME.metrics.kind", &["bool", "boolean", "enum", "string", "status"], "state"),
    (
        "streams.NAME.format",
        &["string", "plain", "raw", "value", "number", "float", "integer", "bytes"],
        "text",
    ),
    ("streams.NAME.format", &["json_v2", "xpath_json", "native_json"], "json"),
    ("streams.NAME.format", &["line", "lineprotocol", "line_protocol", "influxdb", "ilp"], "influx"),
    ("streams.NAME.format", &["delimited", "tsv"], "csv"),
    ("streams.NAME.format", &["messagepack", "xpath_msgpack"], "msgpack"),
    ("streams.NAME.format", &["sparkplugb", "sparkplug_b", "spb"], "sparkplug"),
    ("streams.NAME.format", &["xpath_cbor"], "cbor"),
    (
        "streams.NAME.time.format",
        &["unix", "epoch", "unix_s", "seconds", "sec", "unixtime", "timestamp", "%s"],
        "s",
    ),
    ("streams.NAME.time.format", &["unix_ms", "epoch_ms", "milliseconds", "millis", "%s%3f"], "ms"),
    ("streams.NAME.time.format", &["unix_us", "epoch_us", "microseconds", "micros", "µs"], "us"),
    ("streams.NAME.time.format", &["unix_ns", "epoch_ns", "nanoseconds", "nanos"], "ns"),
    ("streams.NAME.time.format", &["iso8601", "iso_8601", "iso", "utc", "rfc_3339"], "rfc3339"),
    ("streams.NAME.clean", &["limit", "limits", "bounds", "clamp", "min", "max"], "range"),
    ("streams.NAME.clean", &["outlier", "outliers", "hampel", "median", "despike"], "spike"),
    ("streams.NAME.clean", &["filter", "condition", "if", "only"], "where"),
    ("streams.NAME.clean", &["unit", "units"], "convert"),
    ("streams.NAME.clean", &["factor", "offset", "multiply", "calibrate", "linear"], "scale"),
    ("streams.NAME.clean", &["dedup", "dedupe", "deduplicate", "distinct"], "duplicate"),
    ("streams.NAME.clean", &["throttle", "sample", "max_rate", "slew_rate"], "rate_limit"),
    ("streams.NAME.clean", &["enum", "lookup", "replace", "translate"], "map"),
    ("streams.NAME.clean", &["calculate", "calc", "compute", "formula", "starlark", "expression"], "derive"),
    ("streams.NAME.clean", &["frozen", "flatline", "stale"], "stuck"),
    ("streams.NAME.clean", &["hysteresis", "report_by_exception", "rbe", "changed_by"], "deadband"),
    ("summaries.NAME", &["interval", "period", "every", "duration"], "window"),
    ("summaries.NAME", &["group_by", "groupby", "tags", "partition_by", "per"], "by"),
    ("summaries.NAME", &["functions", "stats", "aggregations", "aggregate", "aggs"], "aggregates"),
    ("summaries.NAME", &["output", "outputs", "sink", "actions"], "to"),
    ("summaries.NAME", &["inputs", "stream", "source", "sources", "from"], "streams"),
    ("summaries.NAME", &["grace", "delay", "late_tolerance", "allowed_lateness"], "lateness"),
    ("summaries.NAME.window", &["tumblingwindow", "fixed", "length", "size"], "tumbling"),
    ("summaries.NAME.window", &["sliding", "hoppingwindow", "slidingwindow", "rolling", "moving"], "hopping"),
    ("summaries.NAME.window", &["slide", "step", "hop", "advance"], "every"),
    ("summaries.NAME.window", &["sessionwindow", "gap", "timeout"], "session"),
    ("summaries.NAME.window", &["countwindow", "readings"], "count"),
    ("summaries.NAME.window", &["statewindow", "condition", "while"], "state"),
    ("summaries.NAME.window", &["daily", "day", "hour", "week", "month"], "calendar"),
    ("summaries.NAME.window", &["timezone", "tz"], "zone"),
    ("summaries.NAME.window.calendar", &["daily", "1d", "days"], "day"),
    ("summaries.NAME.window.calendar", &["hourly", "1h", "hours"], "hour"),
    ("summaries.NAME.window.calendar", &["weekly", "weeks"], "week"),
    ("summaries.NAME.window.calendar", &["monthly", "months"], "month"),
    ("summaries.NAME.aggregates", &["avg", "average", "arithmetic_mean"], "mean"),
    ("summaries.NAME.aggregates", &["total", "sum_of"], "sum"),
    ("summaries.NAME.aggregates", &["minimum", "least", "lowest"], "min"),
    ("summaries.NAME.aggregates", &["maximum", "greatest", "highest", "peak"], "max"),
    ("summaries.NAME.aggregates", &["n", "number", "samples", "cnt"], "count"),
    ("summaries.NAME.aggregates", &["med", "p50.0", "quantile_50"], "median"),
    (
        "summaries.NAME.aggregates",
        &["std", "stdev", "stddevs", "std_dev", "sd", "sigma", "standard_deviation"],
        "stddev",
    ),
    ("summaries.NAME.aggregates", &["var", "vars", "s2"], "variance"),
    ("summaries.NAME.aggregates", &["spread", "peak_to_peak"], "range"),
    ("summaries.NAME.aggregates", &["last_value", "latest", "newest", "current"], "last"),
    ("summaries.NAME.aggregates", &["first_value", "earliest", "oldest"], "first"),
    (
        "summaries.NAME.aggregates",
        &["diff", "difference", "delta", "non_negative_diff", "non_negative_difference"],
        "increase",
    ),
    ("summaries.NAME.aggregates", &["non_negative_rate", "per_second"], "rate"),
    (
        "summaries.NAME.aggregates",
        &["percentile", "percentiles", "quantile", "percentile_cont", "percentile_disc"],
        "p95",
    ),
    ("summaries.NAME.aggregates", &["percentile95", "percentile_95", "perc95", "q95", "95th"], "p95"),
    ("summaries.NAME.aggregates", &["count_distinct", "unique", "uniques", "deduplicate"], "distinct"),
    (
        "summaries.NAME.aggregates",
        &["twa", "time_weighted_average", "time_weighted_avg"],
        "time_weighted_mean",
    ),
    ("summaries.NAME.aggregates", &["trend", "linear_regression"], "slope"),
    ("summaries.NAME.aggregates", &["most_frequent", "most_common"], "mode"),
    ("alerts.NAME", &["condition", "threshold", "if", "expr", "above", "below"], "when"),
    ("alerts.NAME", &["duration", "hold", "delay"], "for"),
    ("alerts.NAME", &["metrics", "field"], "metric"),
    ("alerts.NAME", &["output", "outputs", "notify"], "to"),
    ("alerts.NAME", &["timeout", "missing", "no_data"], "silent_for"),
    ("alerts.NAME", &["reset", "hysteresis", "clear_when"], "clear"),
    ("outputs.NAME", &["uri", "address", "endpoint", "host", "server"], "url"),
    (
        "outputs.NAME",
        &["headers", "token", "bearer", "username", "user", "password", "authorization"],
        "auth",
    ),
    ("outputs.NAME", &["batch_size", "metric_batch_size", "linger", "flush_interval"], "batch"),
    ("outputs.NAME", &["content_encoding", "compress", "gzip"], "compression"),
    ("outputs.NAME", &["parallel", "workers"], "concurrency"),
    ("outputs.NAME", &["file", "filename", "files"], "path"),
    ("outputs.NAME", &["cafile", "tls_ca", "ca_file"], "ca"),
    ("outputs.NAME.type", &["https", "rest", "webhook", "post", "function", "cloudevents", "url"], "http"),
    ("outputs.NAME.type", &["lambda", "aws", "aws_lambda"], "aws-lambda"),
    (
        "outputs.NAME.type",
        &["gcp", "cloud-run", "cloudrun", "google-cloud", "cloud-functions", "gcf"],
        "google",
    ),
    ("outputs.NAME.type", &["azure-functions", "azure-function", "microsoft"], "azure"),
    ("outputs.NAME.type", &["alibaba", "alibaba-cloud", "fc", "function-compute"], "aliyun"),
    ("outputs.NAME.type", &["mqtts", "broker", "republish", "home-assistant", "homeassistant"], "mqtt"),
    ("outputs.NAME.type", &["stdout", "console", "jsonl", "log"], "file"),
    ("outputs.NAME.compression", &["gz", "on", "true"], "gzip"),
    ("outputs.NAME.compression", &["zst", "zstandard"], "zstd"),
    ("outputs.NAME.compression", &["off", "no", "identity", "false"], "none"),
    ("outputs.NAME.auth", &["token", "jwt", "api_token"], "bearer"),
    ("outputs.NAME.auth", &["username", "user", "password"], "basic"),
    ("outputs.NAME.auth", &["api_key", "apikey", "key", "headers"], "header"),
    ("outputs.NAME.auth", &["oauth", "client_id", "client_secret"], "oauth2"),
    ("outputs.NAME.auth", &["signature", "sign", "secret"], "hmac"),
    ("outputs.NAME.batch", &["max_events", "size", "count"], "events"),
    ("outputs.NAME.batch", &["max_bytes"], "bytes"),
    ("outputs.NAME.batch", &["timeout", "timeout_secs", "interval", "flush_interval"], "linger"),
    ("buffer", &["size", "max_bytes", "limit"], "max_size"),
    ("buffer", &["overflow", "on_full", "policy"], "when_full"),
    ("buffer", &["retention", "keep"], "history"),
    ("buffer.when_full", &["overwrite", "drop", "drop-old", "drop_oldest", "fifo"], "drop-oldest"),
    ("buffer.when_full", &["block", "drop_newest", "reject", "stop"], "refuse"),
    ("buffer.when_full", &["rollup", "merge", "downsample", "compact"], "roll-up"),
    ("heartbeat", &["interval", "period"], "every"),
    ("status", &["port", "address", "bind", "http"], "listen"),
];

/// What `word`, where it stands at `place`, is called here; only what is among `known`.
pub(super) fn ours<'k>(place: &str, word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = fold(word);
    let place = common(place);
    let mut rows =
        TABLE.iter().filter(|(at, words, _)| *at == place && words.iter().any(|one| fold(one) == word));
    let known: Vec<&str> = known.into_iter().collect();
    rows.find_map(|(_, _, name)| known.iter().copied().find(|one| one == name))
}

/// Whether what has this key is not to be printed, though it is no key of ours.
pub(super) fn is_secret(key: &str) -> bool {
    const PARTS: &[&str] =
        &["pass", "pwd", "secret", "token", "api_key", "apikey", "bearer", "auth", "credential", "header"];
    let key = fold(key);
    PARTS.iter().any(|part| key.contains(part))
}

/// Choices that are the same at several places stand once.
fn common(place: &str) -> &str {
    match place {
        "outputs.NAME.protocol" => "sources.NAME.protocol",
        place => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;

    /// A row for keys that names no key would never be found.
    #[test]
    fn names_are_names() {
        for (place, words, name) in TABLE {
            let mut tables = schema::ALL.iter().filter(|table| table.place == *place).peekable();
            if tables.peek().is_some() && *place != "summaries.NAME.aggregates" {
                let known = |word: &str| tables.clone().all(|table| table.keys.contains(&word));
                assert!(tables.clone().any(|table| table.keys.contains(name)), "{place}: {name}");
                // Nor would one for a word that is a key wherever it can stand.
                assert!(!words.iter().any(|word| known(word)), "{place}: {words:?}");
            } else if tables.peek().is_none() {
                let (table, key) = place.rsplit_once('.').unwrap();
                let mut tables = schema::ALL.iter().filter(|one| one.place == table);
                assert!(tables.any(|one| one.keys.contains(&key)), "{place}");
            }
        }
    }

    #[test]
    fn words_of_others() {
        let check = |place, word, known: &[&'static str], expected| {
            assert_eq!(ours(place, word, known.iter().copied()), expected, "{place} {word}");
        };
        check("summaries.NAME.aggregates", "AVG", &["mean", "min"], Some("mean"));
        check("sources.NAME", "port", &["type", "listen"], Some("listen"));
        check("sources.NAME", "port", &["type", "url"], Some("url"));
        check("outputs.NAME.protocol", "v5", &["5", "3.1.1"], Some("5"));
        check("outputs.NAME.protocol", "avg", &["5", "3.1.1"], None);
        check("heartbeat", "avg", &["every"], None);
    }
}
