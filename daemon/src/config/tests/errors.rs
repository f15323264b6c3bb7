//! What is refused, and in which words. The rendered text is what users see, so that is what is compared.

use super::{BASE, read};
use crate::config::Severity;

/// The lines have to occur in this order in what is rendered; there are as many errors as lines that begin with `error`.
fn check_error(text: &str, expected: &[&str]) {
    let rendered = match read(text) {
        Ok(loaded) => panic!("accepted: {text}\n{loaded:?}"),
        Err(report) => report.render(false),
    };
    let mut lines = rendered.lines();
    for line in expected {
        assert!(
            lines.any(|found| found.trim_end() == *line),
            "{line:?} is not (or not there) in\n{rendered}"
        );
    }
    let count =
        |lines: &mut dyn Iterator<Item = &str>| lines.filter(|line| line.starts_with("error")).count();
    assert_eq!(count(&mut rendered.lines()), count(&mut expected.iter().copied()), "{rendered}");
}

/// `text` and what is right give exactly these errors: `line: message: label`, the line counted from the start of `text`.
pub(super) fn check(text: &str, expected: &[&str]) {
    let report = read(&format!("{text}{BASE}")).expect_err(text);
    let errors = report.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let lines: Vec<String> = errors.map(|found| found.one_line().replacen("tidegate.toml:", "", 1)).collect();
    assert_eq!(lines, expected, "{text}\n{report}");
}

#[test]
fn everything_at_once_with_line_and_caret() {
    check_error(
        r#"[gateway]
id = 7
[streams.climate]
topic = "sensors/{device}/{device}"
excluded = "a"
[summaries.minute]
window = { tubling = "1m" }
to = "ingets"
[outputs.ingest]
urll = "https://f.example/"
"#,
        &[
            "error: `id` has to be text",
            " --> tidegate.toml:2:6",
            "  |",
            "2 | id = 7",
            "  |      ^ this is a whole number",
            "  = help: write it in quotes: id = \"7\"",
            "error: `sensors/{device}/{device}` is not a topic pattern",
            "4 | topic = \"sensors/{device}/{device}\"",
            "  |                           ^^^^^^^^ this name is already used in the pattern",
            "error: unknown key `excluded`",
            "5 | excluded = \"a\"",
            "  | ^^^^^^^^ did you mean `exclude`?",
            "error: unknown key `tubling`",
            "7 | window = { tubling = \"1m\" }",
            "  |            ^^^^^^^ did you mean `tumbling`?",
            "  = help: known here: tumbling, hopping, every, calendar, zone, session, count, state",
            "error: there is no output `ingets`",
            "8 | to = \"ingets\"",
            "  |      ^^^^^^^^ did you mean `ingest`?",
            "error: unknown key `urll`",
            "  --> tidegate.toml:10:1",
            "10 | urll = \"https://f.example/\"",
            "   | ^^^^ did you mean `url`?",
            "tidegate.toml: 6 errors",
        ],
    );
}

#[test]
fn nothing_to_listen_to() {
    for text in ["", "[gateway]\nid = \"x\"\n", "[streams]\n"] {
        check_error(
            text,
            &[
                "error: there is no stream, so nothing to listen to",
                "--> tidegate.toml",
                "tidegate.toml: 1 error, 1 warning",
            ],
        );
    }
    // A misspelling is said once, not also as what is missing for it.
    check_error(
        "[stream.x]\ntopic = \"a\"\n",
        &["error: unknown key `stream`", "  |  ^^^^^^ did you mean `streams`?"],
    );
    check_error(
        "[streams.x]\ntopics = \"a\"\n",
        &["error: unknown key `topics`", "  | ^^^^^^ did you mean `topic`?"],
    );
    check_error("[streams.x]\n", &["error: `topic` is missing", "  | ^^^^^^^^^^^ needs `topic`"]);
    check_error("streams = 1\n", &["error: `streams` has to be a table of names"]);
}

