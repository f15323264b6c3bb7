//! The configuration: one TOML file in, a [`Config`] or every error at once out.
//!
//! The file is parsed to tables with places (`toml` spans), and each section reads its own table. A section reports
//! what it cannot use and goes on with a default, so that one run shows every error; with one error or more nothing
//! comes out. To add a key: `schema.rs`, the section that reads it, a row in docs/configuration.md.
//!
//! The modules stand in the order in which the file meets them.

pub mod model;
pub mod environment;
pub mod diagnostic;
mod context;
mod schema;
mod synonyms;
mod suggest;
pub(crate) mod units;
mod expression;
mod window;
mod field;
mod reader;
mod secrets;
mod gateway;
mod broker;
mod sources;
mod streams;
mod aggregates;
mod summaries;
mod tls;
mod alerts;
mod raw;
mod outputs;
mod heartbeat;
mod buffer;
mod clock;
pub mod subscriptions;
pub mod promise;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Report, Severity};
pub use environment::Environment;
pub use model::Config;
pub use promise::{AlertPromise, OutputPromise, RawPromise, StreamPromise};
pub use promise::{alert_promises, output_promises, promises, raw_promises};

use self::context::Context;
use self::model::SourceKind;
use self::reader::Section;
use crate::limits::{CONFIG_BYTES_MAX, SERIES_MAX};
use std::path::Path;
use tidegate_pipeline::plan::Plan;
use toml::de::DeTable;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What it says, with defaults filled in.
    pub config: Config,
    /// What deserves a look, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Reads the configuration file at `path`, for this machine.
///
/// # Errors
/// Every error in the file, or that it cannot be read. The caller leaves with exit code 78 (`EX_CONFIG`).
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    let env = Environment::from_system();
    let base_dir = path.parent().unwrap_or(Path::new(""));
    let refuse = |message: String, help: &str| {
        let cx = Context::new(&name, "", base_dir, &env);
        cx.file_error(message).help(help).report();
        Report { diagnostics: cx.finish(None) }
    };
    let bytes = read_bounded(path).map_err(|error| {
        refuse(
            format!("cannot read {name}: {error}"),
            "check the path and who may read it, or name another file with --config",
        )
    })?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        let message = format!("{name} is larger than {}", units::size_text(CONFIG_BYTES_MAX));
        return Err(refuse(message, "is this the right file? Name another with --config"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text, &name, base_dir, &env),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Err(refuse(format!("{name} is not UTF-8 text, first on line {line}"), "save it as UTF-8"))
        }
    }
}

/// One byte more than allowed is enough to know that a file is too large.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a configuration from `text`. Relative paths in it begin at `base_dir`; `file_name` is for messages.
///
/// # Errors
/// Every error in the text.
pub fn parse(text: &str, file_name: &str, base_dir: &Path, env: &Environment) -> Result<Loaded, Report> {
    let cx = Context::new(file_name, text, base_dir, env);
    let (table, syntax) = DeTable::parse_recoverable(text);
    let broken = report_syntax(&cx, &syntax);
    let config = read(Section::new(&cx, &schema::ROOT, table.get_ref(), 0..0));
    let diagnostics = cx.finish(broken);
    if diagnostics.iter().any(|found| found.severity == Severity::Error) {
        return Err(Report { diagnostics });
    }
    Ok(Loaded { config, warnings: diagnostics })
}

/// Reports what is not TOML: the first complaint of each line, as others follow from it. Gives the first place.
fn report_syntax(cx: &Context<'_>, errors: &[toml::de::Error]) -> Option<usize> {
    let text = cx.text();
    let place = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
    let mut errors: Vec<_> = errors.iter().map(|error| (place(error), error.message(), 0)).collect();
    errors.sort_by_key(|(span, ..)| span.start);
    // One pass over the text, because a damaged file can give a complaint for each of its lines.
    let (mut line, mut counted) = (0, 0);
    for (span, _, its_line) in &mut errors {
        let at = span.start.clamp(counted, text.len());
        line += text.as_bytes()[counted..at].iter().filter(|byte| **byte == b'\n').count();
        counted = at;
        *its_line = line;
    }
    errors.dedup_by_key(|(_, _, line)| *line);
    for (span, message, _) in &errors {
        let help = match message {
            _ if message.starts_with("string values must be quoted") => {
                "write text in quotes: key = \"text\""
            }
            _ if message.starts_with("duplicate key") => {
                "each key and each [table] stands once: remove or join one"
            }
            _ => "see https://toml.io for how TOML is written",
        };
        let (message, label) = match message.split_once(", ") {
            Some((message, "expected literal string")) => (message, "needs quotes"),
            Some(parts) => parts,
            None => (*message, "here"),
        };
        cx.error(span.clone(), message).label(label).help(help).syntax().report();
    }
    errors.first().map(|(span, ..)| span.start)
}

