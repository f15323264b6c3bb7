//! `[sources.NAME]`: where messages come from.

mod listen;
mod mqtt;

use super::model::{Source, SourceKind};
use super::reader::{Named, Section};
use super::schema;

#[derive(Clone, Copy)]
enum Kind {
    Mqtt,
    Listen,
}

/// All sources in the order of the file; the broker on this machine where there is none.
pub(super) fn read(root: &Section<'_>, gateway: &str) -> Vec<Source> {
    let entries = root.named("sources");
    if entries.is_empty() {
        let kind = SourceKind::Mqtt(mqtt::default("local", gateway));
        return vec![Source { name: "local".into(), kind }];
    }
    let sources: Vec<Source> = entries.iter().map(|entry| one(entry, gateway)).collect();
    check_pairs(root, &sources);
    sources
}

/// A source that could not be read keeps its name, so that what refers to it is not reported too.
fn one(entry: &Named<'_>, gateway: &str) -> Source {
    let name = entry.name.to_owned();
    let kind = kind(entry, gateway).unwrap_or_else(|| SourceKind::Mqtt(mqtt::default(entry.name, gateway)));
    Source { name, kind }
}

fn kind(entry: &Named<'_>, gateway: &str) -> Option<SourceKind> {
    let section = entry.field.section(&schema::SOURCE_MQTT, "[sources.NAME]")?;
    let named = section.choice("type", &[("mqtt", Kind::Mqtt), ("listen", Kind::Listen)]);
    let kind = match named {
        Some(kind) => kind,
        None if section.has("type") => return None,
        None if section.has("listen") => Kind::Listen,
        None => Kind::Mqtt,
    };
    Some(match kind {
        Kind::Mqtt => SourceKind::Mqtt(mqtt::read(section, entry.name, gateway)),
        Kind::Listen => SourceKind::Listen(listen::read(section.with_schema(&schema::SOURCE_LISTEN))),
    })
}

/// Two connections with one client id throw each other out; two to one broker receive everything twice.
fn check_pairs(root: &Section<'_>, sources: &[Source]) {
    let broker = |source: &'_ Source| match &source.kind {
        SourceKind::Mqtt(mqtt) => Some((mqtt.host.clone(), mqtt.port, mqtt.client_id.clone())),
        SourceKind::Listen(_) => None,
    };
    for (index, source) in sources.iter().enumerate() {
        let Some((host, port, id)) = broker(source) else { continue };
        let same = |other: &&Source| broker(other).is_some_and(|other| (&other.0, other.1) == (&host, port));
        let Some(first) = sources[..index].iter().find(same) else { continue };
        let places = root.place_of("sources", &source.name).zip(root.place_of("sources", &first.name));
        let Some((at, before)) = places else { continue };
        let names = format!("`{}` and `{}`", first.name, source.name);
        if broker(first).is_some_and(|first| first.2 == id) {
            root.cx
                .error(at, format!("{names} use one client id at one broker"))
                .label(format!("also `{id}`"))
                .also(before, "first here")
                .help("a broker closes the older of two such connections, for ever: remove `client_id` from one")
                .report();
        } else {
            root.cx
                .warning(at, format!("{names} are the same broker"))
                .label("connects a second time")
                .also(before, "first here")
                .help("a stream that listens to both counts every message twice: give each stream its `sources`")
                .report();
        }
    }
}