#[test]
fn what_is_not_toml() {
    check_error(
        "[gateway]\nidd = \"x\"\n[streams.x]\ntopic = \"a\nformat = jsn\nvalu = 1\n",
        &[
            "error: unknown key `idd`",
            "error: invalid basic string",
            "4 | topic = \"a",
            "  |           ^ expected `\"`",
            "error: string values must be quoted",
            "5 | format = jsn",
            "  |          ^^^ needs quotes",
            "  = help: write text in quotes: key = \"text\"",
            "tidegate.toml: 3 errors",
        ],
    );
    check_error(
        "[streams.x]\ntopic = \"a\"\ntopic = \"b\"\n",
        &["error: duplicate key", "3 | topic = \"b\""],
    );
    check_error("[streams.x\ntopic = \"a\"\n", &["error: unclosed table", "1 | [streams.x"]);
}

#[test]
fn secrets_are_refused_and_never_shown() {
    for text in [
        "[outputs.b]\nurl = \"https://f.example\"\nauth = { bearer = \"hunter2\", beaerr = 1 }\n",
        "[sources.b]\nusername = \"u\"\npassword = \"hunter2\"\n",
        "[sources.b]\nurl = \"mqtt://u:hunter2@h\"\n",
        "[sources.b]\nurl = \"u:hunter2@h\"\n",
        "[sources.b]\nusername = \"u\"\npassword = hunter2\n",
        "[outputs.b]\nurl = \"https://u:hunter2@f.example:x\"\n",
        "[outputs.b]\nurl = \"u:hunter2@f.example\"\n",
        "[sources.b]\nlisten = \"[::1]:1\"\nusers = [{ username = \"u\", password = 'hunter2', x = 1 }]\n",
    ] {
        let report = read(&format!("{text}{BASE}")).expect_err(text);
        let shown = report.render(false);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(report.diagnostics.iter().all(|found| !found.one_line().contains("hunter2")));
        assert!(shown.contains("*******"), "{shown}");
    }
    check(
        "[outputs.b]\nurl = \"https://f.example\"\nauth = { bearer = { file = \"a\", env = \"B\" } }\n",
        &["3: `bearer` names more than one place"],
    );
    check(
        "[sources.b]\nusername = \"u\"\npassword = { credential = \"../x\" }\n",
        &["3: `credential` is not a name"],
    );
    check(
        "[sources.b]\nusername = \"u\"\npassword = {}\n",
        &["3: `password` does not say where the secret is"],
    );
}

#[test]
fn time_zones_have_names() {
    check(
        "[gateway]\ntimezone = \"CEST\"\n",
        &["2: there is no time zone `CEST`: not in the IANA time zone database"],
    );
}

#[test]
fn places_and_names() {
    let stream = |text: &str| format!("[streams.s]\ntopic = \"t/{{device}}\"\n{text}\n");
    for (text, expected) in [
        (
            "metrics = { p = { at = \"/{device}/p\" } }",
            "3: `p` captures `{device}`, which is no tag of its own: ",
        ),
        ("metrics = { p = { at = \"/{x}/p\" }, q = { at = \"/{x}/p\" } }", "3: `q` stands where `p` does: "),
        (
            "metrics = { p = { at = \"/{x}{y}\" } }",
            "3: `/{x}{y}` is not a JSON pointer: between two slashes there can be one `{name}`, made of letters, digits, `_` and `-`",
        ),
        ("rename = { room = { a = \"b\" } }", "3: there is no tag `room`: no tag of this name"),
        ("rename = { device = \"b\" }", "3: `device` has to be a table of names: this is text"),
        ("numbers_as_text = \"yes\"", "3: `numbers_as_text` has to be true or false: this is text"),
        (
            "each = \"readings\"",
            "3: `readings` is not a JSON pointer: a JSON pointer starts with `/`: write `/readings`",
        ),
        (
            "format = \"text\"\neach = \"/x\"",
            "4: `each` points into a document, but format = \"text\" has none: ",
        ),
        ("time = { at = \"/t\", format = \"ms\", zone = \"UTC\" }", "3: `zone` is for local times: "),
        (
            "time = { at = \"/t\", format = \"%H:%M\" }",
            "3: `%H:%M` is not a pattern for time stamps: gives no day that can be read back",
        ),
    ] {
        check(&stream(text), &[expected.trim_end_matches(": ")]);
    }
}

