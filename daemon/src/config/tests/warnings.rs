//! What is accepted with a warning, and what is no configuration at all.

use super::{BASE, read};

#[test]
fn warnings() {
    let check = |text: &str, expected: &[&str]| {
        let loaded = read(text).unwrap_or_else(|report| panic!("{report}"));
        let lines: Vec<String> = loaded.warnings.iter().map(|found| found.one_line()).collect();
        let expected: Vec<String> = expected.iter().map(|line| format!("tidegate.toml:{line}")).collect();
        assert_eq!(lines, expected, "{text}");
    };
    let with = |text: &str| format!("{BASE}{text}");
    check(BASE, &[]);
    check("[streams.x]\ntopic = \"a\"\n", &[" there is no output: summaries stay on this machine"]);
    check(
        &with("[gateway]\nid = \"raspberrypi\"\n"),
        &["6: many gateways are called `raspberrypi`: tells nobody which one this is"],
    );
    check(
        &with("[sources.a]\n[sources.b]\n"),
        &["6: `a` and `b` are the same broker: connects a second time"],
    );
    check(
        &with("[sources.a]\nlisten = \"[::]:1883\"\n"),
        &["6: this listener asks for no password: everybody on this network can publish"],
    );
    check(
        &with("[clock]\nunsynchronised = \"trust\"\nhold_max = \"5m\"\n"),
        &["7: `hold_max` has no effect where `unsynchronised` is \"trust\": nothing is held"],
    );
    check(
        "[streams.x]\ntopic = \"a\"\n[heartbeat]\n",
        &[
            "3: no output gets the heartbeat: goes nowhere",
            " there is no output: summaries stay on this machine",
        ],
    );
    check(
        &with(
            "[outputs.o]\nurl = \"https://f.example/\"\n[outputs.beats]\npath = \"-\"\n[summaries.s]\nto = [\"o\", \"ingest\"]\n[heartbeat]\nto = \"beats\"\n",
        ),
        &[],
    );
    check(
        &with("[status]\nlisten = \"0.0.0.0:80\"\n"),
        &["6: the status page has no password: everybody on this network can read it"],
    );
    check(
        &with(
            "[sources.a]\n[sources.b]\nurl = \"mqtt://b\"\n[streams.climate.tags]\nx = \"y\"\n[streams.two]\ntopic = \"a\"\nsources = \"a\"\n[outputs.two]\npath = \"-\"\n[summaries.s]\nstreams = \"two\"\nto = \"two\"\n",
        ),
        &[
            "1: no summary counts the stream `climate`: goes nowhere",
            "3: no summary goes to the output `ingest`: goes nowhere",
        ],
    );
    check(
        &with("auth = { bearer = { file = \"t\" } }\n").replace("https", "http"),
        &["4: the token travels unencrypted: http://, not https://"],
    );
}

#[test]
fn a_plain_host_name_is_worth_a_warning() {
    let env = crate::config::Environment { hostname: Some("raspberrypi".into()), ..Default::default() };
    let loaded = crate::config::parse(BASE, "t.toml", std::path::Path::new(""), &env).unwrap();
    assert_eq!(loaded.warnings[0].one_line(), "t.toml: this gateway is called `raspberrypi`, as many are");
}

/// Whatever is in the file, there is an answer and not a panic.
#[test]
fn hostile_files() {
    let deep = format!("a = {}", "[".repeat(100_000));
    let wide = "x = 1\n".repeat(2_000);
    let odd = "\u{feff}[streams.\"\u{0}\"]\ntopic = \"\\u0000\"\n\r\n\u{202e}";
    for text in
        [deep.as_str(), &wide, odd, "\0\0\0", "[[streams]]\n", "[streams]\nx = [1]\n", "sources = \"x\""]
    {
        let report = read(text).expect_err("refused");
        assert!(report.errors() > 0);
        assert!(report.render(true).len() < 1 << 20);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_damaged_file_never_panics(cut in 0..900_usize, junk in "[\\[\\]{}=\"',.#\n a-z0-9é]{0,12}") {
        let whole = include_str!("../../../../config/tidegate.toml");
        let at = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        let _ = read(&format!("{}{junk}{}", &whole[..at], &whole[at..])).map_err(|report| report.render(false));
    }
}

#[test]
fn long_lists() {
    let many = vec!["\"a\""; 5_000].join(",");
    let report = read(&format!("[streams.s]\ntopic = [{many}]\n")).expect_err("refused");
    assert_eq!(report.diagnostics[0].message, "`topic` has more than 4096 elements");
    let secrets = "[outputs.o]\nauth = { bearer = \"x\" }\n".repeat(20_000);
    assert!(read(&secrets).expect_err("refused").render(false).len() < 1 << 20);
}
