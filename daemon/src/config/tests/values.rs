//! What a valid configuration means.

use super::{BASE, machine, read, valid};
use crate::config::model::{
    Auth, Batch, Buffer, Compression, Content, Http, Login, Output, OutputKind, Protocol, Secret, Source,
    SourceKind, Tls, WhenFull,
};
use crate::config::{Config, Environment, load, parse};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::plan::{
    CalendarUnit, Csv, Fields, Format, Kind, MetricPlan, Pointer, PointerPattern, TagPlan, TickPlaces,
    TicksPlan, TimeFormat, Unique, Window,
};
use tidegate_pipeline::ticks::TickUnit;
use tidegate_pipeline::time::Span;

const OUTPUT: &str = "[outputs.ingest]\nurl = \"https://f.example/\"\n";

fn mqtt(config: &Config) -> &crate::config::model::Mqtt {
    match &config.sources[0].kind {
        SourceKind::Mqtt(mqtt) => mqtt,
        SourceKind::Listen(_) => panic!("not a broker"),
    }
}

fn stream(text: &str) -> tidegate_pipeline::plan::StreamPlan {
    valid(&format!("[streams.s]\n{text}\n{OUTPUT}")).plan.streams.remove(0)
}

fn summary(text: &str, streams: &str) -> tidegate_pipeline::plan::SummaryPlan {
    valid(&format!("{streams}\n{OUTPUT}[summaries.s]\n{text}\n")).plan.summaries.remove(0)
}

#[test]
fn a_heartbeat_only_where_it_is_asked_for() {
    let check = |text: &str, expected: Option<(u64, &[&str])>| {
        let two =
            "[streams.s]\ntopic = \"a/{metric}\"\n[outputs.a]\npath = \"a\"\n[outputs.b]\npath = \"b\"\n";
        let heartbeat = valid(&format!("{two}{text}")).heartbeat;
        let found = heartbeat.as_ref().map(|heartbeat| (heartbeat.every.as_secs(), heartbeat.to.as_slice()));
        let expected =
            expected.map(|(every, to)| (every, to.iter().map(|name| (*name).to_owned()).collect()));
        assert_eq!(found, expected.as_ref().map(|(every, to): &(u64, Vec<String>)| (*every, to.as_slice())));
    };
    check("", None);
    check("[heartbeat]\n", Some((300, &["a", "b"])));
    check("[heartbeat]\nevery = \"1h\"\nto = \"b\"\n", Some((3_600, &["b"])));
}

#[test]
fn four_lines_are_enough() {
    let loaded = read(include_str!("../../../../config/minimal.toml")).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    assert_eq!(config.gateway, "pi-b50e");
    assert_eq!(config.data_dir, Path::new("./tidegate-data"));
    assert_eq!(config.plan.sources, ["local"]);
    let mqtt = mqtt(&config);
    assert_eq!((mqtt.host.as_str(), mqtt.port, mqtt.qos), ("127.0.0.1", 1883, 1));
    assert_eq!(mqtt.client_id, "tidegate-pi-b50e-local");
    assert_eq!(mqtt.filters, ["sensors/+/+"]);
    assert_eq!(mqtt.session_expiry, Some(Duration::from_secs(7 * 86_400)));
    let summary = &config.plan.summaries[0];
    assert_eq!(summary.name, "minute");
    assert_eq!(summary.window, Window::Tumbling { length: Span::from_secs(60) });
    assert_eq!((&summary.streams[..], &summary.to[..]), (&[0][..], &[0][..]));
    assert_eq!((summary.lateness, summary.amend), (Span::ZERO, Span::from_secs(3_600)));
    assert_eq!(summary.aggregates, [], "as the kind of the metric says");
    assert_eq!(config.plan.max_future, Span::from_secs(300));
    assert_eq!(config.status.map(|status| status.listen.to_string()).as_deref(), Some("127.0.0.1:8380"));
    let http = Http {
        url: "https://functions.example/ingest".into(),
        auth: Auth::None,
        content: Content::Structured,
        batch: None,
        concurrency: 1,
        compression: Compression::None,
        budget: None,
        timeout: Duration::from_secs(30),
        tls: Tls::default(),
        commands: None,
    };
    assert_eq!(config.outputs, [Output { name: "ingest".into(), kind: OutputKind::Http(Box::new(http)) }]);
    let buffer = Buffer {
        bytes_max: 512 << 20,
        when_full: WhenFull::RollUp,
        commit_interval: Duration::from_millis(250),
        flash_bytes_per_day: 2_000_000_000,
        history: Duration::from_secs(7 * 86_400),
    };
    assert_eq!(config.buffer, buffer);
}