/// Of gateways that share a subscription each sees some of a series' readings.
#[test]
fn order_needs_all_readings() {
    let source = "[sources.b]\nurl = \"mqtt://h\"\nshared_group = \"g\"\n";
    for (aggregates, name) in [
        ("[\"count\", \"rate\"]", "rate"),
        ("{ e = \"increase\", \"*\" = \"mean\" }", "increase"),
        ("[{ duration_in = \"value > 1\" }]", "duration_in"),
    ] {
        let text = format!("{source}[summaries.s]\naggregates = {aggregates}\n");
        let expected = format!(
            "4: `{name}` needs every reading of a series in one gateway: the source `b` has a shared_group: others get some of them"
        );
        check(&text, &[&expected]);
    }
    // A meter has an increase without anybody asking for it.
    let meter = "[streams.s]\ntopic = \"t\"\nmetrics = { e = { kind = \"counter\" } }\n";
    let report = read(&format!("{source}{meter}[summaries.x]\n{BASE}")).unwrap_err().to_string();
    assert!(report.contains("`increase` needs every reading"), "{report}");
}

#[test]
fn formats() {
    let stream = |text: &str| format!("[streams.s]\ntopic = \"t/{{device}}\"\n{text}\n");
    let csv = |keys: &str| format!("format = \"csv\"\ncsv = {{ {keys} }}");
    for (text, expected) in [
        ("csv = {}", "3: `csv` is for rows of cells"),
        (&csv("delimiter = \";;\""), "4: `delimiter` has to be one character that no number has"),
        (&csv("delimiter = \"1\""), "4: `delimiter` has to be one character that no number has"),
        (&csv("decimal = \",\""), "4: `csv` has the same character between cells and before decimals"),
        (&csv("header = false"), "4: `header` leaves the columns without names"),
        (&csv("columns = []"), "4: `columns` names no column"),
        (&csv("columns = [\"a\", \"a\"]"), "4: `columns` names `a` twice"),
        (&csv("decimal = \";\""), "4: unknown `decimal`: `;`: not known here"),
        (
            "format = \"csv\"\neach = \"/a\"",
            "4: `each` is not needed: every row is a record, and every cell a text",
        ),
        (
            "format = \"senml\"\nvalue = \"/a\"",
            "4: `value` is not needed: the format says itself what a value is called and when it was taken",
        ),
        ("format = \"sparkplug\"", "2: `topic` names `{device}`, which the format gives by itself"),
        (
            "format = \"influx\"\ntime = { at = \"/t\", format = \"s\" }",
            "4: `at` has no meaning with line protocol, which has its time stamps at the end of each line",
        ),
        ("format = \"influx\"\ntags = { labels = \"x\" }", "4: `labels` is given by the format already"),
        ("format = \"influks\"", "3: unknown `format`: `influks`: did you mean `influx`?"),
    ] {
        check(&stream(text), &[expected]);
    }
    check(
        "[streams.s]\ntopic = \"t/{metric}\"\nformat = \"influx\"\n",
        &["2: `topic` names `{metric}`, which the format gives by itself"],
    );
}

#[test]
fn what_later_versions_bring() {
    let later = |what: &str| format!("`{what}` is not in this version yet: planned for a later version");
    for (text, line, what) in [
        ("[sources.b]\ntype = \"kafka\"\nbrokers = 1\n", 2, "kafka"),
        ("[sources.b]\nurl = \"wss://h\"\n", 2, "wss://"),
    ] {
        check(text, &[&format!("{line}: {}", later(what))]);
    }
}

