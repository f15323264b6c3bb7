//! Whether what we publish could come back to us.
//!
//! A broker cannot tell: *No Local* (MQTT 5 section 3.8.3.1) only holds back what a client published itself, and sources and
//! outputs are different clients. So a configuration in which an output could publish what a source receives is refused.

use crate::config::field::Field;
use crate::config::model::{
    Broker, Config, Output, OutputKind, Piece, Republish, Source, SourceKind, TopicTemplate,
};
use crate::config::reader::{Named, Section};
use crate::config::subscriptions::{overlap, reduce};
use std::ops::Range;
use tidegate_pipeline::plan::StreamPlan;

/// Reports every output that feeds a source of ours, and commands that could.
pub(in crate::config) fn refuse(root: &Section<'_>, config: &Config) {
    let entries = root.named_again("outputs");
    for (entry, output) in entries.iter().zip(&config.outputs) {
        match &output.kind {
            OutputKind::Mqtt(mqtt) => {
                refuse_one(root, config, entry, mqtt);
                refuse_twin(root, config, entry, &mqtt.broker);
            }
            OutputKind::Http(http) => {
                if let Some(commands) = &http.commands {
                    warn_of_commands(root, config, entry, &commands.broker, &commands.topics);
                }
            }
            OutputKind::File(_) => {}
        }
    }
}

fn refuse_one(root: &Section<'_>, config: &Config, entry: &Named<'_>, mqtt: &Republish) {
    let ours = filters(mqtt);
    for (index, source) in (0..).zip(&config.sources) {
        let received = match &source.kind {
            _ if !same_broker(&mqtt.broker, &source.kind) => continue,
            SourceKind::Mqtt(source) => source.filters.clone(),
            SourceKind::Listen(_) => reduce(streams(config, index).flat_map(topics)),
        };
        let pairs = ours.iter().flat_map(|ours| received.iter().map(move |theirs| (ours, theirs)));
        let Some((ours, theirs)) = pairs.into_iter().find(|(ours, theirs)| overlap(ours, theirs)) else {
            continue;
        };
        let stream = streams(config, index).find(|stream| topics(stream).any(|topic| overlap(&topic, ours)));
        let at = place(entry, "topic");
        let error = root
            .cx
            .error(at, format!("`{}` would publish what `{}` receives", entry.name, source.name))
            .label(format!("publishes at `{ours}`"));
        let stream = stream.or_else(|| streams(config, index).next());
        let stream = stream.and_then(|stream| root.place_of("streams", &stream.name));
        let error = match stream {
            Some(stream) => error.also(stream, format!("makes `{}` subscribe to `{theirs}`", source.name)),
            None => error,
        };
        error
            .help(
                "summaries would be taken for readings, and summed up again without end: change `topic` of the output, or \
                 that of the stream, so that no topic fits both",
            )
            .report();
    }
}

/// Two connections with one client id throw each other out, for ever.
fn refuse_twin(root: &Section<'_>, config: &Config, entry: &Named<'_>, broker: &Broker) {
    let of_source = |source: &Source| match &source.kind {
        SourceKind::Mqtt(mqtt) => same_broker(broker, &source.kind) && mqtt.client_id == broker.client_id,
        SourceKind::Listen(_) => false,
    };
    let of_output = |output: &&Output| match &output.kind {
        OutputKind::Mqtt(mqtt) => {
            let other = &mqtt.broker;
            let place = |broker: &Broker| (broker.host.to_ascii_lowercase(), broker.port);
            place(other) == place(broker) && other.client_id == broker.client_id
        }
        OutputKind::Http(_) | OutputKind::File(_) => false,
    };
    let before = config.outputs.iter().take_while(|output| output.name != entry.name);
    let source =
        config.sources.iter().find(|source| of_source(source)).map(|source| ("sources", &source.name));
    let twin = source.or_else(|| before.into_iter().find(of_output).map(|output| ("outputs", &output.name)));
    let Some((table, name)) = twin else { return };
    let error = root
        .cx
        .error(entry.at.clone(), format!("`{name}` and `{}` use one client id at one broker", entry.name))
        .label(format!("also `{}`", broker.client_id));
    let error = match root.place_of(table, name) {
        Some(at) => error.also(at, "first here"),
        None => error,
    };
    error
        .help("a broker closes the older of two such connections, for ever: remove `client_id` from one")
        .report();
}