fn read(root: Section<'_>) -> Config {
    let gateway = gateway::read(&root);
    let sources = sources::read(&root, &gateway.id);
    let outputs = outputs::read(&root, &gateway, &sources);
    let streams = streams::read(&root, &sources, &gateway.timezone);
    let summaries = summaries::read(&root, &streams, &outputs, &gateway.timezone);
    let alerts = alerts::read(&root, &sources, &streams, &outputs);
    let raw = raw::read(&root, &streams, &outputs);
    let clock = clock::read(&root);
    let plan = Plan {
        // The last part is a random name that is made with the store.
        source: String::new(),
        sources: sources.iter().map(|source| source.name.clone()).collect(),
        rejects_backlog: rejecting(&sources),
        streams,
        summaries,
        alerts,
        outputs: outputs.iter().map(|output| output.name.clone()).collect(),
        max_future: clock.max_future,
        hold_max: clock.hold_max,
        timezone: gateway.timezone,
        series_max: SERIES_MAX,
        raw,
    };
    aggregates::refuse_shared(&root, &sources, &plan);
    let heartbeat = heartbeat::read(&root, &outputs);
    let buffer = buffer::read(&root);
    let status = buffer::status(&root);
    let (gateway, data_dir) = (gateway.id, gateway.data_dir);
    let mut config = Config { gateway, data_dir, sources, plan, outputs, heartbeat, buffer, status };
    subscriptions::assign(&mut config);
    outputs::loops::refuse(&root, &config);
    outputs::tags::refuse_unknown(&root, &config);
    if !root.cx.has_errors() {
        warn_of_unused(&root, &config);
    }
    root.finish();
    config
}

/// What is there and goes nowhere was probably meant to go somewhere.
fn warn_of_unused(root: &Section<'_>, config: &Config) {
    let Plan { streams, summaries, alerts, raw, .. } = &config.plan;
    let warn = |key: &str, name: &str, message: String, help: &str| {
        let Some(at) = root.place_of(key, name) else { return };
        root.cx.warning(at, message).label("goes nowhere").help(help).report();
    };
    for (index, source) in (0..).zip(&config.sources) {
        if matches!(source.kind, SourceKind::Mqtt(_)) && !streams.iter().any(|s| s.sources.contains(&index)) {
            let message = format!("no stream listens to `{}`", source.name);
            warn("sources", &source.name, message, "add it to the `sources` of a stream, or remove it");
        }
    }
    for (index, stream) in (0..).zip(streams) {
        let watched = alerts.iter().any(|alert| alert.streams.contains(&index));
        let sent = raw.iter().any(|raw| raw.streams.contains(&index));
        if !watched && !sent && !summaries.iter().any(|summary| summary.streams.contains(&index)) {
            let message = format!("no summary counts the stream `{}`", stream.name);
            warn("streams", &stream.name, message, "add it to the `streams` of a summary, or remove it");
        }
    }
    for (index, output) in (0..).zip(&config.outputs) {
        let beats = config.heartbeat.iter().any(|heartbeat| heartbeat.to.contains(&output.name));
        let told = beats || alerts.iter().any(|alert| alert.to.contains(&index));
        let told = told || raw.iter().any(|raw| raw.to.contains(&index));
        if !told && !summaries.iter().any(|summary| summary.to.contains(&index)) {
            let message = format!("no summary goes to the output `{}`", output.name);
            warn("outputs", &output.name, message, "add it to the `to` of a summary, or remove it");
        }
    }
}

/// The sources that reject their backlog.
fn rejecting(sources: &[model::Source]) -> Vec<u16> {
    let rejects =
        |source: &model::Source| matches!(&source.kind, SourceKind::Mqtt(mqtt) if mqtt.rejects_backlog);
    let rejecting = sources.iter().enumerate().filter(|(_, source)| rejects(source));
    rejecting.filter_map(|(at, _)| u16::try_from(at).ok()).collect()
}