#[test]
fn windows() {
    for (window, expected) in [
        ("{ tumbling = \"1m\", count = 5 }", "is of two kinds at once: `tumbling` and `count`"),
        ("{ hopping = \"5m\" }", "`every` is missing"),
        ("{ hopping = \"1m\", every = \"5m\" }", "`every` is longer than the window"),
        ("{ hopping = \"10m\", every = \"7ms\" }", "`every` would make a window of more than 1440 pieces"),
        ("{ tumbling = \"5m\", every = \"1m\" }", "`every` means something only beside `hopping`"),
        ("{ tumbling = \"5m\", zone = \"UTC\" }", "`zone` means something only beside `calendar`"),
        ("{ calendar = \"year\" }", "unknown `calendar`: `year`"),
        ("{ calendar = \"day\", zone = \"Mars\" }", "Mars"),
        ("{ count = 0 }", "`count` has to be between 1 and 1000000"),
        ("{ state = \"value > \" }", "is not a condition"),
        ("{ session = 30 }", "`session` has to be a length of time"),
        ("{ }", "`tumbling` is missing"),
    ] {
        let report = read(&format!("[summaries.s]\nwindow = {window}\n{BASE}")).expect_err(window);
        assert_eq!(report.diagnostics.len(), 1, "{report}");
        let found = report.diagnostics[0].one_line();
        assert!(found.starts_with("tidegate.toml:2: ") && found.contains(expected), "{found}");
    }
    check(
        "[summaries.s]\nwindow = { count = 5 }\nlayout = \"wide\"\n",
        &[
            "3: `layout` cannot be \"wide\" here: windows that end by what was read end at other times for each metric",
        ],
    );
    check(
        "[summaries.s]\nwindow = { count = 5 }\namend = \"1h\"\n",
        &["3: `amend` has no meaning here: windows that end by what was read are not amended"],
    );
}

#[test]
fn sources() {
    for (text, expected) in [
        ("type = \"mqqt\"", "2: unknown `type`: `mqqt`: did you mean `mqtt`?"),
        ("qos = 2", "2: `qos` can be 0 or 1"),
        ("qos = \"1\"", "2: `qos` has to be a whole number: this is text"),
        ("protocol = 5", "2: `protocol` has to be text: this is a whole number"),
        ("protocol = \"3.1\"", "2: unknown `protocol`: `3.1`: did you mean `3.1.1`?"),
        ("keep_alive = \"1s\"", "2: `keep_alive` has to be between 5s and 18h"),
        ("keep_alive = \"5500ms\"", "2: `keep_alive` has to be whole seconds"),
        ("session_expiry = \"0s\"", "2: `session_expiry` has to be between 1s and 49710d6h28m14s"),
        (
            "session = \"clean\"\nsession_expiry = \"1d\"",
            "3: `session_expiry` has no meaning with session = \"clean\"",
        ),
        ("client_id = \"\"", "2: `client_id` is empty"),
        ("shared_group = \"a/b\"", "2: `shared_group` cannot hold `/`, `+` or `#`"),
        ("receive_maximum = 0", "2: `receive_maximum` has to be between 1 and 65535"),
        ("max_packet = 1024", "2: `max_packet` has to be a size: this is a whole number"),
        ("password = { env = \"P\" }", "2: `password` has no `username`"),
        (
            "url = \"localhost\"",
            "2: `localhost` is not the address of a broker: did you mean `mqtt://localhost`?",
        ),
        ("ca = \"ca.pem\"\nurl = \"mqtt://h\"", "3: `url` does not use TLS, but `ca` or `cert` is given"),
        ("cert = \"c.pem\"\nurl = \"mqtts://h\"", "2: `cert` needs `key` too"),
        ("users = []", "2: unknown key `users`: belongs to type = \"listen\""),
        ("listen = \"1883\"", "2: `1883` is not an address to listen on: this is a port alone"),
        (
            "listen = \"host:1883\"",
            "2: `host:1883` is not an address to listen on: `host` is not an IP address",
        ),
    ] {
        check(&format!("[sources.b]\n{text}\n"), &[expected]);
    }
    check(
        "[sources.a]\nclient_id = \"x\"\n[sources.b]\nclient_id = \"x\"\n",
        &["3: `a` and `b` use one client id at one broker: also `x`"],
    );
    check(
        "[sources.a]\nlisten = \"127.0.0.1:1\"\nusers = [{ username = \"u\" }]\n",
        &["3: `password` is missing: needs `password`"],
    );
    check(
        "[sources.Main]\n",
        &["1: `Main` cannot be a name here: not made of a-z, 0-9, `_` and `-`, at most 64 of them"],
    );
    check("[sources.a]\nlisten = \"127.0.0.1:1\"\nca = \"ca.pem\"\n", &["3: `ca` needs `cert` and `key`"]);
}