#[test]
fn names_stay_in_the_order_of_the_file() {
    let text = "[streams.z]\ntopic = \"z\"\n[streams.a]\ntopic = \"a\"\n[outputs.z]\npath = \"-\"\n[outputs.a]\npath = \"a.jsonl\"\n\
                [summaries.s]\nstreams = [\"a\"]\nto = \"a\"\n[summaries.b]\n";
    let config = valid(text);
    assert_eq!(config.plan.outputs, ["z", "a"]);
    assert_eq!(config.plan.streams[0].name, "z");
    assert_eq!(config.plan.summaries[0].streams, [1]);
    assert_eq!(config.plan.summaries[0].to, [1]);
    assert_eq!(config.plan.summaries[1].name, "b");
    assert_eq!(config.plan.summaries[1].streams, [0, 1]);
    assert_eq!(config.outputs[0].kind, OutputKind::File(None));
    assert_eq!(config.outputs[1].kind, OutputKind::File(Some("/etc/tidegate/a.jsonl".into())));
}

#[test]
fn brokers() {
    let text = "[streams.s]\ntopic = \"a\"\nsources = [\"b\"]\n[sources.b]\nurl = \"mqtts://h\"\nusername = \"u\"\npassword = { env = \"P\" }\n\
                protocol = \"3.1.1\"\nqos = 0\nsession = \"clean\"\nclient_id = \"me\"\nshared_group = \"g\"\nkeep_alive = \"1m\"\n\
                receive_maximum = 10\nmax_packet = \"64KiB\"\nca = \"ca.pem\"\n";
    let config = valid(text);
    let mqtt = mqtt(&config);
    assert_eq!((mqtt.host.as_str(), mqtt.port), ("h", 8883));
    assert_eq!(mqtt.tls, Some(Tls { ca: Some("/etc/tidegate/ca.pem".into()), cert: None, key: None }));
    assert_eq!(mqtt.login, Some(Login { user: "u".into(), password: Some(Secret::Env("P".into())) }));
    assert_eq!((mqtt.protocol, mqtt.qos, mqtt.session_expiry), (Protocol::V4, 0, None));
    assert_eq!((mqtt.client_id.as_str(), mqtt.shared_group.as_deref()), ("me", Some("g")));
    assert_eq!(
        (mqtt.keep_alive, mqtt.receive_max, mqtt.packet_bytes_max),
        (Duration::from_secs(60), 10, 65_536)
    );
}

#[test]
fn a_listener() {
    let text = "[streams.s]\ntopic = \"a\"\n[sources.l]\nlisten = \"127.0.0.1:0\"\nsubscriptions = \"refuse\"\nmax_clients = 3\nmax_rate = 5\n\
                users = [{ username = \"u\", password = { credential = \"c\" } }]\ncert = \"c\"\nkey = \"/k\"\n";
    let Source { kind: SourceKind::Listen(listen), .. } = &valid(text).sources[0] else {
        panic!("no listener")
    };
    assert_eq!(listen.listen.to_string(), "127.0.0.1:0");
    assert!(listen.refuse_subscriptions);
    assert_eq!((listen.clients_max, listen.rate_max), (3, 5));
    assert_eq!(listen.users, [Login { user: "u".into(), password: Some(Secret::Credential("c".into())) }]);
    let tls = Tls { ca: None, cert: Some("/etc/tidegate/c".into()), key: Some("/k".into()) };
    assert_eq!(listen.tls, Some(tls));
}

