//! `/metrics` in the Prometheus text format 0.0.4.
//!
//! Written out by hand: everything is a figure that exists already, and a registry would only keep a second copy.

mod devices;

use super::model::Document;
use crate::ingest::figures::Account;
use std::fmt::{Display, Write};
use tidegate_pipeline::verdict::Reason;

/// As the format's specification wants it.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics. Counters never fall: `tidegate_readings_total` tells what was decided when a reading came, and what became
/// of dead letters later is counted beside it.
pub(super) fn exposition(document: &Document, account: &Account) -> String {
    let mut text = Text::default();
    readings(&mut text, document, account);
    outputs(&mut text, document);
    sources(&mut text, document);
    devices::devices(&mut text, &document.devices);
    let flag = u64::from(document.store.flash_overspent);
    text.one("tidegate_commits_total", "counter", "Transactions.", document.store.commits);
    text.one(
        "tidegate_commit_failures_total",
        "counter",
        "Transactions that failed.",
        document.store.failures,
    );
    text.one(
        "tidegate_store_syncs_total",
        "counter",
        "Times that the medium was synced.",
        document.store.syncs,
    );
    text.one("tidegate_store_written_bytes_total", "counter", "Bytes written.", document.store.bytes_written);
    text.one("tidegate_store_flash_overspent", "gauge", "1 while buffer.flash_budget is overspent.", flag);
    text.one("tidegate_store_bytes", "gauge", "Size of the store's file.", document.buffer.bytes);
    text.one("tidegate_store_max_bytes", "gauge", "buffer.max_size.", document.buffer.max_bytes);
    text.one("tidegate_alerts_active", "gauge", "Alerts that are raised.", document.alerts.active);
    let known = u64::from(document.clock.state == "synchronised");
    text.one("tidegate_clock_synchronised", "gauge", "1 while the time is known, or believed.", known);
    text.one(
        "tidegate_clock_epoch",
        "gauge",
        "Rises with steps that windows must not span.",
        document.clock.epoch.into(),
    );
    text.one(
        "tidegate_held_readings",
        "gauge",
        "Readings that wait for the time.",
        document.clock.held_readings,
    );
    text.one("tidegate_held_bytes", "gauge", "Bytes that they take.", document.clock.held_bytes);
    text.one("tidegate_series", "gauge", "Series known.", document.series);
    text.one("tidegate_open_windows", "gauge", "Windows open.", document.open_windows);
    text.one("tidegate_uptime_seconds", "gauge", "Since the daemon started.", document.uptime_s);
    text.head("tidegate_problem", "gauge", "1 per place where something is wrong.");
    for problem in &document.problems {
        text.sample("tidegate_problem", &[("at", &problem.at)], 1);
    }
    text.head("tidegate_build_info", "gauge", "Always 1.");
    text.sample("tidegate_build_info", &[("version", document.version), ("gateway", &document.gateway)], 1);
    text.0
}

fn readings(text: &mut Text, document: &Document, account: &Account) {
    const NAME: &str = "tidegate_readings_total";
    let (ledger, letters) = (&account.ledger, account.letters);
    text.head(NAME, "counter", "Readings by what was decided when they came, since the store was made.");
    text.sample(NAME, &[("term", "counted"), ("reason", "")], ledger.counted);
    text.sample(NAME, &[("term", "duplicate"), ("reason", "")], ledger.duplicate);
    for reason in Reason::ALL {
        for (term, map) in [("rejected", &ledger.rejected), ("dead_lettered", &ledger.dead_lettered)] {
            if let Some(count) = map.get(reason) {
                text.sample(NAME, &[("term", term), ("reason", reason.name())], count);
            }
        }
    }
    const GONE: &str = "tidegate_dead_letter_readings_total";
    text.head(GONE, "counter", "Readings whose dead letters are none any more, by why.");
    for (fate, count) in
        [("evicted", letters.evicted), ("dropped", letters.dropped), ("retried", letters.retried)]
    {
        text.sample(GONE, &[("fate", fate)], count);
    }
    let (dead, pending) = (document.ledger.dead_lettered, document.ledger.pending);
    text.one("tidegate_dead_lettered_readings", "gauge", "Readings among the dead letters.", dead);
    text.one("tidegate_pending_readings", "gauge", "Messages in memory or held.", pending);
}

