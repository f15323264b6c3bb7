//! The page for people: made here, without scripts, and good on a phone.

mod devices;

use super::model::{AlertEntry, Document, OutputEntry, SourceEntry};
use super::text::{bytes, duration, grouped};
use crate::report::OutputAccount;
use std::fmt::Write;

/// Loaded again so often, in seconds.
const REFRESH_S: u32 = 5;

const STYLE: &str = include_str!("page.css");

/// The page of a running daemon.
pub(super) fn page(document: &Document) -> String {
    let mut body = String::new();
    let title = format!("{} · tidegate", escaped(&document.gateway));
    head(&mut body, document);
    problems(&mut body, document);
    alerts(&mut body, document);
    ledger(&mut body, document);
    sources(&mut body, document);
    outputs(&mut body, document);
    devices::section(&mut body, document);
    store(&mut body, document);
    frame(&title, &body)
}

/// The page before the daemon runs.
pub(super) fn waiting(why: &str) -> String {
    let body = format!(
        "<header><h1>tidegate</h1><span class=\"pill warn\">starting</span></header><p>{}",
        escaped(why)
    );
    frame("tidegate", &body)
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"refresh\" content=\"{REFRESH_S}\">\
         <style>{STYLE}</style><main>{body}</main></html>"
    )
}

// Writing to a String cannot fail, so the results below are dropped.

fn head(body: &mut String, document: &Document) {
    let class = if document.state == "ok" { "good" } else { "bad" };
    let _ = write!(
        body,
        "<header><h1>{}</h1><span class=\"pill {class}\">{}</span></header>\
         <p class=\"faint\">tidegate {} · up {} · <code>{}</code></p>",
        escaped(&document.gateway),
        document.state,
        document.version,
        duration(document.uptime_s),
        escaped(&document.source),
    );
}

fn problems(body: &mut String, document: &Document) {
    for problem in &document.problems {
        let (at, text) = (escaped(&problem.at), escaped(&problem.text));
        let _ = write!(body, "<div class=\"problem\"><b>{at}</b>{text}</div>");
    }
}

fn alerts(body: &mut String, document: &Document) {
    if document.alerts.active == 0 {
        return;
    }
    let _ = write!(body, "<section><h2>Alerts</h2><p>{} raised</p><dl>", grouped(document.alerts.active));
    for alert in &document.alerts.raised {
        let name = escaped(&about_alert(alert));
        let _ = write!(body, "<dt class=\"bad\">{name}</dt><dd>{}</dd>", escaped(&alert.since));
    }
    body.push_str("</dl></section>");
}

fn about_alert(alert: &AlertEntry) -> String {
    let mut words = vec![alert.alert.as_str(), alert.reason];
    words.extend(alert.metric.as_deref());
    words.extend(alert.tags.values().map(String::as_str));
    words.join(" · ")
}

fn ledger(body: &mut String, document: &Document) {
    let l = &document.ledger;
    let rejected = l.rejected.values().sum::<u64>();
    body.push_str("<section><h2>Readings</h2>");
    let _ = write!(body, "<p class=\"big\">{}<small>received</small></p>", grouped(l.received));
    share(
        body,
        &[
            ("counted", l.counted),
            ("other", l.duplicate),
            ("bad", rejected + l.dead_lettered),
            ("wait", l.pending),
        ],
    );
    body.push_str("<dl>");
    row(body, "counted", "counted", l.counted);
    row(body, "duplicate", "other", l.duplicate);
    row(body, "rejected", "bad", rejected);
    for (reason, count) in &l.rejected {
        row(body, reason, "sub", *count);
    }
    row(body, "dead-lettered", "bad", l.dead_lettered);
    row(body, "pending", "wait", l.pending);
    if document.clock.held_readings > 0 {
        row(body, "held until the time is known", "sub", document.clock.held_readings);
    }
    body.push_str("</dl></section>");
}

fn sources(body: &mut String, document: &Document) {
    body.push_str("<section><h2>Sources</h2>");
    for (name, source) in &document.sources {
        let s = &source.snapshot;
        let (class, state) = match (s.connected, source.address.is_some()) {
            (true, true) => ("good", "listening"),
            (true, false) => ("good", "connected"),
            (false, true) => ("bad", "not listening"),
            (false, false) => ("bad", "not connected"),
        };
        let _ = write!(body, "<h3>{} <span class=\"pill {class}\">{state}</span></h3>", escaped(name));
        let _ = write!(body, "<p class=\"faint\">{}</p>", escaped(&about_source(source)));
    }
    body.push_str("</section>");
}

fn about_source(source: &SourceEntry) -> String {
    let s = &source.snapshot;
    let mut parts = Vec::new();
    if let Some(address) = &source.address {
        parts.push(address.clone());
        parts.push(format!("{} clients", grouped(s.clients)));
    }
    parts.extend(s.protocol.map(|version| format!("MQTT {version}")));
    parts.extend(s.since_s.map(|since| format!("for {}", duration(since))));
    parts.push(format!("{} messages", grouped(s.messages)));
    parts.push(format!("{} in flight", grouped(s.in_flight)));
    parts.extend(
        (s.reconnects > 0 && source.address.is_none()).then(|| format!("{} reconnects", s.reconnects)),
    );
    parts.extend((s.too_large > 0).then(|| format!("{} too large", grouped(s.too_large))));
    parts.join(" · ")
}