#[test]
fn subscriptions_follow_the_streams() {
    let text = "[sources.a]\nurl = \"mqtt://a\"\n[sources.b]\nurl = \"mqtt://b\"\n[streams.x]\ntopic = [\"s/{d}/t\", \"s/d1/#\"]\n\
                [streams.y]\ntopic = \"$SYS/{x#}\"\nsources = \"b\"\n";
    let config = valid(text);
    let filters = |index: usize| match &config.sources[index].kind {
        SourceKind::Mqtt(mqtt) => mqtt.filters.clone(),
        SourceKind::Listen(_) => Vec::new(),
    };
    assert_eq!(filters(0), ["s/+/#"]);
    assert_eq!(filters(1), ["$SYS/+/#", "s/+/#"]);
}

fn pointer(text: &str) -> Option<Pointer> {
    Some(Pointer::parse(text).unwrap())
}

#[test]
fn which_values_a_message_carries() {
    let metric = |name: &str, at: Option<&str>, unit: Option<&str>| MetricPlan {
        name: name.into(),
        at: at.map(|at| PointerPattern::parse(at).unwrap()),
        unit: unit.map(Into::into),
        kind: Kind::Gauge,
    };
    let value = |at: Option<&str>, metric: &str, listed: Vec<MetricPlan>, rest: bool| Fields::Value {
        at: at.map(|at| Pointer::parse(at).unwrap()),
        metric: metric.into(),
        listed,
        rest,
    };
    let check = |text: &str, expected: Fields| assert_eq!(stream(text).fields, expected, "{text}");
    check("topic = \"a\"", Fields::Leaves { listed: vec![], rest: true });
    check("topic = \"a/{metric}\"", value(None, "value", vec![], true));
    check("topic = \"a/{metric}\"\nvalue = \"/v\"", value(Some("/v"), "v", vec![], true));
    check("topic = \"a\"\nvalue = \"/x/temp\"", value(Some("/x/temp"), "temp", vec![], true));
    check("topic = \"a\"\nvalue = \"/x/0\"", value(Some("/x/0"), "value", vec![], true));
    check("topic = \"a\"\nformat = \"text\"", value(None, "value", vec![], true));
    check(
        "topic = \"a\"\nformat = \"text\"\nmetrics = { t = { unit = \"K\" } }",
        value(None, "t", vec![metric("t", None, Some("K"))], false),
    );
    check(
        "topic = \"a/{metric}\"\nmetrics = { t = { unit = \"K\" }, \"*\" = {} }",
        value(None, "value", vec![metric("t", None, Some("K"))], true),
    );
    check(
        "topic = \"a\"\nmetrics = { t = { at = \"/x\" }, \"ENERGY/Power\" = {} }",
        Fields::Leaves {
            listed: vec![metric("t", Some("/x"), None), metric("ENERGY/Power", None, None)],
            rest: false,
        },
    );
    check(
        "topic = \"a\"\nmetrics = { \"*\" = {}, t = {} }",
        Fields::Leaves { listed: vec![metric("t", None, None)], rest: true },
    );
}

#[test]
fn several_records_and_other_names() {
    let plan = stream(
        "topic = \"a/{d}\"\neach = \"/r\"\nnumbers_as_text = true\n\
         metrics = { p = { at = \"/{part}/p\" } }\nrename = { part = { z = \"y\", b = \"c\" }, d = { \"1\" = \"one\" } }",
    );
    assert_eq!((plan.each.as_ref(), plan.numbers_as_text), (pointer("/r").as_ref(), true));
    assert_eq!(plan.tag_names(), ["d", "part"]);
    for (tag, value, name) in [("part", "b", "c"), ("part", "z", "y"), ("part", "1", "1"), ("d", "1", "one")]
    {
        assert_eq!(plan.renamed(tag, value), name);
    }
}