fn warn_of_commands(
    root: &Section<'_>,
    config: &Config,
    entry: &Named<'_>,
    broker: &Broker,
    allowed: &[String],
) {
    for (index, source) in (0..).zip(&config.sources) {
        if !same_broker(broker, &source.kind) {
            continue;
        }
        for stream in streams(config, index) {
            let meets = |allowed: &&String| {
                let sample = allowed.replace(['+', '#'], "x");
                let excluded = stream.exclude.iter().any(|pattern| pattern.covers(&sample));
                !excluded && topics(stream).any(|topic| overlap(&topic, allowed))
            };
            let Some(filter) = allowed.iter().find(meets) else { continue };
            let warning = root
                .cx
                .warning(place(entry, "commands"), format!("commands reach the stream `{}` too", stream.name))
                .label(format!("`{filter}`"));
            let warning = match root.place_of("streams", &stream.name) {
                Some(at) => warning.also(at, "receives what fits both"),
                None => warning,
            };
            let help = format!(
                "a command that the stream takes for a reading may lead to the next command: if that is not meant, add \
                 exclude = \"{filter}\" to the stream"
            );
            warning.help(help).report();
        }
    }
}

fn streams(config: &Config, source: u16) -> impl Iterator<Item = &StreamPlan> {
    config.plan.streams.iter().filter(move |stream| stream.sources.contains(&source))
}

fn topics(stream: &StreamPlan) -> impl Iterator<Item = String> + '_ {
    let availability = stream.availability.as_ref().map(|availability| &availability.topic);
    stream.topics.iter().chain(availability).map(|topic| topic.filter())
}

/// Filters of everything that the output could publish at.
fn filters(mqtt: &Republish) -> Vec<String> {
    let full = filter(&mqtt.topic, |_| false);
    // What has no name, metric and tags, such as a heartbeat, has no levels for them.
    let bare = filter(&mqtt.topic, |piece| matches!(piece, Piece::Name | Piece::Metric | Piece::Tags));
    let discovery = mqtt.discovery.as_ref().map(|prefix| format!("{prefix}/+/+/config"));
    let mut filters = vec![full, bare];
    filters.dedup();
    filters.extend(discovery);
    filters
}

fn filter(topic: &TopicTemplate, is_left_out: impl Fn(&Piece) -> bool) -> String {
    let mut levels = Vec::new();
    for level in &topic.0 {
        match level.as_slice() {
            [piece] if is_left_out(piece) => {}
            [Piece::Tags] => {
                levels.push("#");
                break;
            }
            [] => levels.push(""),
            [Piece::Text(text)] => levels.push(text),
            _ => levels.push("+"),
        }
    }
    levels.join("/")
}

fn same_broker(broker: &Broker, source: &SourceKind) -> bool {
    let local = is_local(&broker.host);
    match source {
        SourceKind::Mqtt(mqtt) => {
            let host = broker.host.eq_ignore_ascii_case(&mqtt.host) || (local && is_local(&mqtt.host));
            host && broker.port == mqtt.port
        }
        SourceKind::Listen(listen) => {
            let ip = listen.listen.ip();
            let here = local && (ip.is_loopback() || ip.is_unspecified());
            (here || broker.host == ip.to_string()) && broker.port == listen.listen.port()
        }
    }
}

/// Names of this machine that everybody knows.
fn is_local(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Where `key` of the output stands; where it has none, where the output does.
fn place(entry: &Named<'_>, key: &str) -> Range<usize> {
    let Field { value, .. } = &entry.field;
    let field = value.as_table().and_then(|table| table.get(key));
    field.map_or_else(|| entry.at.clone(), |value| value.span())
}