fn outputs(body: &mut String, document: &Document) {
    body.push_str("<section><h2>Outputs</h2>");
    for (name, output) in &document.outputs {
        let (class, state) = match output {
            OutputEntry { configured: false, .. } => ("warn", "removed"),
            OutputEntry { snapshot, .. } if snapshot.retry_at.is_some() => ("bad", "backing off"),
            OutputEntry { account: OutputAccount { queued: 0, .. }, .. } => ("good", "up to date"),
            OutputEntry { snapshot, .. }
                if snapshot.budget.as_ref().is_some_and(|b| b.waits_for.is_some()) =>
            {
                ("warn", "waits for its budget")
            }
            _ => ("warn", "sending"),
        };
        let _ = write!(body, "<h3>{} <span class=\"pill {class}\">{state}</span></h3>", escaped(name));
        share(
            body,
            &[
                ("counted", output.account.delivered),
                ("other", output.account.merged + output.account.superseded),
                ("bad", output.account.refused + output.account.dropped.values().sum::<u64>()),
                ("wait", output.account.queued),
            ],
        );
        body.push_str("<dl>");
        row(body, "made", "", output.account.made);
        row(body, "delivered", "counted", output.account.delivered);
        row(body, "queued", "wait", output.account.queued);
        for (term, class, count) in [
            ("merged", "other", output.account.merged),
            ("superseded", "other", output.account.superseded),
            ("refused", "bad", output.account.refused),
        ] {
            if count > 0 {
                row(body, term, class, count);
            }
        }
        for (reason, count) in &output.account.dropped {
            row(body, &format!("dropped: {reason}"), "bad", *count);
        }
        body.push_str("</dl>");
        if let Some(budget) = &output.snapshot.budget {
            let _ = write!(body, "<p class=\"faint\">{}</p>", escaped(&budget.text()));
        }
        if let Some(note) = output.snapshot.note {
            let _ = write!(body, "<p class=\"faint\">{}</p>", escaped(note));
        }
        if let (Some(error), true) = (&output.snapshot.last_error, output.account.queued > 0) {
            let _ = write!(body, "<p class=\"faint\">last error: {}</p>", escaped(error));
        }
    }
    body.push_str("</section>");
}

fn store(body: &mut String, document: &Document) {
    let (buffer, store) = (&document.buffer, &document.store);
    body.push_str("<section><h2>Store</h2>");
    share(body, &[("counted", buffer.bytes), ("room", buffer.max_bytes.saturating_sub(buffer.bytes))]);
    let _ = write!(
        body,
        "<p>{} of {}</p><p class=\"faint\">{} written in {} transactions, {} syncs{} · {} series · {} open windows</p></section>",
        bytes(buffer.bytes),
        bytes(buffer.max_bytes),
        bytes(store.bytes_written),
        grouped(store.commits),
        grouped(store.syncs),
        if store.flash_overspent { ", more than buffer.flash_budget" } else { "" },
        grouped(document.series),
        grouped(document.open_windows),
    );
}

/// A bar whose parts are as wide as their share; nothing where all are zero.
fn share(body: &mut String, parts: &[(&str, u64)]) {
    let total = parts.iter().map(|(_, count)| count).sum::<u64>();
    if total == 0 {
        return;
    }
    body.push_str("<div class=\"bar\">");
    for (class, count) in parts.iter().filter(|(_, count)| *count > 0) {
        let percent = *count as f64 * 100.0 / total as f64;
        let _ = write!(body, "<i class=\"{class}\" style=\"width:{percent:.3}%\"></i>");
    }
    body.push_str("</div>");
}

fn row(body: &mut String, name: &str, class: &str, count: u64) {
    let _ = write!(body, "<dt class=\"{class}\">{}</dt><dd>{}</dd>", escaped(name), grouped(count));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Problem;
    use crate::status::model::{Inputs, assemble};
    use tidegate_pipeline::alert::{Active, Raised, Why};
    use tidegate_pipeline::time::Time;

    fn raised(text: &str) -> Active {
        let raised = Raised { why: Why::Silence, since: Time(0), at: Time(0), ordinal: 1 };
        let (metric, tags) = (Some(text.to_owned()), vec![("device".to_owned(), text.to_owned())]);
        Active { key: text.into(), alert: text.into(), metric, tags, raised, value: None }
    }

    #[test]
    fn nothing_on_the_page_is_taken_for_markup() {
        let evil = "<script>alert(\"1\")</script>".to_owned();
        let problems = vec![Problem { at: evil.clone(), text: evil.clone() }];
        let inputs = Inputs {
            gateway: evil.clone(),
            source: evil.clone(),
            problems,
            outputs: [(evil.clone(), Default::default())].into(),
            alerts: crate::ingest::figures::Alerts { active: 1, shown: vec![raised(&evil)] },
            lists: crate::status::devices::example(&evil),
            ..Inputs::default()
        };
        assert!(!page(&assemble(inputs)).contains("<script"));
        assert!(!waiting(&evil).contains("<script"));
    }
}