#[test]
fn formats() {
    let format = |text: &str| stream(&format!("topic = \"a\"\n{text}")).format;
    let csv = |delimiter: u8, decimal: char, columns: &[&str], header: bool| {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Format::Csv(Csv { delimiter, decimal, columns, header })
    };
    assert_eq!(format(""), Format::Auto);
    assert_eq!(format("format = \"cbor\""), Format::Cbor);
    assert_eq!(format("format = \"msgpack\""), Format::Msgpack);
    assert_eq!(format("format = \"senml\""), Format::Senml);
    assert_eq!(format("format = \"sparkplug\""), Format::Sparkplug);
    assert_eq!(format("format = \"influx\""), Format::Influx { unit: TimeFormat::Nanos });
    assert_eq!(
        format("format = \"influx\"\ntime = { format = \"s\" }\nunique = \"time\""),
        Format::Influx { unit: TimeFormat::Seconds }
    );
    assert_eq!(format("format = \"csv\""), csv(b',', '.', &[], true));
    assert_eq!(
        format("format = \"csv\"\ncsv = { columns = [\"a\", \"\"] }"),
        csv(b',', '.', &["a", ""], false)
    );
    assert_eq!(
        format(
            "format = \"csv\"\ncsv = { delimiter = \"\\t\", decimal = \",\", columns = \"a\", header = true }"
        ),
        csv(b'\t', ',', &["a"], true)
    );
    let stamped = "[streams.a]\ntopic = \"a\"\nformat = \"senml\"";
    assert_eq!(summary("", stamped).lateness, Span::from_secs(10));
}

#[test]
fn times_from_uptimes() {
    let check = |text: &str, expected: Option<TicksPlan>| {
        let stream = stream(&format!("topic = \"a/{{d}}\"\n{text}"));
        assert_eq!((stream.ticks.clone(), stream.time.clone()), (expected, None), "{text}");
        assert!(text.is_empty() || stream.has_time());
    };
    let places = |unit| {
        let at = |text| Pointer::parse(text).unwrap();
        Some(TickPlaces { at: at("/up"), boot: at("/b"), unit })
    };
    check("", None);
    check(
        "time = { uptime = \"/up\", unit = \"ms\", boot = \"/b\" }",
        Some(TicksPlan { places: places(TickUnit::Millis), per: None }),
    );
    check(
        "time = { uptime = \"/up\", unit = \"s\", boot = \"/b\", per = [\"d\"] }",
        Some(TicksPlan { places: places(TickUnit::Seconds), per: Some(vec!["d".into()]) }),
    );
    check("format = \"tidegate\"", Some(TicksPlan::default()));
    check(
        "format = \"tidegate\"\nsequence = { per = \"d\" }",
        Some(TicksPlan { places: None, per: Some(vec!["d".into()]) }),
    );
}

#[test]
fn how_a_reading_is_recognised() {
    let sequence = |boot: Option<&str>, per: Option<Vec<String>>| Unique::Sequence {
        at: Pointer::parse("/s").unwrap(),
        boot: boot.and_then(pointer),
        per,
    };
    let check = |text: &str, expected: Unique| {
        assert_eq!(stream(&format!("topic = \"a/{{d}}\"\n{text}")).unique, expected, "{text}");
    };
    check("", Unique::Content);
    check("sequence = \"/s\"", sequence(None, None));
    check("sequence = { at = \"/s\", boot = \"/b\" }", sequence(Some("/b"), None));
    check("sequence = { at = \"/s\", per = \"d\" }", sequence(None, Some(vec!["d".into()])));
    check("unique = \"time\"\ntime = { at = \"/t\", format = \"ns\" }", Unique::Time);
    check("format = \"tidegate\"", Unique::Numbered { per: None });
    check(
        "format = \"tidegate\"\nsequence = { per = [\"d\"] }",
        Unique::Numbered { per: Some(vec!["d".into()]) },
    );
    let stamped = stream("topic = \"a\"\ntime = { at = \"/t\", format = \"rfc3339\" }");
    assert_eq!(stamped.time.map(|time| time.format), Some(TimeFormat::Rfc3339));
    let zoned =
        |text: &str| stream(&format!("topic = \"a\"\ntime = {{ at = \"/t\", {text} }}")).time.unwrap().format;
    assert_eq!(zoned("format = \"local\""), TimeFormat::Local { zone: "Europe/Amsterdam".into() });
    assert_eq!(
        zoned("format = \"%d.%m.%Y\", zone = \"Asia/Tokyo\""),
        TimeFormat::Pattern { pattern: "%d.%m.%Y".into(), zone: "Asia/Tokyo".into() }
    );
    let tagged = stream("topic = \"a\"\ntags = { z = \"1\", a = { at = \"/r\" } }").tags;
    let expected = [
        ("z".to_owned(), TagPlan::Constant("1".into())),
        ("a".to_owned(), TagPlan::At(Pointer::parse("/r").unwrap())),
    ];
    assert_eq!(tagged, expected);
}