#[test]
fn streams() {
    for (text, expected) in [
        ("topic = []", "2: `topic` is an empty list"),
        (
            "topic = \"a/#/b\"",
            "2: `a/#/b` is not a topic pattern: `#` can only be the last level; in the middle write `{name#}`",
        ),
        ("topic = \"$share/g/a\"", "2: `topic` cannot be a shared subscription"),
        ("topic = \"a\"\nsources = [\"lokal\"]", "3: there is no source `lokal`: did you mean `local`?"),
        ("topic = \"a\"\nsources = []", "3: `sources` is an empty list"),
        (
            "topic = \"a\"\nsources = [\"local\", \"local\"]",
            "3: `local` is listed twice in `sources`: again here",
        ),
        ("topic = \"a\"\nformat = \"jsno\"", "3: unknown `format`: `jsno`: did you mean `json`?"),
        (
            "topic = \"a\"\nvalue = \"v\"",
            "3: `v` is not a JSON pointer: a JSON pointer starts with `/`: write `/v`",
        ),
        (
            "topic = \"a\"\nformat = \"text\"\nvalue = \"/v\"",
            "4: `value` points into a document, but format = \"text\" has none",
        ),
        (
            "topic = \"a\"\nformat = \"text\"\ntags = { r = { at = \"/r\" } }",
            "4: `r` points into a document, but format = \"text\" has none",
        ),
        ("topic = \"a\"\ntime = \"/ts\"", "3: `time` has to be a table: this is text"),
        ("topic = \"a\"\ntime = { at = \"/ts\" }", "3: `format` is missing: needs `format`"),
        ("topic = \"a\"\ntime = { uptime = \"/up\", boot = \"/b\" }", "3: `unit` is missing: needs `unit`"),
        ("topic = \"a\"\ntime = { uptime = \"/up\", unit = \"ms\" }", "3: `boot` is missing: needs `boot`"),
        (
            "topic = \"a\"\ntime = { uptime = \"/up\", unit = \"ms\", boot = \"/b\", format = \"ms\" }",
            "3: `format` is for times of day, and `uptime` is none",
        ),
        (
            "topic = \"a\"\ntime = { uptime = \"/up\", unit = \"min\", boot = \"/b\" }",
            "3: unknown `unit`: `min`: not known here",
        ),
        (
            "topic = \"a\"\ntime = { at = \"/ts\", format = \"ms\", boot = \"/b\" }",
            "3: `boot` goes with `uptime`",
        ),
        (
            "topic = \"a\"\nformat = \"tidegate\"\ntime = { at = \"/ts\", format = \"ms\" }",
            "4: `time` is not needed: a frame says itself what its readings are, when they were taken and which they are",
        ),
        (
            "topic = \"a/{device}\"\nformat = \"tidegate\"\nsequence = { at = \"/s\", per = [\"device\"] }",
            "4: `at` is not needed: a frame numbers its readings itself",
        ),
        ("topic = \"a\"\nunique = \"time\"", "3: `unique` needs `time`"),
        ("topic = \"a\"\nunique = \"tiem\"", "3: unknown `unique`: `tiem`: did you mean `time`?"),
        (
            "topic = \"a/{device}\"\nsequence = { at = \"/s\", per = [\"dev\"] }",
            "3: there is no tag `dev`: did you mean `device`?",
        ),
        ("topic = \"a/{device}\"\ntags = { device = \"x\" }", "3: `device` is given by the topic already"),
        ("topic = \"a\"\ntags = { metric = \"x\" }", "3: `metric` is not a tag"),
        ("topic = \"a\"\ntags = { n = 1 }", "3: `n` has to be text: this is a whole number"),
        ("topic = \"a\"\nexpected_every = \"0s\"", "3: `expected_every` has to be between 1ms and 366d"),
        ("topic = \"a\"\nclean = [{}]", "3: `clean` has a step that does nothing"),
        (
            "topic = \"a\"\nclean = [{ range = { min = 2, max = 1 } }]",
            "3: `range` refuses everything: `min` is greater than `max`",
        ),
        ("topic = \"a\"\nclean = [{ range = { min = nan } }]", "3: `min` has to be a finite number"),
        (
            "topic = \"a\"\nclean = [{ scale = { factor = 0 } }]",
            "3: `scale` makes every value the same: `factor` is 0",
        ),
        (
            "topic = \"a\"\nclean = [{ scale = { factr = 2 } }]",
            "3: unknown key `factr`: did you mean `factor`?",
        ),
        (
            "topic = \"a\"\nmetrics = { t = { at = \"/t\" }, \"*\" = { unit = \"x\" } }",
            "3: `*` stands for all other metrics and takes no settings",
        ),
        (
            "topic = \"a/{metric}\"\nmetrics = { t = { at = \"/t\" } }",
            "3: the metric `t` cannot have an `at` of its own: the topic names the metric",
        ),
        (
            "topic = \"a\"\nvalue = \"/v\"\nmetrics = { t = {}, u = {} }",
            "4: one value cannot be several metrics: `value` says where the value is",
        ),
        (
            "topic = \"a\"\nmetrics = { temp = {} }\nclean = [{ range = { min = 0 }, metrics = \"tmep\" }]",
            "4: there is no metric `tmep`: did you mean `temp`?",
        ),
    ] {
        check(&format!("[streams.s]\n{text}\n"), &[expected]);
    }
    check(
        "[streams.s]\ntopic = \"a\"\ntime = { at = \"/t\", format = \"s\" }\nsequence = \"/s\"\nunique = \"time\"\n",
        &["5: `sequence` and `unique` exclude each other: one way to recognise a reading that comes again"],
    );
}

