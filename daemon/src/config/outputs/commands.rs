//! `commands`: what the answers of a function may publish, and at which broker.

use crate::config::field::Field;
use crate::config::model::{Broker, Commands, Output, OutputKind, Source, SourceKind};
use crate::config::reader::Named;
use crate::config::schema;
use crate::config::suggest::either;

/// Fills in `commands` of all functions, now that every source and output is known.
pub(super) fn read(entries: &[Named<'_>], outputs: &mut [Output], sources: &[Source], gateway: &str) {
    let brokers = brokers(outputs, sources);
    for (entry, output) in entries.iter().zip(outputs) {
        let (OutputKind::Http(http), Some(field)) = (&mut output.kind, field_of(entry)) else { continue };
        http.commands = one(&field, &brokers).map(|commands| Commands {
            broker: Broker {
                // Never the connection of the source or output itself: a broker ends the older of two with one id.
                client_id: format!("tidegate-{gateway}-{}-commands", entry.name),
                ..commands.broker
            },
            ..commands
        });
    }
}

/// The field, with its place, of an output that has one.
pub(super) fn field_of<'a>(entry: &Named<'a>) -> Option<Field<'a>> {
    let (key, value) = entry.field.value.as_table()?.get_key_value("commands")?;
    Some(Field { cx: entry.field.cx, key: key.get_ref(), value: value.get_ref(), span: value.span() })
}

/// Every broker that is known, by the name of its source or output.
fn brokers(outputs: &[Output], sources: &[Source]) -> Vec<(String, Broker)> {
    let of_output = |output: &Output| match &output.kind {
        OutputKind::Mqtt(mqtt) => Some((output.name.clone(), mqtt.broker.clone())),
        OutputKind::Http(_) | OutputKind::File(_) => None,
    };
    let of_source = |source: &Source| match &source.kind {
        SourceKind::Mqtt(mqtt) => Some((
            source.name.clone(),
            Broker {
                host: mqtt.host.clone(),
                port: mqtt.port,
                tls: mqtt.tls.clone(),
                protocol: mqtt.protocol,
                client_id: String::new(),
                login: mqtt.login.clone(),
            },
        )),
        SourceKind::Listen(_) => None,
    };
    outputs.iter().filter_map(of_output).chain(sources.iter().filter_map(of_source)).collect()
}

fn one(field: &Field<'_>, brokers: &[(String, Broker)]) -> Option<Commands> {
    let section =
        field.section(&schema::COMMANDS, "commands = { to = \"local\", topics = [\"actuators/+/set\"] }")?;
    section.require("to", "to = \"local\": a source or an output with type = \"mqtt\"");
    section.require("topics", "topics = [\"actuators/+/set\"]");
    let broker = section.get("to").and_then(|to| broker(&to, brokers));
    let topics = section.get("topics").map(|topics| filters(&topics)).unwrap_or_default();
    section.finish();
    Some(Commands { broker: broker?, topics })
}

fn broker(field: &Field<'_>, brokers: &[(String, Broker)]) -> Option<Broker> {
    let name = field.filled()?;
    let named: Vec<&Broker> = brokers.iter().filter(|(known, _)| known == name).map(|(_, b)| b).collect();
    match named.as_slice() {
        [broker] => return Some((*broker).clone()),
        [] => {
            let known = either(brokers.iter().map(|(name, _)| name.as_str()));
            let known = if known.is_empty() {
                "there is none: add one".to_owned()
            } else {
                format!("it can be {known}")
            };
            field.bad("names no source or output with type = \"mqtt\"", &known);
        }
        _ => field.bad("is the name of a source and of an output", "rename one of them"),
    }
    None
}

/// Topic filters. What begins with `$` belongs to the broker itself.
fn filters(field: &Field<'_>) -> Vec<String> {
    let mut filters = Vec::new();
    for (text, span) in field.words() {
        let parts: Vec<&str> = text.split('/').collect();
        let wild = |part: &&str| part.contains('+') && *part != "+";
        let rest = parts.iter().position(|part| part.contains('#'));
        let why = match rest {
            _ if text.starts_with('$') => "begins with `$`, which is the broker's own",
            _ if parts.iter().any(wild) => "has a `+` that is not a whole level",
            Some(at) if at + 1 < parts.len() || parts[at] != "#" => "has a `#` that is not its last level",
            _ if text.contains(['{', '}']) => "has braces; write `+` for any one level",
            _ => {
                filters.push(text.to_owned());
                continue;
            }
        };
        field
            .cx
            .error(span, format!("the topic `{text}` {why}"))
            .help("write what may be published: \"actuators/lamp/set\", \"actuators/+/set\", \"actuators/#\"")
            .report();
    }
    filters
}