#[test]
fn summaries() {
    let plain = "[streams.a]\ntopic = \"a/{d}\"";
    let stamped = "[streams.a]\ntopic = \"a/{d}\"\ntime = { at = \"/t\", format = \"s\" }";
    let minute = Window::Tumbling { length: Span::from_secs(60) };
    assert_eq!(summary("window = \"1m\"", plain).window, minute);
    assert_eq!(summary("window = { tumbling = \"60s\" }", plain).window, minute);
    let window = |text: &str| summary(&format!("window = {{ {text} }}"), plain).window;
    let (five, one) = (Span::from_secs(300), Span::from_secs(60));
    assert_eq!(window("hopping = \"5m\", every = \"1m\""), Window::Hopping { length: five, every: one });
    assert_eq!(window("session = \"5m\""), Window::Session { gap: five });
    assert_eq!(window("count = 100"), Window::Count { readings: 100 });
    let day = |zone: &str| Window::Calendar { unit: CalendarUnit::Day, zone: zone.into() };
    assert_eq!(window("calendar = \"day\", zone = \"Asia/Tokyo\""), day("Asia/Tokyo"));
    assert_eq!(window("calendar = \"day\""), day("Europe/Amsterdam"), "the gateway's");
    assert_eq!(summary("window = { count = 9 }", plain).amend, Span::ZERO);
    assert_eq!(summary("", plain).lateness, Span::ZERO);
    assert_eq!(summary("", stamped).lateness, Span::from_secs(10));
    assert_eq!(summary("lateness = \"1m30s\"", stamped).lateness, Span::from_secs(90));
    assert_eq!(summary("by = []", plain).by, Some(vec![]));
    assert_eq!(summary("by = \"d\"", plain).by, Some(vec!["d".into()]));
    assert_eq!(
        summary("aggregates = [\"max\", \"count\"]", plain).aggregates,
        [Aggregate::Max, Aggregate::Count]
    );
    assert_eq!(summary("metrics = [\"t\"]", plain).metrics, Some(vec!["t".into()]));
    let more = summary("samples_max = 20\nstate = true", plain);
    assert_eq!((more.samples_max, more.state), (Some(20), true));
}

#[test]
fn aggregates() {
    let plain = "[streams.a]\ntopic = \"a/{d}/{metric}\"";
    let hour = Span::from_secs(3_600);
    let written = "aggregates = [\"p99.9\", \"median\", \"rate\", { histogram = [-1, 0.5] }, { integral = \"1h\" }, { slope = \"1h\" }]";
    let list = summary(written, plain).aggregates;
    let names: Vec<_> = list.iter().map(|aggregate| aggregate.name().into_owned()).collect();
    assert_eq!(names, ["p99.9", "median", "rate", "histogram", "integral", "slope"]);
    assert_eq!(list[2], Aggregate::Rate(Span::from_secs(1)));
    assert_eq!(list[3], Aggregate::Histogram([-1.0, 0.5].into()));
    assert_eq!(list[4..], [Aggregate::Integral(hour), Aggregate::Slope(hour)]);

    let by_metric = summary("aggregates = { energy = \"increase\", \"*\" = [\"mean\", \"max\"] }", plain);
    assert_eq!(by_metric.aggregates_for("energy", Kind::Gauge), [Aggregate::Increase]);
    assert_eq!(by_metric.aggregates_for("else", Kind::Counter), [Aggregate::Mean, Aggregate::Max]);
    let unsaid = summary("aggregates = { energy = \"increase\" }", plain);
    assert_eq!(unsaid.aggregates_for("else", Kind::Counter), Aggregate::defaults(Kind::Counter));
}