#[test]
fn summaries_and_outputs() {
    for (text, expected) in [
        ("[summaries.s]\nwindow = \"0s\"", "2: `window` has to be between 1ms and 366d"),
        ("[heartbeat]\nevery = \"0s\"", "2: `every` has to be between 1s and 1d"),
        ("[heartbeat]\nto = [\"ingset\"]", "2: there is no output `ingset`: did you mean `ingest`?"),
        ("[heartbeat]\nevrey = \"1m\"", "2: unknown key `evrey`: did you mean `every`?"),
        ("[summaries.s]\nwindow = 60", "2: `window` has to be a length of time: this is a whole number"),
        (
            "[summaries.s]\nwindow = { tumbling = 60 }",
            "2: `tumbling` has to be a length of time: this is a whole number",
        ),
        ("[summaries.s]\nwindow = {}", "2: `tumbling` is missing: needs `tumbling`"),
        ("[summaries.s]\nby = [\"devcie\"]", "2: there is no tag `devcie`: did you mean `device`?"),
        ("[summaries.s]\naggregates = [\"maen\"]", "2: unknown `aggregates`: `maen`: did you mean `mean`?"),
        ("[summaries.s]\naggregates = [\"mean\", \"mean\"]", "2: `aggregates` has `mean` twice"),
        ("[summaries.s]\naggregates = []", "2: `aggregates` is an empty list"),
        ("[summaries.s]\naggregates = { t = [] }", "2: `t` is an empty list"),
        (
            "[summaries.s]\naggregates = { \"*\" = [\"maen\"] }",
            "2: unknown `*`: `maen`: did you mean `mean`?",
        ),
        (
            "[summaries.s]\naggregates = [\"integral\", { integral = \"1h\" }]",
            "2: `aggregates` has `integral` twice",
        ),
        (
            "[summaries.s]\naggregates = [\"p100\"]",
            "2: `p100` is not a percentile: a percentile has at most two digits before the point and one behind it",
        ),
        (
            "[summaries.s]\naggregates = [\"p0\"]",
            "2: `p0` is not a percentile: that is the least value, `min`",
        ),
        ("[summaries.s]\naggregates = [\"histogram\"]", "2: `aggregates` has a `histogram` without bounds"),
        (
            "[summaries.s]\naggregates = [{ histogram = [10, 0] }]",
            "2: `histogram` has bounds that do not rise",
        ),
        ("[summaries.s]\naggregates = [{ histogram = [] }]", "2: `histogram` has to have 1 to 64 bounds"),
        (
            "[summaries.s]\naggregates = [{ integral = \"1h\", rate = \"1h\" }]",
            "2: `aggregates` has a table that is not one aggregate",
        ),
        ("[summaries.s]\naggregates = [{}]", "2: `aggregates` has a table that is not one aggregate"),
        ("[summaries.s]\naggregates = [{ slpoe = \"1h\" }]", "2: unknown key `slpoe`: did you mean `slope`?"),
        (
            "[summaries.s]\naggregates = [\"duration_in\"]",
            "2: `aggregates` has a `duration_in` without a condition",
        ),
        (
            "[summaries.s]\naggregates = [{ duration_in = \"value\" }]",
            "2: `value` is not a condition: a condition is true or false: compare with something, as in `value > 60`",
        ),
        ("[summaries.s]\naggregates = [{ rate = \"0s\" }]", "2: `rate` has to be between 1ms and 366d"),
        ("[summaries.s]\nsamples_max = 1", "2: `samples_max` has to be between 2 and 100000"),
        ("[summaries.s]\nstate = \"yes\"", "2: `state` has to be true or false: this is text"),
        ("[summaries.s]\nlateness = \"-1s\"", "2: `-1s` is not a length of time: it cannot be negative"),
        ("[summaries.s]\nstreams = \"climat\"", "2: there is no stream `climat`: did you mean `climate`?"),
        ("[outputs.o]", "1: `url` is missing: needs `url`"),
        ("[outputs.o]\ntype = \"file\"", "1: `path` is missing: needs `path`"),
        (
            "[outputs.o]\ntype = \"file\"\npath = \"-\"\nurl = \"x\"",
            "4: unknown key `url`: belongs to type = \"http\"",
        ),
        (
            "[outputs.o]\nurl = \"ftp://x\"",
            "2: `ftp://x` is not the address of a function: `ftp` is not http or https",
        ),
        (
            "[outputs.o]\nurl = \"f.example/x\"",
            "2: `f.example/x` is not the address of a function: did you mean `https://f.example/x`?",
        ),
        (
            "[outputs.o]\nurl = \"https://f.example/#x\"",
            "2: `https://f.example/#x` is not the address of a function: a part after `#` is never sent",
        ),
        (
            "[outputs.o]\nurl = \"https://f\"\ncompression = \"brotli\"",
            "3: unknown `compression`: `brotli`: not known here",
        ),
        (
            "[outputs.o]\nurl = \"https://f\"\nbatch = { events = 0 }",
            "3: `events` has to be between 1 and 10000",
        ),
        (
            "[outputs.o]\nurl = \"https://f\"\nbatch = true",
            "3: `batch` has to be a table: this is true or false",
        ),
        ("[buffer]\nmax_size = \"1MB\"", "2: `max_size` has to be between 16MiB and 1TiB"),
        (
            "[buffer]\nmax_size = \"512M\"",
            "2: `512M` is not a size: `M` is not a unit of size: did you mean `512MiB`?",
        ),
        ("[buffer]\nflash_budget = \"2GB\"", "2: `2GB` is not a size a day: it does not end in `/day`"),
        ("[buffer]\ncommit_interval = \"3s\"", "2: `commit_interval` has to be between 1ms and 2s"),
        (
            "[status]\nlisten = \":8380\"",
            "2: `:8380` is not an address to listen on: the address before the port is missing",
        ),
        (
            "[gateway]\nid = \"a b\"",
            "2: `id` has to be made of letters, digits, `.`, `_` and `-`, at most 64 of them",
        ),
    ] {
        check(&format!("{text}\n"), &[expected]);
    }
}
