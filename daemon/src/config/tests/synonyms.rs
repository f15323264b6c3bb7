//! Words of other tools are answered with ours.

use super::errors::check;
use super::read;

#[test]
fn values() {
    for (before, key, word, name) in [
        ("[summaries.s]", "aggregates", "avg", "mean"),
        ("[summaries.s]", "aggregates", "Average", "mean"),
        ("[summaries.s]", "aggregates", "med", "median"),
        ("[summaries.s]", "aggregates", "std", "stddev"),
        ("[summaries.s]", "aggregates", "stdev", "stddev"),
        ("[summaries.s]", "aggregates", "sum_of", "sum"),
        ("[summaries.s]", "aggregates", "s2", "variance"),
        ("[summaries.s]", "aggregates", "non_negative_diff", "increase"),
        ("[summaries.s]", "aggregates", "percentile", "p95"),
        ("[summaries.s]", "aggregates", "histgram", "histogram"),
        ("[streams.s]\ntopic = \"a\"", "format", "string", "text"),
        ("[streams.s]\ntopic = \"a\"", "format", "line-protocol", "influx"),
        ("[streams.s]\ntopic = \"a\"", "format", "sparkplug-b", "sparkplug"),
        ("[sources.s]", "protocol", "mqttv5", "5"),
        ("[sources.s]", "protocol", "4", "3.1.1"),
        ("[sources.s]", "session", "durable", "persistent"),
        ("[sources.s]", "type", "broker", "listen"),
        ("[outputs.s]\nurl = \"https://f\"", "type", "lambda", "aws-lambda"),
        ("[outputs.s]\nurl = \"https://f\"", "type", "webhook", "http"),
        ("[outputs.s]\nurl = \"https://f\"", "type", "gcp", "google"),
        ("[outputs.s]\nurl = \"https://f\"", "compression", "gz", "gzip"),
        ("[buffer]", "when_full", "overwrite", "drop-oldest"),
        ("[buffer]", "when_full", "block", "refuse"),
    ] {
        let line = 2 + before.matches('\n').count();
        let expected = format!("{line}: unknown `{key}`: `{word}`: did you mean `{name}`?");
        check(&format!("{before}\n{key} = \"{word}\"\n"), &[&expected]);
    }
    for (word, name) in [("unix", "s"), ("epoch_ms", "ms"), ("%s", "s"), ("ISO8601", "rfc3339")] {
        let text = format!("[streams.s]\ntopic = \"a\"\ntime = {{ at = \"/t\", format = \"{word}\" }}\n");
        check(&text, &[&format!("3: unknown `format`: `{word}`: did you mean `{name}`?")]);
    }
}

#[test]
fn keys() {
    for (before, line, key, name) in [
        ("[sources.s]", "host = \"h\"", "host", "url"),
        ("[sources.s]", "version = \"5\"", "version", "protocol"),
        ("[sources.s]", "clean_session = true", "clean_session", "session"),
        ("[sources.s]\ntype = \"listen\"\nusers = []", "port = 1883", "port", "listen"),
        ("[streams.s]", "topics = [\"a\"]", "topics", "topic"),
        ("[streams.s]\ntopic = \"a\"", "data_format = \"json\"", "data_format", "format"),
        ("[streams.s]\ntopic = \"a\"", "clean = [{ hampel = {} }]", "hampel", "spike"),
        ("[streams.s]\ntopic = \"a\"", "clean = [{ filter = \"value > 1\" }]", "filter", "where"),
        ("[summaries.s]", "window = { sliding = \"5m\" }", "sliding", "hopping"),
        ("[summaries.s]", "group_by = [\"device\"]", "group_by", "by"),
        ("[outputs.s]", "uri = \"https://f\"", "uri", "url"),
        ("[outputs.s]\nurl = \"https://f\"", "headers = {}", "headers", "auth"),
        ("[alerts.s]\nmetric = \"t\"", "threshold = 3", "threshold", "when"),
        ("[gateway]", "name = \"x\"", "name", "id"),
    ] {
        let at = 2 + before.matches('\n').count();
        let expected = format!("{at}: unknown key `{key}`: did you mean `{name}`?");
        check(&format!("{before}\n{line}\n"), &[&expected]);
    }
    check("[inputs.a]\nservers = []\n", &["1: unknown key `inputs`: did you mean `sources`?"]);
}

/// The help names all that can stand there, what takes a parameter too.
#[test]
fn all_aggregates_are_named() {
    let report = read("[summaries.s]\naggregates = \"x\"\n").unwrap_err().to_string();
    for name in ["mean", "time_of_max", "`p95`", "{ histogram = [", "{ duration_in = ", "{ integral = "] {
        assert!(report.contains(name), "{name}: {report}");
    }
    let report =
        read("[streams.s]\ntopic = \"a\"\ntime = { at = \"/t\", format = \"x\" }\n").unwrap_err().to_string();
    assert!(report.contains("or a pattern such as"), "{report}");
}

/// Who writes `token = "…"` where there is no such key does not want it in a log either.
#[test]
fn a_secret_under_a_key_that_is_unknown_is_not_shown() {
    for key in ["token", "api_key", "passwd", "Authorization", "bearer", "API-Key"] {
        let text = format!("[outputs.o]\nurl = \"https://f\"\n{key} = \"hunter2\"\n");
        let report = read(&text).unwrap_err().to_string();
        assert!(report.contains(key) && !report.contains("hunter2"), "{report}");
    }
}
