//! Lines that stand below the wrong header, and values of the wrong shape: said where, and what to write instead.

use super::errors::check;
use super::read;

/// What is said of `text` in all; it has to be refused.
fn said(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn a_port_alone_is_no_address() {
    for (text, key, expected) in [
        ("[sources.b]\nlisten = 1883\n", "listen", "listen = \"0.0.0.0:1883\""),
        ("[sources.b]\nlisten = \"1883\"\n", "listen", "listen = \"0.0.0.0:1883\""),
        ("[sources.b]\nlisten = \":1884\"\n", "listen", "listen = \"0.0.0.0:1884\""),
        ("[status]\nlisten = 8080\n", "listen", "listen = \"127.0.0.1:8080\""),
        ("[sources.b]\nurl = 1883\n", "url", "write mqtt://HOST"),
    ] {
        let report = said(&format!("{text}{}", super::BASE));
        assert!(report.contains(expected) && report.contains(key), "{report}");
        // Nobody can publish to a listener that is none.
        assert!(report.ends_with("tidegate.toml: 1 error\n"), "{report}");
    }
}

#[test]
fn lists_where_a_table_is_wanted() {
    for (text, expected) in [
        ("metrics = [\"t\", \"a b\"]", "write metrics = { t = {}, \"a b\" = {} }"),
        ("metrics = \"t\"", "write metrics = { t = {} }"),
        ("metrics = { t = \"/a/t\" }", "write t = { at = \"/a/t\" }"),
        ("metrics = { t = \"°C\" }", "write t = { at = \"/t\", unit = \"°C\" }"),
        ("tags = [\"device\"]", "a {name} in the topic is a tag without being listed here"),
    ] {
        let report = said(&format!("[streams.s]\ntopic = \"a/{{device}}\"\n{text}\n"));
        assert!(report.contains(expected) && report.contains("tidegate.toml:3:"), "{report}");
    }
    // What is advised is accepted.
    super::valid("[streams.s]\ntopic = \"a\"\nmetrics = { t = {}, \"a b\" = {} }\n");
    let report = said("[[streams]]\ntopic = \"a\"\n");
    assert!(report.contains("write [streams.NAME] with a name of your choice"), "{report}");
    assert!(report.contains("in single brackets"), "{report}");
}

/// TOML gives a line to the header above it.
#[test]
fn settings_below_the_header_of_the_metrics() {
    let text = "[streams.s]\n[streams.s.metrics]\nt = { at = \"/t\" }\ntopic = \"a\"\nformat = \"json\"\ntime = { at = \"/ts\", format = \"ms\" }\n[outputs.o]\nurl = \"https://f\"\n";
    let expected = |line: u8, key: &str| {
        format!(
            "{line}: `{key}` stands among the metrics, but is a setting of the stream: is read as a metric here"
        )
    };
    check(
        text,
        &[&expected(4, "topic"), &expected(5, "format"), &expected(6, "time")].map(|line| line.as_str()),
    );
    let report = said(text);
    assert!(
        report.contains("2 | [streams.s.metrics]") && report.contains("lines below this header"),
        "{report}"
    );
    assert!(report.contains("4 | topic = \"a\"\n  | ^^^^^ is read as a metric here"), "{report}");
    assert!(report.contains("above that of its metrics"), "{report}");
    // Metrics may be called so, and then are written like metrics.
    super::valid(
        "[streams.s]\ntopic = \"a\"\n[streams.s.metrics]\nvalue = { at = \"/v\", unit = \"V\" }\ntime = {}\n",
    );
    let text = "[streams.s]\ntopic = \"a\"\n[streams.s.metrics]\nvalue = { path = \"/v\" }\n[outputs.o]\nurl = \"https://f\"\n";
    check(text, &["4: unknown key `path`: did you mean `at`?"]);
}

#[test]
fn settings_below_other_headers() {
    for (text, expected) in [
        (
            "[outputs.o]\nurl = \"https://f\"\n[outputs.o.batch]\ntimeout = \"5s\"\ncompression = \"gzip\"",
            [
                "4: unknown key `timeout`: did you mean `linger`?",
                "5: unknown key `compression`: belongs into [outputs.NAME]",
            ]
            .as_slice(),
        ),
        (
            "[sources.b]\ntopic = \"a\"",
            &["2: unknown key `topic`: belongs into [streams.NAME] or [outputs.NAME]"],
        ),
        (
            "[streams.s]\ntopic = \"a\"\nwindow = \"1m\"",
            &["3: unknown key `window`: belongs into [summaries.NAME]"],
        ),
        ("[summaries.s]\nclean = []", &["2: unknown key `clean`: belongs into [streams.NAME]"]),
        (
            "[summaries]\nwindow = \"1m\"",
            &["2: `window` stands in [summaries], where there are only names: belongs into [summaries.NAME]"],
        ),
    ] {
        check(&format!("{text}\n"), expected);
    }
    let report = said("topic = \"a\"\n[streams.s]\ntopic = \"a\"\n");
    assert!(report.contains("belongs into [streams.NAME]"), "{report}");
    let report = said("[streams]\ntopic = \"a\"\n");
    assert!(report.contains("[streams.main]"), "{report}");
}

#[test]
fn a_setting_that_became_a_tag_is_noticed() {
    let warned = |text: &str| {
        let loaded = read(&format!("{text}[outputs.o]\nurl = \"https://f\"\n")).unwrap();
        loaded.warnings.iter().map(|found| found.one_line()).collect::<Vec<_>>()
    };
    assert_eq!(
        warned("[streams.s]\ntopic = \"a\"\n[streams.s.tags]\nsite = \"north\"\nformat = \"csv\"\n"),
        [
            "tidegate.toml:5: the tag `format` is called like a setting of the stream: a tag with one value for all"
        ]
    );
    let own = "[streams.s]\ntopic = \"a\"\nformat = \"csv\"\n[streams.s.tags]\nformat = \"csv\"\n";
    assert_eq!(warned(own), [""; 0]);
}