#[test]
fn kinds() {
    let listed =
        stream("topic = \"a\"\nmetrics = { e = { kind = \"counter\" }, s = { kind = \"state\" }, g = {} }");
    let kinds: Vec<_> = listed.fields.listed().iter().map(|metric| metric.kind).collect();
    assert_eq!(kinds, [Kind::Counter, Kind::State, Kind::Gauge]);
}

#[test]
fn outputs_and_the_rest() {
    let text = "[streams.s]\ntopic = \"a\"\n[outputs.o]\nurl = \"http://[::1]:80/x?code=1\"\nauth = { bearer = { file = \"/t\" } }\nbatch = {}\n\
                compression = \"gzip\"\ntimeout = \"5s\"\n[status]\nlisten = \"off\"\n[buffer]\nhistory = \"0\"\nflash_budget = \"500MB/day\"\n\
                [clock]\nmax_future = \"1h\"\n[gateway]\nid = \"g-1\"\ndata_dir = \"data\"\n";
    let loaded = read(text).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    let OutputKind::Http(http) = &config.outputs[0].kind else { panic!("not http") };
    let batch = Batch { events: 500, bytes: 256 << 10, linger: Duration::from_millis(100) };
    assert_eq!(
        (http.auth.clone(), http.batch, http.compression),
        (Auth::Bearer(Secret::File("/t".into())), Some(batch), Compression::Gzip)
    );
    assert_eq!((config.status, config.buffer.history), (None, Duration::ZERO));
    assert_eq!(config.buffer.flash_bytes_per_day, 500_000_000);
    assert_eq!(config.plan.max_future, Span::from_secs(3_600));
    assert_eq!(config.plan.hold_max, Some(Span::from_secs(600)));
    assert_eq!((config.gateway.as_str(), config.data_dir), ("g-1", PathBuf::from("/etc/tidegate/data")));
}

#[test]
fn the_time_zone_is_that_of_the_machine_or_the_file() {
    let zone = |machine_zone: Option<&str>, text: &str| {
        let env = Environment { timezone: machine_zone.map(Into::into), ..machine() };
        let text = format!("[streams.s]\ntopic = \"a\"\n{text}");
        parse(&text, "t", Path::new(""), &env).unwrap().config.plan.timezone
    };
    assert_eq!(zone(Some("Asia/Tokyo"), ""), "Asia/Tokyo");
    assert_eq!(zone(Some("Not/There"), ""), "UTC");
    assert_eq!(zone(None, ""), "UTC");
    assert_eq!(zone(None, "[gateway]\ntimezone = \"europe/amsterdam\""), "Europe/Amsterdam");
}

#[test]
fn systemd_says_where_the_store_is() {
    let env = Environment { state_directory: Some("/var/lib/tidegate".into()), ..machine() };
    let config = parse("[streams.s]\ntopic = \"a\"", "t", Path::new(""), &env).unwrap().config;
    assert_eq!(config.data_dir, Path::new("/var/lib/tidegate"));
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.toml");
    let refused = || load(&path).expect_err("refused").diagnostics[0].message.clone();
    assert!(refused().starts_with("cannot read "));
    std::fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
    assert!(refused().ends_with("is not UTF-8 text, first on line 2"));
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(refused().ends_with("is larger than 1MiB"));
    std::fs::write(&path, "[streams.s]\ntopic = \"a\"\n[outputs.o]\npath = \"o.jsonl\"\n").unwrap();
    let config = load(&path).unwrap().config;
    assert_eq!(config.outputs[0].kind, OutputKind::File(Some(dir.path().join("o.jsonl"))));
}

#[test]
fn clocks() {
    let check = |text: &str, expected: Option<i64>| {
        let loaded = read(&format!("{BASE}[clock]\n{text}")).unwrap();
        assert_eq!(loaded.config.plan.hold_max, expected.map(Span::from_secs), "{text}");
    };
    check("", Some(600));
    check("unsynchronised = \"hold\"\n", Some(600));
    check("hold_max = \"1h\"\n", Some(3_600));
    check("hold_max = \"0s\"\n", Some(0));
    check("unsynchronised = \"trust\"\n", None);
}