fn outputs(text: &mut Text, document: &Document) {
    const NAME: &str = "tidegate_output_events_total";
    text.head(NAME, "counter", "Events by what became of them, since the store was made.");
    for (name, output) in &document.outputs {
        for (term, count) in [
            ("made", output.account.made),
            ("delivered", output.account.delivered),
            ("merged", output.account.merged),
            ("superseded", output.account.superseded),
        ] {
            text.sample(NAME, &[("output", name), ("term", term), ("reason", "")], count);
        }
        for (reason, count) in &output.account.dropped {
            text.sample(NAME, &[("output", name), ("term", "dropped"), ("reason", reason)], count);
        }
    }
    let gauge = |text: &mut Text, name, help, of: &dyn Fn(&super::model::OutputEntry) -> u64| {
        text.head(name, "gauge", help);
        for (output, entry) in &document.outputs {
            text.sample(name, &[("output", output)], of(entry));
        }
    };
    gauge(text, "tidegate_output_queued_events", "Events that wait.", &|output| output.account.queued);
    gauge(text, "tidegate_output_refused_events", "Events refused and not retried.", &|output| {
        output.account.refused
    });
    const COMMANDS: &str = "tidegate_output_commands_total";
    text.head(COMMANDS, "counter", "Commands in the answers of a function, by what became of them.");
    for (name, output) in &document.outputs {
        let Some(commands) = output.snapshot.commands else { continue };
        for (result, count) in
            [("published", commands.published), ("refused", commands.refused), ("failed", commands.failed)]
        {
            text.sample(COMMANDS, &[("output", name), ("result", result)], count);
        }
    }
    for (name, help, of) in [
        ("tidegate_output_requests_total", "Requests, or appends to the file.", true),
        ("tidegate_output_sent_bytes_total", "Bytes of their bodies as sent.", false),
    ] {
        text.head(name, "counter", help);
        for (output, entry) in &document.outputs {
            let count = if of { entry.snapshot.requests } else { entry.snapshot.bytes };
            text.sample(name, &[("output", output)], count);
        }
    }
}

fn sources(text: &mut Text, document: &Document) {
    type Figure = fn(&crate::mqtt::SourceSnapshot) -> u64;
    let figures: [(&str, &str, &str, Figure); 8] = [
        ("tidegate_source_connected", "gauge", "1 while connected or listening.", |s| s.connected.into()),
        ("tidegate_source_clients", "gauge", "Clients of a listener.", |s| s.clients),
        ("tidegate_source_in_flight_messages", "gauge", "Messages to be acknowledged.", |s| s.in_flight),
        ("tidegate_source_messages_total", "counter", "Messages received.", |s| s.messages),
        ("tidegate_source_received_bytes_total", "counter", "Bytes of their packets.", |s| s.bytes),
        ("tidegate_source_acknowledged_total", "counter", "Acknowledgements written.", |s| s.acknowledged),
        ("tidegate_source_too_large_total", "counter", "Packets above max_packet.", |s| s.too_large),
        ("tidegate_source_reconnects_total", "counter", "Connections after the first.", |s| s.reconnects),
    ];
    for (name, kind, help, of) in figures {
        text.head(name, kind, help);
        for (source, entry) in &document.sources {
            text.sample(name, &[("source", source)], of(&entry.snapshot));
        }
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "{name}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::state::OutputSnapshot;
    use crate::status::model::{Inputs, assemble};

    #[test]
    fn the_exposition_is_well_formed() {
        let mut account = Account::default();
        account.ledger.counted = 7;
        account.ledger.rejected.insert(Reason::Range, 2);
        let inputs = Inputs {
            lists: crate::status::devices::example("field/\"d1\""),
            account: account.clone(),
            gateway: "a \"quoted\"\nname\\".into(),
            outputs: [("out".to_owned(), OutputSnapshot::default())].into(),
            ..Inputs::default()
        };
        let text = exposition(&assemble(inputs), &account);
        let has = |line: &str| assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        has("# TYPE tidegate_readings_total counter");
        has("tidegate_readings_total{term=\"counted\",reason=\"\"} 7");
        has("tidegate_readings_total{term=\"rejected\",reason=\"range\"} 2");
        has("tidegate_output_events_total{output=\"out\",term=\"made\",reason=\"\"} 0");
        has("tidegate_series 0");
        has("tidegate_devices_lost_readings{at=\"air\"} 9");
        has("tidegate_device_lost_readings{stream=\"field\",sender=\"field/\\\"d1\\\"\",at=\"gateway\"} 7");
        has("tidegate_device_battery_volts{stream=\"field\",sender=\"field/\\\"d1\\\"\"} 3.7");
        assert!(!text.contains("tidegate_device_rssi_dbm{"), "what a device does not say");
        assert!(text.contains("gateway=\"a \\\"quoted\\\"\\nname\\\\\"} 1\n"), "{text}");
        let mut typed = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => typed.push(rest.split(' ').next().unwrap_or_default()),
                None if line.starts_with('#') => {}
                None => assert_eq!(line.split(['{', ' ']).next(), typed.last().copied(), "{line}"),
            }
        }
        let count = typed.len();
        typed.sort_unstable();
        typed.dedup();
        assert_eq!(typed.len(), count, "a metric is declared twice");
    }
}
