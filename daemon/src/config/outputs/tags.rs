//! Whether the places in an output's `topic` can be filled, and tell what they should.

use crate::config::model::{Config, OutputKind, Piece, Republish};
use crate::config::reader::{Named, Section};
use crate::config::suggest::{either, nearest};
use std::collections::BTreeSet;
use std::ops::Range;

/// Reports tags that no stream has, and topics that several series would share where that does harm.
pub(in crate::config) fn refuse_unknown(root: &Section<'_>, config: &Config) {
    let streams = &config.plan.streams;
    let known: BTreeSet<&str> = streams.iter().flat_map(|stream| stream.tag_names()).collect();
    for (entry, output) in root.named_again("outputs").iter().zip(&config.outputs) {
        let OutputKind::Mqtt(mqtt) = &output.kind else { continue };
        for piece in mqtt.topic.0.iter().flatten() {
            let Piece::Tag(name) = piece else { continue };
            if !known.contains(name.as_str()) && !streams.is_empty() {
                report(root, entry, name, &known);
            }
        }
        warn_of_shared(root, entry, mqtt);
    }
}

fn report(root: &Section<'_>, entry: &Named<'_>, name: &str, known: &BTreeSet<&str>) {
    let ours = ["gateway", "kind", "name", "metric", "tags"];
    let all = || ours.into_iter().chain(known.iter().copied());
    let error = root.cx.error(place(entry), format!("no stream has a tag `{name}`")).absence();
    let error = match nearest(name, all()) {
        Some(near) => error.label(format!("did you mean `{{{near}}}`?")),
        None => error.label(format!("`{{{name}}}` has no value")),
    };
    error.help(format!("it can be {}", either(all()))).report();
}

/// What is retained, or discovered, is one thing per topic.
fn warn_of_shared(root: &Section<'_>, entry: &Named<'_>, mqtt: &Republish) {
    if !mqtt.retain && mqtt.discovery.is_none() {
        return;
    }
    let has = |wanted: fn(&Piece) -> bool| mqtt.topic.0.iter().flatten().any(wanted);
    let missing = [
        ("{kind}", has(|piece| *piece == Piece::Kind)),
        ("{name}", has(|piece| *piece == Piece::Name)),
        ("{metric}", has(|piece| *piece == Piece::Metric)),
        ("{tags}", has(|piece| matches!(piece, Piece::Tags | Piece::Tag(_)))),
    ];
    let Some((missing, _)) = missing.into_iter().find(|(_, there)| !there) else { return };
    root.cx
        .warning(place(entry), "several series may share one topic")
        .label(format!("without {missing}"))
        .help("the broker keeps one message per topic, and a dashboard cannot tell them apart: add it, or remove `topic`")
        .report();
}

fn place(entry: &Named<'_>) -> Range<usize> {
    let table = entry.field.value.as_table();
    table.and_then(|table| table.get("topic")).map_or_else(|| entry.at.clone(), |value| value.span())
}
